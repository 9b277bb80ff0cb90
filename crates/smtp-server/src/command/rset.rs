//! RSET: the transaction is forgotten. RFC 5321 4.1.1.5

use dsn::Status;

use crate::dialogue::Dialogue;
use crate::services::Services;
use crate::turn::{Answer, breach, done};

/// `RSET`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8]) -> Answer {
    if !argument.is_empty() {
        return Err(breach(501, Status::new(5, 5, 4), "Syntax: RSET"));
    }
    dialogue.forget_transaction(services).await;
    done(Status::new(2, 0, 0), "Ok")
}
