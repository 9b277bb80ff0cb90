//! AUTH, which is not offered: the replies of a server where it is switched off. RFC 4954

use config::ErrorClass;
use dsn::Status;

use crate::command::needs_helo;
use crate::dialogue::Dialogue;
use crate::rejection::Rejection;
use crate::turn::{Turn, breach};

/// `AUTH mechanism [initial-response]`
pub fn run(dialogue: &Dialogue) -> Turn {
    if dialogue.needs_helo() {
        return needs_helo();
    }
    // RFC 4954 6: it is configured, and cannot be done.
    if dialogue.settings.sasl_enabled {
        let text = "Temporary authentication failure";
        return Rejection::new(454, Status::new(4, 7, 0), text).of(ErrorClass::Software).into();
    }
    breach(503, Status::new(5, 5, 1), "Error: authentication not enabled")
}
