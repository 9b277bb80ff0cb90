//! A worker without a free descriptor: clients wait, nothing spins, and the log does not grow.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use scenarios::scenario;
use testing::Setup;
use testing::process::Process;

/// Programs that this thread starts have one processor: master starts one worker for many clients.
fn on_one_processor() {
    let this = Pid::from_raw(0);
    let available = sched_getaffinity(this).expect("processors");
    let first = (0..CpuSet::count()).find(|cpu| available.is_set(*cpu).unwrap_or(false)).expect("a processor");
    let mut one = CpuSet::new();
    one.set(first).expect("a processor");
    sched_setaffinity(this, &one).expect("one processor");
}

/// The process has as many descriptors as it has open now, and some more. Its own user may say so.
fn limit_descriptors(process: &Process, more: usize) {
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).expect("descriptors").count();
    let (uid, gid) = process.effective_ids().expect("ids");
    let mut command = Command::new("prlimit");
    command.args(["--pid", &process.pid.to_string(), &format!("--nofile={}", open + more)]).uid(uid).gid(gid);
    assert!(command.status().expect("prlimit").success());
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
        // One line a second, and none of a turn of the loop: each end of a session may be followed by one attempt too many.
        let lines = mail.log().matches("accept connection: Too many open files").count();
        let allowed = usize::try_from(since.elapsed().as_secs()).unwrap_or(0) + 2;
        assert!(lines <= allowed, "{lines} lines for {count} clients");
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
