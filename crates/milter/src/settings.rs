//! What main.cf says about filters: which there are, and how each is dealt with.

use std::time::Duration;

use config::{param, parse_duration};
use net::HostPort;

use crate::action::Action;

/// One filter of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The endpoint as it is configured: what log lines call the filter.
    pub service: String,
    /// The same as it is understood, or the warning that says why it is not.
    pub endpoint: Result<Endpoint, String>,
    /// milter_connect_timeout
    pub connect_timeout: Duration,
    /// milter_command_timeout
    pub command_timeout: Duration,
    /// milter_content_timeout
    pub content_timeout: Duration,
    /// milter_protocol
    pub protocol: String,
    /// milter_default_action
    pub default_action: Action,
}

config::settings! {
    /// What holds for filters that say nothing else.
    pub struct Defaults {
        connect_timeout: Duration = param::MILTER_CONNECT_TIMEOUT,
        command_timeout: Duration = param::MILTER_COMMAND_TIMEOUT,
        content_timeout: Duration = param::MILTER_CONTENT_TIMEOUT,
        protocol: String = param::MILTER_PROTOCOL,
        default_action: String = param::MILTER_DEFAULT_ACTION,
    }
}

impl Defaults {
    /// The filters of a list.
    ///
    /// # Errors
    /// The sentence that a program ends with.
    pub fn list(&self, list: &str) -> Result<Vec<Settings>, String> {
        text::words(list).map(|word| self.filter(word.text)).collect()
    }

    fn filter(&self, item: &str) -> Result<Settings, String> {
        let mut settings = Settings {
            service: item.to_owned(),
            endpoint: Endpoint::parse(item),
            connect_timeout: self.connect_timeout,
            command_timeout: self.command_timeout,
            content_timeout: self.content_timeout,
            protocol: self.protocol.clone(),
            default_action: Action::parse(&self.default_action),
        };
        if !item.starts_with('{') {
            return Ok(settings);
        }
        let inside = text::braced(item).map_err(|error| format!("milter service syntax error: {error}"))?;
        let mut words = text::words(inside);
        let service = words.next().ok_or_else(|| format!("empty milter definition: \"{item}\""))?;
        service.text.clone_into(&mut settings.service);
        settings.endpoint = Endpoint::parse(service.text);
        words.try_for_each(|word| settings.option(word.text))?;
        Ok(settings)
    }
}

impl Settings {
    fn option(&mut self, word: &str) -> Result<(), String> {
        let text = text::group(word).unwrap_or(word);
        let (name, value) = text.split_once('=').map_or((text, ""), |(name, value)| (name.trim(), value.trim()));
        let time = || {
            let time = parse_duration(value, 1).filter(|time| !time.is_zero());
            time.ok_or_else(|| format!("bad {name} value: \"{}\"", text::printable(value.as_bytes())))
        };
        match name {
            "connect_timeout" => self.connect_timeout = time()?,
            "command_timeout" => self.command_timeout = time()?,
            "content_timeout" => self.content_timeout = time()?,
            "protocol" => value.clone_into(&mut self.protocol),
            "default_action" => self.default_action = Action::parse(value),
            _ => return Err(format!("unknown option: \"{}\"", text::printable(text.trim().as_bytes()))),
        }
        Ok(())
    }
}

/// Where a filter listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A host and a port.
    Internet(String, u16),
    /// A socket of this machine; a relative name is below the queue directory.
    Unix(String),
}

impl Endpoint {
    /// `inet:host:port`, `unix:path`, `local:path`.
    ///
    /// # Errors
    /// The warning that says why it is none.
    pub fn parse(service: &str) -> Result<Endpoint, String> {
        let shown = || text::printable(service.as_bytes());
        let Some((transport, endpoint)) = service.split_once(':').filter(|(_, endpoint)| !endpoint.is_empty()) else {
            return Err(format!("Milter service needs transport:endpoint instead of \"{}\"", shown()));
        };
        match transport {
            "unix" | "local" => Ok(Endpoint::Unix(endpoint.to_owned())),
            "inet" => {
                let found = HostPort::parse_server(endpoint).and_then(|host| Ok((net::ports::of(&host)?, host.host)));
                match found {
                    Ok((port, host)) => Ok(Endpoint::Internet(host.unwrap_or_default(), port)),
                    Err(error) => Err(format!("{error} in Milter service: {}", shown())),
                }
            }
            other => {
                let other = text::printable(other.as_bytes());
                Err(format!("invalid transport name: {other} in Milter service: {}", shown()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        let second = Duration::from_secs(1);
        Defaults {
            connect_timeout: second,
            command_timeout: second * 2,
            content_timeout: second * 3,
            protocol: "6".to_owned(),
            default_action: "shutdown".to_owned(),
        }
    }

    #[test]
    fn a_filter_in_braces_has_settings_of_its_own() {
        let list = "inet:a:1, { unix:b, {default_action = accept} connect_timeout=10s,command_timeout=1m,\
                    content_timeout=1h, { protocol = 4 no_header_reply } } local:e";
        let found = defaults().list(list).unwrap();
        assert_eq!((found[0].service.as_str(), found[0].command_timeout), ("inet:a:1", Duration::from_secs(2)));
        assert_eq!(found[2].default_action, Action::Shutdown);
        let seconds = |n| Duration::from_secs(n);
        assert_eq!(
            found[1],
            Settings {
                service: "unix:b".to_owned(),
                endpoint: Ok(Endpoint::Unix("b".to_owned())),
                connect_timeout: seconds(10),
                command_timeout: seconds(60),
                content_timeout: seconds(3600),
                protocol: "4 no_header_reply".to_owned(),
                default_action: Action::Accept,
            }
        );
    }

    #[test]
    fn a_list_that_makes_no_sense_is_told() {
        for (list, expected) in [
            ("{ inet:a:1, {foo = bar} }", "unknown option: \"foo = bar\""),
            ("{ inet:a:1, foo=bar }", "unknown option: \"foo=bar\""),
            ("{inet:127.0.0.1:10061", "milter service syntax error: missing '}' in \"{inet:127.0.0.1:10061\""),
            ("{ }", "empty milter definition: \"{ }\""),
            ("{inet:a:1, command_timeout=x}", "bad command_timeout value: \"x\""),
            ("{inet:a:1, command_timeout=0}", "bad command_timeout value: \"0\""),
        ] {
            assert_eq!(defaults().list(list).unwrap_err(), expected);
        }
    }

    #[test]
    fn an_endpoint_is_a_host_with_a_port_or_a_path() {
        let internet = |host: &str, port| Ok(Endpoint::Internet(host.to_owned(), port));
        assert_eq!(Endpoint::parse("inet:localhost:8891"), internet("localhost", 8891));
        assert_eq!(Endpoint::parse("inet:[::1]:1"), internet("::1", 1));
        assert_eq!(Endpoint::parse("local:/run/x"), Ok(Endpoint::Unix("/run/x".to_owned())));
        for (service, expected) in [
            ("foo:bar", "invalid transport name: foo in Milter service: foo:bar"),
            ("X", "Milter service needs transport:endpoint instead of \"X\""),
            ("inet:127.0.0.1", "missing service information in Milter service: inet:127.0.0.1"),
            (
                "inet:nosuchhost.:99",
                "valid hostname or network address required in Milter service: inet:nosuchhost.:99",
            ),
        ] {
            assert_eq!(Endpoint::parse(service).unwrap_err(), expected);
        }
    }
}
