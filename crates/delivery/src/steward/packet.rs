//! The packets between agent and steward: a few fields that end in NUL. Small enough to be read at a glance, because
//! root reads them.

use wire::fields::{join, number as number_of, split};

/// What a carrier is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The user's files and commands: the user's own rights.
    User,
    /// The user's mailbox in the mail spool directory: the user with the directory's group.
    Spool,
}

/// Whose rights are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A user by name.
    Name(Vec<u8>),
    /// A user by number: the owner of an alias file.
    Uid(u32),
    /// The user of default_privs.
    Default,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(&text::printable(name)),
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Default => f.write_str("default_privs"),
        }
    }
}

/// What the user database says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name as the database has it.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A request; with a socket attached it starts a carrier, without one it only looks the user up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Comes back with the reply.
    pub number: u32,
    /// What for.
    pub purpose: Purpose,
    /// Who.
    pub who: Who,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The user, and the carrier has been started if one was wanted.
    Account(Account),
    /// There is no such user.
    Unknown,
    /// The user database says neither yes nor no.
    Unanswered(String),
    /// The system is in trouble.
    Failed(String),
}

impl Order {
    /// The packet; `None` for a name that no user can have.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let purpose = match self.purpose {
            Purpose::User => "user",
            Purpose::Spool => "spool",
        };
        let (kind, value) = match &self.who {
            Who::Name(name) => ("name", name.clone()),
            Who::Uid(uid) => ("uid", uid.to_string().into_bytes()),
            Who::Default => ("default", Vec::new()),
        };
        let packet = join(&[self.number.to_string().as_bytes(), purpose.as_bytes(), kind.as_bytes(), &value]);
        (packet.len() <= ipc::questions::MAX && !value.contains(&0)).then_some(packet)
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let [number, purpose, kind, value] = split(packet)?;
        let purpose = match purpose {
            b"user" => Purpose::User,
            b"spool" => Purpose::Spool,
            _ => return None,
        };
        let who = match kind {
            b"name" => Who::Name(value.to_vec()),
            b"uid" => Who::Uid(number_of(value)?),
            b"default" => Who::Default,
            _ => return None,
        };
        Some(Order { number: number_of(number)?, purpose, who })
    }
}

impl Reply {
    /// The packet that answers order `number`.
    pub fn encode(&self, number: u32) -> Vec<u8> {
        let number = number.to_string();
        let number = number.as_bytes();
        match self {
            Reply::Account(a) => {
                let uid = a.uid.to_string();
                join(&[number, b"user", a.name.as_bytes(), uid.as_bytes(), a.home.as_bytes(), a.shell.as_bytes()])
            }
            Reply::Unknown => join(&[number, b"unknown", b"", b"", b"", b""]),
            Reply::Unanswered(why) => join(&[number, b"unanswered", why.as_bytes(), b"", b"", b""]),
            Reply::Failed(why) => join(&[number, b"failed", why.as_bytes(), b"", b"", b""]),
        }
    }

    /// Reads a packet: the number of the order, and the answer.
    pub fn decode(packet: &[u8]) -> Option<(u32, Self)> {
        let [number, kind, first, uid, home, shell] = split(packet)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let reply = match kind {
            b"user" => Reply::Account(Account {
                name: text(first),
                uid: number_of(uid)?,
                home: text(home),
                shell: text(shell),
            }),
            b"unknown" => Reply::Unknown,
            b"unanswered" => Reply::Unanswered(text(first)),
            b"failed" => Reply::Failed(text(first)),
            _ => return None,
        };
        Some((number_of(number)?, reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn orders_come_back(number: u32, uid: u32, name in prop::collection::vec(1u8.., 0..40), spool: bool, kind in 0..3) {
            let who = match kind { 0 => Who::Name(name), 1 => Who::Uid(uid), _ => Who::Default };
            let purpose = if spool { Purpose::Spool } else { Purpose::User };
            let order = Order { number, purpose, who };
            prop_assert_eq!(Order::decode(&order.encode().unwrap()), Some(order));
        }

        #[test]
        fn replies_come_back(number: u32, uid: u32, name in "[a-z]{1,8}", home in "[/a-z]{0,20}") {
            let account = Account { name: name.clone(), uid, home, shell: "/bin/sh".into() };
            for reply in [Reply::Account(account), Reply::Unknown, Reply::Unanswered(name.clone()), Reply::Failed(name)] {
                prop_assert_eq!(Reply::decode(&reply.encode(number)), Some((number, reply)));
            }
        }

        #[test]
        fn any_packet_is_an_order_or_none(packet in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Order::decode(&packet);
            let _ = Reply::decode(&packet);
        }
    }

    #[test]
    fn a_name_cannot_smuggle_a_field() {
        let order = Order { number: 1, purpose: Purpose::User, who: Who::Name(b"bob\0x".to_vec()) };
        assert_eq!(order.encode(), None);
    }
}
