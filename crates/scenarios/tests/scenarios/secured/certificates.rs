//! Certificates under TLS: who shows one, which one is shown, what becomes of it on disk, and where the keys are.

use std::time::Duration;

use scenarios::scenario;
use testing::TlsClient;
use testing::certificates::{Authority, Identity, Period};
use testing::wait::until_true;

use super::{MESSAGE, mx, openssl, put, replace, say, secured, server, server_with};

#[test]
fn certificates_of_clients_open_doors_and_are_described() {
    scenario(|| {
        let (known, stranger) = (Authority::root("Lab CA"), Authority::root("Other CA"));
        let friend = known.issue(&["friend.test"], Period::Current);
        let enemy = stranger.issue(&["enemy.test"], Period::Current);
        let expired = known.issue(&["late.test"], Period::Over);
        let long = Authority::root(&"x".repeat(300)).issue(&["y".repeat(300).as_str()], Period::Current);
        let ours = known.issue(&["mx.mail.test"], Period::Current);
        let mail = server_with(&ours, &[("smtpd_tls_ask_ccert", "yes"), ("mynetworks", "")], |mail| {
            let authorities = put(mail, "ca.pem", &known.certificate().pem);
            mail.set("smtpd_tls_CAfile", &authorities);
            mail.set("smtpd_tls_received_header", "yes");
            mail.set("smtpd_relay_restrictions", "permit_tls_all_clientcerts, reject_unauth_destination");
            mail.set("relay_clientcerts", &format!("inline:{{ {{ {} = enemy }} }}", fingerprint(&enemy)));
            mail.set("relayhost", "[127.0.0.1]:1");
        });
        let relays = |tls: &TlsClient| {
            let mut session = secured(&mail, tls);
            say(&mut session, "EHLO client.test");
            say(&mut session, "MAIL FROM:<a@client.test>");
            say(&mut session, "RCPT TO:<b@elsewhere.test>")
        };
        let denied = "554 5.7.1 <b@elsewhere.test>: Relay access denied";
        assert_eq!(relays(&TlsClient::showing(&friend)), "250 2.1.5 Ok");
        assert_eq!(relays(&TlsClient::showing(&enemy)), "250 2.1.5 Ok");
        assert_eq!(relays(&TlsClient::showing(&expired)), denied);
        assert_eq!(relays(&TlsClient::new()), denied);
        mail.wait_log(&["Trusted TLS connection established from unknown[127.0.0.1]: ", "client-signature ECDSA"]);
        mail.wait_log(&["Untrusted TLS connection established from unknown[127.0.0.1]: "]);
        for (tls, comment) in [
            (TlsClient::showing(&friend), "(Client CN \"friend.test\", Issuer \"Lab CA\" (verified OK))"),
            (TlsClient::showing(&expired), "(Client CN \"late.test\", Issuer \"Lab CA\" (not verified))"),
            // What it calls itself would be a header of any length.
            (TlsClient::showing(&long), "(Client CN \"\", Issuer \"Lab\" (not verified))"),
            (TlsClient::new(), "(Client did not present a certificate)"),
        ] {
            let mut session = secured(&mail, &tls);
            say(&mut session, "EHLO client.test");
            assert_eq!(session.send("a@client.test", &["carol@mail.test"], MESSAGE).expect("sent").code, 250);
            let told = || {
                let mails = mail.wait_mail("carol", 1);
                mails.iter().any(|mail| mail.header("Received").is_some_and(|field| field.contains(comment)))
            };
            assert!(until_true(Duration::from_secs(30), told), "{comment}");
        }
        mail.wait_log(&["warning: tls_text_name: unknown[127.0.0.1]: peer subject CN too long: 300"]);
        mail.wait_log(&["warning: tls_text_name: unknown[127.0.0.1]: peer issuer CN too long: 300"]);
    });
}

#[test]
fn an_old_digest_is_told_when_a_client_shows_a_certificate() {
    scenario(|| {
        let friend = Identity::self_signed(&["friend.test"], Period::Current);
        let settings = [("smtpd_tls_ask_ccert", "yes"), ("compatibility_level", "2"), ("mynetworks", "127.0.0.0/8")];
        let mail = server_with(&mx(), &settings, |mail| {
            mail.set("smtpd_recipient_restrictions", "check_ccert_access static:DUNNO, permit_mynetworks, reject");
        });
        let notice = "setting smtpd_tls_fingerprint_digest=md5 to compute certificate fingerprints";
        for tls in [TlsClient::new(), TlsClient::showing(&friend)] {
            assert_eq!(mail.find_log(&[notice]), None, "{}", mail.log());
            let mut session = secured(&mail, &tls);
            for line in ["EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<alice@mail.test>", "QUIT"] {
                say(&mut session, line);
            }
            mail.wait_log(&["disconnect from ", "rcpt=1"]);
        }
        mail.wait_log(&[notice]);
    });
}

#[test]
fn level_2_shows_the_chain_of_a_client_and_its_tickets() {
    scenario(|| {
        let known = Authority::root("Lab CA");
        let friend = known.issue(&["friend.test"], Period::Current);
        let enemy = Authority::root("Other CA").issue(&["enemy.test"], Period::Current);
        let mail = server_with(&mx(), &[("smtpd_tls_ask_ccert", "yes"), ("smtpd_tls_loglevel", "2")], |mail| {
            let authorities = put(mail, "ca.pem", &known.certificate().pem);
            mail.set("smtpd_tls_CAfile", &authorities);
        });
        let told = |words: &str| mail.log().matches(&format!(": unknown[127.0.0.1]: {words}")).count();
        for (identity, steps) in [
            (&friend, [("1 verify=1 subject=/O=Lab/CN=Lab CA", 1), ("0 verify=1 subject=/O=Lab/CN=friend.test", 1)]),
            (&enemy, [("0 verify=0 subject=/O=Lab/CN=enemy.test", 2), ("0 verify=1 subject=/O=Lab/CN=enemy.test", 1)]),
        ] {
            let tls = TlsClient::showing(identity);
            let issued = told("Issuing session ticket, key expiration: ");
            say(&mut secured(&mail, &tls), "QUIT");
            let is_issued = || told("Issuing session ticket, key expiration: ") > issued;
            assert!(until_true(Duration::from_secs(30), is_issued), "{}", mail.log());
            for (step, count) in steps {
                let is_told = || told(&format!("depth={step}")) == count;
                assert!(until_true(Duration::from_secs(30), is_told), "{step}:\n{}", mail.log());
            }
            let decrypted = told("Decrypting session ticket, key expiration: ");
            say(&mut secured(&mail, &tls), "QUIT");
            let again = || told("Decrypting session ticket, key expiration: ") > decrypted;
            assert!(until_true(Duration::from_secs(30), again), "{}", mail.log());
        }
    });
}

/// The SHA-256 digest of a certificate, as tables have it.
fn fingerprint(identity: &Identity) -> String {
    let tlsa = identity.certificate().tlsa(3, 0, 1);
    let hex = tlsa.rsplit(' ').next().unwrap_or_default().as_bytes().chunks(2);
    hex.map(|pair| String::from_utf8_lossy(pair).into_owned()).collect::<Vec<_>>().join(":")
}

#[test]
fn who_must_show_a_certificate_and_does_not_is_let_go() {
    scenario(|| {
        let known = Authority::root("Lab CA");
        let ours = known.issue(&["mx.mail.test"], Period::Current);
        let settings = [("smtpd_tls_security_level", "encrypt"), ("smtpd_tls_req_ccert", "yes")];
        let mail = server_with(&ours, &settings, |mail| {
            let authorities = put(mail, "ca.pem", &known.certificate().pem);
            mail.set("smtpd_tls_CAfile", &authorities);
        });
        let hello = |tls: &TlsClient| say(&mut secured(&mail, tls), "EHLO client.test");
        let name = mail.output("postconf", &["-h", "myhostname"]).trim().to_owned();
        assert_eq!(hello(&TlsClient::new()), format!("421 4.7.1 {name} Error: No client certificate presented"));
        let stranger = Identity::self_signed(&["enemy.test"], Period::Current);
        let refused = format!("421 4.7.1 {name} Error: Client certificate not trusted");
        assert_eq!(hello(&TlsClient::showing(&stranger)), refused);
        let friend = known.issue(&["friend.test"], Period::Current);
        assert!(hello(&TlsClient::showing(&friend)).starts_with("250 "));
        mail.wait_log(&["NOQUEUE: abort: TLS from unknown[127.0.0.1]: No client certificate presented"]);
        mail.wait_log(&["NOQUEUE: abort: TLS from unknown[127.0.0.1]: Client certificate not trusted"]);
        mail.wait_log(&["certificate verification failed for unknown[127.0.0.1]: self-signed certificate"]);
        // The handshake is no failure.
        mail.wait_log(&["disconnect from unknown[127.0.0.1] ehlo=1 starttls=1 commands=2"]);
    });
}

#[test]
fn a_client_gets_the_certificate_whose_key_it_can_check() {
    scenario(|| {
        let (rsa, ec) = (Identity::self_signed_rsa(&["mx.mail.test"]), mx());
        let files = |mail: &testing::Instance, kind: &str, identity: &Identity| {
            let key = put(mail, &format!("{kind}-key.pem"), identity.key_pem());
            (put(mail, &format!("{kind}.pem"), &identity.certificates_pem()), key)
        };
        let in_one = |mail: &mut testing::Instance| {
            let each = |one: &Identity| format!("{}{}", one.key_pem(), one.certificates_pem());
            let both = put(mail, "both.pem", &format!("{}{}", each(&rsa), each(&ec)));
            mail.set("smtpd_tls_chain_files", &both);
        };
        let in_pairs = |mail: &mut testing::Instance| {
            mail.set("smtpd_tls_chain_files", "");
            for (kind, identity, names) in [
                ("rsa", &rsa, ["smtpd_tls_cert_file", "smtpd_tls_key_file"]),
                ("ec", &ec, ["smtpd_tls_eccert_file", "smtpd_tls_eckey_file"]),
            ] {
                let (certificate, key) = files(mail, kind, identity);
                mail.set(names[0], &certificate);
                mail.set(names[1], &key);
            }
        };
        let ways: [&dyn Fn(&mut testing::Instance); 2] = [&in_one, &in_pairs];
        for way in ways {
            let mail = server_with(&ec, &[], |mail| way(mail));
            let place = mail.v4().to_string();
            for (suite, identity) in [("ECDHE-RSA-AES128-GCM-SHA256", &rsa), ("ECDHE-ECDSA-AES128-GCM-SHA256", &ec)] {
                let shown = openssl(&[
                    "s_client",
                    "-starttls",
                    "smtp",
                    "-connect",
                    &place,
                    "-tls1_2",
                    "-cipher",
                    suite,
                    "-showcerts",
                ]);
                let pem = identity.certificates_pem();
                let line = pem.lines().nth(3).expect("a line");
                assert!(shown.contains(line), "{suite}: {shown}");
            }
        }
    });
}

#[test]
fn a_name_that_a_client_asks_for_has_its_own_certificate() {
    scenario(|| {
        let (one, below) = (
            Identity::self_signed(&["one.test"], Period::Current),
            Identity::self_signed(&["*.many.test"], Period::Current),
        );
        let default = mx();
        let mail = server_with(&default, &[], |mail| {
            let files = [("one.pem", &one), ("many.pem", &below)]
                .map(|(name, it)| put(mail, name, &format!("{}{}", it.key_pem(), it.certificates_pem())));
            let table = put(mail, "names", &format!("one.test {}\n.many.test {}\n", files[0], files[1]));
            mail.set("tls_server_sni_maps", &format!("texthash:{table}"));
        });
        let shown = |name: &str| {
            let session = secured(&mail, &TlsClient::new().asking_for(name));
            let chain = session.tls().and_then(|session| session.peer_certificates());
            chain.and_then(|chain| chain.first()).map(|der| der.to_vec())
        };
        for (name, identity) in [
            ("one.test", &one),
            ("ONE.test", &one),
            ("a.b.many.test", &below),
            ("many.test", &default),
            ("x.test", &default),
        ] {
            assert_eq!(shown(name), Some(identity.certificate().der.clone()), "{name}");
        }
        mail.wait_log(&["Anonymous TLS connection established from unknown[127.0.0.1] to a.b.many.test: TLSv1.3"]);
        mail.wait_log(&["TLS SNI x.test from unknown[127.0.0.1] not matched, using default chain"]);
    });
}

#[test]
fn a_table_that_postmap_has_filled_with_keys_and_certificates_needs_no_files() {
    scenario(|| {
        let (one, default) = (Identity::self_signed(&["one.test"], Period::Current), mx());
        let mail = server_with(&default, &[], |mail| {
            let key = put(mail, "one-key.pem", one.key_pem());
            let certificates = put(mail, "one.pem", &one.certificates_pem());
            let table = format!("lmdb:{}", put(mail, "names", &format!("one.test {key}, {certificates}\n")));
            mail.output("postmap", &["-F", &table]);
            [key, certificates].iter().for_each(|file| std::fs::remove_file(file).expect("removed"));
            mail.set("tls_server_sni_maps", &table);
        });
        for (name, identity) in [("one.test", &one), ("x.test", &default)] {
            let session = secured(&mail, &TlsClient::new().asking_for(name));
            let chain = session.tls().and_then(|session| session.peer_certificates());
            let shown = chain.and_then(|chain| chain.first()).map(|der| der.to_vec());
            assert_eq!(shown, Some(identity.certificate().der.clone()), "{name}");
        }
    });
}

#[test]
fn a_certificate_that_is_renewed_is_used_and_one_that_is_broken_is_not() {
    scenario(|| {
        let (first, second) = (mx(), mx());
        let mail = server(&first, &[]);
        let chain = mail.etc().join("chain.pem");
        let shown = || {
            let session = secured(&mail, &TlsClient::new());
            let chain = session.tls().and_then(|session| session.peer_certificates());
            chain.and_then(|chain| chain.first()).map(|der| der.to_vec())
        };
        let is = |identity: &Identity| shown() == Some(identity.certificate().der.clone());
        assert!(is(&first));
        replace(&chain, &format!("{}{}", second.key_pem(), first.certificates_pem()));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(is(&first));
        mail.wait_log(&["tlsmgr", "warning: key at index 1 in ", " does not match next certificate"]);
        let old = Identity::self_signed(&["mx.mail.test"], Period::Over);
        replace(&chain, &format!("{}{}", old.key_pem(), old.certificates_pem()));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(is(&first));
        mail.wait_log(&["tlsmgr", "certificate of ", "has expired"]);
        replace(&chain, &format!("{}{}", second.key_pem(), second.certificates_pem()));
        assert!(until_true(Duration::from_secs(30), || is(&second)));
        assert_eq!(mail.find_log(&["reload"]), None);
    });
}

#[test]
fn no_process_that_talks_to_clients_has_the_key() {
    scenario(|| {
        let identity = mx();
        let mail = server(&identity, &[]);
        let mut session = secured(&mail, &TlsClient::new());
        say(&mut session, "EHLO client.test");
        // As a file has it, or as a number in this machine's memory.
        let secret = identity.secret();
        let number: Vec<u8> = secret.iter().rev().copied().collect();
        let has_it = |pid: i32| {
            let memory = memory_of(pid);
            assert!(memory.len() > 10_000, "the memory of {pid} cannot be read");
            memory.windows(secret.len()).any(|bytes| bytes == secret || bytes == number)
        };
        for process in mail.processes_of("smtpd") {
            assert!(!has_it(process.pid), "smtpd {}", process.pid);
        }
        assert!(!mail.processes_of("smtpd").is_empty());
        // It is where it should be, and the look is one that finds it.
        let holders: Vec<bool> = mail.processes_of("tlsmgr").iter().map(|process| has_it(process.pid)).collect();
        assert!(holders.contains(&true), "{holders:?}");
    });
}

/// What a process has in memory that can be read.
fn memory_of(pid: i32) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let Ok(memory) = std::fs::File::open(format!("/proc/{pid}/mem")) else { return Vec::new() };
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let Some((start, end)) = range else { continue };
        let number = |text| u64::from_str_radix(text, 16).unwrap_or(0);
        let mut part = vec![0; usize::try_from(number(end) - number(start)).unwrap_or(0)];
        if memory.read_exact_at(&mut part, number(start)).is_ok() {
            all.extend(part);
        }
    }
    all
}
