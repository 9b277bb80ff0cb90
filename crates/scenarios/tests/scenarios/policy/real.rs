//! Policy services that people use.

use std::process::{Child, Command, Stdio};

use scenarios::scenario;
use testing::accounts::is_root;
use testing::policy_server::of_program;
use testing::port::Port;
use testing::wait::{PATIENCE, until_true};
use testing::{Setup, Sink};

use super::{greet, rcpt, say};

/// A running postgrey.
struct Postgrey(Child);

impl Drop for Postgrey {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn postgrey_puts_a_stranger_off_and_then_lets_him_in() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: postgrey is started by root");
            return;
        }
        for is_unix in [false, true] {
            let port = Port::reserve();
            let mut mail = Setup::new().build();
            let data = mail.folder().join("postgrey");
            std::fs::create_dir(&data).expect("created");
            let socket = data.join("socket");
            let (place, server) = match is_unix {
                true => (format!("--unix={}", socket.display()), format!("unix:{}", socket.display())),
                false => (format!("--inet=127.0.0.1:{}", port.number()), format!("inet:127.0.0.1:{}", port.number())),
            };
            mail.set("smtpd_recipient_restrictions", &format!("check_policy_service {server}"));
            mail.start();
            let mut command = Command::new("postgrey");
            command.args([place, format!("--dbdir={}", data.display())]);
            command.args(["--user=root", "--group=root", "--delay=1", "--retry-window=1"]);
            command.args(["--auto-whitelist-clients=0"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let _postgrey = Postgrey(command.spawn().unwrap_or_else(|e| panic!("postgrey: {e}")));
            let listens = || match is_unix {
                true => std::os::unix::net::UnixStream::connect(&socket).is_ok(),
                false => std::net::TcpStream::connect(("127.0.0.1", port.number())).is_ok(),
            };
            assert!(until_true(PATIENCE, listens));
            let first = rcpt(mail.port());
            let greylisted = "450 4.2.0 <alice@mail.test>: Recipient address rejected: Greylisted";
            assert!(first.starts_with(greylisted), "{first}\n{}", mail.log());
            assert!(until_true(PATIENCE, || rcpt(mail.port()) == "250 2.1.5 Ok"), "{}", mail.log());
            greet(mail.port()).send("a@b.test", &["alice@mail.test"], "Subject: x\n\nbody\n").expect("sent");
            mail.wait_mail("alice", 1);
        }
    });
}

#[test]
fn policyd_spf_that_spawn_runs_marks_what_comes_from_this_machine() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: spawn gives its commands another user");
            return;
        }
        let service = "check_policy_service { unix:private/policyd-spf, timeout=60s }";
        let mut mail = Setup::new().set("smtpd_recipient_restrictions", service).build();
        let script = mail.etc().join("policyd-spf");
        let text = "import sys\nfrom spf_engine.policyd_spf import main\nsys.exit(main())\n";
        testing::setup::write_old(&script, text);
        mail.add_service(&format!(
            "policyd-spf unix - n n - 0 spawn user=games argv=/usr/bin/python3 {}",
            script.display()
        ));
        mail.start();
        greet(mail.port()).send("a@b.test", &["alice@mail.test"], "Subject: x\n\nbody\n").expect("sent");
        let message = mail.wait_mail("alice", 1).remove(0);
        assert!(message.0.contains("X-Comment: SPF "), "{}\n{}", message.0, mail.log());
    });
}

#[test]
fn policyd_spf_marks_what_comes_from_this_machine() {
    scenario(|| {
        let sink = Sink::v4();
        let name = of_program(|| {
            let mut command = Command::new("/usr/bin/python3");
            command.args(["-c", "import sys; from spf_engine.policyd_spf import main; sys.exit(main())"]);
            command.stderr(Stdio::null());
            command
        });
        let restrictions = format!("check_policy_service {name}");
        let mail =
            Setup::new().set("relayhost", sink.next_hop()).set("smtpd_recipient_restrictions", restrictions).start();
        greet(mail.port()).send("a@b.test", &["alice@mail.test"], "Subject: x\n\nbody\n").expect("sent");
        let message = mail.wait_mail("alice", 1).remove(0);
        assert!(message.0.contains("X-Comment: SPF "), "{}", message.0);
    });
}

#[test]
fn a_command_that_spawn_runs_is_a_policy_service() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: spawn gives its commands another user");
            return;
        }
        let mut mail =
            Setup::new().set("smtpd_recipient_restrictions", "check_policy_service unix:private/judge").build();
        let script = mail.etc().join("judge");
        let text = "while read -r line; do\n  case $line in\n    recipient=*) recipient=${line#recipient=} ;;\n    \
                    '') printf 'action=reject not for %s\\n\\n' \"$recipient\" ;;\n  esac\ndone\n";
        testing::setup::write_old(&script, text);
        mail.add_service(&format!("judge unix - n n - 0 spawn user=games argv=/bin/sh {}", script.display()));
        mail.start();
        let rejected =
            |who: &str| format!("554 5.7.1 <{who}@mail.test>: Recipient address rejected: not for {who}@mail.test");
        let mut client = greet(mail.port());
        assert_eq!(say(&mut client, "MAIL FROM:<a@b.test>"), "250 2.1.0 Ok");
        for who in ["alice", "bob"] {
            assert_eq!(say(&mut client, &format!("RCPT TO:<{who}@mail.test>")), rejected(who), "{}", mail.log());
        }
    });
}
