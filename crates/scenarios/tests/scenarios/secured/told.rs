//! What policy services and mail filters hear of a client under TLS that has a certificate and has logged in.

use scenarios::scenario;
use testing::auth_server::{Act, GREETING};
use testing::certificates::{Authority, Period};
use testing::milter::{Filter, Script};
use testing::{AuthServer, PolicyServer, TlsClient};

use super::{MESSAGE, put, say, secured, server_with};

#[test]
fn policy_services_and_filters_hear_of_the_session_the_certificate_and_the_login() {
    scenario(|| {
        let authority = Authority::root("Lab CA");
        let (ours, friend) =
            (authority.issue(&["mx.mail.test"], Period::Current), authority.issue(&["friend.test"], Period::Current));
        let policy = PolicyServer::saying("action=dunno\n\n");
        let filter = Filter::start(Script::new());
        let mail = server_with(&ours, &[("smtpd_tls_ask_ccert", "yes"), ("smtpd_sasl_auth_enable", "yes")], |mail| {
            let authorities = put(mail, "ca.pem", &authority.certificate().pem);
            mail.set("smtpd_tls_CAfile", &authorities);
            mail.set("smtpd_sasl_type", "dovecot");
            mail.set("smtpd_sasl_path", "private/auth");
            mail.set("smtpd_tls_fingerprint_digest", "sha256");
            mail.set("smtpd_recipient_restrictions", &format!("check_policy_service {}", policy.name));
            mail.set("smtpd_milters", &filter.endpoint());
        });
        let socket = mail.queue().join("private/auth");
        let _logins = AuthServer::start(&socket, GREETING, |_| Act::Say("OK\tID\tuser=alice@mail.test\n".to_owned()));
        let mut client = secured(&mail, &TlsClient::showing(&friend));
        say(&mut client, "EHLO client.test");
        assert_eq!(say(&mut client, "AUTH PLAIN AGEAYg=="), "235 2.7.0 Authentication successful");
        assert_eq!(client.send("alice@mail.test", &["alice@mail.test"], MESSAGE).expect("sent").code, 250);
        let heard = policy.heard();
        let question = heard.iter().find(|question| question.value("protocol_state") == "RCPT").expect("a question");
        for (name, value) in [
            ("sasl_method", "PLAIN"),
            ("sasl_username", "alice@mail.test"),
            ("ccert_subject", "friend.test"),
            ("ccert_issuer", "Lab+20CA"),
            ("encryption_protocol", "TLSv1.3"),
            ("encryption_cipher", "TLS_AES_256_GCM_SHA384"),
            ("encryption_keysize", "256"),
        ] {
            assert_eq!(question.value(name), value, "{name}");
        }
        for name in ["ccert_fingerprint", "ccert_pubkey_fingerprint"] {
            assert!(question.value(name).split(':').all(|pair| pair.len() == 2), "{name}: {}", question.value(name));
        }
        filter.wait_heard("DM{auth_type}|PLAIN|{auth_authen}|alice@mail.test|{mail_addr}|alice@mail.test|");
        filter.wait_heard(
            "DH{tls_version}|TLSv1.3|{cipher}|TLS_AES_256_GCM_SHA384|{cipher_bits}|256|{cert_subject}|friend.test|\
             {cert_issuer}|Lab CA|",
        );
    });
}
