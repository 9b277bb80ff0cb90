//! Exim, whose TLS is GnuTLS: another mail server, which takes mail and passes it on.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::certificates::Identity;
use crate::maildir::Mail;
use crate::port::Port;
use crate::wait::{PATIENCE, until_true};

/// Names the program, which is unpacked and not installed.
pub const EXIM: &str = "POSTFIX_RS_EXIM";

/// The user and group `nobody`, under the name that the program looks for.
const OWNER: u32 = 65534;

/// A running server; dropped, it ends. It needs root.
#[derive(Debug)]
pub struct Exim {
    process: Child,
    folder: PathBuf,
    port: Port,
}

impl Exim {
    /// Takes mail for `exim.test` and `old.exim.test`, and sends any other to `next_hop`, where it wants TLS and a
    /// certificate that `authorities`, in PEM, vouch for. None where no program is unpacked.
    pub fn start(folder: &Path, identity: &Identity, next_hop: SocketAddr, authorities: &str) -> Option<Exim> {
        let unpacked = PathBuf::from(std::env::var_os(EXIM)?);
        let port = Port::reserve();
        for name in ["spool", "logs", "box"] {
            folder_of(OWNER, &folder.join(name));
        }
        for name in ["etc/exim4", "work"] {
            folder_of(0, &folder.join(name));
        }
        // The user it becomes reaches it here, wherever it was unpacked.
        let program = folder.join("exim4");
        fs::copy(&unpacked, &program).unwrap_or_else(|e| panic!("{}: {e}", unpacked.display()));
        set_mode(&program, 0o4755);
        write(&folder.join("server.pem"), &format!("{}{}", identity.key_pem(), identity.certificates_pem()));
        write(&folder.join("authorities.pem"), authorities);
        for (name, line) in [
            ("passwd", format!("Debian-exim:x:{OWNER}:{OWNER}::/:/usr/sbin/nologin\n")),
            ("group", format!("Debian-exim:x:{OWNER}:\n")),
        ] {
            let known = fs::read_to_string(Path::new("/etc").join(name)).expect("accounts of the machine");
            write(&folder.join("etc").join(name), &(known + &line));
        }
        write(&folder.join("etc/exim4/exim4.conf"), &configuration(folder, port.number(), next_hop));
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]).arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|e| panic!("unshare: {e}"));
        let server = Exim { process, folder: folder.to_owned(), port };
        let answers = || std::net::TcpStream::connect(server.address()).is_ok();
        assert!(until_true(PATIENCE, answers), "exim does not answer: {}", server.log());
        Some(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// What has come for its domains.
    pub fn mails(&self) -> Vec<Mail> {
        Mail::in_maildir(&self.folder.join("box"))
    }

    /// Waits until it has logged these texts: it does so after its client, or the next hop, knows.
    pub fn wait_log(&self, texts: &[&str]) {
        let logged = || texts.iter().all(|text| self.log().contains(text));
        assert!(until_true(PATIENCE, logged), "{texts:?} are not in the log of Exim:\n{}", self.log());
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        ["mainlog", "paniclog"]
            .map(|name| fs::read_to_string(self.folder.join("logs").join(name)).unwrap_or_default())
            .concat()
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Its configuration and its user stand in an `/etc` that only it sees: with a configuration elsewhere it would give up
/// its rights.
const ENTER: &str =
    "mount -t overlay overlay -o lowerdir=/etc,upperdir=$1/etc,workdir=$1/work /etc && exec $1/exim4 -bdf";

fn configuration(folder: &Path, port: u16, next_hop: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "exim_path = {folder}/exim4\n\
         spool_directory = {folder}/spool\n\
         log_file_path = {folder}/logs/%slog\n\
         log_selector = +tls_cipher +tls_certificate_verified\n\
         primary_hostname = exim.test\n\
         daemon_smtp_ports = {port}\n\
         local_interfaces = 127.0.0.1\n\
         keep_environment =\n\
         tls_certificate = {folder}/server.pem\n\
         tls_advertise_hosts = *\n\
         acl_smtp_rcpt = anything\n\
         acl_smtp_data = anything\n\
         begin acl\n\
         anything:\n  accept\n\
         begin routers\n\
         mine:\n  driver = accept\n  domains = exim.test : old.exim.test\n  transport = file\n\
         others:\n  driver = manualroute\n  route_list = * {}::{} byname\n  self = send\n  transport = onward\n\
         begin transports\n\
         file:\n  driver = appendfile\n  directory = {folder}/box\n  maildir_format\n  user = Debian-exim\n\
         onward:\n  driver = smtp\n  allow_localhost\n  hosts_require_tls = *\n  tls_verify_hosts = *\n  \
         tls_verify_certificates = {folder}/authorities.pem\n  tls_verify_cert_hostnames =\n",
        next_hop.ip(),
        next_hop.port()
    )
}

fn folder_of(owner: u32, path: &Path) {
    let made = fs::create_dir_all(path).and_then(|()| chown(path, Some(owner), Some(owner)));
    made.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    set_mode(path, 0o644);
}

fn set_mode(path: &Path, mode: u32) {
    let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
