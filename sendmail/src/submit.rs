//! Handing a message to postdrop, and understanding what postdrop says of it.
//!
//! The message is safe when postdrop has reported success, not before; anything else ends with a sentence and a status
//! that tells the caller to keep it.

use std::io::{self, Read};

use command::Caller;
use config::{Config, param};
use queue::{SendOptions, SizeRecord, Trace, Type, record};

use crate::content::{Content, LineEndings, Settings};
use crate::options::Request;
use crate::postdrop::Postdrop;
use crate::recipients::{self, Recipients};

/// Reads a message from standard input and hands it in.
///
/// # Errors
/// A sentence: it was not taken.
pub fn submit(config: &Config, caller: &Caller, request: &Request) -> Result<(), String> {
    let sender = sender(caller, request)?;
    let label = text::printable(&sender);
    hand_in(config, caller, request, &sender).map_err(|error| format!("{label}({}): {error}", caller.uid))?;
    if request.trace != Trace::default() {
        println!("Mail Delivery Status Report will be mailed to <{label}>.");
    }
    Ok(())
}

fn hand_in(config: &Config, caller: &Caller, request: &Request, sender: &[u8]) -> Result<(), String> {
    let settings = settings(config, request)?;
    // header_size_limit
    let limit = config.read(param::HEADER_SIZE_LIMIT).map_err(|error| error.to_string())?;
    let header = request.from_header.then(|| Recipients::new(limit));
    let direct: Vec<_> = request.operands.iter().flat_map(|text| operand(text.as_encoded_bytes())).collect();
    if direct.is_empty() && header.is_none() {
        return Err("Recipient addresses must be specified on the command line or via the -t option".into());
    }
    let envelope = envelope(config, caller, request, sender, &direct)?;
    let mut postdrop = Postdrop::start(config)?;
    postdrop.write(&envelope);

    let mut records = Vec::new();
    let extracted = if request.trace == Trace::USER_VERIFY {
        push_probe(&mut records, sender, &direct);
        Vec::new()
    } else {
        copy_input(Content::new(settings, header), &mut postdrop, &mut records)?
    };
    if direct.is_empty() && extracted.is_empty() {
        return Err("No recipient addresses found in message header".into());
    }
    record::encode(&mut records, Type::EXTRACTED, b"");
    push_recipients(&mut records, request, &extracted);
    record::encode(&mut records, Type::END, b"");
    postdrop.write(&records);
    postdrop.finish().map_err(|refusal| refusal.to_string())
}

/// Sends the message on standard input; what is left of its records is in `records` afterwards.
fn copy_input(mut content: Content, postdrop: &mut Postdrop, records: &mut Vec<u8>) -> Result<Vec<Vec<u8>>, String> {
    let mut input = io::stdin().lock();
    let mut buffer = vec![0; 64 * 1024];
    while !content.is_finished() {
        let length = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("error reading input: {}", text::system_error(&error))),
        };
        content.feed(&buffer[..length], records).map_err(|error| error.to_string())?;
        postdrop.write(records);
        records.clear();
    }
    content.finish(records).map_err(|error| error.to_string())
}

/// The message that stands for one that is not sent (-bv).
fn push_probe(out: &mut Vec<u8>, sender: &[u8], recipients: &[Vec<u8>]) {
    if !sender.is_empty() {
        record::encode(out, Type::LINE, &[b"From: ", address::quote(sender).as_slice()].concat());
    }
    record::encode(out, Type::LINE, b"Subject: probe");
    record::encode(out, Type::PARTIAL, b"To:");
    for (at, recipient) in recipients.iter().enumerate() {
        let end: &[u8] = if at + 1 < recipients.len() { b"," } else { b"" };
        record::encode(out, Type::LINE, &[b"\t", address::quote(recipient).as_slice(), end].concat());
    }
}

/// One argument may hold several addresses; an empty one is the null address.
fn operand(text: &[u8]) -> Vec<Vec<u8>> {
    let found = recipients::addresses(text);
    if found.is_empty() { vec![Vec::new()] } else { found }
}

fn settings(config: &Config, request: &Request) -> Result<Settings, String> {
    // sendmail_fix_line_endings
    let text = config.get(param::SENDMAIL_FIX_LINE_ENDINGS).map_err(|error| error.to_string())?;
    let line_endings = match text.as_str() {
        "always" => LineEndings::Always,
        "strict" => LineEndings::Strict,
        "never" => LineEndings::Never,
        other => return Err(format!("bad value for sendmail_fix_line_endings: {other}")),
    };
    // line_length_limit
    let piece = config.read(param::LINE_LENGTH_LIMIT).map_err(|error| error.to_string())?;
    Ok(Settings { line_endings, keep_dots: request.keep_dots, piece })
}

/// The records before the content, in the order in which they are documented to come.
fn envelope(
    config: &Config,
    caller: &Caller,
    request: &Request,
    sender: &[u8],
    direct: &[Vec<u8>],
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let wishes = wishes(config, request)?;
    if wishes != SendOptions::default() {
        out.extend(SizeRecord::asking_for(wishes));
    }
    if let Some(envelope_id) = &request.envelope_id {
        record::encode_attribute(&mut out, "envelope_id", envelope_id);
    }
    if let Some(ret) = request.ret {
        record::encode_attribute(&mut out, "ret_flags", ret.to_string().as_bytes());
    }
    let context: &[u8] = if request.gateway { b"remote" } else { b"local" };
    record::encode_attribute(&mut out, "rewrite_context", context);
    record::encode(&mut out, Type::FULL_NAME, &full_name(caller, request));
    record::encode(&mut out, Type::SENDER, sender);
    if let Some(encoding) = request.encoding {
        record::encode_attribute(&mut out, "encoding", encoding.as_bytes());
    }
    if request.trace != Trace::default() {
        record::encode_attribute(&mut out, "trace_flags", request.trace.bits().to_string().as_bytes());
    }
    if let Some(delimiters) = &request.verp {
        record::encode(&mut out, Type::VERP, &verp(config, delimiters)?);
    }
    push_recipients(&mut out, request, direct);
    record::encode(&mut out, Type::MESSAGE, b"");
    Ok(out)
}

/// What the message asks for, of that which this system has.
fn wishes(config: &Config, request: &Request) -> Result<SendOptions, String> {
    // smtputf8_enable
    let has_utf8 = config.get(param::SMTPUTF8_ENABLE).map_err(|error| error.to_string())?;
    let wishes = request.wishes;
    if has_utf8 {
        return Ok(wishes);
    }
    if let Some(wish) = &request.utf8_wish {
        logging::warning!("'-O {wish}' was requested, but the configuration is 'smtputf8_enable = no'");
    }
    Ok(SendOptions::of_bits(wishes.bits() & !SendOptions::SMTPUTF8_REQUESTED.bits()))
}

fn push_recipients(out: &mut Vec<u8>, request: &Request, recipients: &[Vec<u8>]) {
    for recipient in recipients {
        if let Some(notify) = request.notify {
            record::encode_attribute(out, "notify_flags", notify.bits().to_string().as_bytes());
        }
        record::encode(out, Type::RECIPIENT, recipient);
    }
}

/// -F, the environment, the user database.
fn full_name(caller: &Caller, request: &Request) -> Vec<u8> {
    let environment = || std::env::var_os("NAME").map(|name| name.as_encoded_bytes().to_vec());
    let name = request.full_name.clone().or_else(environment);
    let mut name = name.unwrap_or_else(|| caller.full_name.clone().into_bytes());
    // It becomes part of a header line.
    name.iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b' ');
    name
}

/// -f, or the login name.
fn sender(caller: &Caller, request: &Request) -> Result<Vec<u8>, String> {
    let Some(text) = &request.sender else {
        let name = caller.name.clone()?;
        let name = name.ok_or_else(|| format!("unable to find login name for user ID {}", caller.uid))?;
        return Ok(name.into_bytes());
    };
    let (sender, is_one) = recipients::sender(text);
    if !is_one {
        logging::warning!("-f option specified malformed sender: {}", text::printable(text));
    }
    Ok(sender)
}

fn verp(config: &Config, delimiters: &[u8]) -> Result<Vec<u8>, String> {
    if delimiters.is_empty() {
        // default_verp_delimiters
        let default = config.get(param::DEFAULT_VERP_DELIMITERS).map_err(|error| error.to_string())?;
        return Ok(default.into_bytes());
    }
    // verp_delimiter_filter
    let filter = config.get(param::VERP_DELIMITER_FILTER).map_err(|error| error.to_string())?;
    if delimiters.len() != 2 || !delimiters.iter().all(|b| filter.as_bytes().contains(b)) {
        return Err(format!("-V requires two characters from {filter}"));
    }
    Ok(delimiters.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config() -> Config {
        Config::parse(b"", Path::new("/proc/self/none"), &[]).unwrap()
    }

    fn alice() -> Caller {
        Caller { uid: 7, name: Ok(Some("alice".into())), full_name: "Alice A".into() }
    }

    #[test]
    fn the_envelope_is_what_postfix_writes() {
        let request = Request {
            sender: Some(b"alice@example.test".to_vec()),
            full_name: Some(b"Alice A".to_vec()),
            notify: dsn::Notify::parse(b"FAILURE,DELAY"),
            ret: Some(2),
            envelope_id: Some(b"envid123".to_vec()),
            ..Request::default()
        };
        let sender = sender(&alice(), &request).unwrap();
        let envelope = envelope(&config(), &alice(), &request, &sender, &[b"bob@example.test".to_vec()]).unwrap();
        let expected = b"A\x14envelope_id=envid123A\x0bret_flags=2A\x15rewrite_context=localF\x07Alice A\
            S\x12alice@example.testA\x0fnotify_flags=12R\x10bob@example.testM\x00";
        assert_eq!(envelope, expected);
    }

    #[test]
    fn a_user_without_a_name_must_say_who_sends() {
        let nobody = Caller { uid: 4711, name: Ok(None), full_name: String::new() };
        assert!(sender(&nobody, &Request::default()).is_err());
        assert_eq!(sender(&alice(), &Request::default()), Ok(b"alice".to_vec()));
        let request = Request { sender: Some(b"x@y".to_vec()), ..Request::default() };
        assert_eq!(sender(&nobody, &request), Ok(b"x@y".to_vec()));
    }

    #[test]
    fn operands_hold_any_number_of_addresses() {
        assert_eq!(operand(b"a@b, c@d"), [b"a@b".to_vec(), b"c@d".to_vec()]);
        assert_eq!(operand(b""), [b"".to_vec()]);
        assert_eq!(operand(b"<>"), [b"".to_vec()]);
        assert_eq!(operand(b"Foo <c@x>"), [b"c@x".to_vec()]);
    }

    #[test]
    fn verp_delimiters_are_two_of_the_allowed_ones() {
        assert_eq!(verp(&config(), b""), Ok(b"+=".to_vec()));
        assert_eq!(verp(&config(), b"-="), Ok(b"-=".to_vec()));
        assert_eq!(verp(&config(), b"qq"), Err("-V requires two characters from -=+".into()));
    }
}
