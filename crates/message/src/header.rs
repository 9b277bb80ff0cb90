//! Header fields: where a name ends, what continues a field, which fields a mail system knows by name.

/// One header field: a name and everything after the colon, continuation lines joined by newlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as written, without the colon and without blanks before it.
    pub name: &'a [u8],
    /// What follows the colon, blanks included.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Splits a (possibly folded) field; `None` where it is no header field. RFC 5322 2.2; RFC 822's blanks before the
    /// colon are accepted as Postfix accepts them.
    pub fn parse(field: &'a [u8]) -> Option<Self> {
        let name_length = name_length(field)?;
        let colon = name_length + field[name_length..].iter().position(|&b| b == b':')?;
        Some(Field { name: &field[..name_length], value: &field[colon + 1..] })
    }

    /// The value without surrounding blanks and newlines.
    pub fn trimmed(&self) -> &'a [u8] {
        trim(self.value)
    }

    /// Whether the field has this name; letter case does not matter.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Which known field this is.
    pub fn kind(&self) -> Kind {
        Kind::of(self.name)
    }
}

/// The length of the field name at the start of `line`, or `None` where the line does not start a header field:
/// printable ASCII without blanks or colon, then optional blanks, then a colon.
pub fn name_length(line: &[u8]) -> Option<usize> {
    let length = line.iter().position(|&b| !(b.is_ascii_graphic() && b != b':'))?;
    let rest = &line[length..];
    let blanks = rest.iter().position(|&b| b != b' ' && b != b'\t')?;
    (length > 0 && rest[blanks] == b':').then_some(length)
}

/// Whether the line continues the header field before it (RFC 5322 2.2.3).
pub fn is_continuation(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// Splits text at blanks so that no line is longer than `width` where a blank permits it; every line but the first
/// starts with `indent`. The blanks at a break are dropped.
pub fn fold(text: &[u8], width: usize, indent: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    let mut words_on_line = 0usize;
    for word in text.split(|&b| b == b' ').filter(|w| !w.is_empty()) {
        if words_on_line > 0 && line.len() + 1 + word.len() > width {
            lines.push(std::mem::replace(&mut line, indent.to_vec()));
            words_on_line = 0;
        }
        if words_on_line > 0 {
            line.push(b' ');
        }
        line.extend_from_slice(word);
        words_on_line += 1;
    }
    if words_on_line > 0 || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Without blanks, tabs and line breaks at both ends.
pub fn trim(text: &[u8]) -> &[u8] {
    let start = trim_start(text);
    let end = start.iter().rposition(|b| !b.is_ascii_whitespace()).map_or(0, |p| p + 1);
    &start[..end]
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(text.len());
    &text[start..]
}

macro_rules! kinds {
    ($($kind:ident $name:literal $role:ident,)*) => {
        /// The header fields a mail system treats specially.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $name] $kind,)*
            /// Any other field.
            Other,
        }

        impl Kind {
            /// The known fields with their names as Postfix writes them.
            pub const KNOWN: &'static [(Kind, &'static str)] = &[$((Kind::$kind, $name),)*];

            /// The kind of a field name, in any letter case.
            pub fn of(name: &[u8]) -> Kind {
                Self::KNOWN
                    .iter()
                    .find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name))
                    .map_or(Kind::Other, |(kind, _)| *kind)
            }

            /// What the field holds.
            pub fn role(self) -> Role {
                match self {
                    $(Kind::$kind => Role::$role,)*
                    Kind::Other => Role::Text,
                }
            }
        }
    };
}

/// What a field holds, as far as address rewriting must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Addresses of those who send (header_sender classes of canonical mapping and masquerading).
    Sender,
    /// Addresses of those who receive; `sendmail -t` reads them.
    Recipient,
    /// Like `Recipient`, of a message sent on by hand (RFC 5322 3.6.6).
    ResentRecipient,
    /// Like `Sender`, of a message sent on by hand.
    ResentSender,
    /// Structure of the body (RFC 2045).
    Mime,
    /// Anything else.
    Text,
}

kinds! {
    ApparentlyTo "Apparently-To" Recipient,
    Bcc "Bcc" Recipient,
    Cc "Cc" Recipient,
    ContentDescription "Content-Description" Mime,
    ContentDisposition "Content-Disposition" Mime,
    ContentId "Content-ID" Mime,
    ContentLength "Content-Length" Text,
    ContentTransferEncoding "Content-Transfer-Encoding" Mime,
    ContentType "Content-Type" Mime,
    Date "Date" Text,
    DeliveredTo "Delivered-To" Text,
    DispositionNotificationTo "Disposition-Notification-To" Sender,
    ErrorsTo "Errors-To" Sender,
    From "From" Sender,
    MailFollowupTo "Mail-Followup-To" Sender,
    MessageId "Message-Id" Text,
    MimeVersion "MIME-Version" Mime,
    Received "Received" Text,
    ReplyTo "Reply-To" Sender,
    RequireTlsEsmtp "Require-TLS-ESMTP" Text,
    ResentBcc "Resent-Bcc" ResentRecipient,
    ResentCc "Resent-Cc" ResentRecipient,
    ResentDate "Resent-Date" Text,
    ResentFrom "Resent-From" ResentSender,
    ResentMessageId "Resent-Message-Id" Text,
    ResentReplyTo "Resent-Reply-To" ResentSender,
    ResentSender "Resent-Sender" ResentSender,
    ResentTo "Resent-To" ResentRecipient,
    ReturnPath "Return-Path" Sender,
    ReturnReceiptTo "Return-Receipt-To" Sender,
    Sender "Sender" Sender,
    Subject "Subject" Text,
    TlsRequired "TLS-Required" Text,
    To "To" Recipient,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_ends_at_the_colon_or_at_blanks_before_it() {
        assert_eq!(name_length(b"Subject: x"), Some(7));
        assert_eq!(name_length(b"Subject \t: x"), Some(7));
        assert_eq!(name_length(b"X:"), Some(1));
        assert_eq!(name_length(b": x"), None);
        assert_eq!(name_length(b"From alice"), None);
        assert_eq!(name_length(b"no colon"), None);
        assert_eq!(name_length(b"\xff: x"), None);
        assert_eq!(name_length(b""), None);
    }

    #[test]
    fn a_field_is_split_at_its_colon() {
        let field = Field::parse(b"message-id : <a:b>\n").unwrap();
        assert_eq!((field.name, field.trimmed(), field.kind()), (&b"message-id"[..], &b"<a:b>"[..], Kind::MessageId));
        assert!(field.is("Message-ID"));
    }

    proptest! {
        #[test]
        fn folding_keeps_the_words_and_the_width(words in prop::collection::vec("[!-~]{1,20}", 0..30)) {
            let text = words.join(" ");
            let lines = fold(text.as_bytes(), 40, b"    ");
            prop_assert!(lines.iter().all(|l| l.len() <= 40));
            let words = |text: &[u8]| text.split(|&b| b == b' ').filter(|w| !w.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>();
            prop_assert_eq!(words(&lines.join(&b' ')), words(text.as_bytes()));
        }

        #[test]
        fn any_bytes_are_a_field_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(field) = Field::parse(&bytes) {
                prop_assert!(!field.name.is_empty());
                prop_assert!(bytes.starts_with(field.name) && bytes.ends_with(field.value));
            }
        }
    }
}
