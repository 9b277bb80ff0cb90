//! Settings that forbid, filter or protect, where what they ask for is not there: mail is refused or waits, and never
//! travels as if nothing had been asked for.

use config::Kind;
use scenarios::scenario;
use testing::port::Port;
use testing::{Client, Instance, Setup, Sink};

const MESSAGE: &str = "Subject: x\n\nbody\n";

/// The first refusal of a server with these options, or what it says to the message.
fn answer(port: &Port) -> String {
    let address = ([127, 0, 0, 1], port.number()).into();
    let Ok(mut client) = Client::connect(address) else { return "closed".to_owned() };
    if client.greeting().code == 421 {
        return client.greeting().last();
    }
    let reply = client.command("EHLO client.test").and_then(|hello| match hello.code {
        250 => client.send("a@client.test", &["alice"], MESSAGE),
        _ => Ok(hello),
    });
    reply.map_or("closed".to_owned(), |reply| reply.last())
}

fn server(port: &Port, options: &str) -> String {
    let options: Vec<String> = options.split("; ").map(|option| format!("-o {{ {option} }}")).collect();
    format!("127.0.0.1:{} inet n - n - - smtpd {}", port.number(), options.join(" "))
}

/// What a client is told, and the options of the server.
const SERVERS: &[(&str, &str)] = &[
    ("530 5.7.0 Must issue a STARTTLS command first", "smtpd_tls_security_level = encrypt"),
    ("530 5.7.0 Must issue a STARTTLS command first", "smtpd_tls_security_level = ENCRYPT; smtpd_use_tls = no"),
    ("530 5.7.0 Must issue a STARTTLS command first", "smtpd_tls_security_level = secure"),
    ("530 5.7.0 Must issue a STARTTLS command first", "smtpd_enforce_tls = yes"),
    ("closed", "smtpd_tls_wrappermode = yes"),
    ("closed", "smtpd_tls_wrappermode = yes; smtpd_tls_security_level = none"),
    (
        "451 4.7.1 Service unavailable - try again later",
        "smtpd_milters = inet:127.0.0.1:9; milter_default_action = tempfail",
    ),
    ("550 5.5.0 Service unavailable", "smtpd_milters = unix:private/none; milter_default_action = reject"),
    (
        "451 4.7.1 Service unavailable - try again later",
        "smtpd_milters = {inet:127.0.0.1:9, default_action=accept}, unix:private/none; milter_default_action = tempfail",
    ),
    (
        "451 4.3.5 <alice>: Recipient address rejected: Server configuration problem",
        "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:9, permit",
    ),
    (
        "554 5.7.1 <alice>: Recipient address rejected: gone",
        "smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:9, try_limit=1, \
         { default_action = REJECT gone } }, permit",
    ),
    ("450 4.7.1 Session encryption is required", "smtpd_client_restrictions = reject_plaintext_session"),
    ("451 4.3.5 Server configuration error", "smtpd_client_restrictions = check_policy_service"),
    ("451 4.3.5 Server configuration error", "smtpd_client_restrictions = check_sasl_access"),
    ("421 4.3.0 mail.test Server local data error", "smtpd_command_filter = fail:x"),
    ("421 4.3.0 mail.test Server local data error", "smtpd_discard_ehlo_keyword_address_maps = fail:x"),
];

#[test]
fn a_server_without_what_it_is_to_have_refuses_mail_in_the_same_words() {
    scenario(|| {
        let ports: Vec<Port> = SERVERS.iter().map(|_| Port::reserve()).collect();
        let servers = ports.iter().zip(SERVERS).map(|(port, (_, options))| server(port, options));
        let mail = servers.fold(Setup::new(), |setup, line| setup.service(&line)).start();
        for (port, (expected, options)) in ports.iter().zip(SERVERS) {
            assert_eq!(answer(port), *expected, "{options}:\n{}", mail.log());
        }
    });
}

/// Options under which mail comes through: what they ask for may be missing.
const OPEN: &[&str] = &[
    "smtpd_tls_security_level = may",
    "smtpd_tls_security_level = none; smtpd_enforce_tls = yes",
    "smtpd_milters = inet:127.0.0.1:9; milter_default_action = accept",
    "smtpd_milters = inet:127.0.0.1:9; receive_override_options = no_milters",
    "smtpd_milters = inet:127.0.0.1:9; smtpd_milter_maps = inline:{127.0.0.1=DISABLE}",
    "smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:9, try_limit=1, default_action=DUNNO }, permit",
    "smtpd_sender_restrictions = reject_sender_login_mismatch",
    "smtpd_tls_auth_only = yes",
];

#[test]
fn a_server_takes_mail_where_what_is_missing_may_be_missing() {
    scenario(|| {
        let ports: Vec<Port> = OPEN.iter().map(|_| Port::reserve()).collect();
        let servers = ports.iter().zip(OPEN).map(|(port, options)| server(port, options));
        let mail = servers.fold(Setup::new(), |setup, line| setup.service(&line)).start();
        for (port, options) in ports.iter().zip(OPEN) {
            assert!(answer(port).starts_with("250 2.0.0 Ok: queued"), "{options}:\n{}", mail.log());
        }
    });
}

#[test]
fn mail_of_local_users_waits_for_the_milters_that_it_is_to_pass() {
    scenario(|| {
        let mail =
            Setup::new().set("non_smtpd_milters", "inet:127.0.0.1:9").set("milter_default_action", "tempfail").start();
        mail.sendmail(&["-f", "bob@mail.test", "alice"], MESSAGE);
        mail.wait_log(&["cleanup", "milter-reject: CONNECT from localhost[127.0.0.1]: 4.7.1 Service unavailable"]);
        assert_eq!(std::fs::read_dir(mail.queue().join("maildrop")).expect("maildrop").count(), 1);
        assert!(mail.wait_mail("alice", 0).is_empty());
    });
}

/// A value that asks for what the parameter stands for.
fn demand(entry: &config::Entry) -> String {
    let value = match entry.kind {
        Kind::Bool => "yes",
        Kind::Int => "7",
        _ if entry.name.ends_with("security_level") => "encrypt",
        _ if entry.name.ends_with("policy_maps") => "static:encrypt",
        _ if entry.name.ends_with("proxy_protocol") => "haproxy",
        _ => "static:x",
    };
    format!("-o {}={value}", entry.name)
}

/// The parameters that a program must not pass over. What only lets users in is refused otherwise: see AUTH.
fn demands(program: &str) -> Vec<&'static config::Entry> {
    let of_program = |entry: &&config::Entry| entry.refused && entry.programs.contains(&program);
    config::table::TABLE.iter().filter(of_program).collect()
}

#[test]
fn every_setting_that_must_not_be_left_out_keeps_mail_from_the_server() {
    scenario(|| {
        let direct: Vec<_> = demands("smtpd").into_iter().map(|entry| (entry, Port::reserve())).collect();
        let behind: Vec<_> = demands("cleanup").into_iter().map(|entry| (entry, Port::reserve())).collect();
        let mut setup = Setup::new();
        for (entry, port) in &direct {
            setup = setup.service(&format!("127.0.0.1:{} inet n - n - - smtpd {}", port.number(), demand(entry)));
        }
        for (entry, port) in &behind {
            let name = format!("c{}", port.number());
            setup = setup
                .service(&format!("127.0.0.1:{} inet n - n - - smtpd -o cleanup_service_name={name}", port.number()))
                .service(&format!("{name} unix n - n - 0 cleanup {}", demand(entry)));
        }
        let mail = setup.start();
        for (entry, port) in direct.iter().chain(&behind) {
            let said = answer(port);
            assert!(said == "closed" || said.starts_with(['4', '5']), "{}: {said}\n{}", entry.name, mail.log());
        }
    });
}

#[test]
fn every_setting_that_must_not_be_left_out_keeps_mail_from_leaving() {
    scenario(|| {
        let sink = Sink::v4();
        let mut agents = Vec::new();
        for entry in ["smtp", "local"].iter().flat_map(|program| demands(program)) {
            let program = match entry.name {
                name if name.starts_with("lmtp_") => "lmtp",
                _ if entry.programs.contains(&"local") => "local",
                _ => "smtp",
            };
            agents.push((format!("agent{}", agents.len()), program, entry));
        }
        let mut setup = Setup::new();
        let mut transports = String::new();
        for (name, program, entry) in &agents {
            let nexthop = if *program == "local" { String::new() } else { sink.next_hop() };
            transports.push_str(&format!("{name}.test {name}:{nexthop}\n"));
            let privileges = if *program == "local" { "n" } else { "-" };
            setup = setup.service(&format!("{name} unix - {privileges} n - - {program} {}", demand(entry)));
        }
        let mut mail = setup.build();
        let file = mail.etc().join("transport");
        testing::setup::write_old(&file, &transports);
        mail.set("transport_maps", &format!("texthash:{}", file.display()));
        mail.start();
        for (name, _, entry) in &agents {
            let recipient = format!("alice@{name}.test");
            mail.sendmail(&["-f", "bob@mail.test", &recipient], MESSAGE);
            let line = deferred(&mail, &recipient);
            assert!(line.contains("status=deferred"), "{}: {line}", entry.name);
        }
        assert_eq!(sink.count(), 0);
    });
}

/// The log line about the first attempt to deliver to a recipient.
fn deferred(mail: &Instance, recipient: &str) -> String {
    mail.wait_log(&[&format!("to=<{recipient}>"), "status="])
}

#[test]
fn mail_that_needs_protection_is_not_sent_without() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new().set("relayhost", sink.next_hop()).set("smtp_tls_security_level", "encrypt").start();
        mail.sendmail(&["-f", "bob@mail.test", "alice@other.test"], MESSAGE);
        let line = deferred(&mail, "alice@other.test");
        assert!(line.contains("status=deferred (TLS is required, but "), "{line}");
        assert_eq!(sink.count(), 0);
    });
}
