//! What filters want changed, and the message that comes of it.

use scenarios::scenario;
use testing::milter::{Act, Filter, Script, header, say};
use testing::{Client, Instance, Sink};

use super::{CONFUSED, REJECTED, Server, setup};

const MESSAGE: &str =
    "From: a@client.test\nTo: u@elsewhere.test\nSubject: sub\nX-M: 1\nX-M: 2\nX-Fold: a\n b\n\nline\n";

/// A message as the next host has it: headers and body with `|` between lines, without what differs each time.
fn shown(text: &str) -> String {
    let (mut out, mut skips) = (Vec::new(), false);
    for line in text.lines() {
        skips = if line.starts_with([' ', '\t']) { skips } else { line.starts_with("Received: from") };
        let line =
            ["Message-Id: ", "Date: "].iter().find(|start| line.starts_with(**start)).map_or(line, |start| &start[..2]);
        if line.starts_with("Received: from") {
            out.push("R");
        }
        if !skips {
            out.push(line);
        }
    }
    out.join("|")
}

/// The envelope as the next host has it.
fn envelope(sender: &str, recipients: &[String]) -> String {
    let bare = |text: &str| text.trim().split(' ').next().unwrap_or_default().to_owned();
    let mut recipients: Vec<String> = recipients.iter().map(|recipient| bare(recipient)).collect();
    recipients.sort_unstable();
    format!("{} {}", bare(sender), recipients.join(" "))
}

fn send(server: &Server) -> String {
    let mut client: Client = server.connect();
    client.command("EHLO client.test").expect("a reply");
    client.send("s@client.test", &["x@elsewhere.test"], MESSAGE).map_or("closed".to_owned(), |reply| reply.last())
}

/// What filters ask for, the envelope and the content that come of it.
// long: a table of cases
fn edits() -> Vec<(Vec<Act>, &'static str, &'static str)> {
    let same = "<s@client.test> <x@elsewhere.test>";
    let plain = "R|From: a@client.test|To: u@elsewhere.test|Subject: sub|X-M: 1|X-M: 2|X-Fold: a| b|Me|Da||line";
    vec![
        (vec![], same, plain),
        (
            vec![header('h', None, "X-A", "1"), header('h', None, "X-B", "a\nb\r\n c"), header('h', None, "X-A", "3")],
            same,
            "R|From: a@client.test|To: u@elsewhere.test|Subject: sub|X-M: 1|X-M: 2|X-Fold: a| b|Me|Da|X-A: 1|X-B: a|\tb| c|X-A: 3||line",
        ),
        (
            vec![
                header('i', Some(0), "X-I", "first"),
                header('i', Some(0), "X-J", "second"),
                header('i', Some(3), "X-K", "below"),
                header('i', Some(99), "X-L", "last"),
                header('i', Some(u32::MAX), "X-N", "very last"),
            ],
            same,
            "X-J: second|X-I: first|R|X-K: below|From: a@client.test|To: u@elsewhere.test|Subject: sub|X-M: 1|X-M: 2|X-Fold: a| b|Me|Da|X-L: last|X-N: very last||line",
        ),
        (
            vec![
                header('m', Some(1), "subject", "newer"),
                header('m', Some(2), "X-M", "two"),
                header('m', Some(0), "X-M", "one"),
                header('m', Some(1), "X-Fold", ""),
                header('m', Some(1), "X-None", "made"),
                header('m', Some(1), "X-Nothing", ""),
                header('m', Some(1), "Received", "hidden"),
            ],
            same,
            "R|From: a@client.test|To: u@elsewhere.test|subject: newer|X-M: one|X-M: two|Me|Da|X-None: made|Received: hidden||line",
        ),
        (
            vec![say("bnew\r\nsecond\nno "), say("bnewline"), say("b")],
            same,
            "R|From: a@client.test|To: u@elsewhere.test|Subject: sub|X-M: 1|X-M: 2|X-Fold: a| b|Me|Da||new|second|no newline",
        ),
        (
            vec![header('h', None, "X-A", "1"), say("b.\r\n..\r\nFrom x\r\n"), say("+<add@elsewhere.test>\0")],
            "<s@client.test> <add@elsewhere.test> <x@elsewhere.test>",
            "R|From: a@client.test|To: u@elsewhere.test|Subject: sub|X-M: 1|X-M: 2|X-Fold: a| b|Me|Da|X-A: 1||.|..|From x",
        ),
        (
            vec![say("+a@elsewhere.test\0"), say("+<x@elsewhere.test>\0"), say("+\0")],
            "<s@client.test> <a@elsewhere.test> <x@elsewhere.test> <x@elsewhere.test>",
            plain,
        ),
        (
            vec![
                say("-X@elsewhere.test\0"),
                say("2y@elsewhere.test\0NOTIFY=NEVER FOO=1\0"),
                say("-<x@elsewhere.test>\0"),
            ],
            "<s@client.test> <y@elsewhere.test>",
            plain,
        ),
        (vec![say("-x@elsewhere.test\0"), say("+x@elsewhere.test\0")], same, plain),
        (vec![say("+z@elsewhere.test\0"), say("-z@elsewhere.test\0")], same, plain),
        (vec![say("e<new@client.test>\0RET=HDRS SIZE=3\0")], "<new@client.test> <x@elsewhere.test>", plain),
        (vec![say("e<>\0")], "<> <x@elsewhere.test>", plain),
        (
            vec![header('h', None, "X-A", "1"), say("a")],
            same,
            "R|From: a@client.test|To: u@elsewhere.test|Subject: sub|X-M: 1|X-M: 2|X-Fold: a| b|Me|Da|X-A: 1||line",
        ),
    ]
}

#[test]
fn a_message_is_delivered_as_filters_have_changed_it() {
    scenario(|| {
        for (acts, expected, text) in edits() {
            let (sink, shape) = (Sink::v4(), format!("{acts:?}"));
            let filter = Filter::start(Script::new().at('E', [acts, vec![say("c")]].concat()));
            let server = Server::with(&filter);
            let mail = setup().set("relayhost", sink.next_hop()).service(&server.line()).start();
            assert!(send(&server).starts_with("250 "), "{shape}\n{}", mail.log());
            arrived(&sink, &mail);
            let received = sink.received().remove(0);
            assert_eq!(envelope(&received.sender, &received.recipients), expected, "{shape}\n{}", mail.log());
            assert_eq!(shown(&received.text), text, "{shape}");
        }
    });
}

fn arrived(sink: &Sink, mail: &Instance) {
    let arrived = testing::wait::until_true(testing::wait::PATIENCE, || sink.count() > 0);
    assert!(arrived, "{}", mail.log());
}

#[test]
fn the_next_filter_sees_what_the_one_before_has_changed() {
    scenario(|| {
        let edits = [
            header('i', Some(0), "X-I", "0"),
            header('h', None, "X-A", "1"),
            header('m', Some(1), "X-M", ""),
            say("bnew\r\n"),
            say("c"),
        ];
        let first = Filter::start(Script::new().at('E', edits));
        let second = Filter::start(Script::new().at('E', [header('m', Some(1), "X-A", "changed"), say("c")]));
        let sink = Sink::v4();
        let server = Server::new(&format!("smtpd_milters = {}, {}", first.endpoint(), second.endpoint()));
        let mail = setup().set("relayhost", sink.next_hop()).service(&server.line()).start();
        assert!(send(&server).starts_with("250 "), "{}", mail.log());
        arrived(&sink, &mail);
        let seen: Vec<String> = second.heard().into_iter().filter(|line| line.starts_with(['L', 'B'])).collect();
        assert_eq!(seen.first().map(String::as_str), Some("LX-I|0|"));
        assert!(seen.contains(&"LX-A|1|".to_owned()) && seen.contains(&"Bnew\\r\\n".to_owned()), "{seen:#?}");
        assert!(!seen.contains(&"LX-M|1|".to_owned()), "{seen:#?}");
        let text = shown(&sink.received()[0].text);
        assert_eq!(
            text,
            "X-I: 0|R|From: a@client.test|To: u@elsewhere.test|Subject: sub|X-M: 2|X-Fold: a| b|Me|Da|X-A: changed||new"
        );
    });
}

#[test]
fn a_new_body_may_be_larger_than_a_packet_of_the_protocol_and_a_header_long() {
    scenario(|| {
        let (sink, line) = (Sink::v4(), "0123456789\r\n");
        let value: String = vec!["v".repeat(900); 60].join("\n ");
        let pieces = (0..10).map(|_| say(["b", &line.repeat(6000)].concat()));
        let acts: Vec<Act> =
            [header('h', None, "X-Long", &value)].into_iter().chain(pieces).chain([say("c")]).collect();
        let filter = Filter::start(Script::new().at('E', acts));
        let server = Server::with(&filter);
        let mail = setup().set("relayhost", sink.next_hop()).service(&server.line()).start();
        assert!(send(&server).starts_with("250 "), "{}", mail.log());
        arrived(&sink, &mail);
        let text = sink.received().remove(0).text;
        assert_eq!(text.matches("0123456789\n").count(), 60_000);
        assert_eq!(text.matches(&"v".repeat(900)).count(), 60);
    });
}

#[test]
fn a_message_whose_recipients_are_all_taken_away_is_accepted_and_gone() {
    scenario(|| {
        let filter = Filter::start(Script::new().at('E', [say("-<x@elsewhere.test>\0"), say("c")]));
        let server = Server::with(&filter);
        let mail = setup().service(&server.line()).start();
        let reply = send(&server);
        let id = reply.rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(reply.starts_with("250 "), "{reply}\n{}", mail.log());
        mail.wait_log(&["qmgr", &format!("{id}: removed")]);
        // Who is taken away is counted.
        mail.wait_log(&["qmgr", &format!("{id}: from=<"), "nrcpt=1 (queue active)"]);
    });
}

#[test]
fn a_recipient_that_a_filter_adds_is_known_by_its_standard_form_and_has_no_copy() {
    scenario(|| {
        let acts = [
            say("+bob\0"),
            say("+carol\0"),
            say("-bob@mail.test\0"),
            say("-carol\0"),
            say("2nobody-here\0FOO\0"),
            say("e<new@client.test>\0"),
            say("qwhy\0"),
            say("c"),
        ];
        let filter = Filter::start(Script::new().at('E', acts));
        let server = Server::with(&filter);
        let mail = setup()
            .set("relayhost", "[127.0.0.1]:9")
            .set("recipient_bcc_maps", "inline:{carol@mail.test=bob@mail.test}")
            .service(&server.line())
            .start();
        assert!(send(&server).starts_with("250 "), "{}", mail.log());
        // The sender is the new one from then on.
        mail.wait_log(&["cleanup", ": milter-hold: END-OF-MESSAGE from ", "; from=<new@client.test> to=<x@else"]);
        mail.run("postsuper", &["-H", "ALL"]);
        mail.run("postqueue", &["-f"]);
        assert_eq!(mail.wait_mail("carol", 1)[0].header("X-Original-To").as_deref(), Some("carol@mail.test"));
        let line = mail.wait_log(&["to=<nobody-here@mail.test>", "status=bounced"]);
        mail.wait_log(&["to=<carol@mail.test>", "status=sent"]);
        assert!(!line.contains("orig_to=") && !mail.log().contains("to=<bob@mail.test>"), "{}", mail.log());
    });
}

#[test]
fn changes_that_make_no_sense_or_come_with_a_refusal_keep_the_message_out() {
    scenario(|| {
        let mixed = vec![say("bx\r\n"), header('h', None, "X", "1"), say("by\r\n"), say("c")];
        let cases = [
            (mixed, CONFUSED),
            (vec![header('m', Some(1), "", "1"), say("c")], CONFUSED),
            (vec![say("bx\r\n"), say("r")], REJECTED),
            (vec![header('h', None, "X", "1"), say("y550 5.7.1 no\0")], "550 5.7.1 no"),
        ];
        let filters: Vec<Filter> =
            cases.iter().map(|(acts, _)| Filter::start(Script::new().at('E', acts.clone()))).collect();
        let servers: Vec<Server> = filters.iter().map(Server::with).collect();
        let mail = super::start(&servers);
        for ((acts, expected), server) in cases.iter().zip(&servers) {
            assert_eq!(server.session(), *expected, "{acts:?}\n{}", mail.log());
        }
        assert!(mail.queue_ids("incoming").is_empty() && mail.wait_mail("alice", 0).is_empty());
    });
}

#[test]
fn headers_that_a_filter_adds_are_looked_up_in_milter_header_checks() {
    scenario(|| {
        let rules = "/^X-Rej/ REJECT 5.7.7 mhc no\n/^X-Def/ REJECT 4.7.7 later\n/^X-Disc/ DISCARD gone\n\
            /^X-Hold/ HOLD it\n/^X-Warn/ WARN w\n/^X-Ign/ IGNORE\n/^X-Rep/ REPLACE X-New: yes\n/^Subject/ REJECT never\n";
        let cases = [
            (
                "X-Rej",
                "550 5.7.7 mhc no",
                "milter-header-reject: header X-Rej: v from unknown[127.0.0.1]; from=<a@client.test> to=<alice@mail.test> proto=ESMTP helo=<client.test>: 5.7.7 mhc no",
            ),
            ("X-Def", "451 4.7.7 later", "milter-header-reject: header X-Def: v from "),
            ("X-Disc", super::QUEUED, "milter-header-discard: header X-Disc: v from "),
            ("X-Hold", super::QUEUED, "milter-header-hold: header X-Hold: v from "),
            ("X-Warn", super::QUEUED, "milter-header-warning: header X-Warn: v from "),
            ("X-Ign", super::QUEUED, "message-id="),
            ("X-Rep", super::QUEUED, "milter-header-replace: header X-Rep: v from "),
        ];
        let filters: Vec<Filter> = cases
            .iter()
            .map(|(name, ..)| Filter::start(Script::new().at('E', [header('h', None, name, "v"), say("c")])))
            .collect();
        let servers: Vec<Server> = filters.iter().map(Server::with).collect();
        let mut mail = servers.iter().fold(setup(), |setup, server| setup.service(&server.line())).build();
        let file = mail.etc().join("checks");
        testing::setup::write_old(&file, rules);
        mail.set("milter_header_checks", &format!("regexp:{}", file.display()));
        mail.start();
        for ((name, expected, line), server) in cases.iter().zip(&servers) {
            assert_eq!(server.session(), *expected, "{name}\n{}", mail.log());
            mail.wait_log(&["cleanup", line]);
        }
        let delivered = mail.wait_mail("alice", 3);
        assert_eq!(delivered.len(), 3);
        assert!(delivered.iter().any(|one| one.header("X-New").is_some()));
        assert!(delivered.iter().all(|one| one.header("X-Ign").is_none()));
        assert_eq!(mail.queue_ids("hold").len(), 1);
    });
}
