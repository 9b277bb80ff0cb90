//! Dovecot's submission server: a peer that asks for a login with any mechanism, and gives the mail on to a [`Sink`].

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use crate::dovecot::{Dovecot, tokens};
use crate::port::Port;
use crate::sink::Sink;
use crate::wait::{PATIENCE, until_true};

/// A running server; dropped, it ends.
#[derive(Debug)]
pub struct Submission {
    /// Until the end, before which its files have to stay.
    dovecot: Option<Dovecot>,
    folder: PathBuf,
    port: Port,
}

impl Submission {
    /// On 127.0.0.1, where every user has this password, and alice@mail.test the [`TOKEN`](crate::dovecot::TOKEN); mail
    /// goes on to the sink. It needs root.
    pub fn start(mechanisms: &str, password: &str, sink: &Sink) -> Submission {
        let (folder, port) = (folder(), Port::reserve());
        let dovecot = Dovecot::run(&folder, &configuration(&folder, mechanisms, password, port.number(), sink));
        let server = Submission { dovecot: Some(dovecot), folder, port };
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
        self.dovecot.as_ref().map(Dovecot::log).unwrap_or_default()
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        drop(self.dovecot.take());
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
    let (tokens, folder, sink) = (tokens(folder), folder.display(), sink.address());
    format!(
        "protocols = submission\ndisable_plaintext_auth = no\nauth_mechanisms = {mechanisms}\nauth_anonymous_username = nobody\n\
         hostname = submission.test\nlisten = 127.0.0.1\ndefault_vsz_limit = 0\n\
         mail_location = maildir:{folder}/mail\nfirst_valid_uid = 1\n\
         {tokens}passdb {{\n  driver = static\n  args = password={password}\n}}\n\
         userdb {{\n  driver = static\n  args = uid=mail gid=mail home={folder}\n}}\n\
         service submission-login {{\n  chroot =\n  inet_listener submission {{\n    port = {port}\n  }}\n}}\n\
         service stats {{\n  unix_listener stats-writer {{\n    mode = 0666\n  }}\n}}\n\
         submission_relay_host = {}\nsubmission_relay_port = {}\nsubmission_relay_trusted = no\n",
        sink.ip(),
        sink.port()
    )
}
