//! Long texts: what grows with the square of its input, or nests as deep as its input, does not come back from them in
//! time.

use std::path::Path;

use config::{expand, lines, main_cf, master_cf};
use delivery::destination::List;
use dsn::template::Templates;
use lookup::{alias, source};
use queue::QueueName;
use queue::delivery_log::LogReader;
use smtp_protocol::{parameters, path, verb};
use text::lossless::decode;

use crate::pieces::choices;

/// Bytes of each half.
const HALF: usize = 256 * 1024;
/// Bytes that are repeated.
const UNIT: usize = 16;

/// Every reader of text that may be long, by the choice of the first byte.
const READERS: &[fn(&[u8])] = &[
    |text| drop(address::mailboxes(text)),
    |text| drop(address::list(text)),
    |text| drop(address::unquote(text)),
    |text| drop(message::header::fold(text, 60, b"    ")),
    |text| drop(message::mime::ContentType::parse(text)),
    |text| drop(path::address(text, path::Rules::default())),
    |text| drop(parameters::mail(verb::words(text), parameters::Offers::default())),
    |text| assert!(text::split_list(&decode(text)).len() <= text.len()),
    |text| drop(expand::expand(&decode(text), &mut |_: &str| None)),
    |text| drop(master_cf::split_arguments(&decode(text))),
    |text| drop(lines::logical(text, Path::new("file"), &mut Vec::new())),
    |text| drop(main_cf::parse(text, Path::new("file"), &mut Vec::new())),
    |text| drop(source::entries(text, true)),
    |text| drop(alias::entries(text, true)),
    |text| drop(List::of_file(text.to_vec()).parse()),
    |text| {
        let mut log = LogReader::new(text, QueueName::Bounce);
        while let Ok(Some(_)) = log.next_entry() {}
    },
    |text| drop(Templates::from_file(&decode(text))),
    |text| drop(message::refold::refold(b"To", text)),
];

/// A text of a few bytes, the first half of them again and again, then the second half, takes no reader more than
/// moments.
pub fn long_text(data: &[u8]) {
    let (choice, unit) = choices(data);
    let unit = &unit[..unit.len().min(UNIT)];
    let (head, tail) = unit.split_at(unit.len() / 2);
    let many = |part: &[u8]| part.repeat(HALF.checked_div(part.len()).unwrap_or(0));
    READERS[usize::from(choice) % READERS.len()](&[many(head), many(tail)].concat());
}
