//! Many clients at once: everything is delivered, and memory stays small.

use std::net::TcpStream;

use scenarios::scenario;
use testing::maildir::Mail;
use testing::process::Process;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Setup};

const IDLE: usize = 500;
const CONNECTIONS: usize = 50;
const MESSAGES: usize = 2_000;
const BODY: usize = 10 * 1024;
const MEMORY: u64 = 100 << 20;

#[test]
fn a_client_that_comes_when_all_places_were_taken_gets_the_settings_for_stress() {
    scenario(|| {
        // A service for the machine itself knows no stress: this one is open to others too, with two places.
        let mut mail = Setup::new().build();
        let (own, open) =
            (format!("127.0.0.1:{} inet n - n - -", mail.port()), format!("0.0.0.0:{} inet n - n - 2", mail.port()));
        let master_cf = mail.etc().join("master.cf");
        let text = std::fs::read_to_string(&master_cf).expect("master.cf");
        testing::setup::write_old(&master_cf, &text.replace(&own, &open));
        mail.start();
        let first = Client::greet(mail.v4()).expect("greeted");
        let mut second = Client::greet(mail.v4()).expect("greeted");
        mail.wait_log(&["has reached its process limit \"2\""]);
        drop(first);
        let mut stressed = Client::greet(mail.v4()).expect("greeted");
        // smtpd_hard_error_limit is 1 under stress.
        assert_eq!(stressed.command("BOGUS").expect("reply").code, 500);
        assert_eq!(stressed.reply().expect("reply").code, 421);
        second.command("QUIT").expect("reply");
    });
}

#[test]
fn no_process_waits_for_a_place_at_a_service_that_others_keep_connections_to() {
    scenario(|| {
        // Each of these clients has a process of its own, which keeps its connection to the rewrite service.
        let mut mail = Setup::new().set("process_session_limit", "1").build();
        let master_cf = mail.etc().join("master.cf");
        let text = std::fs::read_to_string(&master_cf).expect("master.cf");
        let is_rewrite = |line: &str| line.starts_with("rewrite ");
        let few =
            |line: &str| if is_rewrite(line) { "rewrite unix - - n - 2 trivial-rewrite" } else { line }.to_owned();
        assert!(text.lines().any(is_rewrite), "{text}");
        testing::setup::write_old(&master_cf, &text.lines().map(|line| few(line) + "\n").collect::<String>());
        mail.start();
        let mut clients: Vec<_> = (0..5).map(|_| Client::greet(mail.v4()).expect("greeted")).collect();
        for client in &mut clients {
            assert_eq!(client.command("EHLO client.test").expect("a reply").code, 250);
            assert_eq!(client.command("MAIL FROM:<a@client.test>").expect("a reply").code, 250);
            assert_eq!(client.command("RCPT TO:<alice@mail.test>").expect("a reply").code, 250);
        }
    });
}

#[test]
fn two_thousand_messages_beside_five_hundred_idle_clients_stay_below_100_mib() {
    scenario(|| {
        let mail =
            Setup::new().set("default_process_limit", "600").set("smtpd_client_connection_count_limit", "0").start();
        let idle: Vec<TcpStream> = (0..IDLE)
            .map(|n| TcpStream::connect(if n % 2 == 0 { mail.v4() } else { mail.v6() }).expect("connected"))
            .collect();
        let body = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n".repeat(BODY / 64);
        let mut most = 0;
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CONNECTIONS)
                .map(|client| {
                    let (body, server) = (&body, if client % 2 == 0 { mail.v6() } else { mail.v4() });
                    scope.spawn(move || {
                        let mut session = Client::greet(server).expect("connected");
                        for number in 0..MESSAGES / CONNECTIONS {
                            let text = format!("Message-Id: <{number}.{client}@load.test>\n\n{body}");
                            let reply = session.send("a@client.test", &["alice@mail.test"], &text).expect("sent");
                            assert_eq!(reply.code, 250, "{reply:?}");
                        }
                    })
                })
                .collect();
            while clients.iter().any(|c| !c.is_finished()) {
                most = most.max(memory(&mail.processes()));
                std::thread::park_timeout(std::time::Duration::from_millis(100));
            }
        });
        let folder = mail.maildir("alice");
        let arrived = until_true(PATIENCE * 4, || {
            most = most.max(memory(&mail.processes()));
            Mail::count(&folder) >= MESSAGES
        });
        assert!(arrived, "{} of {MESSAGES} messages delivered", Mail::count(&folder));
        assert_eq!(idle.len(), IDLE);
        eprintln!("most memory: {} KiB in {} processes", most >> 10, mail.processes().len());
        assert!(most < MEMORY, "{} KiB", most >> 10);
    });
}

/// Resident memory of all processes together, shared pages counted once.
fn memory(processes: &[Process]) -> u64 {
    processes.iter().map(Process::proportional).sum()
}
