//! The other services of this mail system that a daemon talks to: the only way to their sockets.
//!
//! Paths are relative to the queue directory, which is the working directory of a daemon.

use std::io;
use std::path::PathBuf;

use config::{Config, param};

use crate::service::Service;
use crate::start::StartError;

/// A service, by what it is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sibling {
    /// Takes messages.
    Cleanup,
    /// Rewrites and resolves addresses.
    Rewrite,
    /// Is told of new mail.
    Qmgr,
    /// Logs of recipients that failed, and notifications.
    Bounce,
    /// Logs of recipients that wait.
    Defer,
    /// Logs of what the sender wants to know beside that.
    Trace,
    /// Lists of messages by destination.
    Flush,
    /// Counts clients.
    Anvil,
    /// Knows which addresses mail can be delivered to.
    Verify,
    /// Holds private keys.
    Tlsmgr,
    /// Delivery agents, by the name of their transport.
    Transports,
}

impl Sibling {
    fn socket(self, config: &Config) -> Result<PathBuf, StartError> {
        let (folder, name) = match self {
            Sibling::Cleanup => ("public", config.get(param::CLEANUP_SERVICE_NAME)?),
            Sibling::Rewrite => ("private", config.get(param::REWRITE_SERVICE_NAME)?),
            Sibling::Qmgr => ("public", config.get(param::QUEUE_SERVICE_NAME)?),
            Sibling::Bounce => ("private", config.get(param::BOUNCE_SERVICE_NAME)?),
            Sibling::Defer => ("private", config.get(param::DEFER_SERVICE_NAME)?),
            Sibling::Trace => ("private", config.get(param::TRACE_SERVICE_NAME)?),
            Sibling::Flush => ("public", config.get(param::FLUSH_SERVICE_NAME)?),
            Sibling::Anvil => ("private", "anvil".to_owned()),
            Sibling::Verify => ("private", config.get(param::ADDRESS_VERIFY_SERVICE_NAME)?),
            Sibling::Tlsmgr => ("private", config.get(param::TLSMGR_SERVICE_NAME)?),
            Sibling::Transports => return Err(StartError::new("a transport is found by its name")),
        };
        Ok([folder, &name].iter().collect())
    }
}

impl Service {
    /// The socket of a sibling.
    ///
    /// # Errors
    /// The daemon's constant does not list it, the parameter with its name has no value, or it is found by
    /// [`transport`](Self::transport).
    pub fn socket(&self, sibling: Sibling, config: &Config) -> Result<PathBuf, StartError> {
        if !self.siblings.contains(&sibling) {
            return Err(StartError::new(format!("{} has no business with {sibling:?}", self.name)));
        }
        sibling.socket(config)
    }

    /// The socket of a transport's delivery agents.
    ///
    /// # Errors
    /// ENOENT: a name that no service can have, for it would name a file elsewhere. EPERM: the daemon's constant lists
    /// no transports.
    pub fn transport(&self, name: &str) -> io::Result<PathBuf> {
        if !self.siblings.contains(&Sibling::Transports) {
            return Err(nix::errno::Errno::EPERM.into());
        }
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(nix::errno::Errno::ENOENT.into());
        }
        Ok(["private", name].iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Lifetime, Network, Privilege, Skeleton};
    use std::path::Path;

    const TALKATIVE: Service = Service {
        name: "talkative",
        skeleton: Skeleton::Sessions,
        lifetime: Lifetime::Limited,
        privilege: Privilege::MailOwner,
        why: "",
        siblings: &[Sibling::Cleanup, Sibling::Transports],
        files: &[],
        outside: &[],
        network: Network::None,
        threads: false,
    };

    fn config(text: &str) -> Config {
        Config::parse(text.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap()
    }

    #[test]
    fn a_daemon_finds_the_siblings_that_it_lists_and_no_others() {
        let config = config("cleanup_service_name = wash\n");
        assert_eq!(TALKATIVE.socket(Sibling::Cleanup, &config).unwrap(), Path::new("public/wash"));
        assert!(TALKATIVE.socket(Sibling::Anvil, &config).is_err());
        let silent = Service { siblings: &[], ..TALKATIVE };
        assert!(silent.socket(Sibling::Cleanup, &config).is_err());
        assert!(silent.transport("smtp").is_err());
    }

    #[test]
    fn the_name_of_a_transport_leads_nowhere_else() {
        assert_eq!(TALKATIVE.transport("smtp").unwrap(), Path::new("private/smtp"));
        for name in ["", ".", "..", "../public/cleanup", "a/b", "/dev/log", "a\0b"] {
            assert!(TALKATIVE.transport(name).is_err(), "{name}");
        }
    }
}
