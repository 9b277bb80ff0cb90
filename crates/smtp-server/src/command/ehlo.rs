//! EHLO: the client says its name, the server what it can. RFC 5321 4.1.1.1

use smtp_protocol::Reply;
use smtp_protocol::keywords::SILENT;

use crate::command::helo::introduce;
use crate::command::{xclient, xforward};
use crate::dialogue::Dialogue;
use crate::services::Services;
use crate::state::Protocol;
use crate::tls::TlsLevel;
use crate::turn::{Answer, Turn};

/// `EHLO hostname`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8]) -> Answer {
    if argument.is_empty() {
        return Err(Turn::misused(501, "Syntax: EHLO hostname"));
    }
    introduce(dialogue, services, argument, Protocol::Esmtp).await?;
    let Some(discarded) = &dialogue.may.discarded else {
        logging::warning!("don't know what EHLO features to announce to {}", dialogue.peer.label);
        return Err(dialogue.data_error(services));
    };
    // smtpd_sasl_exceptions_networks
    let announces_auth = dialogue.may_log_in() && !dialogue.mechanisms.is_empty();
    let announces_auth = match announces_auth.then(|| services.is_not_for_auth(&dialogue.peer)) {
        Some(Err(_)) => {
            logging::warning!("don't know if EHLO feature AUTH should be announced to {}", dialogue.peer.label);
            return Err(dialogue.data_error(services));
        }
        Some(Ok(is_exception)) => !is_exception,
        None => false,
    };
    // Like Postfix, which says nothing of a list that has ENHANCEDSTATUSCODES either.
    let is_silent = dialogue.discards(SILENT) || dialogue.discards("ENHANCEDSTATUSCODES");
    if !discarded.is_empty() && !is_silent {
        logging::info!("discarding EHLO keywords: {}", discarded.join(", "));
    }
    Ok(Turn::say(Reply::lines_of(250, announcement(dialogue, services, announces_auth))))
}

/// What is announced is what works.
fn announcement(dialogue: &Dialogue, services: &impl Services, announces_auth: bool) -> Vec<Vec<u8>> {
    let settings = &dialogue.settings;
    if services.filters_say().is_some_and(|reply| reply.is_permanent()) {
        return [settings.myhostname.as_str(), "ENHANCEDSTATUSCODES"].map(|line| line.as_bytes().to_vec()).into();
    }
    let size = match settings.message_size_limit {
        Some(limit) => format!("SIZE {limit}"),
        None => "SIZE".to_owned(),
    };
    let (auth, old_auth) = (format!("AUTH {}", dialogue.mechanisms), format!("AUTH={}", dialogue.mechanisms));
    let mut keywords = vec!["PIPELINING", &size];
    if !settings.vrfy_disabled {
        keywords.push("VRFY");
    }
    keywords.push("ETRN");
    if settings.tls != TlsLevel::None && !dialogue.is_under_tls() {
        keywords.push("STARTTLS");
    }
    if announces_auth {
        keywords.push(&auth);
        if settings.broken_auth_clients {
            keywords.push(&old_auth);
        }
    }
    if dialogue.may.verp {
        keywords.push("XVERP");
    }
    if dialogue.may.xclient {
        keywords.push(xclient::ANNOUNCEMENT);
    }
    if dialogue.may.xforward {
        keywords.push(xforward::ANNOUNCEMENT);
    }
    keywords.extend(["ENHANCEDSTATUSCODES", "8BITMIME", "DSN"]);
    if settings.smtputf8 {
        keywords.push("SMTPUTF8");
    }
    keywords.push("CHUNKING");
    // RFC 8689 2.1
    if dialogue.is_under_tls() && settings.requiretls {
        keywords.push("REQUIRETLS");
    }
    let kept = keywords.into_iter().filter(|line| {
        let keyword = line.split(' ').next().unwrap_or(line);
        !dialogue.discards(keyword)
    });
    std::iter::once(settings.myhostname.as_str()).chain(kept).map(|line| line.as_bytes().to_vec()).collect()
}
