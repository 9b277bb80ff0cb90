//! STARTTLS: from here on nobody can listen. RFC 3207

use config::ErrorClass;
use dsn::Status;
use smtp_protocol::Reply;

use crate::dialogue::Dialogue;
use crate::rejection::Rejection;
use crate::services::Services;
use crate::tls::{TlsLevel, TlsStart};
use crate::turn::{Answer, Next, Turn, breach};

/// `STARTTLS`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8]) -> Answer {
    if !argument.is_empty() {
        return Err(breach(501, Status::new(5, 5, 4), "Syntax: STARTTLS"));
    }
    dialogue.filters_refusal(services)?;
    if dialogue.tls.is_some() {
        return Err(breach(554, Status::new(5, 5, 1), "Error: TLS already active"));
    }
    if dialogue.settings.tls == TlsLevel::None || dialogue.discards("STARTTLS") {
        return Err(breach(502, Status::new(5, 5, 1), "Error: command not implemented"));
    }
    match services.may_start_tls(&dialogue.peer).await {
        TlsStart::Ready => {
            Ok(Turn::say(Reply::with_status(220, Status::new(2, 0, 0), "Ready to start TLS")).then(Next::StartTls))
        }
        TlsStart::Broken => {
            let text = "TLS not available due to local problem";
            Err(Rejection::new(454, Status::new(4, 7, 0), text).of(ErrorClass::Software).into())
        }
        TlsStart::TooMany => {
            let text = format!("Error: too many new TLS sessions from {}", dialogue.peer.label);
            Err(Rejection::new(454, Status::new(4, 7, 0), text).into())
        }
    }
}
