//! What daemons need from outside of the queue directory, which is all that they see: the system's log, sockets of
//! other programs, tables that appear.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Setup, SystemLog, World};

fn wait_for_line(log: &SystemLog, part: &str) {
    let found = until_true(PATIENCE, || log.lines(0).iter().any(|line| line.contains(part)));
    assert!(found, "no line with {part}: {:#?}", log.lines(0));
}

#[test]
fn the_lines_of_running_daemons_reach_a_system_log_that_was_started_again() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let log = world.system_log();
        let mut mail = Setup::new().set("maillog_file", "").build();
        let started = mail.run("postfix", &["start"]);
        assert!(started.status.success(), "{started:?}");
        mail.adopt();
        let mut client = Client::greet(mail.v4()).expect("connected");
        wait_for_line(&log, "connect from unknown[127.0.0.1]");
        let log = log.restart();
        client.command("QUIT").expect("reply");
        wait_for_line(&log, "disconnect from unknown[127.0.0.1]");
        mail.sendmail(&["-f", "bob@mail.test", "alice@mail.test"], "Subject: x\n\nbody\n");
        for daemon in ["pickup[", "cleanup[", "qmgr[", "local["] {
            wait_for_line(&log, daemon);
        }
    });
}

/// An LMTP server that takes one message.
fn serve_lmtp(listener: &UnixListener) {
    let (stream, _) = listener.accept().expect("client");
    let mut reader = BufReader::new(stream);
    let say = |reader: &mut BufReader<_>, text: &str| {
        let stream: &mut std::os::unix::net::UnixStream = reader.get_mut();
        stream.write_all(text.as_bytes()).expect("reply");
    };
    say(&mut reader, "220 store LMTP\r\n");
    let (mut line, mut in_data) = (String::new(), false);
    while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
        let command = line.trim_end().to_ascii_uppercase();
        line.clear();
        match (in_data, command.split(' ').next().unwrap_or_default()) {
            (true, ".") => {
                in_data = false;
                say(&mut reader, "250 2.0.0 kept\r\n");
            }
            (true, _) => {}
            (false, "DATA") => {
                in_data = true;
                say(&mut reader, "354 go\r\n");
            }
            (false, "QUIT") => return say(&mut reader, "221 bye\r\n"),
            (false, _) => say(&mut reader, "250 ok\r\n"),
        }
    }
}

#[test]
fn mail_reaches_a_store_whose_socket_is_anywhere_on_the_machine() {
    scenario(|| {
        let mut mail = Setup::new().service("lmtp unix - - n - - lmtp").build();
        let path = mail.folder().join("store");
        let listener = UnixListener::bind(&path).expect("socket");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("mode");
        let server = std::thread::spawn(move || serve_lmtp(&listener));
        mail.set("mailbox_transport", &format!("lmtp:unix:{}", path.display()));
        mail.set("alias_maps", "");
        mail.set("local_recipient_maps", "");
        mail.start();
        mail.sendmail(&["-f", "bob@mail.test", "root@mail.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["to=<root@mail.test>", &format!("relay=mail.test[{}]", path.display()), "status=sent"]);
        server.join().expect("server");
    });
}

#[test]
fn a_table_that_appears_is_used() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let table = mail.etc().join("late/access");
        mail.set("smtpd_client_restrictions", &format!("check_client_access texthash:{}", table.display()));
        mail.set("smtpd_delay_reject", "yes");
        mail.start();
        let rcpt = || {
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.command("MAIL FROM:<x@client.test>").expect("reply");
            client.command("RCPT TO:<alice@mail.test>").expect("reply")
        };
        assert_eq!(rcpt().code, 451);
        std::fs::create_dir(table.parent().expect("folder")).expect("folder");
        std::fs::write(&table, "127.0.0.1 OK\n").expect("table");
        assert!(until_true(PATIENCE, || rcpt().code == 250), "{}", mail.log());
    });
}
