//! What an SMTP server says in a login.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sasl::client::{Binding, Credentials, Exchange, Fault, Hash, Login, Mechanism, Secret};

use crate::pieces::{choices, fields};

const MECHANISMS: [Mechanism; 8] = [
    Mechanism::Scram(Hash::Sha256, true),
    Mechanism::Scram(Hash::Sha256, false),
    Mechanism::Scram(Hash::Sha1, false),
    Mechanism::CramMd5,
    Mechanism::Plain,
    Mechanism::Login,
    Mechanism::OAuthBearer,
    Mechanism::XOAuth2,
];
const NONCE: &str = "N";

/// `USER:PASSWORD`, then up to three challenges, as they are or in base64. Whatever they are, what the client says is
/// one line each, the same every time; after a challenge that it does not answer there is no success, and SCRAM has
/// none without a signature.
pub fn sasl_challenges(data: &[u8]) {
    let (choice, rest) = choices(data);
    let [credentials, challenges @ ..] = fields::<4>(rest);
    // Work that a server may ask for, and that only makes a run slow.
    if challenges.iter().any(|challenge| has_long_number(challenge)) {
        return;
    }
    let credentials = Credentials::split(&Secret::new(credentials.to_vec()), b':');
    let mechanism = MECHANISMS[usize::from(choice & 7)];
    let encodes = choice & 8 != 0;
    let said = play(mechanism, &credentials, &challenges, encodes);
    assert_eq!(said, play(mechanism, &credentials, &challenges, encodes), "an exchange depends on its input alone");
    let Some(Said { lines, fault, succeeded }) = said else { return };
    for line in &lines {
        assert!(line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)), "a response is base64");
        assert!(line.len() <= 4 * (rest.len() + 600), "a response is no longer than what it is made of");
    }
    assert!(!(succeeded && fault.is_some()), "there is no success after a fault");
    if matches!(mechanism, Mechanism::Scram(..)) {
        let proved = challenges.iter().any(|challenge| {
            let decoded = if encodes { Some(challenge.to_vec()) } else { STANDARD.decode(challenge).ok() };
            decoded.is_some_and(|text| text.starts_with(b"v="))
        });
        assert!(!succeeded || proved, "nobody is believed without a signature");
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Said {
    lines: Vec<Vec<u8>>,
    fault: Option<Fault>,
    succeeded: bool,
}

fn play(mechanism: Mechanism, credentials: &Credentials, challenges: &[&[u8]], encodes: bool) -> Option<Said> {
    let binding = Binding { kind: "tls-exporter", data: vec![7; 32] };
    let login = Login {
        credentials,
        as_itself: false,
        host: "mx.example.test",
        port: 587,
        own_name: "own.example.test",
        binding: Some(&binding),
        server_binds: true,
    };
    let (mut exchange, initial) = Exchange::with_nonce(mechanism, &login, NONCE.to_owned()).ok()?;
    let mut lines: Vec<Vec<u8>> = initial.iter().map(|line| line.to_vec()).collect();
    let mut fault = None;
    for challenge in challenges {
        let challenge = if encodes { STANDARD.encode(challenge).into_bytes() } else { challenge.to_vec() };
        match exchange.answer(&challenge) {
            Ok(line) => lines.push(line.to_vec()),
            Err(why) => {
                fault = Some(why);
                break;
            }
        }
    }
    Some(Said { lines, fault, succeeded: exchange.succeed().is_ok() })
}

/// `i=` with more than three digits, in clear or in base64.
fn has_long_number(challenge: &[u8]) -> bool {
    let decoded = STANDARD.decode(challenge.trim_ascii()).unwrap_or_default();
    [challenge, &decoded].iter().any(|text| {
        text.windows(2).enumerate().any(|(at, pair)| {
            pair == b"i=" && text.iter().skip(at + 2).take_while(|byte| byte.is_ascii_digit()).count() > 3
        })
    })
}
