//! `cargo xtask run`: the mail system as a private program of one user, its log on the terminal, until Ctrl-C.
//!
//! With `--check` nobody has to look: messages go in by every way, and their arrival is waited for.

mod check;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use testing::accounts::is_root;

use crate::demo::{Demo, Role};
use crate::failure::{Failure, Outcome};
use crate::programs::{self, Profile};
use crate::workspace;

#[derive(clap::Args)]
pub struct Options {
    /// The folder of the mail system: configuration, queue, mail
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Port of the SMTP server on 127.0.0.1 and [::1]
    #[arg(long, default_value_t = 2525)]
    port: u16,
    /// Send messages by all ways, wait for them, stop
    #[arg(long)]
    check: bool,
    /// Build without optimisation: quicker to build, slower to run
    #[arg(long)]
    dev: bool,
}

pub fn run(options: &Options) -> Outcome {
    let signals = signals()?;
    eprintln!("building ...");
    let built = programs::build(if options.dev { Profile::Dev } else { Profile::Release })?;
    let folder = folder(options.dir.as_deref())?;
    let programs = if is_root() { programs::reachable(&built, &folder.join("programs"))? } else { built };
    if options.check {
        return check::run(&folder, options.port, &programs);
    }
    let role = Role { destination: "mail.test, localhost", relayhost: "" };
    let mut demo = Demo::make(&folder, options.port, &programs, &role, true)?;
    demo.start()?;
    introduce(&demo);
    until_signal(&signals, &mut demo)?;
    eprintln!("stopping ...");
    demo.stop()
}

/// What `--check` does, on programs for tests, on a free port, in a folder below `scratch`.
pub fn check(scratch: &Path) -> Outcome {
    let folder = scratch.join("check");
    let port = testing::port::Port::reserve();
    let programs = programs::reachable(&programs::build(Profile::Dev)?, &folder.join("programs"))?;
    let folder = self::folder(Some(&folder))?;
    check::run(&folder, port.number(), &programs)
}

/// The folder, absolute; the default is left for one below /tmp when root builds where its substitute cannot read.
fn folder(chosen: Option<&Path>) -> Outcome<PathBuf> {
    let default = workspace::target().join("run");
    let folder = match chosen {
        Some(folder) => std::path::absolute(folder)?,
        None if is_root() && !programs::is_reachable(&default) => std::env::temp_dir().join("postfix-rs-run"),
        None => default,
    };
    if is_root() && !programs::is_reachable(&folder) {
        return Err(Failure(format!("{}: `nobody`, as whom root runs this, cannot reach it", folder.display())));
    }
    std::fs::create_dir_all(&folder).map_err(|e| Failure::about(folder.display(), e))?;
    Ok(folder.canonicalize()?)
}

fn introduce(demo: &Demo) {
    let sendmail = demo.programs.join("sendmail");
    eprintln!("\nThe mail system runs. Send a message, in another terminal:");
    eprintln!("  cargo xtask send 127.0.0.1:{} alice@mail.test      # SMTP over IPv4", demo.port);
    eprintln!("  cargo xtask send [::1]:{} bob@mail.test            # SMTP over IPv6", demo.port);
    let config = demo.folder.join("etc");
    let set = format!("MAIL_CONFIG={}", config.display());
    // The programs refuse to run as root for a mail system that is `nobody`'s.
    let sender = if demo.is_of_nobody() { format!("runuser -u nobody -- env {set}") } else { set };
    eprintln!("  echo hello | {sender} {} carol@mail.test", sendmail.display());
    eprintln!("Mail for any user of mail.test appears in {}/new. Ctrl-C stops everything.\n", demo.maildir().display());
}

/// Ctrl-C and its kin, as a channel. Blocked in all threads of this process.
fn signals() -> Outcome<Receiver<Signal>> {
    let set = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    set.thread_block().map_err(|e| Failure::about("signal mask", e))?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        while let Ok(signal) = set.wait() {
            if sender.send(signal).is_err() {
                std::process::exit(130);
            }
        }
    });
    Ok(receiver)
}

fn until_signal(signals: &Receiver<Signal>, demo: &mut Demo) -> Outcome {
    loop {
        match signals.recv_timeout(Duration::from_millis(500)) {
            Ok(_) => return Ok(()),
            Err(RecvTimeoutError::Timeout) if demo.has_ended() => return Err(demo.failure("master has ended")),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Failure("no more signals".to_owned())),
        }
    }
}
