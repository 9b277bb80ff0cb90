//! Who a client is, and how much it may do: anvil's limits, XCLIENT, XFORWARD, the dialogue in the log; BDAT.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scenarios::scenario;
use testing::milter::{Filter, Script, say};
use testing::programs::oracle_version;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup};

/// A mail system whose limits hold for the local host.
fn limited(name: &str, value: &str) -> Setup {
    Setup::new().set("smtpd_client_event_limit_exceptions", "").set(name, value)
}

fn greeting(mail: &Instance) -> String {
    Client::connect(mail.v4()).expect("connected").greeting().last()
}

const WELCOME: &str = "220 mail.test ESMTP Postfix";
const TOO_MANY: &str = "421 4.7.0 mail.test Error: too many connections from 127.0.0.1";

#[test]
fn a_client_has_as_many_connections_as_it_may_and_no_more() {
    scenario(|| {
        let mail = limited("smtpd_client_connection_count_limit", "2").start();
        let mut first = Client::connect(mail.v4()).expect("connected");
        let second = Client::connect(mail.v4()).expect("connected");
        assert_eq!(greeting(&mail), TOO_MANY);
        let service = format!("for service 127.0.0.1:{}", mail.port());
        mail.wait_log(&["warning: Connection concurrency limit exceeded: 3 from unknown[127.0.0.1]", &service]);
        first.command("QUIT").expect("reply");
        assert!(until_true(PATIENCE, || greeting(&mail) == WELCOME));
        drop(second);
    });
}

#[test]
fn the_connections_of_a_server_process_that_dies_are_free_again() {
    scenario(|| {
        let mail = limited("smtpd_client_connection_count_limit", "1").start();
        // A process that dies before it has served its first client would hold the service up.
        Client::connect(mail.v4()).expect("connected").command("QUIT").expect("reply");
        mail.wait_log(&["smtpd", "disconnect from unknown[127.0.0.1] quit=1"]);
        let held = Client::connect(mail.v4()).expect("connected");
        for process in mail.processes_of("smtpd") {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        let free = || Client::connect(mail.v4()).is_ok_and(|client| client.greeting().last() == WELCOME);
        assert!(until_true(PATIENCE, free), "the place of a dead process stays taken");
        drop(held);
    });
}

#[test]
fn a_client_that_connects_too_often_is_turned_away() {
    scenario(|| {
        let mail = limited("smtpd_client_connection_rate_limit", "2").start();
        let said: Vec<String> = (0..4).map(|_| greeting(&mail)).collect();
        assert_eq!(said, [WELCOME, WELCOME, TOO_MANY, TOO_MANY]);
        mail.wait_log(&["warning: Connection rate limit exceeded: 4 from unknown[127.0.0.1] for service"]);
    });
}

#[test]
fn messages_and_recipients_have_limits_of_their_own() {
    scenario(|| {
        let mail =
            limited("smtpd_client_message_rate_limit", "2").set("smtpd_client_recipient_rate_limit", "3").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut say = |line: &str| client.command(line).expect("reply").last();
        for _ in 0..2 {
            assert_eq!(say("MAIL FROM:<a@client.test>"), "250 2.1.0 Ok");
            assert_eq!(say("RCPT TO:<alice@mail.test>"), "250 2.1.5 Ok");
            assert_eq!(say("RSET"), "250 2.0.0 Ok");
        }
        assert_eq!(say("MAIL FROM:<a@client.test>"), "450 4.7.1 Error: too much mail from 127.0.0.1");
        mail.wait_log(&["warning: Message delivery request rate limit exceeded: 3 from unknown[127.0.0.1]"]);
        let mail = limited("smtpd_client_recipient_rate_limit", "1").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut say = |line: &str| client.command(line).expect("reply").last();
        say("MAIL FROM:<a@client.test>");
        assert_eq!(say("RCPT TO:<alice@mail.test>"), "250 2.1.5 Ok");
        assert_eq!(say("RCPT TO:<alice@mail.test>"), "450 4.7.1 Error: too many recipients from 127.0.0.1");
        mail.wait_log(&["warning: Recipient address rate limit exceeded: 2 from unknown[127.0.0.1]"]);
    });
}

#[test]
fn clients_that_are_excepted_have_no_limits() {
    scenario(|| {
        let setup = limited("smtpd_client_connection_rate_limit", "1");
        let mail = setup.set("smtpd_client_event_limit_exceptions", "192.0.2.0/24, 127.0.0.0/8").start();
        assert!((0..4).all(|_| greeting(&mail) == WELCOME));
        let mut over_v6 = (0..2).map(|_| Client::connect(mail.v6()).expect("connected").greeting().code);
        assert_eq!((over_v6.next(), over_v6.next()), (Some(220), Some(421)));
    });
}

#[test]
fn a_lost_anvil_stops_no_mail() {
    scenario(|| {
        let mail = limited("smtpd_client_message_rate_limit", "50").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        assert_eq!(client.send("a@client.test", &["alice@mail.test"], "Subject: x\n\ny\n").expect("reply").code, 250);
        for process in mail.processes_of("anvil") {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        for _ in 0..3 {
            let mut other = Client::greet(mail.v4()).expect("connected");
            for session in [&mut client, &mut other] {
                let reply = session.send("a@client.test", &["alice@mail.test"], "Subject: x\n\ny\n").expect("reply");
                assert_eq!(reply.code, 250);
            }
        }
    });
}

#[test]
fn anvil_reports_the_highest_counts_with_whose_they_were() {
    scenario(|| {
        let setup = limited("smtpd_client_message_rate_limit", "50").set("anvil_status_update_time", "1s");
        let mail = setup.set("anvil_rate_time_unit", "1s").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("MAIL FROM:<a@client.test>").expect("reply");
        let whose = format!("for (127.0.0.1:{}:127.0.0.1) at ", mail.port());
        for what in ["connection rate 1/1s ", "connection count 1 ", "message rate 1/1s "] {
            mail.wait_log(&["postfix/anvil", &format!("statistics: max {what}{whose}")]);
        }
        mail.wait_log(&["statistics: max cache size 1 at "]);
    });
}

/// A mail system that lets the local host be anybody, and say where its mail comes from.
fn trusting() -> Setup {
    Setup::new()
        .set("smtpd_authorized_xclient_hosts", "127.0.0.1")
        .set("smtpd_authorized_xforward_hosts", "127.0.0.1")
        .set("smtpd_delay_reject", "yes")
}

#[test]
fn xclient_makes_the_client_another_one_for_rules_log_and_header() {
    scenario(|| {
        let mail = trusting().set("smtpd_client_restrictions", "check_client_access inline:{10.9.9.9=REJECT}").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut say = |line: &str| client.command(line).expect("reply").last();
        assert_eq!(say("XCLIENT NAME=cl.example ADDR=2001:db8:7::9"), "501 5.5.4 Bad ADDR syntax: 2001:db8:7::9");
        assert_eq!(say("XCLIENT NAME=cl.example ADDR=IPv6:2001:DB8:7:0::9"), WELCOME);
        assert_eq!(say("XCLIENT ADDR=127.0.0.1"), "550 5.7.0 Error: insufficient authorization");
        say("EHLO there.test");
        assert_eq!(client.send("a@client.test", &["alice@mail.test"], "Subject: x\n\ny\n").expect("reply").code, 250);
        mail.wait_log(&[": client=cl.example[2001:db8:7::9]"]);
        let received = &mail.wait_mail("alice", 1)[0].0;
        assert!(received.contains("from there.test (cl.example [IPv6:2001:db8:7::9])"), "{received}");
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut say = |line: &str| client.command(line).expect("reply").last();
        assert_eq!(say("XCLIENT NAME=[UNAVAILABLE] ADDR=10.9.9.9"), WELCOME);
        say("EHLO there.test");
        say("MAIL FROM:<a@client.test>");
        let expected = "554 5.7.1 <unknown[10.9.9.9]>: Client host rejected: Access denied";
        assert_eq!(say("RCPT TO:<alice@mail.test>"), expected);
        say("QUIT");
        mail.wait_log(&["disconnect from unknown[10.9.9.9] ehlo=2 xclient=0/1 mail=1 rcpt=0/1 quit=1 commands=4/6"]);
    });
}

#[test]
fn a_filter_knows_the_client_that_xclient_names_by_address_and_user() {
    scenario(|| {
        let filter = Filter::start(Script::new().at('M', [say("r")]));
        let mail =
            trusting().set("smtpd_milters", filter.endpoint()).set("milter_connect_macros", "{client_addr}").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("XCLIENT NAME=cl.example ADDR=IPv6:2001:db8:7::9 LOGIN=bob").expect("reply");
        client.command("EHLO there.test").expect("reply");
        let refused = client.command("MAIL FROM:<a@client.test>").expect("reply").last();
        assert_eq!(refused, "550 5.7.1 Command rejected");
        filter.wait_heard("DC{client_addr}|IPv6:2001:db8:7::9|");
        if oracle_version().as_deref() != Some("3.7") {
            mail.wait_log(&[
                "milter-reject: MAIL from cl.example[2001:db8:7::9]: ",
                " helo=<there.test> sasl_username=<bob>",
            ]);
        }
    });
}

#[test]
fn a_client_that_xclient_puts_outside_is_no_longer_excepted_from_the_rules_of_line_ends() {
    scenario(|| {
        let mail = trusting()
            .set("smtpd_forbid_bare_newline", "reject")
            .set("smtpd_forbid_bare_newline_exclusions", "127.0.0.1")
            .start();
        for (address, code) in [("127.0.0.1", 250), ("10.1.2.3", 550)] {
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.command(&format!("XCLIENT ADDR={address}")).expect("reply");
            client.command("EHLO there.test").expect("reply");
            for line in ["MAIL FROM:<a@client.test>", "RCPT TO:<alice@mail.test>", "DATA"] {
                client.command(line).expect("reply");
            }
            assert_eq!(client.command("Subject: x\r\n\r\na\nb\r\n.").expect("reply").code, code, "{address}");
        }
    });
}

#[test]
fn xforward_names_the_client_of_an_earlier_server_in_the_log() {
    scenario(|| {
        let mail = trusting().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut say = |line: &str| client.command(line).expect("reply").last();
        assert_eq!(say("XFORWARD NAME=fw.example ADDR=IPV6:zz"), "501 5.5.4 Bad ADDR syntax: IPV6:zz");
        assert_eq!(say("XFORWARD NAME=fw.example ADDR=IPV6:2001:db8:7::9 HELO=fh IDENT=ABC123"), "250 2.0.0 Ok");
        assert_eq!(client.send("a@client.test", &["alice@mail.test"], "Subject: x\n\ny\n").expect("reply").code, 250);
        let origin = "client=unknown[127.0.0.1], orig_queue_id=ABC123, orig_client=fw.example[2001:db8:7::9]";
        mail.wait_log(&[origin]);
        assert_eq!(client.send("b@client.test", &["alice@mail.test"], "Subject: x\n\ny\n").expect("reply").code, 250);
        assert_eq!(mail.log().matches("orig_client").count(), 1);
        // smtpd_client_port_logging
        let mail = trusting().set("smtpd_client_port_logging", "yes").start();
        for (port, shown) in [(" PORT=9", "9"), ("", "unknown")] {
            let mut client = Client::greet(mail.v4()).expect("connected");
            let said = client.command(&format!("XFORWARD NAME=fw.example ADDR=10.1.2.3{port}")).expect("reply");
            assert_eq!(said.code, 250);
            client.send("a@client.test", &["alice@mail.test"], "Subject: x\n\ny\n").expect("reply");
            mail.wait_log(&[&format!(", orig_client=fw.example[10.1.2.3]:{shown}")]);
        }
    });
}

#[test]
fn the_client_of_the_first_server_is_known_at_the_last_one() {
    scenario(|| {
        let last = trusting().start();
        let relay = format!("[127.0.0.1]:{}", last.port());
        let first = trusting().set("relayhost", relay).set("smtp_send_xforward_command", "yes");
        let first = first.set("mydestination", "").set("mynetworks", "127.0.0.0/8 [2001:db8::]/32").start();
        let mut client = Client::greet(first.v4()).expect("connected");
        client.command("XCLIENT NAME=cl.example ADDR=IPV6:2001:db8:7::9 PORT=77").expect("reply");
        client.command("EHLO there.test").expect("reply");
        let reply = client.send("a@client.test", &["alice@mail.test"], "Subject: x\n\ny\n").expect("reply");
        let id = reply.queue_id().expect("queued");
        let origin = format!("orig_queue_id={id}, orig_client=cl.example[2001:db8:7::9]");
        last.wait_log(&["client=unknown[127.0.0.1]", &origin]);
        last.wait_mail("alice", 1);
    });
}

#[test]
fn the_dialogue_with_a_peer_of_debug_peer_list_is_in_the_log() {
    scenario(|| {
        let mail = Setup::new().set("debug_peer_list", "127.0.0.1").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("NOOP").expect("reply");
        for line in ["> unknown[127.0.0.1]: 220 mail.test ESMTP Postfix", "< unknown[127.0.0.1]: EHLO client.test"] {
            mail.wait_log(&[line]);
        }
        mail.wait_log(&["< unknown[127.0.0.1]: NOOP"]);
        mail.wait_log(&["> unknown[127.0.0.1]: 250 2.0.0 Ok"]);
        Client::greet(mail.v6()).expect("connected").command("VRFY x").expect("reply");
        assert!(!mail.log().contains("VRFY x"));
    });
}

#[test]
fn a_message_in_chunks_arrives_as_one_after_data_does() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let long = "x".repeat(5000);
        let text = format!("Subject: chunks\r\n\r\n.\r\n..two\r\n{long}\r\nlast");
        let (head, tail) = text.split_at(3001);
        let wire = format!(
            "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@mail.test>\r\nBDAT {}\r\n{head}BDAT {}\r\n{tail}BDAT 0 LAST\r\n",
            head.len(),
            tail.len()
        );
        client.write(wire.as_bytes()).expect("sent");
        let mut replies = (0..5).map(|_| client.reply().expect("reply").last());
        assert_eq!(replies.next().as_deref(), Some("250 2.1.0 Ok"));
        assert_eq!(replies.next().as_deref(), Some("250 2.1.5 Ok"));
        assert_eq!(replies.next(), Some("250 2.0.0 Ok: 3001 bytes".to_owned()));
        assert_eq!(replies.next(), Some(format!("250 2.0.0 Ok: {} bytes", tail.len())));
        // Two for the end of the last line, and two for each piece of the long one.
        let last = replies.next().unwrap_or_default();
        assert!(last.starts_with(&format!("250 2.0.0 Ok: {} bytes queued as ", text.len() + 6)), "{last}");
        let raw = &mail.wait_mail("alice", 1)[0].0;
        assert!(raw.contains("Subject: chunks\n"), "{raw}");
        assert!(raw.ends_with(&format!("\n\n.\n..two\n{long}\nlast\n")), "{raw}");
    });
}

#[test]
fn a_bad_chunk_spoils_its_message_and_no_other() {
    scenario(|| {
        let mail = Setup::new().set("message_size_limit", "1000").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let envelope = "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@mail.test>\r\n";
        let large = "y".repeat(1400);
        let wire =
            format!("{envelope}BDAT 1400\r\n{large}BDAT 3\r\nabcBDAT 0 LAST\r\n{envelope}BDAT 6 LAST\r\nX: y\r\n");
        client.write(wire.as_bytes()).expect("sent");
        let replies: Vec<String> = (0..8).map(|_| client.reply().expect("reply").last()).collect();
        assert_eq!(replies[2], "552 5.3.4 Chunk exceeds message size limit");
        assert_eq!(replies[3], "551 5.0.0 Discarded 3 bytes after earlier error");
        assert_eq!(replies[4], "551 5.0.0 Discarded 0 bytes after earlier error");
        assert!(replies[7].starts_with("250 2.0.0 Ok: 6 bytes queued as "), "{replies:?}");
        client.write(b"BDAT FOO\r\n").expect("sent");
        assert_eq!(client.reply().expect("reply").last(), "521 5.5.4 Syntax: BDAT count [LAST]");
        assert!(client.reply().is_err(), "the session goes on");
    });
}

#[test]
fn the_answer_to_a_chunk_comes_behind_it_and_nobody_waits_for_much_more_than_a_message() {
    scenario(|| {
        let mail = Setup::new().set("message_size_limit", "1000").start();
        let envelope = "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@mail.test>\r\n";
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.write(format!("{envelope}BDAT 1001\r\n{}", "y".repeat(1000)).as_bytes()).expect("sent");
        let replies: Vec<u16> = (0..2).map(|_| client.reply().expect("reply").code).collect();
        assert_eq!(replies, [250, 250]);
        client.write(b"yNOOP\r\n").expect("sent");
        assert_eq!(client.reply().expect("reply").last(), "552 5.3.4 Chunk exceeds message size limit");
        assert_eq!(client.reply().expect("reply").code, 250);
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.write(format!("{envelope}BDAT 1501\r\n").as_bytes()).expect("sent");
        let replies: Vec<String> = (0..3).map(|_| client.reply().expect("reply").last()).collect();
        assert_eq!(replies[2], "552 5.3.4 Chunk exceeds message size limit");
        assert!(client.reply().is_err(), "the session goes on");
        mail.wait_log(&["warning: ", ": too much BDAT content -- disabling further input from "]);
    });
}
