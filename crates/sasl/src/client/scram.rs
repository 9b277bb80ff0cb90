//! SCRAM (RFC 5802, RFC 7677): neither side shows the password, and each proves that it knows it.
//!
//! User name and password go in as they are: there is no SASLprep (RFC 4013), which changes nothing about ASCII.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;

use super::{BASE64, Fault, Hash, Login, Secret, joined};

/// The most iterations that a server may ask for: about a second of one core.
/// told: the log and the report: the login fails.
pub const MOST_ITERATIONS: u32 = 1_000_000;

/// One exchange.
pub struct Scram {
    hash: Hash,
    password: Secret,
    /// `n=USER,r=NONCE`.
    first_bare: Secret,
    /// The flag of the channel binding and the identity to act as, with their commas.
    header: Secret,
    /// Channel binding data.
    binding: Vec<u8>,
    /// The client's.
    nonce: String,
    state: State,
}

enum State {
    /// The first message was sent.
    Begun,
    /// The proof was sent; the server's has to be this.
    Proved(Secret),
    /// The server has proved itself, or has said why it refuses.
    Ended { proven: bool },
}

impl Scram {
    /// Before its first message.
    pub fn new(hash: Hash, binds: bool, login: &Login<'_>, nonce: String) -> Self {
        let user = name(&login.credentials.user);
        // RFC 5802 6: the server hears whether its offer of a binding has reached the client.
        let (flag, binding) = match login.binding {
            Some(binding) if binds => (format!("p={}", binding.kind), binding.data.clone()),
            Some(_) if !login.server_binds => ("y".to_owned(), Vec::new()),
            _ => ("n".to_owned(), Vec::new()),
        };
        let header = if login.as_itself {
            joined(&[flag.as_bytes(), b",a=", &user, b","])
        } else {
            joined(&[flag.as_bytes(), b",,"])
        };
        Self {
            hash,
            password: login.credentials.password.clone(),
            first_bare: joined(&[b"n=", &user, b",r=", nonce.as_bytes()]),
            header,
            binding,
            nonce,
            state: State::Begun,
        }
    }

    /// The first message.
    pub fn first(&self) -> Secret {
        joined(&[&self.header, &self.first_bare])
    }

    /// The answer to a message of the server.
    pub fn answer(&mut self, message: &[u8]) -> Result<Secret, Fault> {
        match std::mem::replace(&mut self.state, State::Ended { proven: false }) {
            State::Begun => {
                let (answer, expected) = self.prove(message)?;
                self.state = State::Proved(expected);
                Ok(answer)
            }
            State::Proved(expected) => {
                // The server says why it refuses; its reply will say it again.
                if message.starts_with(b"e=") {
                    return Ok(Secret::default());
                }
                let signature = attributes(message).next().and_then(|first| first.strip_prefix(b"v="));
                let signature = signature.and_then(|text| BASE64.decode(text).ok());
                let signature = signature.ok_or(Fault::Protocol("the server's last message has no signature"))?;
                constant_time::verify_slices_are_equal(&signature, &expected).map_err(|_| Fault::Unproven)?;
                self.state = State::Ended { proven: true };
                Ok(Secret::default())
            }
            State::Ended { .. } => Err(Fault::Refused(super::AFTER_END)),
        }
    }

    /// Whether the iterations are still to come.
    pub fn has_begun(&self) -> bool {
        matches!(self.state, State::Begun)
    }

    /// Whether the server has proved itself.
    pub fn is_proven(&self) -> bool {
        matches!(self.state, State::Ended { proven: true })
    }

    /// RFC 5802 3: the final message, and the signature that the server has to answer with.
    fn prove(&self, server_first: &[u8]) -> Result<(Secret, Secret), Fault> {
        let offer = Offer::parse(server_first, self.nonce.as_bytes())?;
        let salted = self.salted(&offer);
        let channel = BASE64.encode(joined(&[&self.header, &self.binding]).as_slice());
        let final_bare = joined(&[b"c=", channel.as_bytes(), b",r=", offer.nonce]);
        let auth_message = joined(&[&self.first_bare, b",", server_first, b",", &final_bare]);
        let client_key = self.mac(&salted, b"Client Key");
        let stored_key = digest::digest(self.digest(), &client_key);
        let signature = self.mac(stored_key.as_ref(), &auth_message);
        let proof: Vec<u8> = client_key.iter().zip(signature.iter()).map(|(key, sign)| key ^ sign).collect();
        let answer = joined(&[&final_bare, b",p=", BASE64.encode(proof).as_bytes()]);
        let server_key = self.mac(&salted, b"Server Key");
        Ok((answer, self.mac(&server_key, &auth_message)))
    }

    fn salted(&self, offer: &Offer<'_>) -> Secret {
        let algorithm = match self.hash {
            Hash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut key = vec![0; self.digest().output_len()];
        pbkdf2::derive(algorithm, offer.iterations, &offer.salt, &self.password, &mut key);
        Secret::new(key)
    }

    fn mac(&self, key: &[u8], message: &[u8]) -> Secret {
        let algorithm = match self.hash {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
        };
        Secret::new(hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec())
    }

    fn digest(&self) -> &'static digest::Algorithm {
        match self.hash {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
        }
    }
}

/// The server's first message.
struct Offer<'a> {
    nonce: &'a [u8],
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl<'a> Offer<'a> {
    /// RFC 5802 7: `r=NONCE,s=SALT,i=ITERATIONS`, and what later versions add.
    fn parse(message: &'a [u8], own_nonce: &[u8]) -> Result<Self, Fault> {
        let mut attributes = attributes(message);
        let mut next = |prefix: &[u8]| {
            let found = attributes.next().and_then(|attribute| attribute.strip_prefix(prefix));
            found.ok_or(Fault::Protocol("the server's first message lacks nonce, salt or iterations"))
        };
        let nonce = next(b"r=")?;
        // Who repeats an old exchange has not got this nonce.
        if !nonce.starts_with(own_nonce) || nonce.len() == own_nonce.len() {
            return Err(Fault::Protocol("the server's nonce does not begin with ours"));
        }
        let salt = BASE64.decode(next(b"s=")?).map_err(|_| Fault::Protocol("the salt is no base64"))?;
        let iterations = std::str::from_utf8(next(b"i=")?).ok().and_then(|digits| digits.parse().ok());
        let iterations: NonZeroU32 = iterations.ok_or(Fault::Protocol("the iterations are no number"))?;
        if iterations.get() > MOST_ITERATIONS {
            return Err(Fault::Refused("the server asks for more than a million iterations"));
        }
        Ok(Self { nonce, salt, iterations })
    }
}

fn attributes(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message.split(|byte| *byte == b',')
}

/// A name, its `=` and `,` written in another way (RFC 5802 5.1).
pub fn name(name: &[u8]) -> Secret {
    let escapes = name.iter().filter(|byte| matches!(byte, b'=' | b',')).count();
    let mut out = Vec::with_capacity(name.len() + 2 * escapes);
    for byte in name {
        match byte {
            b'=' => out.extend_from_slice(b"=3D"),
            b',' => out.extend_from_slice(b"=2C"),
            byte => out.push(*byte),
        }
    }
    Secret::new(out)
}
