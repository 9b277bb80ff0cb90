//! The packets between agent and steward: a few fields that end in NUL. Small enough to be read at a glance, because
//! root reads them.

use ipc::carrier::WriteProblem;
use wire::fields::{join, number as number_of, split};

/// What is wanted of the steward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// What the user database says of a user.
    LookUp(Who),
    /// A carrier that reads lists and writes files as this user, and runs nothing.
    Files(Who),
    /// A carrier that runs a command as this user.
    Command(Who),
    /// A carrier that writes the mailbox of this user in the mail spool directory.
    Mailbox(Vec<u8>),
    /// A carrier that writes files as the user and group of these numbers, and runs nothing.
    Numbers(u32, u32),
    /// A carrier that runs a command as the one user that this steward is for.
    Own,
    /// The end of the carrier of that order, and of what it has started.
    Kill(u32),
    /// The end of the lock on the mailbox of that order.
    Release(u32),
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

/// What the user database says, and whose rights that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name as the database has it.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// The group that a carrier of the user has.
    pub gid: u32,
    /// Nothing is done as this user, but as that of default_privs: root, and the mail system's own.
    pub is_withheld: bool,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A request; a socket for the carrier comes with one that starts one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Comes back with the reply.
    pub number: u32,
    /// What is to be done.
    pub task: Task,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The user, and the carrier has been started if one was wanted and the user's rights are not withheld.
    Account(Account),
    /// There is no such user.
    Unknown,
    /// The user database says neither yes nor no.
    Unanswered(String),
    /// The mailbox cannot be written.
    NotWritten(WriteProblem),
    /// The system has no process to give at present.
    NoProcess,
    /// The system is in trouble, or the order is refused.
    Failed(String),
    /// It is done.
    Done,
}

impl Order {
    /// The packet; `None` for a name that no user can have.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let (purpose, who) = match &self.task {
            Task::LookUp(who) => ("lookup", who.fields()),
            Task::Files(who) => ("files", who.fields()),
            Task::Command(who) => ("command", who.fields()),
            Task::Mailbox(name) => ("mailbox", Who::Name(name.clone()).fields()),
            Task::Numbers(uid, gid) => ("numbers", ("pair", format!("{uid}:{gid}").into_bytes())),
            Task::Own => ("own", Who::Default.fields()),
            Task::Kill(number) => ("kill", Who::Uid(*number).fields()),
            Task::Release(number) => ("release", Who::Uid(*number).fields()),
        };
        let (kind, value) = who;
        let packet = join(&[self.number.to_string().as_bytes(), purpose.as_bytes(), kind.as_bytes(), &value]);
        (packet.len() <= ipc::questions::MAX && !value.contains(&0)).then_some(packet)
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let [number, purpose, kind, value] = split(packet)?;
        if (purpose, kind) == (&b"numbers"[..], &b"pair"[..]) {
            let colon = value.iter().position(|&b| b == b':')?;
            let task = Task::Numbers(number_of(&value[..colon])?, number_of(&value[colon + 1..])?);
            return Some(Order { number: number_of(number)?, task });
        }
        let who = match kind {
            b"name" => Who::Name(value.to_vec()),
            b"number" => Who::Uid(number_of(value)?),
            b"default" => Who::Default,
            _ => return None,
        };
        let task = match (purpose, who) {
            (b"lookup", who) => Task::LookUp(who),
            (b"files", who) => Task::Files(who),
            (b"command", who) => Task::Command(who),
            (b"mailbox", Who::Name(name)) => Task::Mailbox(name),
            (b"own", Who::Default) => Task::Own,
            (b"kill", Who::Uid(order)) => Task::Kill(order),
            (b"release", Who::Uid(order)) => Task::Release(order),
            _ => return None,
        };
        Some(Order { number: number_of(number)?, task })
    }
}

impl Who {
    fn fields(&self) -> (&'static str, Vec<u8>) {
        match self {
            Who::Name(name) => ("name", name.clone()),
            Who::Uid(number) => ("number", number.to_string().into_bytes()),
            Who::Default => ("default", Vec::new()),
        }
    }
}

impl Reply {
    /// The packet that answers order `number`.
    pub fn encode(&self, number: u32) -> Vec<u8> {
        let number = number.to_string();
        let packet = |kind: &str, fields: [&[u8]; 6]| {
            let [a, b, c, d, e, f] = fields;
            join(&[number.as_bytes(), kind.as_bytes(), a, b, c, d, e, f])
        };
        let short = |kind: &str, text: &[u8], code: String| packet(kind, [text, code.as_bytes(), b"", b"", b"", b""]);
        match self {
            Reply::Account(a) => {
                let (uid, gid) = (a.uid.to_string(), a.gid.to_string());
                let withheld: &[u8] = if a.is_withheld { b"1" } else { b"0" };
                let fields = [a.name.as_bytes(), uid.as_bytes(), gid.as_bytes(), withheld];
                let [name, uid, gid, withheld] = fields;
                packet("user", [name, uid, gid, withheld, a.home.as_bytes(), a.shell.as_bytes()])
            }
            Reply::Unknown => short("unknown", b"", String::new()),
            Reply::Unanswered(why) => short("unanswered", why.as_bytes(), String::new()),
            Reply::Failed(why) => short("failed", why.as_bytes(), String::new()),
            Reply::NoProcess => short("no process", b"", String::new()),
            Reply::Done => short("done", b"", String::new()),
            Reply::NotWritten(problem) => match problem {
                WriteProblem::NotOwned => short("not owned", b"", String::new()),
                WriteProblem::NotRegular => short("not regular", b"", String::new()),
                WriteProblem::Executable => short("executable", b"", String::new()),
                WriteProblem::Link => short("link", b"", String::new()),
                WriteProblem::HardLinks(count) => short("hard links", b"", count.to_string()),
                WriteProblem::System { what, code } => short("system", what.as_bytes(), code.to_string()),
            },
        }
    }

    /// Reads a packet: the number of the order, and the answer.
    pub fn decode(packet: &[u8]) -> Option<(u32, Self)> {
        let [number, kind, first, second, gid, withheld, home, shell] = split(packet)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let reply = match kind {
            b"user" => Reply::Account(Account {
                name: text(first),
                uid: number_of(second)?,
                gid: number_of(gid)?,
                is_withheld: withheld == b"1",
                home: text(home),
                shell: text(shell),
            }),
            b"unknown" => Reply::Unknown,
            b"unanswered" => Reply::Unanswered(text(first)),
            b"failed" => Reply::Failed(text(first)),
            b"no process" => Reply::NoProcess,
            b"done" => Reply::Done,
            b"not owned" => Reply::NotWritten(WriteProblem::NotOwned),
            b"not regular" => Reply::NotWritten(WriteProblem::NotRegular),
            b"executable" => Reply::NotWritten(WriteProblem::Executable),
            b"link" => Reply::NotWritten(WriteProblem::Link),
            b"hard links" => Reply::NotWritten(WriteProblem::HardLinks(text(second).parse().ok()?)),
            b"system" => {
                let code = text(second).parse().ok()?;
                Reply::NotWritten(WriteProblem::System { what: text(first), code })
            }
            _ => return None,
        };
        Some((number_of(number)?, reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn who() -> impl Strategy<Value = Who> {
        prop_oneof![
            prop::collection::vec(1u8.., 0..40).prop_map(Who::Name),
            any::<u32>().prop_map(Who::Uid),
            Just(Who::Default)
        ]
    }

    fn task() -> impl Strategy<Value = Task> {
        prop_oneof![
            who().prop_map(Task::LookUp),
            who().prop_map(Task::Files),
            who().prop_map(Task::Command),
            prop::collection::vec(1u8.., 0..40).prop_map(Task::Mailbox),
            any::<(u32, u32)>().prop_map(|(uid, gid)| Task::Numbers(uid, gid)),
            Just(Task::Own),
            any::<u32>().prop_map(Task::Kill),
            any::<u32>().prop_map(Task::Release),
        ]
    }

    proptest! {
        #[test]
        fn orders_come_back(number: u32, task in task()) {
            let order = Order { number, task };
            prop_assert_eq!(Order::decode(&order.encode().unwrap()), Some(order));
        }

        #[test]
        fn replies_come_back(number: u32, uid: u32, gid: u32, is_withheld: bool, name in "[a-z]{1,8}", home in "[/a-z]{0,20}", code: i32, links: u64) {
            let account = Account { name: name.clone(), uid, gid, is_withheld, home, shell: "/bin/sh".into() };
            for reply in [
                Reply::Account(account),
                Reply::Unknown,
                Reply::Unanswered(name.clone()),
                Reply::Failed(name.clone()),
                Reply::NoProcess,
                Reply::Done,
                Reply::NotWritten(WriteProblem::Link),
                Reply::NotWritten(WriteProblem::NotOwned),
                Reply::NotWritten(WriteProblem::NotRegular),
                Reply::NotWritten(WriteProblem::Executable),
                Reply::NotWritten(WriteProblem::HardLinks(links)),
                Reply::NotWritten(WriteProblem::System { what: name, code }),
            ] {
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
        let order = Order { number: 1, task: Task::Files(Who::Name(b"bob\0x".to_vec())) };
        assert_eq!(order.encode(), None);
        let order = Order { number: 1, task: Task::Mailbox(b"bob\0x".to_vec()) };
        assert_eq!(order.encode(), None);
    }
}
