//! SMTP sessions: replies, log lines, questions to DNS lists, and the trace header of what was received.

use std::time::Duration;

use testing::wait::until_true;
use toml::{Table, Value};

use crate::case::Case;
use crate::compare::differences;
use crate::folder::write;
use crate::instance::Instance;
use crate::listening::texts;
use crate::network::Network;
use crate::session::{SHORT, SILENCE, dialog};

/// How long a log line may take that is expected.
const PATIENCE: Duration = Duration::from_secs(3);

/// Each in a session of its own with one server.
pub fn play(network: &Network, cases: &[Case]) -> Vec<Table> {
    let instance = server(network, &cases[0]);
    cases.iter().map(|case| one(network, &instance, case)).collect()
}

fn server<'a>(network: &'a Network, case: &Case) -> Instance<'a> {
    let mut instance = Instance::new(network, &case.list("main_cf"), "smtp", "");
    for (name, text) in case.files() {
        write(&instance.conf().join(name), &text);
    }
    for setting in case.list("main_cf") {
        for table in setting.split("hash:$CONF/").skip(1) {
            let end = table.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(table.len());
            instance.tool("postmap", &[&format!("hash:{}/{}", instance.conf().display(), &table[..end])]);
        }
    }
    instance.start("");
    instance
}

fn one(network: &Network, instance: &Instance<'_>, case: &Case) -> Table {
    let asked = network.dns.as_ref().map_or(0, |dns| dns.asked().len());
    let (replies, position) = session(instance, case, case.text("src"), &case.expected_list("replies"));
    let mut observed = Table::from_iter([("replies".to_owned(), texts(replies))]);
    until_true(PATIENCE, || {
        observed.insert("log".to_owned(), texts(instance.log(position, |line| is_kept(case.area(), line))));
        let log = Table::from_iter(case.expected().clone().into_iter().filter(|(key, _)| key.starts_with("log")));
        differences(&log, &observed).is_empty()
    });
    if let Some(dns) = &network.dns {
        let questions = dns.asked().into_iter().skip(asked).filter(|question| question.contains("bl.ex"));
        observed.insert("dns".to_owned(), texts(questions.collect()));
    }
    if case.expected().contains_key("received") {
        observed.insert("received".to_owned(), texts(received(instance)));
    }
    observed
}

/// One connection after the other: the greeting of each.
pub fn play_sequence(network: &Network, cases: &[Case]) -> Vec<Table> {
    let sequence = |case: &Case| {
        let instance = server(network, case);
        let expected = case.expected_list("replies");
        let greeting = |(number, from): (usize, &String)| {
            let (replies, _) = session(&instance, case, from, &expected[number..=number]);
            replies.into_iter().next().unwrap_or_default()
        };
        let replies = case.list("src").iter().enumerate().map(greeting).collect();
        let mut observed = Table::from_iter([("replies".to_owned(), texts(replies))]);
        until_true(PATIENCE, || {
            observed.insert("log".to_owned(), texts(instance.log(0, |line| is_kept(case.area(), line))));
            differences(case.expected(), &observed).is_empty()
        });
        observed
    };
    cases.iter().map(sequence).collect()
}

/// The replies, and where the log of the session begins. Waits until the server has noted its end.
fn session(instance: &Instance<'_>, case: &Case, from: &str, expected: &[String]) -> (Vec<String>, usize) {
    let position = instance.position();
    let silence = |at: usize| match expected.get(at).map(String::as_str) {
        Some("<NO REPLY>") => SHORT,
        _ => SILENCE,
    };
    let replies = dialog(case.text("dst"), 25, from, &case.list("send"), silence);
    if replies[0].starts_with(|c: char| c.is_ascii_digit()) {
        let is_end = |line: &String| line.contains("disconnect from") || line.contains("fatal:");
        until_true(PATIENCE, || instance.lines(position).iter().any(is_end));
    }
    let without_id = |reply: String| match reply.split_once("queued as ") {
        Some((start, _)) => format!("{start}queued as QID"),
        None => reply,
    };
    (replies.into_iter().map(without_id).collect(), position)
}

/// Which lines count, by area.
fn is_kept(area: &str, line: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    match area {
        "accept" => line.contains("connect from") && !line.contains("disconnect"),
        "client-identity" => line.contains("smtpd") && has(&["connect from", "client=", "warning"]),
        "permit_mynetworks" => {
            line.contains("smtpd") && has(&["fatal", "warning: mynetworks", "warning: process", "NOQUEUE"])
        }
        _ => line.contains("smtpd") && has(&["reject", "client=", "fatal", "warning: Illegal", "limit"]),
    }
}

/// The first lines of the trace header of the message in the queue, which is taken out.
fn received(instance: &Instance<'_>) -> Vec<String> {
    let mut header = Vec::new();
    for folder in ["hold", "incoming", "active", "deferred"] {
        let entries = std::fs::read_dir(instance.queue().join(folder)).into_iter().flatten().flatten();
        for file in entries.map(|entry| entry.path()).filter(|path| path.is_file()) {
            let text = instance.tool("postcat", &[&file.display().to_string()]);
            let lines = text.lines().skip_while(|line| !line.starts_with("Received")).take(2);
            let lines: Vec<String> = lines.map(without_queue_id).collect();
            if header.is_empty() {
                header = lines;
            }
            let _ = std::fs::remove_file(&file);
        }
    }
    header
}

fn without_queue_id(line: &str) -> String {
    match line.split_once(" id ") {
        Some((start, rest)) => {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            format!("{start} id QID{}", &rest[end..])
        }
        None => line.to_owned(),
    }
}

/// Lists of networks as the `mynetworks` of a server each, the client's address by XCLIENT.
pub fn play_lists(network: &Network, cases: &[Case]) -> Vec<Table> {
    let mut main: Vec<String> = [
        "inet_protocols = all",
        "mynetworks = 127.0.0.0/8",
        "smtpd_authorized_xclient_hosts = 127.0.0.1",
        "smtpd_relay_restrictions =",
        "smtpd_recipient_restrictions = permit_mynetworks, reject",
        "smtpd_client_event_limit_exceptions =",
        "smtpd_forbid_bare_newline_exclusions =",
        "local_transport = discard:",
        "default_transport = discard:",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut services = String::new();
    for (number, case) in cases.iter().enumerate() {
        main.push(format!("m{number}_list = {}", case.text("list").replace("$DIR", &format!("$CONF/m{number}"))));
        services.push_str(&format!("127.0.0.1:{} inet n - n - - smtpd\n", 3000 + number));
        services.push_str(&format!("  -o syslog_name=postfix/m{number} -o mynetworks=$m{number}_list\n"));
    }
    let mut instance = Instance::new(network, &main, "smtp", &services);
    for (number, case) in cases.iter().enumerate() {
        let folder = instance.conf().join(format!("m{number}"));
        std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        case.files().iter().for_each(|(name, text)| write(&folder.join(name), text));
    }
    instance.start("");
    cases.iter().enumerate().map(|(number, case)| list(&instance, number, case)).collect()
}

fn list(instance: &Instance<'_>, number: usize, case: &Case) -> Table {
    let address = case.text("address");
    let name = if case.text("hostname") == "unknown" { "[UNAVAILABLE]" } else { case.text("hostname") };
    let tag = if address.contains(':') { "IPV6:" } else { "" };
    let lines = [
        "EHLO h",
        &format!("XCLIENT NAME={name} ADDR={tag}{address}"),
        "EHLO h",
        "MAIL FROM:<>",
        "RCPT TO:<u@remote.example>",
        "QUIT",
    ];
    let port = 3000 + u16::try_from(number).unwrap_or(0);
    let ends = case.expected().get("result").and_then(Value::as_str) == Some("fatal");
    let silence = if ends { SHORT } else { SILENCE };
    let replies = dialog("127.0.0.1", port, "", &lines.map(str::to_owned), |_| silence);
    let folder = instance.conf().join(format!("m{number}")).display().to_string();
    let message = |line: String| {
        let rest = line.strip_prefix(&format!("postfix/m{number}/smtpd["))?.split_once("]: ")?.1;
        let is_odd = ["fatal: ", "warning: ", "error: ", "panic: "].iter().any(|start| rest.starts_with(start));
        is_odd.then(|| rest.replace(&folder, "$DIR").replace("mynetworks: ", "$PARAM: "))
    };
    let mut observed = Table::new();
    until_true(PATIENCE, || {
        let messages: Vec<String> = instance.lines(0).into_iter().filter_map(message).collect();
        let is_fatal = messages.iter().any(|message| message.starts_with("fatal"));
        let found = match replies.get(5).map_or("", String::as_str).get(..3) {
            Some("250") => "yes".to_owned(),
            Some("554") => "no".to_owned(),
            Some("451") => "error".to_owned(),
            _ if is_fatal && !replies[0].starts_with("220") => "fatal".to_owned(),
            _ => format!("{replies:?}"),
        };
        observed = Table::from_iter([
            ("exit".to_owned(), Value::Integer(i64::from(found == "fatal"))),
            ("result".to_owned(), Value::String(found)),
            ("messages".to_owned(), texts(messages)),
        ]);
        differences(case.expected(), &observed).is_empty()
    });
    observed
}
