//! What a filter answers to an event.

use crate::packet;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// On to the next event.
    Continue,
    /// Nothing more is asked about the message, or the session.
    Accept,
    /// `550 5.7.1 Command rejected`
    Reject,
    /// `451 4.7.1 Service unavailable - try again later`
    Tempfail,
    /// The message goes nowhere.
    Discard,
    /// The session ends.
    Shutdown,
    /// A reply in the filter's words.
    Say(Said),
    /// No more events of this kind.
    Skip,
    /// The filter needs more time.
    Progress,
    /// The message is held, for this reason.
    Hold(Vec<u8>),
}

/// A whole reply of SMTP: one line or more, each with its code, separated by CR LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    code: u16,
    text: Vec<u8>,
}

impl Said {
    /// A reply of one line that is known to be good.
    pub(crate) fn line(code: u16, rest: &str) -> Said {
        Said { code, text: format!("{code} {rest}").into_bytes() }
    }

    /// 400 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// All of it.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// What the filter says: `NNN text`, `NNN-text` where a line follows. The first digit is 4 or 5, that of all lines
    /// is the same, and so is that of an enhanced status code. `%%` is a percent sign. `None` for anything else.
    pub fn parse(data: &[u8]) -> Option<Said> {
        let (text, _) = packet::text(data);
        let text = unescaped(text);
        // What a line end at the end leaves is no line.
        let text = text.strip_suffix(b"\n").map_or(&text[..], |text| text.strip_suffix(b"\r").unwrap_or(text));
        // A bare CR would be a line end to some.
        let without_cr = |line: &[u8]| line.iter().copied().filter(|byte| *byte != b'\r').collect();
        let lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(without_cr).collect();
        let mut code = None;
        for (at, line) in lines.iter().enumerate() {
            let own = number(line)?;
            let separator = if at + 1 < lines.len() { b'-' } else { b' ' };
            if line.get(3) != Some(&separator) || *code.get_or_insert(own) != own {
                return None;
            }
            let enhanced = line.get(4).filter(|byte| byte.is_ascii_digit());
            if enhanced.is_some() && enhanced != line.first() {
                return None;
            }
        }
        Some(Said { code: code?, text: lines.join(&b"\r\n"[..]) })
    }
}

/// `4NN` or `5NN`.
fn number(line: &[u8]) -> Option<u16> {
    match line.get(..3)? {
        [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] => std::str::from_utf8(&line[..3]).ok()?.parse().ok(),
        _ => None,
    }
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => out.extend(bytes.next()),
            byte => out.push(*byte),
        }
    }
    out
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// This filter or its connection is out of order; the text for the log.
    Broken(String),
    /// The filter says what makes no sense, which somebody has configured; the text for the log.
    Misconfigured(String),
}

impl Reply {
    /// Whether the packet of such an answer has data.
    fn has_data(command: u8) -> bool {
        matches!(command, b'y' | b'q')
    }

    /// Reads the answer to an event; `event` is its name.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(command: u8, length: usize, data: &[u8], event: &str) -> Result<Reply, ReplyError> {
        let name = name(command);
        let reply = match command {
            b'c' => Reply::Continue,
            b'a' => Reply::Accept,
            b'r' => Reply::Reject,
            b't' => Reply::Tempfail,
            b'd' => Reply::Discard,
            b'4' => Reply::Shutdown,
            b's' => Reply::Skip,
            b'p' => Reply::Progress,
            b'q' => Reply::Hold(packet::text(data).0.to_vec()),
            b'y' => {
                let shown = text::printable(packet::text(data).0);
                Reply::Say(
                    Said::parse(data).ok_or_else(|| ReplyError::Misconfigured(format!("malformed reply: {shown}")))?,
                )
            }
            _ => {
                return Err(ReplyError::Broken(format!("unexpected filter response {name} after event {event}")));
            }
        };
        if !Reply::has_data(command) && length > 0 {
            return Err(ReplyError::Broken(format!("reply {name} was followed by {length} data bytes")));
        }
        Ok(reply)
    }
}

/// What the log calls an answer.
pub fn name(command: u8) -> &'static str {
    match command {
        b'+' => "SMFIR_ADDRCPT",
        b'2' => "SMFIR_ADDRCPT_PAR",
        b'-' => "SMFIR_DELRCPT",
        b'a' => "SMFIR_ACCEPT",
        b'b' => "SMFIR_REPLBODY",
        b'c' => "SMFIR_CONTINUE",
        b'd' => "SMFIR_DISCARD",
        b'e' => "SMFIR_CHGFROM",
        b'f' => "SMFIR_CONN_FAIL",
        b'h' => "SMFIR_ADDHEADER",
        b'i' => "SMFIR_INSHEADER",
        b'l' => "SMFIR_SETSYMLIST",
        b'm' => "SMFIR_CHGHEADER",
        b'p' => "SMFIR_PROGRESS",
        b'q' => "SMFIR_QUARANTINE",
        b'r' => "SMFIR_REJECT",
        b's' => "SMFIR_SKIP",
        b't' => "SMFIR_TEMPFAIL",
        b'y' => "SMFIR_REPLYCODE",
        b'4' => "SMFIR_SHUTDOWN",
        _ => "(unknown filter reply)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(text: &str) -> Option<String> {
        Said::parse(text.as_bytes()).map(|said| String::from_utf8(said.text).unwrap())
    }

    #[test]
    fn a_reply_is_taken_as_it_is_but_for_percent_signs() {
        for (text, expected) in [
            ("550 5.7.9 no\0", "550 5.7.9 no"),
            ("450 4.7.9 lat%%er %d", "450 4.7.9 lat%er d"),
            ("550-5.7.1 one\r\n550 5.7.1 two\0", "550-5.7.1 one\r\n550 5.7.1 two"),
        ] {
            assert_eq!(said(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_reply_whose_codes_disagree_or_that_accepts_is_malformed() {
        for text in [
            "250 ok",
            "550 4.7.1 mix",
            "450 5.7.1 mix",
            "5x0 a",
            "550",
            "550-a",
            "550 a\r\n550 b",
            "550-",
            "550-a\r\n",
            "550-\n",
            "550 a\r\n\r\n",
            "550-5.7.1 a\r\n450 4.7.1 b",
            "",
            "550x",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }

    #[test]
    fn an_answer_with_something_behind_it_is_none() {
        let error = Reply::parse(b'r', 14, b"", "SMFIC_MAIL").unwrap_err();
        assert_eq!(error, ReplyError::Broken("reply SMFIR_REJECT was followed by 14 data bytes".to_owned()));
        let error = Reply::parse(b'h', 4, b"a\0b\0", "SMFIC_MAIL").unwrap_err();
        let text = "unexpected filter response SMFIR_ADDHEADER after event SMFIC_MAIL";
        assert_eq!(error, ReplyError::Broken(text.to_owned()));
    }

    proptest! {
        #[test]
        fn nothing_that_a_filter_says_ends_a_line_without_the_code_of_the_next(
            data in prop::collection::vec(prop_oneof![
                Just(b'5'), Just(b'0'), Just(b'-'), Just(b' '), Just(b'\r'), Just(b'\n'), Just(b'%'), any::<u8>()
            ], 0..60),
        ) {
            if let Some(said) = Said::parse(&data) {
                prop_assert!((400..600).contains(&said.code));
                let lines: Vec<&[u8]> = said.text.split(|byte| *byte == b'\n').collect();
                for (at, line) in lines.iter().enumerate() {
                    let line = if at + 1 < lines.len() { line.strip_suffix(b"\r").unwrap() } else { line };
                    prop_assert_eq!(number(line), Some(said.code));
                    prop_assert_eq!(line.get(3), Some(&if at + 1 < lines.len() { b'-' } else { b' ' }));
                    prop_assert!(!line.contains(&b'\r') && !line.contains(&0));
                }
            }
        }
    }
}
