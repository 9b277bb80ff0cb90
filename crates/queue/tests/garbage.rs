//! Laws over generated input: what is written is read back, and no bytes make a reader panic, hang or take memory
//! without bound.

use proptest::prelude::*;
use queue::delivery_log::{Entry, LogReader};
use queue::record::{self, Record};
use queue::{Content, Envelope, Limits, QueueId, QueueName, Reader, Type};

fn drain(bytes: &[u8]) -> usize {
    let mut reader = Reader::new(bytes);
    let mut count = 0;
    while let Ok(Some(Record { data, .. })) = reader.next_record() {
        assert!(data.len() <= record::MAX_PAYLOAD);
        count += 1;
        // Records of no length can be re-read through pointers only so often.
        assert!(count < 50_000_000);
    }
    count
}

fn read_everything(bytes: &[u8]) {
    drain(bytes);
    let limits = Limits { recipients: 2, attributes: 5 };
    for mut envelope in [Envelope::read(bytes, &limits), Envelope::read_submitted(bytes, &limits)].into_iter().flatten()
    {
        let mut rounds = 0;
        while envelope.resume.is_some() && rounds < 1000 {
            if envelope.read_more(bytes, &limits).is_err() {
                break;
            }
            rounds += 1;
        }
        let mut content = Content::new(bytes, envelope.data_offset);
        while let Ok(Some(_)) = content.next_text() {}
    }
}

fn kind() -> impl Strategy<Value = Type> {
    prop::sample::select(b"CTcFILSORD/WAK>MNwXreEpV<ion".to_vec()).prop_map(Type)
}

fn without_controls() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0x20u8..0x7f, 0..60)
}

proptest! {
    #[test]
    fn records_are_read_back_as_they_were_written(
        list in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..40)
    ) {
        let mut file = Vec::new();
        for (kind, payload) in &list {
            record::encode(&mut file, Type(*kind), payload);
        }
        let mut reader = Reader::new(&file).raw();
        for (kind, payload) in &list {
            let record = reader.next_record().unwrap().unwrap();
            prop_assert_eq!((record.kind, record.data), (Type(*kind), payload.as_slice()));
        }
        prop_assert!(reader.next_record().unwrap().is_none());
    }

    #[test]
    fn long_payloads_are_read_back(length in 0usize..100_000) {
        let payload = vec![b'x'; length];
        let mut file = Vec::new();
        record::encode(&mut file, Type::LINE, &payload);
        let mut reader = Reader::new(&file);
        prop_assert_eq!(reader.next_record().unwrap().unwrap().data, payload.as_slice());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        read_everything(&bytes);
        let _ = QueueId::parse(&bytes).and_then(|id| id.inode());
        let mut log = LogReader::new(bytes.as_slice(), QueueName::Defer);
        while let Ok(Some(_)) = log.next_entry() {}
    }

    #[test]
    fn arbitrary_records_never_panic(
        list in prop::collection::vec((kind(), "[ 0-9]{0,20}|[a-z_]{1,8}=[ -~]{0,9}"), 0..60)
    ) {
        let mut file = Vec::new();
        for (kind, payload) in &list {
            record::encode(&mut file, *kind, payload.as_bytes());
        }
        read_everything(&file);
    }

    #[test]
    fn log_entries_are_read_back(
        recipient in without_controls(), reason in without_controls(), text in without_controls(),
        offset: u64, notify in 0u32..16, compatible: bool,
    ) {
        let entry = Entry {
            recipient, offset,
            notify: dsn::Notify::from_stored(notify),
            status: b"4.4.1".to_vec(),
            action: b"delayed".to_vec(),
            diagnostic: (b"smtp".to_vec(), [b"x".to_vec(), text].concat()),
            reason: [b"r".to_vec(), reason].concat(),
            ..Entry::default()
        };
        let paragraphs = [entry.encode(compatible), entry.encode(compatible)].concat();
        let mut reader = LogReader::new(paragraphs.as_slice(), QueueName::Defer);
        for _ in 0..2 {
            let mut read = reader.next_entry().unwrap().unwrap();
            if read.recipient.is_empty() && entry.recipient == b"<>" {
                read.recipient = b"<>".to_vec();
            }
            prop_assert_eq!(&read, &entry);
        }
        prop_assert!(reader.next_entry().unwrap().is_none());
    }
}

#[test]
fn a_loop_of_pointers_ends() {
    let mut file = Vec::new();
    record::encode(&mut file, Type::LINE, b"x");
    record::encode(&mut file, Type::POINTER, b"              1");
    // The pointer leads to the length byte of the line, which is read as a record, and so on.
    drain(&file);
    let mut file = Vec::new();
    record::encode(&mut file, Type::LINE, b"x");
    let target = file.len();
    record::encode(&mut file, Type::LINE, b"y");
    record::encode(&mut file, Type::POINTER, format!("{target:15}").as_bytes());
    assert!(drain(&file) < 20_000);
    let mut file = vec![b'N', 0];
    record::encode(&mut file, Type::POINTER, b"              2");
    assert!(drain(&file) < 20_000);
}

#[test]
fn a_length_that_no_file_has_takes_no_memory() {
    for file in [&b"N\xff\xff\xff\x7f"[..], b"N\xff\xff\xff\xff\x01", b"N\xff\xff\x3f", b"N\x80"] {
        assert!(Reader::new(file).next_record().is_err());
    }
}

#[test]
fn recipients_beyond_the_limit_are_read_later_and_only_once() {
    let mut file = queue::SizeRecord::default().encode();
    record::encode(&mut file, Type::TIME, b"1795345978 892203");
    record::encode(&mut file, Type::SENDER, b"");
    for number in 0..7 {
        record::encode_attribute(&mut file, "notify_flags", b"2");
        record::encode(
            &mut file,
            if number == 3 { Type::DONE } else { Type::RECIPIENT },
            format!("{number}").as_bytes(),
        );
    }
    record::encode(&mut file, Type::MESSAGE, b"");
    let data_offset = file.len() as u64;
    record::encode(&mut file, Type::LINE, b"");
    let data_size = file.len() as u64 - data_offset;
    record::encode(&mut file, Type::EXTRACTED, b"");
    for number in 7..12 {
        record::encode(&mut file, Type::RECIPIENT, format!("{number}").as_bytes());
    }
    record::encode_attribute(&mut file, "encoding", b"8bit");
    record::encode(&mut file, Type::END, b"");
    let size = queue::SizeRecord { data_size, data_offset, ..Default::default() };
    file[..97].copy_from_slice(&size.encode());

    for limit in 1..13 {
        let limits = Limits { recipients: limit, ..Limits::default() };
        let mut envelope = Envelope::read(&file, &limits).unwrap();
        assert_eq!(envelope.encoding(), queue::Encoding::EightBit);
        let mut seen = Vec::new();
        loop {
            assert!(envelope.recipients.len() <= limit);
            for recipient in &envelope.recipients {
                let text = std::str::from_utf8(&recipient.address).unwrap();
                let number: u32 = text.parse().unwrap();
                assert_eq!(recipient.notify.bits(), if number < 7 { 2 } else { 0 });
                seen.push(number);
            }
            if envelope.resume.is_none() {
                break;
            }
            envelope.read_more(&file, &limits).unwrap();
        }
        assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(envelope.finished, 1);
    }
}

proptest! {
    #[test]
    fn what_was_encoded_is_read_back_from_memory(records in prop::collection::vec(
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..20,
    )) {
        let mut bytes = Vec::new();
        for (kind, payload) in &records {
            record::encode(&mut bytes, Type(*kind), payload);
        }
        let (mut rest, mut read) = (&bytes[..], Vec::new());
        while let Some((kind, payload, after)) = record::split_first(rest) {
            read.push((kind.0, payload.to_vec()));
            rest = after;
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(read, records);
    }

    #[test]
    fn any_bytes_in_memory_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut rest = &bytes[..];
        while let Some((_, _, after)) = record::split_first(rest) {
            prop_assert!(after.len() < rest.len());
            rest = after;
        }
    }
}
