//! IPv6 addresses that stand without brackets where a colon means something else, and how they are to be written.

use std::net::Ipv6Addr;

/// An address or network of a match list: `2001:db8::1`, `!2001:db8::/32`. None if the text is not one, or has
/// brackets.
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
    // Host bits and masks are a matter for later: what counts is that an address was meant.
    is_v6(address).then(|| match mask {
        Some(mask) => format!("{bang}[{address}]/{mask}"),
        None => format!("{bang}[{address}]"),
    })
}

/// A server or nexthop: `2001:db8::1`, and `2001:db8::1:2:3:4:25` where all of it can be no address.
#[must_use]
pub fn in_server(text: &str) -> Option<String> {
    if is_v6(text) {
        return Some(format!("[{text}]"));
    }
    with_port(text)
}

/// Strictly: a time of day is no address.
fn is_v6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// `2001:db8::1:25`, where a port must stand.
fn with_port(text: &str) -> Option<String> {
    let (address, port) = text.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_port && is_v6(address)).then(|| format!("[{address}]:{port}"))
}

/// The endpoint of a service, which has a port: `2001:db8::1:25`. Where it is forgotten, its place is shown.
#[must_use]
pub fn in_endpoint(text: &str) -> Option<String> {
    with_port(text).or_else(|| is_v6(text).then(|| format!("[{text}]:port")))
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
            ("11:40:02", None),
        ] {
            assert_eq!(in_word(word).as_deref(), right, "{word}");
        }
    }
}
