//! Domain names in other scripts, as DNS has them (RFC 5890, RFC 3492).
//!
//! Letters become small ones; text is taken to be in its composed form, as keyboards make it.

/// A domain as DNS has it: labels outside ASCII in their `xn--` form, all others as they are. `None`: a label cannot be
/// one.
#[must_use]
pub fn to_ascii(domain: &str) -> Option<String> {
    let labels: Option<Vec<String>> = domain.split('.').map(label_to_ascii).collect();
    labels.map(|labels| labels.join("."))
}

fn label_to_ascii(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_owned());
    }
    let lower: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
    if !lower.iter().all(|c| can_stand(*c)) {
        return None;
    }
    // RFC 1035: a label has 63 bytes at most.
    punycode(&lower).map(|code| format!("xn--{code}")).filter(|label| label.len() <= 63)
}

/// Whether a character can stand in a label: no blank, no control, nothing that means no character, and of ASCII what
/// host names have. Which letters of which script are sensible is the registry's business.
fn can_stand(c: char) -> bool {
    match c {
        '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}' | '\u{f0000}'.. => false,
        '\0'..='\x7f' => c.is_ascii_alphanumeric() || matches!(c, '-' | '_'),
        _ => !c.is_whitespace() && !c.is_control(),
    }
}

/// RFC 3492 section 6.3; None when a number would not fit.
fn punycode(label: &[char]) -> Option<String> {
    let mut out: String = label.iter().filter(|c| c.is_ascii()).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let (mut lowest, mut delta, mut bias) = (128u32, 0u32, 72u32);
    let mut handled = basic;
    let total = u32::try_from(label.len()).ok()?;
    while handled < total {
        let next = label.iter().map(|&c| u32::from(c)).filter(|&c| c >= lowest).min()?;
        delta = delta.checked_add((next - lowest).checked_mul(handled + 1)?)?;
        lowest = next;
        for c in label.iter().map(|&c| u32::from(c)) {
            if c < lowest {
                delta = delta.checked_add(1)?;
            } else if c == lowest {
                number(delta, bias, &mut out);
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        lowest += 1;
    }
    Some(out)
}

/// A number of variable length: digits of base 36 with thresholds by the bias.
fn number(mut value: u32, bias: u32, out: &mut String) {
    let mut base = 36;
    loop {
        let threshold = base.max(bias + 1).saturating_sub(bias).clamp(1, 26);
        if value < threshold {
            out.push(digit(value));
            return;
        }
        out.push(digit(threshold + (value - threshold) % (36 - threshold)));
        value = (value - threshold) / (36 - threshold);
        base += 36;
    }
}

fn digit(value: u32) -> char {
    let byte = if value < 26 { u32::from(b'a') + value } else { u32::from(b'0') + value - 26 };
    char::from_u32(byte).unwrap_or('?')
}

fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 35 * 26 / 2 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_outside_ascii_gets_the_form_that_dns_has() {
        for (domain, ascii) in [
            ("foo.example", "foo.example"),
            ("Foo.Example", "Foo.Example"),
            ("\u{3c0}.example", "xn--1xa.example"),
            ("B\u{dc}CHER.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(to_ascii(domain).as_deref(), Some(ascii), "{domain}");
        }
    }

    #[test]
    fn what_can_be_no_label_has_none() {
        let long = "\u{e9}".repeat(200);
        for domain in
            ["a\u{a0}b.example", "\u{fffd}.example", "\u{fc} x.example", "\u{fc}@x", "\u{e000}.x", long.as_str()]
        {
            assert_eq!(to_ascii(domain), None, "{domain}");
        }
    }
}
