//! The keywords of EHLO that a site can leave out, of what it announces and of what it hears
//! (smtpd_discard_ehlo_keywords, smtp_discard_ehlo_keywords).

/// Says that nothing is to be logged of what is left out.
pub const SILENT: &str = "SILENT-DISCARD";

/// In the order in which they are logged.
const KEYWORDS: [&str; 16] = [
    "8BITMIME",
    "AUTH",
    "ETRN",
    "PIPELINING",
    "SIZE",
    "XVERP",
    "VRFY",
    "XCLIENT",
    "XFORWARD",
    "STARTTLS",
    "ENHANCEDSTATUSCODES",
    "DSN",
    "SMTPUTF8",
    "CHUNKING",
    "REQUIRETLS",
    SILENT,
];

/// The words (upper case) of a list that mean something, in order.
pub fn discardable(words: &[String]) -> Vec<String> {
    let listed = |keyword: &&str| words.iter().any(|word| word == keyword);
    KEYWORDS.into_iter().filter(listed).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_something_come_in_one_order() {
        let words = ["DSN", "FOO", "SIZE", "SILENT-DISCARD", "8BITMIME"].map(str::to_owned);
        assert_eq!(discardable(&words), ["8BITMIME", "SIZE", "DSN", "SILENT-DISCARD"]);
    }
}
