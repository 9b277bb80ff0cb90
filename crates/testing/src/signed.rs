//! A signed zone, and a resolver that validates it: `test.` signed by ldns, served by nsd, asked by unbound on port 53
//! of the thread's own network (`World`).

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::dns::answers;
use crate::wait::{PATIENCE, until_true};

/// Where nsd listens.
const AUTHORITY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5353);

/// What the zones hold, as lines `host.example A 192.0.2.1`, all names whole.
#[derive(Clone, Debug, Default)]
pub struct SignedZones {
    /// Below `test.`.
    pub signed: Vec<String>,
    /// Below `insec.test.`, a zone that is not signed.
    pub unsigned: Vec<String>,
    /// Texts of the signed zone and what stands in their place when it is signed already.
    pub tampered: Vec<(String, String)>,
}

/// The servers; dropped, they end.
#[derive(Debug)]
pub struct SignedDns {
    processes: Vec<Child>,
    folder: PathBuf,
}

impl SignedZones {
    /// Signs and serves them, and waits until a question is answered.
    pub fn start(&self) -> SignedDns {
        let folder = std::env::temp_dir().join(format!("postfix-rs-signed-{}", nix::unistd::gettid()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap_or_else(|e| panic!("{name}: {e}"));
        };
        write("insec.test", &zone("insec.test", &self.unsigned));
        let delegation = "insec.test NS ns.insec.test".to_owned();
        write("test", &zone("test", &[self.signed.clone(), vec![delegation]].concat()));
        let key = said(tool("ldns-keygen", &folder).args(["-a", "ECDSAP256SHA256", "-k", "test"]));
        said(tool("ldns-signzone", &folder).args(["-o", "test", "-f", "test.signed", "test", key.trim()]));
        let mut signed = fs::read_to_string(folder.join("test.signed")).unwrap_or_else(|e| panic!("test.signed: {e}"));
        for (from, to) in &self.tampered {
            assert!(signed.contains(from), "not in the signed zone: {from}");
            signed = signed.replace(from, to);
        }
        write("test.signed", &signed);
        write("nsd.conf", &nsd(&folder));
        write("unbound.conf", &unbound(&folder, key.trim()));
        let mut servers = SignedDns { processes: Vec::new(), folder: folder.clone() };
        for (program, file) in [("nsd", "nsd.conf"), ("unbound", "unbound.conf")] {
            let mut command = tool(program, &folder);
            command.args(["-d", "-c"]).arg(folder.join(file)).stdin(Stdio::null()).stdout(Stdio::null());
            let process = command.stderr(Stdio::null()).spawn().unwrap_or_else(|e| panic!("{program}: {e}"));
            servers.processes.push(process);
        }
        let question = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x04test\0\0\x06\0\x01";
        let port = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        assert!(until_true(PATIENCE, || answers(question, AUTHORITY)), "nsd does not answer");
        assert!(until_true(PATIENCE, || answers(question, port)), "unbound does not answer");
        servers
    }
}

impl Drop for SignedDns {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // nsd ends its own children when it is asked to end.
            let id = nix::unistd::Pid::from_raw(i32::try_from(process.id()).unwrap_or_default());
            let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
            until_true(PATIENCE, || process.try_wait().is_ok_and(|status| status.is_some()));
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A program of the system's, in a folder of its own.
fn tool(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir(folder);
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The text of a zone: its names are made whole by a final dot.
fn zone(name: &str, lines: &[String]) -> String {
    let mut text = format!("$TTL 60\n{name}. SOA ns.{name}. hostmaster.{name}. 1 3600 900 86400 60\n");
    text += &format!("{name}. NS ns.{name}.\nns.{name}. A {}\n", AUTHORITY.ip());
    for line in lines {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let last = words.len().saturating_sub(1);
        let is_name = matches!(words.get(1).map(String::as_str), Some("MX" | "CNAME" | "NS"));
        for at in [Some(0), is_name.then_some(last)].into_iter().flatten() {
            words[at].push('.');
        }
        text += &words.join(" ");
        text.push('\n');
    }
    text
}

fn nsd(folder: &Path) -> String {
    let folder = folder.display();
    let zone = |name: &str, file: &str| format!("zone:\n  name: {name}\n  zonefile: {folder}/{file}\n");
    let server = format!(
        "server:\n  ip-address: {}@{}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: {folder}\n  pidfile: \"\"\n  \
         database: \"\"\n  xfrdfile: {folder}/xfrd\n  zonelistfile: {folder}/list\n  server-count: 1\n\
         remote-control:\n  control-enable: no\n",
        AUTHORITY.ip(),
        AUTHORITY.port()
    );
    server + &zone("test", "test.signed") + &zone("insec.test", "insec.test")
}

fn unbound(folder: &Path, key: &str) -> String {
    let (folder, address) = (folder.display(), format!("{}@{}", AUTHORITY.ip(), AUTHORITY.port()));
    let stub = |name: &str| format!("stub-zone:\n  name: {name}\n  stub-addr: {address}\n");
    let server = format!(
        "server:\n  interface: 127.0.0.1@53\n  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  directory: {folder}\n  \
         use-syslog: no\n  do-daemonize: no\n  do-ip6: no\n  do-not-query-localhost: no\n  local-zone: test. nodefault\n  \
         trust-anchor-file: {folder}/{key}.ds\n  module-config: \"validator iterator\"\n  num-threads: 1\n\
         remote-control:\n  control-enable: no\n"
    );
    server + &stub("test") + &stub("insec.test")
}
