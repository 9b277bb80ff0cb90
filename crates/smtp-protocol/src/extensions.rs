//! What a server announces in its reply to EHLO, as the client understands it. RFC 5321 4.1.1.1.
//!
//! Unknown keywords are no error. `smtp_discard_ehlo_keywords` works by [`Extensions::parse`] with the keywords to
//! leave out.

use crate::reply::Reply;

/// The extensions of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// PIPELINING, RFC 2920.
    pub pipelining: bool,
    /// SIZE, RFC 1870: outer `None` when it is not announced, inner `None` when it names no limit (or 0).
    pub size: Option<Option<u64>>,
    /// 8BITMIME, RFC 6152.
    pub eight_bit_mime: bool,
    /// ENHANCEDSTATUSCODES, RFC 2034.
    pub enhanced_status_codes: bool,
    /// DSN, RFC 3461.
    pub dsn: bool,
    /// SMTPUTF8, RFC 6531.
    pub smtputf8: bool,
    /// STARTTLS, RFC 3207.
    pub starttls: bool,
    /// CHUNKING, RFC 3030.
    pub chunking: bool,
    /// REQUIRETLS, RFC 8689.
    pub requiretls: bool,
    /// XFORWARD attribute names, upper case; empty when it is not announced.
    pub xforward: Vec<String>,
    /// XCLIENT attribute names, upper case.
    pub xclient: Vec<String>,
    /// AUTH mechanisms, upper case; the old `AUTH=` form counts too. `None` when it is not announced.
    pub auth: Option<Vec<String>>,
}

impl Extensions {
    /// Reads the lines after the first (which is the server's name), leaving out every keyword for which `discard` says
    /// true. Keywords come to it in upper case.
    pub fn parse(reply: &Reply, discard: impl Fn(&str) -> bool) -> Extensions {
        let mut found = Extensions::default();
        for line in reply.lines().skip(1) {
            let line = String::from_utf8_lossy(line).to_ascii_uppercase();
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            if let Some(keyword) = words.next()
                && !discard(keyword)
            {
                found.add(keyword, &mut words);
            }
        }
        found
    }

    fn add<'a>(&mut self, keyword: &str, words: &mut impl Iterator<Item = &'a str>) {
        match keyword {
            "PIPELINING" => self.pipelining = true,
            "SIZE" => self.size = Some(words.next().and_then(|word| word.parse().ok()).filter(|size| *size > 0)),
            "8BITMIME" => self.eight_bit_mime = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "DSN" => self.dsn = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "STARTTLS" => self.starttls = true,
            "CHUNKING" => self.chunking = true,
            "REQUIRETLS" => self.requiretls = true,
            "XFORWARD" => self.xforward.extend(words.map(str::to_owned)),
            "XCLIENT" => self.xclient.extend(words.map(str::to_owned)),
            "AUTH" => {
                let auth = self.auth.get_or_insert_default();
                for word in words {
                    if !auth.iter().any(|known| known == word) {
                        auth.push(word.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ehlo(lines: &[&str]) -> Reply {
        Reply::lines_of(250, lines.iter().map(|line| line.as_bytes().to_vec()).collect())
    }

    #[test]
    fn keywords_are_read_without_regard_to_case() {
        let reply = ehlo(&["mx.example", "pipelining", "SIZE 1000", "Auth PLAIN login", "AUTH=PLAIN", "X-NEW thing"]);
        let found = Extensions::parse(&reply, |_| false);
        assert!(found.pipelining);
        assert_eq!(found.size, Some(Some(1000)));
        assert_eq!(found.auth, Some(vec!["PLAIN".to_owned(), "LOGIN".to_owned()]));
        assert_eq!(Extensions::parse(&ehlo(&["h", "AUTH"]), |_| false).auth, Some(Vec::new()));
        assert_eq!(Extensions::parse(&ehlo(&["h", "AUTH PLAIN"]), |keyword| keyword == "AUTH").auth, None);
        assert!(!found.dsn);
    }

    #[test]
    fn a_size_of_zero_or_garbage_is_no_limit() {
        for line in ["SIZE", "SIZE 0", "SIZE many"] {
            assert_eq!(Extensions::parse(&ehlo(&["h", line]), |_| false).size, Some(None), "{line}");
        }
    }

    #[test]
    fn discarded_keywords_and_the_first_line_do_not_count() {
        let reply = ehlo(&["PIPELINING", "DSN", "8BITMIME"]);
        let found = Extensions::parse(&reply, |keyword| keyword == "DSN");
        assert_eq!(found, Extensions { eight_bit_mime: true, ..Extensions::default() });
    }
}
