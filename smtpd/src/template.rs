//! Texts of the operator with names of what strangers have said: default_rbl_reply, rbl_reply_maps,
//! smtpd_reject_footer.
//!
//! Every byte of a stranger's that smtpd_expansion_filter does not have becomes an underscore.

use config::expand::{self, ExpandError};
use config::{Config, param};
use daemon::StartError;
use smtp_server::Facts;

/// What may stand in the place of a name.
#[derive(Debug)]
pub struct Filling {
    /// smtpd_expansion_filter
    allowed: Vec<u8>,
}

/// A template with its names replaced.
pub struct Filled {
    /// The text; `None` where the template makes no sense, which was logged.
    pub text: Option<String>,
    /// A name meant nothing, and nothing stands in its place; logged.
    pub unknown: bool,
}

impl Filling {
    /// What main.cf says.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn read(config: &Config) -> Result<Filling, StartError> {
        Ok(Filling { allowed: text::c_unescape(&config.get(param::SMTPD_EXPANSION_FILTER)?.0) })
    }

    /// Fills a template in; `value`: what a name stands for.
    pub fn fill_in(&self, template: &str, value: impl Fn(&str) -> Option<Vec<u8>>) -> Filled {
        let mut unknown = false;
        let mut scope = |name: &str| {
            let value = value(name);
            if value.is_none() {
                unknown = true;
                logging::warning!("unknown macro name \"{}\" in expansion request", text::printable(name.as_bytes()));
            }
            Some(value.map_or_else(String::new, |value| self.censored(&value)))
        };
        let text = match expand::expand(template, &mut scope) {
            Ok(text) => Some(text.as_text().to_owned()),
            Err(ExpandError::Truncated(_)) => {
                logging::warning!("truncated macro reference: \"{template}\"");
                None
            }
            Err(error) => {
                logging::warning!("{error}");
                None
            }
        };
        Filled { text, unknown }
    }

    fn censored(&self, value: &[u8]) -> String {
        let kept = value.iter().map(|byte| if self.allowed.contains(byte) { *byte } else { b'_' });
        text::printable(&kept.collect::<Vec<_>>())
    }
}

/// What a name stands for that every template can have.
pub fn value(name: &str, facts: &Facts<'_>) -> Option<Vec<u8>> {
    let peer = facts.peer;
    Some(match name {
        "client" => peer.label.clone().into_bytes(),
        "client_address" => peer.address_text().into_bytes(),
        "client_name" => peer.name.clone().into_bytes(),
        "client_port" => peer.port.clone().into_bytes(),
        "reverse_client_name" => peer.reverse_name.clone().into_bytes(),
        "helo_name" => facts.helo.unwrap_or_default().as_bytes().to_vec(),
        "recipient" => shown(facts.recipient),
        "recipient_domain" => domain(facts.recipient),
        "recipient_name" => local_part(facts.recipient),
        "sender" => shown(facts.sender),
        "sender_domain" => domain(facts.sender),
        "sender_name" => local_part(facts.sender),
        _ => return None,
    })
}

/// An address, or `<>` for the null one.
fn shown(address: Option<&[u8]>) -> Vec<u8> {
    match address {
        Some(b"") => b"<>".to_vec(),
        address => address.unwrap_or_default().to_vec(),
    }
}

fn local_part(address: Option<&[u8]>) -> Vec<u8> {
    match address {
        Some(b"") => b"<>".to_vec(),
        address => address.map_or_else(Vec::new, |address| address::split(address).0.to_vec()),
    }
}

fn domain(address: Option<&[u8]>) -> Vec<u8> {
    address.and_then(address::domain).unwrap_or_default().to_vec()
}
