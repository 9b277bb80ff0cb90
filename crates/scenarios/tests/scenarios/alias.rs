//! Aliases: users, lists with owners, commands, loops.

use scenarios::scenario;
use testing::{Client, Instance, Setup};

/// An instance that knows these aliases beside its users.
fn with_aliases(text: &str) -> Instance {
    let mut mail = Setup::new().build();
    let path = mail.etc().join("more-aliases");
    std::fs::write(&path, text).expect("aliases written");
    let users = mail.etc().join("aliases");
    mail.set("alias_maps", &format!("texthash:{}, texthash:{}", users.display(), path.display()));
    mail.start();
    mail
}

fn send(mail: &Instance, to: &str) {
    mail.sendmail(&["-f", "carol@mail.test", to], "Subject: hello\n\nbody\n");
}

#[test]
fn an_alias_of_several_users_is_delivered_to_each_with_a_line_of_its_own() {
    scenario(|| {
        let mail = with_aliases("team alice, bob\n");
        send(&mail, "team@mail.test");
        for user in ["alice", "bob"] {
            let message = mail.wait_mail(user, 1).remove(0);
            assert_eq!(message.header("Delivered-To").as_deref(), Some("team@mail.test"));
            assert_eq!(message.header("X-Original-To").as_deref(), Some("team@mail.test"));
            let address = format!("to=<{user}@mail.test>, orig_to=<team@mail.test>, relay=local, ");
            mail.wait_log(&[&address, "dsn=2.0.0, status=sent (delivered to maildir)"]);
        }
        mail.wait_idle();
    });
}

#[test]
fn what_an_alias_sends_on_of_a_stranger_keeps_its_header() {
    scenario(|| {
        let mut mail = Setup::new().set("local_header_rewrite_clients", "").build();
        let path = mail.etc().join("more-aliases");
        std::fs::write(&path, "list bob\nowner-list alice\n").expect("aliases written");
        let users = mail.etc().join("aliases");
        mail.set("alias_maps", &format!("texthash:{}, texthash:{}", users.display(), path.display()));
        mail.start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.send("a@client.test", &["list@mail.test"], "From: a\nSubject: x\n\nbody\n").expect("sent");
        let message = mail.wait_mail("bob", 1).remove(0);
        assert_eq!(message.header("From").as_deref(), Some("a"));
        assert_eq!((message.header("Message-Id"), message.header("Date")), (None, None));
        send(&mail, "list@mail.test");
        assert!(mail.wait_mail("bob", 2).iter().any(|message| message.header("Message-Id").is_some()));
    });
}

#[test]
fn the_owner_of_a_list_becomes_the_sender_of_its_mail() {
    scenario(|| {
        let mail = with_aliases("list alice, gone\nowner-list bob\n");
        send(&mail, "list@mail.test");
        let line = mail.wait_log(&["to=<list@mail.test>, relay=local", "status=sent (forwarded as "]);
        let id = line.rsplit(' ').next().unwrap_or_default().trim_end_matches(')').to_owned();
        mail.wait_log(&[&id, "from=<owner-list@mail.test>", "nrcpt=1 (queue active)"]);
        let message = mail.wait_mail("alice", 1).remove(0);
        assert_eq!(message.header("Return-Path").as_deref(), Some("<owner-list@mail.test>"));
        let report = mail.wait_mail("bob", 1).remove(0);
        assert!(report.body().contains("Final-Recipient: rfc822; gone@mail.test"), "{}", report.0);
        mail.wait_idle();
    });
}

#[test]
fn a_report_to_a_list_with_an_owner_is_mail_of_the_owner_too() {
    scenario(|| {
        let mail = with_aliases("list alice\nowner-list bob\n");
        mail.sendmail(&["-f", "", "list@mail.test"], "Subject: hello\n\nbody\n");
        let message = mail.wait_mail("alice", 1).remove(0);
        assert_eq!(message.header("Return-Path").as_deref(), Some("<owner-list@mail.test>"));
        mail.sendmail(&["-f", "", "owner-list@mail.test"], "Subject: hello\n\nbody\n");
        assert_eq!(mail.wait_mail("bob", 1).remove(0).header("Return-Path").as_deref(), Some("<>"));
        mail.wait_idle();
    });
}

#[test]
fn the_status_and_the_words_of_a_command_decide_about_its_mail() {
    scenario(|| {
        let mail = with_aliases("later \"|echo not now; exit 75\"\nnever \"|echo 5.7.7 not you; exit 1\"\n");
        send(&mail, "later@mail.test");
        mail.wait_log(&[
            "to=<later@mail.test>",
            "dsn=4.3.0, status=deferred (temporary failure. Command output: not now )",
        ]);
        send(&mail, "never@mail.test");
        mail.wait_log(&["to=<never@mail.test>", "dsn=5.7.7, status=bounced (not you )"]);
        let report = mail.wait_mail("carol", 1).remove(0);
        assert!(report.body().contains("Status: 5.7.7\nDiagnostic-Code: x-unix; not you"), "{}", report.0);
    });
}

#[test]
fn mail_that_was_delivered_to_an_address_before_is_not_delivered_to_it_again() {
    scenario(|| {
        let mail = with_aliases("");
        let text = "Subject: hello\nDelivered-To: Alice@mail.test\n\nbody\n";
        mail.sendmail(&["-f", "carol@mail.test", "alice@mail.test"], text);
        mail.wait_log(&["dsn=5.4.6, status=bounced (mail forwarding loop for alice@mail.test)"]);
        mail.wait_mail("carol", 1);
        mail.wait_idle();
    });
}

/// What a client hears about a message to this address, with these tables.
fn outcome(settings: &[(&str, &str)], to: &str) -> String {
    let setup = Setup::new().set("relay_domains", "v.test").set("relay_transport", "error:nobody");
    let mail = settings.iter().fold(setup, |setup, (name, value)| setup.set(name, *value)).start();
    let mut client = Client::greet(mail.v4()).expect("connected");
    let reply = client.send("carol@mail.test", &[to], "Subject: hello\n\nbody\n").expect("reply");
    mail.wait_idle();
    reply.last()
}

#[test]
fn a_circle_of_virtual_aliases_asks_the_client_to_come_again() {
    scenario(|| {
        let circle = "inline:{{a@v.test = b@v.test}, {b@v.test = a@v.test}}";
        let reply = outcome(&[("virtual_alias_maps", circle)], "a@v.test");
        assert_eq!(reply, "451 4.6.0 Alias expansion error");
        let copy = [("virtual_alias_maps", circle), ("always_bcc", "b@v.test")];
        assert_eq!(outcome(&copy, "alice@mail.test"), "451 4.6.0 Alias expansion error");
    });
}

#[test]
fn a_virtual_alias_without_an_address_asks_the_client_to_come_again() {
    scenario(|| {
        let reply = outcome(&[("virtual_alias_maps", "inline:{{a@v.test = (nobody)}}")], "a@v.test");
        assert_eq!(reply, "451 4.3.0 Error: queue file write error");
    });
}

#[test]
fn a_circle_of_canonical_addresses_is_left_after_ten_steps() {
    scenario(|| {
        let circle = "inline:{{alice@mail.test = bob@mail.test}, {bob@mail.test = alice@mail.test}}";
        let mail = Setup::new().set("recipient_canonical_maps", circle).start();
        mail.sendmail(&["-f", "carol@mail.test", "alice@mail.test"], "Subject: hello\n\nbody\n");
        mail.wait_mail("alice", 1);
        mail.wait_log(&["unreasonable recipient_canonical_maps map nesting for alice@mail.test"]);
    });
}

#[test]
fn a_colon_in_an_address_is_part_of_it_unless_it_begins_a_group() {
    scenario(|| {
        let virtual_aliases = "inline:{ { colon@mail.test = x:y } { group@mail.test = g: alice, bob; } }";
        let mail = Setup::new().set("virtual_alias_maps", virtual_aliases).start();
        send(&mail, "colon@mail.test");
        mail.wait_log(&["to=<\"x:y\"@mail.test>, orig_to=<colon@mail.test>", "dsn=5.1.1, status=bounced"]);
        send(&mail, "v:w");
        mail.wait_log(&["to=<\"v:w\"@mail.test>", "dsn=5.1.1, status=bounced"]);
        send(&mail, "group@mail.test");
        for user in ["alice", "bob"] {
            mail.wait_log(&[&format!("to=<{user}@mail.test>, orig_to=<group@mail.test>"), "status=sent"]);
        }
    });
}
