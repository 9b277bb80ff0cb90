//! The message is written once more as filters have changed it, behind itself.
//!
//! Everything is copied in its order: the envelope with another sender and without some recipients, the headers and
//! the body as they are laid out now, what was found in the content; new recipients come last. Dropped before its end,
//! the file is removed like any other that is not complete.

use std::collections::HashSet;
use std::fs::File;

use dsn::Return;
use queue::{Reader, Type};

use super::Filtered;
use super::changes::{Change, Changes};
use super::content::each;
use super::layout::{Body, Layout, Text, unreadable};
use crate::failure::Failure;
use crate::utf8;

/// Records that say something of the recipient that follows them.
const PROPERTIES: [&[u8]; 2] = [b"notify_flags=", b"dsn_orig_rcpt="];

/// A part of the old message as it is copied.
struct Copying<'c> {
    reader: Reader<File>,
    changes: &'c Changes,
    deleted: HashSet<&'c [u8]>,
    /// What is said of the next recipient.
    pending: Vec<Vec<u8>>,
    original: Vec<u8>,
}

impl Filtered<'_, '_> {
    /// Writes it.
    pub(super) async fn rewrite(&mut self, layout: Layout, changes: Changes) -> Result<(), Failure> {
        let added = without_later_deleted(&changes.recipients);
        let old = self.writer.start();
        let file = self.writer.reader().map_err(|error| unreadable(&text::system_error(&error)))?;
        self.writer.begin_anew().map_err(|error| unreadable(&text::system_error(&error)))?;
        let deleted = changes.recipients.iter().filter_map(|change| match change {
            Change::Delete(address) => Some(address.as_slice()),
            Change::Add(..) => None,
        });
        let mut copying = Copying {
            reader: Reader::new(file),
            changes: &changes,
            deleted: deleted.collect(),
            pending: Vec::new(),
            original: Vec::new(),
        };
        copying.reader.seek(old);
        self.copy_records(&mut copying, Type::MESSAGE)?;
        self.writer.begin_content();
        self.copy_content(&mut copying.reader, &layout)?;
        self.writer.end_content();
        copying.reader.seek(layout.extracted);
        // The record that ends the content.
        copying.reader.next_record().map_err(|error| unreadable(&error))?;
        self.copy_records(&mut copying, Type::END)?;
        self.end_rewritten(&changes, &added).await
    }

    /// What was not in the old message.
    async fn end_rewritten(&mut self, changes: &Changes, added: &[&Change]) -> Result<(), Failure> {
        for (kind, value) in [(Type::FILTER, &changes.filter), (Type::REDIRECT, &changes.redirect)] {
            if let Some(value) = value {
                self.writer.mix();
                self.writer.put(kind, value);
            }
        }
        if let Some(sender) = &changes.sender {
            self.recipients.copy_for_sender(self.message, self.writer, &sender.address).await?;
        }
        for change in added {
            if let Change::Add(address, parameters) = change {
                self.recipients.add(self.message, self.envelope, self.writer, address, parameters).await?;
            }
        }
        self.recipients.copies_of(self.message, self.writer, &changes.copies).await;
        self.writer.put(Type::END, b"");
        Ok(())
    }

    /// Records up to one of this type.
    fn copy_records(&mut self, copying: &mut Copying<'_>, last: Type) -> Result<(), Failure> {
        loop {
            let record = copying.reader.next_record().map_err(|error| unreadable(&error))?;
            let Some((kind, data)) = record.map(|record| (record.kind, record.data.to_vec())) else {
                return Err(unreadable(&"it ends too early"));
            };
            match kind {
                kind if kind == last => return Ok(()),
                Type::SENDER => self.copy_sender(copying, &data),
                Type::ORIGINAL => copying.original = data,
                Type::RECIPIENT => self.copy_recipient(copying, &data),
                Type::ATTRIBUTE if PROPERTIES.iter().any(|start| data.starts_with(start)) => {
                    copying.pending.push(data);
                }
                Type::ATTRIBUTE if copying.replaces(&data) => {}
                Type::FILTER if copying.changes.filter.is_some() => {}
                Type::REDIRECT if copying.changes.redirect.is_some() => {}
                kind => self.writer.put(kind, &data),
            }
        }
    }

    fn copy_sender(&mut self, copying: &Copying<'_>, old: &[u8]) {
        let Some(sender) = &copying.changes.sender else { return self.writer.put(Type::SENDER, old) };
        utf8::sender(self.message, self.writer, &sender.address);
        self.writer.put(Type::SENDER, &sender.address);
        if let Some(envid) = &sender.parameters.envid {
            self.writer.put_attribute("envelope_id", envid);
        }
        if let Some(ret) = sender.parameters.ret.filter(|ret| *ret != Return::Unset) {
            self.writer.put_attribute("ret_flags", ret.bits().to_string().as_bytes());
        }
    }

    fn copy_recipient(&mut self, copying: &mut Copying<'_>, address: &[u8]) {
        let (pending, original) = (std::mem::take(&mut copying.pending), std::mem::take(&mut copying.original));
        if copying.deleted.contains(&original[..]) {
            return self.writer.count_deleted();
        }
        pending.iter().for_each(|property| self.writer.put(Type::ATTRIBUTE, property));
        self.writer.put_recipient(&original, address);
    }

    fn copy_content(&mut self, reader: &mut Reader<File>, layout: &Layout) -> Result<(), Failure> {
        for field in &layout.headers {
            match &field.text {
                Text::New(text) => {
                    utf8::header(self.message, self.writer, text);
                    self.writer.lines(text);
                }
                Text::Stored(start, end) => {
                    each(reader, *start, *end, |data, ends_line| self.writer.piece(data, ends_line))?;
                }
            }
        }
        if let Body::Stored(start, end) = layout.body {
            self.writer.line(b"");
            each(reader, start, end, |data, ends_line| self.writer.piece(data, ends_line))?;
        }
        Ok(())
    }
}

impl Copying<'_> {
    /// What the new sender brings along.
    fn replaces(&self, attribute: &[u8]) -> bool {
        self.changes.sender.as_ref().is_some_and(|sender| {
            attribute.starts_with(b"envelope_id=") && sender.parameters.envid.is_some()
                || attribute.starts_with(b"ret_flags=") && sender.parameters.ret.is_some()
        })
    }
}

/// Those who were added, and not taken away afterwards by their standard form, in their order.
fn without_later_deleted(changes: &[Change]) -> Vec<&Change> {
    let mut deleted_later: HashSet<&[u8]> = HashSet::new();
    let mut added: Vec<&Change> = Vec::new();
    for change in changes.iter().rev() {
        match change {
            Change::Add(address, _) if deleted_later.contains(&address[..]) => {}
            Change::Add(..) => added.push(change),
            Change::Delete(address) => {
                deleted_later.insert(address);
            }
        }
    }
    added.reverse();
    added
}

#[cfg(test)]
mod tests {
    use smtp_protocol::parameters::RcptParameters;

    use super::*;

    #[test]
    fn who_was_added_stays_unless_taken_away_afterwards() {
        let add = |address: &str| Change::Add(address.into(), RcptParameters::default());
        let delete = |address: &str| Change::Delete(address.into());
        let changes = [add("a"), add("b"), delete("a"), add("c"), add("a"), delete("c"), add("c"), delete("b")];
        let left = without_later_deleted(&changes).into_iter().map(|change| match change {
            Change::Add(address, _) => String::from_utf8_lossy(address).into_owned(),
            Change::Delete(_) => unreachable!("who is taken away is not added"),
        });
        assert_eq!(left.collect::<Vec<_>>(), ["a", "c"]);
    }
}
