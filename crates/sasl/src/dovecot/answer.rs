//! What the server answers to a request: more is needed, yes, or no.

/// One answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// `CONT`: a challenge in base64; `None` where the field is missing.
    Continue(Option<Vec<u8>>),
    /// `OK`: the user; `None` where the field is missing.
    Ok(Option<Vec<u8>>),
    /// `FAIL`
    Fail {
        /// Why.
        reason: Option<Vec<u8>>,
        /// Who it would have been.
        user: Option<Vec<u8>>,
    },
}

/// A line that should be an answer and has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Answer {
    /// The number of the request and the answer to it; `None` for lines of other kinds, which mean nothing here.
    ///
    /// # Errors
    /// An answer to nothing.
    pub fn parse(line: &[u8]) -> Result<Option<(u32, Answer)>, Malformed> {
        let mut fields = line.split(|byte| *byte == b'\t');
        let kind = fields.next().unwrap_or_default();
        if !matches!(kind, b"OK" | b"CONT" | b"FAIL") {
            return Ok(None);
        }
        let id = fields.next().and_then(|id| std::str::from_utf8(id).ok()?.parse().ok()).ok_or(Malformed)?;
        let rest: Vec<&[u8]> = fields.collect();
        let value = |name: &[u8]| rest.iter().find_map(|field| field.strip_prefix(name)).map(<[u8]>::to_vec);
        Ok(Some((
            id,
            match kind {
                b"CONT" => Answer::Continue(rest.first().map(|text| text.to_vec())),
                b"OK" => Answer::Ok(value(b"user=")),
                _ => Answer::Fail { reason: value(b"reason="), user: value(b"user=") },
            },
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(u32, Answer)> {
        Answer::parse(line.as_bytes()).unwrap_or_else(|_| panic!("{line}"))
    }

    fn bytes(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn an_answer_has_the_number_of_its_request() {
        let yes = |user| Answer::Ok(user);
        assert!(read("OK\t7\tx=y\tuser=al ice\tresp=z") == Some((7, yes(bytes("al ice")))));
        assert!(read("OK\t7\tlogin_user=x") == Some((7, yes(None))));
        assert!(read("OK\t7\tuser=") == Some((7, yes(bytes("")))));
        assert!(read("CONT\t1") == Some((1, Answer::Continue(None))));
        assert!(read("CONT\t1\t") == Some((1, Answer::Continue(bytes("")))));
        let no = Answer::Fail { reason: bytes("Account is locked"), user: bytes("a") };
        assert!(read("FAIL\t3\tuser=a\ttemp\treason=Account is locked") == Some((3, no)));
        assert!(read("FAIL\t3") == Some((3, Answer::Fail { reason: None, user: None })));
    }

    #[test]
    fn lines_of_other_kinds_mean_nothing_and_an_answer_without_a_number_is_malformed() {
        assert!(read("HELLO\tx").is_none() && read("").is_none() && read("CUID\t1").is_none());
        for line in ["OK", "FAIL", "CONT\tx", "OK\t-1", "OK\t99999999999"] {
            assert!(Answer::parse(line.as_bytes()).is_err(), "{line}");
        }
    }
}
