//! Settings that nothing else here sets, each seen to have its effect: what becomes of content, of recipients, of queue
//! files, of logs and of commands.

use scenarios::scenario;
use testing::{Client, Instance, Setup, Sink};

const MESSAGE: &str = "Subject: x\n\nbody\n";

fn from_bob(mail: &Instance, to: &str, text: &str) {
    mail.sendmail(&["-f", "bob@mail.test", to], text);
}

/// The reply to the recipient, or to the message for it.
fn reply(mail: &Instance, to: &[&str], text: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    client.send("bob@mail.test", to, text).expect("a reply").last()
}

#[test]
fn headers_are_dropped_and_added_characters_are_stripped_and_lines_are_checked_as_far_as_settings_say() {
    scenario(|| {
        let mail = Setup::new()
            .set("message_drop_headers", "x-secret")
            .set("undisclosed_recipients_header", "To: nobody in particular:;")
            .set("message_strip_characters", "\\007")
            .set("cleanup_replace_stray_cr_lf", "no")
            .set("body_checks", "regexp:{{/mark/ WARN}}")
            .set("body_checks_size_limit", "20")
            .set("sender_bcc_maps", "inline:{bob@mail.test=carol@mail.test}")
            .start();
        from_bob(
            &mail,
            "alice",
            "Subject: x\nX-Secret: y\nBcc: z\n\nmark one\u{7} a\rb\n012345678901234567890\nmark two\n",
        );
        let message = mail.wait_mail("alice", 1).remove(0);
        let fields = ["X-Secret", "Bcc", "To"].map(|name| message.header(name));
        let fields: Vec<_> = fields.iter().map(Option::as_deref).collect();
        assert_eq!(fields, [None, Some("z@mail.test"), Some("nobody in particular:;")], "{message:?}");
        assert_eq!(message.body(), "mark one a\rb\n012345678901234567890\nmark two\n");
        mail.wait_log(&["warning: body mark one a"]);
        assert!(mail.find_log(&["warning: body mark two"]).is_none(), "{}", mail.log());
        mail.wait_mail("carol", 1);
    });
}

#[test]
fn what_a_client_that_is_no_user_leaves_out_is_added_where_that_is_wanted() {
    scenario(|| {
        for (wanted, domain, date) in [("yes", "", true), ("no", "", false), ("no", "remote.test", true)] {
            let setup = Setup::new().set("local_header_rewrite_clients", "").set("always_add_missing_headers", wanted);
            let setup = setup.set("remote_header_rewrite_domain", domain);
            let mail = setup.start();
            assert!(reply(&mail, &["alice@mail.test"], "Subject: x\n\nbody\n").starts_with("250"));
            let message = mail.wait_mail("alice", 1).remove(0);
            let fields = ["Date", "From", "Message-Id"].map(|name| message.header(name).is_some());
            assert_eq!(fields, [date; 3], "{wanted} {domain}: {}", message.0);
        }
    });
}

#[test]
fn stray_line_ends_become_blanks_before_characters_are_stripped_or_refused() {
    scenario(|| {
        if testing::programs::oracle_version().as_deref() == Some("3.7") {
            return;
        }
        for setting in ["message_reject_characters", "message_strip_characters"] {
            let mail = Setup::new().set(setting, "\\r").start();
            let mut client = Client::greet(mail.v4()).expect("connected");
            for line in ["MAIL FROM:<bob@mail.test>", "RCPT TO:<alice@mail.test>", "DATA"] {
                client.command(line).expect("a reply");
            }
            let reply = client.command("Subject: x\ry\r\n\r\na\rb\r\n.").expect("a reply");
            assert_eq!(reply.code, 250, "{setting}: {}", reply.last());
            let message = mail.wait_mail("alice", 1).remove(0);
            assert_eq!((message.header("Subject").as_deref(), message.body()), (Some("x y"), "a b\n"), "{setting}");
        }
    });
}

#[test]
fn a_text_for_undisclosed_recipients_that_is_no_header_is_not_added() {
    scenario(|| {
        let mail = Setup::new().set("undisclosed_recipients_header", "nobody").start();
        assert!(reply(&mail, &["alice@mail.test"], "Subject: x\n\nbody\n").starts_with("250"));
        let message = mail.wait_mail("alice", 1).remove(0);
        assert_eq!(message.body(), "body\n", "{message:?}");
        mail.wait_log(&[
            "warning: bad undisclosed_recipients_header header text \"nobody\" -- need \"headername: headervalue\"",
        ]);
    });
}

#[test]
fn expansions_of_aliases_have_the_bounds_that_are_set() {
    scenario(|| {
        let maps = "inline:{ {many@mail.test = alice, bob, carol}, {a@mail.test = b@mail.test}, \
                    {b@mail.test = c@mail.test}, {c@mail.test = alice@mail.test}, \
                    {long@mail.test = a-name-of-many-letters@mail.test}, {two@mail.test = alice, bob} }";
        let mail = Setup::new()
            .set("virtual_alias_maps", maps)
            .set("virtual_alias_expansion_limit", "2")
            .set("virtual_alias_recursion_limit", "2")
            .set("virtual_alias_address_length_limit", "30")
            .start();
        for (to, why) in [
            ("many@mail.test", "unreasonable virtual_alias_maps map expansion size for many@mail.test"),
            ("a@mail.test", "unreasonable virtual_alias_maps map nesting for a@mail.test"),
            ("long@mail.test", "unreasonable virtual_alias_maps result a-name-of-many-letters@mail.test..."),
        ] {
            let reply = reply(&mail, &[to], MESSAGE);
            assert!(reply.starts_with("451 4.6.0 "), "{to}: {reply}");
            mail.wait_log(&["warning: ", why, "message not accepted, try again later"]);
        }
        assert!(reply(&mail, &["two@mail.test"], MESSAGE).starts_with("250 2.0.0 "));
        mail.wait_mail("bob", 1);
    });
}

#[test]
fn a_recipient_who_is_named_twice_counts_once_as_far_as_the_filter_remembers() {
    scenario(|| {
        for (limit, count) in [("1000", "nrcpt=2 "), ("1", "nrcpt=3 ")] {
            let mail = Setup::new().set("duplicate_filter_limit", limit).start();
            mail.sendmail(&["-f", "bob@mail.test", "carol", "alice", "alice"], MESSAGE);
            mail.wait_log(&["from=<bob@mail.test>, size=", count]);
        }
    });
}

#[test]
fn canonical_tables_about_recipients_apply_to_the_classes_that_are_set() {
    scenario(|| {
        let mail = Setup::new()
            .set("recipient_canonical_maps", "inline:{carol@mail.test=alice@mail.test}")
            .set("recipient_canonical_classes", "header_recipient")
            .start();
        from_bob(&mail, "carol@mail.test", "To: carol@mail.test\nSubject: x\n\nbody\n");
        let message = mail.wait_mail("carol", 1).remove(0);
        assert_eq!(message.header("To").as_deref(), Some("alice@mail.test"));
    });
}

#[test]
fn queue_files_have_the_names_and_places_that_are_set_and_say_what_they_hold() {
    scenario(|| {
        for (detect, says) in [("yes", true), ("no", false)] {
            let mail = Setup::new()
                .set("enable_long_queue_ids", "yes")
                .set("hash_queue_names", "deferred defer hold")
                .set("hash_queue_depth", "2")
                .set("detect_8bit_encoding_header", detect)
                .set("header_checks", "regexp:{{/^Subject: wait/ HOLD}}")
                .start();
            from_bob(&mail, "alice", "Subject: wait\nContent-Transfer-Encoding: 8bit\n\nbody\n");
            let line = mail.wait_log(&["hold: header Subject: wait from local"]);
            let id = line.split("]: ").nth(1).and_then(|rest| rest.split(':').next()).expect("a queue id").to_owned();
            assert!(id.len() > 12 && id.contains('z'), "{id}");
            let file = mail.wait_queue("hold", &id);
            let parts: Vec<_> = file.strip_prefix(mail.queue().join("hold")).expect("below hold").iter().collect();
            assert_eq!(parts.len(), 3, "{}", file.display());
            let shown = mail.output("postcat", &["-e", "-q", &id]);
            assert_eq!(shown.contains("named_attribute: encoding=8bit"), says, "{detect}: {shown}");
        }
    });
}

#[test]
fn finished_messages_are_saved_and_not_removed_where_that_is_set() {
    scenario(|| {
        let mail = Setup::new().set("dont_remove", "1").start();
        from_bob(&mail, "alice", MESSAGE);
        mail.wait_mail("alice", 1);
        let line = mail.wait_log(&["from=<bob@mail.test>, size="]);
        let id = line.split("]: ").nth(1).and_then(|rest| rest.split(':').next()).expect("a queue id").to_owned();
        mail.wait_queue("saved", &id);
    });
}

#[test]
fn a_delivery_has_as_many_recipients_as_its_limit_says() {
    scenario(|| {
        for (limit, deliveries) in [("2", 2), ("50", 1)] {
            let sink = Sink::v4();
            let setup = Setup::new().set("relayhost", sink.next_hop());
            let mail = setup.set("default_destination_recipient_limit", limit).start();
            mail.sendmail(&["-f", "bob@mail.test", "a@x.test", "b@x.test", "c@x.test"], MESSAGE);
            for to in ["a@x.test", "b@x.test", "c@x.test"] {
                mail.wait_log(&[&format!("to=<{to}>"), "status=sent"]);
            }
            assert_eq!((sink.count(), sink.recipients()), (deliveries, 3), "{limit}");
        }
    });
}

#[test]
fn a_filter_without_a_next_hop_has_the_one_that_is_set() {
    scenario(|| {
        let setup = Setup::new().set("content_filter", "retry:").set("default_filter_nexthop", "4.1.2 not today");
        let mail = setup.start();
        from_bob(&mail, "alice", MESSAGE);
        mail.wait_log(&["to=<alice@mail.test>", "dsn=4.1.2, status=deferred (not today)"]);
    });
}

#[test]
fn log_lines_have_as_many_digits_and_the_form_of_addresses_that_are_set() {
    scenario(|| {
        let setup = Setup::new().set("delay_logging_resolution_limit", "0").set("info_log_address_format", "internal");
        let mail = setup.set("local_recipient_maps", "").start();
        from_bob(&mail, "\"a b\"@mail.test", MESSAGE);
        let line = mail.wait_log(&["to=<a b@mail.test>", "dsn=5.1.1, status=bounced"]);
        let delays = line.split_once(" delay=").and_then(|(_, rest)| rest.split_once(", dsn=")).expect("delays").0;
        assert!(!delays.contains('.'), "{line}");
    });
}

#[test]
fn the_charset_of_full_names_is_the_one_that_is_set() {
    scenario(|| {
        let mail = Setup::new().set("full_name_encoding_charset", "iso-8859-15").start();
        mail.sendmail(&["-F", "J\u{fc}rgen", "-f", "bob@mail.test", "alice"], MESSAGE);
        let from = mail.wait_mail("alice", 1).remove(0).header("From").unwrap_or_default();
        assert_eq!(from, "=?iso-8859-15?Q?J=C3=BCrgen?= <bob@mail.test>");
    });
}

#[test]
fn a_table_that_cannot_be_opened_ends_a_daemon_where_that_is_set() {
    scenario(|| {
        let setup = Setup::new().set("transport_maps", "texthash:/nowhere/at-all");
        let mail = setup.set("daemon_table_open_error_is_fatal", "yes").start();
        from_bob(&mail, "alice", MESSAGE);
        mail.wait_log(&["/trivial-rewrite[", "fatal: open database /nowhere/at-all: No such file or directory"]);
    });
}

#[test]
fn services_are_found_by_the_names_that_are_set() {
    scenario(|| {
        let mut setup = Setup::new().set("local_recipient_maps", "");
        let mut disabled = Vec::new();
        for (parameter, name, line) in [
            ("rewrite_service_name", "rewrite", "unix - - n - - trivial-rewrite"),
            ("cleanup_service_name", "cleanup", "unix n - n - 0 cleanup"),
            ("showq_service_name", "showq", "unix n - n - - showq"),
            ("pickup_service_name", "pickup", "unix n - n 60 1 pickup"),
            ("queue_service_name", "qmgr", "unix n - n 300 1 qmgr"),
        ] {
            setup = setup.set(parameter, format!("{name}2")).service(&format!("{name}2 {line}"));
            disabled.push(format!("{name}/unix"));
        }
        let mail = setup.set("master_service_disable", disabled.join(" ")).start();
        from_bob(&mail, "nobody-here@mail.test", MESSAGE);
        mail.wait_log(&["to=<nobody-here@mail.test>", "status=bounced"]);
        let report = mail.wait_mail("bob", 1).remove(0);
        assert!(report.body().contains("Final-Recipient: rfc822; nobody-here@mail.test"), "{}", report.0);
        mail.sendmail(&["-v", "-f", "bob@mail.test", "alice"], MESSAGE);
        assert!(mail.wait_mail("bob", 2).iter().any(|message| message.body().contains("Action: delivered")));
        from_bob(&mail, "x@other.test", MESSAGE);
        mail.wait_log(&["to=<x@other.test>", "status=deferred"]);
        assert!(mail.output("postqueue", &["-p"]).contains("x@other.test"));
    });
}

#[test]
fn programs_have_the_environment_that_is_set() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let (aliases, written) = (mail.etc().join("more-aliases"), mail.folder().join("written"));
        std::fs::create_dir(&written).expect("a folder");
        testing::setup::write_old(&aliases, "who \"|echo PROBE=$PROBE; exit 75\"\n");
        let users = mail.etc().join("aliases");
        mail.set("alias_maps", &format!("texthash:{}, texthash:{}", users.display(), aliases.display()));
        mail.set("import_environment", "MAIL_CONFIG MAIL_LOGTAG TZ LANG=C PROBE=imported");
        mail.set("export_environment", "MAIL_CONFIG TZ LANG PROBE");
        mail.start();
        from_bob(&mail, "who@mail.test", MESSAGE);
        mail.wait_log(&["to=<who@mail.test>", "Command output: PROBE=imported"]);
    });
}

#[test]
fn mail_that_cannot_be_delivered_in_its_time_comes_back() {
    scenario(|| {
        let mail = Setup::new().set("maximal_queue_lifetime", "0").start();
        from_bob(&mail, "x@other.test", MESSAGE);
        mail.wait_log(&["to=<x@other.test>", "status=deferred"]);
        mail.wait_log(&["from=<bob@mail.test>, status=expired, returned to sender"]);
        mail.wait_mail("bob", 1);
    });
}
