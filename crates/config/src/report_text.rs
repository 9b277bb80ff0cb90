//! The `$` expressions of report templates (bounce(5)): parameters, and two times with their unit.

use std::fmt;
use std::time::Duration;

use crate::entry::Param;
use crate::expand::{self, ExpandError, Scope};
use crate::param;
use crate::settings::Config;

/// Why a line of a template cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportTextError {
    /// It names no parameter.
    Undefined,
    /// It makes no sense.
    Expression(ExpandError),
}

impl fmt::Display for ReportTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportTextError::Undefined => f.write_str("undefined $name"),
            ReportTextError::Expression(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReportTextError {}

impl Config {
    /// Expands a line of a report template.
    ///
    /// # Errors
    /// The line refers to what is no parameter, or is malformed.
    pub fn report_text(&self, line: &str) -> Result<String, ReportTextError> {
        struct Names<'a> {
            config: &'a Config,
            undefined: bool,
        }
        impl Scope for Names<'_> {
            fn value(&mut self, name: &str, _: usize) -> Result<Option<String>, ExpandError> {
                let value = variable(self.config, name);
                self.undefined |= value.is_none();
                Ok(value)
            }
        }
        let mut names = Names { config: self, undefined: false };
        let text = expand::expand_text(line, &mut names).map_err(ReportTextError::Expression)?;
        if names.undefined { Err(ReportTextError::Undefined) } else { Ok(text) }
    }
}

/// A parameter, or a time parameter with its unit.
fn variable(config: &Config, name: &str) -> Option<String> {
    const TIMES: [(&str, Param<Duration>); 2] =
        [("delay_warning_time", param::DELAY_WARNING_TIME), ("maximal_queue_lifetime", param::MAXIMAL_QUEUE_LIFETIME)];
    const UNITS: [(&str, u64); 5] =
        [("_seconds", 1), ("_minutes", 60), ("_hours", 3600), ("_days", 86_400), ("_weeks", 604_800)];
    for (time, param) in TIMES {
        let unit = name.strip_prefix(time).and_then(|rest| UNITS.iter().find(|(suffix, _)| *suffix == rest));
        if let Some((_, seconds)) = unit {
            return config.get(param).ok().map(|duration| (duration.as_secs() / seconds).to_string());
        }
    }
    config.lookup(name).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn template_variables_are_parameters_and_times_in_units() {
        let text = b"myhostname = h.test\ndelay_warning_time = 4h\n";
        let config = Config::parse(text, Path::new("/proc/self/none"), &[]).unwrap();
        let expanded = |line: &str| config.report_text(line).map_err(|error| error.to_string());
        assert_eq!(
            expanded("$myhostname: $delay_warning_time_hours of ${maximal_queue_lifetime_days}, $$5"),
            Ok("h.test: 4 of 5, $5".to_owned())
        );
        assert_eq!(expanded("$no_such_parameter"), Err("undefined $name".to_owned()));
        assert_eq!(expanded("${x"), Err("truncated macro reference: \"${x\"".to_owned()));
    }
}
