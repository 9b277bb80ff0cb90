//! RCPT: one recipient of the transaction. RFC 5321 4.1.1.3

use delivery::transcript::ErrorClass;
use ipc::cleanup::Message;
use smtp_protocol::parameters::{self, RcptParameters};
use smtp_protocol::path::{self, PathError};

use crate::command::data::write_error;
use crate::command::ehlo::discards;
use crate::command::mail::{log_bad_address, refuse_parameter};
use crate::envelope::{self, Circumstances};
use crate::forward::Forward;
use crate::log::Accepted;
use crate::session::{Session, Success};

/// `RCPT TO:<address> [parameters]`
pub async fn run(session: &mut Session, argument: &[u8]) -> Success {
    if session.transaction.is_none() {
        return session.fail(503, "5.5.1", "Error: need MAIL command");
    }
    if session.chunking.has_begun() {
        return session.fail(503, "5.5.1", "Error: RCPT after BDAT");
    }
    let path = match path::parse(argument, "TO:", session.worker.settings.strict_envelopes) {
        Err(PathError::Syntax) => return session.fail(501, "5.5.4", "Syntax: RCPT TO:<address>"),
        // smtpd_client_recipient_rate_limit
        _ if session.is_recipient_too_many().await => {
            let text = format!("Error: too many recipients from {}", session.peer.address_text());
            return session.fail_for(ErrorClass::Policy, 450, "4.7.1", text);
        }
        Ok(path) if !path.address.is_empty() => path,
        Err(PathError::Unterminated) => return session.fail(501, "5.1.3", "Bad recipient address syntax"),
        Ok(_) | Err(PathError::Address) => return bad_address(session, argument),
    };
    let parameters = match parameters::rcpt(path.parameters) {
        Ok(parameters) => parameters,
        Err(error) => return refuse_parameter(session, &error),
    };
    if (parameters.notify.is_some() || parameters.orcpt.is_some()) && discards(session, "DSN") {
        return session.fail_for(ErrorClass::Policy, 501, "5.7.1", "DSN support is disabled");
    }
    if is_full(session) {
        return too_many(session);
    }
    if let Ok(resolved) = session.worker.resolve(sender(session).as_deref(), &path.address).await
        && resolved.bad_syntax
    {
        return bad_address(session, argument);
    }
    if let Some(rejection) = session.check_rcpt(&path.address).await? {
        session.turn_down(&rejection);
        return Ok(false);
    }
    session.note_utf8("recipient", &path.address);
    accept(session, path.address, &parameters).await
}

fn sender(session: &Session) -> Option<Vec<u8>> {
    session.transaction.as_ref().map(|transaction| transaction.sender.clone())
}

/// smtpd_recipient_limit
fn is_full(session: &Session) -> bool {
    let limit = session.worker.settings.recipient_limit;
    limit > 0 && session.transaction.as_ref().is_some_and(|transaction| transaction.recipients >= limit)
}

fn too_many(session: &mut Session) -> Success {
    let limit = session.worker.settings.recipient_overshoot_limit;
    if let Some(transaction) = &mut session.transaction {
        transaction.overshoot += 1;
        // smtpd_recipient_overshoot_limit: the first ones are no errors of the client.
        session.forgiven = transaction.overshoot <= limit;
    }
    session.fail_quietly(452, "4.5.3", "Error: too many recipients")
}

async fn accept(session: &mut Session, address: Vec<u8>, parameters: &RcptParameters) -> Success {
    // smtpd_proxy_filter
    if session.queue_id().is_none() && session.misses_proxy_filter() {
        return cannot_write(session);
    }
    if session.queue_id().is_none()
        && let Err(error) = open(session).await
    {
        logging::warning!("problem talking to service {}: {error}", session.worker.cleanup.path().display());
        return cannot_write(session);
    }
    let Some(transaction) = &mut session.transaction else { return Ok(false) };
    if let Some(message) = &mut transaction.message {
        envelope::recipient(message.records(), &address, parameters);
        if let Err(error) = message.flow().await {
            logging::warning!("problem talking to service cleanup: {error}");
            session.forget_transaction().await;
            return cannot_write(session);
        }
    }
    transaction.recipients += 1;
    if transaction.recipients == 1 {
        transaction.first_recipient = address;
    }
    session.succeed("2.1.5", "Ok")
}

/// The first recipient is good: now there is a queue file.
async fn open(session: &mut Session) -> Result<(), ipc::IpcError> {
    let local_rewrite = match session.forward.as_ref().and_then(|forward| forward.local) {
        Some(local) => local,
        None => session.rewrites_locally().await,
    };
    let mut message = Message::open(&session.worker.cleanup, session.worker.cleanup_flags).await?;
    let queue_id = message.queue_id().clone();
    let forward = session.forward.as_ref();
    logging::emit(&Accepted {
        queue_id: queue_id.as_str(),
        client: &session.peer.label,
        login: session.login.as_deref(),
        original_id: forward.and_then(|forward| forward.ident.as_deref()),
        original_client: forward.and_then(Forward::label),
    });
    if let Some(transaction) = &mut session.transaction {
        let circumstances = Circumstances {
            queue_id: queue_id.as_str(),
            local_rewrite,
            peer: &session.peer,
            login: session.login.as_deref(),
            forward: session.forward.as_ref(),
            helo: session.helo.as_deref(),
            protocol: session.protocol,
            content_filter: &session.worker.content_filter,
        };
        envelope::begin(message.records(), transaction, &circumstances);
        transaction.message = Some(message);
    }
    Ok(())
}

fn cannot_write(session: &mut Session) -> Success {
    session.turn_down(&write_error());
    Ok(false)
}

fn bad_address(session: &mut Session, argument: &[u8]) -> Success {
    log_bad_address(session, "RCPT", "TO:", argument);
    session.fail(501, "5.1.3", "Bad recipient address syntax")
}
