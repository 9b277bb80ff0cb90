//! Logins and TLS: what is offered within and without, and who hears that nobody can listen.

use testing::certificates::{Identity, Period};
use testing::setup::write_old;
use testing::swaks::swaks;

use super::*;

/// A server with a certificate, and more settings.
fn secure(settings: &[(&str, &str)]) -> Instance {
    let setup = setup().service("tlsmgr unix - - n 1000? 1 tlsmgr").set("smtpd_tls_security_level", "may");
    let mut mail = settings.iter().fold(setup, |setup, (name, value)| setup.set(name, *value)).build();
    let identity = Identity::self_signed(&["mail.test"], Period::Current);
    let etc = mail.etc();
    for (file, name, text) in [
        ("cert.pem", "smtpd_tls_cert_file", identity.certificates_pem()),
        ("key.pem", "smtpd_tls_key_file", identity.key_pem().to_owned()),
    ] {
        write_old(&etc.join(file), &text);
        mail.set(name, &etc.join(file).display().to_string());
    }
    mail.start();
    mail
}

/// A session of swaks under TLS, as it shows it.
fn under_tls(mail: &Instance, user: &str) -> String {
    let login = ["--tls", "--auth", "PLAIN", "--auth-user", user, "--auth-password", "secret"];
    let envelope = ["--helo", "client.test", "--from", "alice@mail.test", "--to", "bob@mail.test"];
    let said = swaks(mail.v4(), &[&login[..], &envelope].concat()).expect("swaks");
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[test]
fn passwords_are_asked_for_under_tls_alone() {
    let greeting = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tCRAM-MD5\tdictionary\tactive\nDONE\n";
    let options = [("smtpd_sasl_security_options", "noplaintext"), ("smtpd_sasl_tls_security_options", "noanonymous")];
    // Settings, what is announced without TLS, and what becomes of a password there.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a str);
    let plain = "535 5.7.8 Error: authentication failed: Invalid authentication mechanism";
    let cases: [Case<'_>; 3] = [
        (&[("smtpd_tls_auth_only", "yes")], &[], NOBODY),
        (&options, &["AUTH CRAM-MD5"], plain),
        (&[("smtpd_tls_security_level", "encrypt")], &[], "530 5.7.0 Must issue a STARTTLS command first"),
    ];
    scenario(|| {
        for (settings, announced, expected) in cases {
            let mail = secure(&[settings, &[("smtpd_sasl_authenticated_header", "yes")]].concat());
            let server = AuthServer::start(&socket(&mail), greeting, one_user);
            let mut client = Client::connect(mail.v4()).expect("connected");
            let reply = client.command("EHLO client.test").expect("a reply");
            let auth: Vec<&str> = reply.lines.iter().map(String::as_str).filter(|l| l.starts_with("AUTH")).collect();
            assert_eq!(auth, announced, "{settings:?}");
            let said = say(&mut client, &format!("AUTH PLAIN {RIGHT}"));
            // Postfix 3.7 does not name the mechanism.
            assert!(said.starts_with(expected), "{settings:?}: {said}");
            assert_eq!(server.heard().iter().filter(|line| line.starts_with("AUTH")).count(), 0);
            let shown = under_tls(&mail, "alice@mail.test");
            assert!(shown.contains("AUTH PLAIN CRAM-MD5") && shown.contains(SUCCESS), "{shown}");
            let heard = server.heard();
            let request = "service=smtp\tnologin\tlip=127.0.0.1\trip=127.0.0.1\tsecured\tresp=";
            assert!(heard.iter().any(|line| line.contains(request)), "{heard:?}");
            let field = mail.wait_mail("bob", 1).remove(0).header("Received").unwrap_or_default();
            assert!(field.contains("with ESMTPSA id ") && field.contains("(Authenticated sender: alice@"), "{field}");
        }
    });
}

#[test]
fn an_authentication_server_that_is_missing_is_missed_where_it_is_needed() {
    scenario(|| {
        let mail = secure(&[("smtpd_tls_auth_only", "yes")]);
        let mut client = client(&mail);
        assert_eq!(say(&mut client, "NOOP"), "250 2.0.0 Ok");
        let shown = under_tls(&mail, "alice@mail.test");
        assert!(!shown.contains("AUTH"), "{shown}");
        mail.wait_log(&["fatal: no SASL authentication mechanisms"]);
    });
}
