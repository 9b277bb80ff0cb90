//! NOOP: nothing. RFC 5321 4.1.1.9

use crate::session::{Session, Success};

/// `NOOP [anything]`
pub fn run(session: &mut Session) -> Success {
    session.succeed("2.0.0", "Ok")
}
