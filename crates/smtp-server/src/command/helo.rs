//! HELO: the client says its name. RFC 5321 4.1.1.1

use smtp_protocol::Reply;

use crate::dialogue::Dialogue;
use crate::filters::Told;
use crate::services::{Services, Stage};
use crate::state::Protocol;
use crate::turn::{Answer, Turn};

/// `HELO hostname`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8]) -> Answer {
    if argument.is_empty() {
        return Err(Turn::misused(501, "Syntax: HELO hostname"));
    }
    // A client that has said EHLO speaks ESMTP, whatever it says later.
    introduce(dialogue, services, argument, dialogue.protocol).await?;
    Ok(Turn::say(Reply::plain(250, &dialogue.settings.myhostname)))
}

/// Takes a name and begins anew, unless the name is turned down.
pub async fn introduce(
    dialogue: &mut Dialogue,
    services: &mut impl Services,
    argument: &[u8],
    protocol: Protocol,
) -> Result<(), Turn> {
    let name = text::printable(argument);
    let mut facts = dialogue.facts(None, None);
    facts.helo = Some(&name);
    dialogue.judge(services, Stage::Helo, facts).await?;
    let said = services.tell_filters(Told::Helo(argument), facts).await;
    dialogue.forget_helo(services).await;
    dialogue.forget_transaction(services).await;
    dialogue.helo = Some(cleaned(argument, dialogue.settings.smtputf8));
    dialogue.protocol = protocol;
    // What else a filter has to say is said to the first sender.
    match said {
        Some(reply) if reply.ends_session() => Err(reply.into()),
        _ => Ok(()),
    }
}

/// The name as it may stand in headers and log lines: what could be taken for more than a name becomes `?`, and without
/// smtputf8_enable each byte that is not ASCII.
pub fn cleaned(argument: &[u8], utf8: bool) -> String {
    let clean = |c: char| match c {
        ' ' | '<' | '>' | '(' | ')' | '\\' | '"' | ';' | '@' => '?',
        c if c.is_control() => '?',
        c => c,
    };
    let byte = |byte: &u8| if byte.is_ascii() || utf8 { *byte } else { b'?' };
    let bytes: Vec<u8> = argument.iter().map(byte).collect();
    text::printable(&bytes).chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::cleaned;

    #[test]
    fn a_name_cannot_leave_its_place_in_a_header() {
        assert_eq!(cleaned(b"x (y)\\;<a@b>\t\"", true), "x??y????a?b???");
        assert_eq!(cleaned(b"[IPv6:::1]", true), "[IPv6:::1]");
        assert_eq!(cleaned("\u{fc}.test".as_bytes(), true), "\u{fc}.test");
        assert_eq!(cleaned("\u{fc}.test".as_bytes(), false), "??.test");
    }
}
