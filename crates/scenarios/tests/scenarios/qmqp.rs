//! QMQP: whole messages from machines of our own, and an answer to each.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use scenarios::scenario;
use testing::milter::{Filter, Script, say};
use testing::port::Port;
use testing::process::Process;
use testing::qmqp::{self, netstring, request};
use testing::{Instance, Setup};

const MESSAGE: &str = "Subject: hello\n\nbody\n";
const SENDER: &str = "list@far.test";

/// A mail system with a QMQP server.
struct Server {
    mail: Instance,
    port: Port,
}

impl Server {
    /// The server has these options; whoever is on this machine may use it, and nobody waits for a "no".
    fn start(setup: Setup, options: &[&str]) -> Server {
        let port = Port::reserve();
        let options: String = options.iter().map(|option| format!(" -o {{ {option} }}")).collect();
        let line = |host: &str| format!("{host}:{} inet n - n - - qmqpd{options}", port.number());
        let setup = setup.service(&line("127.0.0.1")).service(&line("[::1]"));
        let setup = setup.set("qmqpd_authorized_clients", "127.0.0.0/8 [::1]").set("qmqpd_error_delay", "0");
        Server { mail: setup.start(), port }
    }

    fn v4(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    fn v6(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.port.number()).into()
    }

    /// The answer to a message for alice.
    fn send(&self, content: impl AsRef<[u8]>) -> String {
        qmqp::send(self.v4(), content, SENDER, &["alice@mail.test"])
    }

    /// The answer to these bytes.
    fn say(&self, bytes: &[u8]) -> String {
        qmqp::say(self.v4(), bytes).unwrap_or_else(|error| panic!("{}: {error}", bytes.escape_ascii()))
    }
}

/// The queue id in an answer.
fn queue_id(answer: &str) -> String {
    let id = answer.strip_prefix("KOk: queued as ");
    id.unwrap_or_else(|| panic!("not taken: {answer}")).to_owned()
}

#[test]
fn a_message_is_delivered_over_either_address_family_and_the_log_names_its_client() {
    scenario(|| {
        let server = Server::start(Setup::new(), &[]);
        for (address, user, client, literal) in
            [(server.v4(), "alice", "[127.0.0.1]", "[127.0.0.1]"), (server.v6(), "bob", "[::1]", "[IPv6:::1]")]
        {
            let recipient = format!("{user}@mail.test");
            let id = queue_id(&qmqp::send(address, MESSAGE, SENDER, &[&recipient]));
            let mail = server.mail.wait_mail(user, 1).remove(0);
            assert_eq!((mail.header("Subject").as_deref(), mail.body()), (Some("hello"), "body\n"));
            assert_eq!(mail.header("Return-Path").as_deref(), Some("<list@far.test>"));
            let received = mail.header("Received").unwrap_or_default();
            let hop = format!("{literal}) by mail.test (Postfix) with QMQP id {id} for <{recipient}>; ");
            assert!(received.starts_with("from ") && received.contains(&hop), "{received}");
            server.mail.wait_log(&["qmqpd[", ": connect from ", client]);
            let line = server.mail.wait_log(&["qmqpd[", &format!(": {id}: client="), client]);
            assert!(line.ends_with(client), "{line}");
            server.mail.wait_log(&["qmqpd[", ": disconnect from ", client]);
        }
    });
}

#[test]
fn all_recipients_of_a_message_get_it_and_its_trace_names_none_of_them() {
    scenario(|| {
        let server = Server::start(Setup::new(), &[]);
        let recipients = ["alice@mail.test", "bob@mail.test", "carol@mail.test"];
        let id = queue_id(&qmqp::send(server.v4(), MESSAGE, SENDER, &recipients));
        for user in ["alice", "bob", "carol"] {
            let received = server.mail.wait_mail(user, 1).remove(0).header("Received").unwrap_or_default();
            assert!(received.contains(&format!(") by mail.test (Postfix) with QMQP id {id}; ")), "{received}");
        }
        server.mail.wait_log(&[&id, "qmgr[", "from=<list@far.test>", "nrcpt=3"]);
    });
}

#[test]
fn a_request_that_is_none_is_answered_with_what_is_wrong_and_where() {
    scenario(|| {
        let server = Server::start(Setup::new(), &[]);
        let good = request(MESSAGE, SENDER, &["alice@mail.test"]);
        let within = |parts: &[&[u8]]| netstring(parts.concat());
        let message = netstring(MESSAGE);
        let format = "netstring format error while receiving ";
        let cases: &[(&[u8], &str, &str)] = &[
            (b"hello", format, "QMQP packet header"),
            (b"-5:", format, "QMQP packet header"),
            (b" 5:", format, "QMQP packet header"),
            (b"5,", format, "QMQP packet header"),
            (b"99999999999999999999:", "netstring length exceeds storage limit while receiving ", "QMQP packet header"),
            (b"0:,", format, "message content"),
            (&within(&[b"5:hellox"]), format, "message content"),
            (&within(&[&message]), format, "sender address"),
            (&within(&[&message, b"3:a@bx"]), format, "sender address"),
            (&[&good[..good.len() - 1], b"x"].concat(), format, "recipient address"),
            (&within(&[&message, b"3:a@b,3:c@dx"]), format, "recipient address"),
        ];
        for (bytes, what, part) in cases {
            assert_eq!(server.say(bytes), format!("D{what}{part}"), "{}", bytes.escape_ascii());
            server.mail.wait_log(&["qmqpd[", "[127.0.0.1]: ", what, part]);
        }
        assert_eq!(server.mail.wait_mail("alice", 0).len(), 0);
        // The server is none the worse for it.
        queue_id(&server.say(&good));
        server.mail.wait_mail("alice", 1);
    });
}

#[test]
fn what_is_odd_about_a_request_and_can_be_understood_is_passed_over() {
    scenario(|| {
        let server = Server::start(Setup::new(), &[]);
        let good = request(MESSAGE, SENDER, &["alice@mail.test"]);
        let colon = good.iter().position(|byte| *byte == b':').expect("a colon");
        let with = |header: &str| [header.as_bytes(), &good[colon..]].concat();
        let odd = [
            [&good[..], b"more"].concat(),
            [b"000000000000000000000000000", &good[..]].concat(),
            with("9223372036854775807"),
            with("5"),
            with(""),
        ];
        for bytes in &odd {
            queue_id(&server.say(bytes));
        }
        server.mail.wait_mail("alice", odd.len());
    });
}

#[test]
fn a_client_that_goes_or_says_nothing_leaves_no_message_behind() {
    scenario(|| {
        let server = Server::start(Setup::new(), &["qmqpd_timeout = 2s"]);
        let good = request(MESSAGE, SENDER, &["alice@mail.test"]);
        for (count, part) in [
            (0, "QMQP packet header"),
            (1, "QMQP packet header"),
            (15, "message content"),
            (35, "sender address"),
            (good.len() - 3, "recipient address"),
            (good.len() - 1, "recipient address"),
        ] {
            let heard = qmqp::say_and_end(server.v4(), &good[..count]).expect("an end");
            assert_eq!(heard, "", "{part}");
            server.mail.wait_log(&["[127.0.0.1]: lost connection while receiving ", part]);
        }
        for (count, part) in [(0, "QMQP packet header"), (15, "message content"), (good.len() - 1, "recipient address")]
        {
            assert_eq!(server.say(&good[..count]), "", "{part}");
            server.mail.wait_log(&["[127.0.0.1]: read/write timeout while receiving ", part]);
        }
        server.mail.wait_idle();
        for queue in ["incoming", "active", "deferred"] {
            assert_eq!(server.mail.queue_ids(queue), [""; 0]);
        }
    });
}

#[test]
fn a_message_or_an_address_beyond_its_limit_is_refused_before_it_is_read() {
    scenario(|| {
        let server = Server::start(Setup::new(), &["message_size_limit = 2000", "line_length_limit = 600"]);
        let too_long = |part: &str| format!("Dnetstring length exceeds storage limit while receiving {part}");
        let content = |length: usize| format!("Subject: x\n\n{}", "x\n".repeat(length))[..length].to_owned();
        queue_id(&server.send(content(2000)));
        assert_eq!(server.send(content(2001)), too_long("message content"));
        assert_eq!(server.say(b"5000:4000:"), too_long("message content"));
        let address = |length: usize| format!("{}@far.test", "a".repeat(length - "@far.test".len()));
        queue_id(&qmqp::send(server.v4(), MESSAGE, &address(600), &["alice@mail.test"]));
        let refused = qmqp::send(server.v4(), MESSAGE, &address(601), &["alice@mail.test"]);
        assert_eq!(refused, too_long("sender address"));
        let refused = qmqp::send(server.v4(), MESSAGE, SENDER, &["alice@mail.test", &address(601)]);
        assert_eq!(refused, too_long("recipient address"));
        server.mail.wait_mail("alice", 2);
        server.mail.wait_log(&["netstring length exceeds storage limit while receiving recipient address"]);
    });
}

/// What becomes of messages that cleanup has a word about, with `D` for what comes back under soft_bounce as `Z`.
fn judged(server: &Server, never: char) {
    let hops = format!("{}{MESSAGE}", "Received: by x\n".repeat(60));
    for (content, answer) in [
        ("Subject: reject\n\nb\n", "DError: 5.7.1 no thanks"),
        ("Subject: plain\n\nb\n", "DError: 5.7.1 message content rejected"),
        ("Subject: later\n\nb\n", "ZError: 4.7.1 not now"),
        (&hops, "DError: too many hops"),
    ] {
        let answer = answer.replacen('D', &never.to_string(), 1);
        assert_eq!(server.send(content), answer);
        server.mail.wait_log(&["qmqpd[", "warning: ", "[127.0.0.1]: ", &answer[1..]]);
    }
    let none = format!("{never}Error: no recipients specified");
    assert_eq!(qmqp::send(server.v4(), MESSAGE, SENDER, &[]), none);
    server.mail.wait_log(&["header Subject: reject from ", "[127.0.0.1]; from=<list@far.test>", "proto=QMQP: 5.7.1"]);
}

/// Header checks that refuse.
fn checked() -> Setup {
    let checks = "regexp:{{/^Subject: reject/ REJECT 5.7.1 no thanks}, {/^Subject: later/ REJECT 4.7.1 not now}, \
                  {/^Subject: plain/ REJECT}, {/^Subject: discard/ DISCARD gone}}";
    Setup::new().set("header_checks", checks)
}

#[test]
fn what_cleanup_refuses_is_refused_in_its_words() {
    scenario(|| {
        let server = Server::start(checked(), &[]);
        judged(&server, 'D');
        let id = queue_id(&server.send("Subject: discard\n\nb\n"));
        server.mail.wait_log(&[&id, "discard: header Subject: discard"]);
        server.mail.wait_idle();
        assert_eq!(server.mail.wait_mail("alice", 0).len(), 0);
    });
}

#[test]
fn under_soft_bounce_every_refusal_is_one_for_now() {
    scenario(|| {
        let server = Server::start(checked(), &["soft_bounce = yes"]);
        judged(&server, 'Z');
        assert_eq!(server.say(b"hello"), "Znetstring format error while receiving QMQP packet header");
    });
}

#[test]
fn what_the_queue_cannot_take_now_is_refused_for_now() {
    scenario(|| {
        let setup = Setup::new()
            .service("small unix n - n - 0 cleanup -o message_size_limit=1000")
            .service("broken unix n - n - 0 cleanup -o { virtual_alias_maps = fail:x }");
        let server = Server::start(setup, &["cleanup_service_name = broken"]);
        assert_eq!(server.send(MESSAGE), "ZError: queue file write error");
        let server = Server::start(
            Setup::new().service("small unix n - n - 0 cleanup -o message_size_limit=1000"),
            &["cleanup_service_name = small"],
        );
        assert_eq!(server.send("x\n".repeat(1000)), "DError: message too large");
    });
}

#[test]
fn who_is_not_listed_may_not_and_a_list_that_cannot_be_read_is_no_permission() {
    scenario(|| {
        for (list, answer) in [
            ("", "is not authorized to use this service"),
            ("192.0.2.0/24 [2001:db8::]/32", "is not authorized to use this service"),
            ("!127.0.0.1 0.0.0.0/0", "is not authorized to use this service"),
            ("fail:x", "ZError: server configuration error"),
        ] {
            let server = Server::start(Setup::new(), &[&format!("qmqpd_authorized_clients = {list}")]);
            let heard = server.send(MESSAGE);
            match answer.strip_prefix('Z') {
                Some(_) => assert_eq!(heard, answer, "{list}"),
                None => assert!(heard.starts_with("DError: ") && heard.ends_with(&format!("[127.0.0.1] {answer}"))),
            }
            server.mail.wait_log(&["qmqpd[", ": disconnect from ", "[127.0.0.1]"]);
            assert_eq!(server.mail.find_log(&["client="]), None, "{}", server.mail.log());
        }
        let server = Server::start(Setup::new(), &["qmqpd_authorized_clients = [::1]"]);
        assert!(server.send(MESSAGE).starts_with('D'));
        queue_id(&qmqp::send(server.v6(), MESSAGE, SENDER, &["alice@mail.test"]));
    });
}

#[test]
fn a_no_is_waited_for_and_nobody_else_waits() {
    scenario(|| {
        let server = Server::start(Setup::new(), &["qmqpd_error_delay = 1h"]);
        let mut refused = qmqp::connect(server.v4()).expect("connected");
        refused.write_all(b"hello").expect("written");
        server.mail.wait_log(&["client="]);
        queue_id(&server.send(MESSAGE));
        server.mail.wait_mail("alice", 1);
        refused.set_nonblocking(true).expect("a socket");
        let heard = refused.read(&mut [0; 9]).expect_err("nothing is said yet");
        assert_eq!(heard.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_list_that_asks_for_verp_has_a_sender_for_each_recipient() {
    scenario(|| {
        let server = Server::start(Setup::new(), &[]);
        let recipients = ["alice@mail.test", "bob@mail.test"];
        queue_id(&qmqp::send(server.v4(), MESSAGE, "list-@far.test-@[]", &recipients));
        for user in ["alice", "bob"] {
            let path = server.mail.wait_mail(user, 1).remove(0).header("Return-Path").unwrap_or_default();
            assert_eq!(path, format!("<list-{user}=mail.test@far.test>"));
        }
        let answer = qmqp::send(server.v4(), MESSAGE, "list/@far.test-@[]", &recipients);
        assert_eq!(answer, "DError: Invalid VERP delimiters: \"/=\". Need two characters from \"-=+\"");
        server.mail.wait_log(&["warning: ", "[127.0.0.1]: Error: Invalid VERP delimiters: \"/=\". Need two"]);
        // Too short for a list.
        queue_id(&qmqp::send(server.v4(), MESSAGE, "-@far.test-@[]", &["carol@mail.test"]));
        let path = server.mail.wait_mail("carol", 1).remove(0).header("Return-Path").unwrap_or_default();
        assert_eq!(path, "<\"-@far.test-\"@[]>");
    });
}

#[test]
fn an_address_ends_at_a_nul_and_a_line_end_in_it_is_a_blank() {
    scenario(|| {
        let server = Server::start(Setup::new(), &[]);
        queue_id(&qmqp::send(server.v4(), MESSAGE, "a\nb@far.test", &["alice@mail.test\0@elsewhere.test"]));
        let mail = server.mail.wait_mail("alice", 1).remove(0);
        assert_eq!(mail.header("Return-Path").as_deref(), Some("<\"a b\"@far.test>"));
        let received = mail.header("Received").unwrap_or_default();
        assert!(received.contains(" for <alice@mail.test>; "), "{received}");
        // Neither the header nor the log has a line that the client has made.
        queue_id(&qmqp::send(server.v4(), MESSAGE, SENDER, &["bob\r\nX-Evil: x@mail.test"]));
        server.mail.wait_log(&[": to=<\"bob  X-Evil: x\"@mail.test>", "status=bounced"]);
        server.mail.wait_log(&["to=<list@far.test>"]);
        assert_eq!(server.mail.log().lines().filter(|line| line.starts_with("X-Evil")).count(), 0);
    });
}

#[test]
fn the_content_arrives_line_by_line_as_it_was_sent() {
    scenario(|| {
        let server = Server::start(Setup::new(), &[]);
        let long = "x".repeat(5000);
        for (number, (content, body)) in [
            ("Subject: x\n\nlast line".to_owned(), "last line\n".to_owned()),
            ("Subject: x\n\n.\n..\n\n".to_owned(), ".\n..\n\n".to_owned()),
            (format!("Subject: x\n\n{long}\n{}\n", &long[..2048]), format!("{long}\n{}\n", &long[..2048])),
            (format!("Subject: x\n\n{}", &long[..4096]), format!("{}\n", &long[..4096])),
            ("Subject: x\n\nFrom here\n".to_owned(), "From here\n".to_owned()),
            ("no header\nat all\n".to_owned(), "no header\nat all\n".to_owned()),
            (" continued\nSubject: x\n".to_owned(), " continued\nSubject: x\n".to_owned()),
            (String::new(), String::new()),
        ]
        .into_iter()
        .enumerate()
        {
            queue_id(&server.send(content));
            let mails = server.mail.wait_mail("alice", number + 1);
            assert!(mails.iter().any(|mail| mail.body() == body), "{body:?} in {mails:?}");
        }
        queue_id(&qmqp::send(server.v4(), "From a@b Mon\nSubject: x\n\nb\n", "", &["bob@mail.test"]));
        let mail = server.mail.wait_mail("bob", 1).remove(0);
        assert_eq!(mail.header("X-Mailbox-Line").as_deref(), Some("From a@b Mon"));
        assert_eq!(mail.header("Return-Path").as_deref(), Some("<>"));
    });
}

#[test]
fn a_message_that_is_larger_than_what_is_kept_in_memory_arrives_whole() {
    scenario(|| {
        let server = Server::start(Setup::new(), &[]);
        let body: String = (0..150_000).map(|number| format!("line {number}\n")).collect();
        queue_id(&server.send(format!("Subject: large\n\n{body}")));
        let mail = server.mail.wait_mail("alice", 1).remove(0);
        assert!(mail.body() == body, "{} of {} bytes", mail.body().len(), body.len());
    });
}

/// The most memory that a process of the server has had.
fn peak(mail: &Instance) -> u64 {
    mail.processes_of("qmqpd").iter().filter_map(Process::peak).max().unwrap_or(0)
}

#[test]
fn no_client_makes_the_server_large() {
    scenario(|| {
        let server = Server::start(Setup::new(), &["message_size_limit = 0"]);
        queue_id(&server.send(MESSAGE));
        server.mail.wait_mail("alice", 1);
        let before = peak(&server.mail);
        let mut session = qmqp::connect(server.v4()).expect("connected");
        session.write_all(b"9000000000000000000:8000000000000000000:").expect("written");
        (0..1000).for_each(|_| session.write_all(&[b'x'; 64 << 10]).expect("written"));
        drop(session);
        server.mail.wait_log(&["lost connection while receiving message content"]);
        let recipients = vec!["alice@mail.test"; 50_000];
        let content = [&netstring(MESSAGE)[..], &netstring(SENDER)].concat();
        let addresses: Vec<u8> = recipients.iter().flat_map(netstring).collect();
        let heard = qmqp::say_and_end(server.v4(), &[b"9:", &content[..], &addresses].concat()).expect("an end");
        assert_eq!(heard, "");
        server.mail.wait_log(&["lost connection while receiving recipient address"]);
        let grown = peak(&server.mail).saturating_sub(before);
        assert!(grown < 4 << 20, "{grown} bytes more than {before}");
    });
}

#[test]
fn options_of_the_service_reach_the_message() {
    scenario(|| {
        let setup = checked();
        let options = ["content_filter = error:filtered", "receive_override_options = no_header_body_checks"];
        let server = Server::start(setup, &[&options[..], &["qmqpd_client_port_logging = yes"]].concat());
        let id = queue_id(&server.send("Subject: reject\n\nb\n"));
        server.mail.wait_log(&[&id, "to=<alice@mail.test>", "status=bounced (filtered)"]);
        let line = server.mail.wait_log(&["qmqpd[", &id, "client="]);
        let port = line.rsplit_once("[127.0.0.1]:").and_then(|(_, port)| port.parse::<u16>().ok());
        assert!(port.is_some(), "{line}");
    });
}

#[test]
fn filters_for_mail_that_comes_by_no_smtp_server_see_the_message() {
    scenario(|| {
        let filter = Filter::start(Script::new().at('E', [say("y551 5.7.9 go away\0")]));
        let server = Server::start(Setup::new().set("non_smtpd_milters", filter.endpoint()), &[]);
        assert_eq!(server.send(MESSAGE), "DError: 5.7.9 go away");
        server.mail.wait_log(&["milter-reject: END-OF-MESSAGE from ", "[127.0.0.1]: 5.7.9 go away;", "proto=QMQP"]);
        let server = Server::start(
            Setup::new().set("non_smtpd_milters", filter.endpoint()),
            &["receive_override_options = no_milters"],
        );
        queue_id(&server.send(MESSAGE));
        server.mail.wait_mail("alice", 1);
    });
}
