//! Who logs in where (smtp_sasl_auth_enable): passwords by sender, host and nexthop, and what a mechanism has to be.

use std::rc::Rc;
use std::time::Duration;

use address::Delimiters;
use config::accounts::Accounts;
use config::param::{self, twin};
use config::report::CLIENT_TYPE;
use config::{Parameter, Reader};
use daemon::StartError;
use lookup::search::address_keys;
use lookup::{DomainList, Maps, ParentStyle, TableError};
use queue::{QueueId, SendOptions};
use sasl::client::{Credentials, Demands, Mechanism, Secret, UnknownDemand};
use smtp_client::{Protocol, Server};
use sys::identity::is_root;

use crate::configure::{list, maps};
use crate::refusals::Refusals;

/// What main.cf says about logging in to servers.
pub struct Sasl {
    /// smtp_sasl_password_maps.
    passwords: Maps,
    /// smtp_sasl_password_result_delimiter.
    delimiter: u8,
    /// smtp_sender_dependent_authentication: where an address extension begins.
    by_sender: Option<Delimiters>,
    /// smtp_sasl_mechanism_filter.
    filter: DomainList,
    /// smtp_sasl_security_options, smtp_sasl_tls_security_options, smtp_sasl_tls_verified_security_options.
    demands: [Demands; 3],
    /// smtp_sasl_auth_soft_bounce.
    pub soft_bounce: bool,
    /// send_cyrus_sasl_authzid.
    pub as_itself: bool,
    /// smtp_send_dummy_mail_auth.
    pub says_nobody: bool,
    /// smtp_sasl_auth_cache_name, smtp_sasl_auth_cache_time.
    pub refusals: Option<Refusals>,
}

/// What a session is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    /// The envelope sender.
    pub sender: &'a [u8],
    /// The nexthop as written.
    pub nexthop: &'a str,
    /// The message.
    pub queue_id: &'a QueueId,
    /// What it asks of the way.
    pub options: SendOptions,
    /// How old it is, in seconds.
    pub age: f64,
}

/// Whose session one is: mail that needs another login, or none, must not go over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// The server takes no login, so that nobody's is used.
    #[default]
    Nobody,
    /// Who has the credentials with this digest there, or has none. A session has no use for the password any more.
    Login(Option<[u8; 32]>),
}

impl Owner {
    /// Who has these credentials.
    pub fn of(login: Option<&Credentials>) -> Self {
        Self::Login(login.map(|login| login.digest("")))
    }
}

/// What protects a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protected {
    /// TLS.
    pub tls: bool,
    /// The certificate is that of the server that was to be talked to.
    pub verified: bool,
}

/// A table could not be asked; logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

impl From<TableError> for Unknown {
    fn from(_: TableError) -> Self {
        Self
    }
}

impl Sasl {
    /// Reads everything; `None` when nobody logs in.
    ///
    /// # Errors
    /// A value that makes no sense.
    pub fn read(from: &Reader<'_>) -> Result<Option<Rc<Self>>, StartError> {
        let delimiter = from.get(twin::SASL_PASSWORD_RESULT_DELIMITER)?.bytes().next().unwrap_or(b':');
        let kept = from.get(twin::SASL_AUTH_CACHE_TIME)?;
        if !from.get(twin::SASL_AUTH_ENABLE)? {
            return Ok(None);
        }
        // The mechanisms are our own, under the name that configurations have.
        let kind = from.get(twin::SASL_TYPE)?;
        if kind != CLIENT_TYPE {
            logging::warning!("unsupported SASL client implementation: {kind}");
            return Err(StartError::new("SASL library initialization"));
        }
        let passwords = maps(from, twin::SASL_PASSWORD_MAPS)?;
        if passwords.is_empty() {
            let name = from.name(&twin::SASL_PASSWORD_MAPS);
            let text = format!("specify a password table via the `{name}' configuration parameter");
            return Err(StartError::new(text));
        }
        let (title, listed) = list(from, twin::SASL_MECHANISM_FILTER)?;
        let by_sender = from.get(twin::SENDER_DEPENDENT_AUTHENTICATION)?;
        Ok(Some(Rc::new(Self {
            passwords,
            delimiter,
            by_sender: by_sender.then(|| from.config.delimiters()).transpose()?,
            filter: DomainList::open(from.config, &title, &listed, ParentStyle::Never)?,
            demands: [
                demands(from, twin::SASL_SECURITY_OPTIONS)?,
                demands(from, twin::SASL_TLS_SECURITY_OPTIONS)?,
                demands(from, twin::SASL_TLS_VERIFIED_SECURITY_OPTIONS)?,
            ],
            soft_bounce: from.get(twin::SASL_AUTH_SOFT_BOUNCE)?,
            as_itself: from.get(param::SEND_CYRUS_SASL_AUTHZID)?,
            says_nobody: from.get(twin::SEND_DUMMY_MAIL_AUTH)?,
            refusals: refusals(from, kept)?,
        })))
    }

    /// The name of a table that is no longer what was opened.
    pub fn changed(&self) -> Option<String> {
        self.passwords.changed().map(str::to_owned).or_else(|| self.filter.changed())
    }

    /// The login at a server: the first hit of the sender, the host and the nexthop.
    ///
    /// # Errors
    /// A table before the hit fails; the log hears it.
    pub fn login(&self, purpose: &Purpose<'_>, server: &Server) -> Result<Option<Credentials>, Unknown> {
        let found = self.secret(purpose, server);
        let found = found.inspect_err(|_| {
            logging::warning!(id: purpose.queue_id, "{} lookup error", self.passwords.title());
        })?;
        Ok(found.map(|secret| Credentials::split(&secret, self.delimiter)))
    }

    /// Whether a session is right for this mail.
    pub fn owns(&self, owner: &Owner, purpose: &Purpose<'_>, server: &Server) -> bool {
        match owner {
            Owner::Nobody => true,
            Owner::Login(_) => self.login(purpose, server).is_ok_and(|wanted| Owner::of(wanted.as_ref()) == *owner),
        }
    }

    /// Those of the mechanisms that smtp_sasl_mechanism_filter lets through.
    ///
    /// # Errors
    /// A table fails; logged.
    pub fn filtered<'a>(&self, offered: &'a [String]) -> Result<Vec<&'a str>, Unknown> {
        let mut left = Vec::new();
        for name in offered {
            if self.filter.is_empty() || self.filter.matches(name.as_bytes())? {
                left.push(name.as_str());
            }
        }
        Ok(left)
    }

    /// The mechanism for a session, of those that are left.
    pub fn choose(&self, left: &[&str], protected: Protected, binds: bool) -> Option<Mechanism> {
        let [plain, tls, verified] = self.demands;
        let demands = match protected {
            Protected { tls: false, .. } => plain,
            Protected { verified: false, .. } => tls,
            Protected { .. } => verified,
        };
        Mechanism::choose(left, demands, binds)
    }

    fn secret(&self, purpose: &Purpose<'_>, server: &Server) -> Result<Option<Secret>, TableError> {
        let sender = self.by_sender.as_ref().filter(|_| !purpose.sender.is_empty());
        if let Some(delimiters) = sender
            && let Some(found) = self.passwords.search(&address_keys(purpose.sender, delimiters, |_| false))?
        {
            return Ok(Some(Secret::new(found.value)));
        }
        for key in [server.name.as_str(), purpose.nexthop] {
            if let Some(found) = self.passwords.lookup(key.as_bytes())? {
                return Ok(Some(Secret::new(found)));
            }
        }
        Ok(None)
    }
}

fn demands(from: &Reader<'_>, param: impl Parameter) -> Result<Demands, StartError> {
    let (_, listed) = list(from, param)?;
    Demands::of_words(text::split_list(&listed)).map_err(|UnknownDemand(word)| {
        logging::warning!("unknown SASL security options value \"{word}\" in \"{listed}\"");
        logging::warning!("bad per-session SASL security properties");
        StartError::new("SASL per-connection initialization failed")
    })
}

/// The table that is named is not opened: refusals have a file of their own.
fn refusals(from: &Reader<'_>, kept: Duration) -> Result<Option<Refusals>, StartError> {
    let name = from.get(twin::SASL_AUTH_CACHE_NAME)?;
    if name.is_empty() {
        return Ok(None);
    }
    if !name.starts_with("proxy:") {
        let text = format!("SASL authentication cache name \"{name}\" must start with \"proxy:");
        return Err(StartError::new(text));
    }
    let owner = is_root().then(|| Accounts::read(from.config)).transpose()?.map(|accounts| accounts.mail_owner.uid);
    let path = from.get(param::DATA_DIRECTORY)?.join(format!("{}_sasl_refused", Protocol::from(from.agent()).name()));
    let opened = Refusals::open(&path, owner, kept);
    opened
        .map(Some)
        .map_err(|error| StartError::new(format!("open {}: {}", path.display(), text::system_error(&error))))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use smtp_client::Endpoint;

    /// Passwords of this list, by sender too, with the demand noanonymous alone.
    pub fn sasl(passwords: &str) -> Sasl {
        let demands = Demands::of_words(["noanonymous"]).unwrap();
        let filter = DomainList::open(lookup::Settings::default(), "filter", "", ParentStyle::Never).unwrap();
        Sasl {
            passwords: Maps::open(
                lookup::Settings::default(),
                "smtp_sasl_password_maps",
                passwords,
                Default::default(),
            )
            .unwrap(),
            delimiter: b':',
            by_sender: Some(Delimiters::new("+", true)),
            filter,
            demands: [demands; 3],
            soft_bounce: true,
            as_itself: false,
            says_nobody: false,
            refusals: None,
        }
    }

    fn user(passwords: &str, sender: &str, nexthop: &str) -> Result<Option<String>, Unknown> {
        let endpoint = Endpoint::Internet("192.0.2.1:587".parse().unwrap());
        let server = Server::new("mx1.dest.test", endpoint, 0);
        let queue_id = QueueId::parse(b"4CCEE552165").unwrap();
        let purpose = Purpose {
            sender: sender.as_bytes(),
            nexthop,
            queue_id: &queue_id,
            options: SendOptions::default(),
            age: 0.0,
        };
        let login = sasl(passwords).login(&purpose, &server)?;
        Ok(login.map(|login| String::from_utf8(login.user.to_vec()).unwrap()))
    }

    #[test]
    fn the_sender_comes_before_the_host_and_the_host_before_the_nexthop() {
        let nexthop = "[mx1.dest.test]:587";
        let found = |passwords: &str, sender: &str| user(passwords, sender, nexthop).unwrap();
        let all = "inline:{ a@lab.test=sender:x, @lab.test=dom:x, mx1.dest.test=host:x, [mx1.dest.test]:587=hop:x }";
        for (sender, expected) in [
            ("a@lab.test", "sender"),
            ("A+x@lab.test", "sender"),
            ("b@lab.test", "dom"),
            ("z@q.test", "host"),
            ("", "host"),
        ] {
            assert_eq!(found(all, sender).as_deref(), Some(expected), "{sender}");
        }
        assert_eq!(found("inline:{ [MX1.dest.test]:587=hop:x }", "").as_deref(), Some("hop"));
        for other in ["mx1.dest.test:587", "[mx1.dest.test]", ".dest.test", "dest.test"] {
            assert_eq!(found(&format!("inline:{{ {other}=x:x }}"), ""), None, "{other}");
        }
        assert_eq!(user("fail:x", "", nexthop), Err(Unknown));
    }

    #[test]
    fn the_filter_decides_by_names_in_any_case_and_an_empty_one_lets_all_through() {
        let offered = ["PLAIN".to_owned(), "LOGIN".to_owned(), "CRAM-MD5".to_owned()];
        let left = |filter: &str| {
            let filter = DomainList::open(lookup::Settings::default(), "filter", filter, ParentStyle::Never).unwrap();
            Sasl { filter, ..sasl("inline:{a=b}") }.filtered(&offered).map(|left| left.join(" "))
        };
        assert_eq!(left("").unwrap(), "PLAIN LOGIN CRAM-MD5");
        assert_eq!(left("Plain, login").unwrap(), "PLAIN LOGIN");
        assert_eq!(left("!cram-md5, static:all").unwrap(), "PLAIN LOGIN");
        assert_eq!(left("!plain").unwrap(), "");
        assert_eq!(left("fail:x"), Err(Unknown));
    }

    #[test]
    fn what_protects_a_session_decides_over_the_demands() {
        let words = |text: &str| Demands::of_words(text.split(' ')).unwrap();
        let demands = [words("noplaintext noactive"), words("noplaintext"), words("noanonymous")];
        let sasl = Sasl { demands, ..sasl("inline:{a=b}") };
        let chosen = |tls, verified| {
            let left = ["PLAIN", "CRAM-MD5"];
            sasl.choose(&left[..if verified { 1 } else { 2 }], Protected { tls, verified }, false).map(Mechanism::name)
        };
        assert_eq!(chosen(false, false), None);
        assert_eq!(chosen(true, false), Some("CRAM-MD5"));
        assert_eq!(chosen(true, true), Some("PLAIN"));
        // What was not protected cannot have been verified.
        assert_eq!(chosen(false, true), None);
    }
}
