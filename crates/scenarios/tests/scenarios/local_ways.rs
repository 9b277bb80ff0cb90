//! The ways that local has for a user's mail beside mailboxes: other transports, commands, forward_path.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use scenarios::scenario;
use testing::wait::PATIENCE;
use testing::{Client, Instance, Setup, World};

/// A user whom every system has, who is nobody of the mail system and has no .forward.
const USER: &str = "games";

/// An instance as root in which [`USER`] has a mailbox, and a directory that everybody may write to.
fn started(setup: Setup, change: impl FnOnce(&mut Instance, &str)) -> Option<(Instance, PathBuf)> {
    if !testing::accounts::is_root() {
        eprintln!("left out: only root delivers as other users");
        return None;
    }
    let setup = setup.set("local_recipient_maps", "").set("recipient_delimiter", "+-");
    let mut mail = setup.set("minimal_backoff_time", "1h").build();
    let open = mail.folder().join("open");
    for (name, path) in [("open", &open), ("mail_spool_directory", &mail.folder().join("spool"))] {
        fs::create_dir(path).expect("a directory");
        fs::set_permissions(path, fs::Permissions::from_mode(0o1777)).expect("open to all");
        if name != "open" {
            mail.set(name, &path.display().to_string());
        }
    }
    change(&mut mail, &open.display().to_string());
    mail.start();
    Some((mail, open))
}

/// The status line of a new message for the address, from the dsn on.
fn sent(mail: &Instance, to: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    for (line, code) in
        [("EHLO client.test", 250), ("MAIL FROM:<s@x.test> ENVID=E+3D1", 250), (&format!("RCPT TO:<{to}>"), 250)]
    {
        let reply = client.command(line).expect("a reply");
        assert_eq!(reply.code, code, "{reply:?}");
    }
    assert_eq!(client.command("DATA").expect("a reply").code, 354);
    let reply = client.command("Subject: x\r\n\r\nFrom here\r\n.").expect("a reply");
    let id = reply.queue_id().expect("a queue id");
    let line = mail.wait_log(&[&id, "status="]);
    line[line.find("dsn=").unwrap_or_default()..].to_owned()
}

#[test]
fn mail_of_users_and_of_nobody_goes_to_the_transports_that_tables_and_settings_name() {
    scenario(|| {
        let setup = Setup::new()
            .set("mailbox_transport_maps", "inline:{ {games = drop:by table} {news = drop} }")
            .set("fallback_transport_maps", "inline:{ {special = drop:special} }")
            .set("fallback_transport", "drop:of all")
            .service("drop unix - - n - - discard");
        let Some((mail, _)) = started(setup, |_, _| ()) else { return };
        for (to, hop, passed) in [
            ("games+ext@mail.test", "by table", "games+ext@mail.test"),
            ("news@mail.test", "mail.test", "news@mail.test"),
            ("special@mail.test", "special", "special@mail.test"),
            ("NoBodyAtAll+x@mail.test", "of all", "NoBodyAtAll+x@mail.test"),
        ] {
            assert_eq!(sent(&mail, to), format!("dsn=2.0.0, status=sent ({hop})"), "{to}");
            mail.wait_log(&[&format!("passing <{passed}> to transport=drop")]);
        }
    });
}

#[test]
fn a_spool_of_maildirs_comes_before_a_mailbox_file_at_home_and_not_before_a_maildir() {
    scenario(|| {
        // The user may not write at home.
        for (home, end, place) in [
            ("box", "/", "status=sent (delivered to maildir)"),
            ("box", "", "/usr/games/box"),
            ("Maildir/", "/", "/usr/games/Maildir/"),
        ] {
            let change = |mail: &mut Instance, open: &str| {
                mail.set("mail_spool_directory", &format!("{open}{end}"));
            };
            let Some((mail, _)) = started(Setup::new().set("home_mailbox", home), change) else { return };
            let line = sent(&mail, &format!("{USER}@mail.test"));
            assert!(line.contains(place), "{home} {end}: {line}");
        }
    });
}

#[test]
fn a_mailbox_command_has_what_is_known_of_the_message_and_no_characters_of_shells() {
    scenario(|| {
        let setup = Setup::new().set("export_environment", "TZ MAIL_CONFIG");
        let change = |mail: &mut Instance, open: &str| {
            let program = format!("{open}/program");
            let text = format!(
                "#!/bin/sh\nexec >{open}/facts\nprintf '[%s]' \"$@\"\necho\nid -u; id -G; umask; pwd\n\
                 env | sort | grep -v -e PWD -e _= -e MAIL_CONFIG= -e SHLVL= -e ENVID=\ncat\nmv {open}/facts {open}/told\n"
            );
            fs::write(&program, text).expect("a program");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made executable");
            let command = format!("{program} \"$$EXTENSION\" x");
            mail.set("mailbox_command_maps", &format!("inline:{{ {{games = {command}}} }}"));
            mail.set("command_execution_directory", open);
        };
        let Some((mail, open)) = started(setup, change) else { return };
        let said = sent(&mail, "Games-Foo$id@mail.test");
        assert!(said.starts_with("dsn=2.0.0, status=sent (delivered to command: "), "{said}");
        let user = nix::unistd::User::from_name(USER).ok().flatten().expect("the user of the test");
        let told = fs::read_to_string(open.join("told")).expect("facts");
        let (head, message) = told.split_once("From s@x.test  ").expect("a From line");
        let (home, shell) = (user.dir.display(), user.shell.display());
        let expected = format!(
            "[foo_id][x]\n{uid}\n{gid}\n0077\n{open}\nCLIENT_ADDRESS=127.0.0.1\nCLIENT_HELO=client.test\n\
             CLIENT_HOSTNAME=unknown\nCLIENT_PROTOCOL=ESMTP\nDOMAIN=mail.test\nEXTENSION=foo_id\nHOME={home}\n\
             LOCAL=games-foo_id\nLOGNAME=games\nORIGINAL_RECIPIENT=Games-Foo_id@mail.test\nPATH=/usr/bin:/bin\n\
             RECIPIENT=Games-Foo_id@mail.test\nSENDER=s@x.test\nSHELL={shell}\nTZ=UTC\nUSER=games\n",
            uid = user.uid,
            gid = user.gid,
            open = open.display(),
        );
        assert_eq!(head, expected);
        let heading = "Return-Path: <s@x.test>\nX-Original-To: Games-Foo$id@mail.test\n\
            Delivered-To: Games-Foo$id@mail.test\nReceived: ";
        assert!(message.contains(heading) && message.ends_with("\n\nFrom here\n"), "{message}");
    });
}

#[test]
fn a_command_of_a_list_knows_who_wrote_the_list_and_no_extension_that_leads_elsewhere() {
    scenario(|| {
        let change = |mail: &mut Instance, open: &str| {
            let aliases = mail.etc().join("more-aliases");
            let command = format!("(id -un; echo $HOME $SHELL; echo $LOCAL $EXTENSION) > {open}/told; exit 9");
            testing::setup::write_old(&aliases, &format!("own \"|{command}\"\ngone \"|/no/such/program x\"\n"));
            let user = nix::unistd::User::from_name(USER).ok().flatten().expect("the user of the test");
            nix::unistd::chown(&aliases, Some(user.uid), Some(user.gid)).expect("the user's");
            mail.set("alias_maps", &format!("texthash:{}", aliases.display()));
        };
        let Some((mail, open)) = started(Setup::new(), change) else { return };
        let user = nix::unistd::User::from_name(USER).ok().flatten().expect("the user of the test");
        let (home, shell) = (user.dir.display(), user.shell.display());
        for (to, local) in [("own+a@mail.test", "own+a a"), ("own+../a@mail.test", "own")] {
            let said = sent(&mail, to);
            assert!(said.starts_with("dsn=5.3.0, status=bounced (Command died with status 9: "), "{said}");
            let told = fs::read_to_string(open.join("told")).expect("facts");
            assert_eq!(told.trim_end(), format!("{USER}\n{home} {shell}\n{local}"));
        }
        mail.wait_log(&[": address with illegal extension: own+../a"]);
        let said = sent(&mail, "gone@mail.test");
        let why = "local: fatal: execvp /no/such/program: No such file or directory";
        assert_eq!(said, format!("dsn=4.3.0, status=deferred (temporary failure. Command output: {why} )"));
        mail.wait_idle();
        // The blank that the end of the output is stands in the log alone.
        let listed = String::from_utf8(mail.run("postqueue", &["-p"]).stdout).expect("text");
        assert!(listed.contains(&format!("(temporary failure. Command output: {why})\n")), "{listed}");
    });
}

#[test]
fn what_a_list_with_an_owner_delivers_does_not_say_whom_the_sender_wrote_to() {
    scenario(|| {
        let change = |mail: &mut Instance, open: &str| {
            let aliases = mail.etc().join("more-aliases");
            let command = format!("(env; cat) > {open}/told; exit 9");
            testing::setup::write_old(&aliases, &format!("list \"|{command}\"\nowner-list boss@else.test\n"));
            mail.set("alias_maps", &format!("texthash:{}", aliases.display()));
            mail.set("virtual_alias_maps", "inline:{ {first@mail.test = list@mail.test} }");
        };
        let Some((mail, open)) = started(Setup::new(), change) else { return };
        let said = sent(&mail, "first@mail.test");
        assert!(said.starts_with("dsn=5.3.0, status=bounced (Command died with status 9: "), "{said}");
        mail.wait_log(&["to=<list@mail.test>, relay=local", "status=bounced"]);
        let told = fs::read_to_string(open.join("told")).expect("facts");
        assert!(!told.contains("ORIGINAL_RECIPIENT=") && !told.contains("X-Original-To:"), "{told}");
        assert!(told.contains("SENDER=owner-list@mail.test\n"), "{told}");
    });
}

#[test]
fn a_plain_command_has_the_name_that_the_line_gives_it() {
    scenario(|| {
        let change = |mail: &mut Instance, open: &str| {
            let plain = format!("/bin/sed -n w{open}/plain /proc/self/cmdline");
            mail.set("mailbox_command_maps", &format!("inline:{{ {{games = {plain}}} }}"));
        };
        let Some((mail, open)) = started(Setup::new(), change) else { return };
        let said = sent(&mail, "games@mail.test");
        assert!(said.starts_with("dsn=2.0.0, status=sent (delivered to command: /bin/sed "), "{said}");
        let told = fs::read(open.join("plain")).expect("facts");
        assert!(told.starts_with(b"/bin/sed\0-n\0"), "{told:?}");
    });
}

#[test]
fn a_message_is_sent_on_when_nothing_of_its_list_is_left_to_try_again() {
    scenario(|| {
        let setup = Setup::new().set("transport_maps", "inline:{ {else.test = discard:} }");
        let change = |mail: &mut Instance, open: &str| {
            let aliases = mail.etc().join("more-aliases");
            let text = format!("team boss@else.test, \"|test -e {open}/ready || exit 75\", \"|exit 67\"\n");
            testing::setup::write_old(&aliases, &text);
            mail.set("alias_maps", &format!("texthash:{}", aliases.display()));
        };
        let Some((mail, open)) = started(setup, change) else { return };
        sent(&mail, "team@mail.test");
        mail.wait_log(&["to=<team@mail.test>", "status=deferred (temporary failure)"]);
        mail.wait_idle();
        assert!(!mail.log().contains("status=sent (forwarded as"), "{}", mail.log());
        fs::write(open.join("ready"), "").expect("a file");
        mail.run("postqueue", &["-f"]);
        mail.wait_log(&["to=<boss@else.test>, orig_to=<team@mail.test>", "status=sent"]);
        assert_eq!(mail.log().matches("status=sent (forwarded as").count(), 1, "{}", mail.log());
    });
}

#[test]
fn a_forward_file_may_lead_to_another_one_of_the_same_user_and_ends_in_the_mailbox() {
    scenario(|| {
        let setup = Setup::new();
        let change = |mail: &mut Instance, open: &str| {
            mail.set("forward_path", &format!("{open}/$user.$extension, {open}/$user"));
        };
        let Some((mail, open)) = started(setup, change) else { return };
        let user = nix::unistd::User::from_name(USER).ok().flatten().expect("the user of the test");
        for (name, text) in [("games.one", "games\n"), ("games.two", "games+two\n"), ("games", "carol@mail.test\n")] {
            fs::write(open.join(name), text).expect("a list");
            nix::unistd::chown(&open.join(name), Some(user.uid), Some(user.gid)).expect("the user's");
        }
        sent(&mail, "games+one@mail.test");
        mail.wait_log(&["to=<carol@mail.test>, orig_to=<games+one@mail.test>"]);
        assert_eq!(sent(&mail, "games+two@mail.test"), "dsn=2.0.0, status=sent (delivered to mailbox)");
    });
}

#[test]
fn luser_relay_that_names_the_unknown_user_himself_is_as_good_as_none() {
    scenario(|| {
        let Some((mail, _)) = started(Setup::new().set("luser_relay", "$recipient"), |_, _| ()) else { return };
        assert_eq!(sent(&mail, "No-Such+X@mail.test"), "dsn=5.1.1, status=bounced (unknown user: \"no\")");
    });
}

#[test]
fn a_command_whose_directory_is_not_there_waits() {
    scenario(|| {
        let change = |mail: &mut Instance, _: &str| {
            mail.set("mailbox_command", "/bin/cat");
            mail.set("command_execution_directory", "/no/such/directory");
        };
        let Some((mail, _)) = started(Setup::new(), change) else { return };
        assert_eq!(sent(&mail, "games@mail.test"), "dsn=4.3.0, status=deferred (temporary failure)");
        let user = nix::unistd::User::from_name(USER).ok().flatten().expect("the user of the test");
        let (uid, gid) = (user.uid, user.gid);
        let why = format!("cannot change directory to \"/no/such/directory\" for uid={uid} gid={gid}: No such file");
        mail.wait_log(&[&format!("fatal: {why}")]);
    });
}

#[test]
fn the_first_forward_file_that_is_there_counts_and_passes_its_extension_on_where_that_is_wanted() {
    scenario(|| {
        let setup = Setup::new().set("propagate_unmatched_extensions", "canonical, virtual, alias, forward");
        let change = |mail: &mut Instance, open: &str| {
            mail.set("forward_path", &format!("{open}/$user.$extension, {open}/$user${{extension?.any}}"));
            let aliases = mail.etc().join("more-aliases");
            testing::setup::write_old(&aliases, "team bob\nteam+exact alice\n");
            let users = mail.etc().join("aliases");
            mail.set("alias_maps", &format!("texthash:{}, texthash:{}", users.display(), aliases.display()));
        };
        let Some((mail, open)) = started(setup, change) else { return };
        let user = nix::unistd::User::from_name(USER).ok().flatten().expect("the user of the test");
        for (name, text) in [("games.one", "alice\n"), ("games.any", "bob\n"), ("games", "carol\n")] {
            fs::write(open.join(name), text).expect("a list");
            nix::unistd::chown(&open.join(name), Some(user.uid), Some(user.gid)).expect("the user's");
        }
        for (to, becomes) in [
            ("games+one@mail.test", "alice@mail.test"),
            ("games+two@mail.test", "bob+two@mail.test"),
            ("games@mail.test", "carol@mail.test"),
            ("team+x@mail.test", "bob+x@mail.test"),
            ("team+exact@mail.test", "alice@mail.test"),
        ] {
            sent(&mail, to);
            mail.wait_log(&[&format!("to=<{becomes}>, orig_to=<{to}>")]);
        }
        mail.wait_idle();
        mail.sendmail(&["-bv", "games+one@mail.test"], "Subject: x\n\nx\n");
        mail.wait_log(&[
            "to=<alice@mail.test>, orig_to=<games+one@mail.test>",
            "status=deliverable (delivers to file: ",
        ]);
    });
}

#[test]
fn lists_name_commands_and_files_only_where_that_is_allowed() {
    scenario(|| {
        let setup = Setup::new().set("allow_mail_to_commands", "").set("allow_mail_to_files", "forward");
        let change = |mail: &mut Instance, open: &str| {
            mail.set("forward_path", &format!("{open}/$user"));
            let aliases = mail.etc().join("more-aliases");
            testing::setup::write_old(&aliases, &format!("cmd |/bin/cat\nfile {open}/alias-file\n"));
            mail.set("alias_maps", &format!("texthash:{}", aliases.display()));
        };
        let Some((mail, open)) = started(setup, change) else { return };
        let user = nix::unistd::User::from_name(USER).ok().flatten().expect("the user of the test");
        fs::write(open.join(USER), format!("{}/forward-file\n", open.display())).expect("a list");
        nix::unistd::chown(&open.join(USER), Some(user.uid), Some(user.gid)).expect("the user's");
        assert_eq!(sent(&mail, "cmd@mail.test"), "dsn=5.7.1, status=bounced (mail to command is restricted)");
        assert_eq!(sent(&mail, "file@mail.test"), "dsn=5.7.1, status=bounced (mail to file is restricted)");
        let said = sent(&mail, "games@mail.test");
        assert_eq!(said, format!("dsn=2.0.0, status=sent (delivered to file: {}/forward-file)", open.display()));
    });
}

#[test]
fn a_mailbox_must_have_room_for_a_message_and_no_more_than_its_limit() {
    scenario(|| {
        let setup = Setup::new().set("message_size_limit", "10000").set("mailbox_size_limit", "10000");
        let Some((mut mail, _)) = started(setup, |_, _| ()) else { return };
        let text = format!("Subject: x\n\n{}", "0123456789\n".repeat(600));
        let send = |mail: &Instance| {
            let mut client = Client::greet(mail.v4()).expect("connected");
            let reply = client.send("s@x.test", &["games@mail.test"], &text).expect("a reply");
            let line = mail.wait_log(&[&reply.queue_id().expect("a queue id"), "status="]);
            line[line.find("dsn=").unwrap_or_default()..].to_owned()
        };
        assert_eq!(send(&mail), "dsn=2.0.0, status=sent (delivered to mailbox)");
        let mailbox = mail.folder().join("spool").join(USER);
        let before = fs::metadata(&mailbox).expect("a mailbox").len();
        let said = send(&mail);
        let why = "for user games. error writing message: File too large)";
        assert!(said.starts_with("dsn=5.2.2, status=bounced (cannot update mailbox ") && said.ends_with(why), "{said}");
        assert_eq!(fs::metadata(&mailbox).expect("a mailbox").len(), before);
        mail.set("mailbox_size_limit", "5000");
        mail.reload();
        mail.sendmail(&["-f", "s@x.test", "games@mail.test"], "Subject: x\n\nx\n");
        mail.wait_log(&["fatal: configuration error: mailbox_size_limit is smaller than message_size_limit"]);
    });
}

#[test]
fn the_comsat_service_hears_where_new_mail_begins_in_a_mailbox_file() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let comsat = UdpSocket::bind("127.0.0.1:512").expect("the port of comsat");
        comsat.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let heard = || {
            let mut news = [0; 100];
            let count = comsat.recv(&mut news).expect("news");
            String::from_utf8_lossy(&news[..count]).into_owned()
        };
        let Some((mut mail, _)) = started(Setup::new().set("biff", "yes"), |_, _| ()) else { return };
        assert_eq!(sent(&mail, "games+x@mail.test"), "dsn=2.0.0, status=sent (delivered to mailbox)");
        assert_eq!(heard(), "games@0\0");
        let mailbox = mail.folder().join("spool").join(USER);
        let length = fs::metadata(&mailbox).expect("a mailbox").len();
        // Mail in a maildir is no news, and neither is any without biff.
        mail.sendmail(&["-f", "s@x.test", "alice@mail.test"], "Subject: x\n\nx\n");
        mail.wait_mail("alice", 1);
        sent(&mail, "games@mail.test");
        assert_eq!(heard(), format!("games@{length}\0"));
        mail.set("biff", "no");
        mail.reload();
        sent(&mail, "games@mail.test");
        mail.set("biff", "yes");
        mail.reload();
        let length = fs::metadata(&mailbox).expect("a mailbox").len();
        sent(&mail, "games@mail.test");
        assert_eq!(heard(), format!("games@{length}\0"));
        // Where nobody listens mail is delivered all the same.
        drop(comsat);
        for _ in 0..2 {
            assert_eq!(sent(&mail, "games@mail.test"), "dsn=2.0.0, status=sent (delivered to mailbox)");
        }
    });
}
