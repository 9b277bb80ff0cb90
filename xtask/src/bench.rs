//! `cargo xtask bench`: what mail costs here and in C Postfix, measured in turn on this machine.
//!
//! Each row is a file; what rows share is how they are repeated (`rounds`), what they show (`figures`) and the traffic
//! that they make. Nothing here changes what it measures: both systems get the same settings, from `testing::Setup`.

mod accept;
mod calls;
mod connection;
mod crowd;
mod curves;
mod dead_queue;
mod deferred;
mod figures;
mod floor;
mod guard;
mod idle;
mod large;
mod machine;
mod page;
mod picture;
mod racing;
mod recipients;
mod relay;
mod rounds;
mod start;
mod tables;
mod tls;
mod traffic;
mod usage;

use std::path::PathBuf;

use clap::ValueEnum;
use testing::Programs;
use testing::accounts::is_root;

use crate::failure::{Failure, Outcome};
use crate::packages::{self, Tool};
use crate::programs::{self, Profile};
use crate::{accounts, oracle};
use figures::{Figure, Measured};
pub use floor::{Options as FloorOptions, run as run_floor};
use rounds::{Side, System};

#[derive(clap::Args)]
pub struct Options {
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    systems: Systems,
    /// How often each system is measured, in turn; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Also write all values to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keep the values in docs/performance, and write the page and the pictures again
    #[arg(long)]
    write: bool,
    /// A tenth of all sizes, and one round: a few minutes for all
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    sizes: Sizes,
}

/// How much is measured.
#[derive(clap::Args, Clone)]
struct Sizes {
    /// Messages of relay and connection; large takes a quarter
    #[arg(long, default_value_t = 2_000)]
    messages: usize,
    /// Sessions at once that send them
    #[arg(long, default_value_t = 20)]
    sessions: usize,
    /// Also count system calls, with strace, in a run of its own
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    calls: bool,
    /// Show system calls by program and by name
    #[arg(long)]
    detail: bool,
    /// Sessions of idle and accept
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
    /// Deferred messages in the queue
    #[arg(long, default_value_t = 20_000)]
    deferred: usize,
    /// The same at the end of its curve
    #[arg(long, default_value_t = 100_000)]
    most_deferred: usize,
    /// The same with C Postfix, of which a flush takes several times as long
    #[arg(long, default_value_t = 100_000)]
    most_deferred_of_postfix: usize,
    /// Entries of a table that is made
    #[arg(long, default_value_t = 1_000_000)]
    entries: usize,
    /// Look-ups in a table
    #[arg(long, default_value_t = 20_000)]
    queries: usize,
    /// Sessions at the end of their curve
    #[arg(long, default_value_t = 10_000)]
    most_sessions: usize,
    /// The same with C Postfix, which has a process for each
    #[arg(long, default_value_t = 1_000)]
    most_sessions_of_postfix: usize,
    /// Recipients at the end of their curve
    #[arg(long, default_value_t = 100_000)]
    most_recipients: usize,
    /// How many IPv6 addresses swallow everything, in turn (racing)
    #[arg(long, value_delimiter = ',', default_values_t = [0, 1, 8])]
    swallowed: Vec<usize>,
}

impl Sizes {
    fn quick(&self) -> Sizes {
        let tenth = |size: usize| (size / 10).max(1);
        Sizes {
            messages: tenth(self.messages),
            clients: tenth(self.clients),
            deferred: tenth(self.deferred),
            most_deferred: tenth(self.most_deferred),
            most_deferred_of_postfix: tenth(self.most_deferred_of_postfix),
            entries: tenth(self.entries),
            queries: tenth(self.queries),
            most_sessions: tenth(self.most_sessions),
            most_sessions_of_postfix: tenth(self.most_sessions_of_postfix),
            most_recipients: tenth(self.most_recipients),
            ..self.clone()
        }
    }
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Every row but racing
    All,
    /// 1 KiB messages over 20 sessions, relayed to one sink
    Relay,
    /// The same with a connection for each message
    Connection,
    /// Messages of 100 KiB
    Large,
    /// One message to 1,000 recipients of one destination
    Recipients,
    /// Memory of sessions that wait
    Idle,
    /// 1,000 connections at once to a system that has just started
    Accept,
    /// A queue of deferred messages: listed, flushed, held, released, requeued
    Deferred,
    /// Growth with sessions, deferred messages, recipients and cores
    Curves,
    /// Tables: made, and asked
    Tables,
    /// Handshakes with clients and with the next hop
    Tls,
    /// How long commands take to start
    Start,
    /// One message to a server whose IPv6 addresses swallow everything, and whose IPv4 address works
    Racing,
    /// What a relay costs at least: a program that does only its file and socket work
    Floor,
    /// System calls and context switches of a message here, held to bounds (`cargo xtask test` does it)
    Guard,
}

/// Those of `all`, in the order of the page.
const ROWS: [What; 12] = [
    What::Relay,
    What::Floor,
    What::Connection,
    What::Large,
    What::Recipients,
    What::Idle,
    What::Accept,
    What::Deferred,
    What::Tables,
    What::Tls,
    What::Start,
    What::Curves,
];

pub fn run(options: &Options) -> Outcome {
    if is_root() {
        accounts::ensure()?;
    }
    packages::ensure(&[Tool::Program { name: "strace", package: "strace" }])?;
    if options.what == What::Guard {
        return guard::run(&options.systems.ours()?);
    }
    machine::raise_open_files()?;
    let load = machine::load();
    let bench = Bench {
        load,
        systems: options.systems.prepare()?,
        rounds: if options.quick { 1 } else { options.rounds.max(1) },
        sizes: if options.quick { options.sizes.quick() } else { options.sizes.clone() },
    };
    let rows = if options.what == What::All { &ROWS[..] } else { &[options.what] };
    let mut all = Vec::new();
    for row in rows {
        let measured = bench.row(*row)?;
        measured.print();
        if options.write {
            page::keep(&measured)?;
        }
        all.push(measured);
    }
    match &options.json {
        Some(file) => figures::write(file, &all),
        None => Ok(()),
    }
}

/// What every row is measured with.
struct Bench {
    systems: Vec<System>,
    rounds: usize,
    sizes: Sizes,
    /// What else the machine had to do, before this began.
    load: f64,
}

impl Bench {
    fn row(&self, row: What) -> Outcome<Measured> {
        let (date, load) = (machine::date()?, self.load);
        let (title, figures) = match row {
            What::Relay => relay::measure(self)?,
            What::Floor => floor::measure(self)?,
            What::Connection => connection::measure(self)?,
            What::Large => large::measure(self)?,
            What::Recipients => recipients::measure(self)?,
            What::Idle => idle::measure(self)?,
            What::Accept => accept::measure(self)?,
            What::Deferred => deferred::measure(self)?,
            What::Curves => curves::measure(self)?,
            What::Tables => tables::measure(self)?,
            What::Tls => tls::measure(self)?,
            What::Start => start::measure(self)?,
            What::Racing => racing::measure(self)?,
            What::All | What::Guard => return Err(Failure("no row".to_owned())),
        };
        Ok(Measured {
            row: name(row),
            title,
            date,
            load,
            command: command_line(),
            machine: machine::describe()?,
            figures,
        })
    }
}

/// A row's title and what it has shown.
type Row = (String, Vec<Figure>);

fn name(what: What) -> String {
    what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The command as it was typed, without what names folders of this machine.
fn command_line() -> String {
    let mut words = vec!["cargo xtask".to_owned()];
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--programs" | "--json" => drop(arguments.next()),
            _ => words.push(word),
        }
    }
    words.join(" ")
}

/// The mail systems that are measured.
#[derive(clap::Args)]
struct Systems {
    /// A folder with our programs, built before
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Only one of the two
    #[arg(long)]
    only: Option<Only>,
}

/// Which is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    Ours,
    Oracle,
}

impl Systems {
    /// Ours first.
    fn prepare(&self) -> Outcome<Vec<System>> {
        let mut systems = Vec::new();
        if self.only != Some(Only::Oracle) {
            systems.push(System { side: Side::Ours, programs: self.ours()? });
        }
        if self.only != Some(Only::Ours) {
            let root = oracle::prepare(oracle::Version::Reference)?.root;
            let programs = Programs::of_oracle(&root).ok_or_else(|| Failure("no C Postfix".to_owned()))?;
            systems.push(System { side: Side::Postfix, programs });
        }
        Ok(systems)
    }

    fn ours(&self) -> Outcome<Programs> {
        let built = self.programs.as_ref().map(std::path::absolute);
        let folder = built.map_or_else(|| programs::build(Profile::Release), |given| Ok(given?))?;
        Ok(Programs::of_folder(&folder))
    }
}
