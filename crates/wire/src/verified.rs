//! An entry of the cache of address verification (address_verify_map), as C Postfix has it:
//! `STATUS:PROBED:UPDATED:TEXT`, under the address.

/// Whether mail for an address can be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Deliverable,
    /// It could not be found out.
    Deferred,
    /// No.
    Undeliverable,
    /// Nobody knows yet: a probe is under way.
    Unknown,
}

impl Standing {
    /// All, in the order of their numbers.
    pub const ALL: [Standing; 4] =
        [Standing::Deliverable, Standing::Deferred, Standing::Undeliverable, Standing::Unknown];

    /// Its number in an entry.
    pub fn digit(self) -> char {
        match self {
            Standing::Deliverable => '0',
            Standing::Deferred => '1',
            Standing::Undeliverable => '2',
            Standing::Unknown => '3',
        }
    }

    /// The one with this number.
    pub fn of_digit(digit: &str) -> Option<Standing> {
        Standing::ALL.into_iter().find(|standing| digit.strip_prefix(standing.digit()) == Some(""))
    }
}

/// What is known of an address, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whether it can be delivered to.
    pub standing: Standing,
    /// When a probe was sent that nothing has been heard of yet, in seconds since 1970; 0: there is none.
    pub probed: i64,
    /// When that was found out; 0: never.
    pub updated: i64,
    /// The words of who has found it out.
    pub text: String,
}

/// Longest text in bytes.
/// told: nobody; it is the text that tells, and one of this length shows its start alone.
pub const MAX_TEXT: usize = 250;

impl Entry {
    /// Reads an entry; `None` for what is none.
    pub fn parse(value: &[u8]) -> Option<Entry> {
        let value = std::str::from_utf8(value).ok()?;
        let mut fields = value.splitn(4, ':');
        let mut field = || fields.next();
        let standing = Standing::of_digit(field()?)?;
        let (probed, updated) = (time(field()?)?, time(field()?)?);
        Some(Entry { standing, probed, updated, text: field()?.to_owned() })
    }

    /// The entry as it is kept. What cannot be printed is not in it.
    pub fn format(&self) -> Vec<u8> {
        let text = text::printable(self.text.as_bytes());
        format!("{}:{}:{}:{}", self.standing.digit(), self.probed, self.updated, cut(&text)).into_bytes()
    }
}

/// A text of the longest length.
fn cut(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Digits alone.
fn time(digits: &str) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_c_postfix_are_understood() {
        let text = "host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no (in reply to RCPT TO command)";
        let value = format!("2:0:1796076932:{text}");
        let entry = Entry::parse(value.as_bytes()).unwrap();
        assert_eq!((entry.standing, entry.probed, entry.updated), (Standing::Undeliverable, 0, 1_796_076_932));
        assert_eq!(entry.text, text);
        assert_eq!(entry.format(), value.as_bytes());
    }

    #[test]
    fn what_is_no_entry_is_none() {
        for value in
            ["", "0", "0:0:0", "4:0:0:x", "00:0:0:x", "0:-1:0:x", "0::0:x", "0:+1:0:x", "x:0:0:x", "1796077152"]
        {
            assert_eq!(Entry::parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(Entry::parse(b"0:0:99999999999999999999:x"), None);
        assert_eq!(Entry::parse(b"0:0:0:\xff"), None);
    }

    #[test]
    fn a_text_is_cut_and_printable() {
        let entry =
            Entry { standing: Standing::Deferred, probed: 1, updated: 2, text: format!("a\n{}", "ä".repeat(200)) };
        let kept = Entry::parse(&entry.format()).unwrap();
        assert!(kept.text.len() <= MAX_TEXT && !kept.text.contains('\n'), "{}", kept.text);
    }
}
