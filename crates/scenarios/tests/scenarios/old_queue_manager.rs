//! The queue manager by the name that old master.cf files have for it: `oqmgr`.

use std::os::unix::fs::symlink;

use scenarios::scenario;
use testing::programs::Implementation;
use testing::{Instance, Setup};

/// An instance whose programs lie where an installation puts them: beside each other, under all of their names.
fn start() -> Instance {
    let mut mail = Setup::new().service("qmgr unix n - n 300 1 oqmgr").build();
    if mail.programs().implementation == Implementation::Ours {
        let folder = mail.folder().join("daemons");
        std::fs::create_dir(&folder).expect("a folder");
        for entry in std::fs::read_dir(&mail.programs().daemons).expect("the programs") {
            let program = entry.expect("a program").path();
            symlink(&program, folder.join(program.file_name().expect("a name"))).expect("linked");
        }
        symlink(mail.programs().daemon("qmgr"), folder.join("oqmgr")).expect("linked");
        mail.set("daemon_directory", &folder.display().to_string());
    }
    mail.start();
    mail
}

#[test]
fn mail_is_delivered_and_the_log_has_the_name_that_master_cf_has() {
    scenario(|| {
        let mail = start();
        mail.sendmail(&["-f", "carol@mail.test", "alice@mail.test", "nobody-here@mail.test"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        let line = mail.wait_log(&["/oqmgr[", "from=<carol@mail.test>, size=", "nrcpt=2 (queue active)"]);
        let id = line.split("]: ").nth(1).and_then(|rest| rest.split(':').next()).expect("a queue id").to_owned();
        mail.wait_log(&["/oqmgr[", &id, ": removed"]);
        mail.wait_idle();
    });
}
