//! What the supervisor listens on, at start and after a reload.

use std::time::Duration;

use testing::wait::until_true;
use toml::{Table, Value};

use crate::case::Case;
use crate::compare::differences;
use crate::instance::Instance;
use crate::network::Network;
use crate::session::{SHORT, dialog};

/// How long an outcome may take that is as expected; one that is not is what it is then.
const PATIENCE: Duration = Duration::from_secs(5);

/// A list of texts as an observed value.
pub fn texts(list: Vec<String>) -> Value {
    Value::Array(list.into_iter().map(Value::String).collect())
}

/// Starts each: sockets, exit status, and what the supervisor says.
pub fn play_start(network: &Network, cases: &[Case]) -> Vec<Table> {
    cases.iter().map(|case| start(network, case)).collect()
}

fn start(network: &Network, case: &Case) -> Table {
    let mut instance = Instance::new(network, &case.list("main_cf"), case.text("service"), "");
    instance.start(case.text("wrap"));
    let mut observed = Table::new();
    until_true(PATIENCE, || {
        let status = instance.status();
        let exit = status.parse().map_or(Value::String(status), Value::Integer);
        let log = instance.log(0, |line| {
            line.contains("postfix/master")
                && ["fatal", "warning", "panic", "error"].iter().any(|word| line.contains(word))
        });
        observed = Table::from_iter([
            ("sockets".to_owned(), texts(network.listeners())),
            ("exit".to_owned(), exit),
            ("log".to_owned(), texts(log)),
        ]);
        differences(case.expected(), &observed).is_empty()
    });
    observed
}

/// Starts each with one main.cf and gives it another: sockets before and after, whether it lives, what a client hears.
pub fn play_reload(network: &Network, cases: &[Case]) -> Vec<Table> {
    cases.iter().map(|case| reload(network, case)).collect()
}

fn reload(network: &Network, case: &Case) -> Table {
    let mut instance = Instance::new(network, &case.list("main_cf"), "smtp", "");
    instance.start("");
    let expected = |key: &str| case.expected_list(key);
    until_true(PATIENCE, || network.listeners() == expected("before"));
    let before = network.listeners();
    let position = instance.position();
    instance.write_main(&case.list("main_cf_new"));
    instance.reload();
    // What a reload is over with is its last line; the sockets follow.
    until_true(PATIENCE, || instance.lines(position).iter().any(|line| line.contains("master")));
    until_true(PATIENCE, || network.listeners() == expected("after"));
    let v4_alone = case.list("main_cf").iter().any(|line| line.contains("inet_protocols = ipv4"));
    let server = if v4_alone { "127.0.0.1" } else { "::1" };
    let replies = dialog(server, 25, "", &["QUIT".to_owned()], |_| SHORT);
    let said = |reply: String| match reply.as_str() {
        "REFUSED" | "<NO REPLY>" => reply,
        _ => format!("S: {reply}"),
    };
    let mut observed = Table::from_iter([
        ("before".to_owned(), texts(before)),
        ("after".to_owned(), texts(network.listeners())),
        ("replies".to_owned(), texts(replies.into_iter().map(said).collect())),
        ("alive".to_owned(), Value::Boolean(instance.status() == "running")),
    ]);
    until_true(PATIENCE, || {
        let log = instance.log(position, |line| {
            let of_server = line.contains("smtpd") && (line.contains("fatal") || line.contains(": connect"));
            (line.contains("master") || of_server) && !line.contains("daemon started")
        });
        observed.insert("log".to_owned(), texts(log));
        differences(case.expected(), &observed).is_empty()
    });
    observed
}
