//! The terms of a connection that the client makes: the versions that it may have, and what a kept one is good for.

use scenarios::scenario;
use testing::certificates::{Authority, Identity, Period};
use testing::dns::Zone;
use testing::port::Port;
use testing::programs::{Implementation, Programs};
use testing::setup::write_old;
use testing::tls_server::{Script, TlsServer};
use testing::wait::{PATIENCE, until_true};
use testing::{Instance, Setup, World};

const TEXT: &str = "From: a@client.test\nSubject: onward\nMessage-Id: <4@client.test>\n\nbody\n";

fn attempt(mail: &Instance, recipient: &str) -> String {
    mail.sendmail(&["-f", "bob@mail.test", recipient], TEXT);
    let line = mail.wait_log(&[&format!("to=<{recipient}>"), "status="]);
    // By then a session that may be used again is kept.
    mail.wait_idle();
    line
}

/// Three servers of the other mail system: with every version, with nothing newer than TLS 1.2, with TLS 1.3 alone.
fn peers() -> Option<(Instance, [Port; 3])> {
    let there = match Programs::under_test().implementation {
        Implementation::Ours => Programs::oracle(),
        Implementation::Oracle => Some(Programs::ours()),
    };
    let Some(there) = there else {
        eprintln!("left out: no C Postfix (`cargo xtask oracle` unpacks it)");
        return None;
    };
    let ports = [(); 3].map(|()| Port::reserve());
    let mut setup = Setup::of(there)
        .set("compatibility_level", "3.6")
        .set("mydestination", "box.test")
        .set("smtpd_tls_security_level", "may")
        .set("smtpd_tls_chain_files", "$config_directory/chain.pem")
        .set("local_recipient_maps", "")
        .service("tlsmgr unix - - n 1000? 1 tlsmgr");
    for (port, versions) in ports.iter().zip(["", "<=TLSv1.2", ">=TLSv1.3"]) {
        let number = port.number();
        setup = setup.service(&format!("127.0.0.1:{number} inet n - n - - smtpd -o smtpd_tls_protocols={versions}"));
    }
    let mut mail = setup.build();
    let identity = Identity::self_signed(&["mx.box.test"], Period::Current);
    write_old(&mail.etc().join("chain.pem"), &format!("{}{}", identity.key_pem(), identity.certificates_pem()));
    mail.start();
    Some((mail, ports))
}

#[test]
fn the_versions_of_a_session_are_those_that_level_and_policy_allow() {
    scenario(|| {
        let Some((_peers, [any, old, new])) = peers() else { return };
        let (first, second) = ("smtp_tls_protocols=<=TLSv1.2", "smtp_tls_protocols=>=TLSv1.3");
        let (may, encrypt) = ("smtp_tls_security_level=may", "smtp_tls_security_level=encrypt");
        let mandatory = |word: &str| {
            format!("-o smtp_tls_mandatory_protocols={}", if word == first { ">=TLSv1.3" } else { "<=TLSv1.2" })
        };
        let main = |level: &str, list: &str| format!("-o {level} -o {list} {}", mandatory(list));
        let policy =
            |words: &str| format!("-o {second} {} -o {{smtp_tls_policy_maps=static:{{{words}}}}}", mandatory(first));
        let cases = [
            (main(may, first), &any, Some("TLSv1.2")),
            (main(encrypt, first), &any, Some("TLSv1.3")),
            (main(may, second), &any, Some("TLSv1.3")),
            (main(encrypt, second), &any, Some("TLSv1.2")),
            (main(may, second), &old, None),
            (main(encrypt, first), &old, None),
            (main(encrypt, second), &new, None),
            (main(may, first), &new, None),
            (policy("may protocols=TLSv1.2"), &any, Some("TLSv1.2")),
            (policy("encrypt protocols=!TLSv1.3:!TLSv1.1:!TLSv1"), &any, Some("TLSv1.2")),
            (policy("encrypt protocols=>=0x303:<=0x303"), &any, Some("TLSv1.2")),
            (policy("encrypt protocols=<=TLSv1.2"), &new, None),
            (policy("may protocols="), &old, Some("TLSv1.2")),
            (policy("encrypt protocols="), &new, Some("TLSv1.3")),
        ];
        let mut setup = Setup::new().set("compatibility_level", "3.6").set("smtp_tls_loglevel", "1");
        let mut places = String::new();
        for (number, (options, port, _)) in cases.iter().enumerate() {
            setup = setup.service(&format!("c{number} unix - - n - - smtp -o syslog_name=c{number} {options}"));
            places.push_str(&format!("c{number}@box.test c{number}:[127.0.0.1]:{}\n", port.number()));
        }
        let setup = setup
            .set("transport_maps", "texthash:$config_directory/transport")
            .service("tlsmgr unix - - n 1000? 1 tlsmgr");
        let mut mail = setup.build();
        write_old(&mail.etc().join("transport"), &places);
        mail.start();
        for (number, (options, _, version)) in cases.iter().enumerate() {
            let line = attempt(&mail, &format!("c{number}@box.test"));
            let failed = "dsn=4.7.5, status=deferred (Cannot start TLS: handshake failure)";
            assert!(line.contains(if version.is_some() { "status=sent" } else { failed }), "{options}: {line}");
            if let Some(version) = version {
                let session = format!(": {version} with cipher ");
                mail.wait_log(&[&format!("c{number}/smtp["), " TLS connection established to 127.0.0.1[", &session]);
            }
        }
    });
}

/// Mail to one destination, and then to another with the same server: their policies, whether the server's certificate
/// has the names of both hosts, and what becomes of the second mail.
type Pair = ([&'static str; 2], bool, Second);

/// What becomes of the second mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    /// It goes over the connection of the first.
    Reuses,
    /// It goes over a new one.
    Connects,
    /// A new connection is not what it has to be, and it waits.
    Waits,
}

fn sessions(server: &TlsServer) -> usize {
    server.heard().iter().filter(|line| line.starts_with("# TLS ")).count()
}

/// What becomes of mail under pairs of policies.
fn check_pairs(pairs: &[Pair]) {
    let Some(_world) = World::enter() else { return };
    let root = Authority::root("Lab Root CA");
    let (mut zone, mut servers) = (Zone::new(), Vec::new());
    let (mut policies, mut places, mut kept) = (String::new(), String::new(), String::new());
    for (number, (both, names_both, _)) in pairs.iter().enumerate() {
        let hosts = ['a', 'b'].map(|letter| format!("mx.{letter}{number}.test"));
        let names: Vec<&str> = hosts.iter().map(String::as_str).take(1 + usize::from(*names_both)).collect();
        let server = Script::new(&root.issue(&names, Period::Current)).start();
        let port = server.address().port();
        for (host, policy) in hosts.iter().zip(both) {
            let domain = host.trim_start_matches("mx.");
            zone = zone.mx(domain, host, 10).host(host, &["127.0.0.1"]);
            policies.push_str(&format!("{domain}:{port} {policy}\n"));
            places.push_str(&format!("{domain} smtp:{domain}:{port}\n"));
            kept.push_str(&format!(" {domain}"));
        }
        servers.push(server);
    }
    let _dns = zone.start();
    let mut setup = Setup::new()
        .set("compatibility_level", "3.6")
        .set("relayhost", "")
        .set("inet_interfaces", "127.0.0.1")
        .set("smtp_host_lookup", "dns")
        .set("smtp_tls_loglevel", "1")
        .set("smtp_tls_CAfile", "$config_directory/ca.pem")
        .set("smtp_tls_connection_reuse", "yes")
        .set("smtp_connection_cache_destinations", kept)
        .set("smtp_connection_cache_time_limit", "60s")
        .set("connection_cache_ttl_limit", "60s")
        .set("smtp_tls_policy_maps", "texthash:$config_directory/policies")
        .set("transport_maps", "texthash:$config_directory/transport")
        .service("tlsmgr unix - - n 1000? 1 tlsmgr");
    if Programs::under_test().implementation == Implementation::Oracle {
        setup = setup.service("tlsproxy unix - - n - 0 tlsproxy").service("scache unix - - n - 1 scache");
    }
    let mut mail = setup.build();
    write_old(&mail.etc().join("ca.pem"), &root.certificate().pem);
    write_old(&mail.etc().join("policies"), &policies);
    write_old(&mail.etc().join("transport"), &places);
    mail.start();
    for (number, ((policies, _, second), server)) in pairs.iter().zip(&servers).enumerate() {
        let line = attempt(&mail, &format!("u@a{number}.test"));
        assert!(line.contains("status=sent"), "{line}");
        let line = attempt(&mail, &format!("u@b{number}.test"));
        assert!(line.contains(&format!("relay=mx.b{number}.test[127.0.0.1]:")), "{line}");
        if !line.contains(", conn_use=2,") {
            // The server comes to write down what the client may have left already.
            until_true(PATIENCE, || sessions(server) > 1);
        }
        let seen = match (line.contains("status=sent"), line.contains(", conn_use=2,"), sessions(server)) {
            (true, true, 1) => Second::Reuses,
            (true, false, 2) => Second::Connects,
            (false, false, 2) if line.contains("status=deferred (Server certificate not verified)") => Second::Waits,
            other => panic!("{policies:?}: {other:?}: {line}"),
        };
        assert_eq!(seen, *second, "{policies:?}: {line}");
    }
}

#[test]
fn a_kept_connection_serves_another_destination_of_the_same_level_where_no_name_is_compared() {
    scenario(|| {
        check_pairs(&[
            (["encrypt", "encrypt"], true, Second::Reuses),
            (["may", "may"], false, Second::Reuses),
            (["encrypt protocols=TLSv1.2", "encrypt protocols=TLSv1.2"], true, Second::Reuses),
            (["may", "encrypt"], true, Second::Connects),
            (["encrypt", "verify"], true, Second::Connects),
            (["encrypt", "verify"], false, Second::Waits),
            (["verify", "verify"], true, Second::Connects),
            (["verify", "verify"], false, Second::Waits),
            (["secure match=hostname", "secure match=hostname"], false, Second::Waits),
        ]);
    });
}

#[test]
fn a_kept_connection_is_not_for_a_destination_that_asks_for_other_terms() {
    scenario(|| {
        check_pairs(&[
            (["encrypt", "encrypt protocols=TLSv1.2"], true, Second::Connects),
            (["encrypt", "encrypt exclude=AES256"], true, Second::Connects),
            (["encrypt", "encrypt servername=hostname"], true, Second::Connects),
            (["encrypt", "encrypt connection_reuse=no"], true, Second::Connects),
        ]);
    });
}

#[test]
fn a_kept_connection_is_not_for_mail_with_the_login_that_the_server_has_by_another_name() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let hosts = ["mx.a.test", "mx.b.test"];
        let mut script = Script::plain();
        script.offers.push("AUTH PLAIN");
        script.replies.push(("AUTH", "235 2.7.0 Welcome"));
        let server = script.start();
        let port = server.address().port();
        let zone = hosts.iter().fold(Zone::new(), |zone, host| {
            zone.mx(host.trim_start_matches("mx."), host, 10).host(host, &["127.0.0.1"])
        });
        let _dns = zone.start();
        let mut setup = Setup::new()
            .set("compatibility_level", "3.6")
            .set("relayhost", "")
            .set("inet_interfaces", "127.0.0.1")
            .set("smtp_host_lookup", "dns")
            .set("smtp_tls_security_level", "none")
            .set("smtp_sasl_auth_enable", "yes")
            .set("smtp_sasl_security_options", "noanonymous")
            .set("smtp_sasl_password_maps", "inline:{ mx.a.test=one:x, mx.b.test=two:x }")
            .set("smtp_connection_cache_destinations", "a.test b.test")
            .set("smtp_connection_cache_time_limit", "60s")
            .set("connection_cache_ttl_limit", "60s")
            .set("transport_maps", "texthash:$config_directory/transport");
        if Programs::under_test().implementation == Implementation::Oracle {
            setup = setup.service("scache unix - - n - 1 scache");
        }
        let mut mail = setup.build();
        let place = |domain: &str| format!("{domain} smtp:{domain}:{port}\n");
        write_old(&mail.etc().join("transport"), &["a.test", "b.test"].map(place).concat());
        mail.start();
        for domain in ["a.test", "b.test"] {
            let line = attempt(&mail, &format!("u@{domain}"));
            assert!(line.contains("status=sent") && !line.contains(", conn_use="), "{line}");
        }
        let heard = server.heard();
        let logins: Vec<_> = heard.iter().filter(|line| line.starts_with("AUTH PLAIN ")).collect();
        assert!(logins.len() == 2 && logins[0] != logins[1], "{logins:?}");
    });
}
