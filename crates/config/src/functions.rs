//! Functions in values: `${domain_to_ascii{$mydomain}}`.
//!
//! A function gets its argument expanded and gives text that is not expanded again. It must never read anything
//! but its argument: values stay a matter of main.cf alone. The names are few and fixed, so that a parameter of
//! such a name without `{` behind it still is a parameter.

/// The value of a function for its argument: None for a name that is no function, an error in words for an argument
/// that it has no value for.
pub(crate) fn call(name: &str, argument: &str) -> Option<Result<String, String>> {
    (name == "domain_to_ascii").then(|| domain_to_ascii(argument))
}

/// Whether this is the name of a function.
pub(crate) fn is_function(name: &str) -> bool {
    name == "domain_to_ascii"
}

/// A domain as DNS has it: labels outside ASCII in their `xn--` form, all others as they are.
fn domain_to_ascii(domain: &str) -> Result<String, String> {
    let labels: Option<Vec<String>> = domain.split('.').map(label_to_ascii).collect();
    labels.map(|labels| labels.join(".")).ok_or_else(|| format!("domain_to_ascii: not a domain name: \"{domain}\""))
}

fn label_to_ascii(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_string());
    }
    let lower: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
    if lower.iter().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    // RFC 1035: a label has 63 bytes at most.
    punycode(&lower).map(|code| format!("xn--{code}")).filter(|label| label.len() <= 63)
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
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("B\u{dc}CHER.example", "xn--bcher-kva.example"),
            (
                "\u{4ed6}\u{4eec}\u{4e3a}\u{4ec0}\u{4e48}\u{4e0d}\u{8bf4}\u{4e2d}\u{6587}",
                "xn--ihqwcrb4cv8a8dqg056pqjye",
            ),
            ("", ""),
        ] {
            assert_eq!(call("domain_to_ascii", domain), Some(Ok(ascii.to_string())), "{domain}");
        }
    }

    #[test]
    fn what_can_be_no_label_has_no_value() {
        let long = "\u{e9}".repeat(200);
        for domain in ["a\u{a0}b.example", long.as_str()] {
            assert!(call("domain_to_ascii", domain).unwrap().is_err(), "{domain}");
        }
        assert_eq!(call("other", "x"), None);
    }
}
