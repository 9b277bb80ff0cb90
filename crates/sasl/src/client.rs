//! The client's half of an authentication (RFC 4422): one challenge goes in, one response comes out, in base64 as SMTP
//! carries them (RFC 4954). There is no socket and no clock here.
//!
//! A challenge is a stranger's: none makes an exchange panic, none takes more work than [`MOST_ITERATIONS`] allows, and
//! no response has anything that could end a line. A mechanism in which the server proves itself has succeeded only
//! when it has done so.

mod credentials;
mod mechanism;
mod scram;

use std::fmt;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

pub use credentials::{Credentials, Secret};
pub use mechanism::{Demands, Hash, Mechanism, UnknownDemand};
pub use scram::MOST_ITERATIONS;
use scram::Scram;

/// Padding that a server leaves out is no reason to fail.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of a nonce before they become text.
const NONCE_SIZE: usize = 24;

/// What a login is made with, besides the mechanism.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// Who, and the proof.
    pub credentials: &'a Credentials,
    /// The login is sent as the identity to act as, too (send_cyrus_sasl_authzid).
    pub as_itself: bool,
    /// The server's name.
    pub host: &'a str,
    /// The server's port; 0 where it has none.
    pub port: u16,
    /// This machine's name.
    pub own_name: &'a str,
    /// What ties the exchange to the TLS session below it.
    pub binding: Option<&'a Binding>,
    /// The server has announced mechanisms that take a binding.
    pub server_binds: bool,
}

/// Channel binding data (RFC 5056).
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    /// `tls-exporter` (RFC 9266) or `tls-server-end-point` (RFC 5929).
    pub kind: &'static str,
    /// The bytes that both sides see.
    pub data: Vec<u8>,
}

/// One authentication.
pub struct Exchange {
    state: State,
}

/// Where an exchange is. Secrets are gone with their state.
enum State {
    /// These responses are still to be given, whatever the challenge: the next one is the last.
    Say(Vec<Secret>),
    Cram(Credentials),
    Scram(Box<Scram>),
    /// A token was sent. The only challenge that may come says why it is refused (RFC 7628 3.2.3).
    Token(&'static [u8]),
    /// Everything was said.
    Done,
    /// A challenge was not answered.
    Failed,
}

/// Why an exchange cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A challenge makes no sense.
    Protocol(&'static str),
    /// It makes sense, and is not answered; or there is nothing to answer with.
    Refused(&'static str),
    /// The server has not proved that it knows the password.
    Unproven,
}

impl Exchange {
    /// Begins, and gives the initial response, in base64, where the mechanism has one.
    ///
    /// # Errors
    /// These credentials cannot be used with it.
    pub fn begin(mechanism: Mechanism, login: &Login<'_>) -> Result<(Self, Option<Secret>), Fault> {
        Self::with_nonce(mechanism, login, nonce()?)
    }

    /// As [`begin`](Self::begin), with a nonce that the caller has chosen: for tests alone.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn with_nonce(mechanism: Mechanism, login: &Login<'_>, nonce: String) -> Result<(Self, Option<Secret>), Fault> {
        let Credentials { user, password } = login.credentials;
        if mechanism != Mechanism::Anonymous {
            if user.trim_ascii().is_empty() {
                return Err(Fault::Refused("the user name is empty"));
            }
            // NUL separates in PLAIN, ^A in the messages of tokens.
            if user.iter().chain(password.iter()).any(|byte| matches!(byte, 0 | 1)) {
                return Err(Fault::Refused("user name or password has a NUL or a ^A in it"));
            }
        }
        let (state, initial) = match mechanism {
            Mechanism::Plain => (State::Done, Some(plain(login))),
            Mechanism::Login => {
                // The last comes first.
                (State::Say(vec![password.clone(), user.clone()]), None)
            }
            Mechanism::CramMd5 => (State::Cram(login.credentials.clone()), None),
            Mechanism::Scram(hash, binds) => {
                let scram = Scram::new(hash, binds, login, nonce);
                let first = scram.first();
                (State::Scram(Box::new(scram)), Some(first))
            }
            Mechanism::XOAuth2 => {
                let parts: [&[u8]; 5] = [b"user=", user, b"\x01auth=Bearer ", password, b"\x01\x01"];
                (State::Token(b""), Some(joined(&parts)))
            }
            Mechanism::OAuthBearer => (State::Token(b"\x01"), Some(bearer(login))),
            Mechanism::Anonymous => (State::Done, Some(joined(&[b"anonymous@", login.own_name.as_bytes()]))),
        };
        Ok((Self { state }, initial.as_ref().map(encoded)))
    }

    /// The answer to a challenge; both in base64.
    ///
    /// # Errors
    /// There is none; the exchange is over.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Secret, Fault> {
        let state = std::mem::replace(&mut self.state, State::Failed);
        let challenge = decoded(challenge.trim_ascii())?;
        let (state, response) = match state {
            State::Say(mut left) => match left.pop() {
                Some(next) if left.is_empty() => (State::Done, next),
                Some(next) => (State::Say(left), next),
                None => return Err(Fault::Refused(AFTER_END)),
            },
            State::Cram(credentials) => (State::Done, cram(&credentials, &challenge)),
            State::Scram(mut scram) => {
                let response = scram.answer(&challenge)?;
                (State::Scram(scram), response)
            }
            State::Token(answer) => (State::Done, Secret::new(answer.to_vec())),
            State::Done | State::Failed => return Err(Fault::Refused(AFTER_END)),
        };
        self.state = state;
        Ok(encoded(&response))
    }

    /// Whether the next answer may take so long that others should not wait for it.
    pub fn is_slow(&self) -> bool {
        matches!(&self.state, State::Scram(scram) if scram.has_begun())
    }

    /// The server says that the login has succeeded.
    ///
    /// # Errors
    /// It says so too soon: it has proved nothing.
    pub fn succeed(&self) -> Result<(), Fault> {
        match &self.state {
            State::Scram(scram) if !scram.is_proven() => Err(Fault::Unproven),
            State::Failed => Err(Fault::Unproven),
            _ => Ok(()),
        }
    }
}

const AFTER_END: &str = "a challenge has come after the end of the exchange";

/// RFC 4616 2.
fn plain(login: &Login<'_>) -> Secret {
    let Credentials { user, password } = login.credentials;
    let identity: &[u8] = if login.as_itself { user } else { b"" };
    joined(&[identity, b"\0", user, b"\0", password])
}

/// RFC 7628 3.1.
fn bearer(login: &Login<'_>) -> Secret {
    let (user, port) = (scram::name(&login.credentials.user), login.port.to_string());
    let parts: [&[u8]; 9] = [
        b"n,a=",
        &user,
        b",\x01host=",
        login.host.as_bytes(),
        b"\x01port=",
        port.as_bytes(),
        b"\x01auth=Bearer ",
        &login.credentials.password,
        b"\x01\x01",
    ];
    joined(&parts)
}

/// RFC 2195 2.
fn cram(credentials: &Credentials, challenge: &[u8]) -> Secret {
    // cannot fail: HMAC takes keys of any length
    let mut mac = Hmac::<Md5>::new_from_slice(&credentials.password).expect("a key of any length");
    mac.update(challenge);
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    joined(&[&credentials.user, b" ", digest.as_bytes()])
}

fn nonce() -> Result<String, Fault> {
    let mut bytes = [0; NONCE_SIZE];
    rand::fill(&mut bytes).map_err(|_| Fault::Refused("there are no random numbers"))?;
    Ok(general_purpose::STANDARD_NO_PAD.encode(bytes))
}

/// The parts as one, in memory that is allocated once: nothing is left behind by growing.
fn joined(parts: &[&[u8]]) -> Secret {
    Secret::new(parts.concat())
}

fn encoded(bytes: &Secret) -> Secret {
    Secret::new(BASE64.encode(bytes.as_slice()).into_bytes())
}

fn decoded(text: &[u8]) -> Result<Vec<u8>, Fault> {
    BASE64.decode(text).map_err(|_| Fault::Protocol("a challenge is no base64"))
}

impl Fault {
    /// What exactly is wrong; the [`Display`](fmt::Display) form has the few words of the Cyrus library.
    pub fn detail(&self) -> &'static str {
        match self {
            Self::Protocol(detail) | Self::Refused(detail) => detail,
            Self::Unproven => "the server does not know the password",
        }
    }
}

/// As the library says it that people know from Postfix.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol(_) => "bad protocol / cancel",
            Self::Refused(_) => "generic failure",
            Self::Unproven => "server failed mutual authentication step",
        })
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests;
