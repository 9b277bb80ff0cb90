//! `postfix tls`: what it says, which files it makes, and what it makes of main.cf.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use scenarios::scenario;
use testing::certificates::{Identity, Period};
use testing::programs::{ENVIRONMENT, Implementation};
use testing::{Instance, Setup};

/// A mail system in whose main.cf nothing is said about TLS.
fn plain() -> Instance {
    Setup::new().set("compatibility_level", "3.11").set("myhostname", "mx.lab.test").build()
}

/// Where C Postfix is told where openssl(1) is: its script finds that by the main.cf in /etc/postfix alone.
const IN_PLACE: &str = "mkdir -p \"$1\" && mount -t tmpfs none \"$1\" && mkdir \"$1/up\" \"$1/work\" && \
    mount -t overlay none -o \"lowerdir=/etc,upperdir=$1/up,workdir=$1/work\" /etc && mkdir -p /etc/postfix && \
    cp \"$MAIL_CONFIG\"/*.cf /etc/postfix && shift && exec \"$@\"";

/// Runs a command: exit status, standard output, and what it said, without the name in front and with times as TIME.
fn tls(mail: &Instance, words: &str) -> (Option<i32>, String, String) {
    let words = words.split(' ');
    let mut command = mail.command("postfix");
    if mail.programs().implementation == Implementation::Oracle {
        let postfix = mail.programs().command("postfix");
        let place = mail.folder().join("place");
        command = Command::new("unshare");
        command.env_clear().envs(ENVIRONMENT).env("MAIL_CONFIG", mail.etc()).current_dir("/");
        command.args(["-m", "sh", "-c", IN_PLACE, "sh"]).arg(place).arg(postfix);
    }
    let output = command.arg("tls").args(words).output().expect("postfix runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said =
        said.lines().map(|line| line.split_once(": ").map_or(line, |(_, text)| text)).collect::<Vec<_>>().join("\n");
    let etc = format!("{}/", mail.etc().display());
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), timeless(&said.replace(&etc, "ETC/")))
}

/// `20261128-195856` as TIME.
fn timeless(text: &str) -> String {
    let is_stamp = |word: &str| {
        word.len() == 15
            && word.bytes().enumerate().all(|(at, byte)| if at == 8 { byte == b'-' } else { byte.is_ascii_digit() })
    };
    let mut out = text.to_owned();
    for at in 0..text.len() {
        if let Some(word) = text.get(at..at + 15).filter(|word| is_stamp(word)) {
            out = out.replace(word, "TIME");
        }
    }
    out
}

/// A setting of main.cf, from the file.
fn setting(mail: &Instance, name: &str) -> String {
    let text = std::fs::read_to_string(mail.etc().join("main.cf")).expect("main.cf");
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
    value.unwrap_or_default().to_owned()
}

/// The files whose names begin so, with their modes.
fn files(mail: &Instance, begin: &str) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(mail.etc()).expect("etc").flatten() {
        if entry.file_name().to_string_lossy().starts_with(begin) {
            found.push((entry.path(), entry.metadata().expect("metadata").permissions().mode() & 0o777));
        }
    }
    found.sort();
    found
}

const RELOAD: &str = "Run the command:\n  # postfix reload\nif you want the new settings to take effect immediately.";

#[test]
fn the_client_is_enabled_once_and_its_settings_are_left_alone_then() {
    scenario(|| {
        let mail = plain();
        assert_eq!(tls(&mail, "all-default-client"), (Some(0), String::new(), String::new()));
        let enabled = format!("Enabled opportunistic TLS in the Postfix SMTP client.\n{RELOAD}");
        assert_eq!(tls(&mail, "enable-client"), (Some(0), String::new(), enabled));
        let cache = format!("lmdb:{}/data/smtp_scache", mail.folder().display());
        for (name, value) in [
            ("smtp_tls_security_level", "may"),
            ("smtp_tls_loglevel", "1"),
            ("smtp_tls_session_cache_database", &cache),
            ("tls_random_source", "dev:/dev/urandom"),
        ] {
            assert_eq!(setting(&mail, name), value, "{name}");
        }
        assert_eq!(tls(&mail, "all-default-client").0, Some(1));
        let before = std::fs::read(mail.etc().join("main.cf")).expect("main.cf");
        let (status, _, said) = tls(&mail, "enable-client");
        assert!(said.starts_with("*** Non-default SMTP client TLS settings detected, no changes made.\n"), "{said}");
        assert_eq!((status, std::fs::read(mail.etc().join("main.cf")).expect("main.cf")), (Some(0), before));
    });
}

#[test]
fn the_server_gets_a_key_that_only_root_reads_and_records_for_it() {
    scenario(|| {
        let mail = plain();
        let (status, _, said) = tls(&mail, "enable-server");
        let request = "To generate a CSR run:\n  # postfix tls output-server-csr -k ETC/key-TIME.pem [<hostname> ...]\n\
            Save the signed certificate chain in ETC/cert-TIME.pem.\nTo generate TLSA records run:\n  \
            # postfix tls output-server-tlsa [-h <hostname>] \n(If you have DANE TLSA RRs, update them as soon as possible \
            to match\nthe newly deployed keys).";
        let enabled =
            "Enabled opportunistic TLS in the Postfix SMTP server\nNew TLS private key and certificate deployed.";
        assert_eq!((status, said), (Some(0), format!("{enabled}\n{RELOAD}\n{request}")));
        let ([(key, key_mode)], [(certificate, mode)]) = (&files(&mail, "key-")[..], &files(&mail, "cert-")[..]) else {
            panic!("one file of each");
        };
        assert_eq!((*key_mode, *mode), (0o600, 0o644));
        assert_eq!(setting(&mail, "smtpd_tls_key_file"), key.display().to_string());
        assert_eq!(setting(&mail, "smtpd_tls_cert_file"), certificate.display().to_string());
        let set = ["smtpd_tls_security_level", "smtpd_tls_loglevel", "smtpd_tls_received_header"];
        assert_eq!(set.map(|name| setting(&mail, name)), ["may", "1", "yes"]);
        let (status, printed, _) = tls(&mail, "output-server-tlsa -h foo.test");
        let comment = format!("; {}\n_25._tcp.foo.test. IN TLSA 3 1 1 ", key.display());
        assert!(status == Some(0) && printed.starts_with(&comment), "{printed}");
        assert_eq!(printed.trim_end().len(), comment.len() + 64, "{printed}");
        let (status, request, _) = tls(&mail, "output-server-csr a.test b.test");
        assert!(status == Some(0) && request.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{request}");
        assert_eq!(tls(&mail, "all-default-server").0, Some(1));
    });
}

#[test]
fn a_new_certificate_keeps_the_key_and_what_does_not_fit_is_not_deployed() {
    scenario(|| {
        let mail = plain();
        tls(&mail, "enable-server -a ecdsa one.test");
        let records = |words: &str| tls(&mail, &format!("output-server-tlsa {words}")).1;
        let record = |text: String| text.lines().nth(1).map(str::to_owned).unwrap_or_default();
        let deployed = record(records("ecdsa"));
        let (status, _, said) = tls(&mail, "new-server-cert -a ecdsa two.test");
        assert!(status == Some(0) && !said.contains("stale RRs"), "{said}");
        let newest = |begin: &str| files(&mail, begin).pop().expect("a file").0.display().to_string();
        let (certificate, key) = (newest("eccert-"), newest("eckey-"));
        assert_ne!(setting(&mail, "smtpd_tls_eckey_file"), key);
        assert_eq!(record(records(&key)), deployed);
        let (status, _, said) = tls(&mail, "new-server-key three.test");
        assert!(
            status == Some(0) && said.ends_with("(deploy after updating the DNS and waiting for stale RRs to expire).")
        );
        let other = newest("key-");
        let (status, _, said) = tls(&mail, &format!("deploy-server-cert {certificate} {other}"));
        let name = |path: &str| timeless(path).replace(&format!("{}/", mail.etc().display()), "ETC/");
        let unfit = format!("fatal: Certificate in {} does not match key in {}", name(&certificate), name(&other));
        assert_eq!((status, said), (Some(1), unfit));
        assert_eq!(tls(&mail, &format!("deploy-server-cert {certificate} {key}")).0, Some(0));
        assert_eq!(setting(&mail, "smtpd_tls_eckey_file"), key);
        assert_eq!(setting(&mail, "smtpd_tls_eccert_file"), certificate);
        assert_eq!(setting(&mail, "smtpd_tls_key_file"), "");
    });
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence() {
    scenario(|| {
        let mail = plain();
        let identity = Identity::self_signed(&["mx.test"], Period::Current);
        std::fs::write(mail.etc().join("ca.pem"), identity.certificates_pem()).expect("written");
        std::fs::write(mail.etc().join("key.pem"), identity.key_pem()).expect("written");
        for (words, said) in [
            ("enable-client x", "usage: postfix tls enable-client [-r devrandom]"),
            ("new-server-key -a dsa", "Unsupported public key algorithm: dsa"),
            ("deploy-server-cert nope.pem key.pem", "error computing certificate public key digest"),
            ("deploy-server-cert ca.pem nope.pem", "no private key found in file: ETC/nope.pem"),
            ("output-server-csr -k nope.pem", "No usable keyfile specified or configured"),
            ("output-server-tlsa", "No usable keyfiles specified or configured"),
        ] {
            assert_eq!(tls(&mail, words), (Some(1), String::new(), format!("fatal: {said}")), "{words}");
        }
        let (status, _, said) = tls(&mail, "bogus");
        assert!(status == Some(1) && said.starts_with("error: unknown tls command: 'bogus'\nfatal: usage: "), "{said}");
    });
}
