//! EHLO: the client says its name, the server what it can. RFC 5321 4.1.1.1

use smtp_protocol::Reply;

use crate::command::helo::introduce;
use crate::command::{xclient, xforward};
use crate::session::{Session, Success};
use crate::settings::Settings;

/// `EHLO hostname`
pub async fn run(session: &mut Session, argument: &[u8]) -> Success {
    if argument.is_empty() {
        session.reply(Reply::plain(501, "Syntax: EHLO hostname"));
        return Ok(false);
    }
    if !introduce(session, argument, "ESMTP").await? {
        return Ok(false);
    }
    let settings = &session.worker.settings;
    if !settings.discard_ehlo_keywords.is_empty() && !discards(settings, "SILENT-DISCARD") {
        logging::info!("discarding EHLO keywords: {}", settings.discard_ehlo_keywords.join(" "));
    }
    let reply = Reply::lines_of(250, announcement(session));
    session.reply(reply);
    Ok(true)
}

/// smtpd_discard_ehlo_keywords
pub fn discards(settings: &Settings, keyword: &str) -> bool {
    settings.discard_ehlo_keywords.iter().any(|word| word == keyword)
}

/// What is announced is what works.
fn announcement(session: &Session) -> Vec<Vec<u8>> {
    let settings = &session.worker.settings;
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
        !discards(settings, keyword)
    });
    std::iter::once(settings.myhostname.as_str()).chain(kept).map(|line| line.as_bytes().to_vec()).collect()
}
