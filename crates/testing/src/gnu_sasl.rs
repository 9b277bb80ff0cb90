//! A server whose logins are bound to their TLS session, of programs that share no line with ours: TLS, and what binds
//! to it, by `openssl s_server`; SCRAM by GNU SASL's `gsasl`. In between stands as much of SMTP as a message needs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::certificates::Identity;
use crate::port::Port;

/// What it takes.
#[derive(Clone, Debug)]
pub struct BoundLogin {
    /// `SCRAM-SHA-256-PLUS` or `SCRAM-SHA-1-PLUS`.
    pub mechanism: &'static str,
    /// Of every user.
    pub password: &'static str,
    /// Somebody stands in between: the session of the server is not that of the client.
    pub relayed: bool,
}

/// A running server with TLS before the greeting; dropped, it ends.
#[derive(Debug)]
pub struct BoundServer {
    process: Child,
    heard: Arc<Mutex<Vec<String>>>,
    port: Port,
}

impl BoundLogin {
    /// Starts it on 127.0.0.1; `folder` is its own.
    pub fn start(self, folder: &Path, identity: &Identity) -> BoundServer {
        let (port, file) = (Port::reserve(), folder.join("bound.pem"));
        let pem = format!("{}{}", identity.key_pem(), identity.certificates_pem());
        fs::write(&file, pem).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let place = format!("127.0.0.1:{}", port.number());
        let mut command = Command::new("openssl");
        command.args(["s_server", "-tls1_3", "-accept", &place, "-cert"]).arg(&file).arg("-key").arg(&file);
        // RFC 9266
        command.args(["-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"]);
        let (mut process, replies, said) = piped(command);
        let mut said = BufReader::new(said);
        let mut line = String::new();
        while line.trim_end() != "ACCEPT" {
            line.clear();
            let count = said.read_line(&mut line).unwrap_or_default();
            assert!(count > 0, "openssl s_server has ended: {:?}", process.wait());
        }
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut dialogue =
            Dialogue { login: self, replies, heard: Arc::clone(&heard), binding: Vec::new(), gsasl: None };
        std::thread::spawn(move || {
            let lines = said.split(b'\n').map_while(Result::ok);
            for line in lines {
                // A server that was ended reads no more replies.
                let _ = dialogue.hear(String::from_utf8_lossy(&line).trim_end());
            }
        });
        BoundServer { process, heard, port }
    }
}

impl BoundServer {
    /// It as a next hop without a DNS look-up.
    pub fn next_hop(&self) -> String {
        format!("[127.0.0.1]:{}", self.port.number())
    }

    /// What clients have said until now.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for BoundServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Dialogue {
    login: BoundLogin,
    replies: ChildStdin,
    heard: Arc<Mutex<Vec<String>>>,
    binding: Vec<u8>,
    gsasl: Option<Gsasl>,
}

impl Dialogue {
    /// What s_server prints: its own words, and what the client has said.
    fn hear(&mut self, line: &str) -> std::io::Result<()> {
        if let Some(hex) = line.trim_start().strip_prefix("Keying material: ") {
            let bytes = hex.as_bytes().chunks(2).map(String::from_utf8_lossy);
            self.binding = bytes.filter_map(|pair| u8::from_str_radix(&pair, 16).ok()).collect();
            if self.login.relayed {
                self.binding.reverse();
            }
            return self.say("220 bound.test ESMTP");
        }
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        if self.gsasl.is_some() {
            return self.prove(line);
        }
        match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => {
                let bound = self.login.mechanism;
                let free = bound.trim_end_matches("-PLUS");
                self.say(&format!("250-bound.test\r\n250 AUTH PLAIN {free} {bound}"))
            }
            "AUTH" => self.begin(line),
            "MAIL" | "RCPT" => self.say("250 2.1.0 Ok"),
            "DATA" => self.say("354 go"),
            "." => self.say("250 2.0.0 Ok: queued as BOUND"),
            "QUIT" => self.say("221 2.0.0 bye"),
            _ => Ok(()),
        }
    }

    fn say(&mut self, reply: &str) -> std::io::Result<()> {
        self.replies.write_all(format!("{reply}\r\n").as_bytes())?;
        self.replies.flush()
    }

    fn begin(&mut self, line: &str) -> std::io::Result<()> {
        let mut words = line.split(' ').skip(1);
        let (mechanism, first) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if mechanism != self.login.mechanism {
            return self.say("504 5.5.4 not this one");
        }
        let mut gsasl = Gsasl::start(&self.login);
        match gsasl.challenge(first, &self.binding) {
            Some(challenge) => {
                self.gsasl = Some(gsasl);
                self.say(&format!("334 {challenge}"))
            }
            None => self.say("535 5.7.8 refused at once"),
        }
    }

    /// The proof of the client, and then its empty word on that of the server.
    fn prove(&mut self, line: &str) -> std::io::Result<()> {
        match self.gsasl.as_mut().and_then(|gsasl| gsasl.last(line)) {
            Some(Step::Proof(proof)) => self.say(&format!("334 {proof}")),
            Some(Step::Done) => {
                self.gsasl = None;
                self.say("235 2.7.0 Welcome")
            }
            None => {
                self.gsasl = None;
                self.say("535 5.7.8 refused")
            }
        }
    }
}

enum Step {
    Proof(String),
    Done,
}

/// One login at `gsasl --server`.
struct Gsasl {
    process: Child,
    input: ChildStdin,
    output: ChildStdout,
    proven: bool,
}

impl Gsasl {
    fn start(login: &BoundLogin) -> Gsasl {
        let mut command = Command::new("gsasl");
        command.args(["--server", "--quiet", "--mechanism", login.mechanism, "--password", login.password]);
        let (process, input, output) = piped(command);
        Gsasl { process, input, output, proven: false }
    }

    fn challenge(&mut self, first: &str, binding: &[u8]) -> Option<String> {
        writeln!(self.input, "{first}").ok()?;
        self.until("tls-exporter channel binding: ")?;
        writeln!(self.input, "{}", STANDARD.encode(binding)).ok()?;
        self.until("\n")
    }

    fn last(&mut self, line: &str) -> Option<Step> {
        if self.proven {
            return Some(Step::Done);
        }
        writeln!(self.input, "{line}").ok()?;
        let proof = self.until("\n").filter(|proof| !proof.is_empty())?;
        self.proven = true;
        Some(Step::Proof(proof))
    }

    /// What it prints in front of this text; `None` if it ends before.
    fn until(&mut self, end: &str) -> Option<String> {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let mut byte = [0];
            self.output.read_exact(&mut byte).ok()?;
            text.extend(byte);
        }
        Some(String::from_utf8_lossy(&text).trim_end_matches(end).to_owned())
    }
}

impl Drop for Gsasl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn piped(mut command: Command) -> (Child, ChildStdin, ChildStdout) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    match (process.stdin.take(), process.stdout.take()) {
        (Some(input), Some(output)) => (process, input, output),
        _ => panic!("{command:?} has no pipes"),
    }
}
