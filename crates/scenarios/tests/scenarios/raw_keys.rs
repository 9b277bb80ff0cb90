//! Public keys in place of certificates (RFC 7250), between two mail systems of which one is C Postfix.

use scenarios::scenario;
use testing::certificates::{Described, Identity, Period};
use testing::programs::{Implementation, Programs};
use testing::setup::write_old;
use testing::tls_server::Script;
use testing::{Instance, Setup};

const TEXT: &str = "From: a@client.test\nSubject: onward\nMessage-Id: <4@client.test>\n\nbody\n";
const RAW: &str = "ECDSA (prime256v1 raw public key)";

/// A digest of a certificate (0) or of its public key (1), as tables and policies have it.
fn fingerprint(certificate: &Described, selector: u8) -> String {
    let record = certificate.tlsa(3, selector, 1);
    let pairs = record.rsplit(' ').next().unwrap_or_default().as_bytes().chunks(2);
    pairs.map(|pair| String::from_utf8_lossy(pair).into_owned()).collect::<Vec<_>>().join(":")
}

/// The other mail system.
fn other() -> Option<Programs> {
    let there = match Programs::under_test().implementation {
        Implementation::Ours => Programs::oracle(),
        Implementation::Oracle => Some(Programs::ours()),
    };
    if there.is_none() {
        eprintln!("left out: no C Postfix (`cargo xtask oracle` unpacks it)");
    }
    there
}

/// Of a client and of a server.
fn identities() -> (Identity, Identity) {
    let made = |name| Identity::self_signed(&[name], Period::Current);
    (made("client.test"), made("mx.box.test"))
}

/// A mail system with a certificate.
fn built(setup: Setup, identity: &Identity) -> Instance {
    let mail = setup.set("compatibility_level", "3.11").service("tlsmgr unix - - n 1000? 1 tlsmgr").build();
    write_old(&mail.etc().join("chain.pem"), &format!("{}{}", identity.key_pem(), identity.certificates_pem()));
    mail
}

/// One that takes mail of those alone whose public key it knows, or whose certificate.
fn receiver(programs: Programs, identity: &Identity, known: &str) -> Instance {
    let setup = Setup::of(programs)
        .set("smtpd_tls_security_level", "may")
        .set("smtpd_tls_chain_files", "$config_directory/chain.pem")
        .set("smtpd_tls_ask_ccert", "yes")
        .set("smtpd_tls_enable_rpk", "yes")
        .set("smtpd_tls_received_header", "yes")
        .set("smtpd_tls_loglevel", "summary,peercert,untrusted")
        .set("relay_clientcerts", format!("inline:{{ {{ {known} = known }} }}"))
        .set("smtpd_relay_restrictions", "permit_tls_clientcerts, reject")
        .set("virtual_alias_domains", "$virtual_alias_maps")
        .set("virtual_alias_maps", "inline:{ { box.test = x } { u@box.test = alice } }");
    built(setup, identity)
}

fn sender(identity: &Identity, server: &str, policy: &str) -> Instance {
    let setup = Setup::new()
        .set("relayhost", server)
        .set("smtp_tls_policy_maps", format!("inline:{{ {{ {server} = {policy} }} }}"))
        .set("smtp_tls_chain_files", "$config_directory/chain.pem")
        .set("smtp_tls_loglevel", "summary,certmatch");
    built(setup, identity)
}

#[test]
fn a_server_shows_its_key_to_a_client_that_asks_for_it_and_is_known_by_it() {
    scenario(|| {
        let Some(there) = other() else { return };
        let (ours, theirs) = identities();
        let mut last = receiver(there, &theirs, &fingerprint(ours.certificate(), 1));
        last.start();
        let server = format!("[127.0.0.1]:{}", last.port());
        let (whole, key) = (fingerprint(theirs.certificate(), 0), fingerprint(theirs.certificate(), 1));
        for (policy, raw, outcome) in [
            (format!("fingerprint enable_rpk=yes match={key}"), true, "Verified"),
            ("may enable_rpk=yes".to_owned(), true, "Untrusted"),
            ("encrypt enable_rpk=yes".to_owned(), true, "Untrusted"),
            (format!("fingerprint match={whole}"), false, "Verified"),
            (format!("fingerprint match={key}"), false, "Verified"),
        ] {
            let mut first = sender(&ours, &server, &policy);
            first.start();
            first.sendmail(&["-f", "bob@mail.test", "u@box.test"], TEXT);
            first.wait_log(&["to=<u@box.test>", "dsn=2.0.0, status=sent"]);
            let line = first.wait_log(&[&format!("{outcome} TLS connection established to 127.0.0.1[127.0.0.1]:")]);
            assert_eq!(line.contains(&format!("server-signature {RAW}")), raw, "{policy}: {line}");
        }
        last.wait_log(&[" TLS connection established from ", &format!("server-signature {RAW} server-digest SHA256")]);
        // A fingerprint of the certificate matches no key.
        let mut first = sender(&ours, &server, &format!("fingerprint enable_rpk=yes match={whole}"));
        first.start();
        first.sendmail(&["-f", "bob@mail.test", "u@box.test"], TEXT);
        first.wait_log(&["to=<u@box.test>", "status=deferred (Server certificate not verified)"]);
        first.wait_log(&["server certificate verification failed for ", "num=65:no matching DANE TLSA records"]);
    });
}

#[test]
fn a_client_is_known_by_its_key_whether_it_shows_a_certificate_or_not() {
    scenario(|| {
        let Some(there) = other() else { return };
        let (ours, theirs) = identities();
        let key = fingerprint(ours.certificate(), 1);
        // C Postfix sends its key to whoever asks for it, and we send the certificate.
        let raw = there.implementation == Implementation::Ours;
        let mut last = receiver(there, &theirs, &key);
        last.start();
        let mut first = sender(&ours, &format!("[127.0.0.1]:{}", last.port()), "may");
        first.start();
        first.sendmail(&["-f", "bob@mail.test", "u@box.test"], TEXT);
        first.wait_log(&["to=<u@box.test>", "dsn=2.0.0, status=sent"]);
        let (comment, line) = match raw {
            true => (format!("(Client RPK sha256 digest {key})"), format!(": raw public key fingerprint={key}")),
            false => ("(Client CN \"".to_owned(), format!("pkey fingerprint={key}")),
        };
        let mails = last.wait_mail("alice", 1);
        assert!(mails[0].header("Received").is_some_and(|field| field.contains(&comment)), "{:?}", mails[0]);
        last.wait_log(&["[127.0.0.1]: ", &line]);
        let signature = if raw { RAW } else { "ECDSA (prime256v1)" };
        last.wait_log(&[
            "Untrusted TLS connection established from ",
            &format!("client-signature {signature} client-digest SHA256"),
        ]);
    });
}

#[test]
fn an_entry_that_only_a_certificate_meets_is_told_where_keys_may_take_its_place() {
    scenario(|| {
        let (ours, theirs) = identities();
        let whole = fingerprint(ours.certificate(), 0);
        let mut mail = receiver(Programs::under_test(), &theirs, &whole);
        mail.set("smtpd_sender_restrictions", &format!("check_ccert_access inline:{{ {{ {whole} = OK }} }}"));
        mail.start();
        let mut client = testing::Client::greet(mail.v4()).expect("connected");
        client.starttls(&testing::TlsClient::showing(&ours)).expect("a handshake").expect("a session");
        for line in ["EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<u@box.test>"] {
            assert_eq!(client.command(line).expect("said").code, 250, "{line}");
        }
        let fragile = ": Fragile access policy: smtpd_tls_enable_rpk=yes, but ";
        mail.wait_log(&["warning: permit_tls_clientcerts: ", ": relay_clientcerts", fragile, "not matched"]);
        mail.wait_log(&["warning: check_ccert_access: ", ": inline:{", fragile, "the action for certificate"]);
    });
}

#[test]
fn a_server_without_raw_keys_shows_its_certificate_and_is_known_by_the_same_key() {
    scenario(|| {
        let (ours, theirs) = identities();
        let server = Script::new(&theirs).start();
        let key = fingerprint(theirs.certificate(), 1);
        let mut mail = sender(&ours, &server.next_hop(), &format!("fingerprint enable_rpk=yes match={key}"));
        mail.start();
        for count in 1..=2 {
            mail.sendmail(&["-f", "bob@mail.test", "u@box.test"], TEXT);
            let sent = || mail.log().matches("dsn=2.0.0, status=sent").count() >= count;
            assert!(testing::wait::until_true(std::time::Duration::from_secs(30), sent), "{}", mail.log());
        }
        let line = mail.wait_log(&["Verified TLS connection established to ", "server-signature ECDSA (prime256v1) "]);
        assert!(!line.contains("raw public key"), "{line}");
        assert_eq!(mail.find_log(&["SSL_connect error"]), None);
        // It is asked for its key once, and not again by the same process.
        let ehlos = server.heard().iter().filter(|line| line.starts_with("EHLO")).count();
        assert!(ehlos <= 5, "{:?}", server.heard());
    });
}

#[test]
fn posttls_finger_shows_the_key_of_a_server() {
    scenario(|| {
        let Some(there) = other() else { return };
        let (ours, theirs) = identities();
        let mut last = receiver(there, &theirs, &fingerprint(ours.certificate(), 1));
        last.start();
        let (mail, server) = (Setup::new().build(), format!("[127.0.0.1]:{}", last.port()));
        let key = fingerprint(theirs.certificate(), 1);
        let shown = |line: &[&str]| mail.output("posttls-finger", line);
        let text = shown(&["-c", "-C", "-x", "-l", "fingerprint", "-L", "verbose,certmatch,summary", &server, &key]);
        for part in [
            ": verify=1 raw public key\n",
            &format!(": raw public key fingerprint={key}\n"),
            &format!(": Matched fingerprint: {}\n", key.replace(':', "")),
            ": Verified TLS connection established to ",
            &format!(" server-signature {RAW} server-digest SHA256\n"),
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        assert!(!text.contains("BEGIN CERTIFICATE"), "{text}");
        let text = shown(&["-c", "-x", "-l", "may", "-L", "untrusted,summary", &server]);
        assert!(text.contains(": num=95:Raw public key untrusted, no trusted keys configured\n"), "{text}");
        // Who does not ask for it gets a certificate.
        let text = shown(&["-c", "-C", "-l", "may", &server]);
        assert!(text.contains("BEGIN CERTIFICATE") && !text.contains("raw public key"), "{text}");
        // A server that has none is asked for its certificate.
        let without = Script::new(&theirs).start();
        let text = shown(&["-c", "-x", "-l", "fingerprint", &without.next_hop(), &key]);
        assert!(text.contains(": Verified TLS connection established to "), "{text}");
    });
}
