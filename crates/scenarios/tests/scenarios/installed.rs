//! An installation as `cargo xtask install` makes it, laid over this machine's files in a world of its own.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use scenarios::scenario;
use testing::maildir::Mail;
use testing::process::Process;
use testing::wait::{PATIENCE, until, until_true};
use testing::{Client, World};

/// Names the folder that `cargo xtask install --staged` has filled for this run.
const INSTALLED: &str = "POSTFIX_RS_INSTALLED";

/// Two users with homes, called as nobody is on a machine: name, user and group id.
const USERS: [(&str, u32); 2] = [("scenario-writer", 61_001), ("scenario-reader", 61_002)];

/// The installation, with the files of this machine below it.
struct Installation {
    root: PathBuf,
    _world: World,
    /// One at a time: what is written there is seen by the next.
    _turn: Flock<fs::File>,
}

impl Installation {
    fn new() -> Option<Installation> {
        let Some(staged) = std::env::var_os(INSTALLED) else {
            eprintln!("left out: {INSTALLED} names no installation (`cargo xtask test` as root makes one)");
            return None;
        };
        let folder = fs::File::open(&staged).expect("installation");
        let turn = Flock::lock(folder, FlockArg::LockExclusive).unwrap_or_else(|(_, e)| panic!("lock: {e}"));
        let world = World::enter()?;
        let root = world.overlay(Path::new(&staged));
        for (name, id) in USERS {
            append(&root.join("etc/passwd"), &format!("{name}:x:{id}:{id}::/home/{name}:/bin/sh\n"));
            append(&root.join("etc/group"), &format!("{name}:x:{id}:\n"));
            let home = root.join("home").join(name);
            fs::create_dir_all(&home).expect("home");
            chown(&home, Some(id), Some(id)).expect("owner of home");
        }
        append(&root.join("etc/postfix/main.cf"), SETTINGS);
        fs::write(root.join("etc/aliases"), "postmaster root\n").expect("aliases");
        Some(Installation { root, _world: world, _turn: turn })
    }

    fn run(&self, user: &str, command: &[&str], input: &str) -> Output {
        let mut chroot = Command::new("chroot");
        chroot.arg(format!("--userspec={user}")).arg(&self.root).args(command).current_dir("/");
        chroot.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = chroot.spawn().expect("chroot");
        if let Some(mut pipe) = child.stdin.take() {
            // A command may end without reading.
            let _ = pipe.write_all(input.as_bytes());
        }
        child.wait_with_output().expect("ended")
    }

    fn status(&self, user: &str, command: &[&str], input: &str) -> Option<i32> {
        let output = self.run(user, command, input);
        eprintln!("{command:?}: {} {}", output.status, String::from_utf8_lossy(&output.stderr));
        output.status.code()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.root.join("var/log/mail.log")).unwrap_or_default()
    }

    fn master(&self) -> Option<i32> {
        fs::read_to_string(self.root.join("var/spool/postfix/pid/master.pid")).ok()?.trim().parse().ok()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        // Only processes that run from this root: the number in the file may be somebody else's by now.
        let Some(master) = self.master() else { return };
        for process in Process::of_session(master).iter().filter(|p| p.root().is_some_and(|root| root == self.root)) {
            process.signal(Signal::SIGKILL);
        }
    }
}

const SETTINGS: &str = "
myhostname = mail.test
mydestination = mail.test, localhost
home_mailbox = Maildir/
maillog_file = /var/log/mail.log
";

#[test]
fn an_installed_system_takes_mail_from_users_and_delivers_as_the_recipient() {
    scenario(|| {
        let Some(system) = Installation::new() else { return };
        assert_eq!(system.status("root", &["postfix", "check"], ""), Some(0));
        assert_eq!(system.status("root", &["postfix", "start"], ""), Some(0), "{}", system.log());
        assert_eq!(system.status("root", &["postfix", "status"], ""), Some(0));

        assert_eq!(
            system.status(
                "scenario-writer",
                &["/usr/sbin/sendmail", "scenario-reader"],
                "Subject: from a user\n\nbody\n"
            ),
            Some(0)
        );
        let maildir = system.root.join("home/scenario-reader/Maildir");
        assert!(until_true(PATIENCE, || Mail::count(&maildir) == 1), "no mail");
        let mut files = fs::read_dir(maildir.join("new")).expect("Maildir");
        let data = files.next().expect("file").expect("file").metadata().expect("metadata");
        assert_eq!((data.uid(), data.gid(), data.permissions().mode() & 0o777), (61_002, 61_002, 0o600));
        let talk =
            "HELO x\nMAIL FROM:<a@mail.test>\nRCPT TO:<scenario-reader@mail.test>\nDATA\nSubject: y\n\nz\n.\nQUIT\n";
        let output = system.run("scenario-writer", &["/usr/sbin/sendmail", "-bs"], talk);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("\n250 2.0.0 Ok: queued as ") && said.ends_with("221 2.0.0 Bye\r\n"), "{said}{output:?}");
        assert!(until_true(PATIENCE, || Mail::count(&maildir) == 2), "no mail by -bs");
        assert!(system.log().contains("uid=61001 from=<scenario-writer>"));

        let client = || Client::greet(([127, 0, 0, 1], 25).into()).ok();
        let mut client = until(PATIENCE, client).expect("connected");
        let reply =
            client.send("a@client.test", &["scenario-reader@mail.test"], "Subject: by SMTP\n\nbody\n").expect("sent");
        assert_eq!(reply.code, 250, "{reply:?}");
        assert!(until_true(PATIENCE, || Mail::count(&maildir) == 3), "no mail by SMTP");

        assert_eq!(system.status("scenario-writer", &["/usr/sbin/postqueue", "-p"], ""), Some(0));
        assert_eq!(system.status("root", &["postfix", "stop"], ""), Some(0));
        assert_eq!(system.status("root", &["postfix", "status"], ""), Some(1));
    });
}

#[test]
fn every_file_of_the_manifest_has_its_owner_group_and_mode() {
    scenario(|| {
        let Some(staged) = std::env::var_os(INSTALLED) else { return };
        let at = |path: &str| fs::metadata(Path::new(&staged).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let group = |gid: u32| nix::unistd::Group::from_gid(gid.into()).ok().flatten().map(|g| g.name);
        for (path, name, mode) in [
            ("usr/sbin/postdrop", "postdrop", 0o2755),
            ("usr/sbin/postqueue", "postdrop", 0o2755),
            ("usr/sbin/sendmail", "root", 0o755),
            ("var/spool/postfix/maildrop", "postdrop", 0o730),
            ("var/spool/postfix/public", "postdrop", 0o710),
            ("var/spool/postfix/active", "postfix", 0o700),
        ] {
            let data = at(path);
            assert_eq!((group(data.gid()).as_deref(), data.mode() & 0o7777), (Some(name), mode), "{path}");
        }
    });
}

#[test]
fn set_permissions_puts_everything_right_that_check_tells_of() {
    scenario(|| {
        let Some(system) = Installation::new() else { return };
        let at = |name: &str| system.root.join(name);
        let said = || {
            let output = system.run("root", &["postfix", "check"], "");
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        let modes =
            [("var/spool/postfix/private", 0o755), ("var/spool/postfix/maildrop", 0o777), ("usr/sbin/postdrop", 0o755)];
        let owners = [("var/spool/postfix/public", 61_001), ("var/spool/postfix/pid", 61_001), ("var/lib/postfix", 0)];
        let message = at("var/spool/postfix/hold/AAAA");
        fs::write(&message, "").expect("written");
        modes.iter().for_each(|(name, mode)| {
            fs::set_permissions(at(name), fs::Permissions::from_mode(*mode)).expect("mode");
        });
        owners.iter().for_each(|(name, uid)| chown(at(name), Some(*uid), None).expect("owner"));
        fs::set_permissions(at("etc/postfix/main.cf"), fs::Permissions::from_mode(0o622)).expect("mode");
        let before = said();
        for name in modes.map(|(name, _)| name).into_iter().chain(owners.map(|(name, _)| name)) {
            assert!(before.contains(&format!("/{name}\n")), "{name}: {before}");
        }
        assert_eq!(system.status("root", &["postfix", "set-permissions"], ""), Some(0));
        let after = said();
        assert!(
            !after.contains("not owned by") && !after.contains("writable") && !after.contains("mode is"),
            "{after}"
        );
        assert!(!after.contains("set-gid"), "{after}");
        let uid = |path: &Path| fs::metadata(path).expect("metadata").uid();
        assert_eq!(uid(&message), uid(&at("var/spool/postfix/hold")));
        let mode = fs::metadata(at("etc/postfix/main.cf")).expect("metadata").mode() & 0o777;
        assert_eq!(mode, 0o600, "a file that others may not read stays so");
    });
}

fn append(path: &Path, text: &str) {
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes())).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
