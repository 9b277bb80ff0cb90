//! Files of finished messages are used again: what arrives is what was sent, whoever had the file before.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::statfs::{EXT4_SUPER_MAGIC, statfs};
use scenarios::scenario;
use testing::programs::Implementation;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Setup};

const MESSAGES: usize = 60;

/// Short and long ones in turn: a file is taken by a message of another length than the one before.
fn body(number: usize) -> String {
    format!("message {number} has this line\n").repeat(if number.is_multiple_of(2) { 400 } else { 1 + number % 7 })
}

#[test]
fn a_message_in_the_file_of_another_arrives_as_it_was_sent() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        for number in 0..MESSAGES {
            let text = format!("Subject: {number}\n\n{}", body(number));
            let reply = client.send("a@client.test", &["alice@mail.test"], &text).expect("sent");
            assert_eq!(reply.code, 250, "{}", reply.last());
            // Now and then the queue runs empty, so that there are files to take.
            if number % 10 == 9 {
                mail.wait_mail("alice", number + 1);
            }
        }
        let mut arrived = mail.wait_mail("alice", MESSAGES);
        arrived.sort_by_key(|mail| mail.header("Subject").and_then(|subject| subject.parse::<usize>().ok()));
        for (number, mail) in arrived.iter().enumerate() {
            assert_eq!(mail.header("Subject"), Some(number.to_string()));
            assert_eq!(mail.body().trim_end(), body(number).trim_end());
        }
        mail.wait_idle();
        let is_ext4 = statfs(&mail.queue()).expect("a file system").filesystem_type() == EXT4_SUPER_MAGIC;
        if is_ext4 && mail.programs().implementation == Implementation::Ours {
            assert!(fs::read_dir(mail.queue().join("spare")).expect("the folder").count() > 0, "nothing is kept");
        }
        // Where there are files for others (not on every file system), they are empty and no mail.
        let kept = || -> Vec<(u64, u32)> {
            let entries = fs::read_dir(mail.queue().join("spare")).into_iter().flatten().flatten();
            let found = entries.filter_map(|entry| entry.metadata().ok());
            found.map(|found| (found.len(), found.permissions().mode() & 0o7777)).collect()
        };
        // The last ones are emptied when their mail is in its mailbox already.
        let is_empty = || kept().iter().all(|file| *file == (0, 0o700));
        assert!(until_true(PATIENCE, is_empty), "{:?}", kept());
        assert_eq!(mail.find_log(&["warning"]), None);
    });
}
