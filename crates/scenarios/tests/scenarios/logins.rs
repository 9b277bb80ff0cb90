//! Clients that log in: by an authentication server of Dovecot's, and by one that says anything.

mod server;
mod tls;

use std::path::PathBuf;

use scenarios::scenario;
use testing::accounts::is_root;
use testing::auth_server::{Act, GREETING};
use testing::{AuthServer, Client, Dovecot, Instance, Setup};

const USERS: [(&str, &str); 2] = [("alice@mail.test", "secret"), ("bob@mail.test", "secret")];

/// `\0alice@mail.test\0secret`, and with a password that is none.
const RIGHT: &str = "AGFsaWNlQG1haWwudGVzdABzZWNyZXQ=";
const WRONG: &str = "AGFsaWNlQG1haWwudGVzdABiYWQ=";

fn setup() -> Setup {
    Setup::new()
        .set("smtpd_sasl_auth_enable", "yes")
        .set("smtpd_sasl_type", "dovecot")
        .set("smtpd_sasl_path", "private/auth")
        .set("mynetworks", "")
        .set("smtpd_relay_restrictions", "permit_sasl_authenticated, reject_unauth_destination")
}

fn socket(mail: &Instance) -> PathBuf {
    mail.queue().join("private/auth")
}

/// A server that takes one user, and asks for more where nothing comes with the command.
fn one_user(line: &str) -> Act {
    let said = |text: &str| Act::Say(text.to_owned());
    match line.rsplit(['\t', '=']).next() {
        _ if line.starts_with("AUTH\t") && !line.contains("\tresp=") => said("CONT\tID\t\n"),
        _ if line.ends_with(RIGHT) => said("OK\tID\tuser=alice@mail.test\n"),
        _ => said("FAIL\tID\tuser=alice@mail.test\n"),
    }
}

fn client(mail: &Instance) -> Client {
    Client::greet(mail.v4()).expect("connected")
}

fn say(client: &mut Client, line: &str) -> String {
    client.command(line).map_or_else(|error| error.to_string(), |reply| reply.last())
}

const ALREADY: &str = "503 5.5.1 Error: already authenticated";
const NOBODY: &str = "503 5.5.1 Error: authentication not enabled";
const SUCCESS: &str = "235 2.7.0 Authentication successful";
const FAILURE: &str = "535 5.7.8 Error: authentication failed: (reason unavailable)";

#[test]
fn users_of_dovecot_log_in_by_its_mechanisms_and_their_mail_says_so() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: Dovecot is started by root");
            return;
        }
        let mail = setup().set("smtpd_sasl_authenticated_header", "yes").start();
        let _dovecot = Dovecot::authenticates(&mail.folder().join("dovecot"), &socket(&mail), &USERS);
        let offered = client(&mail).command("EHLO client.test").expect("a reply");
        assert!(offered.lines.contains(&"AUTH PLAIN LOGIN CRAM-MD5".to_owned()), "{offered:?}");
        for (number, mechanism) in ["PLAIN", "LOGIN", "CRAM-MD5"].into_iter().enumerate() {
            let login = ["--auth", mechanism, "--auth-user", "alice@mail.test", "--auth-password", "secret"];
            let envelope = ["--helo", "client.test", "--from", "alice@mail.test", "--to", "bob@mail.test"];
            let said = testing::swaks::swaks(mail.v4(), &[login, envelope].concat()).expect("swaks");
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
            let method = format!("sasl_method={mechanism}, sasl_username=alice@mail.test");
            let line = mail.wait_log(&["client=unknown[127.0.0.1], ", &method]);
            assert!(line.ends_with(&method), "{line}");
            let received = mail.wait_mail("bob", number + 1);
            let is_this = |mail: &&testing::maildir::Mail| {
                mail.header("Received").is_some_and(|field| field.contains("(Authenticated sender: alice@mail.test)"))
            };
            let received = received.iter().filter(is_this).count();
            assert_eq!(received, number + 1);
        }
        let field = mail.wait_mail("bob", 3).remove(0).header("Received").unwrap_or_default();
        assert!(field.contains("with ESMTPA id "), "{field}");
    });
}

#[test]
fn who_cannot_log_in_is_told_so_and_is_in_the_log_as_programs_look_for_it() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: Dovecot is started by root");
            return;
        }
        let mail = setup().start();
        let _dovecot = Dovecot::authenticates(&mail.folder().join("dovecot"), &socket(&mail), &USERS);
        let mut client = client(&mail);
        let dialogue = [
            ("AUTH", "501 5.5.4 Syntax: AUTH mechanism"),
            ("AUTH PLAIN a b", "501 5.5.4 Syntax: AUTH mechanism"),
            (&format!("AUTH PLAIN {WRONG}"), FAILURE),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("YWxpY2VAbWFpbC50ZXN0", "334 UGFzc3dvcmQ6"),
            ("YmFk", FAILURE),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("*", "501 5.7.0 Authentication aborted"),
            ("AUTH PLAIN ###", "535 5.7.8 Error: authentication failed: Invalid base64 data in initial response"),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("###", "535 5.7.8 Error: authentication failed: Invalid base64 data in continued response"),
            (&format!("AUTH  plain   {RIGHT}"), SUCCESS),
            (&format!("AUTH PLAIN {RIGHT}"), ALREADY),
            ("RSET", "250 2.0.0 Ok"),
            (&format!("AUTH PLAIN {RIGHT}"), ALREADY),
            ("QUIT", "221 2.0.0 Bye"),
        ];
        for (line, expected) in dialogue {
            assert_eq!(say(&mut client, line), expected, "{line}");
        }
        let failed = |mechanism: &str, rest: &str| {
            mail.wait_log(&[&format!(
                "warning: unknown[127.0.0.1]: SASL {mechanism} authentication failed: {rest}, sasl_username="
            )])
        };
        assert!(failed("PLAIN", "(reason unavailable)").ends_with("sasl_username=alice@mail.test"));
        assert!(failed("LOGIN", "(reason unavailable)").ends_with("sasl_username=alice@mail.test"));
        mail.wait_log(&["warning: unknown[127.0.0.1]: SASL LOGIN authentication aborted"]);
        mail.wait_log(&["disconnect from unknown[127.0.0.1] ehlo=1 auth=1/10 rset=1 quit=1 commands=4/13"]);
    });
}

#[test]
fn mail_to_others_is_for_who_has_logged_in() {
    scenario(|| {
        let mail = setup().set("smtpd_client_restrictions", "").start();
        let server = AuthServer::start(&socket(&mail), GREETING, one_user);
        let mut client = client(&mail);
        assert_eq!(say(&mut client, "MAIL FROM:<alice@mail.test>"), "250 2.1.0 Ok");
        assert_eq!(say(&mut client, "AUTH PLAIN"), "503 5.5.1 Error: MAIL transaction in progress");
        let denied = "554 5.7.1 <x@other.test>: Relay access denied";
        assert_eq!(say(&mut client, "RCPT TO:<x@other.test>"), denied);
        assert_eq!(say(&mut client, "RSET"), "250 2.0.0 Ok");
        assert_eq!(say(&mut client, "AUTH PLAIN"), "334 ");
        assert_eq!(say(&mut client, RIGHT), SUCCESS);
        assert_eq!(say(&mut client, "MAIL FROM:<alice@mail.test> AUTH=bob+2Bx@mail.test"), "250 2.1.0 Ok");
        assert_eq!(say(&mut client, "RCPT TO:<x@other.test>"), "250 2.1.5 Ok");
        let login = "sasl_method=PLAIN, sasl_username=alice@mail.test, sasl_sender=bob+2Bx@mail.test";
        mail.wait_log(&["client=unknown[127.0.0.1], ", login]);
        let heard = server.heard();
        let request = "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=127.0.0.1\trip=127.0.0.1";
        assert_eq!(heard[2..], [request.to_owned(), format!("CONT\t1\t{RIGHT}")], "{heard:?}");
    });
}

#[test]
fn a_sender_address_belongs_to_its_users() {
    let owner = "553 5.7.1 <bob@mail.test>: Sender address rejected: not owned by user alice@mail.test";
    let nobody = "553 5.7.1 <x@mail.test>: Sender address rejected: not owned by user alice@mail.test";
    let stranger = "553 5.7.1 <bob@mail.test>: Sender address rejected: not logged in";
    let fine = "250 2.1.5 Ok";
    // Logged in: own, own with extension, shared, another's, in no table, null; not logged in: another's, in no table.
    let cases = [
        ("reject_sender_login_mismatch", [fine, fine, fine, owner, nobody, fine, stranger, fine]),
        ("reject_authenticated_sender_login_mismatch", [fine, fine, fine, owner, nobody, fine, fine, fine]),
        ("reject_unauthenticated_sender_login_mismatch", [fine, fine, fine, fine, fine, fine, stranger, fine]),
        ("reject_known_sender_login_mismatch", [fine, fine, fine, owner, fine, fine, stranger, fine]),
    ];
    let senders = [
        (true, "alice@mail.test"),
        (true, "Alice+x@mail.test"),
        (true, "x@shared.test"),
        (true, "bob@mail.test"),
        (true, "x@mail.test"),
        (true, ""),
        (false, "bob@mail.test"),
        (false, "x@mail.test"),
    ];
    scenario(|| {
        let maps = "inline:{ {alice@mail.test=ALICE@mail.test}, {bob@mail.test=bob@mail.test}, \
                    {@shared.test=bob@mail.test, alice@mail.test} }";
        for (restriction, expected) in cases {
            let mail = setup()
                .set("smtpd_sender_login_maps", maps)
                .set("recipient_delimiter", "+")
                .set("smtpd_reject_unlisted_sender", "no")
                .set("smtpd_sender_restrictions", restriction)
                .start();
            let _server = AuthServer::start(&socket(&mail), GREETING, one_user);
            for ((logged_in, sender), expected) in senders.into_iter().zip(expected) {
                let mut client = client(&mail);
                if logged_in {
                    assert_eq!(say(&mut client, &format!("AUTH PLAIN {RIGHT}")), SUCCESS);
                }
                assert_eq!(say(&mut client, &format!("MAIL FROM:<{sender}>")), "250 2.1.0 Ok");
                let got = say(&mut client, "RCPT TO:<carol@mail.test>");
                assert_eq!(got, expected, "{restriction} {sender} {logged_in}");
            }
            if expected.contains(&owner) {
                mail.wait_log(&[owner, " helo=<client.test> sasl_method=PLAIN sasl_username=alice@mail.test"]);
            }
        }
    });
}

#[test]
fn an_access_table_knows_the_user() {
    scenario(|| {
        let table = "inline:{ {alice@mail.test=REJECT go away} }";
        let mail = setup().set("smtpd_sender_restrictions", format!("check_sasl_access {table}")).start();
        let _server = AuthServer::start(&socket(&mail), GREETING, one_user);
        let mut client = client(&mail);
        let envelope = ["MAIL FROM:<a@b.test>", "RCPT TO:<bob@mail.test>"];
        assert_eq!(envelope.map(|line| say(&mut client, line)), ["250 2.1.0 Ok", "250 2.1.5 Ok"]);
        assert_eq!(say(&mut client, "RSET"), "250 2.0.0 Ok");
        assert_eq!(say(&mut client, &format!("AUTH PLAIN {RIGHT}")), SUCCESS);
        let refused = "554 5.7.1 <alice@mail.test>: SASL login name rejected: go away";
        assert_eq!(envelope.map(|line| say(&mut client, line)), ["250 2.1.0 Ok", refused]);
    });
}

#[test]
fn a_proxy_may_name_the_user_whether_or_not_others_can_log_in() {
    scenario(|| {
        for enabled in ["yes", "no"] {
            let mail = setup()
                .set("smtpd_sasl_auth_enable", enabled)
                .set("smtpd_authorized_xclient_hosts", "127.0.0.1")
                .start();
            let _server = AuthServer::start(&socket(&mail), GREETING, one_user);
            let mut client = client(&mail);
            let lines = [
                ("XCLIENT ADDR=192.0.2.1 LOGIN=fred", "220 mail.test ESMTP Postfix"),
                ("HELO client.test", "250 mail.test"),
                ("AUTH PLAIN", if enabled == "yes" { ALREADY } else { NOBODY }),
                ("MAIL FROM:<alice@mail.test>", "250 2.1.0 Ok"),
                ("RCPT TO:<x@other.test>", "250 2.1.5 Ok"),
            ];
            for (line, expected) in lines {
                assert_eq!(say(&mut client, line), expected, "{line}");
            }
            mail.wait_log(&["client=unknown[192.0.2.1], sasl_method=XCLIENT, sasl_username=fred"]);
        }
    });
}

#[test]
fn a_client_that_tries_too_often_has_to_wait() {
    scenario(|| {
        let mail = setup()
            .set("smtpd_client_auth_rate_limit", "2")
            .set("smtpd_client_event_limit_exceptions", "")
            .set("anvil_rate_time_unit", "1h")
            .start();
        let _server = AuthServer::start(&socket(&mail), GREETING, one_user);
        let mut client = client(&mail);
        let too_many = "450 4.7.1 Error: too many AUTH commands from 127.0.0.1";
        for expected in [FAILURE, FAILURE, too_many] {
            assert_eq!(say(&mut client, &format!("AUTH PLAIN {WRONG}")), expected);
        }
        assert_eq!(say(&mut client, &format!("AUTH PLAIN {RIGHT}")), too_many);
        mail.wait_log(&["warning: AUTH command rate limit exceeded: 3 from unknown[127.0.0.1] for service "]);
    });
}

#[test]
fn who_sent_a_message_to_the_client_is_kept_as_it_says_it() {
    scenario(|| {
        let mail = setup().start();
        let _server = AuthServer::start(&socket(&mail), GREETING, one_user);
        let cases = [
            ("AUTH=<bob@x.test>", ", sasl_sender=<bob@x.test>"),
            ("AUTH=e+3Dmc2@x.test", ", sasl_sender=e+3Dmc2@x.test"),
            ("AUTH=<>", "client=unknown[127.0.0.1]"),
            ("AUTH=", ", sasl_sender="),
        ];
        for (parameter, expected) in cases {
            let mut client = client(&mail);
            assert_eq!(say(&mut client, &format!("MAIL FROM:<a@b.test> {parameter}")), "250 2.1.0 Ok");
            assert_eq!(say(&mut client, "RCPT TO:<bob@mail.test>"), "250 2.1.5 Ok");
            assert_eq!(say(&mut client, "DATA").get(..3), Some("354"));
            let taken = say(&mut client, "Subject: x\r\n\r\n.");
            let id = taken.rsplit(' ').next().unwrap_or_default().to_owned();
            let line = mail.wait_log(&[&format!("{id}: client=unknown[127.0.0.1]")]);
            assert!(line.ends_with(expected), "{line}");
        }
        mail.wait_log(&["warning: ", ": spurious null attribute value for \"sasl_sender\" -- ignored"]);
        let mut client = client(&mail);
        let twice = say(&mut client, "MAIL FROM:<a@b.test> AUTH=a@b.test AUTH=d@e.test");
        assert_eq!(twice, "503 5.5.4 Error: multiple AUTH= options");
    });
}

#[test]
fn a_user_cannot_leave_the_comment_that_names_him() {
    scenario(|| {
        let mail = setup().set("smtpd_sasl_authenticated_header", "yes").start();
        let odd = |_: &str| Act::Say("OK\tID\tuser=al ice)(<x>\u{e9}\\\n".to_owned());
        let _server = AuthServer::start(&socket(&mail), GREETING, odd);
        let mut client = client(&mail);
        assert_eq!(say(&mut client, &format!("AUTH PLAIN {RIGHT}")), SUCCESS);
        client.send("alice@mail.test", &["bob@mail.test"], "Subject: x\n\n").expect("taken");
        mail.wait_log(&["sasl_method=PLAIN, sasl_username=al ice)(<x>\u{e9}\\"]);
        let field = mail.wait_mail("bob", 1).remove(0).header("Received").unwrap_or_default();
        assert!(field.contains("(Authenticated sender: al ice?(<x>???))"), "{field}");
    });
}

#[test]
fn auth_is_announced_and_taken_where_the_settings_say() {
    // Settings, what EHLO announces, and what becomes of a login.
    type Case = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static str);
    let cases: [Case; 8] = [
        (&[], &["AUTH PLAIN LOGIN"], SUCCESS),
        (&[("broken_sasl_auth_clients", "yes")], &["AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN"], SUCCESS),
        (&[("smtpd_sasl_exceptions_networks", "127.0.0.0/8")], &[], SUCCESS),
        (&[("smtpd_sasl_exceptions_networks", "!127.0.0.1, 127.0.0.0/8")], &["AUTH PLAIN LOGIN"], SUCCESS),
        (&[("smtpd_sasl_mechanism_filter", "PLAIN")], &["AUTH PLAIN"], SUCCESS),
        // As in Postfix: what is not announced is not forbidden.
        (&[("smtpd_sasl_mechanism_filter", "LOGIN")], &["AUTH LOGIN"], SUCCESS),
        (&[("smtpd_discard_ehlo_keywords", "auth")], &[], NOBODY),
        (&[("smtpd_tls_auth_only", "yes")], &[], NOBODY),
    ];
    scenario(|| {
        for (settings, announced, expected) in cases {
            let mail = settings.iter().fold(setup(), |setup, (name, value)| setup.set(name, *value)).start();
            let _server = AuthServer::start(&socket(&mail), GREETING, one_user);
            let mut client = Client::connect(mail.v4()).expect("connected");
            let reply = client.command("EHLO client.test").expect("a reply");
            let auth: Vec<&str> = reply.lines.iter().map(String::as_str).filter(|l| l.starts_with("AUTH")).collect();
            assert_eq!(auth, announced, "{settings:?}");
            assert_eq!(say(&mut client, &format!("AUTH PLAIN {RIGHT}")), expected, "{settings:?}");
        }
    });
}

#[test]
fn what_a_client_says_to_log_in_is_in_no_log_however_much_is_logged() {
    scenario(|| {
        let mail = setup().set("debug_peer_list", "127.0.0.1").set("notify_classes", "protocol, policy").start();
        let _server = AuthServer::start(&socket(&mail), GREETING, one_user);
        let mut client = client(&mail);
        for line in [&format!("AUTH PLAIN {WRONG}"), "AUTH PLAIN", WRONG, &format!("AUTH PLAIN {RIGHT}")] {
            client.command(line).expect("a reply");
        }
        client.write(format!("HELO x\r\nAUTH PLAIN {RIGHT}\r\n").as_bytes()).expect("written");
        client.write(b"QUIT\r\n").expect("written");
        mail.wait_log(&["disconnect from"]);
        for (_, secret) in [("", RIGHT), ("", WRONG)] {
            assert!(!mail.log().contains(&secret[..12]), "{}", mail.log());
        }
    });
}

#[test]
fn a_response_is_as_long_as_the_limit_says_and_a_longer_one_ends_the_login() {
    scenario(|| {
        let mail = setup().start();
        let server = AuthServer::start(&socket(&mail), GREETING, one_user);
        let mut client = client(&mail);
        assert_eq!(say(&mut client, "AUTH PLAIN"), "334 ");
        assert_eq!(say(&mut client, &"A".repeat(12287)), FAILURE);
        assert_eq!(say(&mut client, "AUTH PLAIN"), "334 ");
        assert_eq!(say(&mut client, &"A".repeat(12288)), "500 5.5.6 SASL response limit exceeded");
        assert_eq!(say(&mut client, "NOOP"), "250 2.0.0 Ok");
        let longest = server.heard().iter().map(String::len).max();
        assert_eq!(longest, Some("CONT\t1\t".len() + 12287));
        mail.wait_log(&["warning: unknown[127.0.0.1]: request longer than 12288: "]);
    });
}

#[test]
fn an_initial_response_that_does_not_fit_into_a_line_is_a_login_that_has_failed() {
    scenario(|| {
        let mail = setup().start();
        let _server = AuthServer::start(&socket(&mail), GREETING, one_user);
        let mut client = client(&mail);
        // C Postfix has the authentication server judge what is left of it.
        let reply = say(&mut client, &format!("AUTH PLAIN {}", "A".repeat(2100)));
        assert!(reply.starts_with("535 5.7.8 Error: authentication failed: "), "{reply}");
        mail.wait_log(&["warning: unknown[127.0.0.1]: SASL PLAIN authentication failed: ", ", sasl_username="]);
        assert_eq!(say(&mut client, "NOOP"), "250 2.0.0 Ok");
    });
}
