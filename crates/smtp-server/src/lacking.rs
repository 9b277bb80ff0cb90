//! What main.cf asks for and the server does not have: TLS, milters, and settings that nobody answers yet. It answers
//! as Postfix does where the thing is out of order, and takes no mail as if nothing had been asked for.

use config::ErrorClass;
use config::milter::Lapse;
use dsn::Status;
use smtp_protocol::Verb;

use crate::rejection::Rejection;
use crate::turn::{Answer, breach};

/// What is asked for and not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// smtpd_tls_security_level and its older forms.
    pub tls: Tls,
    /// Another setting: no mail is taken while it is set.
    pub no_mail: bool,
}

/// What is asked for of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Nothing.
    #[default]
    None,
    /// TLS for clients that want it.
    Offered,
    /// No mail without.
    Required,
}

impl Tls {
    /// Whether a session without TLS must not use the command.
    pub(crate) fn guards(self, verb: Verb) -> bool {
        use Verb::*;
        self == Tls::Required && matches!(verb, Mail | Rcpt | Data | Bdat | Rset | Vrfy | Etrn | Auth | Xforward)
    }

    /// `STARTTLS`
    pub(crate) fn start(self, argument: &[u8]) -> Answer {
        if self == Tls::None {
            return Err(breach(502, Status::new(5, 5, 1), "Error: command not implemented"));
        }
        if !argument.is_empty() {
            return Err(breach(501, Status::new(5, 5, 4), "Syntax: STARTTLS"));
        }
        let text = "TLS not available due to local problem";
        Err(Rejection::new(454, Status::new(4, 7, 0), text).of(ErrorClass::Software).into())
    }
}

/// What commands that carry mail are told where milters do not answer.
pub(crate) fn milters_rejection(lapse: Lapse) -> Option<Rejection> {
    let later = "Service unavailable - try again later";
    let confused = "Server configuration problem - try again later";
    let rejection = match lapse {
        Lapse::Nothing | Lapse::Hold => return None,
        Lapse::Tempfail => Rejection::new(451, Status::new(4, 7, 1), later),
        Lapse::Reject => Rejection::new(550, Status::new(5, 5, 0), "Service unavailable"),
        Lapse::Shutdown => Rejection::new(421, Status::new(4, 7, 1), later),
        Lapse::Misconfigured => Rejection::new(451, Status::new(4, 3, 5), confused),
    };
    Some(rejection.of(ErrorClass::Software))
}
