//! Restriction lists: where they are asked, what a table and a class in them are about, and what their words lead to.

use scenarios::scenario;
use testing::milter::{self, Filter, Script};
use testing::port::Port;
use testing::{Client, Instance, Setup};

const CLASSES: [(&str, &str); 6] = [
    ("smtpd_restriction_classes", "alone, alone_too, outer, inner, loop"),
    ("alone", "inline:{{c.test=REJECT helo}, {a@b.test=REJECT sender}, {foo.test=REJECT site}}"),
    ("alone_too", "static:REJECT"),
    ("outer", "check_sender_access inline:{a@b.test=inner}"),
    ("inner", "reject"),
    ("loop", "check_recipient_access static:loop"),
];

/// A server for each of these options, `name = value; name = value`.
fn start(options: &[&str]) -> (Instance, Vec<Port>) {
    let setup = CLASSES.into_iter().fold(Setup::new(), |setup, (name, value)| setup.set(name, value));
    let setup = setup.set("smtpd_error_sleep_time", "0").set("mynetworks", "");
    let ports: Vec<Port> = options.iter().map(|_| Port::reserve()).collect();
    let lines = ports.iter().zip(options).map(|(port, options)| {
        let options: Vec<String> = options.split("; ").map(|option| format!("-o {{ {option} }}")).collect();
        format!("127.0.0.1:{} inet n - n - - smtpd {}", port.number(), options.join(" "))
    });
    let mail = lines.fold(setup, |setup, line| setup.service(&line)).start();
    (mail, ports)
}

fn client(port: &Port) -> Client {
    Client::connect(([127, 0, 0, 1], port.number()).into()).expect("connected")
}

fn say(client: &mut Client, line: &str) -> String {
    client.command(line).map_or_else(|_| "closed".to_owned(), |reply| reply.last())
}

/// The replies to these lines.
fn play(port: &Port, lines: &[&str]) -> Vec<String> {
    let mut client = client(port);
    lines.iter().map(|line| say(&mut client, line)).collect()
}

const TO_DATA: [&str; 5] =
    ["EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<alice@mail.test>", "DATA", "Subject: x\r\n\r\nx\r\n."];

/// What the first "no" of a session is that sends a message, and the log's words.
const LISTS: [(&str, &str, &str); 27] = [
    (
        "access_map_defer_code = 471; smtpd_sender_restrictions = check_sender_access static:{DEFER_IF_PERMIT wait}",
        "471 4.7.1 <a@b.test>: Sender address rejected: wait",
        "",
    ),
    (
        "access_map_defer_code = 471; smtpd_sender_restrictions = check_sender_access static:{DEFER_IF_REJECT 4.2.1 wait}, \
         reject",
        "471 4.2.1 <a@b.test>: Sender address rejected: wait",
        "",
    ),
    (
        "smtpd_sender_restrictions = check_sender_access static:FILTER, defer",
        "450 4.3.2 <a@b.test>: Sender address rejected: Try again later",
        "entry \"a@b.test\" has FILTER entry without value",
    ),
    ("smtpd_helo_restrictions = alone", "554 5.7.1 <c.test>: Helo command rejected: helo", ""),
    ("smtpd_sender_restrictions = alone", "554 5.7.1 <a@b.test>: Sender address rejected: sender", ""),
    ("smtpd_recipient_restrictions = outer", "554 5.7.1 <a@b.test>: Sender address rejected: Access denied", ""),
    ("smtpd_data_restrictions = reject", "554 5.7.1 <DATA>: Data command rejected: Access denied", ""),
    ("smtpd_data_restrictions = outer", "554 5.7.1 <a@b.test>: Sender address rejected: Access denied", ""),
    (
        "smtpd_data_restrictions = alone",
        "451 4.3.5 Server configuration error",
        "check_etrn_access) before Data command restriction \"inline:{",
    ),
    (
        "smtpd_data_restrictions = defer_if_permit",
        "450 4.7.0 <DATA>: Data command rejected: defer_if_permit requested",
        "",
    ),
    (
        "smtpd_end_of_data_restrictions = reject",
        "554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: Access denied",
        "reject: END-OF-MESSAGE from",
    ),
    (
        "smtpd_recipient_restrictions = loop",
        "451 4.3.5 Server configuration error",
        "access table static:loop entry loop causes unreasonable recursion",
    ),
    (
        "smtpd_recipient_restrictions = check_recipient_access static:{check_sender_access static:x}",
        "451 4.3.5 Server configuration error",
        "warning: do not specify lookup tables inside SMTPD access maps",
    ),
    (
        "smtpd_client_restrictions = check_client_access fail:x",
        "451 4.3.5 <unknown[127.0.0.1]>: Client host rejected: Server configuration error",
        "warning: fail:x lookup error for \"unknown\"",
    ),
    ("smtpd_recipient_restrictions = permit, reject", "", "restriction `reject' after `permit' is ignored"),
    (
        "smtpd_recipient_restrictions = sleep 1s, permit",
        "451 4.3.5 Server configuration error",
        "restriction sleep must be followed by number",
    ),
    (
        "smtpd_recipient_restrictions = sleep 1, reject",
        "554 5.7.1 <alice@mail.test>: Recipient address rejected: Access denied",
        "",
    ),
    (
        "smtpd_recipient_restrictions = reject; reject_code = 250",
        "450 4.7.1 Service unavailable",
        "SMTP reply code configuration error: 250 5.7.1 <alice@mail.test>: Recipient address rejected: Access denied",
    ),
    (
        "smtpd_recipient_restrictions = defer_if_reject, reject",
        "450 4.7.0 <alice@mail.test>: Recipient address rejected: defer_if_reject requested",
        "",
    ),
    // A table alone is about what the list is about, however the list was come to.
    (
        "smtpd_recipient_restrictions = check_sender_access static:alone_too",
        "554 5.7.1 <alice@mail.test>: Recipient address rejected: Access denied",
        "",
    ),
    // What cannot be looked up only warns, too.
    (
        "smtpd_recipient_restrictions = warn_if_reject check_sender_access fail:x, reject",
        "554 5.7.1 <alice@mail.test>: Recipient address rejected: Access denied",
        "reject_warning: RCPT from unknown[127.0.0.1]: 451 4.3.5 <a@b.test>: Sender address rejected: Server \
         configuration error",
    ),
    // Without a recipient there is no destination.
    (
        "smtpd_sender_restrictions = permit_auth_destination, reject; smtpd_delay_reject = no",
        "554 5.7.1 <a@b.test>: Sender address rejected: Access denied",
        "",
    ),
    ("smtpd_recipient_restrictions = warn_if_reject permit, reject", "", "`reject' after `permit' is ignored"),
    // Anybody can have any name that is not verified.
    (
        "smtpd_recipient_restrictions = check_reverse_client_hostname_access inline:{127.0.0.1=OK}",
        "451 4.3.5 Server configuration error",
        "warning: restriction check_reverse_client_hostname_access returns OK for unknown",
    ),
    (
        "smtpd_recipient_restrictions = check_reverse_client_hostname_access inline:{{127.0=REJECT by address}}",
        "554 5.7.1 <unknown>: Unverified Client host rejected: by address",
        "",
    ),
    ("smtpd_sender_restrictions = permit_mx_backup; smtpd_delay_reject = no", "", ""),
    (
        "smtpd_sender_restrictions = check_sender_access static:{421 4.7.0 bye}",
        "421 4.7.0 <a@b.test>: Sender address rejected: bye",
        "",
    ),
];

#[test]
fn a_list_is_about_its_command_and_a_table_about_what_it_is_asked_for() {
    scenario(|| {
        let options: Vec<&str> = LISTS.iter().map(|(options, ..)| *options).collect();
        let (mail, ports) = start(&options);
        for ((options, expected, line), port) in LISTS.iter().zip(&ports) {
            let replies = play(port, &TO_DATA);
            let first = replies.iter().find(|reply| reply.starts_with(['4', '5'])).map_or("", String::as_str);
            assert_eq!(first, *expected, "{options}\n{}", mail.log());
            mail.wait_log(&[line]);
        }
    });
}

#[test]
fn restrictions_that_are_gone_turn_down_what_they_would_have_judged() {
    scenario(|| {
        if testing::programs::oracle_version().as_deref() == Some("3.7") {
            return;
        }
        let (mail, ports) = start(&[
            "smtpd_recipient_restrictions = check_relay_domains",
            "smtpd_client_restrictions = reject_maps_rbl",
            "smtpd_sender_restrictions = check_relay_domains; smtpd_delay_reject = no",
        ]);
        let replies = ports.iter().map(|port| play(port, &TO_DATA)[2].clone()).collect::<Vec<_>>();
        let error = "451 4.3.5 Server configuration error";
        assert_eq!(replies, [error, error, "250 2.1.5 Ok"], "{}", mail.log());
        for (name, instead) in
            [("check_relay_domains", "reject_unauth_destination"), ("reject_maps_rbl", "reject_rbl_client domain-name")]
        {
            let why = format!("\"{name}\" has been removed in Postfix 3.9; instead, specify \"{instead}\"");
            mail.wait_log(&[&format!("warning: support for restriction {why}")]);
        }
    });
}

#[test]
fn etrn_is_judged_by_lists_of_its_own_and_those_about_the_client() {
    scenario(|| {
        let options = [
            "smtpd_etrn_restrictions = check_etrn_access inline:{{foo.test=REJECT e}, {bar=450 x}, {held=HOLD}}",
            "smtpd_etrn_restrictions = alone, reject",
            "smtpd_client_restrictions = reject",
            "smtpd_etrn_restrictions = defer_if_permit",
        ];
        let (mail, ports) = start(&options);
        let lines =
            ["EHLO c.test", "ETRN foo.test", "ETRN @sub.foo.test", "ETRN #bar", "ETRN held", "ETRN -x-", "ETRN a b"];
        let rejected = |domain: &str, text: &str| format!("554 5.7.1 <{domain}>: Etrn command rejected: {text}");
        let replies = play(&ports[0], &lines);
        let expected = [
            rejected("foo.test", "e"),
            rejected("sub.foo.test", "e"),
            "450 4.7.1 <bar>: Etrn command rejected: x".to_owned(),
            "459 <held>: service unavailable".to_owned(),
            "501 Error: invalid parameter syntax".to_owned(),
            "500 Syntax: ETRN domain".to_owned(),
        ];
        assert_eq!(replies[1..], expected, "{}", mail.log());
        mail.wait_log(&["action HOLD is unavailable in smtpd_etrn_restrictions"]);
        mail.wait_log(&["warning: reject: ETRN held... from unknown[127.0.0.1]"]);
        let replies = play(&ports[1], &lines[..3]);
        assert_eq!(replies[1..], [rejected("foo.test", "site"), rejected("sub.foo.test", "site")]);
        let client = "554 5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied";
        assert_eq!(play(&ports[2], &lines[..2])[1], client);
        let deferred = "450 4.7.0 <foo.test>: Etrn command rejected: defer_if_permit requested";
        assert_eq!(play(&ports[3], &lines[..2])[1], deferred);
    });
}

#[test]
fn what_defers_a_client_early_holds_for_its_recipients_and_not_for_who_only_asks() {
    scenario(|| {
        let defers = |list: &str| format!("smtpd_delay_reject = no; smtpd_{list}_restrictions = defer_if_permit");
        let options = [defers("client"), defers("helo"), defers("sender")];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let (mail, ports) = start(&options);
        let names = ["<unknown[127.0.0.1]>: Client host", "<c.test>: Helo command", "<a@b.test>: Sender address"];
        for (port, name) in ports.iter().zip(names) {
            let replies = play(
                port,
                &["EHLO c.test", "VRFY alice@mail.test", "MAIL FROM:<a@b.test>", "RCPT TO:<alice@mail.test>"],
            );
            assert_eq!(replies[1], "252 2.0.0 alice@mail.test", "{}", mail.log());
            assert_eq!(replies[2], "250 2.1.0 Ok");
            assert_eq!(replies[3], format!("450 4.7.0 {name} rejected: defer_if_permit requested"));
        }
    });
}

#[test]
fn what_is_to_be_done_about_a_message_is_not_done_where_there_is_none() {
    scenario(|| {
        let (mail, ports) = start(&["smtpd_client_restrictions = check_client_access static:{HOLD}"]);
        assert_eq!(play(&ports[0], &["EHLO c.test", "VRFY alice@mail.test"])[1], "252 2.0.0 alice@mail.test");
        mail.wait_log(&["with smtpd_delay_reject=no, action HOLD is always skipped in Client host or Helo command"]);
        assert!(mail.find_log(&[" hold: VRFY"]).is_none());
    });
}

#[test]
fn errors_and_idle_commands_are_counted_until_a_message_is_taken() {
    scenario(|| {
        let limits = "smtpd_junk_command_limit = 2; smtpd_hard_error_limit = 3";
        let (mail, ports) = start(&[limits, "smtpd_hard_error_limit = 2", "smtpd_noop_commands = foo"]);
        // Three that are allowed, and each further one is an error.
        let junk = play(&ports[0], &["NOOP"; 7]);
        assert_eq!(junk.iter().filter(|reply| reply.starts_with("250")).count(), 6, "{junk:?}\n{}", mail.log());
        assert_eq!(junk[6], "421 4.7.0 mail.test Error: too many errors");
        let forgiven = [&["NOOP"; 3][..], &TO_DATA, &["NOOP"; 5]].concat();
        let replies = play(&ports[0], &forgiven);
        assert!(!replies.iter().any(|reply| reply.starts_with("421")), "{replies:?}");
        assert_eq!(play(&ports[1], &["FOO", "FOO", "NOOP"])[2], "421 4.7.0 mail.test Error: too many errors");
        assert_eq!(play(&ports[2], &["FOO", "BAR"]), ["250 2.0.0 Ok", "500 5.5.2 Error: command not recognized"]);
    });
}

#[test]
fn what_is_held_at_its_recipient_is_not_held_once_more_at_its_end() {
    scenario(|| {
        let table = "static:{HOLD see}";
        let options = format!(
            "smtpd_recipient_restrictions = check_recipient_access {table}; smtpd_data_restrictions = \
             check_sender_access {table}; smtpd_end_of_data_restrictions = check_sender_access {table}"
        );
        let (mail, ports) = start(&[&options]);
        assert!(play(&ports[0], &TO_DATA)[4].starts_with("250 2.0.0 Ok: queued as "), "{}", mail.log());
        assert_eq!((mail.queue_ids("hold").len(), mail.log().matches(" hold: ").count()), (1, 1), "{}", mail.log());
    });
}

#[test]
fn a_client_that_is_turned_down_when_it_comes_has_made_an_error_and_one_that_becomes_another_has_not() {
    scenario(|| {
        let refuser = Filter::start(Script::new().at('C', [milter::say("r")]));
        let options = [
            "smtpd_delay_reject = no; smtpd_client_restrictions = reject; smtpd_hard_error_limit = 2".to_owned(),
            format!("smtpd_milters = {}; smtpd_hard_error_limit = 2", refuser.endpoint()),
            "smtpd_authorized_xclient_hosts = static:all; smtpd_hard_error_limit = 2".to_owned(),
            "smtpd_authorized_xclient_hosts = static:all; smtpd_junk_command_limit = 1; smtpd_hard_error_limit = 2"
                .to_owned(),
        ];
        let (mail, ports) = start(&options.each_ref().map(String::as_str));
        let enough = "421 4.7.0 mail.test Error: too many errors";
        let denied = "503 5.7.0 Error: access denied for unknown[127.0.0.1]";
        assert_eq!(play(&ports[0], &["FOO", "FOO"]), [denied, enough], "{}", mail.log());
        let early = "503 5.5.1 Error: need MAIL command";
        assert_eq!(play(&ports[1], &["RCPT TO:<a@b.test>", "FOO"]), [early, enough], "{}", mail.log());
        let unknown = "500 5.5.2 Error: command not recognized";
        let becomes = ["FOO", "XCLIENT NAME=other.test", "FOO", "FOO"];
        let another = "220 mail.test ESMTP Postfix";
        assert_eq!(
            play(&ports[2], &["XCLIENT NAME=other.test", "FOO", "FOO", "FOO"]),
            [another, unknown, unknown, enough]
        );
        let idle = play(&ports[3], &["NOOP", "NOOP", "XCLIENT NAME=other.test", "NOOP", "NOOP", "NOOP"]);
        assert_eq!(idle[5], enough, "{idle:?}");
        assert_eq!(
            play(&ports[2], &becomes),
            [unknown, "220 mail.test ESMTP Postfix", unknown, enough],
            "{}",
            mail.log()
        );
    });
}

#[test]
fn a_yes_is_told_where_that_is_wanted_and_a_client_with_its_port() {
    scenario(|| {
        let options = [
            "smtpd_log_access_permit_actions = static:all; smtpd_recipient_restrictions = \
             check_recipient_access static:OK",
            "smtpd_log_access_permit_actions = permit; smtpd_client_restrictions = permit",
            "smtpd_client_port_logging = yes; smtpd_recipient_restrictions = reject",
        ];
        let (mail, ports) = start(&options);
        for port in &ports {
            play(port, &TO_DATA[..3]);
        }
        let found = " action=OK for Recipient address=alice@mail.test from static:OK; from=<a@b.test>";
        mail.wait_log(&["NOQUEUE: permit: RCPT from unknown[127.0.0.1]:", found]);
        mail.wait_log(&["permit: RCPT", "action=permit for Client host=unknown[127.0.0.1] ; from=<a@b.test>"]);
        assert!(mail.find_log(&["action=permit_inet_interfaces"]).is_none());
        let refused = mail.wait_log(&["NOQUEUE: reject: RCPT from unknown[127.0.0.1]:"]);
        let port = refused.split("unknown[127.0.0.1]:").nth(1).unwrap_or_default();
        assert!(port.starts_with(|first: char| first.is_ascii_digit()), "{refused}");
    });
}

#[test]
fn a_message_has_its_queue_file_with_its_sender_where_that_is_wanted() {
    scenario(|| {
        let (mail, ports) = start(&["smtpd_delay_open_until_valid_rcpt = no"]);
        let replies =
            play(&ports[0], &["EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<x@other.test>", "DATA", "QUIT"]);
        assert_eq!(replies[2], "454 4.7.1 <x@other.test>: Relay access denied");
        assert_eq!(replies[3], "554 5.5.1 Error: no valid recipients");
        let opened = mail.wait_log(&["smtpd", ": client=unknown[127.0.0.1]"]);
        let id = opened.split(": ").nth(1).unwrap_or_default();
        mail.wait_log(&[id, "reject: RCPT from unknown[127.0.0.1]: 454 4.7.1 <x@other.test>"]);
        assert!(replies[4].starts_with("221"));
        let sent = play(&ports[0], &TO_DATA);
        assert!(sent[4].starts_with("250 2.0.0 Ok: queued as "), "{sent:?}");
        mail.wait_mail("alice", 1);
    });
}
