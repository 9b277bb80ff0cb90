//! What would end a program that starts with this configuration: the test that a reload must pass as a whole.
//!
//! It is stricter than any single program, which complains only of what it asks for. It changes nothing and logs
//! nothing; a lookup table that cannot be opened is not its business, for no program ends of one.

use std::path::{Path, PathBuf};

use crate::entry::Kind;
use crate::error::ConfigError;
use crate::master_cf::MasterCf;
use crate::settings::{Config, Origin};
use crate::{param, transport};

impl Config {
    /// What can be read of a main.cf that perhaps cannot be used: for who must find a running system by it.
    pub fn load_readable(directory: &Path) -> Result<Config, ConfigError> {
        let file = directory.join("main.cf");
        let text = std::fs::read(&file).map_err(|source| ConfigError::Open { file, source })?;
        let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        loop {
            match Config::parse(&lines.join(&b'\n'), directory, &[]) {
                // Each turn takes a setting away, with the lines that continue it.
                Err(ConfigError::Syntax { line, .. })
                    if line > 0 && lines.get(line - 1).is_some_and(|it| *it != b"#") =>
                {
                    lines[line - 1] = b"#";
                    let continues =
                        |it: &&mut &[u8]| it.first().is_none_or(|byte| byte.is_ascii_whitespace() || *byte == b'#');
                    lines[line..].iter_mut().take_while(continues).for_each(|it| *it = b"#");
                }
                result => return result,
            }
        }
    }

    /// The sentence about a log file without the service that writes it, if that is so.
    pub fn missing_log_service(&self, master_cf: &MasterCf) -> Option<String> {
        // maillog_file, postlog_service_name
        let writes_file = self.lookup("maillog_file").ok().flatten().is_some_and(|file| !file.is_empty());
        let name = self.lookup("postlog_service_name").ok().flatten().unwrap_or_default();
        (writes_file && !master_cf.services.iter().any(|service| service.name == name)).then(|| {
            format!(
                "missing '{name}' service in master.cf - run 'postfix upgrade-configuration', or add: \
                 {name} unix-dgram n - n - 1 postlogd"
            )
        })
    }

    /// The first reason why a program that runs with this main.cf and the -o options of this master.cf would end at
    /// once, with its place; None when there is none.
    pub fn fatal_problem(&self, file: &Path, master_cf: &MasterCf) -> Option<String> {
        if let Some(why) = self.wrong_setting() {
            return Some(why);
        }
        for service in &master_cf.services {
            let place = |why: String| format!("{}: line {}: {why}", file.display(), service.line);
            let overrides = match service.arguments() {
                Ok(arguments) => arguments.overrides,
                Err(error) => return Some(place(format!("service {}: {error}", service.name))),
            };
            let changed = overrides.iter().fold(self.clone(), |config, (name, value)| config.with(name, value));
            if let Some(why) = overrides.iter().find_map(|(name, _)| changed.wrong_value(name)) {
                return Some(place(why));
            }
            if let Some(why) = changed.wrong_reference(&service.command) {
                return Some(place(format!("service {}: {why}", service.name)));
            }
        }
        self.wrong_addresses()
            .or_else(|| self.absent_addresses(file, master_cf).err())
            .or_else(|| self.missing_log_service(master_cf))
    }

    /// Why a mail system cannot serve from where this main.cf says that its parts are, if that is so: a directory of
    /// programs or the queue is not there (a typing error, or a file system that is not mounted), or there is no log.
    pub fn unusable_place(&self) -> Option<String> {
        let directory = |directory: PathBuf| match std::fs::metadata(&directory) {
            Ok(found) if found.is_dir() => None,
            Ok(_) => Some(format!("chdir({}): Not a directory", directory.display())),
            Err(error) => Some(format!("chdir({}): {}", directory.display(), net::reason(&error))),
        };
        let places = [param::COMMAND_DIRECTORY, param::DAEMON_DIRECTORY, param::QUEUE_DIRECTORY];
        let missing = places.into_iter().find_map(|place| match self.get(place) {
            Ok(path) => directory(path),
            Err(error) => Some(error.to_string()),
        });
        missing.or_else(|| self.unusable_log_file())
    }

    /// Whether main.cf has a value that can be seen to end a program, without a look at this machine's addresses.
    pub fn has_fatal_value(&self) -> bool {
        self.wrong_setting().is_some() || self.protocols().is_err()
    }

    fn wrong_setting(&self) -> Option<String> {
        let settings = self.settings().filter_map(|(name, setting)| match &setting.origin {
            Origin::File { file, line } => Some((*line, file, name)),
            Origin::Override => None,
        });
        let mut settings: Vec<_> = settings.collect();
        settings.sort_unstable();
        settings.into_iter().find_map(|(line, file, name)| {
            let why = self.wrong_value(name)?;
            Some(format!("{}, line {line}: {why}", file.display()))
        })
    }

    fn wrong_value(&self, name: &str) -> Option<String> {
        let entry = transport::entry_of(name)?;
        // What no program reads ends none.
        let is_read = entry.implemented || entry.refused;
        if !is_read || entry.kind == Kind::Raw {
            return None;
        }
        self.value_error(name, entry).map(|error| error.to_string())
    }

    /// What a program is to find by its name and would not: it ends of that as of a wrong value.
    fn wrong_reference(&self, program: &str) -> Option<String> {
        let port = match program {
            "smtpd" => {
                let classes = self.get(param::SMTPD_RESTRICTION_CLASSES).unwrap_or_default();
                let undefined = classes.into_iter().find(|class| matches!(self.lookup(class), Ok(None)));
                return undefined.map(|class| format!("restriction class `{class}' needs a definition"));
            }
            "smtp" => self.get(param::SMTP_TCP_PORT),
            "lmtp" => self.get(param::LMTP_TCP_PORT),
            _ => return None,
        };
        let port = port.ok()?;
        let services = match self.ports() {
            Ok(services) => services,
            Err(why) => return Some(why),
        };
        let is_known = port.parse::<u16>().is_ok_and(|number| number > 0) || services.port(&port).is_some();
        (!is_known).then(|| format!("unknown service: {port}/tcp"))
    }

    /// What every daemon asks for, and what some ask for later.
    fn wrong_addresses(&self) -> Option<String> {
        let text = |error: &dyn std::fmt::Display| Some(error.to_string());
        if let Err(error) = self.check_names() {
            return text(&error);
        }
        let protocols = self.protocols().map(drop).err();
        let own = || self.interfaces().map(drop).err();
        let proxies = || self.proxies().map(drop).err();
        let networks = || self.get(param::MYNETWORKS).map(drop).err();
        if let Some(error) = protocols.or_else(own).or_else(proxies) {
            return text(&error);
        }
        networks().and_then(|error| text(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(main_cf: &str, master_cf: &str) -> Option<String> {
        let config = Config::parse(main_cf.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
        let file = Path::new("/etc/postfix/master.cf");
        let master_cf = MasterCf::parse(master_cf.as_bytes(), file, &config).unwrap();
        config.fatal_problem(file, &master_cf)
    }

    #[test]
    fn a_sound_configuration_has_no_problem() {
        let master_cf = "smtp inet n - n - - smtpd\n  -o smtpd_timeout=10s\n";
        assert_eq!(problem("inet_interfaces = loopback-only\nfoo = bar\n", master_cf), None);
    }

    #[test]
    fn the_first_wrong_value_is_named_with_its_place() {
        let main = |text: &str| problem(text, "").unwrap();
        assert_eq!(
            main("# x\nsmtpd_timeout = later\n"),
            "/etc/postfix/main.cf, line 2: parameter smtpd_timeout: bad time value or unit: later"
        );
        assert_eq!(main("inet_protocols = bogus\n"), "unknown inet_protocols value \"bogus\" in \"bogus\"");
        assert_eq!(
            main("smtp_address_preference = ipv5\n"),
            "/etc/postfix/main.cf, line 1: bad smtp_address_preference value: ipv5"
        );
        assert!(main("smtp_tls_security_level = high\n").ends_with("Invalid TLS level \"high\""));
        assert!(main("relay_destination_concurrency_limit = many\n").contains("line 1: bad numerical configuration"));
        assert!(main("mynetworks_style = wide\n").contains("unknown mynetworks mask style"));
        assert!(main("proxy_interfaces = 1.2.3.4.5\n").contains("proxy_interfaces"));
    }

    #[test]
    fn a_name_that_stands_for_nothing_is_the_problem_of_the_service_that_looks_for_it() {
        let smtpd = "smtp inet n - n - - smtpd\n";
        let undefined = "/etc/postfix/master.cf: line 1: service smtp: restriction class `strict' needs a definition";
        assert_eq!(problem("smtpd_restriction_classes = strict\n", smtpd).unwrap(), undefined);
        assert_eq!(problem("smtpd_restriction_classes = strict\nstrict = permit\n", smtpd), None);
        let defined = format!("{smtpd}  -o strict=reject\n");
        assert_eq!(problem("smtpd_restriction_classes = strict\n", &defined), None);
        assert_eq!(problem("smtpd_restriction_classes = strict\n", "smtp unix - - n - - smtp\n"), None);
        let port = problem("smtp_tcp_port = nosuch\n", "relay unix - - n - - smtp\n").unwrap();
        assert!(port.ends_with("service relay: unknown service: nosuch/tcp"), "{port}");
        for port in ["2525", "submission"] {
            assert_eq!(problem(&format!("smtp_tcp_port = {port}\n"), "smtp unix - - n - - smtp\n"), None, "{port}");
        }
    }

    #[test]
    fn what_can_be_read_of_a_broken_file_is_there() {
        let folder = std::env::temp_dir().join(format!("config-readable-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("main.cf"), "mail_owner = me\nfoo\n  bar\n= 1\nmyhostname = x.test").unwrap();
        assert!(Config::load(&folder, &[]).is_err());
        let config = Config::load_readable(&folder).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        assert_eq!(config.raw("mail_owner"), Some("me"));
        assert_eq!(config.raw("myhostname"), Some("x.test"));
    }

    #[test]
    fn an_option_of_master_cf_is_looked_at_too() {
        assert_eq!(
            problem("", "smtp inet n - n - - smtpd\n  -o smtpd_helo_required=maybe\n").unwrap(),
            "/etc/postfix/master.cf: line 1: bad boolean configuration: smtpd_helo_required = maybe"
        );
        assert!(problem("", "smtp inet n - n - - smtpd -o smtpd_timeout\n").unwrap().contains("line 1"));
    }
}
