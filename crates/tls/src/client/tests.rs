//! Handshakes with servers of all kinds, over a pipe.

use std::future::Future;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::fingerprint::Digest;
use crate::judge::Matching;
use crate::names::Wanted;
use crate::trust::{Anchors, Fault};

const LIMIT: Duration = Duration::from_secs(20);

fn run(test: impl Future<Output = ()>) {
    let options = tokio::runtime::LocalOptions::default();
    tokio::runtime::Builder::new_current_thread().enable_all().build_local(options).unwrap().block_on(test);
}

/// A server with a certificate of its own for mx1.dest.test.
struct Peer {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
}

fn peer(versions: &[&'static SupportedProtocolVersion]) -> Peer {
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec!["mx1.dest.test".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    Peer { config: Arc::new(config), certificate }
}

impl Peer {
    /// Serves one client: the handshake, and a word.
    fn serve(&self, mut stream: DuplexStream) -> tokio::task::JoinHandle<Option<String>> {
        let config = Arc::clone(&self.config);
        tokio::task::spawn_local(async move {
            let connection = Connection::Server(ServerConnection::new(config).unwrap());
            let connection = handshake::complete(&mut stream, connection, false).await.ok()?;
            let name = match &connection {
                Connection::Server(server) => server.server_name().map(str::to_owned),
                Connection::Client(_) => None,
            };
            let (mut session, mut wire) = (Session::new(connection), Vec::new());
            session.send(b"250 hello\r\n", &mut wire);
            stream.write_all(&wire).await.ok()?;
            // The client reads tickets with it.
            stream.shutdown().await.ok()?;
            name
        })
    }
}

fn demand<'a>(matching: &'a Matching, anchors: &'a Anchors) -> Demand<'a> {
    Demand {
        peer: "mx1.dest.test[127.0.0.1]:25",
        protocols: ">=TLSv1",
        grade: "medium",
        exclude: "",
        mandatory: false,
        sni: None,
        grades: Box::leak(Box::default()),
        groups: Box::leak(Box::default()),
        raw_key: false,
        standard: Standard { matching, anchors, limit: 9, digest: Digest::Sha256, failure: None },
        must_match: false,
        resumable: None,
        log: LogLevel::default(),
        agent: "smtp",
    }
}

fn client() -> Client {
    Client::new("nowhere", LIMIT, None)
}

/// One session, to its end.
async fn meet(
    client: &Client,
    peer: &Peer,
    demand: &Demand<'_>,
) -> (Result<Connected, HandshakeError>, Option<String>) {
    let (mut near, far) = duplex(1 << 16);
    let served = peer.serve(far);
    let mut result = client.connect(&mut near, demand, LIMIT).await;
    if let Ok(connected) = &mut result {
        let (mut wire, mut plain) = (Vec::new(), Vec::new());
        connected.session.receive(b"", &mut plain).unwrap();
        while plain.is_empty() {
            handshake::read(&mut near, &mut wire).await.unwrap();
            connected.session.receive(&std::mem::take(&mut wire), &mut plain).unwrap();
        }
        assert_eq!(plain, b"250 hello\r\n");
    }
    drop(near);
    (result, served.await.unwrap())
}

#[test]
fn whoever_it_is_the_session_begins_and_the_verdict_says_who_it_is() {
    run(async {
        let peer = peer(&[&version::TLS13, &version::TLS12]);
        let none = Anchors::default();
        let (session, name) = meet(&client(), &peer, &demand(&Matching::Anything, &none)).await;
        let session = session.unwrap();
        assert_eq!((session.verdict.trust, session.verdict.fault), (Trust::Untrusted, Some(Fault::SelfSigned)));
        assert_eq!((session.facts.protocol.as_str(), name), ("TLSv1.3", None));
        assert!(session.facts.to_string().contains("server-signature ECDSA (prime256v1) server-digest SHA256"));
        let mut known = Anchors::default();
        assert!(known.add(peer.certificate.clone()));
        let matching = Matching::Names(Wanted::parse("mx1.dest.test").into_iter().collect());
        let demand = Demand { sni: Some("mx1.dest.test"), must_match: true, ..demand(&matching, &known) };
        let (session, name) = meet(&client(), &peer, &demand).await;
        assert_eq!(session.unwrap().verdict.trust, Trust::Verified);
        assert_eq!(name.as_deref(), Some("mx1.dest.test"));
    });
}

#[test]
fn a_session_is_resumed_under_its_own_policy_alone_and_judged_again() {
    run(async {
        for version in [&version::TLS13, &version::TLS12] {
            let peer = peer(&[version]);
            let (client, none) = (client(), Anchors::default());
            let resumed = async |key, matching: &Matching, must_match| {
                let resumable = Some((key, LIMIT));
                let demand = Demand { resumable, must_match, ..demand(matching, &none) };
                let session = meet(&client, &peer, &demand).await.0.unwrap();
                (session.facts.resumed, session.verdict.fault)
            };
            let fault = Some(Fault::SelfSigned);
            assert_eq!(resumed("a", &Matching::Anything, false).await, (false, fault.clone()));
            assert_eq!(resumed("a", &Matching::Anything, false).await, (true, fault.clone()));
            assert!(client.may_resume("a") && !client.may_resume("b"));
            assert_eq!(resumed("b", &Matching::Anything, false).await, (false, fault.clone()));
            let names = Matching::Names(Wanted::parse("mx1.dest.test").into_iter().collect());
            assert_eq!(resumed("a", &names, true).await, (true, fault.clone()));
            assert_eq!(resumed("a", &names, true).await, (false, fault));
        }
    });
}

#[test]
fn versions_and_suites_are_those_of_the_policy() {
    run(async {
        let (peer, none) = (peer(&[&version::TLS12]), Anchors::default());
        let meet = async |protocols, grade, exclude| {
            let demand = Demand { protocols, grade, exclude, ..demand(&Matching::Anything, &none) };
            meet(&client(), &peer, &demand).await.0.map(|session| session.facts.cipher)
        };
        assert_eq!(meet("", "high", "AES256").await.unwrap(), "ECDHE-ECDSA-CHACHA20-POLY1305");
        assert!(matches!(meet(">=TLSv1.3", "high", "").await, Err(HandshakeError::Protocol(_))));
        assert!(matches!(meet("TLSv1", "high", "").await, Err(HandshakeError::Protocol(_))));
        let refused = async |protocols, grade, exclude| meet(protocols, grade, exclude).await.unwrap_err().to_string();
        let peer = "mx1.dest.test[127.0.0.1]:25";
        let bad = refused("foo", "high", "").await;
        assert_eq!(bad, format!("{peer}: Invalid TLS protocol list \"foo\": aborting TLS session"));
        assert_eq!(refused("", "bogus", "").await, format!("{peer}: invalid cipher grade: \"bogus\""));
        let bad = refused("", "high", "!AES").await;
        assert_eq!(bad, format!("{peer}: invalid unary '!+-@' in cipher exclusion: !AES"));
    });
}

#[test]
fn a_server_that_speaks_no_tls_closes_or_is_silent_is_no_session() {
    run(async {
        let none = Anchors::default();
        let demand = demand(&Matching::Anything, &none);
        for (said, expected) in [(Some("250 what?\r\n"), "-1"), (None, "lost connection")] {
            let (mut near, mut far) = duplex(1 << 16);
            match said {
                Some(said) => far.write_all(said.as_bytes()).await.unwrap(),
                None => far.shutdown().await.unwrap(),
            }
            let error = client().connect(&mut near, &demand, LIMIT).await.unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let (mut near, _far) = duplex(1 << 16);
        let error = client().connect(&mut near, &demand, Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.to_string(), "Connection timed out");
    });
}

#[test]
fn without_its_old_certificates_there_is_no_tls_and_without_new_ones_there_is() {
    run(async {
        let legacy = Client::new("nowhere", LIMIT, Some(Files::Legacy(Vec::new())));
        assert!(!legacy.is_ready().await);
        let chains = Client::new("nowhere", LIMIT, Some(Files::Chains(vec!["/proc/self/none".to_owned()])));
        assert!(chains.is_ready().await && client().is_ready().await);
    });
}

#[test]
fn a_grade_that_protects_nothing_is_none_where_tls_is_demanded() {
    let (matching, known) = (Matching::Anything, Anchors::default());
    let planned = |mandatory| {
        let demand = Demand { grade: "NULL", mandatory, ..demand(&matching, &known) };
        demand.plan(&Identity::default(), Resumption::disabled()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(planned(false), Ok(()));
    let why = "mx1.dest.test[127.0.0.1]:25: error setting cipher grade: \"NULL\"";
    assert_eq!(planned(true), Err(why.to_owned()));
}
