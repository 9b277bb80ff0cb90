//! The floor: what the file and socket work of a relay costs alone, in one process and one thread.
//!
//! [`Floor`] is no mail system. It takes messages over SMTP, puts each into a file, waits for the disk, acknowledges,
//! sends on over sessions that last, and gives the file up: the calls that no relay can do without which keeps a
//! message in a file of its own. It looks at nothing, logs nothing, and knows no errors but to end.

mod client;
mod next_hop;
mod spool;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use testing::port::Port;
use testing::process::Process;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Sink};

use super::figures::{Figure, Sample};
use super::rounds::Side;
use super::traffic::{Load, submit, wait_for};
use super::{Bench, Row};
use crate::failure::Outcome;
use client::Session;
use next_hop::Courier;
use spool::{Spool, Stored};

/// Sessions with the next hop, as many as default_destination_concurrency_limit allows.
const COURIERS: usize = 20;

/// What the row shows, as often as there are rounds.
pub fn measure(bench: &Bench) -> Outcome<Row> {
    let load = Load::reused(bench.sizes.messages, bench.sizes.sessions);
    let mut figures: Vec<Figure> = Vec::new();
    for _ in 0..bench.rounds {
        once(&load)?.gather(Side::Ours, &mut figures);
    }
    let title = format!(
        "A program that does only the file and socket work of a relay: {} messages of 1 KiB over {} sessions",
        load.messages, load.sessions
    );
    Ok((title, figures))
}

fn once(load: &Load) -> Outcome<Sample> {
    let (sink, port) = (Sink::counting(), Port::reserve());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
    let program = Running::start(address, sink.address())?;
    until_true(PATIENCE, || Client::greet(address).is_ok());
    let cpu = || Process::of_pid(program.child.id().cast_signed()).map_or(0.0, |process| process.cpu());
    let (before, begin) = (cpu(), Instant::now());
    submit(address, load, "bench@other.test")?;
    wait_for(|| sink.count(), load.messages)?;
    let seconds = begin.elapsed().as_secs_f64();
    let spent = cpu() - before;
    let messages = load.messages as f64;
    Ok(Sample::default().with("CPU", "s / 1,000", spent * 1_000.0 / messages).with(
        "messages",
        "/ s",
        messages / seconds,
    ))
}

/// The program as a process; it ends with its owner, and its files with it.
struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    fn start(listen: SocketAddr, next_hop: SocketAddr) -> Outcome<Running> {
        let folder = std::env::temp_dir().join(format!("postfix-rs-floor-{}", std::process::id()));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor", &listen.to_string(), &next_hop.to_string()]).arg(&folder);
        Ok(Running { child: command.stdin(Stdio::null()).spawn()?, folder })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The program's command line.
#[derive(clap::Args)]
pub struct Options {
    listen: SocketAddr,
    next_hop: SocketAddr,
    folder: PathBuf,
}

/// Runs until it is killed.
pub fn run(options: &Options) -> Outcome {
    Ok(Floor::start(options)?.serve()?)
}

/// The program.
struct Floor {
    poll: Poll,
    listener: TcpListener,
    spool: Spool,
    sessions: Vec<Session>,
    couriers: Vec<Courier>,
    /// Couriers that have nothing to carry.
    idle: Vec<usize>,
    /// Messages that wait for one of them.
    waiting: VecDeque<Stored>,
}

const LISTENER: Token = Token(usize::MAX);

impl Floor {
    fn start(options: &Options) -> io::Result<Floor> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(options.listen)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut couriers = Vec::new();
        for number in 0..COURIERS {
            let mut courier = Courier::connect(options.next_hop)?;
            poll.registry().register(courier.stream(), Token(number), Interest::READABLE)?;
            couriers.push(courier);
        }
        let spool = Spool::new(&options.folder)?;
        let (idle, waiting) = ((0..COURIERS).collect(), VecDeque::new());
        Ok(Floor { poll, listener, spool, sessions: Vec::new(), couriers, idle, waiting })
    }

    fn serve(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            self.poll.poll(&mut events, None)?;
            let mut complete = Vec::new();
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(number) if number < COURIERS => self.carried(number)?,
                    Token(number) => {
                        let at = number - COURIERS;
                        // A client that is gone has nothing more to say.
                        if let Ok(Some(text)) = self.sessions[at].turn() {
                            complete.push((at, self.spool.write(&text)?));
                        }
                    }
                }
            }
            self.acknowledge(complete)?;
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let token = Token(COURIERS + self.sessions.len());
            self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
            self.sessions.push(Session::greet(stream)?);
        }
        Ok(())
    }

    /// One wait for the disk for all messages of a turn.
    fn acknowledge(&mut self, complete: Vec<(usize, Stored)>) -> io::Result<()> {
        self.spool.sync(complete.iter().map(|(_, stored)| stored))?;
        for (at, stored) in complete {
            self.sessions[at].taken()?;
            self.waiting.push_back(stored);
        }
        self.dispatch()
    }

    fn dispatch(&mut self) -> io::Result<()> {
        while let Some(number) = self.idle.pop() {
            let Some(stored) = self.waiting.pop_front() else {
                self.idle.push(number);
                return Ok(());
            };
            self.couriers[number].carry(stored)?;
        }
        Ok(())
    }

    fn carried(&mut self, number: usize) -> io::Result<()> {
        if let Some(stored) = self.couriers[number].turn()? {
            self.spool.give_up(stored)?;
            self.idle.push(number);
            self.dispatch()?;
        }
        Ok(())
    }
}
