//! Deliveries by a carrier in this process, with the agent at the other end of a socket pair.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use ipc::Client;
use ipc::carrier::{Command, Ending, FoundList, ListProblem, Lock, Mailbox, Path, Role, Words};

use super::*;

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

fn command(line: &str) -> Target {
    let environment = vec![Path(b"PATH=/usr/bin:/bin".to_vec()), Path(b"WHO=bob".to_vec())];
    let words = Words::Line { line: line.into(), shell: vec![] };
    Target::Command(Command { words, directory: vec![], environment })
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
    deliver(&mut carrier, Deposit { target, heading: b"H\n".to_vec() }, &[], None).await
}

fn delivered(at: Option<u64>) -> Done {
    Done::Delivered { output: Vec::new(), at }
}

#[tokio::test]
async fn messages_are_appended_to_a_mailbox_and_the_lock_file_is_gone() {
    let scratch = Scratch::new("append");
    for at in [0, 7] {
        assert_eq!(run(mailbox(scratch.path("box"), true), true).await.unwrap(), delivered(Some(at)));
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
    assert_eq!(run(mailbox(Path(b"/dev/null".to_vec()), false), true).await.unwrap(), delivered(Some(0)));
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
    assert_eq!(run(target(scratch.path("box/")), true).await.unwrap(), delivered(None));
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
    let done = run(command(&format!("cat > {path}; echo $WHO >> {path}")), true).await.unwrap();
    assert_eq!(done, delivered(None));
    assert_eq!(scratch.read("out"), "H\nbody\nbob\n");
    let done = run(command("echo words; exit 75"), true).await.unwrap();
    assert_eq!(done, Done::Command { ending: Ending::Status(75), output: b"words\n".to_vec() });
    let done = run(command("kill -9 $$"), true).await.unwrap();
    assert_eq!(done, Done::Command { ending: Ending::Signal(9), output: vec![] });
}

#[tokio::test]
async fn a_command_without_shell_characters_is_executed_directly() {
    let done = run(command("cat -n"), true).await.unwrap();
    assert_eq!(done, Done::Delivered { output: b"     1\tH\n     2\tbody\n".to_vec(), at: None });
    let done = run(command("/no/such/program x"), true).await.unwrap();
    let Done::Command { ending: Ending::NotStarted, output } = done else { panic!("{done:?}") };
    assert_eq!(output, b"execvp /no/such/program: No such file or directory");
}

/// A carrier at work, and the agent's end.
fn at_work(target: Target) -> (Client<Carrier>, impl Future<Output = Result<Done, IpcError>>) {
    let (near, far) = tokio::net::UnixStream::pair().unwrap();
    let deposit = Deposit { target, heading: b"H\n".to_vec() };
    let work = async move { deliver(&mut Server::new(far), deposit, &[], None).await };
    (Client::new(near), work)
}

#[tokio::test]
async fn a_command_is_ended_with_its_children_when_the_agent_says_so() {
    let begun = std::time::Instant::now();
    let (mut agent, work) = at_work(command("echo words; sleep 60 & sleep 60"));
    agent.queue(&Request::End).unwrap();
    agent.send(&Request::Stop).await.unwrap();
    let done = work.await.unwrap();
    assert!(matches!(done, Done::Command { ending: Ending::TimedOut, .. }), "{done:?}");
    assert!(begun.elapsed().as_secs() < 30);
}

#[tokio::test]
async fn a_file_is_not_ended_in_the_middle() {
    let scratch = Scratch::new("stop");
    let (mut agent, work) = at_work(mailbox(scratch.path("box"), true));
    agent.queue(&Request::Content(b"half".to_vec())).unwrap();
    agent.send(&Request::Stop).await.unwrap();
    assert!(work.await.is_err());
    assert_eq!(scratch.read("box"), "");
}

#[tokio::test]
async fn links_that_others_may_have_made_lead_no_mail_anywhere() {
    let scratch = Scratch::new("links");
    std::fs::write(scratch.0.join("victim"), "old\n").unwrap();
    std::fs::hard_link(scratch.0.join("victim"), scratch.0.join("box")).unwrap();
    for personal in [true, false] {
        let done = run(mailbox(scratch.path("box"), personal), true).await.unwrap();
        assert_eq!(done, Done::NotWritten(WriteProblem::HardLinks(2)));
    }
    std::fs::remove_file(scratch.0.join("box")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    std::fs::set_permissions(&scratch.0, mode).unwrap();
    std::os::unix::fs::symlink("victim", scratch.0.join("box")).unwrap();
    for personal in [true, false] {
        let done = run(mailbox(scratch.path("box"), personal), true).await.unwrap();
        assert_eq!(done, Done::NotWritten(WriteProblem::Link));
    }
    assert_eq!(scratch.read("victim"), "old\n");
}

#[tokio::test]
async fn a_lock_is_refused_with_the_reason_of_the_system() {
    let scratch = Scratch::new("reason");
    std::fs::write(scratch.0.join("box.lock"), "").unwrap();
    let done = run(mailbox(scratch.path("box"), true), true).await.unwrap();
    let Done::NotWritten(WriteProblem::System { code, .. }) = done else { panic!("{done:?}") };
    assert_eq!(code, nix::libc::EEXIST);
    std::fs::remove_file(scratch.0.join("box.lock")).unwrap();
    let held = std::fs::File::create(scratch.0.join("box")).unwrap();
    assert!(sys::lock::lock(std::os::fd::AsFd::as_fd(&held)).unwrap());
    let done = run(mailbox(scratch.path("box"), true), true).await.unwrap();
    let Done::NotWritten(WriteProblem::System { code, what }) = done else { panic!("{done:?}") };
    assert_eq!((code, what.as_str()), (nix::libc::EAGAIN, "unable to lock for exclusive access"));
}

/// What a carrier says of lists, and the text of the one that it reads.
async fn read_lists(paths: &[Path], role: Role) -> (FoundList, Vec<u8>) {
    let (near, far) = tokio::net::UnixStream::pair().unwrap();
    let mut carrier: Server<Carrier> = Server::new(far);
    let mut agent: Client<Carrier> = Client::new(near);
    let (answered, said) = tokio::join!(read::answer(&mut carrier, paths, role), async {
        let Reply::List(found) = agent.must_receive().await.unwrap() else { panic!("no list") };
        let mut text = Vec::new();
        if !matches!(found, FoundList::Found { .. }) {
            return (found, text);
        }
        loop {
            match agent.must_receive().await.unwrap() {
                Reply::Text(piece) => text.extend(piece),
                Reply::TextEnd(end) => break end.unwrap(),
                other => panic!("{other:?}"),
            }
        }
        (found, text)
    });
    answered.unwrap();
    said
}

fn mine() -> Role {
    Role::Forward(nix::unistd::geteuid().as_raw())
}

#[tokio::test]
async fn the_first_list_that_exists_is_read_unless_others_have_a_say_in_it() {
    let scratch = Scratch::new("read");
    let paths = [scratch.path("absent"), scratch.path("absent/x"), scratch.path("forward"), scratch.path("other")];
    assert_eq!(read_lists(&paths, mine()).await.0, FoundList::None);
    let text = "alice\n".repeat(100_000);
    std::fs::write(scratch.0.join("forward"), &text).unwrap();
    let (found, read) = read_lists(&paths, mine()).await;
    assert!(matches!(found, FoundList::Found { .. }), "{found:?}");
    assert!(read == text.as_bytes());
    let why = async |role| match read_lists(&paths, role).await.0 {
        FoundList::Unusable { why, .. } => Some(why),
        _ => None,
    };
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o646);
    std::fs::set_permissions(scratch.0.join("forward"), mode).unwrap();
    for role in [mine(), Role::Include, Role::OwnInclude] {
        assert_eq!(why(role).await, Some(ListProblem::WorldWritable));
    }
    std::fs::remove_file(scratch.0.join("forward")).unwrap();
    std::fs::write(scratch.0.join("real"), "bob").unwrap();
    std::os::unix::fs::symlink("real", scratch.0.join("forward")).unwrap();
    assert_eq!(why(mine()).await, Some(ListProblem::NotRegular));
    assert_eq!(read_lists(&paths, Role::Include).await.1, b"bob");
    let pipe = scratch.0.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for role in [mine(), Role::Include] {
        let (found, _) = read_lists(&[scratch.path("pipe")], role).await;
        assert!(matches!(found, FoundList::Unusable { why: ListProblem::NotRegular, .. }), "{found:?}");
    }
}

#[tokio::test]
async fn a_list_of_somebody_else_gives_no_rights() {
    if !nix::unistd::geteuid().is_root() {
        // The files of root are those that everybody has.
        let (found, _) = read_lists(&[Path(b"/etc/passwd".to_vec())], Role::OwnInclude).await;
        assert!(matches!(found, FoundList::Unusable { why: ListProblem::Owner(0), .. }), "{found:?}");
        return;
    }
    let scratch = Scratch::new("owner");
    std::fs::write(scratch.0.join("list"), "bob").unwrap();
    nix::unistd::chown(&scratch.0.join("list"), Some(7.into()), None).unwrap();
    for role in [Role::Forward(8), Role::OwnInclude] {
        let (found, _) = read_lists(&[scratch.path("list")], role).await;
        assert!(matches!(found, FoundList::Unusable { why: ListProblem::Owner(7), .. }), "{found:?}");
    }
    assert_eq!(read_lists(&[scratch.path("list")], Role::Include).await.1, b"bob");
    assert_eq!(read::look(&scratch.path("list")), FoundList::Found { path: scratch.path("list"), owner: 7 });
}
