//! VRFY: would mail for this address be taken? RFC 5321 4.1.1.6, RFC 6531 3.7.4.2

use config::ErrorClass;
use dsn::Status;
use smtp_protocol::Reply;
use smtp_protocol::path::{self, Rules};
use smtp_protocol::verb::words;

use crate::dialogue::Dialogue;
use crate::rejection::Rejection;
use crate::services::{Services, Stage};
use crate::turn::{Answer, Turn, breach};

/// `VRFY address [SMTPUTF8]`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, written: &[u8]) -> Answer {
    if dialogue.settings.vrfy_disabled {
        let text = "VRFY command is disabled";
        return Err(Rejection::new(502, Status::new(5, 5, 1), text).of(ErrorClass::Policy).into());
    }
    let written = written.trim_ascii_end();
    let (written, utf8) = match words(written).last() {
        Some(last) if last.eq_ignore_ascii_case(b"SMTPUTF8") && dialogue.offers_utf8() => {
            (written[..written.len() - last.len()].trim_ascii_end(), true)
        }
        _ => (written, false),
    };
    if written.is_empty() {
        let option = if dialogue.settings.smtputf8 { " [SMTPUTF8]" } else { "" };
        return Err(breach(501, Status::new(5, 5, 4), format!("Syntax: VRFY address{option}")));
    }
    let open = written.starts_with(b"<") && !written.ends_with(b">");
    let rules = Rules { strict: false, utf8 };
    let address = path::address(if open { &written[1..] } else { written }, rules);
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        return Err(bad_address(dialogue, written));
    };
    dialogue.may_say(&address, utf8)?;
    if services.is_malformed(None, &address).await {
        return Err(bad_address(dialogue, written));
    }
    dialogue.judge(services, Stage::Recipient, dialogue.facts(None, Some(&address))).await?;
    Ok(Turn::say(Reply::with_status(252, Status::new(2, 0, 0), written)))
}

fn bad_address(dialogue: &Dialogue, written: &[u8]) -> Turn {
    let shown = text::printable(written);
    logging::warning!("Illegal address syntax from {} in VRFY command: {shown}", dialogue.peer.label);
    breach(501, Status::new(5, 1, 3), "Bad recipient address syntax")
}
