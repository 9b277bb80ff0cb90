//! Whose the files of the mail system are: what check tells, what is made, and what set-permissions puts right.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use scenarios::scenario;
use testing::accounts::is_root;
use testing::setup::write_old;
use testing::{Instance, Setup};

fn needs_root() -> bool {
    if !is_root() {
        eprintln!("left out: the postfix command is reserved for root");
    }
    !is_root()
}

/// What check says, in the log and on standard error, with paths as they are written.
fn check(mail: &Instance) -> String {
    let before = mail.log().len();
    let output = mail.run("postfix", &["check"]);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), &mail.log()[before..]);
    said.replace("/./", "/").replace("/.\n", "\n")
}

/// Does something to a file of the instance; check must tell of it, and say nothing of it when that is undone.
fn told(mail: &Instance, name: &str, spoil: impl Fn(&Path), sentence: &str) {
    let path = mail.folder().join(name);
    let sentence = format!("warning: {sentence}: {}\n", path.display());
    let meta = std::fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(!check(mail).contains(&sentence), "before: {sentence}");
    spoil(&path);
    let said = check(mail);
    chown(&path, Some(meta.uid()), Some(meta.gid())).expect("owner");
    set_permissions(&path, meta.permissions()).expect("mode");
    assert!(said.contains(&sentence), "no {sentence}in\n{said}");
}

fn owner(uid: u32) -> impl Fn(&Path) {
    move |path| chown(path, Some(uid), None).expect("owner")
}

fn group(gid: u32) -> impl Fn(&Path) {
    move |path| chown(path, None, Some(gid)).expect("group")
}

fn mode(mode: u32) -> impl Fn(&Path) {
    move |path| set_permissions(path, Permissions::from_mode(mode)).expect("mode")
}

#[test]
fn check_tells_of_files_that_others_own_or_may_write() {
    scenario(|| {
        if needs_root() {
            return;
        }
        let mail = Setup::new().build();
        let accounts = mail.accounts();
        let (mail_uid, mail_name, submission) = (accounts.owner_uid.as_raw(), &accounts.owner, &accounts.group);
        write_old(&mail.etc().join("table"), "a b\n");
        std::fs::create_dir(mail.etc().join("sub")).expect("made");
        write_old(&mail.etc().join("sub/table"), "a b\n");
        for name in ["queue/maildrop", "queue/public"] {
            told(&mail, name, group(1), &format!("not owned by group {submission}"));
        }
        for name in ["queue/pid", "queue", "etc", "etc/main.cf", "etc/master.cf", "etc/table", "etc/sub/table"] {
            told(&mail, name, owner(mail_uid), "not owned by root");
        }
        for name in ["queue/pid", "queue", "etc", "etc/main.cf", "etc/table", "etc/sub", "etc/sub/table", "data"] {
            told(&mail, name, mode(0o775), "group or other writable");
        }
        for name in ["queue/corrupt", "queue/private", "queue/public", "queue/saved", "data"] {
            told(&mail, name, owner(0), &format!("not owned by {mail_name}"));
        }
    });
}

#[test]
fn check_tells_of_modes_of_the_queue_that_let_others_in_or_the_mail_system_out() {
    scenario(|| {
        if needs_root() {
            return;
        }
        let mail = Setup::new().build();
        for name in ["private", "public", "maildrop", "active", "hold", "trace"] {
            told(&mail, &format!("queue/{name}"), mode(0o777), "group or other writable");
        }
        for (name, right) in [("private", "0700"), ("active", "0700"), ("public", "0710"), ("maildrop", "0730")] {
            told(&mail, &format!("queue/{name}"), mode(0o755), &format!("mode is 0755, not {right}"));
        }
        told(&mail, "queue/maildrop", mode(0o700), "mode is 0700, not 0730");
    });
}

#[test]
fn a_queue_that_its_owner_cannot_read_is_refused_by_name() {
    scenario(|| {
        if needs_root() {
            return;
        }
        let mail = Setup::new().build();
        chown(mail.queue().join("active"), Some(1), None).expect("owner");
        let output = mail.run("postfix", &["start"]);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("open directory active: Permission denied"), "{said}");
    });
}

#[test]
fn check_tells_of_copies_below_the_queue_that_differ_from_the_system() {
    scenario(|| {
        if needs_root() {
            return;
        }
        let mail = Setup::new().build();
        let copy = mail.queue().join("etc/passwd");
        std::fs::create_dir(mail.queue().join("etc")).expect("made");
        std::fs::copy("/etc/passwd", &copy).expect("copied");
        let sentence = format!("warning: {} and /etc/passwd differ", copy.display());
        assert!(!check(&mail).contains(&sentence));
        let longer = std::fs::read_to_string(&copy).expect("read") + "old:x:77:77::/:/bin/false\n";
        std::fs::write(&copy, longer).expect("written");
        let said = check(&mail);
        assert!(said.contains(&sentence), "{said}");
    });
}

#[test]
fn a_queue_directory_that_does_not_exist_is_not_made() {
    scenario(|| {
        if needs_root() {
            return;
        }
        let mut mail = Setup::new().build();
        let nowhere = mail.folder().join("not-mounted");
        mail.set("queue_directory", &nowhere.display().to_string());
        for command in ["check", "start", "status", "reload"] {
            let output = mail.run("postfix", &[command]);
            assert_eq!(output.status.code(), Some(1), "{command}");
            assert!(!nowhere.exists(), "{command} has made it");
        }
    });
}
