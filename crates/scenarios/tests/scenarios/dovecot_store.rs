//! Mail into Dovecot's store: by LMTP, and by its delivery command under pipe.

use std::fs;
use std::path::{Path, PathBuf};

use scenarios::scenario;
use testing::dovecot::Dovecot;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup};

/// Who owns the store.
const OWNER: &str = "games";

/// A store below `folder`, by LMTP at `socket`, for joe and bob of `v.test` and alice of `mail.test`.
fn store(folder: &Path, socket: &Path) -> Dovecot {
    let user = nix::unistd::User::from_name(OWNER).ok().flatten().expect("the user of the test");
    let mail = folder.join("store");
    fs::create_dir(&mail).expect("a directory");
    nix::unistd::chown(&mail, Some(user.uid), Some(user.gid)).expect("the owner's");
    let users = folder.join("store-users");
    let line = |address: &str| format!("{address}::{}:{}::{}/{address}\n", user.uid, user.gid, mail.display());
    fs::write(&users, ["joe@v.test", "bob@v.test", "alice@mail.test"].map(line).concat()).expect("users");
    let configuration = format!(
        "protocols = lmtp\nfirst_valid_uid = 1\nfirst_valid_gid = 1\nmail_location = maildir:~/mail\n\
         lmtp_save_to_detail_mailbox = no\nrecipient_delimiter = +\nauth_username_format = %Lu\n\
         passdb {{\n  driver = passwd-file\n  args = {users}\n}}\nuserdb {{\n  driver = passwd-file\n  args = {users}\n}}\n\
         service lmtp {{\n  unix_listener {socket} {{\n    mode = 0666\n  }}\n}}\n\
         service anvil {{\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n",
        users = users.display(),
        socket = socket.display()
    );
    let server = Dovecot::run(folder, &configuration);
    assert!(until_true(PATIENCE, || socket.exists()), "dovecot does not come: {}", server.log());
    server
}

fn messages(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder.join("mail/new")).into_iter().flatten().flatten();
    files.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect()
}

/// A mail system beside a folder for a store; `None`: not as root.
fn beside(setup: Setup) -> Option<(Instance, PathBuf)> {
    if !testing::accounts::is_root() {
        eprintln!("left out: only root runs a mail store");
        return None;
    }
    let mail = setup.set("minimal_backoff_time", "1h").set("recipient_delimiter", "+").build();
    let folder = mail.folder().join("dovecot");
    fs::create_dir(&folder).expect("a directory");
    Some((mail, folder))
}

#[test]
fn each_recipient_gets_its_own_answer_from_the_store_by_lmtp() {
    scenario(|| {
        let setup = Setup::new()
            .set("virtual_mailbox_domains", "v.test")
            .set("virtual_mailbox_maps", "static:any")
            .set("virtual_transport", "lmtp:unix:private/store");
        let Some((mut mail, folder)) = beside(setup) else { return };
        let server = store(&folder, &mail.queue().join("private/store"));
        mail.start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let text = "Subject: p\n\nFrom here\n.dot\nlast\n";
        let reply = client.send("s@x.test", &["joe+tag@v.test", "nobodyatall@v.test", "bob@v.test"], text);
        let id = reply.expect("a reply").queue_id().expect("a queue id");
        for (to, parts) in [
            ("joe+tag", ["dsn=2.0.0, status=sent (250 2.0.0 <joe+tag@v.test> ", " Saved)"]),
            ("bob", ["dsn=2.0.0, status=sent (250 2.0.0 <bob@v.test> ", " Saved)"]),
            ("nobodyatall", ["dsn=5.1.1, status=bounced (host ", " (in reply to RCPT TO command))"]),
        ] {
            let line = mail.wait_log(&[&id, &format!("to=<{to}@v.test>"), parts[0]]);
            assert!(line.ends_with(parts[1]) && line.contains("relay=mail.test[private/store]"), "{line}");
        }
        for name in ["joe@v.test", "bob@v.test"] {
            let found = messages(&folder.join("store").join(name));
            assert_eq!(found.len(), 1, "{}", server.log());
            assert!(found[0].contains("Return-Path: <s@x.test>") && found[0].contains("\n\nFrom here\n.dot\nlast\n"));
        }
        // Whoever has the mail next says whether it was delivered.
        mail.sendmail(&["-f", "carol@mail.test", "-N", "success", "joe@v.test"], "Subject: x\n\nx\n");
        let report = mail.wait_mail("carol", 1);
        assert!(report[0].body().contains("\nAction: relayed\n"), "{}", report[0].body());
        // A store that is away is one for later.
        drop(server);
        let reply = client.send("s@x.test", &["joe@v.test"], text).expect("a reply");
        let id = reply.queue_id().expect("a queue id");
        let line = mail.wait_log(&[&id, "status="]);
        assert!(
            line.contains("dsn=4.") && line.contains("status=deferred (connect to mail.test[private/store]: "),
            "{line}"
        );
    });
}

#[test]
fn mail_of_local_users_goes_to_the_store_where_mailbox_transport_says_so() {
    scenario(|| {
        let setup = Setup::new()
            .set("mailbox_transport", "lmtp:unix:private/store")
            .set("alias_maps", "inline:{ {team = alice, \"|cat\"} }")
            .set("local_recipient_maps", "");
        let Some((mut mail, folder)) = beside(setup) else { return };
        let server = store(&folder, &mail.queue().join("private/store"));
        mail.start();
        for to in ["alice@mail.test", "team@mail.test"] {
            mail.sendmail(&["-f", "s@x.test", to], "Subject: x\n\nx\n");
            mail.wait_log(&["passing <alice@mail.test> to transport=lmtp"]);
        }
        mail.wait_idle();
        let log = mail.log();
        assert_eq!(log.matches(" Saved)").count(), 2, "{log}\n{}", server.log());
        assert_eq!(messages(&folder.join("store/alice@mail.test")).len(), 2, "{}", server.log());
        mail.sendmail(&["-f", "s@x.test", "nobodyatall@mail.test"], "Subject: x\n\nx\n");
        let line = mail.wait_log(&["to=<nobodyatall@mail.test>", "status="]);
        assert!(line.contains("dsn=5.1.1, status=bounced (host mail.test[private/store] said: 550 5.1.1 "), "{line}");
    });
}

#[test]
fn the_delivery_command_of_the_store_takes_mail_from_pipe() {
    scenario(|| {
        let Some((mut mail, folder)) = beside(Setup::new().set("transport_maps", "inline:{ {v.test = dovecot:} }"))
        else {
            return;
        };
        let user = nix::unistd::User::from_name(OWNER).ok().flatten().expect("the user of the test");
        let home = folder.join("home");
        fs::create_dir(&home).expect("a directory");
        nix::unistd::chown(&home, Some(user.uid), Some(user.gid)).expect("the owner's");
        let configuration = folder.join("lda.conf");
        let text = format!(
            "mail_location = maildir:{home}/mail\nlog_path = {home}/log\nfirst_valid_uid = 1\nhostname = mail.test\n\
             postmaster_address = postmaster@mail.test\nssl = no\n",
            home = home.display()
        );
        fs::write(&configuration, text).expect("a configuration");
        let command = format!(
            "dovecot unix - n n - - pipe flags=DRhu user={OWNER} argv=/usr/lib/dovecot/dovecot-lda -c {} -f ${{sender}} -a \
             ${{recipient}} -m INBOX",
            configuration.display()
        );
        mail.add_service(&command);
        mail.set("dovecot_destination_recipient_limit", "1");
        mail.set("export_environment", &format!("TZ MAIL_CONFIG HOME={} USER={OWNER}", home.display()));
        mail.start();
        mail.sendmail(&["-f", "s@x.test", "Joe+Tag@V.test"], "Subject: x\n\nx\n");
        let line = mail.wait_log(&["to=<Joe+Tag@V.test>", "status="]);
        assert!(line.contains("dsn=2.0.0, status=sent (delivered via dovecot service)"), "{line}");
        let found = messages(&home);
        assert_eq!(found.len(), 1, "{}", fs::read_to_string(home.join("log")).unwrap_or_default());
        assert!(
            found[0].starts_with("Return-Path: <s@x.test>\n") && found[0].contains("Delivered-To: Joe+Tag@V.test\n")
        );
    });
}
