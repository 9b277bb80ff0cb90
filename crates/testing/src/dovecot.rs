//! Dovecot: its authentication server, for users that a test names, and any other that a configuration describes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::wait::{PATIENCE, until_true};

/// An access token of alice@mail.test (RFC 7519), signed with [`TOKEN_KEY`] for longer than anybody will run tests.
pub const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJzdWIiOiJhbGljZUBtYWlsLnRlc3QiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMH0.\
    scQg4I9uFikPVgipTmO3GR8VknK7Kzn2qT1IF1KlmIQ";
/// Base64 of the key.
const TOKEN_KEY: &str = "dGhlIGtleSBvZiB0aGUgdGVzdHM=";

/// A running server; dropped, it ends. It needs root.
#[derive(Debug)]
pub struct Dovecot {
    process: Child,
    folder: PathBuf,
}

impl Dovecot {
    /// With this configuration, to which the places of its own files below `folder` are added.
    pub fn run(folder: &Path, configuration: &str) -> Dovecot {
        let at = |name: &str| folder.join(name).display().to_string();
        let own = format!("base_dir = {}\nstate_dir = {}\nlog_path = {}\n", at("base"), at("state"), at("log"));
        let file = write(folder, "dovecot.conf", &format!("{own}ssl = no\nauth_failure_delay = 0\n{configuration}"));
        let mut command = Command::new("dovecot");
        command.args(["-F", "-c"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|e| panic!("dovecot: {e}"));
        Dovecot { process, folder: folder.to_owned() }
    }

    /// The authentication server alone, at `socket`, for these users, by PLAIN, LOGIN and CRAM-MD5. It keeps nobody
    /// waiting after a failure.
    pub fn authenticates(folder: &Path, socket: &Path, users: &[(&str, &str)]) -> Dovecot {
        Dovecot::authenticates_by("plain login cram-md5", folder, socket, users)
    }

    /// The same, by these mechanisms; those with tokens believe [`TOKEN`].
    pub fn authenticates_by(mechanisms: &str, folder: &Path, socket: &Path, users: &[(&str, &str)]) -> Dovecot {
        let lines = users.iter().map(|(user, password)| format!("{user}:{{PLAIN}}{password}\n"));
        let users = write(folder, "users", &lines.collect::<String>());
        let configuration = format!(
            "protocols =\nauth_mechanisms = {mechanisms}\n{}\
             passdb {{\n  driver = passwd-file\n  args = scheme=PLAIN username_format=%u {}\n}}\n\
             service auth {{\n  unix_listener {} {{\n    mode = 0666\n  }}\n}}\n\
             service anvil {{\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n",
            tokens(folder),
            users.display(),
            socket.display()
        );
        let server = Dovecot::run(folder, &configuration);
        assert!(until_true(PATIENCE, || greets(socket)), "dovecot does not answer: {}", server.log());
        server
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // It ends its own processes when it is asked to.
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "{}", self.log());
        }
    }
}

/// The part of a configuration by which [`TOKEN`] is believed.
pub(crate) fn tokens(folder: &Path) -> String {
    write(&folder.join("keys/default/HS256"), "default", TOKEN_KEY);
    let keys = folder.join("keys");
    let settings = format!(
        "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={}/\nusername_attribute = sub\n",
        keys.display()
    );
    let file = write(folder, "tokens.conf", &settings);
    format!("passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {}\n}}\n", file.display())
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
    written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path
}

/// Whether a server at this socket says that it is ready.
fn greets(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    let asked = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.write_all(b"VERSION\t1\t0\nCPID\t1\n"));
    asked.is_ok() && BufReader::new(stream).lines().map_while(Result::ok).any(|line| line == "DONE")
}
