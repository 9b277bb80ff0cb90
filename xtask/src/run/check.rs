//! `cargo xtask run --check`: one message by each way, a line for each with its queue id and the time it took.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use testing::Client;
use testing::maildir::Mail;
use testing::port::Port;
use testing::wait::{PATIENCE, until, until_true};

use crate::demo::{Demo, Role};
use crate::failure::Outcome;

/// Runs the demo and a second instance that relays to it over IPv6.
pub fn run(folder: &Path, port: u16, programs: &Path) -> Outcome {
    let role = Role { destination: "mail.test, localhost", relayhost: "" };
    let mut last = Demo::make(folder, port, programs, &role, false)?;
    let relay_port = Port::reserve();
    let next_hop = format!("[::1]:{port}");
    let role = Role { destination: "", relayhost: &next_hop };
    let mut first = Demo::make(&folder.join("relay"), relay_port.number(), programs, &role, false)?;
    last.start()?;
    first.start()?;

    by_smtp("SMTP over IPv4", last.v4(), &last, &last)?;
    by_smtp("SMTP over IPv6", last.v6(), &last, &last)?;
    by_command(&last)?;
    by_smtp("relayed over IPv6", first.v4(), &first, &last)?;

    first.stop()?;
    last.stop()?;
    println!("all messages arrived in {}", last.maildir().display());
    Ok(())
}

fn by_smtp(way: &str, server: SocketAddr, entry: &Demo, end: &Demo) -> Outcome {
    let begin = Instant::now();
    let id = message_id(way);
    let text = format!("From: check@mail.test\nTo: alice@mail.test\nSubject: {way}\nMessage-Id: {id}\n\nhello\n");
    let reply = Client::greet(server).and_then(|mut client| {
        let reply = client.send("check@mail.test", &["alice@mail.test"], &text)?;
        client.command("QUIT")?;
        Ok(reply)
    });
    let reply = reply.map_err(|e| entry.failure(&format!("{way}: {e}")))?;
    let Some(queue_id) = reply.queue_id() else { return Err(entry.failure(&format!("{way}: {}", reply.last()))) };
    arrived(way, &id, &queue_id, begin, end)
}

fn by_command(demo: &Demo) -> Outcome {
    let (way, begin) = ("the sendmail command", Instant::now());
    let id = message_id(way);
    let mut command = demo.command("sendmail");
    command.args(["-f", "check@mail.test", "alice@mail.test"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(format!("Subject: {way}\nMessage-Id: {id}\n\nhello\n").as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(demo.failure(&format!("{way} ended with {}: {said}", output.status)));
    }
    let logged = until(PATIENCE, || demo.find_log(&["message-id=", &id]));
    let queue_id = logged.as_deref().and_then(|line| line.split(": ").nth(1)).unwrap_or("?").to_owned();
    arrived(way, &id, &queue_id, begin, demo)
}

fn arrived(way: &str, id: &str, queue_id: &str, begin: Instant, end: &Demo) -> Outcome {
    let folder = end.maildir();
    let is_there = || Mail::in_maildir(&folder).iter().any(|mail| mail.header("Message-Id").as_deref() == Some(id));
    if !until_true(PATIENCE, is_there) {
        return Err(end.failure(&format!("{way}: {queue_id} does not arrive")));
    }
    println!("{way:<22} {queue_id:<18} {:>5} ms", begin.elapsed().as_millis());
    Ok(())
}

fn message_id(way: &str) -> String {
    let words = way.replace(' ', "-");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    format!("<{words}.{now}@mail.test>")
}
