//! Queue files as real systems wrote them: what is read from them, and that writing them again gives the same bytes.
//!
//! Each fixture has beside it what `postcat -o` printed for it.

use std::path::{Path, PathBuf};

use queue::record::{self, Record};
use queue::{Content, Envelope, Limits, Reader, Trace, Type};

fn fixtures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "postcat"))
        .map(|path| path.with_extension(""))
        .collect();
    files.sort();
    assert_eq!(files.len(), 8);
    files
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// All records up to the last one: type, offset, position, payload.
fn records(file: &[u8]) -> Vec<(Type, u64, u64, Vec<u8>)> {
    let mut reader = Reader::new(file);
    let mut found = Vec::new();
    while let Some(Record { kind, offset, position, data }) = reader.next_record().unwrap() {
        found.push((kind, offset, position, data.to_vec()));
        if kind == Type::END {
            break;
        }
    }
    found
}

#[test]
fn the_reader_sees_what_postcat_prints() {
    for path in fixtures() {
        let file = std::fs::read(&path).unwrap();
        let expected = std::fs::read(path.with_extension("postcat")).unwrap();
        let printed = print(&records(&file));
        let expected: Vec<_> = expected.split(|b| *b == b'\n').filter(|line| !line.is_empty()).skip(1).collect();
        assert_eq!(printed.len(), expected.len(), "{}", path.display());
        for (ours, theirs) in printed.iter().zip(expected) {
            let position = &theirs[..9];
            assert_eq!(&ours[..9], position, "{}", path.display());
            // Names of files and times depend on where and when; all other text is the same.
            let variable = ["***", "_time:"].iter().any(|word| String::from_utf8_lossy(theirs).contains(word));
            assert!(variable || ours == theirs, "{}: {:?} {:?}", path.display(), text(ours), text(theirs));
        }
    }
}

#[test]
fn records_encode_to_the_bytes_they_were_read_from() {
    for path in fixtures() {
        let file = std::fs::read(&path).unwrap();
        let mut whole = Vec::new();
        for (kind, offset, _, data) in records(&file) {
            let mut encoded = Vec::new();
            record::encode(&mut encoded, kind, &data);
            let start = usize::try_from(offset).unwrap();
            assert_eq!(encoded, file[start..start + encoded.len()], "{} at {offset}", path.display());
            whole.extend(encoded);
        }
        // The file that a filter edited has pointers and dead space.
        if !path.ends_with("deferred-836B2552180") {
            assert_eq!(whole, file, "{}", path.display());
        }
    }
}

#[test]
fn the_envelope_holds_sender_recipients_and_attributes() {
    let file = fixture("deferred-5768855217D");
    let envelope = Envelope::read(&file, &Limits::default()).unwrap();
    let size = envelope.size.unwrap();
    assert_eq!((size.data_size, size.data_offset, size.recipients, size.flags), (338, 826, 2, 12));
    assert_eq!(envelope.sender, b"alice@example.test");
    assert_eq!(envelope.arrival.0, 1_795_348_674);
    assert_eq!(envelope.create_time, 1_795_348_674);
    assert_eq!(envelope.envelope_id(), b"QQ314159");
    assert_eq!(envelope.returned(), dsn::Return::Headers);
    assert_eq!(envelope.encoding(), queue::Encoding::EightBit);
    assert_eq!(envelope.attribute("log_client_port"), Some(&b"52233"[..]));
    assert_eq!(envelope.warning_time.map(|w| (w.offset, w.value)), Some((653, 1_795_363_074)));
    assert_eq!(envelope.finished, 1);
    assert_eq!(envelope.resume, None);
    let [recipient] = envelope.recipients.as_slice() else { panic!() };
    assert_eq!(recipient.address, b"later@defer.test");
    assert_eq!(recipient.original, b"later@defer.test");
    assert_eq!(recipient.dsn.as_stored(), b"rfc822;later@defer.test");
    // NOTIFY belonged to the recipient before.
    assert_eq!((recipient.notify, recipient.offset), (dsn::Notify::UNSET, 806));
}

#[test]
fn an_edited_file_reads_as_the_filter_left_it() {
    let file = fixture("deferred-836B2552180");
    let envelope = Envelope::read(&file, &Limits::default()).unwrap();
    assert_eq!(envelope.sender, b"newsender@example.test");
    assert_eq!(envelope.recipients.len(), 1);
    assert_eq!(envelope.finished, 2);
    let mut content = Content::new(&file, envelope.data_offset);
    let mut lines = Vec::new();
    while let Some(line) = content.next_text().unwrap() {
        assert!(line.ends_line);
        lines.push(String::from_utf8(line.data.to_vec()).unwrap());
    }
    assert_eq!(lines[3..6], ["X-Ins: inserted at 1", "From: Alice <alice@example.test>", "Subject: changed subject"]);
    assert_eq!(lines[8..], ["X-Add: appended", "", "New body line 1", "New body line 2"]);
}

#[test]
fn recipients_found_in_the_content_are_recipients() {
    let file = fixture("deferred-6EFFF552045");
    let envelope = Envelope::read(&file, &Limits::default()).unwrap();
    assert_eq!(envelope.recipients.len(), 1);
    assert_eq!(envelope.recipients[0].offset, 5722);
    assert_eq!(envelope.full_name.as_deref(), Some(&b""[..]));
    // The trace request was answered.
    assert_eq!(envelope.trace_flags, None);

    let file = fixture("maildrop-A63DC552175");
    let envelope = Envelope::read_submitted(&file, &Limits::default()).unwrap();
    assert_eq!(envelope.recipients.iter().map(|r| r.offset).collect::<Vec<_>>(), [5141, 5159]);
    assert_eq!(envelope.trace_flags.map(|t| (t.offset, t.value)), Some((51, Trace::RECORD)));
    assert_eq!(envelope.data_offset, 71);
}

#[test]
fn a_maildrop_file_has_no_size_record_and_is_not_read_as_a_queue_file() {
    let file = fixture("maildrop-889B9552174");
    let envelope = Envelope::read_submitted(&file, &Limits::default()).unwrap();
    assert_eq!(envelope.verp.as_deref(), Some(&b"+="[..]));
    assert_eq!(envelope.size, None);
    assert!(Envelope::read(&file, &Limits::default()).is_err());
}

#[test]
fn a_truncated_file_is_never_a_message() {
    for path in fixtures() {
        let file = std::fs::read(&path).unwrap();
        let end = records(&file).last().unwrap().1;
        for length in 0..usize::try_from(end).unwrap() {
            let cut = &file[..length];
            assert!(Envelope::read(cut, &Limits::default()).is_err());
            assert!(Envelope::read_submitted(cut, &Limits::default()).is_err());
        }
    }
}

fn print(records: &[(Type, u64, u64, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut in_content = false;
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for (kind, _, position, data) in records {
        let mut line = format!("{position:9} ").into_bytes();
        match *kind {
            Type::MESSAGE | Type::EXTRACTED | Type::END => {
                in_content = *kind == Type::MESSAGE;
                line.extend(b"***");
            }
            Type::LINE | Type::PARTIAL if in_content => line.extend(data),
            Type::ATTRIBUTE if data.starts_with(b"create_time=") => line.extend(b"create_time:"),
            kind => {
                line.extend(kind.name().unwrap().bytes());
                line.extend(b": ");
                line.extend(data);
            }
        }
        lines.push(line);
    }
    lines
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_outline_is_the_envelope_without_its_attributes() {
    let limits = Limits::default();
    let messages = fixtures().into_iter().filter(|path| path.to_string_lossy().contains("/deferred-"));
    for file in messages.map(|path| std::fs::read(path).unwrap()) {
        let mut whole = Envelope::read(&file, &limits).unwrap();
        let attributes = std::mem::take(&mut whole.attributes);
        assert_eq!(Envelope::read_outline(&file, &limits).unwrap(), whole);
        // They are counted all the same.
        let fewer = Limits { attributes: attributes.len() - 1, ..limits };
        assert!(matches!(Envelope::read_outline(&file, &fewer), Err(queue::EnvelopeError::Attributes)));
    }
}
