//! Why a look-up gave nothing, in the words that operators search their logs for.

use std::fmt;

/// The types that mail asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Another name of the same host.
    Cname,
    /// Mail exchanger.
    Mx,
    /// Name server.
    Ns,
    /// Name of an address.
    Ptr,
    /// Hosts and ports of a service (RFC 2782).
    Srv,
    /// Certificates and keys of a TLS server (RFC 6698).
    Tlsa,
    /// Text.
    Txt,
}

impl RecordType {
    /// Its number.
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Srv => 33,
            Self::Tlsa => 52,
        }
    }
}

impl From<net::Family> for RecordType {
    fn from(family: net::Family) -> Self {
        match family {
            net::Family::V4 => Self::A,
            net::Family::V6 => Self::Aaaa,
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Tlsa => "TLSA",
            Self::Txt => "TXT",
        })
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFault {
    /// The name does not exist.
    NotFound,
    /// The name exists, without records of this type.
    NoData,
    /// No answer, or a server that failed: may work later.
    TryAgain,
    /// The server refused, or did not understand.
    NonRecoverable,
    /// The answer contradicts itself.
    Malformed,
    /// Its records name nothing that can be a host.
    InvalidData,
    /// CNAME records that lead in a circle, or too far.
    Loop,
    /// The name is no host name; no server was asked.
    InvalidName,
    /// The domain has a null MX (RFC 7505).
    NullMx,
    /// The domain says that it does not have the service (RFC 2782).
    NoService,
    /// There are records, and a filter of this site has dropped them all.
    Filtered,
    /// There are records, and the filter of this site cannot judge them.
    NotFiltered,
}

impl LookupFault {
    /// The fault in the words of the name service.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "Host not found",
            Self::NoData => "Host found but no data record of requested type",
            Self::TryAgain => "Host not found, try again",
            Self::NonRecoverable => "Non-recoverable error",
            Self::Malformed | Self::InvalidData => "Malformed or unexpected name server reply",
            Self::Loop => "Name server loop",
            Self::InvalidName => "invalid host or domain name",
            Self::NullMx => "Domain does not accept mail (nullMX)",
            Self::NoService => "Domain does not support SRV requests",
            Self::Filtered => "DNS reply filter drops all results",
            Self::NotFiltered => "Invalid DNS reply filter syntax",
        }
    }
}

/// A look-up that gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupError {
    /// The name as asked.
    pub name: String,
    /// The type asked for.
    pub record_type: RecordType,
    /// Why.
    pub fault: LookupFault,
}

impl LookupError {
    /// A failed look-up.
    #[must_use]
    pub fn new(name: &str, record_type: RecordType, fault: LookupFault) -> Self {
        Self { name: name.to_owned(), record_type, fault }
    }

    /// Whether the answer may differ later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        use LookupFault::{Filtered, Malformed, NonRecoverable, NotFiltered, TryAgain};
        matches!(self.fault, TryAgain | NonRecoverable | Malformed | Filtered | NotFiltered)
    }

    /// The enhanced status code of mail that this keeps from being delivered (RFC 3463, RFC 7505).
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.fault {
            LookupFault::NullMx | LookupFault::NoService => "5.1.0",
            LookupFault::Filtered => "4.7.0",
            _ if self.is_temporary() => "4.4.3",
            _ => "5.4.4",
        }
    }

    /// The fault in the words of the name service.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.fault.reason()
    }

    /// The fault in the words of getaddrinfo(3), for texts about the system's resolver.
    #[must_use]
    pub fn system_text(&self) -> &'static str {
        match self.fault {
            LookupFault::NotFound | LookupFault::InvalidName | LookupFault::NullMx | LookupFault::NoService => {
                "Name or service not known"
            }
            LookupFault::NoData => "No address associated with hostname",
            LookupFault::TryAgain | LookupFault::Filtered | LookupFault::NotFiltered => {
                "Temporary failure in name resolution"
            }
            LookupFault::NonRecoverable | LookupFault::Malformed | LookupFault::InvalidData | LookupFault::Loop => {
                "Non-recoverable failure in name resolution"
            }
        }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, record_type, fault } = self;
        let reason = self.reason();
        match fault {
            LookupFault::Malformed | LookupFault::InvalidData => {
                write!(out, "Name service error for name={name} type={record_type}: {reason}")
            }
            LookupFault::Loop => write!(out, "Name server loop for {name}"),
            LookupFault::Filtered | LookupFault::NotFiltered => {
                write!(out, "Error looking up name={name} type={record_type}: {reason}")
            }
            LookupFault::InvalidName => write!(out, "Name service error for {name}: {reason}"),
            LookupFault::NullMx => write!(out, "Domain {name} does not accept mail (nullMX)"),
            LookupFault::NoService => write!(out, "Domain {name} does not support SRV requests"),
            _ => write!(
                out,
                "Host or domain name not found. Name service error for name={name} type={record_type}: {reason}"
            ),
        }
    }
}

impl std::error::Error for LookupError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_postfix_words_and_status() {
        let error = |fault| LookupError { name: "d.test".to_owned(), record_type: RecordType::Mx, fault };
        let prefix = "Host or domain name not found. Name service error for name=d.test type=MX: ";
        for (fault, text, status) in [
            (LookupFault::NotFound, format!("{prefix}Host not found"), "5.4.4"),
            (LookupFault::NoData, format!("{prefix}Host found but no data record of requested type"), "5.4.4"),
            (LookupFault::TryAgain, format!("{prefix}Host not found, try again"), "4.4.3"),
            (
                LookupFault::InvalidName,
                "Name service error for d.test: invalid host or domain name".to_owned(),
                "5.4.4",
            ),
            (
                LookupFault::Malformed,
                "Name service error for name=d.test type=MX: Malformed or unexpected name server reply".to_owned(),
                "4.4.3",
            ),
            (
                LookupFault::InvalidData,
                "Name service error for name=d.test type=MX: Malformed or unexpected name server reply".to_owned(),
                "5.4.4",
            ),
            (LookupFault::Loop, "Name server loop for d.test".to_owned(), "5.4.4"),
            (LookupFault::NullMx, "Domain d.test does not accept mail (nullMX)".to_owned(), "5.1.0"),
            (LookupFault::NoService, "Domain d.test does not support SRV requests".to_owned(), "5.1.0"),
            (
                LookupFault::Filtered,
                "Error looking up name=d.test type=MX: DNS reply filter drops all results".to_owned(),
                "4.7.0",
            ),
            (
                LookupFault::NotFiltered,
                "Error looking up name=d.test type=MX: Invalid DNS reply filter syntax".to_owned(),
                "4.4.3",
            ),
        ] {
            assert_eq!(error(fault).to_string(), text);
            assert_eq!(error(fault).status(), status);
        }
    }
}
