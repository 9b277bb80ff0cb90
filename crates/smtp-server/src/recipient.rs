//! One recipient, as the records of an envelope have it.

use dsn::{Notify, OriginalRecipient};
use queue::record::{Type, encode, encode_attribute};
use smtp_protocol::parameters::RcptParameters;
use smtp_protocol::verb::words;

/// A recipient with its wishes. `argument`: what the client said behind RCPT.
pub fn encode_recipient(out: &mut Vec<u8>, address: &[u8], parameters: &RcptParameters, argument: &[u8]) {
    if let Some(notify) = parameters.notify
        && notify != Notify::UNSET
    {
        encode_attribute(out, "notify_flags", notify.bits().to_string().as_bytes());
    }
    let original = match &parameters.orcpt {
        Some((kind, original)) => OriginalRecipient::from_parts(kind, original),
        // What the client said is what a report names, whatever becomes of the address.
        None => OriginalRecipient::as_written(written(argument), address),
    };
    encode_attribute(out, "dsn_orig_rcpt", original.as_stored());
    encode(out, Type::RECIPIENT, address);
}

/// The address in `TO:<address>`, as it was written.
fn written(argument: &[u8]) -> &[u8] {
    let path = words(argument.get("TO:".len()..).unwrap_or_default()).next().unwrap_or_default();
    path.strip_prefix(b"<").map_or(path, |rest| rest.strip_suffix(b">").unwrap_or(rest))
}
