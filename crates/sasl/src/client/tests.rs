//! The examples of the documents, and what holds of any challenge.

use proptest::prelude::*;

use super::*;

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials { user: Secret::new(user.into()), password: Secret::new(password.into()) }
}

fn login(credentials: &Credentials) -> Login<'_> {
    Login {
        credentials,
        as_itself: false,
        host: "server.example.com",
        port: 143,
        own_name: "mx.example.test",
        binding: None,
        server_binds: false,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(BASE64.decode(bytes).unwrap()).unwrap()
}

fn base64(text: &str) -> Vec<u8> {
    BASE64.encode(text).into_bytes()
}

fn initial(mechanism: Mechanism, user: &str, password: &str) -> String {
    let credentials = credentials(user, password);
    let (_, initial) = Exchange::begin(mechanism, &login(&credentials)).unwrap();
    text(&initial.unwrap())
}

/// An exchange of the examples, after its first message.
fn scram(hash: Hash, binds: bool, nonce: &str, change: impl Fn(&mut Login<'_>)) -> (Exchange, String) {
    let credentials = credentials("user", "pencil");
    let mut login = login(&credentials);
    change(&mut login);
    let begun = Exchange::with_nonce(Mechanism::Scram(hash, binds), &login, nonce.to_owned());
    let (exchange, first) = begun.unwrap();
    (exchange, text(&first.unwrap()))
}

const SHA1_NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";
const SHA1_SERVER: &str = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
const SHA256_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SHA256_SERVER: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

#[test]
fn scram_has_the_messages_of_rfc_5802() {
    let (mut exchange, first) = scram(Hash::Sha1, false, SHA1_NONCE, |_| {});
    assert_eq!(first, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
    let answer = exchange.answer(&base64(SHA1_SERVER)).unwrap();
    let expected = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    assert_eq!(text(&answer), expected);
    assert_eq!(exchange.succeed(), Err(Fault::Unproven));
    assert_eq!(text(&exchange.answer(&base64("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")).unwrap()), "");
    assert_eq!(exchange.succeed(), Ok(()));
    assert!(exchange.answer(b"").is_err());
}

#[test]
fn scram_has_the_messages_of_rfc_7677() {
    let (mut exchange, first) = scram(Hash::Sha256, false, SHA256_NONCE, |_| {});
    assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let answer = exchange.answer(&base64(SHA256_SERVER)).unwrap();
    let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(text(&answer), expected);
    exchange.answer(&base64("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")).unwrap();
    assert_eq!(exchange.succeed(), Ok(()));
}

#[test]
fn a_server_with_a_wrong_signature_or_none_has_not_succeeded() {
    let (mut exchange, _) = scram(Hash::Sha1, false, SHA1_NONCE, |_| {});
    assert_eq!(exchange.succeed(), Err(Fault::Unproven));
    exchange.answer(&base64(SHA1_SERVER)).unwrap();
    assert_eq!(exchange.answer(&base64("v=rmF9pqV8S7suAoZWja4dJRkFsKA=")), Err(Fault::Unproven));
    let (mut refused, _) = scram(Hash::Sha1, false, SHA1_NONCE, |_| {});
    refused.answer(&base64(SHA1_SERVER)).unwrap();
    assert_eq!(text(&refused.answer(&base64("e=invalid-proof")).unwrap()), "");
    assert_eq!(refused.succeed(), Err(Fault::Unproven));
}

#[test]
fn a_first_message_that_is_not_right_ends_the_exchange() {
    let protocol = |message: &str| {
        let (mut exchange, _) = scram(Hash::Sha1, false, SHA1_NONCE, |_| {});
        let fault = exchange.answer(&base64(message)).unwrap_err();
        assert!(exchange.answer(&base64(SHA1_SERVER)).is_err(), "{message}");
        fault.to_string()
    };
    let bad = "bad protocol / cancel";
    assert_eq!(protocol(""), bad);
    assert_eq!(protocol("r=other,s=QSXCR+Q6sek8bf92,i=4096"), bad);
    assert_eq!(protocol(&format!("r={SHA1_NONCE},s=QSXCR+Q6sek8bf92,i=4096")), bad);
    assert_eq!(protocol(&format!("m=x,r={SHA1_NONCE}x,s=QSXCR+Q6sek8bf92,i=4096")), bad);
    assert_eq!(protocol(&format!("r={SHA1_NONCE}x,s=?,i=4096")), bad);
    assert_eq!(protocol(&format!("r={SHA1_NONCE}x,s=QSXCR+Q6sek8bf92,i=0")), bad);
    assert_eq!(protocol(&format!("r={SHA1_NONCE}x,s=QSXCR+Q6sek8bf92,i=1000001")), "generic failure");
}

#[test]
fn iterations_beyond_the_bound_are_refused_by_name_and_never_begun() {
    let refused = |iterations: &str| {
        let (mut exchange, _) = scram(Hash::Sha256, false, SHA256_NONCE, |_| {});
        assert!(exchange.is_slow());
        let fault = exchange.answer(&base64(&format!("r={SHA256_NONCE}x,s=AAAA,i={iterations}"))).unwrap_err();
        assert!(!exchange.is_slow());
        fault.detail()
    };
    for many in ["1000001", "2147483647", "2147483648", "4294967295"] {
        assert_eq!(refused(many), "the server asks for more than a million iterations", "{many}");
    }
    for none in ["4294967296", "99999999999999999999999", "-1", "", "1e6", " 4096", "0"] {
        assert_eq!(refused(none), "the iterations are no number", "{none}");
    }
}

#[test]
fn a_large_salt_and_nonce_make_no_larger_answer_than_their_text() {
    let (mut exchange, _) = scram(Hash::Sha1, false, SHA1_NONCE, |_| {});
    let (nonce, salt) = (format!("{SHA1_NONCE}{}", "n".repeat(20_000)), BASE64.encode(vec![7; 30_000]));
    let answer = exchange.answer(&base64(&format!("r={nonce},s={salt},i=1"))).unwrap();
    let answer = text(&answer);
    assert!(answer.starts_with(&format!("c=biws,r={nonce},p=")) && answer.len() < nonce.len() + 50);
    let (mut exchange, _) = scram(Hash::Sha1, false, SHA1_NONCE, |_| {});
    assert!(exchange.answer(&base64(&format!("r={nonce},s=,i=1"))).is_ok());
}

#[test]
fn the_server_hears_what_became_of_its_offer_of_a_binding() {
    let binding = Binding { kind: "tls-exporter", data: vec![0xff; 32] };
    let first = |binds, server_binds, bound: bool| {
        scram(Hash::Sha256, binds, "N", |login| {
            login.server_binds = server_binds;
            // The binding outlives the exchange in this test.
            login.binding = bound.then(|| &*Box::leak(Box::new(binding.clone())));
        })
        .1
    };
    assert_eq!(first(true, true, true), "p=tls-exporter,,n=user,r=N");
    assert_eq!(first(false, true, true), "n,,n=user,r=N");
    assert_eq!(first(false, false, true), "y,,n=user,r=N");
    assert_eq!(first(false, false, false), "n,,n=user,r=N");
    let (mut exchange, _) = scram(Hash::Sha256, true, "N", |login| {
        login.server_binds = true;
        login.binding = Some(Box::leak(Box::new(binding.clone())));
    });
    let answer = text(&exchange.answer(&base64("r=Nx,s=AAAA,i=1")).unwrap());
    let channel = answer.strip_prefix("c=").and_then(|rest| rest.split(',').next()).unwrap();
    assert_eq!(BASE64.decode(channel).unwrap(), [&b"p=tls-exporter,,"[..], &[0xff; 32]].concat());
}

#[test]
fn cram_md5_has_the_answer_of_rfc_2195() {
    let tim = credentials("tim", "tanstaaftanstaaf");
    let (mut exchange, initial) = Exchange::begin(Mechanism::CramMd5, &login(&tim)).unwrap();
    assert!(initial.is_none());
    let answer = exchange.answer(b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+").unwrap();
    assert_eq!(answer.as_slice(), b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw");
    assert!(exchange.answer(b"").is_err());
}

#[test]
fn plain_says_everything_at_once_and_an_identity_only_when_told() {
    assert_eq!(initial(Mechanism::Plain, "tim", "tanstaaftanstaaf"), "\0tim\0tanstaaftanstaaf");
    let ursel = credentials("Kurt", "xipj3plmq");
    let (mut exchange, first) = Exchange::begin(Mechanism::Plain, &Login { as_itself: true, ..login(&ursel) }).unwrap();
    assert_eq!(text(&first.unwrap()), "Kurt\0Kurt\0xipj3plmq");
    assert_eq!(exchange.succeed(), Ok(()));
    assert_eq!(exchange.answer(b"eyJ4Ijp9").unwrap_err().to_string(), "generic failure");
}

#[test]
fn login_answers_two_challenges_with_whatever_text() {
    let credentials = credentials("us", "p:w");
    let (mut exchange, initial) = Exchange::begin(Mechanism::Login, &login(&credentials)).unwrap();
    assert!(initial.is_none());
    assert_eq!(exchange.answer(b"VXNlcm5hbWU6").unwrap().as_slice(), b"dXM=");
    assert_eq!(exchange.answer(b"").unwrap().as_slice(), b"cDp3");
    assert_eq!(exchange.answer(b"").unwrap_err().to_string(), "generic failure");
}

#[test]
fn tokens_are_sent_as_rfc_7628_has_them_and_a_refusal_is_acknowledged() {
    let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
    let user = credentials("user@example.com", token);
    let (mut exchange, first) = Exchange::begin(Mechanism::OAuthBearer, &login(&user)).unwrap();
    let expected =
        format!("n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}auth=Bearer {token}\u{1}\u{1}");
    assert_eq!(text(&first.unwrap()), expected);
    assert_eq!(exchange.answer(&base64("{\"status\":\"invalid_token\"}")).unwrap().as_slice(), b"AQ==");
    assert!(exchange.answer(b"").is_err());
    let (mut exchange, first) = Exchange::begin(Mechanism::XOAuth2, &login(&user)).unwrap();
    assert_eq!(text(&first.unwrap()), format!("user=user@example.com\u{1}auth=Bearer {token}\u{1}\u{1}"));
    assert_eq!(exchange.answer(&base64("{\"status\":\"401\"}")).unwrap().as_slice(), b"");
}

#[test]
fn who_has_no_name_logs_in_as_nobody_alone() {
    assert_eq!(initial(Mechanism::Anonymous, "", ""), "anonymous@mx.example.test");
    for user in ["", "  ", "a\0b"] {
        let credentials = credentials(user, "x");
        let fault = Exchange::begin(Mechanism::Plain, &login(&credentials)).err().unwrap();
        assert_eq!(fault.to_string(), "generic failure");
    }
}

#[test]
fn a_challenge_that_is_no_base64_is_a_bad_protocol() {
    let credentials = credentials("us", "pw");
    let (mut exchange, _) = Exchange::begin(Mechanism::CramMd5, &login(&credentials)).unwrap();
    assert_eq!(exchange.answer(b"###bad").unwrap_err().to_string(), "bad protocol / cancel");
}

const ALL: [Mechanism; 10] = [
    Mechanism::Scram(Hash::Sha256, true),
    Mechanism::Scram(Hash::Sha1, true),
    Mechanism::Scram(Hash::Sha256, false),
    Mechanism::Scram(Hash::Sha1, false),
    Mechanism::CramMd5,
    Mechanism::Plain,
    Mechanism::Login,
    Mechanism::OAuthBearer,
    Mechanism::XOAuth2,
    Mechanism::Anonymous,
];

fn is_one_line(line: &[u8]) -> bool {
    line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
}

proptest! {
    #[test]
    fn no_credentials_and_no_challenge_make_more_than_one_line(
        mechanism in prop::sample::select(ALL.to_vec()),
        user in prop::collection::vec(any::<u8>(), 0..20),
        password in prop::collection::vec(any::<u8>(), 0..20),
        challenges in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4),
        encode in any::<bool>(),
    ) {
        let credentials = Credentials { user: Secret::new(user), password: Secret::new(password) };
        let Ok((mut exchange, initial)) = Exchange::begin(mechanism, &login(&credentials)) else { return Ok(()) };
        prop_assert!(initial.is_none_or(|line| is_one_line(&line)));
        for challenge in challenges {
            let challenge = if encode { BASE64.encode(challenge).into_bytes() } else { challenge };
            if let Ok(response) = exchange.answer(&challenge) {
                prop_assert!(is_one_line(&response));
            }
        }
    }

    #[test]
    fn no_signature_but_the_right_one_is_taken(signature in prop::collection::vec(any::<u8>(), 0..40)) {
        let (mut exchange, _) = scram(Hash::Sha1, false, SHA1_NONCE, |_| {});
        exchange.answer(&base64(SHA1_SERVER)).unwrap();
        let right = BASE64.encode(&signature) == "rmF9pqV8S7suAoZWja4dJRkFsKQ=";
        let message = format!("v={}", BASE64.encode(&signature));
        prop_assert_eq!(exchange.answer(&base64(&message)).is_ok(), right);
        prop_assert_eq!(exchange.succeed().is_ok(), right);
    }
}
