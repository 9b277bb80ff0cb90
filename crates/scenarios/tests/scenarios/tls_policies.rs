//! Policies of the client's TLS: those of plug-ins for MTA-STS, those of the table before smtp_tls_policy_maps, and the
//! same over IPv6.

use std::time::Duration;

use scenarios::scenario;
use testing::certificates::{Authority, Identity, Period};
use testing::dns::Zone;
use testing::setup::write_old;
use testing::tls_server::Script;
use testing::wait::until_true;
use testing::{Instance, Setup, Sink, World};

const TEXT: &str = "From: a@client.test\nSubject: onward\nMessage-Id: <4@client.test>\n\nbody\n";

fn built(setup: Setup, authority: &Authority) -> Instance {
    let setup = setup
        .set("compatibility_level", "3.11")
        .set("smtp_tls_loglevel", "1")
        .set("smtp_tls_CAfile", "$config_directory/ca.pem")
        .service("tlsmgr unix - - n 1000? 1 tlsmgr");
    let mail = setup.build();
    write_old(&mail.etc().join("ca.pem"), &authority.certificate().pem);
    mail
}

fn attempt(mail: &Instance, recipient: &str) -> String {
    mail.sendmail(&["-f", "bob@mail.test", recipient], TEXT);
    mail.wait_log(&[&format!("to=<{recipient}>"), "status="])
}

/// What the plug-in for MTA-STS says of a destination whose only host is mx1.dest.test, and what becomes of the mail.
const STS: [(&str, &str); 12] = [
    ("secure match=nobody.test mx_host_pattern=mx1.dest.test", "tls=secure, dsn=2.0.0, status=sent"),
    (
        "secure match=nobody.test mx_host_pattern=mx2.dest.test mx_host_pattern=mx1.dest.test",
        "tls=secure, dsn=2.0.0, status=sent",
    ),
    (
        "secure match=nexthop match=.else.test mx_host_pattern=-x- mx_host_pattern=*.Dest.test",
        "tls=secure, dsn=2.0.0, status=sent",
    ),
    // Where there is no match, main.cf says what is compared: the name of the destination.
    ("secure mx_host_pattern=mx1.dest.test mx_host_pattern=mx2.dest.test", UNVERIFIED),
    ("secure mx_host_pattern=*.dest.test", UNVERIFIED),
    ("secure match=mx1.dest.test mx_host_pattern=*.else.test mx_host_pattern=mx2.dest.test", UNAVAILABLE),
    ("secure match=mx1.dest.test mx_host_pattern=*.test", UNAVAILABLE),
    ("secure match=mx1.dest.test", "tls=secure, dsn=2.0.0, status=sent"),
    ("secure match=nobody.test", UNVERIFIED),
    ("verify match=nobody.test mx_host_pattern=mx1.dest.test", "tls=verify, dsn=2.0.0, status=sent"),
    ("encrypt mx_host_pattern=mx2.dest.test", "tls=encrypt, dsn=2.0.0, status=sent"),
    ("secure match=mx1.dest.test mx_host_pattern=mx1.dest.test policy_failure=sts-webpki-invalid", UNVERIFIED),
];
const UNVERIFIED: &str = "tls=!secure, dsn=4.7.5, status=deferred (Server certificate not verified)";
const UNAVAILABLE: &str = "tls=secure?, dsn=4.3.0, status=deferred (server unavailable or unable to receive mail)";

#[test]
fn a_policy_of_mta_sts_names_the_servers_that_mail_may_go_to() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let root = Authority::root("Lab Root CA");
        let server = Script::new(&root.issue(&["mx1.dest.test"], Period::Current)).start();
        let port = server.address().port();
        let domain = |number: usize| format!("d{number}.test");
        let zone = (0..STS.len()).fold(Zone::new(), |zone, number| zone.mx(&domain(number), "mx1.dest.test", 10));
        let _dns = zone.host("mx1.dest.test", &["127.0.0.1"]).start();
        let setup = Setup::new()
            .set("relayhost", "")
            .set("inet_interfaces", "127.0.0.1")
            .set("smtp_host_lookup", "dns")
            .set("smtp_tls_security_level", "may")
            .set("smtp_tls_policy_maps", "texthash:$config_directory/policies")
            .set("transport_maps", "texthash:$config_directory/transport");
        let mut mail = built(setup, &root);
        let (mut policies, mut places) = (String::new(), String::new());
        for (number, (policy, _)) in STS.iter().enumerate() {
            let domain = domain(number);
            let found = format!("policy_type=sts policy_ttl=86400 policy_domain={domain} servername=hostname");
            policies.push_str(&format!("{domain}:{port} {policy} {found}\n"));
            places.push_str(&format!("{domain} smtp:{domain}:{port}\n"));
        }
        write_old(&mail.etc().join("policies"), &policies);
        write_old(&mail.etc().join("transport"), &places);
        mail.start();
        for (number, (policy, outcome)) in STS.iter().enumerate() {
            let line = attempt(&mail, &format!("u@{}", domain(number)));
            assert!(line.contains(outcome), "{policy}: {line}");
        }
        for number in [5, 6] {
            let domain = domain(number);
            let refused = format!("warning: MX name 'mx1.dest.test' does not match STS MX pattern for '{domain}'");
            mail.wait_log(&[&refused]);
        }
        mail.wait_log(&["certificate verification failed for ", ": external policy failure (sts-webpki-invalid)"]);
    });
}

#[test]
fn the_table_before_policies_has_a_word_for_each_destination() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let server = Script::new(&root.issue(&["mx1.dest.test"], Period::Current)).start();
        let next = server.next_hop();
        for (word, outcome) in [
            ("NONE", "tls=none, dsn=2.0.0, status=sent"),
            ("MAY", "tls=may, dsn=2.0.0, status=sent"),
            ("MUST_NOPEERMATCH", "tls=encrypt, dsn=2.0.0, status=sent"),
            ("MUST", "tls=!verify, dsn=4.7.5, status=deferred (Server certificate not verified)"),
        ] {
            let setup = Setup::new()
                .set("relayhost", &next)
                .set("smtp_tls_security_level", "")
                .set("smtp_tls_per_site", format!("inline:{{ {{ {next} = {word} }} }}"));
            let mut mail = built(setup, &root);
            mail.start();
            let line = attempt(&mail, "u@box.test");
            assert!(line.contains(outcome), "{word}: {line}");
        }
    });
}

#[test]
fn a_wildcard_stands_for_one_label_and_not_below_a_top_level_domain() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        for (shown, wanted, outcome) in [
            ("*.dest.test", "mx1.dest.test", "tls=secure, dsn=2.0.0, status=sent"),
            ("*.dest.test", "a.mx1.dest.test", "tls=!secure, dsn=4.7.5, status=deferred"),
            ("*.dest.test", "dest.test", "tls=!secure, dsn=4.7.5, status=deferred"),
            ("*.test", "dest.test", "tls=!secure, dsn=4.7.5, status=deferred"),
        ] {
            let server = Script::new(&root.issue(&[shown], Period::Current)).start();
            let setup = Setup::new()
                .set("relayhost", server.next_hop())
                .set("smtp_tls_security_level", "secure")
                .set("smtp_tls_secure_cert_match", wanted);
            let mut mail = built(setup, &root);
            mail.start();
            let line = attempt(&mail, "u@box.test");
            assert!(line.contains(outcome), "{shown} {wanted}: {line}");
        }
    });
}

#[test]
fn a_literal_address_of_ipv6_is_a_name_that_a_certificate_may_have() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let sinks =
            [&["::1"][..], &["mx1.dest.test"]].map(|names| Sink::v6().offer_tls(&root.issue(names, Period::Current)));
        for (sink, outcome) in
            sinks.iter().zip(["tls=secure, dsn=2.0.0, status=sent", "tls=!secure, dsn=4.7.5, status=deferred"])
        {
            let setup = Setup::new()
                .set("relayhost", sink.next_hop())
                .set("smtp_bind_address6", "::1")
                .set("smtp_tls_security_level", "secure")
                .set("smtp_tls_secure_cert_match", "hostname");
            let mut mail = built(setup, &root);
            mail.start();
            let line = attempt(&mail, "u@box.test");
            assert!(line.contains("[::1]:") && line.contains(outcome), "{line}");
        }
    });
}

#[test]
fn a_server_that_answers_first_is_held_to_the_policy_whatever_its_family() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let (v4, v6, hole) = ("192.0.2.25", "2001:db8::25", "2001:db8:dead::1");
        for own in [v4, v6] {
            world.address(own.parse().expect("an address"));
        }
        world.swallow(&[hole.parse().expect("an address")]);
        let root = Authority::root("Lab Root CA");
        let good = root.issue(&["mx.both.test", "mx.half.test"], Period::Current);
        let bad = Identity::self_signed(&["mx.both.test"], Period::Current);
        let at = |address: &str| (address.parse::<std::net::IpAddr>().expect("an address"), 25).into();
        let (four, six) = (Sink::at(at(v4)).offer_tls(&good), Sink::at(at(v6)).offer_tls(&bad));
        let zone = Zone::new().mx("both.test", "mx.both.test", 10).mx("half.test", "mx.half.test", 10);
        let _dns = zone.host("mx.both.test", &[v6, v4]).host("mx.half.test", &[hole, v4]).start();
        let setup = Setup::new()
            .set("relayhost", "")
            .set("mynetworks", "127.0.0.0/8")
            .set("inet_interfaces", "127.0.0.1")
            .set("smtp_address_preference", "ipv6")
            .set("smtp_connect_timeout", "5s")
            .set("smtp_tls_security_level", "secure")
            .set("smtp_tls_secure_cert_match", "hostname");
        let mut mail = built(setup, &root);
        mail.start();
        // The wrong one is met over IPv6, and mail goes on to the right one.
        for recipient in ["u@half.test", "u@both.test"] {
            let line = attempt(&mail, recipient);
            assert!(
                line.contains(&format!("[{v4}]:25")) && line.contains("tls=secure, dsn=2.0.0, status=sent"),
                "{line}"
            );
        }
        assert_eq!((four.count(), six.count()), (2, 0));
    });
}

#[test]
fn a_certificate_of_ours_that_is_renewed_is_shown_without_a_reload() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let own = [root.issue(&["old.test"], Period::Current), root.issue(&["new.test"], Period::Current)];
        let last = Setup::new()
            .set("smtpd_tls_security_level", "encrypt")
            .set("smtpd_tls_chain_files", "$config_directory/chain.pem")
            .set("smtpd_tls_CAfile", "$config_directory/ca.pem")
            .set("smtpd_tls_ask_ccert", "yes")
            .set("smtpd_tls_received_header", "yes");
        let mut last = built(last, &root);
        let put = |mail: &Instance, identity: &Identity| {
            let (new, chain) = (mail.etc().join("chain.new"), mail.etc().join("chain.pem"));
            write_old(&new, &format!("{}{}", identity.key_pem(), identity.certificates_pem()));
            std::fs::rename(new, chain).expect("a file");
        };
        put(&last, &root.issue(&["mx1.dest.test"], Period::Current));
        last.start();
        let first = Setup::new()
            .set("mydestination", "")
            .set("relayhost", format!("[127.0.0.1]:{}", last.port()))
            .set("smtp_tls_security_level", "encrypt")
            .set("smtp_tls_chain_files", "$config_directory/chain.pem");
        let mut first = built(first, &root);
        put(&first, &own[0]);
        first.start();
        let shown = |count: usize, name: &str| {
            first.sendmail(&["-f", "bob@mail.test", "alice@mail.test"], TEXT);
            let field = format!("Client CN \"{name}\"");
            let mails = last.wait_mail("alice", count);
            mails.iter().any(|mail| mail.header("Received").is_some_and(|it| it.contains(&field)))
        };
        assert!(shown(1, "old.test"));
        put(&first, &own[1]);
        let mut count = 1;
        let is_new = || {
            count += 1;
            shown(count, "new.test")
        };
        assert!(until_true(Duration::from_secs(30), is_new));
        assert_eq!(first.find_log(&["reload"]), None);
    });
}
