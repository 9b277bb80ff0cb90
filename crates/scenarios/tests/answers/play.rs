//! Sessions: each subject with each server.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use testing::World;
use testing::wait::{PATIENCE, until_true};

use crate::outcomes::{Outcome, Outcomes};
use crate::session::{SILENCE, dialog};
use crate::world::{Description, Server};

/// Plays everything about one subject; nothing when that is not possible here.
pub fn all(subject: &str) -> Option<Outcomes> {
    let world = World::enter()?;
    let description = Description::load();
    let servers = description.servers(subject);
    let _dns = description.name_server();
    let mail = description.mail_system(&world, &servers);
    let (names, log) = (description.names(subject), mail.folder().join("log"));
    let mut outcomes = Outcomes::default();
    std::thread::scope(|scope| {
        let (names, log) = (&names, &log);
        let play = |server| scope.spawn(move || one_server(subject, server, names, log));
        let threads: Vec<_> = servers.iter().map(play).collect();
        for (thread, server) in threads.into_iter().zip(&servers) {
            let found = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcomes.add(&server.restrictions, found);
        }
    });
    outcomes.sort_by(&names);
    Some(outcomes)
}

fn one_server(subject: &str, server: &Server, names: &[String], log: &Path) -> Vec<(String, Outcome)> {
    let mut log = Follower::new(log, &server.log_name);
    let one = |name: &String| {
        let reply = session(subject, server.port, name);
        // The end of a session is the last that is logged of it.
        let mut lines = Vec::new();
        let complete = until_true(PATIENCE, || {
            lines.extend(log.more());
            lines.iter().any(|line: &String| line.starts_with("disconnect from"))
        });
        assert!(complete, "{}: the end of the session about {name} is not logged: {reply}", server.restrictions);
        // What is said once by each process depends on how many there were.
        let counts = |line: &String| line.starts_with("warning: ") && !line.contains("will be removed from Postfix");
        let warnings = lines.into_iter().filter(counts);
        (name.clone(), Outcome::new(name, std::iter::once(reply).chain(warnings)))
    };
    server.share_of(names).map(one).collect()
}

/// The first refusal of a session, or the reply to RCPT.
fn session(subject: &str, port: u16, name: &str) -> String {
    let mut client = "";
    let (mut helo, mut sender, mut recipient) = ("client.example", "s@mail.test", "r@good.example");
    match subject {
        "client" => client = name,
        "helo" => helo = name,
        "sender" => sender = name,
        _ => recipient = name,
    }
    let lines =
        [format!("EHLO {helo}"), format!("MAIL FROM:<{sender}>"), format!("RCPT TO:<{recipient}>"), "QUIT".to_owned()];
    let to = if client.contains(':') { "::1" } else { "127.0.0.1" };
    let replies = dialog(to, port, client, &lines, |_| SILENCE);
    let refusal = replies.iter().find(|reply| !reply.starts_with('2'));
    let reply = refusal.or(replies.get(3)).unwrap_or_else(|| panic!("{name}: {replies:?}"));
    reply.clone()
}

/// Reads what one server logs, without time, name and process.
struct Follower {
    log: File,
    mark: String,
    /// A line whose end is not there yet.
    rest: Vec<u8>,
}

impl Follower {
    fn new(log: &Path, name: &str) -> Follower {
        let file = File::open(log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        Follower { log: file, mark: format!(" {name}/smtpd["), rest: Vec::new() }
    }

    /// What is new since the last time.
    fn more(&mut self) -> Vec<String> {
        self.log.read_to_end(&mut self.rest).unwrap_or_else(|e| panic!("the log: {e}"));
        let complete = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let rest = self.rest.split_off(complete);
        let text = std::mem::replace(&mut self.rest, rest);
        let message = |line: &str| Some(line.split_once(&self.mark)?.1.split_once("]: ")?.1.to_owned());
        String::from_utf8_lossy(&text).lines().filter_map(message).collect()
    }
}
