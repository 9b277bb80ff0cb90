//! The relay benchmark: CPU, rate and system calls of one message from an SMTP client to the next hop.
//!
//! Client and sink are this process, the same for both mail systems, and not counted; the queue is on one disk.

use std::time::Instant;

use testing::accounts::is_root;
use testing::process::cpu_seconds;
use testing::trace::Trace;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Programs, Setup, Sink};

use super::Systems;
use crate::failure::{Failure, Outcome};
use crate::{accounts, packages};

#[derive(clap::Args)]
pub struct Options {
    /// How many messages
    #[arg(long, default_value_t = 2_000)]
    messages: usize,
    /// Over how many sessions at once
    #[arg(long, default_value_t = 20)]
    sessions: usize,
    /// How often each mail system is measured; the best run counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    systems: Systems,
    /// Also count system calls, with strace, in a run of its own
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    calls: bool,
}

/// What one run has shown.
#[derive(Clone, Copy)]
struct Cost {
    /// CPU seconds for 1,000 messages.
    cpu: f64,
    /// Messages a second.
    rate: f64,
    /// System calls a message.
    calls: f64,
}

/// Messages before the measurement: processes are started, connections made.
const WARM_UP: usize = 200;

pub fn run(options: &Options) -> Outcome {
    if is_root() {
        accounts::ensure()?;
    }
    if options.calls {
        packages::ensure(&[packages::Tool::Program { name: "strace", package: "strace" }])?;
    }
    let systems = options.systems.prepare()?;
    println!("{} messages of 1 KiB over {} sessions", options.messages, options.sessions);
    println!("{:<12} {:>14} {:>12} {:>14}", "", "CPU s / 1,000", "messages/s", "calls/message");
    let mut costs = Vec::new();
    for (name, programs) in &systems {
        let cost = measure(programs, options)?;
        println!("{name:<12} {:>14.3} {:>12.0} {:>14.0}", cost.cpu, cost.rate, cost.calls);
        costs.push(cost);
    }
    if let [ours, theirs] = costs[..] {
        let ratios = (ours.cpu / theirs.cpu, ours.rate / theirs.rate, ours.calls / theirs.calls);
        println!("{:<12} {:>14.2} {:>12.2} {:>14.2}", "ratio", ratios.0, ratios.1, ratios.2);
    }
    Ok(())
}

/// The best of some rounds; system calls from a run of their own, for counting slows down.
fn measure(programs: &Programs, options: &Options) -> Outcome<Cost> {
    let mut best = Cost { cpu: f64::INFINITY, rate: 0.0, calls: f64::NAN };
    for _ in 0..options.rounds.max(1) {
        let cost = round(programs, options, false)?;
        best = Cost { cpu: best.cpu.min(cost.cpu), rate: best.rate.max(cost.rate), ..best };
    }
    if options.calls {
        best.calls = round(programs, options, true)?.calls;
    }
    Ok(best)
}

fn round(programs: &Programs, options: &Options, count_calls: bool) -> Outcome<Cost> {
    let sink = Sink::counting();
    let relay = Setup::of(programs.clone()).set("relayhost", sink.next_hop()).set("mydestination", "").start();
    send_all(&relay, WARM_UP, options.sessions, &sink)?;
    let trace = count_calls.then(|| Trace::attach(&relay, &["-c"]));
    let (before, begin) = (cpu_seconds(relay.master()), Instant::now());
    send_all(&relay, options.messages, options.sessions, &sink)?;
    let seconds = begin.elapsed().as_secs_f64();
    relay.wait_idle();
    let cpu = cpu_seconds(relay.master()) - before;
    let calls = trace.map_or(Ok(f64::NAN), |trace| total(&trace.finish()))?;
    let messages = options.messages as f64;
    Ok(Cost { cpu: cpu * 1_000.0 / messages, rate: messages / seconds, calls: calls / messages })
}

/// Sends, and waits until the sink has them all.
fn send_all(relay: &Instance, messages: usize, sessions: usize, sink: &Sink) -> Outcome {
    let goal = sink.count() + messages;
    let text =
        format!("Subject: bench\n\n{}", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n".repeat(16));
    let failed = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..sessions)
            .map(|number| {
                let share = messages / sessions + usize::from(number < messages % sessions);
                let text = &text;
                scope.spawn(move || session(relay, share, text))
            })
            .collect();
        clients.into_iter().filter_map(|c| c.join().unwrap_or_else(|_| Some("a client broke".to_owned()))).next()
    });
    if let Some(why) = failed {
        return Err(Failure(why));
    }
    let patience = PATIENCE * (1 + messages as u32 / 500);
    match until_true(patience, || sink.count() >= goal) {
        true => Ok(()),
        false => Err(Failure(format!("{} of {goal} messages came to the sink\n{}", sink.count(), relay.log()))),
    }
}

/// One client's messages in one session; why it failed, if it did.
fn session(relay: &Instance, messages: usize, text: &str) -> Option<String> {
    let result = Client::greet(relay.v4()).and_then(|mut client| {
        for _ in 0..messages {
            let reply = client.send("bench@client.test", &["bench@other.test"], text)?;
            if reply.code != 250 {
                return Err(std::io::Error::other(reply.last()));
            }
        }
        Ok(())
    });
    result.err().map(|e| format!("client: {e}"))
}

/// The total of `strace -c`: `100.00 1.234567 3 400000 123 total`.
fn total(summary: &str) -> Outcome<f64> {
    let total = summary.lines().rev().find(|l| l.trim_end().ends_with("total"));
    let calls = total.and_then(|l| l.split_whitespace().nth(3)?.parse().ok());
    calls.ok_or_else(|| Failure(format!("strace counted nothing:\n{summary}")))
}
