//! milter_header_checks: what a matching rule has us do about a header that a filter adds.

use dsn::Status;
use ipc::cleanup::Cause;
use message::checks::Rule;
use milter::Said;

use super::changes::Editing;
use crate::checks::Origin;
use crate::failure::Failure;

/// What becomes of the header.
#[derive(Debug)]
pub enum Found {
    /// It is added.
    Nothing,
    /// It is not.
    Dropped,
    /// This is added in its place.
    Replaced(Vec<u8>),
    /// The message is not accepted.
    Refused(Said),
    /// The table cannot be asked: the message is not accepted for now, which was said.
    Failed,
}

/// What a client is told when the rule has no text.
const REJECTED: &str = "message content rejected";

/// Looks a header up, and does what the table says.
pub fn check(on: &mut Editing<'_, '_>, text: &[u8]) -> Found {
    let maps = &on.message.site.tables.milter_header_checks;
    if maps.is_empty() || on.changes.are_checks_over {
        return Found::Nothing;
    }
    match maps.lookup(text) {
        Ok(None) => Found::Nothing,
        Ok(Some(action)) => act(on, text, &action),
        Err(_) => {
            let warning = format!("{} map lookup problem -- message not accepted, try again later", maps.title());
            on.writer.refuse(Failure::new(Cause::Write).warning(warning));
            Found::Failed
        }
    }
}

fn act(on: &mut Editing<'_, '_>, text: &[u8], action: &[u8]) -> Found {
    let rule = Rule::parse(action);
    let argument = rule.text;
    let origin = Origin { message: on.message, envelope: on.envelope };
    let log = |name| origin.log_header(name, text, argument);
    match &rule.action[..] {
        b"REJECT" => return reject(on, text, argument),
        b"WARN" => log("milter-header-warning"),
        b"INFO" => log("milter-header-info"),
        b"DISCARD" => {
            log("milter-header-discard");
            on.writer.verdict.discard = true;
            on.changes.are_checks_over = true;
        }
        b"HOLD" if on.writer.verdict.hold || on.writer.verdict.discard => {}
        b"HOLD" => {
            log("milter-header-hold");
            on.writer.verdict.hold = true;
        }
        b"REPLACE" => {
            log("milter-header-replace");
            return Found::Replaced(argument.to_vec());
        }
        b"PREPEND" => {
            log("milter-header-prepend");
            logging::warning!("the milter_header/body_checks prepend action is not implemented");
        }
        b"FILTER" if argument.contains(&b':') => {
            log("milter-header-filter");
            on.changes.filter = Some(argument.to_vec());
        }
        b"REDIRECT" if argument.contains(&b'@') => {
            log("milter-header-redirect");
            on.changes.redirect = Some(argument.to_vec());
            on.changes.are_checks_over = true;
        }
        b"BCC" if argument.contains(&b'@') => {
            log("milter-header-bcc");
            on.changes.copies.push(argument.to_vec());
        }
        b"STRIP" => {
            log("milter-header-strip");
            return Found::Dropped;
        }
        b"IGNORE" => return Found::Dropped,
        b"DUNNO" | b"OK" => {}
        b"FILTER" | b"REDIRECT" | b"BCC" => {
            let (title, action) =
                (on.message.site.tables.milter_header_checks.title(), text::printable(action.trim_ascii()));
            logging::warning!("bad argument in {title} map: {action}");
        }
        _ => {
            let title = on.message.site.tables.milter_header_checks.title();
            logging::warning!("unsupported command in {title} map: {}", text::printable(action.trim_ascii()));
        }
    }
    Found::Nothing
}

fn reject(on: &mut Editing<'_, '_>, text: &[u8], argument: &[u8]) -> Found {
    let default = Status::new(5, 7, 1);
    let (status, reason) = match argument {
        b"" => (default, REJECTED.as_bytes()),
        argument => Status::split_bytes(argument, default),
    };
    let status = if status.class() == 4 { status } else { status.with_class(5) };
    let code = if status.class() == 4 { 451 } else { 550 };
    let reason = text::printable(reason);
    let origin = Origin { message: on.message, envelope: on.envelope };
    origin.log_header("milter-header-reject", text, format!("{status} {reason}").as_bytes());
    on.changes.are_checks_over = true;
    // What is printable is one line.
    Said::parse(format!("{code} {status} {}", reason.replace('%', "%%")).as_bytes())
        .map_or(Found::Failed, Found::Refused)
}
