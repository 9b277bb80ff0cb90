//! Logins that are bound to the TLS session below them, at a server of OpenSSL and GNU SASL.

use scenarios::scenario;
use testing::certificates::{Identity, Period};
use testing::gnu_sasl::{BoundLogin, BoundServer};
use testing::{Instance, Setup};

const TEXT: &str = "From: a@client.test\nSubject: onward\nMessage-Id: <5@client.test>\n\nbody\n";

/// A mail system that sends everything to a server with this login; its own password is `pencil`.
fn start(login: BoundLogin) -> (Instance, BoundServer) {
    let mut mail = Setup::new()
        .set("smtp_tls_security_level", "encrypt")
        .set("smtp_tls_wrappermode", "yes")
        .set("smtp_sasl_auth_enable", "yes")
        .set("smtp_sasl_password_maps", "static:us=er:pencil")
        .set("smtp_sasl_security_options", "noanonymous")
        .build();
    let identity = Identity::self_signed(&["bound.test"], Period::Current);
    let server = login.start(mail.folder(), &identity);
    mail.set("relayhost", &server.next_hop());
    mail.start();
    (mail, server)
}

fn attempt(mail: &Instance) -> String {
    mail.sendmail(&["-f", "bob@mail.test", "u@box.test"], TEXT);
    mail.wait_log(&["to=<u@box.test>", "status="])
}

#[test]
fn a_login_is_bound_to_the_tls_session_where_the_server_can() {
    scenario(|| {
        for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"] {
            let (mail, server) = start(BoundLogin { mechanism, password: "pencil", relayed: false });
            let line = attempt(&mail);
            assert!(line.contains("status=sent (250 2.0.0 Ok: queued as BOUND)"), "{line}\n{:?}", server.heard());
            let begun = format!("AUTH {mechanism} ");
            assert!(server.heard().iter().any(|line| line.starts_with(&begun)), "{:?}", server.heard());
        }
    });
}

#[test]
fn a_login_that_somebody_passes_on_or_that_has_another_password_fails_and_mail_waits() {
    scenario(|| {
        for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"] {
            for (password, relayed) in [("pencil", true), ("crayon", false)] {
                let (mail, server) = start(BoundLogin { mechanism, password, relayed });
                let line = attempt(&mail);
                let refused = "said: 535 5.7.8 refused)";
                assert!(line.contains("status=deferred (SASL authentication failed; server "), "{line}");
                assert!(line.ends_with(refused), "{line}\n{:?}", server.heard());
                assert!(!server.heard().iter().any(|line| line.starts_with("MAIL")), "{:?}", server.heard());
            }
        }
    });
}
