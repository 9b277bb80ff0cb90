//! The way from a trusted certificate to the peer's, step by step, for whoever wants to follow it in the log.

use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::X509Certificate;

use super::{Anchors, Fault, Place, validity};
use crate::certificate::{one_line, parsed};

impl Anchors {
    /// `depth=0 verify=1 subject=/CN=mx.example.com` for each certificate of a chain, the peer's own last. The one in
    /// which the fault lies has a line with `verify=0`: where it stands, for a validity period, else in front.
    pub fn steps(&self, chain: &[CertificateDer<'_>], fault: Option<&Fault>, now: UnixTime) -> Vec<String> {
        let known = self.parsed(chain);
        let Some(leaf) = known.first() else { return Vec::new() };
        let (mut path, trusted) = self.path(leaf, &known);
        let trusted = trusted.and_then(|der| parsed(der));
        let last = path.last().map(|it| it.as_raw());
        path.extend(trusted.iter().filter(|it| last != Some(it.as_raw())));
        let step = |depth: usize, good: u8| {
            let subject = path.get(depth).map(|it| one_line(it.subject())).unwrap_or_default();
            format!("depth={depth} verify={good} subject={}", text::printable(subject.as_bytes()))
        };
        let top = path.len() - 1;
        let of_period = match fault {
            Some(Fault::Expired(place) | Fault::NotYetValid(place)) => Some(*place),
            _ => None,
        };
        let mut lines = Vec::new();
        let mut rest = 0..=top;
        if let Some(fault) = fault.filter(|_| of_period.is_none()) {
            lines.push(step(if fault.is_of_leaf() { 0 } else { top }, 0));
            if matches!(fault, Fault::NoIssuer | Fault::UntrustedIssuer { sent: false, .. }) {
                // The issuer's is missing: OpenSSL has no more to say of it, or finds two faults if it stands alone.
                match top {
                    0 => lines.push(step(0, 0)),
                    _ => drop(rest.next_back()),
                }
            }
        }
        let mut is_open = of_period.is_some();
        for depth in rest.rev() {
            if is_open && path.get(depth).is_some_and(|it| is_over(it, depth, now)) {
                lines.push(step(depth, 0));
                is_open = false;
            }
            lines.push(step(depth, 1));
        }
        lines
    }
}

/// The steps of who looks at the peer's own certificate alone: one, or two where it was found out that it fits, but not
/// for what it is shown.
pub fn own_steps(chain: &[CertificateDer<'_>], fault: Option<&Fault>) -> Vec<String> {
    let Some(own) = chain.first().and_then(|der| parsed(der)) else { return Vec::new() };
    let subject = one_line(own.subject());
    let step = |good: u8| format!("depth=0 verify={good} subject={}", text::printable(subject.as_bytes()));
    match fault {
        None => vec![step(1)],
        Some(Fault::NoMatch(_)) => vec![step(0)],
        Some(_) => vec![step(0), step(1)],
    }
}

fn is_over(certificate: &X509Certificate<'_>, depth: usize, now: UnixTime) -> bool {
    validity(certificate, if depth == 0 { Place::Leaf } else { Place::Authority }, now).is_err()
}

impl Fault {
    /// Whether it lies in the peer's own certificate, and not at the other end of the chain.
    fn is_of_leaf(&self) -> bool {
        match self {
            Self::SelfSigned | Self::UntrustedIssuer { .. } | Self::NoIssuer | Self::TooLong(_) => false,
            Self::Expired(place) | Self::NotYetValid(place) | Self::NoMatch(place) => *place == Place::Leaf,
            Self::Purpose(_)
            | Self::HostMismatch
            | Self::AddressMismatch
            | Self::RawKey
            | Self::Unspecified
            | Self::External(_) => true,
        }
    }
}
