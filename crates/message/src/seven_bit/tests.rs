//! The conversion, against what Postfix 3.11 made of the same messages.

use proptest::prelude::*;

use super::*;

const LEVELS: usize = 102;
const LIMITS: Limits = Limits { nesting: LEVELS, boundary: 2048 };

/// Converts lines, each in pieces of this many bytes at most; `\n` ends a line.
fn in_pieces(text: &[u8], size: usize) -> Result<Vec<u8>, Unreadable> {
    let mut out = Vec::new();
    let mut emit = |data: &[u8], ends: bool| {
        out.extend_from_slice(data);
        if ends {
            out.push(b'\n');
        }
    };
    let mut converter = Converter::new(LIMITS);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.is_empty() {
            converter.text(b"", true, &mut emit)?;
        }
        let count = line.chunks(size).count();
        for (at, piece) in line.chunks(size).enumerate() {
            converter.text(piece, at + 1 == count, &mut emit)?;
        }
    }
    converter.end(&mut emit)?;
    Ok(out)
}

fn converted(text: &str) -> String {
    String::from_utf8(in_pieces(text.as_bytes(), usize::MAX).unwrap()).unwrap()
}

/// `8:` stands for a field of 8bit, `Q:` for quoted-printable, `7:` for 7bit, `B:` for binary.
fn short(text: &str) -> String {
    let field = |text: String, from: &str, encoding: Encoding| {
        text.replace(from, &format!("Content-Transfer-Encoding: {}\n", encoding.name()))
    };
    let text = field(text.to_owned(), "8:\n", Encoding::EightBit);
    let text = field(field(text, "Q:\n", Encoding::QuotedPrintable), "7:\n", Encoding::SevenBit);
    field(text, "B:\n", Encoding::Binary).replace("MP:", "Content-Type: multipart/mixed; boundary=b\n")
}

fn becomes(from: &str, to: &str) {
    assert_eq!(converted(&short(from)), short(to), "{from}");
}

fn stays(text: &str) {
    becomes(text, text);
}

#[test]
fn a_body_that_calls_itself_8bit_or_binary_becomes_quoted_printable() {
    becomes("S: x\n8:\n\ngrü = 1  \nx\n", "S: x\nQ:\n\ngr=C3=BC =3D 1 =20\nx\n");
    becomes("B:\n\n\t\n", "Q:\n\n=09\n");
    becomes("8:\n\n", "Q:\n\n");
    becomes("content-TRANSFER-encoding : 8Bit (c)\n\n=\n", "Q:\n\n=3D\n");
    becomes("Content-Transfer-Encoding:\n 8bit\nX: y\n z\n\n=\n", "X: y\n z\nQ:\n\n=3D\n");
}

#[test]
fn what_no_header_calls_8bit_passes_as_it_is() {
    for header in ["", "7:\n", "Q:\n", "Content-Transfer-Encoding: base64\n", "Content-Transfer-Encoding: x-odd\n"] {
        stays(&format!("S: ü\n{header}\nü = 1  \n"));
    }
    stays("Content-Transfer-Encoding: \"8bit\"\n\nü=\n");
    stays("Content-Transfer-Encoding:\n\nü=\n");
}

#[test]
fn the_last_known_encoding_counts() {
    becomes("8:\n7:\n\nü=\n", "7:\n\nü=\n");
    becomes("7:\n8:\n\n=\n", "7:\nQ:\n\n=3D\n");
    becomes("8:\nContent-Transfer-Encoding: x\n\n=\n", "Q:\n\n=3D\n");
}

#[test]
fn what_contains_parts_says_7bit_and_its_parts_are_converted_one_by_one() {
    becomes(
        "MP:8:\n\npre ü\n--b\n8:\n\nü=\n--b\n\nü=\n--b--\nepi ü=\n",
        "MP:7:\n\npre ü\n--b\nQ:\n\n=C3=BC=3D\n--b\n\nü=\n--b--\nepi ü=\n",
    );
    // The encoding of a multipart does not matter for its parts.
    becomes("MP:Q:\n\n--b\n8:\n\n=\n--b--\n", "MP:Q:\n\n--b\nQ:\n\n=3D\n--b--\n");
    // The inner one ends where the outer goes on.
    becomes(
        "MP:8:\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n8:\n\n=\n--b\n8:\n\n=\n--c\n",
        "MP:7:\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nQ:\n\n=3D\n--b\nQ:\n\n=3D\n--c\n",
    );
    // A boundary may be folded.
    let folded = "Content-Type: multipart/mixed;\n\tboundary=\"b\n c\"\n";
    becomes(&format!("{folded}\n--b c\n8:\n\n=\n--b c--\n"), &format!("{folded}\n--b c\nQ:\n\n=3D\n--b c--\n"));
    // A multipart without a boundary has no parts that anybody could find.
    becomes(
        "Content-Type: multipart/mixed\n8:\n\n--b\n8:\n\nü=\n",
        "Content-Type: multipart/mixed\n7:\n\n--b\n8:\n\nü=\n",
    );
}

#[test]
fn a_message_within_is_read_as_one() {
    let message = "Content-Type: message/rfc822\n";
    becomes(&format!("{message}8:\n\nS: x\n8:\n\n=\n"), &format!("{message}7:\n\nS: x\nQ:\n\n=3D\n"));
    becomes(&format!("{message}\nS: x\n8:\n"), &format!("{message}\nS: x\nQ:\n"));
    let digest = "Content-Type: multipart/digest; boundary=b\n";
    becomes(&format!("{digest}\n--b\n\nS: x\n8:\n\n=\n--b--\n"), &format!("{digest}\n--b\n\nS: x\nQ:\n\n=3D\n--b--\n"));
}

#[test]
fn other_messages_are_bodies() {
    let partial = "Content-Type: message/partial; id=1\n";
    becomes(&format!("{partial}8:\n\nS: =\n"), &format!("{partial}7:\n\nS: =3D\n"));
    let global = "Content-Type: message/global\n";
    becomes(&format!("{global}8:\n\n8:\n\n=\n"), &format!("{global}Q:\n\nContent-Transfer-Encoding: 8bit\n\n=3D\n"));
    becomes(&format!("{global}\n8:\n\n=\n"), &format!("{global}\nQ:\n\n=3D\n"));
}

#[test]
fn a_header_ends_at_the_first_line_that_is_no_field() {
    becomes("MP:\n--b\n8:\nno field =\n\nü\n--b--\n", "MP:\n--b\nQ:\nno field =3D\n\n=C3=BC\n--b--\n");
    becomes("MP:\n--b\nno field =\n8:\n\nü\n--b--\n", "MP:\n--b\nno field =\n8:\n\nü\n--b--\n");
    becomes("MP:\n--b\n8:\n--b--\n", "MP:\n--b\nQ:\n--b--\n");
    stays("MP:\n--b\n blank first\n8:\n\nü\n--b--\n");
    becomes("MP:\n--b\nX\t : y\n\nz\n", "MP:\n--b\nX: y\n\nz\n");
}

#[test]
fn lines_are_broken_before_they_are_too_long() {
    let x = |count: usize| "x".repeat(count);
    let cases = [
        (x(73), x(73)),
        (x(74), format!("{}=\nx", x(73))),
        (format!("{}=", x(72)), format!("{}=3D", x(72))),
        (format!("{}=", x(73)), format!("{}=\n=3D", x(73))),
        (format!("{} ", x(72)), format!("{}=20", x(72))),
        (format!("{} ", x(73)), format!("{}=\n=20", x(73))),
        (format!("{} y", x(72)), format!("{} =\ny", x(72))),
        ("=".repeat(26), format!("{}=\n=3D", "=3D".repeat(25))),
    ];
    for (line, quoted) in cases {
        becomes(&format!("8:\n\n{line}\n"), &format!("Q:\n\n{quoted}\n"));
    }
}

#[test]
fn control_characters_are_quoted_and_the_tab_is_not() {
    becomes("8:\n\n\0\x01\ta\x7f\n", "Q:\n\n=00=01\ta=7F\n");
}

#[test]
fn nesting_beyond_the_limit_is_an_error() {
    let nested = |count: usize| {
        let level = |n| format!("Content-Type: multipart/mixed; boundary=n{n:03}_\n\n--n{n:03}_\n");
        (0..count).map(level).collect::<String>()
    };
    assert!(in_pieces(nested(LEVELS).as_bytes(), usize::MAX).is_ok());
    assert_eq!(in_pieces(nested(LEVELS + 1).as_bytes(), usize::MAX), Err(Unreadable::TooDeep));
}

#[test]
fn a_field_that_is_not_read_as_a_whole_is_an_error() {
    let field = |name: &str, length: usize| format!("{name}:{}\n\nbody\n", "x".repeat(length));
    assert!(in_pieces(field("Content-Type", LONGEST_FIELD).as_bytes(), 1000).is_ok());
    assert_eq!(in_pieces(field("Content-Type", LONGEST_FIELD + 1).as_bytes(), 1000), Err(Unreadable::LongField));
    assert!(in_pieces(field("Subject", LONGEST_FIELD + 1).as_bytes(), 1000).is_ok());
}

#[test]
fn an_endless_field_is_decided_by_its_beginning_and_takes_no_memory() {
    let tail = format!("({}\n\n=\n", "x".repeat(3 * LONGEST_FIELD));
    let eight = format!("Content-Transfer-Encoding: 8bit {tail}");
    assert_eq!(in_pieces(eight.as_bytes(), 1000).unwrap(), short("Q:\n\n=3D\n").into_bytes());
    let odd = format!("Content-Transfer-Encoding: odd {tail}");
    assert_eq!(in_pieces(odd.as_bytes(), 1000).unwrap(), odd.as_bytes());
}

/// Reads quoted-printable.
fn unquoted(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'=', [b'\n', after @ ..]) => rest = after,
            (b'=', [high, low, after @ ..]) => {
                out.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

proptest! {
    #[test]
    fn what_is_quoted_means_the_same_in_short_ascii_lines(body: Vec<u8>) {
        let mut text = short("8:\n\n").into_bytes();
        let start = short("Q:\n\n").len();
        text.extend_from_slice(&body);
        text.push(b'\n');
        let quoted = in_pieces(&text, usize::MAX).unwrap();
        prop_assert!(quoted.is_ascii());
        prop_assert!(quoted[start..].split(|byte| *byte == b'\n').all(|line| line.len() <= 76 && !line.ends_with(b" ")));
        prop_assert_eq!(unquoted(&quoted[start..]), [&body[..], b"\n"].concat());
    }

    #[test]
    fn pieces_make_no_difference(text in "([8BQ7]:\n|\n|MP:|--b\n|--b--\n|x{60,70}\n|[=ü \t]{1,90}\n|y\n){0,40}", size in 1usize..9) {
        let text = short(&text);
        let whole = in_pieces(text.as_bytes(), usize::MAX);
        // A boundary or a name that is cut in two is none: pieces are longer than both, as records of a queue file are.
        prop_assert_eq!(in_pieces(text.as_bytes(), size + 40), whole);
    }

    #[test]
    fn no_message_panics(text: Vec<u8>, size in 1usize..30) {
        let _ = in_pieces(&text, size);
    }
}
