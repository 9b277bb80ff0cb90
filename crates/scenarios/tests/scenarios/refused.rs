//! Mail that is refused for its content: what its sender hears, what the log says of its end, what stays behind.

use scenarios::scenario;
use testing::{Client, Instance, Setup};

/// A message from carol to alice and bob with this subject and body, left with `sendmail`.
fn submit(mail: &Instance, from: &str, subject: &str, body: &str) {
    let text = format!("Subject: {subject}\n\n{body}\n");
    mail.sendmail(&["-f", from, "alice@mail.test", "bob@mail.test"], &text);
}

/// Nothing waits in maildrop or for a notification.
fn assert_nothing_left(mail: &Instance) {
    mail.wait_idle();
    for queue in ["maildrop", "incoming", "bounce"] {
        assert!(mail.queue_ids(queue).is_empty(), "{queue}: {:?}", mail.queue_ids(queue));
    }
}

#[test]
fn local_mail_that_a_check_refuses_is_returned_as_its_header_and_each_recipient_has_a_status_line() {
    scenario(|| {
        let checks = "regexp:{{/^Subject: bad/ REJECT 5.7.9 no bad subjects}}";
        let mail = Setup::new().set("header_checks", checks).start();
        submit(&mail, "carol@mail.test", "bad", "a secret");
        for user in ["alice", "bob"] {
            let line = mail.wait_log(&[&format!("to=<{user}@mail.test>, relay=none"), "delays="]);
            assert!(line.ends_with("dsn=5.7.9, status=bounced (no bad subjects)"), "{line}");
        }
        let report = mail.wait_mail("carol", 1).remove(0);
        assert!(report.body().contains("Content-Description: Undelivered Message Headers"), "{}", report.0);
        assert!(!report.body().contains("a secret"), "{}", report.0);
        assert_nothing_left(&mail);
    });
}

#[test]
fn refused_local_mail_of_the_null_sender_ends_with_its_status_lines() {
    scenario(|| {
        let mail = Setup::new().set("body_checks", "regexp:{{/bad/ REJECT}}").start();
        submit(&mail, "<>", "hello", "bad");
        mail.wait_log(&["to=<bob@mail.test>, relay=none", "dsn=5.7.1, status=bounced (message content rejected)"]);
        assert_nothing_left(&mail);
    });
}

#[test]
fn a_character_that_must_not_travel_returns_local_mail_once_and_is_no_reason_to_refuse_the_notification() {
    scenario(|| {
        let mail = Setup::new().set("message_reject_characters", "\\0").start();
        submit(&mail, "carol@mail.test", "hello", "one\0two");
        mail.wait_log(&["reject: content one from local; from=<carol@mail.test>", "5.7.1 disallowed character"]);
        mail.wait_log(&["to=<alice@mail.test>, relay=none", "dsn=5.7.1, status=bounced (disallowed character)"]);
        let report = mail.wait_mail("carol", 1).remove(0);
        assert!(report.body().contains("Diagnostic-Code: X-Postfix; disallowed character"), "{}", report.0);
        assert_nothing_left(&mail);
    });
}

#[test]
fn checks_that_refuse_everything_see_notifications_only_where_internal_mail_filter_classes_says_so() {
    scenario(|| {
        let mut mail = Setup::new().set("header_checks", "regexp:{{/^Subject: Undel/ REJECT}}").start();
        mail.sendmail(&["-f", "carol@mail.test", "nobody-here@mail.test"], "Subject: hello\n\nbody\n");
        mail.wait_mail("carol", 1);
        mail.stop();
        mail.set("internal_mail_filter_classes", "bounce");
        mail.start();
        mail.sendmail(&["-f", "bob@mail.test", "nobody-here@mail.test"], "Subject: hello\n\nbody\n");
        mail.wait_log(&[
            "reject: header Subject: Undelivered Mail",
            "from=<> to=<bob@mail.test>: 5.7.1 message content",
        ]);
        mail.wait_log(&["status=deferred (bounce failed)"]);
        if testing::programs::oracle_version().as_deref() != Some("3.7") {
            mail.wait_log(&["sender notification failed to bob@mail.test: message content rejected"]);
        }
        assert_eq!(mail.queue_ids("deferred").len(), 1);
    });
}

#[test]
fn a_temporary_refusal_asks_the_client_again_and_keeps_local_mail() {
    scenario(|| {
        let mail = Setup::new().set("header_checks", "regexp:{{/^Subject: busy/ REJECT 4.7.8 later}}").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.send("carol@mail.test", &["alice@mail.test"], "Subject: busy\n\nbody\n").expect("reply");
        assert_eq!(reply.last(), "451 4.7.8 later");
        submit(&mail, "carol@mail.test", "busy", "body");
        mail.wait_log(&["reject: header Subject: busy from local; from=<carol@mail.test>", ": 4.7.8 later"]);
        assert_eq!(mail.queue_ids("maildrop").len(), 1);
    });
}

#[test]
fn a_text_that_is_no_header_does_not_take_the_place_of_one() {
    scenario(|| {
        let checks = "regexp:{{/^X-One:/ REPLACE no header}, {/^X-Two:/ PREPEND no header: here}, \
                      {/^X-Three:/ REPLACE X-3: y}, {/^X-Four:/ REPLACE X-4 :z}}";
        let mail = Setup::new().set("header_checks", checks).start();
        let text = "X-One: 1\nX-Two: 2\nX-Three: 3\nX-Four: 4\nX-Five :5\nSubject: hello\n\nbody\n";
        mail.sendmail(&["-f", "carol@mail.test", "alice@mail.test"], text);
        let message = mail.wait_mail("alice", 1).remove(0);
        let value = |name: &str| message.header(name);
        assert_eq!([value("X-One"), value("X-Two"), value("X-3")].map(Option::unwrap_or_default), ["1", "2", "y"]);
        assert_eq!((message.body(), value("X-Three")), ("body\n", None));
        // A blank before the colon of a client's header disappears, one that a check wants stays.
        assert!(message.0.contains("\nX-4 :z\n") && message.0.contains("\nX-Five:5\n"), "{}", message.0);
        mail.wait_log(&[
            "bad REPLACE header text \"no header\" in header_checks map -- need \"headername: headervalue\"",
        ]);
    });
}

#[test]
fn a_text_of_an_access_table_that_is_no_header_does_not_end_the_header() {
    scenario(|| {
        let texts = ["no header", "X-Two words: x", ": x", "X-Colon", "From x", ">From x", "", "X-Good: x"];
        let table: String =
            texts.iter().enumerate().map(|(n, text)| format!(" {{s{n}@far.test=PREPEND {text}}}")).collect();
        let checks = format!("check_sender_access inline:{{{table} }}");
        for stage in ["smtpd_sender_restrictions", "smtpd_recipient_restrictions", "smtpd_data_restrictions"] {
            let mail = Setup::new().set(stage, checks.as_str()).start();
            let mut client = Client::greet(mail.v4()).expect("greeted");
            for n in 0..texts.len() {
                let reply = client.send(&format!("s{n}@far.test"), &["alice@mail.test"], "Subject: hello\n\nbody\n");
                assert_eq!(reply.expect("reply").code, 250, "{stage} {n}");
            }
            let mut good = 0;
            for message in mail.wait_mail("alice", texts.len()) {
                assert_eq!(
                    (message.header("Subject").as_deref(), message.body()),
                    (Some("hello"), "body\n"),
                    "{}",
                    message.0
                );
                good += usize::from(message.header("X-Good").as_deref() == Some("x"));
            }
            assert_eq!(good, 1, "{stage}");
            mail.wait_log(&["warning: access table inline:", "entry \"s0@far.test\" requires header: text"]);
        }
    });
}

#[test]
fn a_sender_who_asked_for_success_alone_hears_of_no_failure_behind_an_alias() {
    scenario(|| {
        let aliases = "inline:{{team@mail.test = alice@mail.test, nobody-here@mail.test}}";
        let trace = "trace unix - - n - 0 bounce";
        let mail = Setup::new().set("virtual_alias_maps", aliases).service(trace).start();
        let arguments = ["-f", "carol@mail.test", "-N", "success", "team@mail.test"];
        mail.sendmail(&arguments, "Subject: hello\n\nbody\n");
        mail.wait_log(&["to=<nobody-here@mail.test>", "status=bounced"]);
        mail.wait_idle();
        let reports = mail.wait_mail("carol", 1);
        assert_eq!(reports.len(), 1);
        assert!(reports[0].body().contains("Action: expanded"), "{}", reports[0].0);
    });
}

#[test]
fn as_many_trace_headers_as_hopcount_limit_are_too_many() {
    scenario(|| {
        let mail = Setup::new().set("hopcount_limit", "3").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut send = |hops: usize| {
            let text = "Received: from a by b\n".repeat(hops) + "Subject: hello\n\nbody\n";
            client.send("carol@mail.test", &["alice@mail.test"], &text).expect("reply")
        };
        assert_eq!(send(1).code, 250);
        assert_eq!(send(2).last(), "554 5.4.0 Error: too many hops");
    });
}

#[test]
fn message_size_limit_is_about_the_queue_file() {
    scenario(|| {
        let mail = Setup::new().set("message_size_limit", "2000").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut send = |size: usize| {
            let text = format!("Subject: hello\n\n{}\n", "x".repeat(size));
            client.send("carol@mail.test", &["alice@mail.test"], &text).expect("reply").last()
        };
        assert_eq!(send(1900), "552 5.3.4 Error: message file too big");
        assert!(send(500).starts_with("250 "));
        mail.wait_log(&["queue file size limit exceeded"]);
    });
}

#[test]
fn a_part_of_a_digest_that_does_not_say_otherwise_is_a_message_whose_header_is_checked() {
    scenario(|| {
        let mail = Setup::new().set("nested_header_checks", "regexp:{{/^N: forbidden/ REJECT}}").start();
        let mut client = Client::greet(mail.v6()).expect("connected");
        let digest = |kind: &str| {
            format!(
                "Subject: x\nContent-Type: multipart/digest; boundary=b\n\n--b\n{kind}\nN: forbidden\n\nbody\n--b--\n"
            )
        };
        let reply = client.send("carol@mail.test", &["alice@mail.test"], &digest("")).expect("reply");
        assert_eq!(reply.last(), "550 5.7.1 message content rejected");
        let reply = client.send("carol@mail.test", &["alice@mail.test"], &digest("Content-Type: text/plain\n"));
        assert_eq!(reply.expect("reply").code, 250);
    });
}
