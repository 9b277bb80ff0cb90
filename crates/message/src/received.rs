//! Received: fields: what each hop writes.

/// Who writes a field: `by HOST (NAME)`.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// myhostname
    pub hostname: &'a str,
    /// mail_name: log readers and spam filters look for `Postfix`.
    pub mail_name: &'a str,
}

/// A message that came by a server. Every text is inserted as it is: the caller has cleaned it (see [`comment`]).
#[derive(Clone, Debug, Default)]
pub struct FromNetwork<'a> {
    /// What the client said in HELO; empty where it said nothing, then `name` stands in.
    pub helo: &'a str,
    /// The verified name of the client, or `unknown`.
    pub name: &'a str,
    /// The address in RFC 5321 form (`192.0.2.5`, `IPv6:2001:db8::5`).
    pub address: &'a str,
    /// Comments between `from` and `by` (TLS, authentication), each without its parentheses; lines within one end in a
    /// line feed, and the next begins with white space.
    pub comments: &'a [String],
    /// `SMTP`, `ESMTP`, `ESMTPSA`, `QMQP`, ...
    pub protocol: &'a str,
    /// This host.
    pub hostname: &'a str,
    /// mail_name
    pub mail_name: &'a str,
    /// The queue ID; `None` where the message is not queued here (a proxy).
    pub queue_id: Option<&'a str>,
    /// The recipient, in external form, if there is exactly one.
    pub only_recipient: Option<&'a str>,
    /// The date, from [`crate::date::rfc5322`].
    pub date: &'a str,
    /// Where no recipient is named, the queue ID stands beside the date.
    pub id_beside_date: bool,
}

impl FromNetwork<'_> {
    /// The lines of the field, without line ends.
    pub fn lines(&self) -> Vec<String> {
        let helo = if self.helo.is_empty() { self.name } else { self.helo };
        let mut lines = vec![format!("Received: from {helo} ({} [{}])", self.name, self.address)];
        for text in self.comments {
            lines.extend(format!("\t({text})").split('\n').map(str::to_owned));
        }
        let mut by = format!("\tby {} ({}) with {}", self.hostname, self.mail_name, self.protocol);
        if let (Some(id), None, true) = (self.queue_id, self.only_recipient, self.id_beside_date) {
            lines.extend([by, format!("\tid {id}; {}", self.date)]);
            return lines;
        }
        if let Some(id) = self.queue_id {
            by.push_str(&format!(" id {id}"));
        }
        match self.only_recipient {
            Some(recipient) => {
                lines.push(by);
                lines.push(format!("\tfor <{recipient}>; {}", self.date));
            }
            None => {
                lines.push(format!("{by};"));
                lines.push(format!("\t{}", self.date));
            }
        }
        lines
    }
}

/// The field of a message that a local user handed in (`sendmail`, pickup).
pub fn from_user(by: Writer<'_>, uid: u32, queue_id: &str, date: &str) -> Vec<String> {
    let Writer { hostname, mail_name } = by;
    vec![format!("Received: by {hostname} ({mail_name}, from userid {uid})"), format!("\tid {queue_id}; {date}")]
}

/// The field of a message that the mail system made itself or sends on (a bounce, a forwarded message).
pub fn from_mail_system(by: Writer<'_>, queue_id: &str, date: &str) -> Vec<String> {
    let Writer { hostname, mail_name } = by;
    vec![format!("Received: by {hostname} ({mail_name})"), format!("\tid {queue_id}; {date}")]
}

/// A text as it may stand within parentheses: unprintable bytes, backslashes and closing parentheses without their
/// opening one become `?`, and parentheses left open are closed.
pub fn comment(text: &[u8]) -> String {
    let mut open = 0usize;
    let mut out = String::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'(' => open += 1,
            b')' if open > 0 => open -= 1,
            b')' | b'\\' => {
                out.push('?');
                continue;
            }
            _ => {}
        }
        out.push(if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '?' });
    }
    out.extend(std::iter::repeat_n(')', open));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_recipient_is_named_and_several_are_not() {
        let mut field = FromNetwork {
            helo: "client.example.net",
            name: "unknown",
            address: "IPv6:2001:db8::5",
            protocol: "ESMTP",
            hostname: "mx.example.test",
            mail_name: "Postfix",
            queue_id: Some("DAD8C552116"),
            only_recipient: Some("a@b.test"),
            date: "Sun, 22 Nov 2026 11:30:15 +0000 (UTC)",
            ..Default::default()
        };
        assert_eq!(
            field.lines(),
            [
                "Received: from client.example.net (unknown [IPv6:2001:db8::5])",
                "\tby mx.example.test (Postfix) with ESMTP id DAD8C552116",
                "\tfor <a@b.test>; Sun, 22 Nov 2026 11:30:15 +0000 (UTC)",
            ]
        );
        field.only_recipient = None;
        assert_eq!(
            field.lines()[1..],
            ["\tby mx.example.test (Postfix) with ESMTP id DAD8C552116;", "\tSun, 22 Nov 2026 11:30:15 +0000 (UTC)"]
        );
        field.id_beside_date = true;
        assert_eq!(
            field.lines()[1..],
            ["\tby mx.example.test (Postfix) with ESMTP", "\tid DAD8C552116; Sun, 22 Nov 2026 11:30:15 +0000 (UTC)"]
        );
    }

    #[test]
    fn local_mail_names_the_user() {
        let lines = from_user(Writer { hostname: "h.test", mail_name: "Postfix" }, 1002, "F05DD552121", "DATE");
        assert_eq!(lines, ["Received: by h.test (Postfix, from userid 1002)", "\tid F05DD552121; DATE"]);
    }

    proptest! {
        #[test]
        fn a_comment_never_ends_its_parentheses(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut depth = 1i32;
            for c in comment(&text).chars() {
                depth += match c { '(' => 1, ')' => -1, _ => 0 };
                prop_assert!(depth >= 1);
            }
            prop_assert_eq!(depth, 1);
        }
    }
}
