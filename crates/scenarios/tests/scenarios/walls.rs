//! The walls around every daemon: what the code of an attacker inside it could still do. System calls are made by the
//! running processes themselves.

use std::collections::BTreeMap;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use nix::libc;
use scenarios::scenario;
use testing::certificates::{Identity, Period};
use testing::inject::{Argument, Injected};
use testing::process::Process;
use testing::{Client, Instance, Setup, TlsClient, World, qmqp};

mod acts;

use Argument::{Bytes, Number};

use acts::{Act, acts, files, numbers, sockets};

/// Every daemon, by the name that its processes have.
const DAEMONS: [&str; 17] = [
    "smtpd",
    "qmqpd",
    "pickup",
    "cleanup",
    "trivial-rewrite",
    "qmgr",
    "smtp",
    "lmtp",
    "local",
    "error",
    "discard",
    "bounce",
    "showq",
    "anvil",
    "verify",
    "tlsmgr",
    "postlogd",
];
/// Those that speak with other hosts.
const ON_THE_NETWORK: [&str; 4] = ["smtpd", "qmqpd", "smtp", "lmtp"];
/// A mail system of which every daemon runs.
fn start() -> Instance {
    let transports = "inline:{ {error.test=error:no} {discard.test=discard:} {lmtp.test=lmtp:unix:/nowhere} }";
    let mut mail = Setup::new()
        .set("transport_maps", transports)
        .set("smtpd_client_event_limit_exceptions", "")
        .set("address_verify_poll_count", "1")
        .set("smtpd_recipient_restrictions", "warn_if_reject reject_unverified_recipient, permit")
        .set("smtpd_tls_security_level", "may")
        .service("lmtp unix - - n - - lmtp")
        .service("discard unix - - n - - discard")
        // In a world of its own.
        .service("127.0.0.1:628 inet n - n - - qmqpd")
        .set("qmqpd_error_delay", "0")
        .build();
    let identity = Identity::self_signed(&["mx.mail.test"], Period::Current);
    let chain = mail.etc().join("chain.pem");
    std::fs::write(&chain, format!("{}{}", identity.key_pem(), identity.certificates_pem())).expect("a file");
    mail.set("smtpd_tls_chain_files", &chain.to_string_lossy());
    mail.start();
    let mut client = Client::greet(mail.v4()).expect("connected");
    client.starttls(&TlsClient::new()).expect("a handshake").expect("a session");
    drop(client);
    let mut client = Client::greet(mail.v4()).expect("connected");
    let asked = client.command("MAIL FROM:<bob@mail.test>").and_then(|_| client.command("RCPT TO:<alice@mail.test>"));
    assert_eq!(asked.expect("a reply").code, 250, "{}", mail.log());
    drop(client);
    let refused = qmqp::say(([127, 0, 0, 1], 628).into(), b"").expect("an answer");
    assert!(refused.ends_with("is not authorized to use this service"), "{refused}");
    for domain in ["mail.test", "error.test", "discard.test", "lmtp.test", "elsewhere.test"] {
        let recipient = format!("alice@{domain}");
        mail.sendmail(&["-f", "bob@mail.test", &recipient], "Subject: x\n\nbody\n");
        mail.wait_log(&[&format!("to=<{recipient}>"), "status="]);
    }
    mail.wait_log(&["to=<bob@mail.test>", "status=sent"]);
    mail.output("mailq", &[]);
    mail
}

/// Its processes that have walls: all but master and the processes that become users.
fn walled(mail: &Instance) -> Vec<Process> {
    let root = ["--steward", "--carrier", "--keeper"];
    let is_walled = |process: &Process| !process.arguments().iter().any(|word| root.contains(&word.as_str()));
    mail.processes().into_iter().filter(|process| process.name != "master" && is_walled(process)).collect()
}

/// RLIMIT_NPROC.
fn most_processes(process: &Process) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.pid)).expect("limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max processes")).expect("a limit");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}

fn is_porter(process: &Process) -> bool {
    process.arguments().iter().any(|word| word == "--porter")
}

/// It stands beside a daemon, and is not in the queue directory.
fn is_beside(process: &Process) -> bool {
    is_porter(process) || process.arguments().iter().any(|word| word == "--scribe")
}

#[test]
fn every_daemon_is_without_rights_behind_its_walls() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let mail = start();
        let owner = mail.accounts().owner_uid.as_raw().to_string();
        let mut seen = Vec::new();
        for process in walled(&mail) {
            let facts = |key| process.status(key).unwrap_or_default();
            let ids: Vec<String> = facts("Uid").split_whitespace().map(str::to_owned).collect();
            assert_eq!(ids, vec![owner.clone(); 4], "{process:?}");
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert_eq!(facts(set), "0000000000000000", "{set} of {process:?}");
            }
            assert_eq!((facts("NoNewPrivs").as_str(), facts("Seccomp").as_str()), ("1", "2"), "{process:?}");
            assert!(most_processes(&process) <= 8192, "{process:?}");
            if !is_beside(&process) {
                assert_eq!(process.root(), Some(mail.queue()), "{process:?}");
                seen.push(process.name);
            }
        }
        for daemon in DAEMONS {
            assert!(seen.iter().any(|name| name == daemon), "{daemon} does not run: {seen:?}");
        }
    });
}

/// The keeper of private keys reads any file, and that is all that it can do.
#[test]
fn the_keeper_of_keys_can_read_and_nothing_else() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let mail = start();
        let is_keeper = |process: &Process| process.arguments().iter().any(|word| word == "--keeper");
        let keepers: Vec<Process> = mail.processes().into_iter().filter(is_keeper).collect();
        let [keeper] = keepers.as_slice() else { panic!("{keepers:?}") };
        for set in ["CapPrm", "CapEff"] {
            assert_eq!(keeper.status(set).as_deref(), Some("0000000000000004"), "CAP_DAC_READ_SEARCH alone");
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(keeper.status(set).as_deref(), Some("0000000000000000"), "{set}");
        }
        assert_eq!(keeper.status("NoNewPrivs").as_deref(), Some("1"));
        assert_eq!(keeper.status("Seccomp").as_deref(), Some("2"));
        let injected = Injected::attach(keeper.pid);
        let mut all = acts(i64::from(mail.master()));
        all.extend(sockets(false, false));
        let done: Vec<String> = all
            .into_iter()
            .filter_map(|Act(what, number, arguments)| {
                let result = injected.call(number, &arguments);
                (!is_refused(result)).then(|| format!("{what}: {result}"))
            })
            .collect();
        assert!(done.is_empty(), "{done:#?}");
    });
}

#[test]
fn no_daemon_can_do_what_it_has_no_business_doing() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let mail = start();
        let outside = mail.folder().join("somebody.sock");
        let _outside = UnixListener::bind(&outside).expect("socket");
        std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o777)).expect("mode");
        let abstract_name = SocketAddr::from_abstract_name(b"somebody").expect("name");
        let _abstract = UnixListener::bind_addr(&abstract_name).expect("socket");
        let mut processes: BTreeMap<String, Process> = BTreeMap::new();
        processes.extend(walled(&mail).into_iter().map(|process| (process.name.clone(), process)));
        let mut done: Vec<String> = Vec::new();
        for (name, process) in &processes {
            let victim = processes.values().find(|other| other.pid != process.pid).expect("another daemon").pid;
            let injected = Injected::attach(process.pid);
            let mut all = acts(i64::from(victim));
            all.extend(sockets(ON_THE_NETWORK.contains(&name.as_str()), is_porter(process)));
            all.extend(files(&mail, name));
            if !is_porter(process) {
                all.push(Act("map code".into(), libc::SYS_mmap, numbers(&[0, 4096, 5, 0x22, -1, 0])));
            }
            for Act(what, number, arguments) in all {
                let result = injected.call(number, &arguments);
                if !is_refused(result) {
                    done.push(format!("{name}: {what}: {result}"));
                }
            }
            if !is_beside(process) {
                done.extend(connections(&injected, &outside).iter().map(|what| format!("{name}: {what}")));
            }
        }
        assert!(done.is_empty(), "{done:#?}");
        // They are none the worse for it.
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.send("bob@mail.test", &["alice@mail.test"], "Subject: y\n\nbody\n").expect("sent");
        mail.wait_log(&[&reply.queue_id().expect("taken"), "status=sent"]);
    });
}

/// By a filter of system calls, by Landlock, or for want of the name behind the changed root directory.
fn is_refused(result: i64) -> bool {
    let errors = [libc::EPERM, libc::EACCES, libc::ENOSYS, libc::ENOENT];
    errors.iter().any(|error| result == -i64::from(*error))
}

/// Sockets of other programs: by a name in the file system, and by one that is in no file system.
fn connections(process: &Injected, path: &Path) -> Vec<String> {
    let address = |name: &[u8]| [&[1, 0], name].concat();
    let by_path = address(&[path.as_os_str().as_bytes(), b"\0"].concat());
    let mut done = Vec::new();
    for (what, address) in
        [("connect to a socket outside", by_path), ("connect to an abstract socket", address(b"\0somebody"))]
    {
        let socket = process.call(libc::SYS_socket, &numbers(&[libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0]));
        assert!(socket >= 0, "a Unix socket: {socket}");
        let result = process.call(libc::SYS_connect, &[Number(socket), Bytes(&address), Number(address.len() as i64)]);
        if !is_refused(result) {
            done.push(format!("{what}: {result}"));
        }
        process.call(libc::SYS_close, &[Number(socket)]);
    }
    done
}
