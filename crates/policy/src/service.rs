//! What main.cf says of one policy service: where it is, and how patiently it is asked.

use std::time::Duration;

use config::{Value, param};
use net::Server;

config::settings! {
    /// How a service is asked: the smtpd_policy_service_* parameters, unless it has options of its own.
    #[derive(Clone, Debug)]
    pub struct Options {
        default_action: String = param::SMTPD_POLICY_SERVICE_DEFAULT_ACTION,
        max_idle: Duration = param::SMTPD_POLICY_SERVICE_MAX_IDLE,
        max_ttl: Duration = param::SMTPD_POLICY_SERVICE_MAX_TTL,
        policy_context: String = param::SMTPD_POLICY_SERVICE_POLICY_CONTEXT,
        request_limit: u32 = param::SMTPD_POLICY_SERVICE_REQUEST_LIMIT,
        retry_delay: Duration = param::SMTPD_POLICY_SERVICE_RETRY_DELAY,
        timeout: Duration = param::SMTPD_POLICY_SERVICE_TIMEOUT,
        try_limit: u32 = param::SMTPD_POLICY_SERVICE_TRY_LIMIT,
    }
}

/// One policy service.
#[derive(Clone, Debug)]
pub struct Service {
    /// As main.cf has it, for the log.
    pub name: String,
    /// Where it is.
    pub server: Server,
    /// Where it is, for the log: without the kind of socket.
    pub place: String,
    /// Its options, or what holds without.
    pub options: Options,
}

impl Service {
    /// `inet:host:port`, `unix:path`, or one of these with options behind it: `inet:host:port, timeout=10s`.
    ///
    /// # Errors
    /// The sentence with which a server ends.
    pub fn parse(spec: &str, defaults: &Options) -> Result<Service, String> {
        let mut words = text::split_list(spec).into_iter();
        let Some(service) = words.next() else { return Err(format!("empty policy service: \"{{ {spec} }}\"")) };
        let Some((kind, place)) = service.split_once(':') else {
            return Err(format!("need service transport:endpoint instead of \"{service}\""));
        };
        if !matches!(kind, "inet" | "unix") {
            return Err(format!("invalid transport name: {kind} in service: {service}"));
        }
        let mut options = defaults.clone();
        for word in words {
            options.set(word)?;
        }
        Ok(Service {
            name: if service == spec { spec.to_owned() } else { format!("{{ {spec} }}") },
            server: Server::parse(service)?,
            place: place.to_owned(),
            options,
        })
    }
}

impl Options {
    /// One option.
    fn set(&mut self, word: &str) -> Result<(), String> {
        let Some((name, value)) = word.split_once('=') else {
            return Err(format!("malformed option: missing '=' after attribute name: \"...{word}...\""));
        };
        let (name, value) = (name.trim(), value.trim());
        match name {
            "default_action" => value.clone_into(&mut self.default_action),
            "policy_context" => value.clone_into(&mut self.policy_context),
            "max_idle" => self.max_idle = read(name, value)?,
            "max_ttl" => self.max_ttl = read(name, value)?,
            "retry_delay" => self.retry_delay = read(name, value)?,
            "timeout" => self.timeout = read(name, value)?,
            "request_limit" => self.request_limit = number(name, value)?,
            "try_limit" => self.try_limit = number(name, value)?,
            _ => return Err(format!("unknown option: \"{name} = {value}\"")),
        }
        Ok(())
    }
}

fn number(name: &str, value: &str) -> Result<u32, String> {
    let number: i64 = read(name, value)?;
    u32::try_from(number).map_err(|_| format!("bad numerical configuration: {name} = {value}"))
}

/// A value within the bounds of the parameter that the option stands for.
fn read<T: Value>(name: &str, value: &str) -> Result<T, String> {
    let parameter = format!("smtpd_policy_service_{name}");
    let entry = config::find(&parameter).ok_or_else(|| format!("unknown option: \"{name} = {value}\""))?;
    T::from_text(value, name, entry).map_err(|error| {
        let sentence = error.to_string();
        sentence.strip_prefix("parameter ").map_or(sentence.clone(), str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(spec: &str) -> Result<Service, String> {
        let config = config::Config::parse(b"", std::path::Path::new("/c"), &[]).unwrap();
        Service::parse(spec, &Options::read(&config).unwrap())
    }

    #[test]
    fn a_service_is_a_server_with_options() {
        let plain = parse("inet:127.0.0.1:10023").unwrap();
        assert_eq!((plain.name.as_str(), plain.place.as_str()), ("inet:127.0.0.1:10023", "127.0.0.1:10023"));
        assert_eq!(plain.server, Server::Internet("127.0.0.1".to_owned(), 10023));
        assert_eq!(plain.options.try_limit, 2);
        let full = parse("unix:private/policy, timeout=10s, { default_action = 451 4.3.9 gone }, try_limit=1").unwrap();
        assert_eq!(full.server, Server::Unix("private/policy".into()));
        assert_eq!(full.options.timeout, Duration::from_secs(10));
        assert_eq!(full.options.default_action, "451 4.3.9 gone");
        assert!(full.name.starts_with("{ unix:"));
    }

    #[test]
    fn what_makes_no_sense_has_its_sentence() {
        let wrong = |spec| parse(spec).map(|_| ()).unwrap_err();
        assert_eq!(wrong("foo"), "need service transport:endpoint instead of \"foo\"");
        assert_eq!(wrong("foo:bar"), "invalid transport name: foo in service: foo:bar");
        assert_eq!(wrong("inet:a:1, bogus=1"), "unknown option: \"bogus = 1\"");
        assert_eq!(wrong("inet:a:1, timeout=x"), "timeout: bad time value or unit: x");
        assert_eq!(wrong("inet:a:1, try_limit=0"), "invalid try_limit parameter value 0 < 1");
        let stray = "malformed option: missing '=' after attribute name: \"...gone...\"";
        assert_eq!(wrong("inet:a:1, default_action=REJECT gone"), stray);
        assert_eq!(wrong(""), "empty policy service: \"{  }\"");
    }
}
