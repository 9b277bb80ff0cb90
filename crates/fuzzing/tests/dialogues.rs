//! The law of a dialogue, with sessions that might be real: more of them get as far as a message than any bytes do.

use proptest::prelude::*;

/// What clients say, most of it in an order that makes sense.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("EHLO client.test".to_owned()),
        6 => Just("MAIL FROM:<a@b.test>".to_owned()),
        8 => Just("RCPT TO:<bob@ok.test>".to_owned()),
        4 => Just("DATA".to_owned()),
        3 => (0_u32..30).prop_map(|length| format!("BDAT {length}")),
        2 => (0_u32..30).prop_map(|length| format!("BDAT {length} LAST")),
        1 => Just("MAIL FROM:<> SIZE=99999".to_owned()),
        1 => Just("RCPT TO:<> NOTIFY=NEVER".to_owned()),
        1 => Just("XCLIENT NAME=x.test ADDR=2001:db8::1 LOGIN=fred".to_owned()),
        1 => Just("XFORWARD NAME=x.test SOURCE=LOCAL IDENT=7".to_owned()),
        1 => Just("VRFY <bob@ok.test>".to_owned()),
        1 => prop_oneof![
            Just("RSET"), Just("NOOP"), Just("HELO c"), Just("STARTTLS"), Just("AUTH PLAIN"), Just("ETRN x.test"),
            Just("HELP"), Just("QUIT"), Just("PING"), Just("GET / HTTP/1.1"), Just("Subject: x"), Just(""), Just("?"),
        ].prop_map(str::to_owned),
        1 => "\\PC{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_message_is_acknowledged_when_it_is_stored_and_only_then(
        choice: u8,
        answers in prop::collection::vec(prop_oneof![12 => Just(b'0'), 1 => b'1'..=b'7'], 0..40),
        lines in prop::collection::vec(line(), 1..30),
    ) {
        let script = lines.join("\n");
        fuzzing::smtp_dialogue(&[&[choice][..], &answers, b"\0", script.as_bytes()].concat());
    }
}
