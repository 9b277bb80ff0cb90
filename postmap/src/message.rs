//! Lines of a message as keys, as header_checks(5) and body_checks(5) are asked: -h, -b and -m.
//!
//! A header field with its continuation lines is one key, the line that ends the header is an empty one.

use message::header::{Field, Kind, is_continuation, name_length};
use message::mime::{BoundaryLine, ContentType, Limits, Multiparts, TooDeep};

/// Longest header field, bytes. told: the caller.
const MAX_FIELD: usize = 1 << 20;

/// Which lines are keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// -h
    pub headers: bool,
    /// -b
    pub body: bool,
    /// -m: headers of parts and of attached messages are headers.
    pub parts: bool,
}

/// Where in a message the next line stands.
pub(crate) struct Reader {
    wanted: Wanted,
    is_header: bool,
    /// It is the header of the message itself.
    is_first: bool,
    field: Vec<u8>,
    kind: Option<ContentType>,
    open: Multiparts,
    limits: Limits,
}

impl Reader {
    /// Before the first line.
    pub(crate) fn new(wanted: Wanted, limits: Limits) -> Self {
        let (field, kind, open) = (Vec::new(), None, Multiparts::default());
        Self { wanted, is_header: true, is_first: true, field, kind, open, limits }
    }

    /// The next line; gives the keys that are complete with it.
    ///
    /// # Errors
    /// Parts are nested too deep, or a field is too long.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut keys = Vec::new();
        if self.is_header && !self.field.is_empty() && is_continuation(line) {
            self.field.push(b'\n');
            self.field.extend_from_slice(line);
            let length = self.field.len();
            return if length > MAX_FIELD { Err(format!("a header of {length} bytes")) } else { Ok(keys) };
        }
        if self.is_header {
            keys.extend(self.end());
            if name_length(line).is_some() {
                self.field = line.to_vec();
                return Ok(keys);
            }
            if self.ends_header(line).map_err(|error| error.to_string())? {
                keys.extend(self.wanted.body.then(Vec::new));
            }
            if line.is_empty() {
                return Ok(keys);
            }
        }
        self.boundary(line);
        keys.extend(self.wanted.body.then(|| line.to_vec()));
        Ok(keys)
    }

    /// The last key, if the message ends within a header.
    pub(crate) fn end(&mut self) -> Option<Vec<u8>> {
        let text = std::mem::take(&mut self.field);
        let field = Field::parse(&text)?;
        if field.kind() == Kind::ContentType {
            self.kind = Some(ContentType::parse(field.value));
        }
        self.wanted.headers.then_some(text)
    }

    /// What follows the header; whether an empty line is read between them, be it there or not.
    fn ends_header(&mut self, line: &[u8]) -> Result<bool, TooDeep> {
        let was_first = std::mem::replace(&mut self.is_first, false);
        self.is_header = false;
        let kind = self.kind.take().filter(|_| self.wanted.parts).unwrap_or_default();
        if kind.is_message() {
            self.is_header = true;
        } else {
            self.open.enter(kind, self.limits)?;
        }
        Ok(was_first || line.is_empty())
    }

    /// A boundary begins a part, or ends the last one.
    fn boundary(&mut self, line: &[u8]) {
        if let Some((found, kind)) = self.open.line(line) {
            self.is_header = found == BoundaryLine::Opens;
            self.kind = self.is_header.then_some(kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word for each key: `H` and `B` ask for headers and the body, `M` for parts.
    fn keys(letters: &str, message: &str) -> Vec<String> {
        let has = |letter| letters.contains(letter);
        let limits = Limits { nesting: 102, boundary: 2048 };
        let mut reader = Reader::new(Wanted { headers: has('H'), body: has('B'), parts: has('M') }, limits);
        let mut keys: Vec<Vec<u8>> =
            message.lines().flat_map(|line| reader.line(line.as_bytes()).expect("not too deep")).collect();
        keys.extend(reader.end());
        keys.into_iter().map(|key| String::from_utf8(key).expect("text")).collect()
    }

    const MESSAGE: &str = "Subject: a\n  b\nContent-Type: multipart/mixed; boundary=bb\n\npre\n--bb\nP: q\n\nbody\n--bb\n\
                           Content-Type: message/rfc822\n\nN: m\n\nnested\n--bb--\npost\n";

    /// As `postmap -q -` of Postfix 3.11 has them.
    #[test]
    fn keys_are_those_that_checks_see() {
        let (subject, kind) = ("Subject: a\n  b", "Content-Type: multipart/mixed; boundary=bb");
        assert_eq!(keys("H", MESSAGE), [subject, kind]);
        let attached = "Content-Type: message/rfc822";
        assert_eq!(keys("HM", MESSAGE), [subject, kind, "P: q", attached, "N: m"]);
        let body = ["", "pre", "--bb", "", "body", "--bb", "", "", "nested", "--bb--", "post"];
        assert_eq!(keys("BM", MESSAGE), body);
        let plain =
            ["", "pre", "--bb", "P: q", "", "body", "--bb", attached, "", "N: m", "", "nested", "--bb--", "post"];
        assert_eq!(keys("B", MESSAGE), plain);
        assert_eq!(keys("HB", "A: b\nnot: a header\n x\nno header\n"), ["A: b", "not: a header\n x", "", "no header"]);
        assert_eq!(keys("HB", "\n\nbody\n"), ["", "", "body"]);
        assert_eq!(keys("HB", "A: b"), ["A: b"]);
        let kind = "Content-Type: multipart/digest; boundary=bb";
        let digest = format!("{kind}\n\n--bb\n\nN: m\n\nnested\n--bb\nContent-Type: text/plain\n\nX: y\n--bb--\n");
        assert_eq!(keys("HM", &digest), [kind, "N: m", "Content-Type: text/plain"]);
    }
}
