//! Delivery by virtual: where mail of users without an account goes, and whose rights it never gets.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use scenarios::scenario;
use testing::{Client, Instance, Setup};

/// Who owns the mailboxes.
const OWNER: u32 = 5000;

/// A mail system with mailboxes of these addresses below `store`.
struct Store {
    mail: Instance,
    store: PathBuf,
}

impl Store {
    fn start(setup: Setup, mailboxes: &[(&str, &str)]) -> Option<Store> {
        if !testing::accounts::is_root() {
            eprintln!("left out: only root delivers as other users");
            return None;
        }
        let paths = mailboxes.iter().map(|(address, path)| format!("{{ {address} = {path} }}"));
        let paths = paths.collect::<Vec<_>>().join(", ");
        let setup = setup
            .set("virtual_mailbox_domains", "v.test, catch.test")
            .set("virtual_mailbox_maps", format!("inline:{{ {paths} }}"))
            .set("recipient_delimiter", "+")
            .set("minimal_backoff_time", "1h")
            .set("maximal_backoff_time", "1h")
            .set("smtpd_reject_unlisted_recipient", "no");
        let mut mail = setup.build();
        for (name, value) in [("virtual_uid_maps", "static:5000"), ("virtual_gid_maps", "static:5000")] {
            if !fs::read_to_string(mail.etc().join("main.cf")).is_ok_and(|text| text.contains(name)) {
                mail.set(name, value);
            }
        }
        let store = mail.folder().join("store");
        fs::create_dir(&store).expect("a directory");
        chown(&store, Some(OWNER), Some(OWNER)).expect("the owner's");
        mail.set("virtual_mailbox_base", &store.display().to_string());
        mail.start();
        Some(Store { mail, store })
    }

    /// Sends a message, and gives the status line of its recipient from the dsn on.
    fn send(&self, to: &str) -> String {
        self.send_text(to, "Subject: p\nDate: d\nFrom: f\nMessage-Id: <m>\n\nFrom here\n.dot\n>From q\nlast\n")
    }

    fn send_text(&self, to: &str, text: &str) -> String {
        let mut client = Client::greet(self.mail.v4()).expect("connected");
        let reply = client.send("s@x.test", &[to], text).expect("a reply");
        let id = reply.queue_id().unwrap_or_else(|| panic!("{to}: {reply:?}"));
        let line = self.mail.wait_log(&[&id, "status="]);
        assert!(line.contains("relay=virtual,"), "{line}");
        line[line.find("dsn=").unwrap_or_default()..].to_owned()
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.store.join(path)).expect("a mailbox")
    }

    fn owned(&self, path: &str) {
        chown(self.store.join(path), Some(OWNER), Some(OWNER)).expect("the owner's");
    }
}

fn facts(path: &Path) -> (u32, u32, u32) {
    let meta = fs::metadata(path).expect("a file");
    (meta.uid(), meta.gid(), meta.mode() & 0o777)
}

#[test]
fn a_maildir_and_a_mailbox_file_are_made_and_filled_as_their_owner() {
    scenario(|| {
        let mailboxes = [("joe@v.test", "v/joe/"), ("box@v.test", "box"), ("@catch.test", "all/")];
        let Some(store) = Store::start(Setup::new(), &mailboxes) else { return };
        assert_eq!(store.send("Joe+Tag@V.Test"), "dsn=2.0.0, status=sent (delivered to maildir)");
        for folder in ["v/joe", "v/joe/new", "v/joe/cur", "v/joe/tmp"] {
            assert_eq!(facts(&store.store.join(folder)), (OWNER, OWNER, 0o700), "{folder}");
        }
        assert_eq!(fs::read_dir(store.store.join("v/joe/tmp")).map_or(9, Iterator::count), 0);
        let files: Vec<PathBuf> = fs::read_dir(store.store.join("v/joe/new"))
            .expect("new mail")
            .flatten()
            .map(|entry| entry.path())
            .collect();
        assert_eq!(files.len(), 1);
        let meta = fs::metadata(&files[0]).expect("a message");
        assert_eq!(facts(&files[0]), (OWNER, OWNER, 0o600));
        let name = files[0].file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(name.contains(&format!(".V{:x}I{:x}M", meta.dev(), meta.ino())), "{name}");
        // The machine, not the mail system: several may share a Maildir.
        let machine = fs::read_to_string("/proc/sys/kernel/hostname").expect("the name of this machine");
        assert!(name.ends_with(&format!(".{}", machine.trim())), "{name}");
        let text = fs::read_to_string(&files[0]).expect("a message");
        let heading =
            "Return-Path: <s@x.test>\nX-Original-To: Joe+Tag@V.Test\nDelivered-To: Joe+Tag@V.Test\nReceived: ";
        assert!(text.starts_with(heading) && text.ends_with("\n\nFrom here\n.dot\n>From q\nlast\n"), "{text}");
        for _ in 0..2 {
            assert_eq!(store.send("box@v.test"), "dsn=2.0.0, status=sent (delivered to mailbox)");
        }
        let text = store.text("box");
        assert!(text.starts_with("From s@x.test  "), "{text}");
        assert_eq!(
            text.matches("\nReturn-Path: <s@x.test>\nX-Original-To: box@v.test\nDelivered-To: box@v.test\n").count(),
            2
        );
        assert_eq!(text.matches("\n\n>From here\n.dot\n>From q\nlast\n\n").count(), 2, "{text}");
        assert_eq!(facts(&store.store.join("box")), (OWNER, OWNER, 0o600));
        assert!(!store.store.join("box.lock").exists());
        assert_eq!(store.send("any@catch.test"), "dsn=2.0.0, status=sent (delivered to maildir)");
        assert_eq!(store.send("nobody+x@v.test"), "dsn=5.1.1, status=bounced (unknown user: \"nobody+x@v.test\")");
    });
}

#[test]
fn mail_that_was_delivered_to_an_address_before_is_delivered_to_it_again() {
    scenario(|| {
        let Some(store) = Store::start(Setup::new(), &[("joe@v.test", "joe/")]) else { return };
        let text = "Delivered-To: joe@v.test\nSubject: p\n\nbody\n";
        assert_eq!(store.send_text("joe@v.test", text), "dsn=2.0.0, status=sent (delivered to maildir)");
    });
}

#[test]
fn what_others_have_put_in_the_way_of_a_mailbox_is_not_written() {
    scenario(|| {
        let names = ["dir", "own", "fifo", "sym", "hard", "locked"];
        let mailboxes = names.map(|name| (format!("{name}@v.test"), name));
        let mailboxes: Vec<(&str, &str)> = mailboxes.iter().map(|(address, path)| (address.as_str(), *path)).collect();
        let setup = Setup::new().set("deliver_lock_attempts", "2").set("deliver_lock_delay", "1s");
        let Some(store) = Store::start(setup, &mailboxes) else { return };
        let at = |name: &str| store.store.join(name);
        let victim = at("victim");
        fs::write(&victim, "old\n").expect("a file");
        store.owned("victim");
        fs::create_dir(at("dir")).expect("a directory");
        fs::write(at("own"), "").expect("a file of root");
        fs::set_permissions(at("own"), fs::Permissions::from_mode(0o666)).expect("open to all");
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o666)).expect("a pipe");
        store.owned("fifo");
        symlink(&victim, at("sym")).expect("a link");
        fs::write(at("other"), "old\n").expect("a file");
        fs::hard_link(at("other"), at("hard")).expect("a second name");
        store.owned("hard");
        fs::write(at("locked.lock"), "").expect("a lock file");
        for (name, why) in [
            ("dir", "cannot open file: Is a directory"),
            ("own", "destination PATH is not owned by recipient"),
            ("fifo", "cannot open file: No such device or address"),
            ("sym", "file is a symbolic link"),
            ("hard", "file has 2 hard links"),
            ("locked", "unable to create lock file PATH.lock: File exists"),
        ] {
            let path = at(name).display().to_string();
            let why = why.replace("PATH", &path);
            let said = store.send(&format!("{name}@v.test"));
            assert_eq!(said, format!("dsn=4.2.0, status=deferred (delivery failed to mailbox {path}: {why})"));
        }
        store.mail.wait_log(&["warning: specify \"strict_mailbox_ownership = no\""]);
        assert_eq!(fs::read_to_string(&victim).expect("the file"), "old\n");
        fs::set_permissions(&store.store, fs::Permissions::from_mode(0o555)).expect("closed");
        let said = store.send("own@v.test");
        assert!(said.contains("unable to create lock file ") && said.contains("Permission denied)"), "{said}");
    });
}

#[test]
fn a_maildir_that_cannot_be_made_waits_and_names_who_could_not() {
    scenario(|| {
        let Some(store) = Store::start(Setup::new(), &[("deep@v.test", "deep/a/b/")]) else { return };
        fs::create_dir(store.store.join("deep")).expect("a directory of root");
        fs::set_permissions(store.store.join("deep"), fs::Permissions::from_mode(0o755)).expect("closed to others");
        let said = store.send("deep@v.test");
        let start = format!(
            "dsn=4.2.0, status=deferred (maildir delivery failed: create maildir file {}/deep/a/b//tmp/",
            store.store.display()
        );
        assert!(said.starts_with(&start.replace("//tmp", "/tmp")), "{said}");
        assert!(said.ends_with(": Permission denied)"), "{said}");
        store.mail.wait_log(&["warning: maildir access problem for UID/GID=5000/5000: create maildir file "]);
        store.mail.wait_log(&["warning: perhaps you need to create the maildirs in advance"]);
    });
}

#[test]
fn a_mailbox_that_would_grow_beyond_its_limit_keeps_its_length() {
    scenario(|| {
        let setup = Setup::new().set("message_size_limit", "10000").set("virtual_mailbox_limit", "10000");
        let mailboxes = [("big@v.test", "big"), ("dir@v.test", "dir/")];
        let Some(store) = Store::start(setup, &mailboxes) else { return };
        let text = format!("Subject: x\n\n{}", "0123456789\n".repeat(600));
        assert_eq!(store.send_text("big@v.test", &text), "dsn=2.0.0, status=sent (delivered to mailbox)");
        let before = store.text("big");
        let path = store.store.join("big").display().to_string();
        assert_eq!(
            store.send_text("big@v.test", &text),
            format!(
                "dsn=5.2.2, status=bounced (delivery failed to mailbox {path}: error writing message: File too large)"
            )
        );
        assert_eq!(store.text("big"), before);
        for _ in 0..2 {
            assert_eq!(store.send_text("dir@v.test", &text), "dsn=2.0.0, status=sent (delivered to maildir)");
        }
        assert_eq!(fs::read_dir(store.store.join("dir/tmp")).map_or(9, Iterator::count), 0);
    });
}

#[test]
fn numbers_that_nobody_may_have_give_no_rights() {
    for (uid, gid, why) in [
        ("static:50", "static:5000", "warning: recipient joe@v.test: bad uid 50 in virtual_uid_maps"),
        ("static:0", "static:5000", "warning: recipient joe@v.test: bad uid 0 in virtual_uid_maps"),
        ("static:abc", "static:5000", "warning: recipient joe@v.test: bad uid abc in virtual_uid_maps"),
        ("static:5000", "static:0", "warning: recipient joe@v.test: bad gid 0 in virtual_gid_maps"),
        ("static:5000", "static:-1", "warning: recipient joe@v.test: bad gid -1 in virtual_gid_maps"),
        ("inline:{a=1}", "static:5000", "warning: recipient joe@v.test: not found in virtual_uid_maps"),
        ("static:5000", "inline:{a=1}", "warning: recipient joe@v.test: not found in virtual_gid_maps"),
    ] {
        scenario(|| {
            let setup = Setup::new().set("virtual_uid_maps", uid).set("virtual_gid_maps", gid);
            let Some(store) = Store::start(setup, &[("joe@v.test", "joe/")]) else { return };
            assert_eq!(store.send("joe@v.test"), "dsn=4.3.5, status=deferred (mail system configuration error)");
            store.mail.wait_log(&[why]);
            assert!(!store.store.join("joe").exists());
        });
    }
}

#[test]
fn a_path_of_a_table_that_would_leave_the_base_is_refused() {
    scenario(|| {
        let mailboxes = [("up@v.test", "../escape/"), ("mid@v.test", "x/../y/"), ("dots@v.test", "a..b/")];
        let Some(store) = Store::start(Setup::new(), &mailboxes) else { return };
        for (to, path) in [("up", "../escape/"), ("mid", "x/../y/")] {
            let said = store.send(&format!("{to}@v.test"));
            assert_eq!(said, "dsn=4.3.5, status=deferred (mail system configuration error)");
            let why = format!("warning: recipient {to}@v.test: bad mailbox path {path} in virtual_mailbox_maps");
            store.mail.wait_log(&[&why]);
        }
        assert_eq!(store.send("dots@v.test"), "dsn=2.0.0, status=sent (delivered to maildir)");
        assert!(!store.mail.folder().join("escape").exists());
    });
}

#[test]
fn settings_that_do_not_fit_together_keep_mail_waiting_with_the_reason() {
    for (name, value, why) in [
        ("virtual_mailbox_base", "srv", "fatal: do not specify relative pathname: virtual_mailbox_base = srv"),
        (
            "virtual_mailbox_limit",
            "1000",
            "fatal: configuration error: virtual_mailbox_limit is smaller than message_size_limit",
        ),
    ] {
        scenario(|| {
            let Some(mut store) = Store::start(Setup::new(), &[("joe@v.test", "joe/")]) else { return };
            store.mail.set(name, value);
            store.mail.reload();
            store.mail.sendmail(&["-f", "s@x.test", "joe@v.test"], "Subject: x\n\nx\n");
            store.mail.wait_log(&[why]);
            assert!(!store.store.join("joe").exists());
        });
    }
}

#[test]
fn tables_that_fail_or_answer_with_nothing_make_mail_wait_and_a_probe_writes_nothing() {
    scenario(|| {
        let setup = Setup::new();
        let Some(mut store) = Store::start(setup, &[("joe@v.test", "joe/"), ("box@v.test", "box")]) else { return };
        store.mail.sendmail(&["-bv", "joe@v.test", "box@v.test", "zz@v.test"], "Subject: x\n\nx\n");
        store.mail.wait_log(&["to=<joe@v.test>", "status=deliverable (delivers to maildir)"]);
        store.mail.wait_log(&["to=<box@v.test>", "status=deliverable (delivers to mailbox)"]);
        store.mail.wait_log(&["to=<zz@v.test>", "status=undeliverable (unknown user: \"zz@v.test\")"]);
        assert!(!store.store.join("joe").exists() && !store.store.join("box").exists());
        let wrong = "dsn=4.3.5, status=deferred (mail system configuration error)";
        let empty = store.mail.etc().join("empty");
        testing::setup::write_old(&empty, "/^joe@/ \n");
        store.mail.set("virtual_mailbox_maps", &format!("regexp:{}", empty.display()));
        store.mail.reload();
        assert_eq!(store.send("joe@v.test"), wrong);
        store.mail.wait_log(&["lookup of joe@v.test returns an empty string result"]);
        let substitution = store.mail.etc().join("substitution");
        testing::setup::write_old(&substitution, "/^(.*)@v.test$/ $1/\n");
        store.mail.set("virtual_mailbox_maps", &format!("regexp:{}", substitution.display()));
        store.mail.reload();
        assert_eq!(store.send("joe@v.test"), "dsn=5.1.1, status=bounced (unknown user: \"joe@v.test\")");
        store.mail.wait_log(&["line 1: regular expression substitution is not allowed: skipping this rule"]);
    });
}
