//! Templates with `%` expressions: the query that a key becomes, and the value that a result becomes.
//!
//! A query is text in the language of its server, and a key is what a stranger sent: every part of a key goes through
//! the quoting of that language, and nothing else brings it into the query.

/// What a template makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A query of a key: all expressions are of the key.
    Query,
    /// A value of a result: `%s`, `%u` and `%d` are of the result, the others of the key.
    Result,
}

/// A part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// `%s`
    Whole,
    /// `%u`
    Local,
    /// `%d`
    Domain,
    /// `%1` to `%9`: the labels of the domain from the right, from 0.
    Label(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    OfKey(Part),
    OfResult(Part),
}

/// A template that can be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// An expression that is none; the error is the template.
    pub fn parse(text: &str, purpose: Use) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((plain, behind)) = rest.split_once('%') {
            push(&mut pieces, plain);
            let mut letters = behind.chars();
            let letter = letters.next().ok_or_else(|| text.to_owned())?;
            match (letter, part(letter)) {
                ('%', _) => push(&mut pieces, "%"),
                ('s' | 'u' | 'd', Some(part)) if purpose == Use::Result => pieces.push(Piece::OfResult(part)),
                (_, Some(part)) => pieces.push(Piece::OfKey(part)),
                (_, None) => return Err(text.to_owned()),
            }
            rest = letters.as_str();
        }
        push(&mut pieces, rest);
        Ok(Template { text: text.to_owned(), pieces })
    }

    /// The template as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a key has all parts that it asks for; for another one there is nothing to be found.
    pub fn suits(&self, key: &[u8]) -> bool {
        let mut asked = self.pieces.iter();
        asked.all(|piece| !matches!(piece, Piece::OfKey(part) if part.of(key).is_none()))
    }

    /// The query for a key. `quote` adds a part of the key, as text that cannot end where it stands.
    pub fn query(&self, key: &[u8], quote: impl Fn(&[u8], &mut Vec<u8>)) -> Option<Vec<u8>> {
        let mut query = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => query.extend_from_slice(text.as_bytes()),
                Piece::OfKey(part) => quote(part.of(key)?, &mut query),
                Piece::OfResult(_) => return None,
            }
        }
        Some(query)
    }

    /// What a result becomes; `None` where it lacks a part that is asked for.
    pub fn value(&self, key: &[u8], result: &[u8]) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        for piece in &self.pieces {
            value.extend_from_slice(match piece {
                Piece::Text(text) => text.as_bytes(),
                Piece::OfKey(part) => part.of(key)?,
                Piece::OfResult(part) => part.of(result)?,
            });
        }
        Some(value)
    }
}

fn push(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

fn part(letter: char) -> Option<Part> {
    Some(match letter {
        's' | 'S' => Part::Whole,
        'u' | 'U' => Part::Local,
        'd' | 'D' => Part::Domain,
        '1'..='9' => Part::Label(usize::try_from(letter.to_digit(10)?).ok()? - 1),
        _ => return None,
    })
}

impl Part {
    /// The part of an address; a text without `@` is a local part alone.
    fn of(self, address: &[u8]) -> Option<&[u8]> {
        let at = address.iter().rposition(|&byte| byte == b'@');
        let (local, domain) = match at {
            Some(at) => (&address[..at], &address[at + 1..]),
            None => (address, &b""[..]),
        };
        let part = match self {
            Part::Whole => return Some(address),
            Part::Local => local,
            Part::Domain => domain,
            Part::Label(number) => domain.rsplit(|&byte| byte == b'.').filter(|label| !label.is_empty()).nth(number)?,
        };
        (!part.is_empty()).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubled(part: &[u8], query: &mut Vec<u8>) {
        part.iter().for_each(|byte| query.extend(std::iter::repeat_n(*byte, if *byte == b'\'' { 2 } else { 1 })));
    }

    fn query(template: &str, key: &str) -> Option<String> {
        let template = Template::parse(template, Use::Query).unwrap();
        let query = template.query(key.as_bytes(), doubled);
        assert_eq!(query.is_some(), template.suits(key.as_bytes()), "{key}");
        query.map(|query| String::from_utf8(query).unwrap())
    }

    fn value(template: &str, key: &str, result: &str) -> Option<String> {
        let value = Template::parse(template, Use::Result).unwrap().value(key.as_bytes(), result.as_bytes());
        value.map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn a_query_has_the_parts_of_its_key_and_there_is_none_where_one_is_missing() {
        for (template, key, expected) in [
            ("%s %S", "joe@ex.am", Some("joe@ex.am joe@ex.am")),
            ("%u:%U|%d:%D", "joe@ex.am", Some("joe:joe|ex.am:ex.am")),
            ("%u %d", "nodom", None),
            ("%u", "nodom", Some("nodom")),
            ("%u %d", "@ex.am", None),
            ("%u", "@ex.am", None),
            ("%s", "@ex.am", Some("@ex.am")),
            ("%u", "joe@", Some("joe")),
            ("%d", "joe@", None),
            ("%1", "joe@", None),
            ("%u|%d", "a@b@c.d", Some("a@b|c.d")),
            ("%u|%d", "\"a@c\"@b.c", Some("\"a@c\"|b.c")),
            ("%1-%2-%3-%%", "joe@a.b.c", Some("c-b-a-%")),
            ("%1-%2-%3-%%", "joe@b.c", None),
            ("%1-%2", "a.b.c", None),
            ("%1.%2", "u@a..b", Some("b.a")),
            ("%1.%2", "u@a.b.", Some("b.a")),
            ("%1", "@a.b", Some("b")),
            ("x", "", Some("x")),
            ("%%s", "a", Some("%s")),
        ] {
            assert_eq!(query(template, key).as_deref(), expected, "{template} {key}");
        }
    }

    #[test]
    fn a_quote_in_a_key_ends_no_text_of_the_query() {
        assert_eq!(query("k='%s'", "' OR 1=1 --").as_deref(), Some("k=''' OR 1=1 --'"));
        assert_eq!(query("'%u' '%d' '%1'", "o'q@x'y").as_deref(), Some("'o''q' 'x''y' 'x''y'"));
    }

    #[test]
    fn a_result_has_its_own_parts_and_those_of_the_key() {
        for (template, key, result, expected) in [
            ("<%s|%u|%d|%S>", "b@x.y", "u@v.w", Some("<u@v.w|u|v.w|b@x.y>")),
            ("%s:%U:%D", "joe@ex.am", "r", Some("r:joe:ex.am")),
            ("%u/%d", "k", "a", None),
            ("%u", "k", "a", Some("a")),
            ("%u", "k", "u@", Some("u")),
            ("%u", "k", "@d", None),
            ("%d", "k", "@d", Some("d")),
            ("%2", "a@b.c", "v", Some("b")),
            ("%1", "a", "v", None),
            ("fixed", "a", "v", Some("fixed")),
        ] {
            assert_eq!(value(template, key, result).as_deref(), expected, "{template} {key} {result}");
        }
    }

    #[test]
    fn an_expression_that_is_none_is_an_error_that_shows_the_template() {
        for text in ["%x", "a%", "%0", "%q", "%\u{e9}", "'%s%' '%%s'"] {
            assert_eq!(Template::parse(text, Use::Query), Err(text.to_owned()));
            assert_eq!(Template::parse(text, Use::Result), Err(text.to_owned()));
        }
    }
}
