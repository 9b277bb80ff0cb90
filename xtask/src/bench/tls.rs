//! The tls row: handshakes that clients begin, and handshakes with the next hop; whole ones and resumed ones.
//!
//! What the other side needs for its half is not counted. A session is EHLO, STARTTLS, the handshake and QUIT, or one
//! message: what it costs without TLS stands beside it.

use std::time::Instant;

use testing::certificates::{Identity, Period};
use testing::{Client, Instance, Programs, Setup, Sink, TlsClient};

use super::figures::Sample;
use super::traffic::{Load, submit, wait_for};
use super::usage::Watch;
use super::{Bench, Row, rounds};
use crate::failure::{Failure, Outcome};

/// Clients at once.
const CLIENTS: usize = 8;
/// Sessions of each before a measurement: processes are started, and a ticket is at hand.
const WARM_UP: usize = 20;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let sessions = bench.sizes.messages;
    let names = &["mx.mail.test"];
    let identities =
        [("RSA", Identity::self_signed_rsa(names)), ("ECDSA", Identity::self_signed(names, Period::Current))];
    let figures = rounds::alternate(&bench.systems, bench.rounds, |programs| {
        let mut sample = Sample::default();
        for (kind, identity) in &identities {
            let mail = server(programs, identity);
            let whole = |_: usize| Some(TlsClient::new());
            sample = from_clients(sample, &mail, &format!("from clients, {kind}"), sessions, whole)?;
            if *kind == "RSA" {
                let one = TlsClient::new();
                let resumed = |_: usize| Some(one.clone());
                sample = from_clients(sample, &mail, "from clients, resumed", sessions, resumed)?;
                sample = from_clients(sample, &mail, "from clients, without TLS", sessions, |_| None)?;
            }
        }
        let messages = sessions / 2;
        for (name, settings) in [
            ("to the next hop", &[("smtp_tls_security_level", "encrypt")][..]),
            ("to the next hop, resumed", &RESUMED),
            ("to the next hop, without TLS", &[("smtp_tls_security_level", "none")]),
        ] {
            sample = to_next_hop(sample, programs, &identities[0].1, name, settings, messages)?;
        }
        Ok(sample)
    })?;
    let title = format!("{sessions} sessions, {CLIENTS} at once; half as many messages, a connection for each");
    Ok((title, figures))
}

const RESUMED: [(&str, &str); 2] =
    [("smtp_tls_security_level", "encrypt"), ("smtp_tls_session_cache_database", "lmdb:$data_directory/smtp_scache")];

fn server(programs: &Programs, identity: &Identity) -> Instance {
    let mut mail = Setup::of(programs.clone()).set("smtpd_tls_security_level", "may").build();
    let path = mail.etc().join("chain.pem");
    let text = format!("{}{}", identity.key_pem(), identity.certificates_pem());
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    mail.set("smtpd_tls_chain_files", &path.to_string_lossy());
    mail.start();
    mail
}

/// What so many sessions cost; `tls` is what each client has for the session of this number.
fn from_clients(
    sample: Sample,
    mail: &Instance,
    name: &str,
    sessions: usize,
    tls: impl Fn(usize) -> Option<TlsClient> + Sync,
) -> Outcome<Sample> {
    let run = |count: usize| -> Outcome {
        let (address, tls) = (mail.v4(), &tls);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    scope.spawn(move || -> std::io::Result<()> {
                        (0..count / CLIENTS).try_for_each(|number| session(address, tls(number).as_ref()))
                    })
                })
                .collect();
            clients.into_iter().try_for_each(|client| {
                let ended = client.join().map_err(|_| Failure("a client has panicked".to_owned()))?;
                Ok(ended?)
            })
        })
    };
    run(WARM_UP * CLIENTS)?;
    let (watch, begin) = (Watch::begin(mail.master()), Instant::now());
    run(sessions)?;
    let seconds = begin.elapsed().as_secs_f64();
    let usage = watch.end();
    Ok(with_usage(sample, name, sessions / CLIENTS * CLIENTS, seconds, usage.cpu))
}

fn with_usage(sample: Sample, name: &str, count: usize, seconds: f64, cpu: f64) -> Sample {
    sample.with(format!("CPU of sessions {name}"), "s / 1,000", cpu * 1_000.0 / count as f64).with(
        format!("sessions {name}"),
        "/ s",
        count as f64 / seconds,
    )
}

fn session(address: std::net::SocketAddr, tls: Option<&TlsClient>) -> std::io::Result<()> {
    let mut client = Client::greet(address)?;
    if let Some(tls) = tls {
        client.starttls(tls)?.map_err(|reply| std::io::Error::other(reply.last()))?;
        client.command("EHLO client.test")?;
    }
    client.command("QUIT").map(drop)
}

/// What messages cost that go out over a connection each.
fn to_next_hop(
    sample: Sample,
    programs: &Programs,
    identity: &Identity,
    name: &str,
    settings: &[(&str, &str)],
    messages: usize,
) -> Outcome<Sample> {
    let sink = Sink::counting().offer_tls(identity);
    let setup = Setup::of(programs.clone()).set("relayhost", sink.next_hop()).set("mydestination", "");
    let setup = setup.set("smtp_connection_cache_on_demand", "no");
    let mail = settings.iter().fold(setup, |setup, (name, value)| setup.set(name, *value)).start();
    let run = |messages: usize| -> Outcome {
        let goal = sink.count() + messages;
        submit(mail.v4(), &Load::reused(messages, CLIENTS), "bench@other.test")?;
        wait_for(|| sink.count(), goal)
    };
    run(WARM_UP * CLIENTS)?;
    let (watch, begin) = (Watch::begin(mail.master()), Instant::now());
    run(messages)?;
    let seconds = begin.elapsed().as_secs_f64();
    mail.wait_idle();
    let usage = watch.end();
    Ok(with_usage(sample, name, messages, seconds, usage.cpu))
}
