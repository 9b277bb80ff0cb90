//! posttls-finger: what it shows of a server, line by line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use scenarios::scenario;
use testing::certificates::{Authority, Identity, Period};
use testing::tls_server::{Script, Starttls, TlsServer};
use testing::{Instance, Setup, Sink};

use crate::dane::Lab;

/// A mail system that is not started: only its main.cf is needed.
fn system() -> Instance {
    Setup::new().set("compatibility_level", "3.11").build()
}

/// What it writes, without the name of the program in front and with words for what is another one each time; the exit
/// status comes last.
fn finger(mail: &Instance, line: &[&str]) -> Vec<String> {
    let output = mail.run("posttls-finger", line);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let shown = text.lines().map(|line| simplified(line.strip_prefix("posttls-finger: ").unwrap_or(line)));
    shown.chain([format!("exit {}", output.status.code().unwrap_or(-1))]).collect()
}

fn simplified(line: &str) -> String {
    let line = line.split(" with cipher ").next().unwrap_or_default();
    let words = line.split(' ').map(|word| {
        let (name, value) = word.split_once('=').unwrap_or(("", word));
        let digits = value.trim_end_matches(',').replace(':', "");
        let is_hex = digits.len() >= 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        match is_hex {
            true if name.is_empty() => "HEX".to_owned(),
            true => format!("{name}=HEX"),
            false => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The same without the dialogue.
fn tls(mail: &Instance, line: &[&str]) -> Vec<String> {
    finger(mail, &[&["-c"], line].concat())
}

fn file(mail: &Instance, name: &str, content: &str) -> String {
    let path = mail.folder().join(name);
    std::fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path.display().to_string()
}

/// `127.0.0.1[127.0.0.1]:PORT`
fn peer(server: &TlsServer) -> String {
    format!("127.0.0.1[127.0.0.1]:{}", server.address().port())
}

#[test]
fn the_dialogue_and_the_session_are_shown_with_the_certificates() {
    scenario(|| {
        let root = Authority::root("Root");
        let between = root.below("Between");
        let identity = between.issue(&["mx.test"], Period::Current);
        let (mail, server) = (system(), Script::new(&identity).start());
        let (to, peer) = (server.next_hop(), peer(&server));
        let shown = finger(&mail, &["-C", "-l", "may", &to]);
        let at = shown.iter().position(|line| line.is_empty()).expect("certificates");
        let (dialogue, certificates) = shown.split_at(at);
        let summary = format!("Untrusted TLS connection established to {peer}: TLSv1.3");
        for line in [
            format!("Connected to {peer}"),
            "> EHLO mail.test".to_owned(),
            "> STARTTLS".to_owned(),
            format!("{peer}: subject_CN=mx.test, issuer=Between, cert fingerprint=HEX pkey fingerprint=HEX"),
            summary.clone(),
            "> QUIT".to_owned(),
        ] {
            assert!(dialogue.contains(&line), "{line} is not in {dialogue:#?}");
        }
        assert!(dialogue.iter().filter(|line| line.starts_with("< 220 ")).count() == 2, "{dialogue:#?}");
        let pem: Vec<String> = identity.certificates_pem().lines().map(str::to_owned).collect();
        let blocks: Vec<String> = certificates.iter().filter(|line| pem.contains(line)).cloned().collect();
        assert_eq!(blocks, pem);
        assert_eq!(certificates[1..4], ["---", "Certificate chain", " 0 subject: /O=Lab/CN=mx.test"]);
        assert_eq!(tls(&mail, &["-L", "summary", "-l", "may", &to]), [summary.as_str(), "exit 0"]);
        assert_eq!(tls(&mail, &["-L", "none", "-l", "may", &to]), ["exit 0"]);
        assert_eq!(tls(&mail, &["-l", "none", &to]), ["exit 0"]);
    });
}

#[test]
fn each_level_says_what_the_server_lacks() {
    scenario(|| {
        let root = Authority::root("Root");
        let identity = root.issue(&["mx.test"], Period::Current);
        let (mail, server) = (system(), Script::new(&identity).start());
        let ca = file(&mail, "ca.pem", &root.certificate().pem);
        let (to, peer) = (server.next_hop(), peer(&server));
        let known = identity.certificate().tlsa(3, 0, 1).replace("3 0 1 ", "");
        let unknown = "00".repeat(32);
        let failed = format!("certificate verification failed for {peer}: ");
        let pair = |line: String, trust: &str| (line, format!("{trust} TLS connection established to {peer}: TLSv1.3"));
        for (line, (expected, summary)) in [
            (vec!["-l", "secure", to.as_str()], pair(format!("{failed}untrusted issuer /CN=Root"), "Untrusted")),
            (
                vec!["-F", &ca, "-l", "secure", &to, "mx.test"],
                pair(format!("{peer}: matched peername: mx.test"), "Verified"),
            ),
            (
                vec!["-F", &ca, "-l", "secure", &to, "other.test"],
                pair(format!("server {failed}num=62:hostname mismatch"), "Trusted"),
            ),
            (
                vec!["-A", &ca, "-l", "verify", &to, "mx.test"],
                pair(format!("{peer}: Matched trust anchor at depth 1"), "Verified"),
            ),
            (vec!["-l", "fingerprint", &to, &known], pair(format!("{peer}: Matched fingerprint: HEX"), "Verified")),
            (
                vec!["-l", "fingerprint", &to, &unknown],
                pair(format!("server {failed}num=65:no matching DANE TLSA records"), "Untrusted"),
            ),
            (
                vec!["-l", "fingerprint", &to, "zz"],
                pair("warning: malformed fingerprint value: zz".to_owned(), "Untrusted"),
            ),
            (
                vec!["-l", "dane-only", &to],
                pair("no TLSA records found, resorting to \"secure\"".to_owned(), "Untrusted"),
            ),
            (vec!["-l", "dane", &to], pair(format!("{failed}untrusted issuer /CN=Root"), "Untrusted")),
        ] {
            let shown = tls(&mail, &line);
            // Another name of the authority may come along.
            let is_there =
                shown.iter().any(|line| *line == expected || line.starts_with(expected.trim_end_matches("/CN=Root")));
            assert!(
                is_there && shown.contains(&summary) && shown.ends_with(&["exit 0".to_owned()]),
                "{line:?}: {shown:#?}"
            );
        }
    });
}

// long: a table of cases
#[test]
fn servers_are_held_to_their_records_in_dns() {
    scenario(|| {
        let Some(lab) = Lab::open() else { return };
        let mail = system();
        let ca = file(&mail, "ca.pem", &lab.authority);
        let v4 = |host: &str| format!("{host}[192.0.2.25]:25");
        let failed = |host: &str| format!("certificate verification failed for {}: ", v4(host));
        let half = "MX RRset insecure: log verified as trusted".to_owned();
        let matched = format!("{}: Matched DANE EE certificate at depth 0: 3 1 1 HEX", v4("mx.dane.test"));
        let mismatch = format!("server {}num=65:no matching DANE TLSA records", failed("bad.dane.test"));
        let untrusted = |host: &str| format!("{}untrusted issuer /O=Lab/CN=Root", failed(host));
        let only = &["-l", "dane-only"][..];
        for (options, domain, expected, trust) in [
            (&[][..], "mx.dane.test", vec![matched.clone()], "Verified"),
            (&["-s", "foo.test"], "mx.dane.test", vec![matched.clone()], "Verified"),
            (&[], "bad.dane.test", vec![mismatch.clone()], "Untrusted"),
            (&[], "none.dane.test", vec![untrusted("none.dane.test")], "Untrusted"),
            (only, "none.dane.test", vec!["no TLSA records found, resorting to \"secure\"".to_owned()], "Untrusted"),
            (&[], "half.insec.test", vec![half.clone(), matched.clone()], "Trusted"),
            (only, "half.insec.test", vec![half.clone(), matched], "Trusted"),
            (&[], "halfbad.insec.test", vec![half, mismatch.clone()], "Untrusted"),
            (
                &["-M", "encrypt"],
                "half.insec.test",
                vec!["TLSA RRs found, MX RRset insecure: just encrypt".to_owned()],
                "Untrusted",
            ),
            (&["-M", "may"], "half.insec.test", vec!["MX RRset is insecure: try to encrypt".to_owned()], "Untrusted"),
            (
                only,
                "useless.dane.test",
                vec![
                    "warning: _25._tcp.useless.dane.test unsupported TLSA certificate usage: 1 1 1 00".to_owned(),
                    "no usable TLSA records found, resorting to \"secure\"".to_owned(),
                    untrusted("useless.dane.test"),
                ],
                "Untrusted",
            ),
            (
                &[],
                "short.dane.test",
                vec![
                    format!("warning: {}: unusable TLSA RR: 3 1 1 0011", v4("short.dane.test")),
                    untrusted("short.dane.test"),
                ],
                "Untrusted",
            ),
            (&[], "backup.dane.test", vec![mismatch], "Untrusted"),
            (&["-h", "native"], "[mx.dane.test]", vec![untrusted("mx.dane.test")], "Untrusted"),
            (
                &["-F", &ca, "-l", "secure"],
                "dest.test",
                vec![format!("{}: matched peername: dest.test", v4("ta.dane.test"))],
                "Verified",
            ),
        ] {
            let shown = tls(&mail, &[options, &[domain]].concat());
            let summary = format!("{trust} TLS connection established to ");
            let missing = expected.iter().find(|line| !shown.contains(line));
            assert!(missing.is_none(), "{options:?} {domain}: {missing:?} is not in {shown:#?}");
            assert!(shown.iter().any(|line| line.starts_with(&summary)), "{options:?} {domain}: {shown:#?}");
            assert_eq!(shown.last().map(String::as_str), Some("exit 0"));
        }
        let shown = tls(&mail, &["bogus.test"]);
        let failed =
            "Failed to establish session to bogus.test via mx.bogus.test:25: TLSA lookup error for mx.bogus.test:25";
        assert!(shown.contains(&failed.to_owned()), "{shown:#?}");
        let shown = tls(&mail, &["nowhere.dane.test"]);
        assert!(
            shown
                .iter()
                .any(|line| line.starts_with("Destination address lookup failed: Host or domain name not found."))
        );
        // A server without STARTTLS is no error, whatever it has to show.
        let shown = finger(&mail, &["plain.dane.test"]);
        assert!(!shown.contains(&"> STARTTLS".to_owned()) && shown.ends_with(&["exit 0".to_owned()]), "{shown:#?}");
    });
}

#[test]
fn what_goes_wrong_is_told_in_one_line_and_is_no_failure() {
    scenario(|| {
        let identity = Identity::self_signed(&["mx.test"], Period::Current);
        let mail = system();
        let good = || Script::new(&identity);
        let reply = |command: &'static str, reply: &'static str| {
            let mut script = good();
            script.replies.push((command, reply));
            script
        };
        for (script, expected) in [
            (good().with(Starttls::Refused("454 4.7.0 not now")), "STARTTLS rejected: 454 4.7.0 not now"),
            (reply("EHLO", "502 5.5.2 no"), "EHLO rejected: 502 5.5.2 no"),
            (reply("EHLO", "502-5.5.2 no\r\n502 5.5.2 never"), "EHLO rejected: 502 5.5.2 no?5.5.2 never"),
            (good().with(Starttls::ClosesAfter), "lost connection while sending EHLO"),
            (good().with(Starttls::Garbage), "SSL_connect error to PEER: "),
        ] {
            let server = script.start();
            let shown = tls(&mail, &["-l", "may", &server.next_hop()]);
            let expected = expected.replace("PEER", &peer(&server));
            assert!(shown.iter().any(|line| line.starts_with(&expected)), "{expected} is not in {shown:#?}");
            assert_eq!(shown.last().map(String::as_str), Some("exit 0"));
        }
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("port").local_addr().expect("address");
        let to = format!("[127.0.0.1]:{}", closed.port());
        let expected = format!(
            "Failed to establish session to {to} via 127.0.0.1:{0}: connect to 127.0.0.1[127.0.0.1]:{0}: Connection refused",
            closed.port()
        );
        assert_eq!(tls(&mail, &["-l", "may", &to]), [expected.as_str(), "exit 0"]);
    });
}

#[test]
fn a_command_line_that_makes_no_sense_is_a_failure() {
    scenario(|| {
        let mail = system();
        for (line, expected) in [
            (&["-l", "foo", "x"][..], "fatal: Invalid TLS level \"foo\""),
            (&["-h", "foo", "x"], "fatal: unknown -h option value \"foo\" in \"foo\""),
            (&["-a", "foo", "x"], "fatal: bad '-a' option value: foo"),
            (&["-M", "foo", "x"], "fatal: bad '-M' option value: foo"),
            (&["-w", "-l", "none", "x"], "fatal: SSL wrapper mode requires that TLS not be disabled"),
            (&["-l", "may", "unix:/nowhere"], "fatal: unknown service: /nowhere/tcp"),
            (&["-l", "may", "[::1"], "fatal: missing \"]\" in server description: [::1"),
            (&["-A", "/nowhere", "-l", "may", "[::1"], "fatal: missing \"]\" in server description: [::1"),
            (
                &["-H", "a", "-k", "b", "x"],
                "fatal: When the '-H' option is used, neither the '-k', nor the '-K' options may be used",
            ),
        ] {
            assert_eq!(finger(&mail, line), [expected, "exit 1"], "{line:?}");
        }
        for line in [&[][..], &["-l", "may"], &["-o", "foo", "x"]] {
            let shown = finger(&mail, line);
            assert!(shown[0].starts_with("usage: posttls-finger "), "{shown:#?}");
            assert_eq!(shown.last().map(String::as_str), Some("exit 1"));
        }
    });
}

#[test]
fn a_second_connection_shows_whether_sessions_are_resumed() {
    scenario(|| {
        let identity = Identity::self_signed(&["mx.test"], Period::Current);
        let mail = system();
        let server = Sink::v4().offer_tls(&identity);
        let peer = format!("127.0.0.1[127.0.0.1]:{}", server.address().port());
        let shown = tls(&mail, &["-r", "1", "-l", "may", &server.next_hop()]);
        let summary = format!("Untrusted TLS connection established to {peer}: TLSv1.3");
        assert_eq!(shown.iter().filter(|line| **line == summary).count(), 2, "{shown:#?}");
        let resumed = format!("{peer}: Reusing old session");
        for line in [&resumed, "Reconnecting after 1 seconds", "Found a previously used server.  Done reconnecting."] {
            assert!(shown.contains(&line.to_owned()), "{line} is not in {shown:#?}");
        }
        let shown = tls(&mail, &["-r", "1", "-l", "secure", "-L", "untrusted,cache", &server.next_hop()]);
        let is_old = testing::programs::oracle_version().as_deref() == Some("3.7");
        let what = if is_old { "certificate" } else { "peer credential" };
        let again = format!("{peer}: re-using session with untrusted {what}, look for details earlier in the log");
        assert!(shown.contains(&again), "{shown:#?}");
        let server = Script::plain().start();
        let expected = ["Server declined session caching. Done reconnecting.", "exit 0"];
        assert_eq!(tls(&mail, &["-r", "1", "-l", "may", &server.next_hop()]), expected);
    });
}

#[test]
fn a_server_that_asks_is_shown_our_certificate() {
    scenario(|| {
        let mut mail = system();
        let pair = |mail: &Instance, name: &str| {
            let identity = Identity::self_signed(&[name], Period::Current);
            let (key, certificate) = (identity.key_pem(), identity.certificates_pem());
            let of = |kind: &str, content: &str| file(mail, &format!("{name}-{kind}.pem"), content);
            [of("key", key), of("certificate", &certificate), of("chain", &format!("{key}{certificate}"))]
        };
        let ([_, _, ours], [key, certificate, chain]) = (pair(&mail, "mx.mail.test"), pair(&mail, "client.test"));
        for (name, value) in [
            ("smtpd_tls_chain_files", ours.as_str()),
            ("smtpd_tls_security_level", "may"),
            ("smtpd_tls_ask_ccert", "yes"),
            ("smtpd_tls_loglevel", "1"),
        ] {
            mail.set(name, value);
        }
        mail.start();
        let to = format!("[127.0.0.1]:{}", mail.port());
        let signed = |options: &[&str]| {
            let shown = mail.output("posttls-finger", &[&["-c", "-l", "may"], options, &[&to]].concat());
            assert!(shown.contains("TLS connection established"), "{shown}");
            shown.contains(" client-signature ECDSA (prime256v1) client-digest SHA256")
        };
        assert!(!signed(&[]));
        for options in [&["-H", &chain][..], &["-k", &certificate, "-K", &key], &["-K", &chain], &["-k", &chain]] {
            assert!(signed(options), "{options:?}");
        }
        mail.wait_log(&["Untrusted TLS connection established from "]);
        // In the old way there is no TLS without the certificate, in the new way there is.
        let shown = finger(&mail, &["-l", "may", "-k", "/nowhere", &to]);
        assert!(shown.contains(&"warning: error opening chain file: /nowhere: No such file or directory".to_owned()));
        assert!(!shown.contains(&"> STARTTLS".to_owned()), "{shown:#?}");
        assert!(!signed(&["-H", "/nowhere"]));
    });
}

#[test]
fn tls_may_come_first_and_lmtp_has_its_own_hello() {
    scenario(|| {
        let identity = Identity::self_signed(&["mx.test"], Period::Current);
        let mail = system();
        let server = Script { wrapped: true, ..Script::new(&identity) }.start();
        let shown = finger(&mail, &["-w", "-l", "encrypt", &server.next_hop()]);
        let place = |line: &str| shown.iter().position(|shown| shown.starts_with(line));
        let (tls, greeting) = (place("Untrusted TLS connection established"), place("< 220 "));
        assert!(tls.is_some() && tls < greeting, "{shown:#?}");
        assert!(!shown.contains(&"> STARTTLS".to_owned()), "{shown:#?}");
        let server = Script::new(&identity).start();
        let shown = finger(&mail, &["-S", "-l", "may", &format!("inet:{}", server.next_hop())]);
        assert_eq!(shown.iter().filter(|line| *line == "> LHLO mail.test").count(), 2, "{shown:#?}");
    });
}

#[test]
fn a_socket_of_this_machine_is_a_server_too() {
    scenario(|| {
        let mail = system();
        // A place that whoever it has become may reach.
        let folder = std::env::temp_dir().join(format!("finger-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("mode");
        let path = folder.join("lmtp");
        let listener = UnixListener::bind(&path).expect("socket");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).expect("mode");
        std::thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            let mut lines = BufReader::new(stream.try_clone()?).lines();
            for reply in ["220 store LMTP", "250 store", "221 Bye"] {
                (&stream).write_all(format!("{reply}\r\n").as_bytes())?;
                lines.next().transpose()?;
            }
            std::io::Result::Ok(())
        });
        let shown = finger(&mail, &["-S", "-l", "may", &format!("unix:{}", path.display())]);
        std::fs::remove_dir_all(&folder).expect("removed");
        let connected = format!("Connected to mail.test[{}]", path.display());
        let expected =
            [&connected, "< 220 store LMTP", "> LHLO mail.test", "< 250 store", "> QUIT", "< 221 Bye", "exit 0"];
        assert_eq!(shown, expected);
    });
}
