//! `cargo xtask test`: unit tests, the porting checks that need no other toolchain, then the scenarios on our programs,
//! what a message costs there in system calls, then the same scenarios on each C Postfix.
//!
//! A step that fails does not keep the next from running; the last lines name what failed.

mod leftover;
mod report;
mod runner;
mod scratch;
mod strangers;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use testing::accounts::is_root;
use testing::exim::EXIM;
use testing::programs::{ORACLE, OURS, SCENARIOS_ON};

use crate::failure::Outcome;
use crate::oracle::{self, Unpacked, Version};
use crate::packages::{self, Tool};
use crate::programs::{self, Profile};
use crate::{accounts, install, porting, run, workspace};
use report::Report;
use scratch::Scratch;

/// Names the installation that scenarios about one look at.
const INSTALLED: &str = "POSTFIX_RS_INSTALLED";

/// Scenarios that run at the same time: most of the time they wait for a mail system that waits.
const SCENARIOS_A_CORE: usize = 3;

/// What tests call beside the mail system.
pub const TOOLS: [Tool; 29] = [
    Tool::Program { name: "strace", package: "strace" },
    Tool::Program { name: "swaks", package: "swaks" },
    // What swaks needs for IPv6.
    Tool::PerlModule { name: "IO::Socket::INET6", package: "libio-socket-inet6-perl" },
    // What swaks needs for TLS.
    Tool::PerlModule { name: "Net::SSLeay", package: "libnet-ssleay-perl" },
    Tool::Program { name: "dnsmasq", package: "dnsmasq-base" },
    Tool::Program { name: "ldns-signzone", package: "ldnsutils" },
    Tool::Program { name: "nsd", package: "nsd" },
    // What the script behind `postfix tls` of C Postfix runs.
    Tool::Program { name: "openssl", package: "openssl" },
    Tool::Program { name: "unbound", package: "unbound" },
    Tool::Program { name: "ip", package: "iproute2" },
    Tool::Program { name: "mkfs.ext2", package: "e2fsprogs" },
    Tool::Program { name: "dovecot", package: "dovecot-core" },
    Tool::Program { name: "procmail", package: "procmail" },
    Tool::Program { name: "maildrop", package: "maildrop" },
    Tool::Part { package: "dovecot-submissiond" },
    Tool::Part { package: "dovecot-lmtpd" },
    // Programs of users.
    Tool::Program { name: "curl", package: "curl" },
    Tool::Program { name: "msmtp", package: "msmtp" },
    Tool::Program { name: "python3", package: "python3" },
    // SCRAM of others, bound to TLS.
    Tool::Program { name: "gsasl", package: "gsasl" },
    Tool::Program { name: "gnutls-cli", package: "gnutls-bin" },
    Tool::Program { name: "node", package: "nodejs" },
    Tool::Part { package: "node-nodemailer" },
    // Policy services; that of the second is a part of it, for the package of the program wants Postfix installed.
    Tool::Program { name: "postgrey", package: "postgrey" },
    Tool::Part { package: "python3-spf-engine" },
    // Mail filters.
    Tool::Program { name: "opendkim", package: "opendkim" },
    Tool::Part { package: "python3-milter" },
    Tool::Program { name: "rspamd", package: "rspamd" },
    // The mechanisms of C Postfix, which come as plug-ins.
    Tool::Part { package: "libsasl2-modules" },
];

/// Runs everything, or the tests whose names contain `filter`.
pub fn all(filter: Option<&str>) -> Outcome {
    packages::ensure(&TOOLS)?;
    if is_root() {
        accounts::ensure()?;
    }
    let suite = Suite { scratch: Scratch::make()?, filter };
    let mut report = Report::default();
    report.step("unit tests", || suite.run(&["--workspace", "--exclude", "scenarios"], &[]));
    if filter.is_none_or(|word| "porting".contains(word)) {
        report.step("porting: kernel answers of other platforms, and methods in network namespaces", || {
            porting::tests().map(|()| Vec::new())
        });
    }
    // Some scenarios go from one mail system to the other.
    let reference = is_root().then(|| oracle::prepare(Version::Reference));
    report.step("scenarios on these programs", || match &reference {
        Some(Err(failure)) => Err(failure.clone()),
        Some(Ok(reference)) => suite.on_ours(Some(reference)),
        None => suite.on_ours(None),
    });
    report.step("one message by each way, not as root", || run::check(suite.scratch.folder()).map(|()| Vec::new()));
    if filter.is_none_or(|word| "bench".contains(word)) {
        report.step("bench: system calls and context switches of a message", || suite.guard());
    }
    for version in Version::ALL {
        let step = format!("scenarios on Postfix {version}");
        match is_root() {
            true => report.step(&step, || suite.on_oracle(&oracle::prepare(version)?)),
            false => println!("== left out, for it needs root: {step}"),
        }
    }
    suite.end(report)
}

/// Runs the scenarios on C Postfix.
pub fn on_oracle(oracle: &Unpacked, filter: Option<&str>) -> Outcome {
    let suite = Suite { scratch: Scratch::make()?, filter };
    let mut report = Report::default();
    report.step(&format!("scenarios on Postfix {}", oracle.release), || suite.on_oracle(oracle));
    suite.end(report)
}

/// Runs the tests that write down what they observe.
pub fn record(oracle: &Unpacked) -> Outcome {
    let suite = Suite { scratch: Scratch::make()?, filter: Some("as_recorded") };
    let mut report = Report::default();
    report.step(&format!("outcomes of Postfix {}", oracle.release), || {
        let environment = [suite.of_oracle(oracle)?, vec![("RECORD_ANSWERS", "yes".into())]].concat();
        suite.run(&["--package", "scenarios", "--test", "answers"], &environment)
    });
    suite.end(report)
}

/// One run: where its tests have their files, and which they are.
struct Suite<'a> {
    scratch: Scratch,
    filter: Option<&'a str>,
}

impl Suite<'_> {
    /// Runs the tests of some packages; the names of those that failed.
    fn run(&self, selection: &[&str], environment: &[(&str, OsString)]) -> Outcome<Vec<String>> {
        let scratch = ("TMPDIR", self.scratch.folder().as_os_str().to_owned());
        runner::run(selection, self.filter, &[environment, &[scratch]].concat())
    }

    /// Runs the scenarios.
    fn run_scenarios(&self, environment: &[(&str, OsString)]) -> Outcome<Vec<String>> {
        let threads: OsString = (cores() * SCENARIOS_A_CORE).to_string().into();
        let threads = ["NEXTEST_TEST_THREADS", "RUST_TEST_THREADS"].map(|name| (name, threads.clone()));
        let mut more = threads.to_vec();
        if is_root() {
            more.push((EXIM, strangers::exim()?.into_os_string()));
        }
        self.run(&["--package", "scenarios"], &[environment, &more].concat())
    }

    fn on_ours(&self, reference: Option<&Unpacked>) -> Outcome<Vec<String>> {
        let programs = self.build_programs()?;
        let mut environment = vec![(SCENARIOS_ON, "ours".into()), (OURS, programs.clone().into_os_string())];
        if is_root() {
            let installed = self.scratch.folder().join("installed");
            install::place_all(&installed, &programs)?;
            environment.push((INSTALLED, installed.into_os_string()));
        }
        if let Some(reference) = reference {
            environment.push((ORACLE, reference.root.clone().into_os_string()));
        }
        self.run_scenarios(&environment)
    }

    /// In a process of its own, whose temporary files are among those of the tests.
    fn guard(&self) -> Outcome<Vec<String>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "guard", "--programs"]).arg(self.build_programs()?);
        workspace::run(command.env("TMPDIR", self.scratch.folder())).map(|()| Vec::new())
    }

    fn on_oracle(&self, oracle: &Unpacked) -> Outcome<Vec<String>> {
        self.run_scenarios(&self.of_oracle(oracle)?)
    }

    fn of_oracle(&self, oracle: &Unpacked) -> Outcome<Vec<(&'static str, OsString)>> {
        Ok(vec![
            (SCENARIOS_ON, oracle.version.to_string().into()),
            (OURS, self.build_programs()?.into_os_string()),
            (ORACLE, oracle.root.clone().into_os_string()),
        ])
    }

    /// Builds the programs that scenarios run, where scenarios find them.
    fn build_programs(&self) -> Outcome<PathBuf> {
        programs::reachable(&programs::build(Profile::Dev)?, &self.scratch.folder().join("programs"))
    }

    fn end(self, mut report: Report) -> Outcome {
        report.step("processes left behind", || leftover::processes(self.scratch.folder()));
        let outcome = report.end();
        self.scratch.end(outcome.is_err());
        outcome
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
