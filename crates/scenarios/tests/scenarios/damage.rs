//! Damaged queue files: set aside with a warning, and the rest goes on.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use scenarios::scenario;
use testing::Setup;

#[test]
fn a_corrupt_queue_file_is_moved_aside_and_other_mail_is_delivered() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let broken = mail.queue().join("incoming/ABCDE12345");
        fs::write(&broken, b"this is no queue file\n").expect("written");
        fs::set_permissions(&broken, fs::Permissions::from_mode(0o700)).expect("mode");
        let owner = mail.accounts();
        std::os::unix::fs::chown(&broken, Some(owner.owner_uid.as_raw()), Some(owner.owner_gid.as_raw()))
            .expect("owner");
        mail.start();
        mail.sendmail(&["-f", "root@mail.test", "alice"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        mail.wait_queue("corrupt", "ABCDE12345");
        mail.wait_log(&["warning: ", "ABCDE12345"]);
    });
}

#[test]
fn an_unfinished_queue_file_is_not_delivered() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let unfinished = mail.queue().join("incoming/ABCDE12345");
        fs::write(&unfinished, b"").expect("written");
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600)).expect("mode");
        mail.start();
        mail.sendmail(&["-f", "root@mail.test", "alice"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        assert!(unfinished.exists());
    });
}

#[test]
fn junk_in_maildrop_does_not_stop_other_mail() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let junk = mail.queue().join("maildrop/ABCDE12346");
        fs::write(&junk, b"T\x05junk").expect("written");
        fs::set_permissions(&junk, fs::Permissions::from_mode(0o744)).expect("mode");
        mail.start();
        mail.sendmail(&["-f", "root@mail.test", "alice"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        mail.wait_log(&["warning: ", "ABCDE12346"]);
    });
}
