//! The racing benchmark: how long a message takes when the server's IPv6 is broken on the way.
//!
//! Each message goes through a mail system of its own, in a network of its own: nothing is remembered from the last
//! one.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use testing::accounts::is_root;
use testing::dns::Zone;
use testing::wait::until_true;
use testing::{Client, Programs, Setup, Sink, World};

use super::figures::Sample;
use super::{Bench, Row, rounds};
use crate::failure::{Failure, Outcome};
use crate::packages;
use crate::test::TOOLS;

/// The address that works.
const V4: &str = "192.0.2.25";
/// Postfix gives every address 30 seconds, and no more than five addresses.
const PATIENCE: Duration = Duration::from_secs(200);

pub fn measure(bench: &Bench) -> Outcome<Row> {
    if !is_root() {
        return Err(Failure("a network of its own needs root".to_owned()));
    }
    packages::ensure(&TOOLS)?;
    // Postfix waits for minutes: once is enough.
    let figures = rounds::alternate(&bench.systems, 1, |programs| {
        let swallowed = bench.sizes.swallowed.iter();
        swallowed.copied().try_fold(Sample::default(), |sample, count| {
            Ok(sample.with(format!("{count} IPv6 addresses swallow"), "s", seconds(programs, count)?))
        })
    })?;
    Ok(("one message to a server with one IPv4 address that works".to_owned(), figures))
}

/// In a thread of its own, which alone moves into the other network.
fn seconds(programs: &Programs, swallowed: usize) -> Outcome<f64> {
    let programs = programs.clone();
    let thread = std::thread::spawn(move || deliver(programs, swallowed));
    thread.join().unwrap_or_else(|_| Err(Failure("the measurement broke".to_owned())))
}

fn deliver(programs: Programs, swallowed: usize) -> Outcome<f64> {
    let world = World::enter().ok_or_else(|| Failure("no network of its own".to_owned()))?;
    let holes: Vec<String> = (1..=swallowed).map(|number| format!("2001:db8:dead::{number}")).collect();
    world.address(address(V4)?);
    world.swallow(&holes.iter().map(|hole| address(hole)).collect::<Outcome<Vec<_>>>()?);
    let all: Vec<&str> = holes.iter().map(String::as_str).chain([V4]).collect();
    let _dns = Zone::new().mx("half.test", "mx.half.test", 10).host("mx.half.test", &all).start();
    let sink = Sink::at((address(V4)?, 25).into());
    let mail = Setup::of(programs)
        .set("relayhost", "")
        .set("mynetworks", "127.0.0.0/8")
        .set("inet_interfaces", "127.0.0.1")
        .set("smtp_address_preference", "ipv6")
        .start();
    let begin = Instant::now();
    let reply = Client::greet(mail.v4())?.send("bench@client.test", &["x@half.test"], "Subject: x\n\nbody\n")?;
    if reply.code != 250 {
        return Err(Failure(reply.last().to_string()));
    }
    match until_true(PATIENCE, || sink.count() == 1) {
        true => Ok(begin.elapsed().as_secs_f64()),
        false => Err(Failure(format!("not delivered\n{}", mail.log()))),
    }
}

fn address(text: &str) -> Outcome<IpAddr> {
    text.parse().map_err(|error| Failure::about(text, error))
}
