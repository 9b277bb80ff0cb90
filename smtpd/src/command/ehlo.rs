//! EHLO: the client says its name, the server what it can. RFC 5321 4.1.1.1

use delivery::transcript::ErrorClass;
use smtp_protocol::Reply;

use crate::command::helo::introduce;
use crate::command::{xclient, xforward};
use crate::peer::Peer;
use crate::session::{Session, Success};
use crate::withheld::Lapse;
use crate::worker::Smtpd;

/// `EHLO hostname`
pub async fn run(session: &mut Session, argument: &[u8]) -> Success {
    if argument.is_empty() {
        session.transcript.note(ErrorClass::Protocol);
        session.reply(Reply::plain(501, "Syntax: EHLO hostname"));
        return Ok(false);
    }
    if !introduce(session, argument, "ESMTP").await? {
        return Ok(false);
    }
    let Some(discarded) = &session.discarded else {
        logging::warning!("don't know what EHLO features to announce to {}", session.peer.label);
        return Err(session.data_error());
    };
    if !discarded.is_empty() && !discards(session, "SILENT-DISCARD") {
        logging::info!("discarding EHLO keywords: {}", discarded.join(", "));
    }
    let reply = Reply::lines_of(250, announcement(session));
    session.reply(reply);
    Ok(true)
}

/// What can be kept from a client. Other words mean nothing.
const KEYWORDS: [&str; 16] = [
    "8BITMIME",
    "AUTH",
    "CHUNKING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "PIPELINING",
    "REQUIRETLS",
    "SILENT-DISCARD",
    "SIZE",
    "SMTPUTF8",
    "STARTTLS",
    "VRFY",
    "XCLIENT",
    "XFORWARD",
    "XVERP",
];

/// What is not announced to a client; `None` when the table that knows cannot be asked.
pub fn discarded(worker: &Smtpd, peer: &Peer) -> Option<Vec<String>> {
    // smtpd_discard_ehlo_keyword_address_maps
    let own = worker.tables.discard_keywords.lookup(peer.address_text().as_bytes()).ok()?;
    let own = own.map(|words| String::from_utf8_lossy(&words).into_owned());
    let words: Vec<String> = match &own {
        Some(words) => text::split_list(words).into_iter().map(str::to_ascii_uppercase).collect(),
        // smtpd_discard_ehlo_keywords
        None => worker.settings.discard_ehlo_keywords.clone(),
    };
    Some(words.into_iter().filter(|word| KEYWORDS.contains(&word.as_str())).collect())
}

/// Whether this client is not to see a keyword, and what it stands for.
pub fn discards(session: &Session, keyword: &str) -> bool {
    session.discarded.iter().flatten().any(|word| word == keyword)
}

/// What is announced is what works.
fn announcement(session: &Session) -> Vec<Vec<u8>> {
    let settings = &session.worker.settings;
    if session.lapse == Lapse::Reject {
        return [settings.myhostname.as_str(), "ENHANCEDSTATUSCODES"].map(|line| line.as_bytes().to_vec()).into();
    }
    let size = match settings.message_size_limit {
        Some(limit) => format!("SIZE {limit}"),
        None => "SIZE".to_owned(),
    };
    let mut keywords = vec!["PIPELINING", &size];
    if !settings.vrfy_disabled {
        keywords.push("VRFY");
    }
    if session.xclient_allowed {
        keywords.push(xclient::ANNOUNCEMENT);
    }
    if session.xforward_allowed {
        keywords.push(xforward::ANNOUNCEMENT);
    }
    keywords.extend(["ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "CHUNKING"]);
    let kept = keywords.into_iter().filter(|line| {
        let keyword = line.split(' ').next().unwrap_or(line);
        !discards(session, keyword)
    });
    std::iter::once(settings.myhostname.as_str()).chain(kept).map(|line| line.as_bytes().to_vec()).collect()
}
