//! Dovecot's submission server: a peer that asks for a login with any mechanism, and gives the mail on to a [`Sink`].

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::port::Port;
use crate::sink::Sink;
use crate::wait::{PATIENCE, until_true};

/// A running server; dropped, it ends.
#[derive(Debug)]
pub struct Submission {
    process: Child,
    folder: PathBuf,
    port: Port,
}

impl Submission {
    /// On 127.0.0.1, where every user has this password; mail goes on to the sink. It needs root.
    pub fn start(mechanisms: &str, password: &str, sink: &Sink) -> Submission {
        let (folder, port) = (folder(), Port::reserve());
        let file = folder.join("dovecot.conf");
        fs::write(&file, configuration(&folder, mechanisms, password, port.number(), sink))
            .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut command = Command::new("dovecot");
        command.args(["-F", "-c"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|e| panic!("dovecot: {e}"));
        let server = Submission { process, folder, port };
        let address = server.address();
        assert!(until_true(PATIENCE, || TcpStream::connect(address).is_ok()), "dovecot: {}", server.log());
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.port.number())
    }

    /// It as a next hop without a DNS look-up.
    pub fn next_hop(&self) -> String {
        format!("[127.0.0.1]:{}", self.port.number())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        // It ends its own processes when it is asked to.
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder that the server's users can reach.
fn folder() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("dovecot-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
}

fn configuration(folder: &Path, mechanisms: &str, password: &str, port: u16, sink: &Sink) -> String {
    let (folder, sink) = (folder.display(), sink.address());
    format!(
        "protocols = submission\nbase_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\n\
         ssl = no\ndisable_plaintext_auth = no\nauth_mechanisms = {mechanisms}\nauth_anonymous_username = nobody\n\
         auth_failure_delay = 0\nhostname = submission.test\nlisten = 127.0.0.1\ndefault_vsz_limit = 0\n\
         mail_location = maildir:{folder}/mail\nfirst_valid_uid = 1\n\
         passdb {{\n  driver = static\n  args = password={password}\n}}\n\
         userdb {{\n  driver = static\n  args = uid=mail gid=mail home={folder}\n}}\n\
         service submission-login {{\n  chroot =\n  inet_listener submission {{\n    port = {port}\n  }}\n}}\n\
         service stats {{\n  unix_listener stats-writer {{\n    mode = 0666\n  }}\n}}\n\
         submission_relay_host = {}\nsubmission_relay_port = {}\nsubmission_relay_trusted = no\n",
        sink.ip(),
        sink.port()
    )
}
