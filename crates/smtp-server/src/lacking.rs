//! What main.cf asks for and the server does not have: milters, and settings that nobody answers yet. It answers as
//! Postfix does where the thing is out of order, and takes no mail as if nothing had been asked for.

use config::ErrorClass;
use config::milter::Lapse;
use dsn::Status;

use crate::rejection::Rejection;

/// What is asked for and not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Another setting: no mail is taken while it is set.
    pub no_mail: bool,
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
