//! RCPT: one recipient of the transaction. RFC 5321 4.1.1.3

use dsn::{Notify, Status};
use smtp_protocol::parameters::{self, ParameterError, RcptParameters, is_about_dsn};
use smtp_protocol::path::{self, PathError};
use smtp_protocol::verb::words;

use crate::command::data::write_error;
use crate::command::mail::{bad_parameter, lacks_dsn, log_bad_address, no_dsn};
use crate::dialogue::Dialogue;
use crate::filters::Told;
use crate::rejection::Rejection;
use crate::services::{Counted, Judgement, Services, Stage, Unqueued};
use crate::turn::{Answer, Turn, breach, done};

/// `RCPT TO:<address> [parameters]`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8]) -> Answer {
    let Some(transaction) = &dialogue.transaction else {
        return Err(breach(503, Status::new(5, 5, 1), "Error: need MAIL command"));
    };
    if dialogue.chunking.has_begun() {
        return Err(breach(503, Status::new(5, 5, 1), "Error: RCPT after BDAT"));
    }
    let utf8 = transaction.parameters.smtputf8;
    let path = match path::parse(argument, "TO:", dialogue.path_rules(utf8)) {
        Err(PathError::Syntax) => return Err(breach(501, Status::new(5, 5, 4), "Syntax: RCPT TO:<address>")),
        // smtpd_client_recipient_rate_limit
        _ if services.exceeds(Counted::Recipient, &dialogue.peer).await => {
            let text = format!("Error: too many recipients from {}", dialogue.peer.address_text());
            return Err(Rejection::new(450, Status::new(4, 7, 1), text).into());
        }
        Ok(path) if !path.address.is_empty() => path,
        Err(PathError::Unterminated) => return Err(bad_recipient()),
        Ok(_) | Err(PathError::Address) => return Err(bad_address(dialogue, argument)),
    };
    if services.is_malformed(Some(&transaction.sender), &path.address).await {
        return Err(bad_address(dialogue, argument));
    }
    let lacks_dsn = lacks_dsn(dialogue, &path.parameters);
    let before = path.parameters.take_while(|word| !(lacks_dsn && is_about_dsn(word)));
    let parameters = parameters::rcpt(before).map_err(|error| {
        note_unknown(&error);
        bad_parameter(&error)
    })?;
    if lacks_dsn {
        return Err(no_dsn());
    }
    dialogue.may_say(&path.address, utf8)?;
    // smtpd_recipient_limit
    let limit = dialogue.settings.recipient_limit;
    if limit > 0 && transaction.recipients >= limit {
        return too_many(dialogue);
    }
    let words: Vec<&[u8]> = words(&argument["TO:".len()..]).collect();
    let facts = dialogue.facts(None, Some(&path.address));
    match services.judge(Stage::Recipient, facts).await {
        Judgement::Accept => {}
        Judgement::Reject(rejection) => {
            services.tell_filters(Told::Refused(&words, &rejection), facts).await;
            return Err(rejection.into());
        }
        Judgement::HangUp => return Err(Turn::close()),
    }
    if let Some(reply) = services.tell_filters(Told::Recipient(&words), facts).await {
        return Err(reply.into());
    }
    services.note("recipient", &path.address, &dialogue.peer);
    accept(dialogue, services, path.address, &parameters, argument).await
}

fn too_many(dialogue: &mut Dialogue) -> Answer {
    let limit = dialogue.settings.recipient_overshoot_limit;
    let turn = Rejection::new(452, Status::new(4, 5, 3), "Error: too many recipients").quietly().into();
    match &mut dialogue.transaction {
        // smtpd_recipient_overshoot_limit: the first ones are no errors of the client, and count as if they were taken.
        Some(transaction) if transaction.overshoot < limit => {
            transaction.overshoot += 1;
            Ok(turn)
        }
        _ => Err(turn),
    }
}

async fn accept(
    dialogue: &mut Dialogue,
    services: &mut impl Services,
    address: Vec<u8>,
    parameters: &RcptParameters,
    argument: &[u8],
) -> Answer {
    let taken = services.take(dialogue.facts(None, Some(&address)), parameters, argument).await;
    match (taken, &mut dialogue.transaction) {
        (Ok(queue_id), Some(transaction)) => {
            transaction.queue_id = queue_id;
            transaction.recipients += 1;
            if transaction.recipients == 1 {
                transaction.first_recipient = address;
            }
            done(Status::new(2, 1, 5), "Ok")
        }
        (Err(Unqueued::Said(reply)), _) => Err(reply.into()),
        (Err(Unqueued::Lost), _) => {
            dialogue.forget_transaction(services).await;
            Err(write_error().into())
        }
        (Ok(_) | Err(Unqueued::NotOpened), _) => Err(write_error().into()),
    }
}

fn note_unknown(error: &ParameterError) {
    let ParameterError::Notify(value) = error else { return };
    if let Some(word) = Notify::unknown_word(value) {
        let [word, value] = [word, value].map(text::printable);
        logging::warning!("unknown DSN NOTIFY command value \"{word}\" in \"{value}\"");
    }
}

fn bad_address(dialogue: &Dialogue, argument: &[u8]) -> Turn {
    log_bad_address(dialogue, "RCPT", "TO:", argument);
    bad_recipient()
}

fn bad_recipient() -> Turn {
    breach(501, Status::new(5, 1, 3), "Bad recipient address syntax")
}
