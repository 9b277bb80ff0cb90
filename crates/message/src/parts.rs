//! The parts of a message while it is read line by line: where their headers begin and end, and what each field and
//! each line belongs to.
//!
//! Lines come in pieces, of which none is kept but what belongs to a field: a body of any size takes no memory.

use crate::gathered::Gathered;
use crate::header::{Field, Kind, Role, is_continuation, name_length};
use crate::mime::{self, BoundaryLine, ContentType, Encoding, Multiparts, TooDeep};

/// What a text belongs to, as far as tables of checks tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A field of the message's header.
    Header,
    /// A field that describes MIME structure, of the message or of a part.
    MimeHeader,
    /// Another field in the header of an attached message.
    NestedHeader,
    /// A line of the body.
    Body,
}

impl Class {
    /// What log lines call it.
    pub fn shown(self) -> &'static str {
        if self == Class::Body { "body" } else { "header" }
    }
}

/// What a line was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// A part begins or ends.
    Boundary,
    /// Something else.
    Nothing,
}

/// Which header is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// None.
    Body,
    /// That of the message.
    Message,
    /// That of a part.
    Part,
    /// That of an attached message.
    Attached,
}

/// Where in a message we are.
#[derive(Debug)]
pub struct Structure {
    place: Place,
    open: Multiparts,
    /// The type of what follows the header that is being read.
    kind: Option<ContentType>,
    /// What that header says of its encoding.
    said: Option<Encoding>,
    /// How the text that is being read is encoded.
    encoding: Option<Encoding>,
    /// The Content-Type field as it stands in the message.
    kind_field: Vec<u8>,
    /// No structure is followed.
    off: bool,
    /// The field that is being read was not in the message.
    own: bool,
    /// Some part says that it needs eight bits.
    pub is_eight_bit: bool,
}

impl Structure {
    /// Of a message whose header is read by [`Parts`], or whose body alone is. `off`: nothing but the header is
    /// followed (disable_mime_input_processing).
    pub fn new(with_header: bool, off: bool) -> Self {
        let place = if with_header { Place::Message } else { Place::Body };
        Structure {
            place,
            open: Multiparts::default(),
            kind: None,
            said: None,
            encoding: None,
            kind_field: Vec::new(),
            off,
            own: false,
            is_eight_bit: false,
        }
    }

    /// Whether lines are looked at: those of a body without parts go by.
    pub fn is_followed(&self) -> bool {
        self.place != Place::Body || !self.open.is_empty()
    }

    /// Notes a field of the header that is being read.
    pub fn note(&mut self, field: &Field<'_>) {
        match field.kind() {
            Kind::ContentType if !self.off => {
                self.kind = Some(ContentType::parse(field.value));
                self.kind_field = [field.name, b":", field.value].concat();
            }
            Kind::ContentTransferEncoding => {
                // A body that calls itself binary needs no less.
                let encoding = Encoding::parse(field.value);
                self.said = encoding.or(self.said);
                self.is_eight_bit |= encoding.is_some_and(|encoding| !encoding.is_seven_bit());
            }
            _ => {}
        }
    }

    /// What the header that is being read says of the body: its type, and its encoding if it names one that is known.
    pub fn said(&self) -> (ContentType, Option<Encoding>) {
        (self.kind.clone().unwrap_or_default(), self.said)
    }

    /// The header that is being read ends.
    ///
    /// # Errors
    /// What follows is nested deeper than `limits` allow, and is not followed.
    pub fn end_header(&mut self, limits: mime::Limits) -> Result<(), TooDeep> {
        self.place = Place::Body;
        let said = self.said.take();
        let Some(kind) = self.kind.take() else {
            self.encoding = said;
            return Ok(());
        };
        // What contains parts has an encoding for them alone, not for the text around them.
        self.encoding = said.filter(|_| !kind.is_multipart());
        if kind.is_message() {
            self.place = Place::Attached;
            return Ok(());
        }
        self.open.enter(kind, limits)
    }

    /// How the text that is being read is encoded, by what the header in front of it says.
    pub fn encoding(&self) -> Encoding {
        self.encoding.unwrap_or(Encoding::SevenBit)
    }

    /// Whether parts are looked for.
    pub fn is_on(&self) -> bool {
        !self.off
    }

    /// The last Content-Type field.
    pub fn last_kind(&self) -> &[u8] {
        &self.kind_field
    }

    /// The field that has just begun was not in the message: whatever it says, it belongs to the header that it is in.
    pub fn is_own_field(&mut self) {
        self.own = true;
    }

    /// Whether the field that has ended was not in the message.
    pub fn take_own(&mut self) -> bool {
        std::mem::take(&mut self.own)
    }

    /// What the field that has ended, of the header that is being read, belongs to.
    fn class(&mut self, kind: Kind) -> Class {
        let is_own = self.take_own();
        match self.place {
            _ if kind.role() == Role::Mime && !is_own => Class::MimeHeader,
            Place::Message => Class::Header,
            Place::Attached => Class::NestedHeader,
            Place::Part | Place::Body => Class::MimeHeader,
        }
    }

    /// Looks at a line of a body.
    fn boundary(&mut self, line: &[u8]) -> Seen {
        let Some((found, kind)) = self.open.line(line) else { return Seen::Nothing };
        let opens = found == BoundaryLine::Opens;
        self.place = if opens { Place::Part } else { Place::Body };
        self.kind = opens.then_some(kind);
        (self.said, self.encoding) = (None, None);
        Seen::Boundary
    }
}

/// Who looks at a message.
pub trait Viewer {
    /// Where in the message it is.
    fn structure(&mut self) -> &mut Structure;
    /// A field as a whole, lines joined by newlines; `is_cut`: the rest of it is longer than the limit.
    fn field(&mut self, class: Class, text: &[u8], is_cut: bool);
    /// A line of a body, a piece of one, or the empty line that ends a header.
    fn text(&mut self, data: &[u8], ends_line: bool);
    /// The header that is being read is about to end.
    fn ends_header(&mut self) {}
    /// The header of something has ended, and what follows may be too deep to be followed.
    fn entered(&mut self, entered: Result<(), TooDeep>);
}

/// How much is followed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest field, in bytes (header_size_limit).
    pub field: usize,
    /// A piece of a field that begins within the limit stays as a whole, as in mail on its way out.
    pub whole_pieces: bool,
    /// How far parts are followed.
    pub structure: mime::Limits,
}

/// Reads a message, or its body.
#[derive(Debug, Default)]
pub struct Parts {
    /// The last line goes on in the next piece.
    in_line: bool,
    /// The field that is being read.
    field: Gathered,
}

impl Parts {
    /// Takes a line, or a piece of one.
    pub fn take(&mut self, on: &mut impl Viewer, limits: Limits, data: &[u8], ends_line: bool) {
        let begins_line = !std::mem::replace(&mut self.in_line, !ends_line);
        if !on.structure().is_followed() {
            return on.text(data, ends_line);
        }
        if !begins_line {
            return match self.field.is_open() {
                true => self.field.add(data, self.room(limits)),
                false => on.text(data, ends_line),
            };
        }
        if on.structure().place != Place::Body {
            return self.header(on, limits, data, ends_line);
        }
        on.structure().boundary(data);
        on.text(data, ends_line);
    }

    /// The message ends here. True where its last line had no end.
    pub fn end(&mut self, on: &mut impl Viewer, limits: Limits) -> bool {
        let was_field = self.field.is_open();
        self.end_field(on, limits);
        std::mem::take(&mut self.in_line) && !was_field
    }

    /// How long the field may be with the piece that comes.
    fn room(&self, limits: Limits) -> usize {
        match limits.whole_pieces {
            true if self.field.length() < limits.field => usize::MAX,
            true => 0,
            false => limits.field,
        }
    }

    /// A line of a header.
    fn header(&mut self, on: &mut impl Viewer, limits: Limits, data: &[u8], ends_line: bool) {
        if self.field.is_open() && is_continuation(data) {
            return self.field.add_line(data, self.room(limits));
        }
        self.end_field(on, limits);
        if name_length(data).is_some() {
            let limit = if limits.whole_pieces { usize::MAX } else { limits.field };
            return self.field.begin(data, limit);
        }
        if on.structure().boundary(data) == Seen::Nothing {
            on.ends_header();
            let entered = on.structure().end_header(limits.structure);
            on.entered(entered);
        }
        on.text(data, ends_line);
    }

    fn end_field(&mut self, on: &mut impl Viewer, limits: Limits) {
        let is_cut = self.field.is_cut();
        let limit = if limits.whole_pieces { usize::MAX } else { limits.field };
        let Some(text) = self.field.end(limit) else { return };
        let field = Field::parse(&text);
        if let Some(field) = &field {
            on.structure().note(field);
        }
        let kind = field.map_or(Kind::Other, |field| field.kind());
        let class = on.structure().class(kind);
        on.field(class, &text, is_cut);
        self.field.reuse(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits =
        Limits { field: 1000, whole_pieces: false, structure: mime::Limits { nesting: 2, boundary: 70 } };

    /// What was seen, one item each.
    struct Seen {
        structure: Structure,
        items: Vec<(Class, String)>,
        is_too_deep: bool,
        open: bool,
    }

    impl Viewer for Seen {
        fn structure(&mut self) -> &mut Structure {
            &mut self.structure
        }

        fn field(&mut self, class: Class, text: &[u8], _: bool) {
            self.items.push((class, String::from_utf8_lossy(text).into_owned()));
        }

        fn text(&mut self, data: &[u8], ends_line: bool) {
            let text = String::from_utf8_lossy(data);
            match self.items.last_mut().filter(|_| self.open) {
                Some((_, line)) => line.push_str(&text),
                None => self.items.push((Class::Body, text.into_owned())),
            }
            self.open = !ends_line;
        }

        fn entered(&mut self, entered: Result<(), TooDeep>) {
            self.is_too_deep |= entered.is_err();
        }
    }

    /// The items of a message of which every line comes in pieces of `size` bytes.
    fn seen(message: &str, size: usize) -> Seen {
        let structure = Structure::new(true, false);
        let mut seen = Seen { structure, items: Vec::new(), is_too_deep: false, open: false };
        let mut parts = Parts::default();
        for line in message.split_terminator('\n') {
            let mut rest = line.as_bytes();
            while rest.len() > size {
                let (piece, after) = rest.split_at(size);
                parts.take(&mut seen, LIMITS, piece, false);
                rest = after;
            }
            parts.take(&mut seen, LIMITS, rest, true);
        }
        parts.end(&mut seen, LIMITS);
        seen
    }

    #[test]
    fn a_field_is_of_the_message_of_its_structure_or_of_an_attached_message() {
        let message = "From: a\nContent-Type: multipart/mixed; boundary=b\n\npre\n--b\nContent-Type: message/rfc822\nX-P: 1\n\n\
                       To: c,\n d\nMIME-Version: 1.0\n\ntext\n--b--\nend\n";
        let seen = seen(message, 1000);
        let fields: Vec<_> = seen.items.iter().filter(|(class, _)| *class != Class::Body).collect();
        let expected = [
            (Class::Header, "From: a"),
            (Class::MimeHeader, "Content-Type: multipart/mixed; boundary=b"),
            (Class::MimeHeader, "Content-Type: message/rfc822"),
            (Class::MimeHeader, "X-P: 1"),
            (Class::NestedHeader, "To: c,\n d"),
            (Class::MimeHeader, "MIME-Version: 1.0"),
        ];
        assert!(fields.iter().map(|(class, text)| (*class, text.as_str())).eq(expected), "{fields:?}");
    }

    #[test]
    fn what_is_deeper_than_the_limit_is_told_and_not_followed() {
        let level = |name: &str| format!("Content-Type: multipart/mixed; boundary={name}\n\n--{name}\n");
        let two = format!("{}{}X: 1\n\n", level("a"), level("b"));
        assert!(!seen(&two, 1000).is_too_deep);
        let three = format!("{}{}{}X: 1\n\n", level("a"), level("b"), level("c"));
        let seen = seen(&three, 1000);
        assert!(seen.is_too_deep && seen.items.contains(&(Class::Body, "X: 1".to_owned())));
    }

    proptest! {
        #[test]
        fn where_lines_are_cut_makes_no_difference_to_fields_and_no_line_is_lost(
            message in "([A-C]: [a-c ]{0,6}\n){0,3}(Content-Type: multipart/mixed; boundary=b\n)?\n((--b|--b--|[A-C]: x| y|text|)\n){0,8}",
            size in 5usize..30,
        ) {
            let whole = seen(&message, 1000).items;
            let texts: Vec<_> = whole.iter().flat_map(|(_, text)| text.split('\n')).collect();
            prop_assert_eq!(texts, message.split_terminator('\n').collect::<Vec<_>>());
            let fields = |items: &[(Class, String)]| {
                items.iter().filter(|(class, _)| *class != Class::Body).cloned().collect::<Vec<_>>()
            };
            // A name or a boundary that is cut is none.
            prop_assume!(message.lines().all(|line| line.len() <= size || line.find(':').is_some_and(|at| at < size)));
            prop_assert_eq!(fields(&whole), fields(&seen(&message, size).items));
        }
    }
}
