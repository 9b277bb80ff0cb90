//! Policy services: what they are asked, what their answers do, and what becomes of mail where they do not answer.

mod broken;
mod real;

use scenarios::scenario;
use testing::policy_server::{Act, Question};
use testing::port::Port;
use testing::programs::oracle_version;
use testing::{Client, Instance, PolicyServer, Setup};

const MESSAGE: &str = "Subject: x\r\n\r\nhello\r\n.";

/// One server for each list of options, `name = value; name = value`.
fn servers(setup: Setup, options: &[String]) -> (Setup, Vec<Port>) {
    let ports: Vec<Port> = options.iter().map(|_| Port::reserve()).collect();
    let lines = ports.iter().zip(options).map(|(port, options)| {
        let options: Vec<String> = options.split("; ").map(|option| format!("-o {{ {option} }}")).collect();
        format!("127.0.0.1:{} inet n - n - - smtpd {}", port.number(), options.join(" "))
    });
    (lines.fold(setup, |setup, line| setup.service(&line)), ports)
}

/// A restriction about recipients that asks a service.
fn asks(service: &str) -> String {
    format!("smtpd_recipient_restrictions = check_policy_service {service}, permit")
}

fn greet(port: u16) -> Client {
    Client::greet(([127, 0, 0, 1], port).into()).expect("connected")
}

fn say(client: &mut Client, line: &str) -> String {
    client.command(line).map_or_else(|_| "closed".to_owned(), |reply| reply.last())
}

/// What a recipient is answered.
fn rcpt(port: u16) -> String {
    let mut client = greet(port);
    say(&mut client, "MAIL FROM:<a@b.test>");
    say(&mut client, "RCPT TO:<alice@mail.test>")
}

/// A mail system all of whose lists ask one service.
fn asking_everywhere(server: &PolicyServer) -> Instance {
    let mut setup = Setup::new().set("smtpd_delay_reject", "no");
    for list in ["client", "helo", "sender", "recipient", "data", "end_of_data"] {
        setup = setup.set(&format!("smtpd_{list}_restrictions"), format!("check_policy_service {}", server.name));
    }
    setup.start()
}

#[test]
fn every_stage_asks_with_every_attribute_in_its_order() {
    scenario(|| {
        let server = PolicyServer::saying("action=dunno\n\n");
        let mail = asking_everywhere(&server);
        let mut client = Client::connect(mail.v4()).expect("connected");
        for line in ["HELO a.test", "EHLO client.test", "MAIL FROM:<a@b.test> SIZE=77", "VRFY bob@mail.test"] {
            say(&mut client, line);
        }
        for line in ["RCPT TO:<alice@mail.test>", "RCPT TO:<bob@mail.test>", "DATA", MESSAGE] {
            assert!(say(&mut client, line).starts_with(['2', '3']), "{line}: {}", mail.log());
        }
        let heard = server.heard();
        let states: Vec<&str> = heard.iter().map(|question| question.value("protocol_state")).collect();
        let expected = ["CONNECT", "HELO", "EHLO", "MAIL", "VRFY", "RCPT", "RCPT", "DATA", "END-OF-MESSAGE"];
        assert_eq!(states, expected);
        for question in &heard {
            let names: Vec<&str> = question.attributes.iter().map(|(name, _)| name.as_str()).collect();
            let later = if oracle_version().as_deref() == Some("3.7") { 2 } else { 0 };
            assert_eq!(names, ATTRIBUTES[..ATTRIBUTES.len() - later]);
        }
        let values = |name: &str| heard.iter().map(|question| question.value(name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            values("protocol_name"),
            ["SMTP", "SMTP", "SMTP", "ESMTP", "ESMTP", "ESMTP", "ESMTP", "ESMTP", "ESMTP"]
        );
        assert_eq!(values("helo_name")[..3], ["", "a.test", "client.test"]);
        assert_eq!(values("size"), ["0", "0", "0", "77", "77", "77", "77", "77", "21"]);
        assert_eq!(values("recipient_count"), ["0", "0", "0", "0", "0", "0", "0", "2", "2"]);
        assert_eq!(values("recipient")[4..7], ["bob@mail.test", "alice@mail.test", "bob@mail.test"]);
        assert_eq!(values("recipient")[7..], ["", ""]);
        assert!(values("queue_id")[..6].iter().all(String::is_empty) && !values("queue_id")[6].is_empty());
        let instances = values("instance");
        assert!(instances[..4].iter().all(String::is_empty) && !instances[4].is_empty());
        assert!(instances[4..].iter().all(|instance| *instance == instances[4]), "{instances:?}");
        assert_eq!(values("server_port")[0], mail.port().to_string());
    });
}

const ATTRIBUTES: [&str; 31] = [
    "request",
    "protocol_state",
    "protocol_name",
    "client_address",
    "client_name",
    "client_port",
    "reverse_client_name",
    "server_address",
    "server_port",
    "helo_name",
    "sender",
    "recipient",
    "recipient_count",
    "queue_id",
    "instance",
    "size",
    "etrn_domain",
    "stress",
    "sasl_method",
    "sasl_username",
    "sasl_sender",
    "ccert_subject",
    "ccert_issuer",
    "ccert_fingerprint",
    "ccert_pubkey_fingerprint",
    "encryption_protocol",
    "encryption_cipher",
    "encryption_keysize",
    "policy_context",
    "compatibility_level",
    "mail_version",
];

#[test]
fn the_only_recipient_is_told_behind_it_and_chunks_count_as_data() {
    scenario(|| {
        let server = PolicyServer::saying("action=dunno\n\n");
        let mail = asking_everywhere(&server);
        let mut client = greet(mail.port());
        for line in ["MAIL FROM:<>", "RCPT TO:<alice@mail.test>", "BDAT 3 LAST\r\nx\r"] {
            say(&mut client, line);
        }
        let heard = server.heard();
        let of = |state: &str| heard.iter().find(|question| question.value("protocol_state") == state);
        for state in ["DATA", "END-OF-MESSAGE"] {
            let question = of(state).expect(state);
            assert_eq!(question.value("recipient"), "alice@mail.test");
            assert_eq!(question.value("sender"), "");
        }
        mail.wait_mail("alice", 1);
    });
}

/// An answer, what the recipient is told, and what the log says of it.
const ANSWERS: [(&str, &str, &str); 19] = [
    ("action=dunno\n\n", "250 2.1.5 Ok", ""),
    ("action=OK\nextra=1\n\n", "250 2.1.5 Ok", ""),
    ("extra=1\naction=reject go\n\n", "554 5.7.1 <alice@mail.test>: Recipient address rejected: go", ""),
    ("action=reject one\naction=OK\n\n", "554 5.7.1 <alice@mail.test>: Recipient address rejected: one", ""),
    ("action=450 4.2.0 later\n\n", "450 4.2.0 <alice@mail.test>: Recipient address rejected: later", ""),
    ("action=421 4.7.0 bye\n\n", "421 4.7.0 <alice@mail.test>: Recipient address rejected: bye", "reject: RCPT"),
    ("action=DEFER_IF_PERMIT gone\n\n", "450 4.7.1 <alice@mail.test>: Recipient address rejected: gone", ""),
    ("action=HANGUP\n\n", "closed", "hangup: RCPT from"),
    ("action=permit_mynetworks, reject\n\n", "250 2.1.5 Ok", ""),
    ("action=class\n\n", "554 5.7.1 <alice@mail.test>: Recipient address rejected: Access denied", ""),
    ("action=WARN w\n\n", "250 2.1.5 Ok", "warn: RCPT from"),
    ("action=HOLD why\n\n", "250 2.1.5 Ok", "<alice@mail.test>: Recipient address why"),
    ("action=FILTER foo\n\n", "250 2.1.5 Ok", "entry \"policy query\" requires transport:destination"),
    ("action=PREPEND foo\n\n", "250 2.1.5 Ok", "entry \"policy query\" requires header: text"),
    ("action=\n\n", "250 2.1.5 Ok", " entry  has empty value"),
    ("action=foobar baz\n\n", "451 4.3.5 Server configuration error", "unknown smtpd restriction: \"foobar\""),
    ("action=200 x\n\n", "451 4.3.5 Server configuration error", "unknown smtpd restriction: \"200\""),
    ("action=static:x\n\n", "451 4.3.5 Server configuration error", "has entry with lookup table: static:x"),
    (
        "action=check_policy_service inet:127.0.0.1:9\n\n",
        "451 4.3.5 Server configuration error",
        "do not specify lookup tables inside SMTPD access maps",
    ),
];

#[test]
fn an_answer_does_what_the_same_words_do_in_a_table() {
    scenario(|| {
        let options: Vec<String> =
            ANSWERS.iter().map(|(answer, ..)| asks(&PolicyServer::saying(answer).name)).collect();
        let setup = Setup::new().set("smtpd_restriction_classes", "class").set("class", "reject");
        let (setup, ports) = servers(setup, &options);
        let mail = setup.start();
        for ((answer, reply, line), port) in ANSWERS.iter().zip(&ports) {
            assert_eq!(rcpt(port.number()), *reply, "{answer}{}", mail.log());
            mail.wait_log(&[line]);
        }
    });
}

#[test]
fn an_empty_action_is_a_yes() {
    scenario(|| {
        let server = PolicyServer::saying("action=\n\n");
        let list = format!("check_policy_service {}, reject", server.name);
        let mail = Setup::new().set("smtpd_recipient_restrictions", list).start();
        assert_eq!(rcpt(mail.port()), "250 2.1.5 Ok", "{}", mail.log());
    });
}

#[test]
fn headers_that_a_service_wants_stand_in_the_message() {
    scenario(|| {
        let server = PolicyServer::start(|question: &Question| {
            Act::Say(format!("action=PREPEND X-Seen: {}\n\n", question.value("protocol_state")).into_bytes())
        });
        let mail =
            Setup::new().set("smtpd_recipient_restrictions", format!("check_policy_service {}", server.name)).start();
        let mut client = greet(mail.port());
        client.send("a@b.test", &["alice@mail.test"], "Subject: x\n\nbody\n").expect("sent");
        let message = mail.wait_mail("alice", 1).remove(0);
        assert!(message.0.contains("X-Seen: RCPT\n"), "{}", message.0);
    });
}

#[test]
fn a_connection_serves_one_question_after_the_other_unless_it_may_not() {
    scenario(|| {
        let kept = PolicyServer::saying("action=dunno\n\n");
        let limited = PolicyServer::saying("action=dunno\n\n");
        let options = [asks(&kept.name), asks(&format!("{{ {}, request_limit=1 }}", limited.name))];
        let (setup, ports) = servers(Setup::new(), &options);
        let _mail = setup.start();
        for port in &ports {
            let mut client = greet(port.number());
            for line in ["MAIL FROM:<a@b.test>", "RCPT TO:<alice>", "RCPT TO:<bob>", "RCPT TO:<carol>"] {
                assert!(say(&mut client, line).starts_with("250 "), "{line}");
            }
        }
        let connections = |server: &PolicyServer| server.heard().iter().map(|it| it.connection).collect::<Vec<_>>();
        assert_eq!(connections(&kept), [0, 0, 0]);
        assert_eq!(connections(&limited), [0, 1, 2]);
    });
}

#[test]
fn a_service_is_reached_by_a_socket_within_the_queue_directory_and_outside() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let inside =
            PolicyServer::at(&mail.queue().join("private/inside"), |_| Act::Say(b"action=reject in\n\n".into()));
        let outside = PolicyServer::at(&mail.folder().join("outside"), |_| Act::Say(b"action=reject out\n\n".into()));
        let options = [asks("unix:private/inside"), asks(&inside.name), asks(&outside.name)];
        let ports: Vec<Port> = options.iter().map(|_| Port::reserve()).collect();
        for (port, option) in ports.iter().zip(&options) {
            mail.add_service(&format!("127.0.0.1:{} inet n - n - - smtpd -o {{ {option} }}", port.number()));
        }
        mail.start();
        let replies: Vec<String> = ports.iter().map(|port| rcpt(port.number())).collect();
        let said = |what: &str| format!("554 5.7.1 <alice@mail.test>: Recipient address rejected: {what}");
        assert_eq!(replies, [said("in"), said("in"), said("out")], "{}", mail.log());
    });
}

#[test]
fn what_a_session_is_known_by_is_told_with_the_context() {
    scenario(|| {
        let server = PolicyServer::saying("action=dunno\n\n");
        let options = format!(
            "smtpd_recipient_restrictions = check_policy_service {{ {}, policy_context=here }}, permit; \
             smtpd_authorized_xclient_hosts = 127.0.0.1",
            server.name
        );
        let (setup, ports) = servers(Setup::new(), &[options]);
        let _mail = setup.start();
        let mut client = greet(ports[0].number());
        say(&mut client, "XCLIENT NAME=host.test ADDR=192.0.2.9 PORT=1025 LOGIN=joe REVERSE_NAME=rev.test");
        for line in ["EHLO there.test", "MAIL FROM:<a@b.test>", "RCPT TO:<alice>"] {
            say(&mut client, line);
        }
        let question = server.heard().remove(0);
        for (name, value) in [
            ("client_name", "host.test"),
            ("client_address", "192.0.2.9"),
            ("client_port", "1025"),
            ("reverse_client_name", "rev.test"),
            ("sasl_method", "XCLIENT"),
            ("sasl_username", "joe"),
            ("helo_name", "there.test"),
            ("policy_context", "here"),
            ("encryption_keysize", "0"),
        ] {
            assert_eq!(question.value(name), value, "{name}");
        }
    });
}
