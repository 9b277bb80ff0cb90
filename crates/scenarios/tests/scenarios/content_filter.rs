//! Mail that goes through a filter and comes back: by a command and by SMTP, for all mail or for some of it.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use scenarios::scenario;
use testing::port::Port;
use testing::{Client, Instance, Setup};

/// What an SMTP server that takes filtered mail back has in master.cf.
const BACK: &str = "-o content_filter= -o smtpd_helo_restrictions= -o smtpd_client_restrictions= \
    -o smtpd_sender_restrictions= -o smtpd_relay_restrictions= -o smtpd_data_restrictions= \
    -o smtpd_recipient_restrictions=permit_mynetworks,reject -o mynetworks=127.0.0.0/8 \
    -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters \
    -o smtpd_authorized_xforward_hosts=127.0.0.0/8";

/// A filter that speaks SMTP: it passes on what it hears to the server behind it, with one header more, and the replies
/// back.
fn smtp_filter(behind: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", behind)) else { continue };
            let (from_server, to_client) =
                (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
            thread::spawn(move || pass(from_server, to_client, |bytes| bytes.to_vec()));
            thread::spawn(move || pass(client, server, mark));
        }
    });
    port
}

fn pass(mut from: TcpStream, mut to: TcpStream, change: impl Fn(&[u8]) -> Vec<u8>) {
    let mut buffer = [0; 16384];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || to.write_all(&change(&buffer[..count])).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// The start of a message gets a header.
fn mark(bytes: &[u8]) -> Vec<u8> {
    let is_content = bytes.starts_with(b"Received: ");
    if is_content { [b"X-Scanned: yes\r\n", bytes].concat() } else { bytes.to_vec() }
}

fn send(mail: &Instance, to: &str, subject: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    client.command("EHLO client.test").expect("a reply");
    let text = format!("Subject: {subject}\n\n.dot\nlast\n");
    let reply = client.send("s@x.test", &[to], &text).expect("a reply");
    reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"))
}

#[test]
fn mail_goes_through_a_filter_that_speaks_smtp_and_its_origin_is_known_behind_it() {
    scenario(|| {
        let back = Port::reserve();
        let filter = smtp_filter(back.number());
        let setup = Setup::new()
            .set("content_filter", format!("scan:[127.0.0.1]:{filter}"))
            .service(
                "scan unix - - n - 10 smtp -o smtp_send_xforward_command=yes -o disable_mime_output_conversion=yes",
            )
            .service(&format!("127.0.0.1:{} inet n - n - 10 smtpd {BACK}", back.number()));
        let mail = setup.start();
        let id = send(&mail, "alice@mail.test", "one");
        let delivered = mail.wait_mail("alice", 1);
        assert_eq!(delivered[0].header("X-Scanned").as_deref(), Some("yes"));
        assert!(delivered[0].body().contains(".dot\nlast"), "{}", delivered[0].body());
        let line = mail.wait_log(&[&id, "relay=127.0.0.1[127.0.0.1]:", "status=sent (250 2.0.0 "]);
        assert!(line.contains("to=<alice@mail.test>"), "{line}");
        let line = mail.wait_log(&["client=", &format!("orig_queue_id={id}")]);
        assert!(line.contains("orig_client=unknown[127.0.0.1]"), "{line}");
        // What does not come from outside goes the same way; what the system makes itself does not.
        mail.sendmail(&["-f", "bob@mail.test", "nobodyatall@mail.test"], "Subject: two\n\nx\n");
        let returned = mail.wait_mail("bob", 1);
        assert_eq!(returned[0].header("X-Scanned"), None);
        mail.wait_idle();
        assert_eq!(mail.log().matches("postfix/scan").count(), 0);
    });
}

#[test]
fn mail_goes_through_a_command_that_sends_it_on() {
    scenario(|| {
        if !testing::accounts::is_root() {
            eprintln!("left out: only root delivers as other users");
            return;
        }
        let back = Port::reserve();
        let mut mail = Setup::new().set("content_filter", "filter:dummy").build();
        let open = mail.folder().join("open");
        fs::create_dir(&open).expect("a directory");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("open to all");
        let script = open.join("script");
        // Who has "virus" in a message gets it back; who asks the filter to wait waits.
        let text = format!(
            "#!/bin/sh\ncd {} || exit 75\ntrap 'rm -f in.$$' 0 1 2 3 15\ncat >in.$$ || exit 75\n\
             grep -q virus in.$$ && {{ echo 5.7.1 no viruses; exit 69; }}\n\
             grep -q busy in.$$ && exit 75\n\
             sender=$2; shift 3\n\
             {{ echo 'X-Filtered: by a command'; cat in.$$; }} >in.$$.new && mv in.$$.new in.$$\n\
             exec swaks --silent 3 --server 127.0.0.1 --port {} --from \"$sender\" \
             --to \"$(echo \"$*\" | tr ' ' ,)\" --data @in.$$ >/dev/null\n",
            open.display(),
            back.number()
        );
        fs::write(&script, text).expect("a program");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("made executable");
        let command = format!("argv={} -f ${{sender}} -- ${{recipient}}", script.display());
        mail.add_service(&format!("filter unix - n n - 10 pipe flags=Rq user=games null_sender= {command}"));
        mail.add_service(&format!("127.0.0.1:{} inet n - n - 10 smtpd {BACK}", back.number()));
        mail.start();
        send(&mail, "alice@mail.test", "clean");
        let delivered = mail.wait_mail("alice", 1);
        assert_eq!(delivered[0].header("X-Filtered").as_deref(), Some("by a command"));
        assert_eq!(delivered[0].header("Subject").as_deref(), Some("clean"));
        let id = send(&mail, "alice@mail.test", "virus");
        mail.wait_log(&[&id, "relay=filter", "dsn=5.7.1, status=bounced (no viruses )"]);
        let id = send(&mail, "alice@mail.test", "busy");
        mail.wait_log(&[&id, "relay=filter", "dsn=4.3.0, status=deferred (temporary failure)"]);
    });
}

#[test]
fn only_mail_that_a_table_names_goes_through_a_filter() {
    scenario(|| {
        let back = Port::reserve();
        let filter = smtp_filter(back.number());
        let action = format!("FILTER scan:[127.0.0.1]:{filter}");
        let mut mail = Setup::new()
            .set(
                "smtpd_recipient_restrictions",
                format!("check_recipient_access inline:{{ {{bob@mail.test={action}}} }}"),
            )
            .service("scan unix - - n - 10 smtp")
            .service(&format!("127.0.0.1:{} inet n - n - 10 smtpd {BACK}", back.number()))
            .build();
        let checks = mail.etc().join("checks");
        testing::setup::write_old(&checks, &format!("/^Subject: odd/ {action}\n/^Subject: wrong/ FILTER nowhere\n"));
        mail.set("header_checks", &format!("regexp:{}", checks.display()));
        mail.start();
        for (to, subject, scanned) in
            [("alice", "plain", None), ("bob", "plain", Some("yes")), ("carol", "odd", Some("yes"))]
        {
            send(&mail, &format!("{to}@mail.test"), subject);
            let delivered = mail.wait_mail(to, 1);
            assert_eq!(delivered[0].header("X-Scanned").as_deref(), scanned, "{to}");
        }
        send(&mail, "alice@mail.test", "wrong");
        let delivered = mail.wait_mail("alice", 2);
        assert!(delivered.iter().all(|mail| mail.header("X-Scanned").is_none()));
        mail.wait_log(&["warning: ", "need transport:destination"]);
    });
}
