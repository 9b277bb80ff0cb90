//! The same with a zone that is signed, and a resolver that looks at the signatures.

use scenarios::scenario;
use testing::certificates::{Authority, Identity, Period};
use testing::signed::{SignedDns, SignedZones};
use testing::{Sink, World};

use super::{PLAIN, V4, V6, at, delivered, host, lines, setup};

#[test]
fn what_a_resolver_has_validated_counts_and_what_it_has_not_does_not() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        for address in [V4, V6] {
            world.address(address.parse().expect("address"));
        }
        let (good, other) = (Identity::self_signed(&["any.test"], Period::Over), Authority::root("Other"));
        let (right, wrong) = (good.certificate().tlsa(3, 1, 1), other.certificate().tlsa(3, 1, 1));
        let signed = [
            host("mx", V4, &[&right]),
            host("six", V6, &[&right]),
            host("bad", V4, &[&wrong]),
            host("forged", V4, &["3 1 1 00112233"]),
            host("none", V6, &[]),
            lines(&["viaalias.dane.test MX 10 alias.dane.test", "alias.dane.test CNAME mx.dane.test"]),
        ]
        .concat();
        let unsigned = lines(&["half.insec.test MX 10 mx.dane.test", "open.insec.test A 192.0.2.25"]);
        let hex = right.rsplit(' ').next().unwrap_or_default().to_lowercase();
        // Somebody on the way puts another record in the place of the one that was signed.
        let tampered = vec![("00112233".to_owned(), hex)];
        let _dns = SignedZones { signed, unsigned, tampered }.start();
        let sinks = [V4, V6].map(|address| Sink::at(at(address, 25)).offer_tls(&good));
        let mail = setup("dane").start();
        for (domain, words) in [
            ("mx.dane.test", "tls=dane, dsn=2.0.0, status=sent"),
            ("six.dane.test", "tls=dane, dsn=2.0.0, status=sent"),
            ("viaalias.dane.test", "tls=dane, dsn=2.0.0, status=sent"),
            ("half.insec.test", "tls=halfdane, dsn=2.0.0, status=sent"),
            ("open.insec.test", "tls=may, dsn=2.0.0, status=sent"),
            ("none.dane.test", "tls=may, dsn=2.0.0, status=sent"),
            ("bad.dane.test", "tls=!dane, dsn=4.7.5, status=deferred"),
            ("forged.dane.test", "dsn=4.7.5, status=deferred (TLSA lookup error for forged.dane.test:25)"),
        ] {
            delivered(&mail, domain, &[words]);
        }
        assert_eq!((sinks[0].count(), sinks[1].count()), (4, 2));
    });
}

/// Hosts of both families, each with records of which none can be used, and what there is of `tls=` then.
fn useless(digest: &str) -> Vec<(&'static str, Vec<String>, &'static str)> {
    vec![
        ("pkix", vec![format!("0 1 1 {digest}"), format!("1 1 1 {digest}")], "encrypt"),
        ("usage", vec![format!("4 1 1 {digest}")], "encrypt"),
        ("private", vec![format!("3 1 255 {digest}")], "encrypt"),
        ("type", vec![format!("3 1 9 {digest}")], "dane:encrypt"),
        ("selector", vec![format!("3 9 1 {digest}")], "dane:encrypt"),
        ("length", vec!["3 1 1 0011".to_owned(), "3 1 2 0011".to_owned()], "dane:encrypt"),
    ]
}

/// Servers of both families, whose certificate no authority vouches for, and one without STARTTLS.
struct Servers {
    _world: World,
    _dns: SignedDns,
    /// At [`V4`] and [`V6`].
    sinks: [Sink; 2],
    plain: Sink,
    /// Of their key.
    digest: String,
}

impl Servers {
    fn start() -> Option<Servers> {
        let world = World::enter()?;
        for address in [V4, V6, PLAIN] {
            world.address(address.parse().expect("address"));
        }
        let shown = Identity::self_signed(&["any.test"], Period::Over);
        let right = shown.certificate().tlsa(3, 1, 1);
        let digest = right.rsplit(' ').next().unwrap_or_default().to_owned();
        let wrong = Authority::root("Other").certificate().tlsa(3, 1, 1);
        let mut signed = Vec::new();
        for (name, records, _) in useless(&digest) {
            let records: Vec<&str> = records.iter().map(String::as_str).collect();
            for (family, address) in [("four", V4), ("six", V6), ("plain", PLAIN)] {
                signed.extend(host(&format!("{name}{family}"), address, &records));
            }
        }
        // One record that can be used is enough to be held to.
        let pkix = format!("1 1 1 {digest}");
        signed.extend(host("mixed", V6, &[&pkix, "3 1 9 00", &right]));
        signed.extend(host("mixedbad", V6, &[&pkix, &format!("3 1 9 {digest}"), &wrong]));
        let dns = SignedZones { signed, ..SignedZones::default() }.start();
        let sinks = [V4, V6].map(|address| Sink::at(at(address, 25)).offer_tls(&shown));
        Some(Servers { _world: world, _dns: dns, sinks, plain: Sink::at(at(PLAIN, 25)), digest })
    }
}

#[test]
fn records_of_which_none_can_be_used_ask_for_tls_and_for_nobody_in_particular() {
    scenario(|| {
        let Some(servers) = Servers::start() else { return };
        let mail = setup("dane").start();
        delivered(&mail, "mixed.dane.test", &["tls=dane, dsn=2.0.0, status=sent"]);
        delivered(&mail, "mixedbad.dane.test", &["tls=!dane, dsn=4.7.5, status=deferred"]);
        for (name, _, tls) in useless(&servers.digest) {
            for (sink, (family, address)) in servers.sinks.iter().zip([("four", V4), ("six", V6)]) {
                let domain = format!("{name}{family}.dane.test");
                delivered(&mail, &domain, &[&format!("[{address}]:25"), &format!("tls={tls}, dsn=2.0.0, status=sent")]);
                mail.wait_log(&[&format!("Untrusted TLS connection established to {domain}[{address}]:25: TLSv1.3")]);
                // It is asked for a name where there are records that TLS itself has to make something of.
                let name = (tls != "encrypt").then_some(domain);
                assert_eq!(sink.received().last().and_then(|mail| mail.tls.clone()), Some(name));
            }
            let reason = "dsn=4.7.4, status=deferred (TLS is required, but was not offered by host";
            delivered(&mail, &format!("{name}plain.dane.test"), &[reason]);
        }
        for line in [
            "warning: _25._tcp.pkixsix.dane.test unsupported TLSA certificate usage: 0 1 1 ",
            "warning: _25._tcp.pkixsix.dane.test unsupported TLSA certificate usage: 1 1 1 ",
            "warning: _25._tcp.privatefour.dane.test reserved private-use matching type: 3 1 255 ",
            "warning: typesix.dane.test[2001:db8::25]:25: unusable TLSA RR: 3 1 9 ",
            "warning: typesix.dane.test[2001:db8::25]:25: all TLSA records unusable, fallback to unauthenticated TLS",
        ] {
            mail.wait_log(&[line]);
        }
        assert_eq!(servers.plain.count(), 0);
    });
}

#[test]
fn records_of_which_none_can_be_used_leave_no_way_at_dane_only() {
    scenario(|| {
        let Some(servers) = Servers::start() else { return };
        let mail = setup("dane-only").start();
        delivered(&mail, "mixed.dane.test", &["tls=dane-only, dsn=2.0.0, status=sent"]);
        for (name, _, tls) in useless(&servers.digest) {
            for family in ["four", "six", "plain"] {
                let words = match (tls, family) {
                    ("encrypt", _) => ["relay=none, ", "dsn=4.7.5, status=deferred (TLSA records unusable)"],
                    (_, "plain") => ["tls=!dane-only, ", "dsn=4.7.4, status=deferred (TLS is required, but was not "],
                    _ => ["tls=!dane-only, ", "dsn=4.7.5, status=deferred (Server certificate not verified)"],
                };
                delivered(&mail, &format!("{name}{family}.dane.test"), &words);
            }
        }
        let counts = servers.sinks.each_ref().map(Sink::count);
        assert_eq!((counts, servers.plain.count()), ([0, 1], 0));
    });
}
