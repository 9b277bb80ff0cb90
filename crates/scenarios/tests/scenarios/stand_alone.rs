//! `sendmail -bs`: SMTP on standard input and output, for programs that hand in mail that way.

use scenarios::scenario;
use testing::{Instance, Setup};

fn setup() -> Setup {
    Setup::new().set("compatibility_level", "3.11")
}

/// What is said to a client that says all this at once, with `ID` for the name of a message; exit status 0 is awaited.
fn said(mail: &Instance, talk: &str) -> Vec<String> {
    let output = mail.run_with("sendmail", &["-bs"], talk.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let complaints = String::from_utf8_lossy(&output.stderr);
    // postdrop may have a word about the one that has called it.
    assert!(complaints.lines().all(|line| line.starts_with("postdrop: warning: ")), "{complaints}");
    let line = |line: &str| match line.rsplit_once("queued as ") {
        Some((start, _)) => format!("{start}queued as ID"),
        None => line.to_owned(),
    };
    String::from_utf8_lossy(&output.stdout).lines().map(line).collect()
}

#[test]
fn mail_is_handed_in_by_the_dialogue_of_the_server() {
    scenario(|| {
        let mail = setup().start();
        let talk = "EHLO client.test\r\nMAIL FROM:<a@mail.test> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<alice@mail.test>\r\n\
                    DATA\r\nSubject: dots\r\n\r\n..one\r\n.\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<bob@mail.test> NOTIFY=NEVER\r\n\
                    RCPT TO:<carol@mail.test>\r\nBDAT 4\r\nab\r\nBDAT 6 LAST\r\ncdef\r\nQUIT\r\n";
        let said = said(&mail, talk);
        assert_eq!(said[..2], ["220 mail.test ESMTP Postfix", "250-mail.test"]);
        assert!(!said.iter().any(|line| line.contains("STARTTLS") || line.contains("AUTH")), "{said:?}");
        let end = said.iter().position(|line| line == "250 2.1.0 Ok").expect("a message");
        assert_eq!(
            said[end..],
            [
                "250 2.1.0 Ok",
                "250 2.1.5 Ok",
                "354 End data with <CR><LF>.<CR><LF>",
                "250 2.0.0 Ok: queued as ID",
                "250 2.0.0 Ok",
                "250 2.1.0 Ok",
                "250 2.1.5 Ok",
                "250 2.1.5 Ok",
                "250 2.0.0 Ok: 4 bytes",
                "250 2.0.0 Ok: 10 bytes queued as ID",
                "221 2.0.0 Bye",
            ]
        );
        let received = mail.wait_mail("alice", 1).remove(0);
        assert_eq!(received.body(), ".one\n");
        let fields: Vec<String> = received.headers("Received");
        assert!(fields[0].starts_with("by mail.test (Postfix, from userid "), "{fields:?}");
        assert!(fields[1].starts_with("from client.test (localhost [127.0.0.1])"), "{fields:?}");
        assert!(fields[1].contains("by mail.test (Postfix) with ESMTP id "), "{fields:?}");
        assert!(fields[1].contains("for <alice@mail.test>; "), "{fields:?}");
        for user in ["bob", "carol"] {
            assert_eq!(mail.wait_mail(user, 1).remove(0).header("Return-Path").as_deref(), Some("<>"));
        }
        for line in [
            "connect from localhost[127.0.0.1]",
            ": client=localhost[127.0.0.1]",
            "disconnect from localhost[127.0.0.1] ehlo=1 mail=2 rcpt=3 data=1 bdat=2 rset=1 quit=1 commands=11",
        ] {
            mail.wait_log(&["/smtpd[", line]);
        }
        mail.wait_log(&["/pickup[", ": uid=", " from=<a@mail.test>"]);
    });
}

#[test]
fn lines_may_end_in_a_line_feed_alone_and_nobody_is_asked_who_the_recipient_is() {
    scenario(|| {
        let mail = setup().set("smtpd_recipient_restrictions", "reject").start();
        let talk = "HELO x\nmail from:<a@mail.test>\nrcpt to:<alice@mail.test>\nrcpt to:<nobody@elsewhere.test>\n\
                    data\nSubject: y\n\nbody\n.\nquit\n";
        let taken = ["354 End data with <CR><LF>.<CR><LF>", "250 2.0.0 Ok: queued as ID", "221 2.0.0 Bye"];
        let said = said(&mail, talk);
        assert_eq!(said[1..4], ["250 mail.test", "250 2.1.0 Ok", "250 2.1.5 Ok"]);
        assert_eq!(said[4], "250 2.1.5 Ok");
        assert_eq!(said[5..], taken);
        assert!(mail.wait_mail("alice", 1).remove(0).headers("Received")[1].contains(" with SMTP id "));
    });
}

#[test]
fn what_is_for_strangers_alone_is_not_there() {
    scenario(|| {
        let mail = setup().start();
        let talk = "HELO a\r\nVRFY alice\r\nETRN x.test\r\nAUTH PLAIN AAA\r\nSTARTTLS\r\nXCLIENT NAME=x\r\n\
                    XFORWARD NAME=x\r\nNOOP\r\nFOO\r\nRCPT TO:<a b@x>\r\nQUIT\r\n";
        assert_eq!(
            said(&mail, talk),
            [
                "220 mail.test ESMTP Postfix",
                "250 mail.test",
                "252 2.0.0 alice",
                "458 Unable to queue messages",
                "503 5.5.1 Error: authentication not enabled",
                "502 5.5.1 Error: command not implemented",
                "550 5.7.0 Error: insufficient authorization",
                "550 5.7.0 Error: insufficient authorization",
                "250 2.0.0 Ok",
                "500 5.5.2 Error: command not recognized",
                "503 5.5.1 Error: need MAIL command",
                "221 2.0.0 Bye",
            ]
        );
        mail.wait_log(&["/smtpd[", "warning: do not use ETRN in \"sendmail -bs\" mode"]);
    });
}

#[test]
fn a_client_that_ends_early_or_is_no_client_leaves_nothing() {
    scenario(|| {
        let mail = setup().set("smtpd_error_sleep_time", "0").start();
        let begin = "MAIL FROM:<a@mail.test>\r\nRCPT TO:<alice@mail.test>\r\n";
        said(&mail, &format!("{begin}DATA\r\nhalf"));
        mail.wait_log(&["/smtpd[", ": lost connection after DATA (0 bytes) from localhost[127.0.0.1]"]);
        said(&mail, &format!("{begin}BDAT 10\r\nhalf"));
        mail.wait_log(&["/smtpd[", ": lost connection after BDAT (4 bytes) from localhost[127.0.0.1]"]);
        assert_eq!(said(&mail, ""), ["220 mail.test ESMTP Postfix"]);
        mail.wait_log(&["/smtpd[", "lost connection after CONNECT from localhost[127.0.0.1]"]);
        let last = |talk: &str| said(&mail, talk).pop();
        let stranger = "221 2.7.0 Error: I can break rules, too. Goodbye.";
        assert_eq!(last("GET / HTTP/1.0\r\nHELO a\r\n").as_deref(), Some(stranger));
        let many = "421 4.7.0 mail.test Error: too many errors";
        assert_eq!(last(&"FOO\r\n".repeat(30)).as_deref(), Some(many));
        mail.wait_log(&["/smtpd[", "too many errors after UNKNOWN from localhost[127.0.0.1]"]);
        let left = std::fs::read_dir(mail.queue().join("maildrop")).expect("maildrop").count();
        assert_eq!(left, 0);
    });
}

#[test]
fn a_message_that_is_too_large_is_refused_at_its_end() {
    scenario(|| {
        let mail = setup().set("message_size_limit", "20000").start();
        let lines = format!("{}\r\n", "x".repeat(70)).repeat(1000);
        let talk =
            format!("HELO a\r\nMAIL FROM:<a@mail.test>\r\nRCPT TO:<alice@mail.test>\r\nDATA\r\n{lines}.\r\nQUIT\r\n");
        let said = said(&mail, &talk);
        assert_eq!(said[said.len() - 2], "552 5.3.4 Error: message file too big");
        let left = std::fs::read_dir(mail.queue().join("maildrop")).expect("maildrop").count();
        assert_eq!(left, 0);
    });
}
