//! Capital and small letters in addresses and in the keys of tables, in any script.

use scenarios::scenario;
use testing::client::Reply;
use testing::{Client, Setup};

const TEXT: &str = "Subject: x\r\n\r\nbody\r\n.";

/// Says these lines, none of which is refused; the last reply.
fn say(client: &mut Client, lines: &[&str]) -> Reply {
    let mut reply = None;
    for line in lines {
        let heard = client.command(line).expect("a reply");
        assert!(heard.code < 400, "{line}: {heard:?}");
        reply = Some(heard);
    }
    reply.expect("a line")
}

#[test]
fn keys_of_tables_have_no_case_in_any_script() {
    scenario(|| {
        let mail = Setup::new().start();
        let table = mail.etc().join("aliases-of-others");
        std::fs::write(&table, "Jürgen@mail.test alice\nstraße@mail.test alice\nΣΑΣ@mail.test alice\n")
            .expect("written");
        let name = format!("lmdb:{}", table.display());
        mail.output("postmap", &[&name]);
        let stored = mail.output("postmap", &["-s", &name]);
        let mut keys: Vec<&str> = stored.lines().filter_map(|line| line.split('\t').next()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["jürgen@mail.test", "strasse@mail.test", "σασ@mail.test"]);
        for query in ["JÜRGEN@mail.test", "STRASSE@mail.test", "STRAẞE@mail.test", "σας@mail.test"] {
            assert_eq!(mail.output("postmap", &["-q", query, &name]).trim(), "alice", "{query}");
        }
        let mut mail = mail;
        mail.set("virtual_alias_maps", &name);
        mail.reload();
        for (at, local) in ["jÜrgen", "Straße", "σας"].into_iter().enumerate() {
            let to = format!("RCPT TO:<{local}@mail.test>");
            say(&mut Client::greet(mail.v4()).expect("connected"), &["MAIL FROM:<s@client.test>", &to, "DATA", TEXT]);
            let delivered = mail.wait_mail("alice", at + 1);
            assert!(delivered.iter().any(|mail| mail.0.contains(&format!("X-Original-To: {local}@mail.test"))));
        }
    });
}

#[test]
fn addresses_that_differ_in_case_are_the_same_in_any_script() {
    scenario(|| {
        let setup = Setup::new().set("local_recipient_maps", "").set("virtual_alias_domains", "vä.test");
        let setup =
            setup.set("virtual_alias_maps", "inline:{{@vä.test=alice@mail.test} {loopö@mail.test=LOOPÖ@mail.test}}");
        let setup = setup.set("masquerade_domains", "mail.test").set("masquerade_classes", "envelope_sender");
        let mail = setup.set("masquerade_exceptions", "röot").start();
        let recipients = ["RCPT TO:<ö@vä.test>", "RCPT TO:<Ö@VÄ.test>", "RCPT TO:<loopö@mail.test>"];
        let lines = [&["MAIL FROM:<RÖOT@host.mail.test> SMTPUTF8"], &recipients[..], &["DATA", TEXT]].concat();
        let reply = say(&mut Client::greet(mail.v4()).expect("connected"), &lines);
        let id = reply.queue_id().expect("a queue id");
        mail.wait_log(&[&id, "from=<RÖOT@host.mail.test>", "nrcpt=2 (queue active)"]);
        mail.wait_log(&[&id, "to=<alice@mail.test>, orig_to=<ö@vä.test>", "status=sent"]);
        mail.wait_log(&[&id, "to=<LOOPÖ@mail.test>, relay=local", "status=bounced (unknown user: \"loopö\")"]);
    });
}

#[test]
fn addresses_are_shown_to_patterns_of_the_server_in_lower_case_and_with_their_domain() {
    scenario(|| {
        let setup = Setup::new().set(
            "smtpd_recipient_restrictions",
            "check_sender_access regexp:{{/^(<>)$$/ WARN null $$1} {/^UPPER/i REJECT} {/^(.*)$$/ WARN sender $$1}}, \
             check_recipient_access regexp:{{/^(.*)$$/ WARN recipient $$1}}",
        );
        let setup = setup.set("local_recipient_maps", "regexp:{{/^[^A-Z]*$$/i x}}");
        let mail = setup.set("smtpd_relay_restrictions", "permit_mynetworks, reject").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let first = ["MAIL FROM:<Upper@Client.Test>", "RCPT TO:<Alice+X@MAIL.test>", "RCPT TO:<Bob>"];
        say(&mut client, &[&first[..], &["RSET", "MAIL FROM:<>"]].concat());
        client.command("RCPT TO:<\"A B\"@mail.test>").expect("a reply");
        let bare = "recipient bob@mail.test";
        for shown in
            ["sender upper@client.test", "recipient alice+x@mail.test", bare, "null <>", "recipient \"a b\"@mail.test"]
        {
            mail.wait_log(&["warn: RCPT from", &format!(": {shown};")]);
        }
    });
}
