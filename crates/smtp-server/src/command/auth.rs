//! AUTH: the client says who it is. RFC 4954
//!
//! What is said is the matter of an authentication server, and is passed on unread: it goes into no log and no
//! transcript, and is wiped when it has been passed on.

use dsn::Status;
use logging::records::smtpd::LoginFailed;
use smtp_protocol::Reply;
use smtp_protocol::verb::words;

use crate::command::{in_transaction, needs_helo};
use crate::dialogue::Dialogue;
use crate::facts::Login;
use crate::line::CommandLine;
use crate::rejection::Rejection;
use crate::services::{Attempt, Counted, Refusal, Services, Step};
use crate::turn::{Answer, Next, Turn, breach};

/// `AUTH mechanism [initial-response]`. `is_cut`: the response is longer than a line may be. That login has failed, in
/// the words of Dovecot about half a response: programs that watch the log for failures see this one too.
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8], is_cut: bool) -> Answer {
    // smtpd_client_auth_rate_limit
    if services.exceeds(Counted::Login, &dialogue.peer).await {
        let text = format!("Error: too many AUTH commands from {}", dialogue.peer.address_text());
        return Err(Rejection::new(450, Status::new(4, 7, 1), text).into());
    }
    if dialogue.needs_helo() {
        return Err(needs_helo());
    }
    if !dialogue.may_log_in() {
        return Err(breach(503, Status::new(5, 5, 1), "Error: authentication not enabled"));
    }
    if dialogue.transaction.is_some() {
        return Err(in_transaction());
    }
    dialogue.filters_refusal(services)?;
    if dialogue.login.is_some() {
        return Err(breach(503, Status::new(5, 5, 1), "Error: already authenticated"));
    }
    let mut parts = words(argument);
    let (Some(mechanism), initial, None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(breach(501, Status::new(5, 5, 4), "Syntax: AUTH mechanism"));
    };
    dialogue.logs_in = Some(text::printable(mechanism));
    if is_cut {
        let reason = Some("Invalid base64 data in initial response".to_owned());
        return go_on(dialogue, Step::Refused(Refusal { reason, user: None }));
    }
    let secured = dialogue.is_under_tls();
    let step = services.log_in(Attempt { mechanism, initial, peer: &dialogue.peer, secured }).await;
    go_on(dialogue, step)
}

/// The line that answers a challenge.
pub async fn respond(dialogue: &mut Dialogue, services: &mut impl Services, line: &CommandLine) -> Answer {
    if let Err(turn) = dialogue.look_at_line_end(services, line) {
        services.forget_login();
        return Err(turn);
    }
    // smtpd_sasl_response_limit
    if line.length >= dialogue.settings.sasl_response_limit {
        services.forget_login();
        return Err(failed(500, Status::new(5, 5, 6), "SASL response limit exceeded"));
    }
    if line.bytes == b"*" {
        services.forget_login();
        let mechanism = dialogue.logs_in.take().unwrap_or_default();
        logging::warning!("{}: SASL {mechanism} authentication aborted", dialogue.peer.label);
        return Err(failed(501, Status::new(5, 7, 0), "Authentication aborted"));
    }
    let step = services.respond(&line.bytes).await;
    go_on(dialogue, step)
}

fn go_on(dialogue: &mut Dialogue, step: Step) -> Answer {
    let (code, status, what, refusal) = match step {
        Step::Challenge(challenge) => return Ok(Turn::say(Reply::challenge(challenge)).then(Next::Response)),
        Step::Done(user) => {
            let method = dialogue.logs_in.take().unwrap_or_default();
            dialogue.login = Some(Login { method, user });
            return Ok(Turn::say(Reply::with_status(235, Status::new(2, 7, 0), "Authentication successful")));
        }
        Step::Refused(refusal) => (535, Status::new(5, 7, 8), "Error: authentication failed", refusal),
        Step::Unavailable(refusal) => (454, Status::new(4, 7, 0), "Temporary authentication failure", refusal),
    };
    let Refusal { reason, user } = refusal;
    let reason = reason.as_deref().unwrap_or("(reason unavailable)");
    logging::emit(&LoginFailed {
        client: &dialogue.peer.label,
        method: &dialogue.logs_in.take().unwrap_or_default(),
        reason,
        user: user.as_deref(),
    });
    Err(failed(code, status, &format!("{what}: {reason}")))
}

/// A login that came to nothing is no error that a postmaster asks for: there are many. notify_classes
fn failed(code: u16, status: Status, text: &str) -> Turn {
    Rejection::new(code, status, text).quietly().into()
}
