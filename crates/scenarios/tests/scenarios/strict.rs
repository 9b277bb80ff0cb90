//! Mail that breaks the rules of MIME: refused where strictness is asked for, repaired or converted where that is.

use scenarios::scenario;
use testing::{Client, Instance, Setup};

/// What the server says at the end of this message.
fn verdict(mail: &Instance, text: &[u8]) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    for (command, code) in [
        ("EHLO far.test", 250),
        ("MAIL FROM:<carol@mail.test>", 250),
        ("RCPT TO:<alice@mail.test>", 250),
        ("DATA", 354),
    ] {
        assert_eq!(client.command(command).expect("reply").code, code, "{command}");
    }
    let text: Vec<u8> = text.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
    client.write(&text).expect("written");
    client.write(b"\r\n.\r\n").expect("written");
    client.reply().expect("reply").last().trim_end().to_owned()
}

/// Messages, and what refuses them; `None` is accepted.
type Cases<'a> = &'a [(&'a [u8], Option<&'a str>)];

fn play(mail: &Instance, cases: Cases<'_>) {
    for (text, refusal) in cases {
        let reply = verdict(mail, text);
        let shown = String::from_utf8_lossy(text);
        match refusal {
            Some(why) => assert_eq!(reply, format!("550 5.6.0 {why}"), "{shown}"),
            None => assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply} to {shown}"),
        }
    }
}

const HEADER: Option<&str> = Some("improper use of 8-bit data in message header");
const BODY: Option<&str> = Some("improper use of 8-bit data in message body");
const DOMAIN: Option<&str> = Some("invalid message/* or multipart/* encoding domain");

#[test]
fn eight_bit_text_is_refused_in_any_header_and_in_bodies_that_do_not_speak_of_it() {
    scenario(|| {
        let mail = Setup::new().set("strict_8bitmime", "yes").start();
        play(
            &mail,
            &[
                (b"Subject: h\xe9llo\n\nbody", HEADER),
                (b"Content-Type: message/rfc822\n\nSubject: \xe9\n\nbody", HEADER),
                (b"Content-Type: multipart/mixed; boundary=b\n\n--b\nX-One: \xe9\n\nbody\n--b--", HEADER),
                (b"Subject: x\n\nb\xe9dy", BODY),
                (b"Subject: x\nb\xe9dy", BODY),
                (b"Content-Transfer-Encoding: 7bit\n\nb\xe9dy", BODY),
                (b"Content-Transfer-Encoding: x-new\n\nb\xe9dy", BODY),
                (b"Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: 7bit\n\nb\xe9dy", BODY),
                (b"Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: x-new\n\nb\xe9dy", None),
                (b"Content-Transfer-Encoding: 8bit\n\nb\xe9dy", None),
                (b"Content-Transfer-Encoding: binary\n\nb\xe9dy", None),
                (b"Content-Transfer-Encoding: quoted-printable\n\nb\xe9dy", None),
                (b"Content-Type: message/partial\nContent-Transfer-Encoding: 8bit\n\nSubject: \xe9\n\nb\xe9", None),
                (b"Content-Type: message/partial\n\nSubject: \xe9\n\nb\xe9", BODY),
                (b"Content-Type: message/rfc822\n\nContent-Transfer-Encoding: 8bit\n\nb\xe9dy", None),
                (b"Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nX: y\n\nb\xe9dy", BODY),
            ],
        );
        // What a multipart says of its encoding is for the parts, each of which speaks for itself.
        let multipart = b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n";
        for (text, refusal) in [
            (&b"pr\xe9\n--b\n\nbody\n--b--"[..], BODY),
            (b"--b\n\nb\xe9dy\n--b--", BODY),
            (b"--b\nContent-Transfer-Encoding: 8bit\n\nb\xe9dy\n--b--", None),
            (b"--b\nContent-Transfer-Encoding: 8bit\n\nb\xe9dy\n--b\n\nb\xe9dy\n--b--", BODY),
            (b"--b\nContent-Transfer-Encoding: 8bit\n\nbody\n--b--\np\xf6st", BODY),
        ] {
            play(&mail, &[(&[&multipart[..], text].concat(), refusal)]);
        }
        let line =
            mail.wait_log(&["reject: mime-error improper use of 8-bit data in message header: Subject: h?llo from"]);
        assert!(line.ends_with("from=<carol@mail.test> to=<alice@mail.test>"), "{line}");
    });
}

#[test]
fn header_and_body_are_judged_apart() {
    scenario(|| {
        let (header, body) = (&b"Subject: h\xe9llo\n\nbody"[..], &b"Subject: x\n\nb\xe9dy"[..]);
        let mail = Setup::new().set("strict_7bit_headers", "yes").start();
        play(&mail, &[(header, HEADER), (body, None)]);
        let mail = Setup::new().set("strict_8bitmime_body", "yes").start();
        play(&mail, &[(header, None), (body, BODY)]);
    });
}

#[test]
fn what_contains_parts_may_not_be_encoded_where_domains_are_strict() {
    scenario(|| {
        let mail = Setup::new().set("strict_mime_encoding_domain", "yes").start();
        for (kind, encoding, refusal) in [
            ("multipart/mixed; boundary=b", "quoted-printable", DOMAIN),
            ("multipart/x; boundary=b", "BASE64 (c)", DOMAIN),
            ("multipart/mixed; boundary=b", "8bit", None),
            ("message/rfc822", "base64", DOMAIN),
            ("message/rfc822", "x-new", None),
            ("message/global", "base64", None),
            ("message/partial", "8bit", DOMAIN),
            ("message/partial", "quoted-printable", None),
            ("message/external-body", "binary", DOMAIN),
            ("message/delivery-status", "base64", None),
        ] {
            let text = format!("Content-Transfer-Encoding: {encoding}\nContent-Type: {kind}\n\n--b\n\nbody\n--b--");
            play(&mail, &[(text.as_bytes(), refusal)]);
        }
        mail.wait_log(&["reject: mime-error invalid message/* or multipart/* encoding domain: base64 from"]);
    });
}

#[test]
fn strictness_is_for_the_mail_of_others_and_only_where_parts_are_looked_at() {
    scenario(|| {
        let strict = || Setup::new().set("strict_8bitmime", "yes").set("strict_mime_encoding_domain", "yes");
        let wrong =
            b"Subject: \xe9\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n\xe9";
        for (name, value) in
            [("disable_mime_input_processing", "yes"), ("receive_override_options", "no_header_body_checks")]
        {
            let mail = strict().set(name, value).start();
            play(&mail, &[(wrong, None)]);
        }
        let mail = strict().start();
        let text = "Subject: hello\n\nb\u{e9}dy\n";
        mail.sendmail(&["-f", "carol@mail.test", "alice@mail.test"], text);
        let line = mail.wait_log(&["to=<alice@mail.test>, relay=none"]);
        let status = "dsn=5.6.0, status=bounced (improper use of 8-bit data in message body)";
        assert!(line.ends_with(status), "{line}");
        // The notification has the header of the message, and is not judged.
        assert_eq!(mail.wait_mail("carol", 1).len(), 1);
    });
}

#[test]
fn a_header_that_ends_in_a_line_of_text_is_repaired_marked_or_refused() {
    scenario(|| {
        let text = b"Subject: hello\nno header\nmore";
        let mail = Setup::new().set("non_empty_end_of_header_action", "reject").start();
        play(
            &mail,
            &[(text, Some("primary header was terminated with non-empty line")), (b"Subject: x\n\nbody", None)],
        );
        mail.wait_log(&["reject: mime-error primary header was terminated with non-empty line: no header from"]);
        for (action, marks) in [("fix_quietly", 0), ("add_header", 1)] {
            let mail = Setup::new().set("non_empty_end_of_header_action", action).start();
            play(&mail, &[(text, None)]);
            let message = mail.wait_mail("alice", 1).remove(0);
            assert_eq!((message.body(), message.header("Subject").as_deref()), ("no header\nmore\n", Some("hello")));
            let mark = "\nMIME-Error: message header was not terminated by empty line\n\n";
            assert_eq!(message.0.matches(mark).count(), marks, "{}", message.0);
        }
        let mail = Setup::new()
            .set("non_empty_end_of_header_action", "reject")
            .set("receive_override_options", "no_header_body_checks")
            .start();
        play(&mail, &[(text, None)]);
    });
}

#[test]
fn text_that_calls_itself_8_bit_is_quoted_printable_before_anybody_looks_at_it() {
    scenario(|| {
        let mail = Setup::new()
            .set("force_mime_input_conversion", "yes")
            .set("header_checks", "regexp:{{/^Content-Transfer-Encoding: quoted/ WARN}}")
            .set("body_checks", "regexp:{{/^one=E9/ WARN}}")
            .start();
        let text =
            b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: 8bit\n\none\xe9\n--b\n\n\
                     two\xe9\n--b--";
        play(&mail, &[(text, None)]);
        let converted = "--b\nContent-Transfer-Encoding: quoted-printable\n\none=E9\n--b\n\ntwo\u{fffd}\n--b--\n";
        assert_eq!(mail.wait_mail("alice", 1).remove(0).body(), converted);
        mail.wait_log(&["warning: header Content-Transfer-Encoding: quoted-printable from"]);
        mail.wait_log(&["warning: body one=E9 from"]);
        play(&mail, &[(b"Content-Transfer-Encoding: binary\nSubject: x\nfor\xe9", None)]);
        let messages = mail.wait_mail("alice", 2);
        assert!(messages.iter().any(|message| message.body() == "for=E9\n"), "{messages:?}");
    });
}

/// The fields and lines that checks have seen of the mail that is named, each with the list that it was looked up in.
fn checked(mail: &Instance, subject: &str) -> Vec<String> {
    let line = mail.wait_log(&[&format!("warning: header Subject: {subject} from")]);
    let id = line.split("]: ").nth(1).and_then(|rest| rest.split(':').next()).expect("a queue id").to_owned();
    mail.wait_log(&[&id, ": removed"]);
    let (log, wanted) = (mail.log(), format!("{id}: warning: "));
    let seen = log.lines().filter_map(|line| line.split_once(&wanted)).map(|(_, seen)| seen);
    let shown = seen.filter_map(|seen| {
        let (text, rest) = seen.rsplit_once(" from ")?;
        Some(format!("{}: {text}", rest.rsplit(": ").next()?))
    });
    shown.filter(|text| !text.contains("header Received:")).collect()
}

#[test]
fn what_a_conversion_adds_is_looked_up_as_a_field_of_the_header_that_it_is_in_and_what_it_removes_is_not() {
    scenario(|| {
        let list = |name: &str| format!("regexp:{{{{/./ WARN {name}}}}}");
        let mail = Setup::new()
            .set("force_mime_input_conversion", "yes")
            .set("header_checks", list("whole"))
            .set("mime_header_checks", list("mime"))
            .set("nested_header_checks", list("nested"))
            .set("body_checks", list("body"))
            .start();
        let text = "Subject: plain\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\nX-After: y\n\ngr\u{fc}n";
        play(&mail, &[(text.as_bytes(), None)]);
        assert_eq!(
            checked(&mail, "plain"),
            [
                "whole: header Subject: plain",
                "mime: header MIME-Version: 1.0",
                "whole: header X-After: y",
                "whole: header Content-Transfer-Encoding: quoted-printable",
                "body: body gr=C3=BCn",
            ]
        );
        let text = "Subject: parts\nContent-Transfer-Encoding: 8bit\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\
                    Content-Transfer-Encoding: 8bit\nX-Part: 1\n\n\u{fc}\n--b\nContent-Type: message/rfc822\n\
                    Content-Transfer-Encoding: 8bit\n\nSubject: within\nContent-Transfer-Encoding: 8bit\n\n\u{fc}\n--b--";
        play(&mail, &[(text.as_bytes(), None)]);
        assert_eq!(
            checked(&mail, "parts"),
            [
                "whole: header Subject: parts",
                "mime: header Content-Type: multipart/mixed; boundary=b",
                "whole: header Content-Transfer-Encoding: 7bit",
                "body: body --b",
                "mime: header X-Part: 1",
                "mime: header Content-Transfer-Encoding: quoted-printable",
                "body: body =C3=BC",
                "body: body --b",
                "mime: header Content-Type: message/rfc822",
                "mime: header Content-Transfer-Encoding: 7bit",
                "nested: header Subject: within",
                "nested: header Content-Transfer-Encoding: quoted-printable",
                "body: body =C3=BC",
                "body: body --b--",
            ]
        );
        // What says nothing of eight bits is looked up as it came.
        let text = "Subject: silent\nContent-Transfer-Encoding: 7bit\n\ngr\u{fc}n";
        play(&mail, &[(text.as_bytes(), None)]);
        let expected = ["mime: header Content-Transfer-Encoding: 7bit", "body: body gr\u{fc}n"];
        assert_eq!(checked(&mail, "silent")[1..], expected);
    });
}

#[test]
fn boundaries_are_known_by_as_much_of_them_as_the_limit_says() {
    scenario(|| {
        let mail = Setup::new()
            .set("mime_boundary_length_limit", "3")
            .set("header_checks", "regexp:{{/^X-(One|Three):/ WARN}, {/^X-Two:/ REJECT}}")
            .start();
        let text = b"Content-Type: multipart/mixed; boundary=abcdef\n\n--abcxyz\nX-One: 1\n\nX-Two: body\n--abc--ef\n\
                     X-Two: behind the end";
        play(&mail, &[(text, None)]);
        mail.wait_log(&["warning: header X-One: 1 from"]);
    });
}

#[test]
fn a_header_with_too_many_addresses_keeps_the_first_of_them() {
    scenario(|| {
        let mail = Setup::new().set("header_address_token_limit", "10").start();
        let text = b"To: z@far.test, a, b, c, d, e, f\nSubject: a b c d e f g h i j k l m n o p\n\nbody";
        play(&mail, &[(text, None)]);
        let message = mail.wait_mail("alice", 1).remove(0);
        let to = message.header("To").unwrap_or_default();
        assert!(to.contains("z@far.test") && to.contains("a@mail.test") && to.contains("b@mail.test"), "{to}");
        assert!(!to.contains("c@mail.test") && !to.contains(" d"), "{to}");
        assert!(message.header("Subject").unwrap_or_default().ends_with("n o p"), "{}", message.0);
    });
}
