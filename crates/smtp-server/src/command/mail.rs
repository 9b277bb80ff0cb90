//! MAIL: a transaction begins. RFC 5321 4.1.1.2

use config::ErrorClass;
use dsn::Status;
use smtp_protocol::parameters::{self, MailParameters, Offers, ParameterError, Verp, is_about_dsn};
use smtp_protocol::path::{self, PathError};
use smtp_protocol::verb::{Words, words};

use crate::command::data::write_error;
use crate::command::needs_helo;
use crate::dialogue::Dialogue;
use crate::facts::Facts;
use crate::filters::Told;
use crate::rejection::Rejection;
use crate::services::{Counted, Services, Stage};
use crate::transaction::Transaction;
use crate::turn::{Answer, Turn, breach, done};

/// How many times the largest message must find room in the queue.
const ROOM: u64 = 3;
const ROOM_OF: u64 = 2;

/// `MAIL FROM:<address> [parameters]`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8]) -> Answer {
    let out_of_order = |text: &str| Err(breach(503, Status::new(5, 5, 1), text));
    if dialogue.needs_helo() {
        return Err(needs_helo());
    }
    if dialogue.transaction.is_some() {
        return out_of_order("Error: nested MAIL command");
    }
    if dialogue.chunking.has_begun() {
        return out_of_order("Error: MAIL after BDAT");
    }
    // What the address may hold is said behind it.
    let offers_utf8 = dialogue.offers_utf8();
    let utf8 = offers_utf8 && words(argument).skip(1).any(|word| word.eq_ignore_ascii_case(b"SMTPUTF8"));
    let path = match path::parse(argument, "FROM:", dialogue.path_rules(utf8)) {
        Err(PathError::Syntax) => return Err(breach(501, Status::new(5, 5, 4), "Syntax: MAIL FROM:<address>")),
        // smtpd_client_message_rate_limit
        _ if services.exceeds(Counted::Message, &dialogue.peer).await => {
            let text = format!("Error: too much mail from {}", dialogue.peer.address_text());
            return Err(Rejection::new(450, Status::new(4, 7, 1), text).into());
        }
        Ok(path) => path,
        Err(PathError::Unterminated) => return Err(bad_sender()),
        Err(PathError::Address) => return Err(bad_address(dialogue, argument)),
    };
    let requiretls = dialogue.is_under_tls() && dialogue.settings.requiretls && !dialogue.discards("REQUIRETLS");
    let offers = Offers { smtputf8: offers_utf8, requiretls, verp: dialogue.may.verp };
    // What else is wrong with the sender is for the restrictions to find out.
    if !path.address.is_empty() && services.is_malformed(None, &path.address).await {
        return Err(bad_address(dialogue, argument));
    }
    let lacks_dsn = lacks_dsn(dialogue, &path.parameters);
    let before = path.parameters.take_while(|word| !(lacks_dsn && is_about_dsn(word)));
    let mut parameters = parameters::mail(before, offers).map_err(|error| bad_parameter(&error))?;
    if lacks_dsn {
        return Err(no_dsn());
    }
    dialogue.may_say(&path.address, parameters.smtputf8)?;
    if let Some(asked) = parameters.verp.take() {
        parameters.verp = Some(verp(dialogue, &path.address, asked)?);
    }
    // RFC 4954 5: nobody is nobody, whoever says it.
    parameters.auth = parameters.auth.filter(|sender| sender != b"<>");
    begin(dialogue, services, argument, path.address, parameters).await
}

async fn begin(
    dialogue: &mut Dialogue,
    services: &mut impl Services,
    argument: &[u8],
    sender: Vec<u8>,
    parameters: MailParameters,
) -> Answer {
    fits(dialogue, services, &sender, parameters.size)?;
    let facts = Facts { size: parameters.size.unwrap_or(0), ..dialogue.facts(Some(&sender), None) };
    dialogue.judge(services, Stage::Mail, facts).await?;
    let words: Vec<&[u8]> = words(&argument["FROM:".len()..]).collect();
    if let Some(reply) = services.tell_filters(Told::Mail(&words), dialogue.facts(Some(&sender), None)).await {
        services.abort().await;
        return Err(reply.into());
    }
    services.note("sender", &sender, &dialogue.peer);
    services.begin();
    let mail = argument.to_vec();
    dialogue.transaction = Some(Box::new(Transaction { mail, ..Transaction::new(sender, parameters) }));
    // smtpd_delay_open_until_valid_rcpt
    if !dialogue.settings.delay_open {
        match services.open_early(dialogue.facts(None, None)).await {
            Ok(id) => dialogue.transaction.iter_mut().for_each(|transaction| transaction.queue_id.clone_from(&id)),
            Err(_) => {
                dialogue.forget_transaction(services).await;
                return Err(write_error().into());
            }
        }
    }
    done(Status::new(2, 1, 0), "Ok")
}

/// What a client wants of VERP: the delimiters.
fn verp(dialogue: &Dialogue, sender: &[u8], asked: Verp) -> Result<Verp, Turn> {
    let delimiters = match &asked {
        // default_verp_delimiters
        Verp::Default => dialogue.settings.verp_delimiters.as_bytes(),
        Verp::Delimiters(delimiters) => delimiters,
    };
    // verp_delimiter_filter
    let allowed = &dialogue.settings.verp_filter;
    if delimiters.len() != 2 || !delimiters.iter().all(|byte| allowed.as_bytes().contains(byte)) {
        let text = format!("Error: XVERP needs two characters from {allowed}");
        return Err(breach(501, Status::new(5, 5, 4), text));
    }
    if sender.is_empty() {
        return Err(breach(503, Status::new(5, 5, 4), "Error: XVERP requires non-null sender"));
    }
    Ok(Verp::Delimiters(delimiters.to_vec()))
}

/// A message of this size has a place.
fn fits(dialogue: &Dialogue, services: &impl Services, sender: &[u8], size: Option<u64>) -> Result<(), Rejection> {
    let limit = dialogue.settings.message_size_limit;
    let too_large = Status::new(5, 3, 4);
    if size.is_some_and(|size| size > i64::MAX as u64) {
        return Err(Rejection::new(552, too_large, "Message size exceeds file system imposed limit"));
    }
    let refused = |rejection: Rejection, sender| {
        services.log("reject", &rejection.shown(), dialogue.facts(sender, None));
        Err(rejection)
    };
    if size.is_some_and(|size| limit.is_some_and(|limit| size > limit)) {
        return refused(Rejection::new(552, too_large, "Message size exceeds fixed limit"), Some(sender));
    }
    let Some(free) = services.free_space() else { return Ok(()) };
    let room = limit.unwrap_or(0).saturating_mul(ROOM) / ROOM_OF;
    // queue_minfree
    if free >= room && free >= dialogue.settings.queue_minfree {
        return Ok(());
    }
    let rejection = Rejection::new(452, Status::new(4, 3, 1), "Insufficient system storage");
    let refusal = refused(rejection.of(ErrorClass::Resource), None);
    logging::warning!("not enough free space in mail queue: {free} bytes < 1.5*message size limit");
    refusal
}

fn bad_address(dialogue: &Dialogue, argument: &[u8]) -> Turn {
    log_bad_address(dialogue, "MAIL", "FROM:", argument);
    bad_sender()
}

fn bad_sender() -> Turn {
    breach(501, Status::new(5, 1, 7), "Bad sender address syntax")
}

/// The warning about an address that is none.
pub fn log_bad_address(dialogue: &Dialogue, command: &str, keyword: &str, argument: &[u8]) {
    let written = words(argument.get(keyword.len()..).unwrap_or_default()).next();
    let shown = text::printable(written.unwrap_or_default());
    logging::warning!("Illegal address syntax from {} in {command} command: {shown}", dialogue.peer.label);
}

/// A parameter that is wrong or not known.
pub fn bad_parameter(error: &ParameterError) -> Turn {
    let (code, status) = error.code();
    breach(code, status, error.to_string())
}

/// Whether there are parameters of RFC 3461 where this client is not to see DSN; what comes before the first of them
/// may be wrong too.
pub fn lacks_dsn(dialogue: &Dialogue, parameters: &Words<'_>) -> bool {
    dialogue.discards("DSN") && parameters.clone().any(is_about_dsn)
}

/// What the client is told then.
pub fn no_dsn() -> Turn {
    Rejection::new(501, Status::new(5, 7, 1), "DSN support is disabled").into()
}
