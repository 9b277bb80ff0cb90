//! Services that do not answer, or not what can be understood.

use scenarios::scenario;
use testing::policy_server::{Act, Question};
use testing::{Client, PolicyServer, Setup};

use super::{asks, greet, rcpt, say, servers};

/// What the default action says.
const DEFAULT: &str = "451 4.3.5 <alice@mail.test>: Recipient address rejected: Server configuration problem";

/// What a service does, and the log's words about it.
fn faults() -> Vec<(Act, &'static str)> {
    let last = |text: &str| Act::Last(text.as_bytes().to_vec());
    let says = |text: &str| Act::Say(text.as_bytes().to_vec());
    vec![
        (last(""), ": Application error"),
        (last("action=du"), "while reading input attribute value"),
        (last("action=dunno\n"), "while reading input attribute name"),
        (says("foo\n\n"), "missing attribute action in input from"),
        (says("\n"), "missing attribute action in input from"),
        (says("action = dunno\n\n"), "missing attribute action in input from"),
        (says("action\n\n"), "missing value for string attribute action from"),
        (says("action=dunno\r\n\r\n"), "while reading input attribute name"),
        (Act::Nothing, ": Connection timed out"),
    ]
}

#[test]
fn a_service_that_does_not_answer_is_asked_again_and_then_its_default_holds() {
    scenario(|| {
        let faults = faults();
        let started: Vec<PolicyServer> = faults
            .iter()
            .map(|(act, _)| {
                let act = act.clone();
                PolicyServer::start(move |_| act.clone())
            })
            .collect();
        let options: Vec<String> =
            started.iter().map(|server| asks(&format!("{{ {}, timeout=2s, retry_delay=1s }}", server.name))).collect();
        let (setup, ports) = servers(Setup::new(), &options);
        let mail = setup.start();
        for (((_, line), server), port) in faults.iter().zip(&started).zip(&ports) {
            assert_eq!(rcpt(port.number()), DEFAULT, "{line}\n{}", mail.log());
            let place = server.name.trim_start_matches("inet:");
            mail.wait_log(&["warning: ", place, line]);
            mail.wait_log(&["warning: problem talking to server", place]);
            assert_eq!(server.heard().len(), 2, "{line}");
        }
    });
}

#[test]
fn a_service_that_answers_the_second_time_has_answered() {
    scenario(|| {
        let server = PolicyServer::start(|question: &Question| match question.connection {
            0 => Act::Last(Vec::new()),
            _ => Act::Say(b"action=reject now\n\n".to_vec()),
        });
        let (setup, ports) = servers(Setup::new(), &[asks(&server.name)]);
        let mail = setup.start();
        assert_eq!(rcpt(ports[0].number()), "554 5.7.1 <alice@mail.test>: Recipient address rejected: now");
        assert!(!mail.log().contains("problem talking"), "{}", mail.log());
    });
}

#[test]
fn an_answer_without_end_is_none_and_costs_no_memory() {
    scenario(|| {
        let server = PolicyServer::start(|_| Act::Endless);
        let (setup, ports) = servers(Setup::new(), &[asks(&format!("{{ {}, timeout=2s, try_limit=1 }}", server.name))]);
        let mail = setup.start();
        assert_eq!(rcpt(ports[0].number()), DEFAULT, "{}", mail.log());
        for process in mail.processes_of("smtpd") {
            assert!(process.peak().is_none_or(|bytes| bytes < 200 << 20), "{:?}", process.peak());
        }
    });
}

/// A server, what it makes of nobody there, and the log's words.
const NOBODY: [(&str, &str, &str); 5] = [
    ("inet:127.0.0.1:9", DEFAULT, "warning: connect to 127.0.0.1:9: Connection refused"),
    ("unix:private/none", DEFAULT, "warning: problem talking to server private/none: No such file or directory"),
    (
        "{ inet:127.0.0.1:9, try_limit=1, { default_action = REJECT gone } }",
        "554 5.7.1 <alice@mail.test>: Recipient address rejected: gone",
        "warning: problem talking to server 127.0.0.1:9: Connection refused",
    ),
    ("{ inet:127.0.0.1:9, try_limit=1, default_action=DUNNO }", "250 2.1.5 Ok", ""),
    ("{ inet:no-such-host.invalid:9, try_limit=1 }", DEFAULT, "host or service no-such-host.invalid:9 not found"),
];

#[test]
fn where_nobody_listens_the_default_of_the_service_holds() {
    scenario(|| {
        let options: Vec<String> = NOBODY.iter().map(|(service, ..)| asks(service)).collect();
        let (setup, ports) = servers(Setup::new(), &options);
        let mail = setup.start();
        for ((service, reply, line), port) in NOBODY.iter().zip(&ports) {
            assert_eq!(rcpt(port.number()), *reply, "{service}\n{}", mail.log());
            mail.wait_log(&[line]);
        }
    });
}

/// Services that make no sense, and what the server says when it ends for them.
const NONSENSE: [(&str, &str); 6] = [
    ("foo", "need service transport:endpoint instead of \"foo\""),
    ("foo:bar", "invalid transport name: foo in service: foo:bar"),
    ("{ inet:127.0.0.1:9, bogus=1 }", "unknown option: \"bogus = 1\""),
    ("{ inet:127.0.0.1:9, timeout=x }", "timeout: bad time value or unit: x"),
    ("{ inet:127.0.0.1:9, try_limit=0 }", "invalid try_limit parameter value 0 < 1"),
    ("{ inet:127.0.0.1:9, default_action=REJECT gone }", "missing '=' after attribute name: \"...gone...\""),
];

#[test]
fn a_service_that_makes_no_sense_ends_the_server() {
    scenario(|| {
        let options: Vec<String> = NONSENSE.iter().map(|(service, _)| asks(service)).collect();
        let (setup, ports) = servers(Setup::new(), &options);
        let mail = setup.start();
        for ((_, line), port) in NONSENSE.iter().zip(&ports) {
            // Who tries to connect is what starts it.
            let _client = std::net::TcpStream::connect(("127.0.0.1", port.number()));
            mail.wait_log(&["fatal: ", line]);
        }
    });
}

#[test]
fn a_client_does_not_wait_for_the_service_of_another() {
    scenario(|| {
        let server = PolicyServer::start(|question: &Question| match question.value("sender") {
            "slow@b.test" => Act::Nothing,
            _ => Act::Say(b"action=reject quick\n\n".to_vec()),
        });
        let (setup, ports) = servers(Setup::new(), &[asks(&server.name)]);
        let mail = setup.start();
        let mut slow: Vec<Client> = (0..5).map(|_| greet(ports[0].number())).collect();
        for client in &mut slow {
            say(client, "MAIL FROM:<slow@b.test>");
            client.write(b"RCPT TO:<alice@mail.test>\r\n").expect("written");
        }
        testing::wait::until_true(testing::wait::PATIENCE, || server.heard().len() == 5);
        let quick = "554 5.7.1 <alice@mail.test>: Recipient address rejected: quick";
        assert_eq!(rcpt(ports[0].number()), quick, "{}", mail.log());
    });
}
