//! Functions in values: `${domain_to_ascii{$mydomain}}`.
//!
//! A function gets its argument expanded and gives text that is not expanded again. It must never read anything but its
//! argument: values stay a matter of main.cf alone. The names are few and fixed, so that a parameter of such a name
//! without `{` behind it still is a parameter.

/// The value of a function for its argument: None for a name that is no function, an error in words for an argument
/// that it has no value for.
pub(crate) fn call(name: &str, argument: &str) -> Option<Result<String, String>> {
    (name == "domain_to_ascii").then(|| domain_to_ascii(argument))
}

/// Whether this is the name of a function.
pub(crate) fn is_function(name: &str) -> bool {
    name == "domain_to_ascii"
}

/// A domain as DNS has it.
fn domain_to_ascii(domain: &str) -> Result<String, String> {
    net::idna::to_ascii(domain).ok_or_else(|| format!("domain_to_ascii: not a domain name: \"{domain}\""))
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
            assert_eq!(call("domain_to_ascii", domain), Some(Ok(ascii.to_owned())), "{domain}");
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
