//! IPv6 addresses that stand without brackets where a colon means something else, and how they are to be written.

use crate::Cidr;
use crate::literal::is_valid_v6;

/// An address or network of a match list: `2001:db8::1`, `!2001:db8::/32`. None if the text is not one, or has brackets.
#[must_use]
pub fn in_list(pattern: &str) -> Option<String> {
    let (address, mask) = match pattern.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (pattern, None),
    };
    let (bang, address) = address.strip_prefix('!').map_or(("", address), |rest| ("!", rest));
    if address.starts_with('[') {
        return None;
    }
    // Host bits are a matter for later: what counts is that an address was meant.
    Cidr::parse(address).ok().filter(|cidr| cidr.network().is_ipv6())?;
    Some(match mask {
        Some(mask) => format!("{bang}[{address}]/{mask}"),
        None => format!("{bang}[{address}]"),
    })
}

/// A server or nexthop: `2001:db8::1`, and `2001:db8::1:2:3:4:25` where all of it can be no address.
#[must_use]
pub fn in_server(text: &str) -> Option<String> {
    if is_valid_v6(text.as_bytes()) {
        return Some(format!("[{text}]"));
    }
    with_port(text)
}

/// `2001:db8::1:25`, where a port must stand.
fn with_port(text: &str) -> Option<String> {
    let (address, port) = text.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_port && is_valid_v6(address.as_bytes())).then(|| format!("[{address}]:{port}"))
}

/// Any word of a setting: one of the two, perhaps behind a transport or a type (`smtp:2001:db8::1`,
/// `inet:2001:db8::1:smtp`).
#[must_use]
pub fn in_word(word: &str) -> Option<String> {
    if word.contains('[') {
        return None;
    }
    if let Some(right) = in_list(word).or_else(|| in_server(word)) {
        return Some(right);
    }
    let (start, rest) = word.split_once(':')?;
    let is_name = start.starts_with(|c: char| c.is_ascii_alphabetic());
    let right = if start == "inet" { with_port(rest) } else { in_server(rest) };
    right.filter(|_| is_name).map(|right| format!("{start}:{right}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_brackets_is_recognised_wherever_one_can_stand() {
        for (word, right) in [
            ("2001:db8::1", Some("[2001:db8::1]")),
            ("2001:db8::1/64", Some("[2001:db8::1]/64")),
            ("!2001:db8::/32", Some("![2001:db8::]/32")),
            ("smtp:2001:db8::1", Some("smtp:[2001:db8::1]")),
            ("inet:2001:db8::1:smtp", Some("inet:[2001:db8::1]:smtp")),
            ("inet:2001:db8::1:8891", Some("inet:[2001:db8::1]:8891")),
            ("2001:db8:1:2:3:4:5:6:2525", Some("[2001:db8:1:2:3:4:5:6]:2525")),
            ("::1", Some("[::1]")),
            ("[2001:db8::1]", None),
            ("smtp:[2001:db8::1]:25", None),
            ("10.0.0.0/8", None),
            ("hash:/etc/x", None),
            ("inet:localhost:8891", None),
            ("host.example:25", None),
            ("smtp:", None),
            ("a:b", None),
        ] {
            assert_eq!(in_word(word).as_deref(), right, "{word}");
        }
    }
}
