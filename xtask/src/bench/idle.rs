//! The idle row: what a session costs in memory while its client says nothing.

use testing::{Client, Instance, Programs};

use super::crowd::{Crowd, Step};
use super::figures::Sample;
use super::traffic::{self, Relay};
use super::{Bench, Row, rounds};
use crate::failure::Outcome;

/// Clients that send at the same time, before all of them wait.
const SENDING: usize = 20;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let clients = bench.sizes.clients;
    let figures = rounds::alternate(&bench.systems, bench.rounds, |programs| memory(programs, clients))?;
    let title = format!(
        "{clients} sessions that wait: proportional memory (PSS) of all smtpd processes, less that without sessions"
    );
    Ok((title, figures))
}

fn memory(programs: &Programs, clients: usize) -> Outcome<Sample> {
    let relay = Relay::start(programs, &many_clients(clients));
    // One has come and gone, so that a process is there.
    Client::greet(relay.mail.v4())?.command("QUIT")?;
    let none = smtpd(&relay.mail);
    let mut crowd = Crowd::connect(relay.mail.v4(), clients, SENDING)?;
    crowd.play(&[Step::ehlo()], 1, usize::MAX)?;
    let greeted = smtpd(&relay.mail);
    crowd.play(&Step::message(&traffic::text(1024)), 1, SENDING)?;
    relay.wait_for(clients)?;
    let after_mail = smtpd(&relay.mail);
    let each = |all: f64| (all - none) / clients as f64;
    Ok(Sample::default().with("after EHLO", "KiB / session", each(greeted)).with(
        "after one message",
        "KiB / session",
        each(after_mail),
    ))
}

/// Settings that let so many clients of one address in.
pub fn many_clients(clients: usize) -> [(&'static str, String); 3] {
    // Some to spare, so that nobody is under stress.
    let limit = (clients + clients / 4).max(100).to_string();
    let patience = "1h".to_owned();
    [("default_process_limit", limit), ("smtpd_client_connection_count_limit", "0".into()), ("smtpd_timeout", patience)]
}

/// Memory of the SMTP server's processes in KiB.
fn smtpd(mail: &Instance) -> f64 {
    mail.processes_of("smtpd").iter().map(|process| process.proportional() as f64 / 1024.0).sum()
}
