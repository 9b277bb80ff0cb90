//! Deliveries by a carrier in this process, with the agent at the other end of a socket pair.

use super::*;
use ipc::Client;
use ipc::carrier::{Command, Ending, FoundFile, Lock, Mailbox, Path};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("carrier-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn path(&self, name: &str) -> Path {
        Path(self.0.join(name).as_os_str().as_bytes().to_vec())
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mailbox(path: Path, personal: bool) -> Target {
    let locks = vec![Lock::DotLock, Lock::Fcntl, Lock::Flock];
    Target::Mailbox(Mailbox { path, personal, owned: true, locks, attempts: 2, delay: 1, stale: 500 })
}

fn command(line: &str, time_limit: u64) -> Target {
    let environment = vec![Path(b"PATH=/usr/bin:/bin".to_vec()), Path(b"WHO=bob".to_vec())];
    Target::Command(Command { line: line.into(), shell: vec![], directory: vec![], environment, time_limit })
}

/// Delivers heading `H` and content `body`; without an end where the agent is to disappear.
async fn run(target: Target, end: bool) -> Result<Done, IpcError> {
    let (near, far) = tokio::net::UnixStream::pair().unwrap();
    let mut agent: Client<Carrier> = Client::new(near);
    let mut carrier: Server<Carrier> = Server::new(far);
    agent.queue(&Request::Content(b"body\n".to_vec())).unwrap();
    if end {
        agent.queue(&Request::End).unwrap();
    }
    agent.flush().await.unwrap();
    if !end {
        drop(agent);
    }
    deliver(&mut carrier, Deposit { target, heading: b"H\n".to_vec(), size_limit: 0 }).await
}

fn delivered() -> Done {
    Done::Delivered { output: Vec::new() }
}

#[tokio::test]
async fn messages_are_appended_to_a_mailbox_and_the_lock_file_is_gone() {
    let scratch = Scratch::new("append");
    for _ in 0..2 {
        assert_eq!(run(mailbox(scratch.path("box"), true), true).await.unwrap(), delivered());
    }
    assert_eq!(scratch.read("box"), "H\nbody\nH\nbody\n");
    assert!(!scratch.0.join("box.lock").exists());
}

#[tokio::test]
async fn half_a_message_leaves_the_mailbox_as_it_was() {
    let scratch = Scratch::new("half");
    std::fs::write(scratch.0.join("box"), "old\n").unwrap();
    assert!(run(mailbox(scratch.path("box"), true), false).await.is_err());
    assert_eq!(scratch.read("box"), "old\n");
}

#[tokio::test]
async fn a_locked_mailbox_is_not_written() {
    let scratch = Scratch::new("locked");
    std::fs::write(scratch.0.join("box.lock"), "").unwrap();
    let done = run(mailbox(scratch.path("box"), true), true).await.unwrap();
    assert!(matches!(done, Done::NotWritten(WriteProblem::System { .. })), "{done:?}");
    assert!(scratch.0.join("box.lock").exists());
}

#[tokio::test]
async fn what_is_no_mailbox_is_not_written() {
    let scratch = Scratch::new("special");
    let done = run(mailbox(Path(b"/dev/null".to_vec()), true), true).await.unwrap();
    assert_eq!(done, Done::NotWritten(WriteProblem::NotRegular));
    assert_eq!(run(mailbox(Path(b"/dev/null".to_vec()), false), true).await.unwrap(), delivered());
    std::fs::write(scratch.0.join("program"), "").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(scratch.0.join("program"), mode).unwrap();
    let done = run(mailbox(scratch.path("program"), false), true).await.unwrap();
    assert_eq!(done, Done::NotWritten(WriteProblem::Executable));
}

#[tokio::test]
async fn a_maildir_is_made_and_holds_whole_messages_only() {
    let scratch = Scratch::new("maildir");
    let target = |path| Target::Maildir { path, hostname: "h.test".into() };
    assert_eq!(run(target(scratch.path("box/")), true).await.unwrap(), delivered());
    assert!(run(target(scratch.path("box/")), false).await.is_err());
    let names = |sub: &str| {
        let entries = std::fs::read_dir(scratch.0.join("box").join(sub)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((names("new").len(), names("tmp").len(), names("cur").len()), (1, 0, 0));
    let name = &names("new")[0];
    assert!(name.contains(".V") && name.ends_with(".h.test"), "{name}");
    assert_eq!(scratch.read(&format!("box/new/{name}")), "H\nbody\n");
}

#[tokio::test]
async fn a_command_reads_the_message_and_its_status_counts() {
    let scratch = Scratch::new("command");
    let path = scratch.0.join("out").display().to_string();
    let done = run(command(&format!("cat > {path}; echo $WHO >> {path}"), 10), true).await.unwrap();
    assert_eq!(done, delivered());
    assert_eq!(scratch.read("out"), "H\nbody\nbob\n");
    let done = run(command("echo words; exit 75", 10), true).await.unwrap();
    assert_eq!(done, Done::Command { ending: Ending::Status(75), output: b"words\n".to_vec() });
    let done = run(command("kill -9 $$", 10), true).await.unwrap();
    assert_eq!(done, Done::Command { ending: Ending::Signal(9), output: vec![] });
}

#[tokio::test]
async fn a_command_without_shell_characters_is_executed_directly() {
    let done = run(command("cat -n", 10), true).await.unwrap();
    assert_eq!(done, Done::Delivered { output: b"     1\tH\n     2\tbody\n".to_vec() });
    let done = run(command("/no/such/program x", 10), true).await.unwrap();
    let Done::Command { ending: Ending::NotStarted, output } = done else { panic!("{done:?}") };
    assert_eq!(output, b"local: fatal: execvp /no/such/program: No such file or directory\n");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let begun = std::time::Instant::now();
    let done = run(command("sleep 60 & sleep 60", 1), true).await.unwrap();
    assert!(matches!(done, Done::Command { ending: Ending::TimedOut, .. }), "{done:?}");
    assert!(begun.elapsed().as_secs() < 20);
}

#[test]
fn the_first_file_that_exists_is_read_whole_unless_others_may_write_it() {
    let scratch = Scratch::new("read");
    let paths = [scratch.path("absent"), scratch.path("forward")];
    assert_eq!(read::first(&paths, 100).0, FoundFile::None);
    std::fs::write(scratch.0.join("forward"), "alice").unwrap();
    let (FoundFile::Found { .. }, bytes) = read::first(&paths, 5) else { panic!() };
    assert_eq!(bytes, b"alice");
    let (FoundFile::Unusable { why, temporary: true, .. }, _) = read::first(&paths, 4) else { panic!() };
    assert_eq!(why, "file is larger than 4 bytes");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(scratch.0.join("forward"), mode).unwrap();
    assert!(matches!(read::first(&paths, 100).0, FoundFile::Unusable { temporary: false, .. }));
}
