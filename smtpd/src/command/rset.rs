//! RSET: the transaction is forgotten. RFC 5321 4.1.1.5

use crate::session::{Session, Success};

/// `RSET`
pub async fn run(session: &mut Session, argument: &[u8]) -> Success {
    if !argument.is_empty() {
        return session.fail(501, "5.5.4", "Syntax: RSET");
    }
    session.forget_transaction().await;
    session.succeed("2.0.0", "Ok")
}
