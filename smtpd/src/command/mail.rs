//! MAIL: a transaction begins. RFC 5321 4.1.1.2

use delivery::transcript::ErrorClass;
use smtp_protocol::parameters::{self, MailParameters, ParameterError};
use smtp_protocol::path::{self, PathError};

use crate::command::ehlo::discards;
use crate::session::{Session, Success};
use crate::transaction::Transaction;
use crate::withheld::{self, Lapse};

/// How many times the largest message must find room in the queue.
const ROOM: u64 = 3;
const ROOM_OF: u64 = 2;

/// What a size that no file can have is told.
const BEYOND_FILE_SYSTEM: &str = "Message size exceeds file system imposed limit";

/// `MAIL FROM:<address> [parameters]`
pub async fn run(session: &mut Session, argument: &[u8]) -> Success {
    if session.helo.is_none() && session.worker.settings.helo_required {
        return session.fail(503, "5.5.1", "Error: send HELO/EHLO first");
    }
    if session.transaction.is_some() {
        return session.fail(503, "5.5.1", "Error: nested MAIL command");
    }
    if session.chunking.has_begun() {
        return session.fail(503, "5.5.1", "Error: MAIL after BDAT");
    }
    let path = match path::parse(argument, "FROM:", session.worker.settings.strict_envelopes) {
        Err(PathError::Syntax) => return session.fail(501, "5.5.4", "Syntax: MAIL FROM:<address>"),
        // smtpd_client_message_rate_limit
        _ if session.is_message_too_many().await => {
            let text = format!("Error: too much mail from {}", session.peer.address_text());
            return session.fail_for(ErrorClass::Policy, 450, "4.7.1", text);
        }
        Ok(path) => path,
        Err(PathError::Unterminated) => return session.fail(501, "5.1.7", "Bad sender address syntax"),
        Err(PathError::Address) => return bad_address(session, argument),
    };
    let parameters = match parameters::mail(path.parameters) {
        Ok(parameters) => parameters,
        Err(error) => return refuse_parameter(session, &error),
    };
    if parameters.smtputf8 || parameters.requiretls {
        let word = if parameters.smtputf8 { "SMTPUTF8" } else { "REQUIRETLS" };
        return refuse_parameter(session, &ParameterError::Unsupported(word.as_bytes().to_vec()));
    }
    if (parameters.ret.is_some() || parameters.envid.is_some()) && discards(session, "DSN") {
        return session.fail_for(ErrorClass::Policy, 501, "5.7.1", "DSN support is disabled");
    }
    begin(session, argument, path.address, parameters).await
}

async fn begin(session: &mut Session, argument: &[u8], sender: Vec<u8>, parameters: MailParameters) -> Success {
    if !sender.is_empty() {
        match session.worker.resolve(None, &sender).await {
            Ok(resolved) if resolved.bad_syntax => return bad_address(session, argument),
            // What else is wrong with the sender is for the restrictions to find out.
            Ok(_) | Err(_) => {}
        }
    }
    if let Some((code, status, text)) = refused_size(session, parameters.size) {
        if text != BEYOND_FILE_SYSTEM {
            session.log_about("reject", &format!("{code} {status} {text}"), Some(&sender), None);
        }
        let class = if code == 452 { ErrorClass::Resource } else { ErrorClass::Policy };
        return session.fail_for(class, code, status, text);
    }
    let (rejection, effects) = session.check_mail(&sender).await?;
    if let Some(rejection) = rejection {
        session.turn_down(&rejection);
        return Ok(false);
    }
    session.log_lapse(Some(&sender));
    if let Some(rejection) = withheld::milters_rejection(session.lapse) {
        session.turn_down(&rejection);
        return Ok(false);
    }
    session.note_utf8("sender", &sender);
    let mut transaction = Transaction::new(sender, parameters);
    transaction.effects = effects;
    transaction.effects.hold |= session.lapse == Lapse::Hold;
    session.transaction = Some(transaction);
    session.succeed("2.1.0", "Ok")
}

/// Why a message of this size is not taken.
fn refused_size(session: &Session, size: Option<u64>) -> Option<(u16, &'static str, &'static str)> {
    let settings = &session.worker.settings;
    if let Some(size) = size {
        if size > i64::MAX as u64 {
            return Some((552, "5.3.4", BEYOND_FILE_SYSTEM));
        }
        if settings.message_size_limit.is_some_and(|limit| size > limit) {
            return Some((552, "5.3.4", "Message size exceeds fixed limit"));
        }
    }
    let free = session.worker.free_space()?;
    let room = settings.message_size_limit.unwrap_or(0).saturating_mul(ROOM) / ROOM_OF;
    // queue_minfree
    if free < room || free < settings.queue_minfree {
        logging::warning!("not enough free space in mail queue: {free} bytes < 1.5*message size limit");
        return Some((452, "4.3.1", "Insufficient system storage"));
    }
    None
}

fn bad_address(session: &mut Session, argument: &[u8]) -> Success {
    log_bad_address(session, "MAIL", "FROM:", argument);
    session.fail(501, "5.1.7", "Bad sender address syntax")
}

/// The warning about an address that is none.
pub fn log_bad_address(session: &Session, command: &str, keyword: &str, argument: &[u8]) {
    let written = smtp_protocol::verb::words(argument.get(keyword.len()..).unwrap_or_default()).next();
    let shown = text::printable(written.unwrap_or_default());
    logging::warning!("Illegal address syntax from {} in {command} command: {shown}", session.peer.label);
}

/// A parameter that is wrong or not known.
pub fn refuse_parameter(session: &mut Session, error: &ParameterError) -> Success {
    let (code, status) = error.code();
    session.fail(code, status, error.to_string())
}
