//! The whole agent as a process, between a queue manager, a rewriter and a cleanup that this test plays.
//!
//! As root the deliveries are made by carriers that have become other users; otherwise by the caller. The laws are the
//! same.

mod stage;

use stage::{Mail, Stage};

#[test]
fn an_alias_delivers_to_a_file_a_command_and_a_maildir() {
    let stage = Stage::new("kinds", "");
    let folder = stage.open_folder("out");
    let alias = format!("many {f}/file, \"|cat > {f}/piped; env > {f}/env\", {f}/maildir/\n", f = folder.display());
    let result = stage.with_aliases(&alias).deliver(&Mail::to("Many@m.test").from("a b@x.test"));
    assert!(result.all_sent(), "{result:?}");
    result.assert_marked();
    let file = std::fs::read_to_string(folder.join("file")).unwrap();
    let mut lines = file.lines();
    assert!(lines.next().unwrap().starts_with("From \"a b\"@x.test  "), "{file}");
    assert_eq!(lines.next(), Some("Return-Path: <\"a b\"@x.test>"));
    assert_eq!(lines.next(), Some("X-Original-To: orig@m.test"));
    assert_eq!(lines.next(), Some("Delivered-To: Many@m.test"));
    assert!(file.ends_with("Subject: x\n\nbody\n>From here\n\n"), "{file}");
    let piped = std::fs::read_to_string(folder.join("piped")).unwrap();
    assert!(piped.starts_with("From ") && piped.ends_with("body\nFrom here\n"), "{piped}");
    let env = std::fs::read_to_string(folder.join("env")).unwrap();
    assert!(env.contains("USER=many\n") && env.contains("RECIPIENT=Many@m.test\n"), "{env}");
    let mut new = std::fs::read_dir(folder.join("maildir/new")).unwrap();
    let message = std::fs::read_to_string(new.next().unwrap().unwrap().path()).unwrap();
    assert!(message.starts_with("Return-Path: ") && new.next().is_none());
    let log = stage.log();
    assert!(log.contains("status=sent (delivered to file: "), "{log}");
    assert!(log.contains("status=sent (delivered to maildir)"), "{log}");
    assert!(log.contains("to=<Many@m.test>, orig_to=<orig@m.test>, relay=local, delay="), "{log}");
}

#[test]
fn nobody_is_an_unknown_user_and_postmaster_is_never_bounced() {
    let stage = Stage::new("nobody", "");
    let result = stage.deliver(&Mail::to("No-Such-User@m.test"));
    assert_eq!(result.summary(), "bounced 5.1.1 unknown user: \"no-such-user\"");
    let result = stage.deliver(&Mail::to("postmaster@m.test"));
    assert!(result.all_sent(), "{result:?}");
    assert!(stage.log().contains("warning: required alias not found: postmaster"));
}

#[test]
fn addresses_elsewhere_are_sent_on_in_one_new_message() {
    let stage = Stage::new("onward", "");
    let result = stage
        .with_aliases("team alice@elsewhere.test, bob@elsewhere.test, alice@elsewhere.test\n")
        .deliver(&Mail::to("team@m.test"));
    assert!(result.all_sent(), "{result:?}");
    let queued = stage.queued();
    assert_eq!(queued.len(), 1, "{queued:?}");
    assert_eq!(queued[0].matches("R alice@elsewhere.test").count(), 1, "{}", queued[0]);
    assert!(queued[0].contains("R bob@elsewhere.test"));
    assert!(queued[0].contains("S sender@x.test\n"));
    assert!(queued[0].contains("N Delivered-To: team@m.test\nN Subject: x\n"), "{}", queued[0]);
    assert!(stage.log().contains("status=sent (forwarded as NEW)"));
}

#[test]
fn the_owner_of_a_list_takes_the_place_of_the_sender() {
    let stage = Stage::new("owner", "");
    stage.with_aliases("list alice@elsewhere.test\nowner-list bob\n").deliver(&Mail::to("list@m.test"));
    assert!(stage.queued()[0].contains("S owner-list@m.test\n"), "{:?}", stage.queued());
}

#[test]
fn aliases_that_lead_to_themselves_come_to_an_end() {
    let stage = Stage::new("loops", "");
    let aliases = "a b\nb c\nc b\nself self\n";
    let result = stage.with_aliases(aliases).deliver(&Mail::to("a@m.test"));
    assert_eq!(result.summary(), "bounced 5.4.6 alias database loop for b");
    let result = stage.with_aliases(aliases).deliver(&Mail::to("self@m.test"));
    assert_eq!(result.summary(), "bounced 5.1.1 unknown user: \"self\"");
    let again = Mail::to("a@m.test").header("Delivered-To: A@m.test");
    let result = stage.with_aliases(aliases).deliver(&again);
    assert_eq!(result.summary(), "bounced 5.4.6 mail forwarding loop for a@m.test");
}

#[test]
fn a_failed_part_of_an_alias_is_reported_with_its_own_address() {
    let stage = Stage::new("parts", "");
    let folder = stage.open_folder("out");
    let alias = format!("mixed {}/file, nobody-here\n", folder.display());
    let result = stage.with_aliases(&alias).deliver(&Mail::to("mixed@m.test"));
    assert_eq!(result.summary(), "bounced 5.1.1 unknown user: \"nobody-here\"");
    assert_eq!(result.expanded(), ["nobody-here@m.test failed"]);
    result.assert_not_marked();
    assert!(folder.join("file").exists());
}

#[test]
fn a_deferred_part_defers_the_whole() {
    let stage = Stage::new("deferred", "");
    let result = stage.with_aliases("x \"|exit 75\", nobody-here\n").deliver(&Mail::to("x@m.test"));
    assert_eq!(result.summary(), "deferred 4.3.0 temporary failure");
    assert_eq!(result.expanded(), ["x@m.test delayed", "nobody-here@m.test failed"]);
}

#[test]
fn included_lists_name_addresses_but_no_commands() {
    let stage = Stage::new("include", "");
    let folder = stage.open_folder("lists");
    std::fs::write(folder.join("list"), "# members\nalice@elsewhere.test\n\"|cat\"\n").unwrap();
    let alias = format!("inc :include:{}/list\nnone :include:{0}/absent\n", folder.display());
    let result = stage.with_aliases(&alias).deliver(&Mail::to("inc@m.test"));
    assert_eq!(result.summary(), "bounced 5.7.1 mail to command is restricted");
    assert!(stage.queued()[0].contains("R alice@elsewhere.test"));
    let result = stage.with_aliases(&alias).deliver(&Mail::to("none@m.test"));
    assert_eq!(result.summary(), "bounced 5.3.5 mail system configuration error");
}

#[test]
fn a_user_gets_mail_in_the_spool_with_the_users_rights() {
    let stage = Stage::new("spool", "recipient_delimiter = +\n");
    let user = stage.user().to_owned();
    let result = stage.deliver(&Mail::to(&format!("{user}+ext@m.test")));
    assert!(result.all_sent(), "{result:?}\n{}", stage.log());
    let mailbox = stage.spool().join(&user);
    stage.assert_owned_by_user(&mailbox);
    assert!(std::fs::read_to_string(mailbox).unwrap().contains(&format!("Delivered-To: {user}+ext@m.test\n")));
    assert!(!stage.spool().join(format!("{user}.lock")).exists());
    assert!(stage.log().contains("status=sent (delivered to mailbox)"));
}

#[test]
fn a_users_forward_file_decides_and_names_himself() {
    let stage = Stage::new("forward", "recipient_delimiter = +\n");
    let user = stage.user().to_owned();
    let folder = stage.open_folder("out");
    let text = format!("\"|id -un > {}/who\", {user}, carol@elsewhere.test\n", folder.display());
    stage.forward_file("", &text);
    stage.forward_file("+away", "dave@elsewhere.test\n");
    let result = stage.deliver(&Mail::to(&format!("{user}@m.test")));
    assert!(result.all_sent(), "{result:?}\n{}", stage.log());
    assert_eq!(std::fs::read_to_string(folder.join("who")).unwrap().trim(), user);
    assert!(stage.spool().join(&user).exists());
    assert!(stage.queued()[0].contains("R carol@elsewhere.test"));
    stage.deliver(&Mail::to(&format!("{user}+away@m.test")));
    assert!(stage.queued()[1].contains("R dave@elsewhere.test"));
}

#[test]
fn a_probe_delivers_nothing() {
    let stage = Stage::new("probe", "");
    let folder = stage.open_folder("out");
    let alias = format!("p {}/file, \"|cat\", alice@elsewhere.test\n", folder.display());
    let result = stage.with_aliases(&alias).deliver(&Mail::to("p@m.test").probe());
    assert!(result.all_sent(), "{result:?}");
    assert_eq!(result.expanded().len(), 3);
    assert!(!folder.join("file").exists() && stage.queued().is_empty());
    let log = stage.log();
    assert!(log.contains("status=deliverable (delivers to command: cat)"), "{log}");
    assert!(log.contains("status=deliverable (forwards to alice@elsewhere.test)"), "{log}");
}

#[test]
fn mailbox_command_runs_as_the_user() {
    let stage = Stage::new("mailbox-command", "mailbox_command = id -un > \"$HOME_FOR_TEST/who\"; cat > /dev/null\n");
    let user = stage.user().to_owned();
    let result = stage.deliver(&Mail::to(&format!("{user}@m.test")));
    assert!(result.all_sent(), "{result:?}\n{}", stage.log());
    assert_eq!(std::fs::read_to_string(stage.open_folder("out").join("who")).unwrap().trim(), user);
}

#[test]
fn a_command_that_does_not_end_is_ended() {
    let stage = Stage::new("time-limit", "command_time_limit = 1s\n");
    let result = stage.with_aliases("slow \"|sleep 60\"\n").deliver(&Mail::to("slow@m.test"));
    assert_eq!(result.summary(), "bounced 5.3.0 Command time limit exceeded: \"sleep 60\"");
}

#[test]
fn what_cannot_be_forwarded_stays_in_the_queue() {
    let stage = Stage::new("no-cleanup", "cleanup_service_name = absent\n");
    let result = stage.with_aliases("far alice@elsewhere.test\n").deliver(&Mail::to("far@m.test"));
    assert_eq!(result.summary(), "deferred 4.3.0 unable to forward message");
    result.assert_not_marked();
}
