//! Sessions that clients take up again by their tickets: in every process of a service, and in no other service.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, TlsClient};

use super::{client, mx, openssl, say, secured, server, server_with, wrapped};

/// What openssl says of a session with STARTTLS, and the number of the process that has logged these words about it.
fn session(mail: &Instance, more: [&str; 3], words: &str) -> (String, String) {
    let (place, before) = (mail.v4().to_string(), mail.log().len());
    let said = openssl(&[&["s_client", "-starttls", "smtp", "-connect", &place, "-ign_eof"], &more[..]].concat());
    let told = || {
        let log = mail.log();
        let line = log.get(before..)?.lines().find(|line| line.contains(words))?;
        line.split("smtpd[").nth(1)?.split(']').next().map(str::to_owned)
    };
    assert!(until_true(PATIENCE, || told().is_some()), "{said}\n{}", mail.log());
    (said, told().expect("a process"))
}

fn file(path: &Path) -> &str {
    path.to_str().expect("a path")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs()
}

#[test]
fn a_session_is_taken_up_again_by_whichever_process_gets_the_client() {
    scenario(|| {
        let begun = now();
        let mail = server(&mx(), &[("process_session_limit", "1"), ("smtpd_tls_loglevel", "2")]);
        let kept = mail.folder().join("session.pem");
        let mut busy = Vec::new();
        for version in ["-tls1_2", "-tls1_3"] {
            let (first, sealed) = session(&mail, [version, "-sess_out", file(&kept)], "]: Issuing session ticket, ");
            assert!(first.contains("New, TLSv1."), "{first}");
            // The process that has made the ticket gets another client to serve.
            let clients = || mail.log().matches(&format!("smtpd[{sealed}]: connect from ")).count();
            let before = clients();
            while clients() == before {
                assert!(busy.len() < 20, "{}", mail.log());
                busy.push(client(&mail));
            }
            let (again, opened) =
                session(&mail, [version, "-sess_in", file(&kept)], "]: Reusing old session (RFC 5077");
            assert!(again.contains("Reused, TLSv1."), "{again}");
            assert_ne!(sealed, opened, "{}", mail.log());
        }
        // Half of smtpd_tls_session_cache_timeout after the first ticket, and the last second may not count.
        let line = mail.wait_log(&["Issuing session ticket, key expiration: "]);
        let end: u64 = line.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("a time");
        assert!((begun + 1799..=now() + 1800).contains(&end), "{line}");
    });
}

#[test]
fn a_session_of_one_service_is_not_taken_up_again_by_another() {
    scenario(|| {
        let mut place = None;
        let mail = server_with(&mx(), &[], |mail| place = Some(wrapped(mail)));
        let (_port, address) = place.expect("a port");
        for tls in [TlsClient::new(), TlsClient::only_12()] {
            let kind = |client: &Client| client.tls().and_then(|session| session.handshake_kind());
            let mut first = secured(&mail, &tls);
            say(&mut first, "QUIT");
            let other = Client::connect_tls(address, &tls).expect("a session");
            assert_eq!(format!("{:?}", kind(&other)), "Some(Full)");
        }
    });
}
