//! Results of deliveries that a table puts others in the place of: default_delivery_status_filter, and those that
//! agents have for themselves.

use std::fmt;
use std::rc::Rc;

use config::{Config, Param};
use daemon::StartError;
use dsn::Status;
use lookup::{Maps, OpenFlags};

use crate::Finding;

/// The table; none by default.
#[derive(Clone, Default)]
pub struct StatusFilter(Option<Rc<Maps>>);

impl StatusFilter {
    /// The table that this parameter names.
    ///
    /// # Errors
    /// The name makes no sense.
    pub fn open(config: &Config, param: Param<String>) -> Result<Self, StartError> {
        let flags = OpenFlags { bytes: true, ..OpenFlags::default() };
        let maps = Maps::open(config, param.name(), &config.get(param)?, flags)?;
        Ok(StatusFilter(Some(maps).filter(|maps| !maps.is_empty()).map(Rc::new)))
    }

    /// The result in the place of this one: the table is asked with its code and text, and answers with both. A
    /// delivery stays one, and a failure stays a failure, whether for now or for good.
    pub(crate) fn applied(&self, finding: &Finding) -> Option<Finding> {
        let maps = self.0.as_ref()?;
        let text = format!("{} {}", finding.status, finding.reason);
        // A table that fails is logged, and the result stays.
        let answer = maps.lookup(text.as_bytes()).ok()??;
        let shown = text::printable(&answer);
        let changed =
            Status::prefix(&answer).filter(|(status, _)| (status.class() == 2) == (finding.status.class() == 2));
        let Some((status, length)) = changed else {
            logging::warning!("{}: bad result \"{shown}\" for \"{text}\"", maps.title());
            return None;
        };
        let reason = text::printable(answer[length..].trim_ascii_start());
        let replaced = Finding::from_status(status, reason, finding.relay.clone());
        Some(Finding { verdict: replaced.verdict, status, reason: replaced.reason, ..finding.clone() })
    }

    /// The name of a table whose file is no longer the one that was opened.
    pub fn changed(&self) -> Option<String> {
        self.0.as_ref()?.changed().map(str::to_owned)
    }
}

impl fmt::Debug for StatusFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatusFilter").field(&self.0.as_ref().map(|maps| maps.title().to_owned())).finish()
    }
}
