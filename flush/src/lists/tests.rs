//! Lists in a directory of their own.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A queue directory of its own, gone at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> (Self, Lists) {
        let path = std::env::temp_dir().join(format!("flush-{name}-{}", std::process::id()));
        for queue in ["flush", "deferred", "incoming"] {
            fs::create_dir_all(path.join(queue)).unwrap();
        }
        let spool = Spool::new(&path, queue::Hashing { names: Vec::new(), depth: 0 });
        (Self(path), Lists { spool, refresh: Duration::from_secs(1000), purge: Duration::from_secs(2000) })
    }

    fn message(&self, id: &str, queue: &str) {
        fs::write(self.0.join(queue).join(id), "").unwrap();
    }

    fn has(&self, id: &str, queue: &str) -> bool {
        self.0.join(queue).join(id).exists()
    }

    /// Has a list read and written last so long ago.
    fn age(&self, list: &str, seconds: u64) {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
        File::options().write(true).open(self.0.join("flush").join(list)).unwrap().set_times(times).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn id(text: &str) -> QueueId {
    QueueId::parse(text.as_bytes()).unwrap()
}

fn site(name: &str) -> Site {
    Site::of(name.as_bytes()).unwrap()
}

const A: &str = "DAD8C552116";
const B: &str = "EAD8C552116";

#[test]
fn a_list_is_named_by_letters_and_digits_of_the_domain() {
    for (name, file) in [
        ("sub.R.example", Some("sub_r_example")),
        ("b-\u{fc}cher.example", Some("xn__b_cher_3ya_example")),
        ("[127.0.0.9]", Some("_127_0_0_9_")),
        ("", None),
        ("../etc/passwd", None),
        ("a/b", None),
        ("[x]", None),
    ] {
        let found = Site::of(name.as_bytes()).map(|site| site.0);
        assert_eq!(found.is_some(), file.is_some(), "{name}: {found:?}");
        if name.is_ascii() {
            assert_eq!(found.as_deref(), file, "{name}");
        }
    }
}

#[test]
fn what_waits_for_a_site_is_sent_once_and_the_list_is_empty() {
    let (directory, lists) = Directory::new("send");
    directory.message(A, "deferred");
    directory.message(B, "incoming");
    for name in [A, B, A, "FAD8C552116"] {
        lists.add(&site("r.example"), &id(name)).unwrap();
    }
    assert_eq!(lists.send(&site("other.example")).unwrap(), 0);
    assert!(directory.has(A, "deferred"));
    // One that is in the incoming queue, or was sent a line before, is hurried there.
    assert_eq!(lists.send(&site("R.EXAMPLE")).unwrap(), 3);
    assert!(directory.has(A, "incoming") && directory.has(B, "incoming"));
    assert_eq!(lists.send(&site("r.example")).unwrap(), 0);
    assert_eq!(fs::metadata(directory.0.join("flush/r_example")).unwrap().len(), 0);
}

#[test]
fn lines_that_name_nothing_are_passed_over() {
    let (directory, lists) = Directory::new("lines");
    directory.message(A, "deferred");
    let long = "x".repeat(5000);
    fs::write(directory.0.join("flush/r_example"), format!("../../etc/passwd\n{long}\n\n{A}")).unwrap();
    assert_eq!(lists.send(&site("r.example")).unwrap(), 1);
    assert!(directory.has(A, "incoming"));
}

#[test]
fn one_message_is_sent_in_spite_of_dead_destinations() {
    let (directory, lists) = Directory::new("one");
    directory.message(A, "deferred");
    fs::set_permissions(directory.0.join("deferred").join(A), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(lists.send_message(&id(A), true));
    let mode = fs::metadata(directory.0.join("incoming").join(A)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o740);
    assert!(!lists.send_message(&id(B), true));
}

#[test]
fn lists_that_nobody_asked_for_are_gone_through_and_empty_ones_go() {
    let (directory, lists) = Directory::new("refresh");
    for (name, message) in [("old.example", A), ("new.example", B)] {
        directory.message(message, "deferred");
        lists.add(&site(name), &id(message)).unwrap();
    }
    for (name, seconds) in [("empty", 2001), ("emptied", 1000)] {
        fs::write(directory.0.join("flush").join(name), "").unwrap();
        directory.age(name, seconds);
    }
    directory.age("old_example", 1001);
    assert_eq!(lists.look_through(false).unwrap(), 1);
    assert!(directory.has(A, "incoming") && directory.has(B, "deferred"));
    assert!(!directory.has("empty", "flush") && directory.has("emptied", "flush"));
    // All at once: what is left is sent, and then there are empty ones alone, which have their time.
    assert_eq!(lists.look_through(true).unwrap(), 1);
    assert_eq!(lists.look_through(true).unwrap(), 0);
    for name in ["emptied", "old_example", "new_example"] {
        assert!(directory.has(name, "flush"), "{name}");
        directory.age(name, 2001);
    }
    assert_eq!(lists.look_through(true).unwrap(), 0);
    assert_eq!(fs::read_dir(directory.0.join("flush")).unwrap().count(), 0);
}
