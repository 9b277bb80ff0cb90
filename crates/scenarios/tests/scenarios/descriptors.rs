//! Daemons without a free descriptor: clients wait, nothing spins, the log does not grow, and no mail is left lying.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use scenarios::scenario;
use testing::Setup;
use testing::maildir::Mail;
use testing::process::Process;
use testing::wait::{PATIENCE, until_true};

/// Programs that this thread starts have one processor: master starts one worker for many clients.
fn on_one_processor() {
    let this = Pid::from_raw(0);
    let available = sched_getaffinity(this).expect("processors");
    let first = (0..CpuSet::count()).find(|cpu| available.is_set(*cpu).unwrap_or(false)).expect("a processor");
    let mut one = CpuSet::new();
    one.set(first).expect("a processor");
    sched_setaffinity(this, &one).expect("one processor");
}

/// The process has as many descriptors as it has open now, and some more. Nothing happens when it has just ended.
fn limit_descriptors(process: &Process, more: usize) {
    if let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", process.pid)) {
        allow_descriptors(process, open.count() + more);
    }
}

/// Another soft limit. Its own user may say so.
fn allow_descriptors(process: &Process, count: usize) {
    let Some((uid, gid)) = process.effective_ids() else { return };
    let mut command = Command::new("prlimit");
    command.args(["--pid", &process.pid.to_string(), &format!("--nofile={count}:")]).uid(uid).gid(gid);
    let set = command.output().expect("prlimit").status.success();
    assert!(set || Process::of_pid(process.pid).is_none(), "{process:?}");
}

fn greeting(client: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    client.read_line(&mut line).expect("greeting");
    assert!(line.starts_with("220 "), "{line}");
}

#[test]
fn clients_that_find_no_descriptor_wait_for_one_and_the_log_says_so_once_a_second() {
    scenario(|| {
        on_one_processor();
        let mail = Setup::new().set("smtpd_client_connection_count_limit", "0").start();
        let connect = || BufReader::new(TcpStream::connect(mail.v4()).expect("connected"));
        let mut first = connect();
        greeting(&mut first);
        let workers = mail.processes_of("smtpd");
        assert_eq!(workers.len(), 1);
        limit_descriptors(&workers[0], 3);
        let since = Instant::now();
        let clients: Vec<_> = (0..20).map(|_| connect()).collect();
        mail.wait_log(&["warning: accept connection: Too many open files"]);
        let count = clients.len();
        for mut client in clients {
            greeting(&mut client);
            client.get_mut().write_all(b"QUIT\r\n").expect("sent");
        }
        // One line a second, and none of a turn of the loop: each end of a session may be followed by one attempt too
        // many.
        let lines = mail.log().matches("accept connection: Too many open files").count();
        let allowed = usize::try_from(since.elapsed().as_secs()).unwrap_or(0) + 2;
        assert!(lines <= allowed, "{lines} lines for {count} clients");
    });
}

#[test]
fn mail_that_a_daemon_has_no_descriptor_for_is_delivered_when_there_are_some_again() {
    scenario(|| {
        on_one_processor();
        let mut setup = Setup::new();
        for name in ["minimal_backoff_time", "maximal_backoff_time", "queue_run_delay", "transport_retry_time"] {
            setup = setup.set(name, "1s");
        }
        let mail = setup.set("service_throttle_time", "1s").start();
        let send = |subject: &str| mail.sendmail(&["alice@mail.test"], &format!("Subject: {subject}\n\nbody\n"));
        send("every daemon runs");
        mail.wait_mail("alice", 1);
        let mut sent = 1;
        for program in ["qmgr", "cleanup", "trivial-rewrite", "local"] {
            for more in 0..3 {
                let told = |log: String| ["Too many open files", "fatal: "].map(|text| log.matches(text).count());
                let before = told(mail.log());
                let limited = mail.processes_of(program);
                limited.iter().for_each(|process| limit_descriptors(process, more));
                send(program);
                sent += 1;
                let arrived = || Mail::count(&mail.maildir("alice")) == sent;
                assert!(until_true(PATIENCE, || told(mail.log()) != before || arrived()), "{program} {more}");
                limited.iter().for_each(|process| allow_descriptors(process, 1000));
                let flush = || mail.run("postqueue", &["-f"]);
                assert!(
                    until_true(PATIENCE, || flush().status.success() && arrived()),
                    "{program} {more}:\n{}",
                    mail.log()
                );
            }
        }
    });
}

#[test]
fn a_list_of_the_queue_that_showq_has_no_descriptors_for_is_no_empty_queue() {
    scenario(|| {
        on_one_processor();
        let mail = Setup::new().set("defer_transports", "local").start();
        mail.sendmail(&["alice@mail.test"], "Subject: waits\n\nbody\n");
        mail.wait_log(&["status=deferred"]);
        assert!(mail.output("postqueue", &["-p"]).contains("alice@mail.test"));
        for more in 1..5 {
            mail.processes_of("showq").iter().for_each(|process| limit_descriptors(process, more));
            let listed = mail.run("postqueue", &["-p"]);
            let text = String::from_utf8_lossy(&listed.stdout).into_owned();
            assert!(text.contains("alice@mail.test") || !listed.status.success(), "{more}: {text}");
        }
    });
}

#[test]
fn a_limit_that_is_too_low_for_the_process_limits_is_told_at_start() {
    scenario(|| {
        on_one_processor();
        let mut mail = Setup::new().build();
        let postfix = mail.command("postfix");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "ulimit -n 100; exec \"$@\"", "sh"]).arg(postfix.get_program()).args(postfix.get_args());
        command.envs(postfix.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let started = command.arg("start").output().expect("postfix");
        assert!(started.status.success(), "{started:?}");
        mail.adopt();
        let line =
            mail.wait_log(&["warning: the limit of 100 open descriptors lets a worker serve 38 clients at a time"]);
        assert!(line.contains("raise the limit"), "{line}");
        // Who fits is served.
        let mut client = BufReader::new(TcpStream::connect(mail.v4()).expect("connected"));
        greeting(&mut client);
    });
}
