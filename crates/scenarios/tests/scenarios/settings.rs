//! Settings that reach into several programs: names of senders, home directories, ports by name.

use scenarios::scenario;
use testing::{Setup, Sink};

const MESSAGE: &str = "Subject: x\n\nbody\n";

#[test]
fn a_full_name_beyond_ascii_is_an_encoded_word_in_the_header_that_is_added() {
    scenario(|| {
        let mail = Setup::new().start();
        let long = format!("\u{fc}{}", "x".repeat(58));
        let encoded = format!("From: =?utf-8?Q?=C3=BC{}?=\n\t=?utf-8?Q?x?= <carol@mail.test>\n", "x".repeat(57));
        for (count, (name, header)) in [
            ("Plain Name", "From: Plain Name <carol@mail.test>\n"),
            ("J. Doe", "From: \"J. Doe\" <carol@mail.test>\n"),
            ("J\u{fc}rgen M\u{fc}ller", "From: =?utf-8?Q?J=C3=BCrgen_M=C3=BCller?= <carol@mail.test>\n"),
            (
                "\u{65e5}\u{65e5}\u{65e5}\u{65e5}\u{65e5}aaaaa",
                "From: =?utf-8?B?5pel5pel5pel5pel5pelYWFhYWE=?= <carol@mail.test>\n",
            ),
            (&long, &encoded),
        ]
        .into_iter()
        .enumerate()
        {
            mail.sendmail(&["-F", name, "-f", "carol@mail.test", "bob"], MESSAGE);
            let all = mail.wait_mail("bob", count + 1);
            assert!(all.iter().any(|message| message.0.contains(header)), "{header}");
        }
    });
}

#[test]
fn mail_waits_for_a_home_directory_that_is_not_there_where_one_is_required() {
    scenario(|| {
        let mut mail = Setup::new().set("local_recipient_maps", "").set("require_home_directory", "yes").start();
        mail.sendmail(&["-f", "alice@mail.test", "nobody"], MESSAGE);
        let why = "dsn=4.3.0, status=deferred (cannot access home directory /nonexistent: No such file or directory)";
        mail.wait_log(&["to=<nobody@mail.test>", why]);
        mail.set("require_home_directory", "no");
        mail.reload();
        mail.sendmail(&["-f", "alice@mail.test", "nobody"], MESSAGE);
        mail.wait_log(&["to=<nobody@mail.test>", "relay=local", "dsn=2.0.0, status=sent"]);
    });
}

#[test]
fn a_next_hop_may_have_a_port_that_only_main_cf_has_a_name_for() {
    scenario(|| {
        let sink = Sink::v4();
        let known = format!("smtp=25, my-relay=other-relay={}", sink.address().port());
        let next_hop = format!("[{}]:other-relay", sink.address().ip());
        let mail = Setup::new().set("known_tcp_ports", known).set("relayhost", next_hop).start();
        mail.sendmail(&["-f", "alice@mail.test", "x@other.test"], MESSAGE);
        mail.wait_log(&["to=<x@other.test>", "status=sent"]);
    });
}
