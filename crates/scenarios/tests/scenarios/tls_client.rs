//! TLS of the SMTP client: what each level makes of servers of all kinds, in the log and for the mail.

use scenarios::scenario;
use testing::certificates::{Authority, Identity, Period};
use testing::setup::write_old;
use testing::tls_server::{Script, Starttls, TlsServer};
use testing::{Instance, Setup};

const TEXT: &str = "From: a@client.test\nSubject: onward\nMessage-Id: <4@client.test>\n\nbody\n";

/// A mail system with a destination for each server, `NAME.test`, and what tables say of them.
struct Lab {
    mail: Instance,
    servers: Vec<(&'static str, TlsServer)>,
}

impl Lab {
    /// `policies` by the name of a destination and the number of the policy: mail to `NAME-NUMBER.test` has it.
    fn start(setup: Setup, ca: &Authority, scripts: Vec<(&'static str, Script)>, policies: &[&str]) -> Lab {
        let servers: Vec<_> = scripts.into_iter().map(|(name, script)| (name, script.start())).collect();
        let mut setup = setup
            .set("compatibility_level", "3.11")
            .set("smtp_tls_security_level", "may")
            .set("smtp_tls_fingerprint_digest", "sha256")
            .set("smtp_starttls_timeout", "5s");
        setup = setup.service("tlsmgr unix - - n 1000? 1 tlsmgr");
        for number in 0..policies.len() {
            setup = setup.service(&format!(
                "p{number} unix - - n - - smtp -o smtp_tls_policy_maps=texthash:$config_directory/policy{number}"
            ));
        }
        let mut mail = setup.build();
        let (mut transports, mut tables) = (String::new(), vec![String::new(); policies.len()]);
        for (name, server) in &servers {
            for (number, policy) in policies.iter().enumerate() {
                transports.push_str(&format!("{name}-{number}.test p{number}:{}\n", server.next_hop()));
                tables[number].push_str(&format!("{} {policy}\n", server.next_hop()));
            }
        }
        write_old(&mail.etc().join("transport"), &transports);
        write_old(&mail.etc().join("ca.pem"), &ca.certificate().pem);
        for (number, table) in tables.iter().enumerate() {
            write_old(&mail.etc().join(format!("policy{number}")), table);
        }
        let etc = mail.etc().display().to_string();
        mail.set("transport_maps", &format!("texthash:{etc}/transport"));
        mail.set("smtp_tls_CAfile", &format!("{etc}/ca.pem"));
        mail.start();
        Lab { mail, servers }
    }

    /// `tls=` and status of the first attempt to a destination, with its text.
    fn attempt(&self, name: &str, number: usize) -> String {
        let recipient = format!("u@{name}-{number}.test");
        self.mail.sendmail(&["-f", "bob@mail.test", &recipient], TEXT);
        self.told(&self.mail.wait_log(&[&format!("to=<{recipient}>"), "status="]))
    }

    fn told(&self, line: &str) -> String {
        let from = line.find("tls=").or_else(|| line.find("dsn=")).unwrap_or_default();
        line[from..].replace("127.0.0.1[127.0.0.1]", "HOST")
    }

    fn server(&self, name: &str) -> &TlsServer {
        let found = self.servers.iter().find(|(known, _)| *known == name);
        found.map(|(_, server)| server).unwrap_or_else(|| panic!("no server {name}"))
    }

    /// Waits for a line about a server: `PEER` is its name and port.
    fn wait(&self, server: &str, text: &str) {
        let peer = format!("127.0.0.1[127.0.0.1]:{}", self.server(server).address().port());
        self.mail.wait_log(&[&text.replace("PEER", &peer)]);
    }
}

fn setup() -> Setup {
    Setup::new().set("smtp_tls_loglevel", "1")
}

fn good(authority: &Authority) -> Identity {
    authority.issue(&["mx1.dest.test"], Period::Current)
}

/// Servers of all kinds.
fn servers(ours: &Authority) -> Vec<(&'static str, Script)> {
    let script = || Script::new(&good(ours));
    let with = |names: &[&str], period| Script::new(&ours.issue(names, period));
    vec![
        ("good", script()),
        ("plain", Script::plain()),
        ("old", Script { old: true, ..script() }),
        ("unknown", Script::new(&good(&Authority::root("Other Root CA")))),
        ("self", Script::new(&Identity::self_signed(&["mx1.dest.test"], Period::Current))),
        ("expired", with(&["mx1.dest.test"], Period::Over)),
        ("name", with(&["mx.other.test"], Period::Current)),
        ("wild", with(&["*.dest.test"], Period::Current)),
        ("refuses", script().with(Starttls::Refused("454 4.7.0 not now"))),
        ("continues", script().with(Starttls::Refused("354 go on"))),
        ("closes", script().with(Starttls::Closes)),
        ("after", script().with(Starttls::ClosesAfter)),
        ("old-tls", Script { only_12: true, ..script() }),
    ]
}

/// What becomes of mail to each of them at may, encrypt, secure and none.
fn outcomes() -> Vec<(&'static str, [String; 4])> {
    let sent = |level: &str| format!("tls={level}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)");
    let deferred = |level: &str, dsn: &str, text: &str| format!("tls={level}, dsn={dsn}, status=deferred ({text})");
    let fine = || [sent("may"), sent("encrypt"), sent("secure"), sent("none")];
    let unverified = "Server certificate not verified";
    let other = || [sent("may"), sent("encrypt"), deferred("!secure", "4.7.5", unverified), sent("none")];
    let without = |text: &str, dsn: &str| {
        [sent("may:none"), deferred("!encrypt", dsn, text), deferred("!secure", dsn, text), sent("none")]
    };
    let broken = |mark: &str, text: &str, dsn: &str| {
        let each = |level: &str| deferred(&format!("{level}{mark}"), dsn, text);
        [each("may"), each("encrypt"), each("secure"), sent("none")]
    };
    let not_offered = "TLS is required, but was not offered by host HOST";
    let refused = "TLS is required, but host HOST refused to start TLS: 454 4.7.0 not now";
    let continued = "TLS is required, but host HOST refused to start TLS: 354 go on";
    let lost = "lost connection with HOST while performing the EHLO handshake";
    vec![
        ("good", fine()),
        ("wild", fine()),
        ("old-tls", fine()),
        ("unknown", other()),
        ("self", other()),
        ("expired", other()),
        ("name", other()),
        ("plain", without(not_offered, "4.7.4")),
        ("old", without(not_offered, "4.7.4")),
        ("refuses", without(refused, "4.7.0")),
        ("continues", {
            let bounced = |level: &str| format!("tls=!{level}, dsn=5.5.0, status=bounced ({continued})");
            [sent("may:none"), bounced("encrypt"), bounced("secure"), sent("none")]
        }),
        ("closes", broken("?", "Cannot start TLS: handshake failure", "4.7.5")),
        ("after", broken("", lost, "4.4.2")),
    ]
}

#[test]
fn each_level_takes_what_it_asks_for_and_the_log_says_what_became_of_it() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let policies = ["may", "encrypt", "secure match=mx1.dest.test", "none"];
        let lab = Lab::start(setup(), &root, servers(&root.below("Lab CA")), &policies);
        for (name, outcomes) in outcomes() {
            for (number, expected) in outcomes.into_iter().enumerate() {
                assert_eq!(lab.attempt(name, number), expected, "{name} {}\n{}", policies[number], lab.mail.log());
            }
        }
        for (server, line) in [
            (
                "good",
                "Trusted TLS connection established to PEER: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
            ),
            ("good", "Verified TLS connection established to PEER: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "),
            ("old-tls", "established to PEER: TLSv1.2 with cipher ECDHE-ECDSA-AES256-GCM-SHA384 (256/256 bits)"),
            ("unknown", "certificate verification failed for PEER: untrusted issuer /O=Lab/CN=Other Root CA"),
            ("unknown", "Untrusted TLS connection established to PEER: "),
            ("self", "certificate verification failed for PEER: self-signed certificate"),
            ("expired", "server certificate verification failed for PEER: certificate has expired"),
            ("name", "server certificate verification failed for PEER: num=62:hostname mismatch"),
            ("name", "Trusted TLS connection established to PEER: "),
            ("closes", "SSL_connect error to PEER: "),
        ] {
            lab.wait(server, line);
        }
    });
}

#[test]
fn fingerprints_are_those_of_certificate_and_key_and_nothing_else_is_asked() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let own = Identity::self_signed(&["any.test"], Period::Over);
        let print = |der: &[u8]| tls::Digest::Sha256.fingerprint(der);
        let (certificate, key) = (print(&own.certificate().der), print(&own.certificate().public_key));
        let policies = [
            format!("fingerprint match={certificate}"),
            format!("fingerprint match=00:11|{}", key.to_lowercase().replace(':', "")),
            format!("fingerprint match={}", print(b"other")),
            "fingerprint match=zz:zz".to_owned(),
            "fingerprint match=0011".to_owned(),
        ];
        let policies: Vec<&str> = policies.iter().map(String::as_str).collect();
        let lab = Lab::start(setup(), &root, vec![("own", Script::new(&own))], &policies);
        let unverified = "tls=!fingerprint, dsn=4.7.5, status=deferred (Server certificate not verified)";
        let misconfigured = "tls=unknown?, dsn=4.7.5, status=deferred (client TLS configuration problem)";
        let sent = "tls=fingerprint, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)";
        for (number, expected) in [sent, sent, unverified, misconfigured, unverified].into_iter().enumerate() {
            assert_eq!(lab.attempt("own", number), expected, "{}\n{}", policies[number], lab.mail.log());
        }
        lab.wait("own", "warning: PEER: unusable TLSA RR: 3 1 255 0011");
        lab.wait("own", "warning: PEER: all fingerprints unusable");
        lab.wait("own", "server certificate verification failed for PEER: num=65:no matching DANE TLSA records");
        lab.wait(
            "own",
            "server certificate verification failed for PEER: num=1:unspecified certificate verification error",
        );
        lab.mail.wait_log(&["warning: malformed fingerprint value: zz:zz"]);
        lab.mail.wait_log(&["configured at fingerprint security level, but with no fingerprints to match."]);
    });
}

#[test]
fn a_policy_that_makes_no_sense_is_told_and_its_mail_waits() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let policies = [
            ("bogus", "invalid security level \"bogus\""),
            ("encrypt foo", "malformed attribute/value pair \"foo\": missing '=' after attribute name"),
            ("encrypt foo=bar", "invalid attribute name: \"foo\""),
            ("encrypt match=x", "attribute \"match\" invalid at security level \"encrypt\""),
            ("encrypt servername=-x-", "\"servername=-x-\" specifies an invalid hostname"),
            ("secure ciphers=high ciphers=low", "attribute \"ciphers\" is specified multiple times"),
        ];
        let texts: Vec<&str> = policies.iter().map(|(policy, _)| *policy).collect();
        let lab = Lab::start(setup(), &root, vec![("good", Script::new(&good(&root)))], &texts);
        let next_hop = lab.server("good").next_hop();
        for (number, (policy, what)) in policies.iter().enumerate() {
            let told = lab.attempt("good", number);
            assert_eq!(told, "tls=unknown?, dsn=4.7.5, status=deferred (client TLS configuration problem)", "{policy}");
            let warning = format!("warning: smtp_tls_policy_maps, next-hop destination \"{next_hop}\": {what}");
            lab.mail.wait_log(&[&warning]);
        }
        lab.mail.wait_log(&[&format!(
            "warning: TLS policy lookup for {next_hop}/127.0.0.1: client TLS configuration problem"
        )]);
        assert!(lab.server("good").heard().is_empty());
    });
}

#[test]
fn versions_ciphers_and_the_name_that_is_asked_for_are_those_of_the_policy() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let policies = [
            "encrypt protocols=TLSv1.2 exclude=AES256:CHACHA20",
            "encrypt servername=sni.example",
            "encrypt protocols=foo",
            "encrypt ciphers=bogus",
            "encrypt exclude=!AES",
        ];
        let lab = Lab::start(setup(), &root, vec![("good", Script::new(&good(&root)))], &policies);
        let sent = "tls=encrypt, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)";
        let failed = "tls=encrypt?, dsn=4.7.5, status=deferred (Cannot start TLS: handshake failure)";
        for (number, expected) in [sent, sent, failed, failed, failed].into_iter().enumerate() {
            assert_eq!(lab.attempt("good", number), expected, "{}\n{}", policies[number], lab.mail.log());
        }
        lab.wait("good", "established to PEER: TLSv1.2 with cipher ECDHE-ECDSA-AES128-GCM-SHA256 (128/128 bits)");
        lab.wait("good", "warning: PEER: Invalid TLS protocol list \"foo\": aborting TLS session");
        lab.wait("good", "warning: PEER: invalid cipher grade: \"bogus\"");
        lab.wait("good", "warning: PEER: invalid unary '!+-@' in cipher exclusion: !AES");
        assert!(lab.server("good").heard().contains(&"# TLS TLSv1_3 sni.example".to_owned()));
    });
}

#[test]
fn a_probe_goes_in_the_clear_where_optional_tls_fails() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let script = Script::new(&good(&root)).with(Starttls::Closes);
        let lab = Lab::start(setup(), &root, vec![("closes", script)], &["may"]);
        lab.mail.sendmail(&["-f", "bob@mail.test", "-bv", "u@closes-0.test"], "");
        let line = lab.mail.wait_log(&["to=<u@closes-0.test>", "status="]);
        assert!(lab.told(&line).starts_with("tls=may:none, dsn=2.1.0, status=deliverable"), "{line}");
        lab.mail.wait_log(&[": Cannot start TLS: handshake failure"]);
    });
}

#[test]
fn tls_before_the_greeting_is_there_for_servers_that_want_it_and_never_optional() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let wrapped = Script { wrapped: true, ..Script::new(&good(&root)) };
        let setup = setup().set("smtp_tls_wrappermode", "yes");
        let policies = ["secure match=mx1.dest.test", "may"];
        let lab = Lab::start(setup, &root, vec![("wrapped", wrapped)], &policies);
        let sent = "tls=secure, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)";
        assert_eq!(lab.attempt("wrapped", 0), sent);
        let unavailable = "tls=may?, dsn=4.3.0, status=deferred (server unavailable or unable to receive mail)";
        assert_eq!(lab.attempt("wrapped", 1), unavailable);
        lab.mail
            .wait_log(&["warning: smtp_tls_wrappermode requires \"smtp_tls_security_level = encrypt\" (or stronger)"]);
    });
}

#[test]
fn what_a_server_says_before_the_handshake_does_not_count_after_it() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let stuffed = Starttls::Stuffed("250-fake|250 SIZE 1|250 2.1.0 Ok|550 5.7.1 no");
        let script = Script::new(&good(&root)).with(stuffed);
        let lab = Lab::start(setup(), &root, vec![("stuffed", script)], &["encrypt"]);
        let sent = "tls=encrypt, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)";
        assert_eq!(lab.attempt("stuffed", 0), sent);
    });
}

#[test]
fn a_sender_who_does_without_tls_gets_no_more_than_the_server_offers() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let lab = Lab::start(setup(), &root, vec![("plain", Script::plain())], &["secure"]);
        let required = "tls=!secure, dsn=4.7.4, status=deferred (TLS is required, but was not offered by host HOST)";
        assert_eq!(lab.attempt("plain", 0), required);
        let text = format!("TLS-Required: no\n{TEXT}");
        lab.mail.sendmail(&["-f", "bob@mail.test", "v@plain-0.test"], &text);
        let line = lab.mail.wait_log(&["to=<v@plain-0.test>", "status="]);
        assert!(lab.told(&line).starts_with("tls=may:none, dsn=2.0.0, status=sent"), "{line}");
    });
}

#[test]
fn a_message_that_requires_tls_all_the_way_goes_to_servers_that_keep_it_up_and_comes_back_from_others() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let knows = Script::new(&good(&root)).offering_under_tls("REQUIRETLS");
        let scripts = vec![("knows", knows), ("other", Script::new(&good(&root))), ("plain", Script::plain())];
        let setup = setup().set("smtp_requiretls_policy", "enforce").set("append_dot_mydomain", "no");
        let lab = Lab::start(setup, &root, scripts, &["secure match=mx1.dest.test", "encrypt"]);
        let text = format!("Require-TLS-ESMTP: yes\n{TEXT}");
        let attempt = |name: &str, number: usize| {
            let recipient = format!("u@{name}-{number}.test");
            lab.mail.sendmail(&["-f", "bob@mail.test", &recipient], &text);
            lab.told(&lab.mail.wait_log(&[&format!("to=<{recipient}>"), "status="]))
        };
        assert!(attempt("knows", 0).starts_with("tls=secure/requiretls, dsn=2.0.0, status=sent"));
        let mail = |line: &String| line.starts_with("MAIL FROM:<bob@mail.test>") && line.ends_with(" REQUIRETLS");
        assert!(lab.server("knows").heard().iter().any(mail), "{:?}", lab.server("knows").heard());
        let unsupported = "Sender requested REQUIRETLS, but no server was found that supports REQUIRETLS. The last \
                           attempted server was HOST";
        let expected = format!("tls=secure/!requiretls:none, dsn=5.7.30, status=bounced ({unsupported})");
        assert_eq!(attempt("other", 0), expected);
        let not_offered = "Sender requested REQUIRETLS, but TLS service was not offered by host HOST";
        let expected = format!("tls=!secure/!requiretls:nostarttls, dsn=5.7.30, status=bounced ({not_offered})");
        assert_eq!(attempt("plain", 0), expected);
        let no_matching = "Sender requested REQUIRETLS, but my configured TLS security level 'encrypt' disables \
                           certificate matching. The last attempted server was 127.0.0.1";
        let expected = format!("tls=encrypt?/!requiretls:nocertmatch, dsn=5.7.10, status=bounced ({no_matching})");
        assert_eq!(attempt("knows", 1), expected);
        // RFC 8689 5: what was to be protected does not come back.
        let notices = lab.mail.wait_mail("bob", 3);
        assert!(notices.iter().all(|notice| !notice.0.contains("\nbody\n")), "{notices:?}");
    });
}

#[test]
fn trust_anchor_files_take_the_place_of_authorities() {
    scenario(|| {
        let (root, other) = (Authority::root("Lab Root CA"), Authority::root("Other Root CA"));
        for (anchor, expected) in [
            (&root, "tls=verify, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)"),
            (&other, "tls=!verify, dsn=4.7.5, status=deferred (Server certificate not verified)"),
        ] {
            let file = std::env::temp_dir().join(format!("anchor-{}-{}.pem", std::process::id(), expected.len()));
            write_old(&file, &anchor.certificate().pem);
            let setup = setup().set("smtp_tls_trust_anchor_file", file.display().to_string());
            let script = Script::new(&good(&root));
            let by_table = format!("verify match=mx1.dest.test tafile={}", file.display());
            let policies = ["verify match=mx1.dest.test", &by_table];
            let lab = Lab::start(setup, &other, vec![("good", script)], &policies);
            assert_eq!(lab.attempt("good", 0), expected, "{}", lab.mail.log());
            assert_eq!(lab.attempt("good", 1), expected, "{}", lab.mail.log());
            let _ = std::fs::remove_file(file);
        }
    });
}

#[test]
fn level_2_shows_the_chain_of_a_server_step_by_step() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let between = root.below("Lab CA");
        let script = |authority: &Authority, period| Script::new(&authority.issue(&["mx1.dest.test"], period));
        let servers = vec![
            ("good", script(&between, Period::Current)),
            ("unknown", script(&Authority::root("Other Root CA").below("Other CA"), Period::Current)),
            ("expired", script(&between, Period::Over)),
            ("self", Script::new(&Identity::self_signed(&["mx1.dest.test"], Period::Current))),
        ];
        let lab = Lab::start(setup().set("smtp_tls_loglevel", "2"), &root, servers, &["may"]);
        for (name, steps) in [
            ("good", ["2 1 CN=Lab Root CA", "1 1 CN=Lab CA", "0 1 CN=mx1.dest.test"].as_slice()),
            ("unknown", &["1 0 CN=Other CA", "0 1 CN=mx1.dest.test"]),
            ("expired", &["2 1 CN=Lab Root CA", "1 1 CN=Lab CA", "0 0 CN=mx1.dest.test", "0 1 CN=mx1.dest.test"]),
            ("self", &["0 0 CN=mx1.dest.test", "0 1 CN=mx1.dest.test"]),
        ] {
            assert!(lab.attempt(name, 0).contains("status=sent"), "{}", lab.mail.log());
            let peer = format!("]:{}: depth=", lab.server(name).address().port());
            let log = lab.mail.log();
            let told = log.lines().filter_map(|line| Some(line.split_once(&peer)?.1));
            let told: Vec<_> =
                told.map(|step| step.replace(" verify=", " ").replace(" subject=/O=Lab/", " ")).collect();
            assert_eq!(told, steps, "{name}\n{log}");
        }
    });
}
