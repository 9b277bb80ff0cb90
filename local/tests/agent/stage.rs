//! The stage: a configuration, a spool, and the other parts played by threads of this process.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use ipc::bounce::Message;
use ipc::delivery::{Delivery, Report, Request, Timestamp, Verdict, rest_of_report, send};
use ipc::{Client, Server, cleanup, rewrite};
use queue::record::{Reader, encode};
use queue::{QueueId, Recipient, Trace, Type};

/// One test's world.
pub struct Stage {
    folder: PathBuf,
    user: String,
    uid: u32,
    aliases: Mutex<String>,
    queued: Arc<Mutex<Vec<String>>>,
    log: Mutex<String>,
}

/// A message for one recipient.
pub struct Mail {
    to: String,
    from: String,
    header: Vec<String>,
    trace: Trace,
}

impl Mail {
    pub fn to(address: &str) -> Self {
        Mail { to: address.to_owned(), from: "sender@x.test".to_owned(), header: Vec::new(), trace: Trace::default() }
    }

    pub fn from(mut self, address: &str) -> Self {
        self.from = address.to_owned();
        self
    }

    pub fn header(mut self, line: &str) -> Self {
        self.header.push(line.to_owned());
        self
    }

    pub fn probe(mut self) -> Self {
        self.trace = Trace::USER_VERIFY;
        self
    }
}

/// What the agent reported, and the queue file afterwards.
#[derive(Debug)]
pub struct Result {
    report: Report,
    mark: u8,
}

impl Result {
    pub fn all_sent(&self) -> bool {
        self.report.outcomes.iter().all(|outcome| outcome.verdict == Verdict::Sent)
    }

    pub fn summary(&self) -> String {
        let outcome = &self.report.outcomes[0];
        format!("{:?} {} {}", outcome.verdict, outcome.status, outcome.reason).to_lowercase().replacen(
            "command",
            "Command",
            usize::from(outcome.reason.starts_with("Command")),
        )
    }

    pub fn expanded(&self) -> Vec<String> {
        let records = &self.report.outcomes[0].expanded;
        records.iter().map(|r| format!("{} {}", String::from_utf8_lossy(&r.recipient.address), r.action)).collect()
    }

    pub fn assert_marked(&self) {
        assert_eq!(self.mark, b'D');
    }

    pub fn assert_not_marked(&self) {
        assert_eq!(self.mark, b'R');
    }
}

impl Stage {
    pub fn new(name: &str, settings: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("local-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let is_root = nix::unistd::geteuid().is_root();
        // As root: somebody whom every system has and who is not the agent's own user.
        let account = if is_root {
            nix::unistd::User::from_name("games")
        } else {
            nix::unistd::User::from_uid(nix::unistd::getuid())
        };
        let account = account.unwrap().expect("the user of the test");
        for (path, mode) in [
            ("", 0o755),
            ("etc", 0o755),
            ("queue", 0o755),
            ("queue/private", 0o777),
            ("queue/public", 0o777),
            ("spool", 0o2775),
            ("forward", 0o755),
            ("out", 0o777),
        ] {
            let path = folder.join(path);
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        }
        if is_root {
            let group = nix::unistd::Group::from_name("mail").unwrap().expect("group mail").gid;
            nix::unistd::chown(&folder.join("spool"), None, Some(group)).unwrap();
            std::fs::set_permissions(folder.join("spool"), PermissionsExt::from_mode(0o2775)).unwrap();
        }
        let owner = if is_root { "daemon".to_owned() } else { account.name.clone() };
        let f = folder.display();
        let main_cf = format!(
            "compatibility_level = 3.11\nqueue_directory = {f}/queue\ndata_directory = {f}/queue\nmyhostname = h.m.test\n\
             myorigin = m.test\nmail_owner = {owner}\nmail_spool_directory = {f}/spool\n\
             forward_path = {f}/forward/$user.forward${{recipient_delimiter}}${{extension}}, {f}/forward/$user.forward\n\
             alias_maps = texthash:{f}/etc/aliases\nexport_environment = HOME_FOR_TEST={f}/out\n\
             deliver_lock_attempts = 2\ndeliver_lock_delay = 1s\nmaillog_file =\n{settings}"
        );
        std::fs::write(folder.join("etc/main.cf"), main_cf).unwrap();
        let stage = Stage {
            uid: account.uid.as_raw(),
            user: account.name,
            aliases: Mutex::new(String::new()),
            queued: Arc::default(),
            log: Mutex::default(),
            folder,
        };
        stage.play_others();
        stage
    }

    pub fn with_aliases(&self, text: &str) -> &Self {
        *self.aliases.lock().unwrap() = text.to_owned();
        self
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    pub fn spool(&self) -> PathBuf {
        self.folder.join("spool")
    }

    pub fn open_folder(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        let _ = std::fs::create_dir(&path);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        path
    }

    pub fn forward_file(&self, end: &str, text: &str) {
        let path = self.folder.join("forward").join(format!("{}.forward{end}", self.user));
        std::fs::write(path, text).unwrap();
    }

    pub fn assert_owned_by_user(&self, path: &Path) {
        assert_eq!(std::fs::metadata(path).unwrap().uid(), self.uid);
    }

    /// What cleanup was given, a record a line.
    pub fn queued(&self) -> Vec<String> {
        self.queued.lock().unwrap().clone()
    }

    /// Everything that the agent has logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Starts an agent, gives it one message, and ends it.
    pub fn deliver(&self, mail: &Mail) -> Result {
        std::fs::write(self.folder.join("etc/aliases"), &*self.aliases.lock().unwrap()).unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        let mut agent = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["-S", "-V", "-n", "local", "-t", "unix"])
            .env("MAIL_CONFIG", self.folder.join("etc"))
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (file, request) = self.message(mail);
        let exchange = in_runtime(async {
            near.set_nonblocking(true).unwrap();
            let mut channel: Client<Delivery> = Client::new(tokio::net::UnixStream::from_std(near).unwrap());
            send(&mut channel, request, file.as_fd()).await?;
            let first = channel.must_receive().await?;
            rest_of_report(first, &mut channel).await
        });
        let mut log = String::new();
        agent.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        agent.wait().unwrap();
        let report = exchange.unwrap_or_else(|error| panic!("{error}: {log}"));
        self.log.lock().unwrap().push_str(&log);
        let mut mark = [0];
        file.read_exact_at(&mut mark, 1).unwrap();
        Result { report, mark: mark[0] }
    }

    /// A queue file with an `R` at offset 1, and the request for it.
    fn message(&self, mail: &Mail) -> (File, Request) {
        let mut out = b"x".to_vec();
        encode(&mut out, Type::RECIPIENT, mail.to.as_bytes());
        let data_offset = out.len() as u64;
        for line in mail.header.iter().map(String::as_str).chain(["Subject: x", "", "body", "From here"]) {
            encode(&mut out, Type::LINE, line.as_bytes());
        }
        encode(&mut out, Type::EXTRACTED, b"");
        let path = self.folder.join("message");
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
        file.write_all(&out).unwrap();
        let recipient = Recipient {
            original: b"orig@m.test".to_vec(),
            address: mail.to.clone().into_bytes(),
            offset: 1,
            ..Recipient::default()
        };
        let now = Timestamp::now();
        let id = QueueId::parse(b"OLD").unwrap();
        let request = Request {
            trace: mail.trace,
            data_offset,
            nexthop: b"m.test".to_vec(),
            message: Message { sender: mail.from.clone().into_bytes(), ..Message::new(id.clone()) },
            arrival: now,
            active: now,
            handoff: now,
            recipients: vec![recipient],
            ..Request::new(id)
        };
        (file, request)
    }

    fn play_others(&self) {
        let rewrite = listen(&self.folder.join("queue/private/rewrite"));
        std::thread::spawn(move || serve(rewrite, |stream| Box::pin(play_rewrite(stream))));
        let cleanup = listen(&self.folder.join("queue/public/cleanup"));
        let queued = Arc::clone(&self.queued);
        std::thread::spawn(move || serve(cleanup, move |stream| Box::pin(play_cleanup(stream, Arc::clone(&queued)))));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

type Play = std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn listen(path: &Path) -> std::os::unix::net::UnixListener {
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(work)
}

fn serve(listener: std::os::unix::net::UnixListener, play: impl Fn(tokio::net::UnixStream) -> Play) {
    in_runtime(async {
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(play(stream));
        }
    });
}

/// Names without a domain are of m.test, and m.test is delivered here.
async fn play_rewrite(stream: tokio::net::UnixStream) {
    let mut channel: Server<rewrite::Rewrite> = Server::new(stream);
    while let Ok(Some(request)) = channel.receive().await {
        let reply = match request {
            rewrite::Request::Rewrite { address, .. } if address.contains(&b'@') => rewrite::Reply::Rewritten(address),
            rewrite::Request::Rewrite { address, .. } => {
                rewrite::Reply::Rewritten([&address, &b"@m.test"[..]].concat())
            }
            rewrite::Request::Resolve { address, .. } => rewrite::Reply::Resolved(rewrite::Resolved {
                transport: if address.ends_with(b"@m.test") { "local".into() } else { "smtp".into() },
                nexthop: b"m.test".to_vec(),
                recipient: address,
                class: rewrite::Class::Local,
                routed: false,
                bad_syntax: false,
                failed: false,
            }),
        };
        channel.send(&reply).await.unwrap();
    }
}

async fn play_cleanup(stream: tokio::net::UnixStream, queued: Arc<Mutex<Vec<String>>>) {
    let mut channel: Server<cleanup::Cleanup> = Server::new(stream);
    let mut records = Vec::new();
    while let Ok(Some(request)) = channel.receive().await {
        match request {
            cleanup::Request::Open { .. } => {
                channel.send(&cleanup::Reply::Opened { queue_id: QueueId::parse(b"NEW").unwrap() }).await.unwrap();
            }
            cleanup::Request::Records(bytes) => records.extend(bytes),
            cleanup::Request::Filter(_) => {}
            cleanup::Request::Finish { .. } => {
                queued.lock().unwrap().push(shown(&records));
                records.clear();
                let outcome = cleanup::Outcome::Accepted(QueueId::parse(b"NEW").unwrap());
                channel.send(&cleanup::Reply::Done { outcome, next: None }).await.unwrap();
            }
            cleanup::Request::Abort => records.clear(),
            cleanup::Request::Whole { .. } => panic!("no place was given"),
        }
    }
}

fn shown(records: &[u8]) -> String {
    let mut reader = Reader::new(records.to_vec());
    let mut out = String::new();
    while let Ok(Some(record)) = reader.next_record() {
        out.push_str(&format!("{} {}\n", char::from(record.kind.0), String::from_utf8_lossy(record.data)));
    }
    out
}
