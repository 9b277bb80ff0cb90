//! Real filters: OpenDKIM, rspamd, and one that pymilter runs.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use scenarios::scenario;
use testing::port::Port;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Setup, Sink};

use super::setup;

/// A running filter; dropped, it ends.
struct Program(Child);

impl Program {
    /// Waits until it listens.
    fn start(command: &mut Command, port: &Port) -> Program {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let program = Program(child.unwrap_or_else(|e| panic!("{command:?}: {e}")));
        let listens = || std::net::TcpStream::connect(("127.0.0.1", port.number())).is_ok();
        assert!(until_true(PATIENCE, listens), "{command:?} does not listen");
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
    written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path.display().to_string()
}

fn relayed(setup: Setup, sink: &Sink, filters: &str) -> String {
    let mail = setup.set("relayhost", sink.next_hop()).set("smtpd_milters", filters).start();
    let mut client = Client::greet(mail.v4()).expect("connected");
    let text = "From: a@client.test\nTo: b@elsewhere.test\nSubject: sub\n\nbody\n";
    let reply = client.send("a@client.test", &["b@elsewhere.test"], text).expect("a reply");
    assert_eq!(reply.code, 250, "{reply:?}\n{}", mail.log());
    assert!(until_true(PATIENCE, || sink.count() == 1), "{}", mail.log());
    sink.received().remove(0).text
}

fn scratch(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("milter-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
}

#[test]
fn opendkim_signs_what_is_sent() {
    scenario(|| {
        let (folder, port, sink) = (scratch("opendkim"), Port::reserve(), Sink::v4());
        let made = Command::new("openssl").args(["genrsa", "-out"]).arg(folder.join("key")).arg("2048").output();
        assert!(made.expect("openssl").status.success());
        let text = format!(
            "Socket inet:{}@127.0.0.1\nDomain client.test\nSelector s\nKeyFile {}\nMode s\nInternalHosts 127.0.0.1\n\
             RequireSafeKeys no\nCanonicalization relaxed/simple\nPidFile {}\n",
            port.number(),
            folder.join("key").display(),
            folder.join("pid").display()
        );
        let file = write(&folder, "opendkim.conf", &text);
        let _filter = Program::start(Command::new("opendkim").args(["-f", "-x", &file]), &port);
        let text = relayed(setup(), &sink, &format!("inet:127.0.0.1:{}", port.number()));
        assert!(text.starts_with("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=client.test; s=s;"), "{text}");
        let _ = fs::remove_dir_all(folder);
    });
}

const PYMILTER: &str = "\
import Milter, sys
class Filter(Milter.Base):
    def eom(self):
        self.addheader('X-Queue', self.getsymval('i'))
        self.chgheader('Subject', 1, 'changed')
        self.progress()
        self.replacebody('a line of the new body\\r\\n' * 10000)
        self.addrcpt('<more@elsewhere.test>')
        return Milter.ACCEPT
Milter.factory = Filter
Milter.set_flags(Milter.ADDHDRS + Milter.CHGHDRS + Milter.CHGBODY + Milter.ADDRCPT)
Milter.runmilter('filter', sys.argv[1], 60)
";

#[test]
fn a_filter_of_pymilter_changes_more_than_a_packet_holds() {
    scenario(|| {
        let (folder, port, sink) = (scratch("pymilter"), Port::reserve(), Sink::v4());
        let file = write(&folder, "filter.py", PYMILTER);
        let socket = format!("inet:{}@127.0.0.1", port.number());
        // That of the system, for which Debian has the module.
        let _filter = Program::start(Command::new("/usr/bin/python3").args([&file, &socket]), &port);
        let text = relayed(setup(), &sink, &format!("inet:localhost:{}", port.number()));
        assert!(text.contains("Subject: changed\n") && text.contains("X-Queue: "), "{text}");
        assert_eq!(text.matches("a line of the new body\n").count(), 10_000);
        assert_eq!(sink.received()[0].recipients.len(), 2);
        let _ = fs::remove_dir_all(folder);
    });
}

/// No rule, no look-up, and the header that says what it makes of a message.
const RSPAMD: &str = r#"
options {
  pidfile = "FOLDER/pid"; tempdir = "FOLDER"; hs_cache_dir = "FOLDER/"; url_tld = "FOLDER/tld"; disable_hyperscan = true;
  filters = ""; dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }
}
logging { type = "console"; level = "error"; }
worker "rspamd_proxy" {
  bind_socket = "127.0.0.1:PORT"; milter = yes; count = 1; upstream "local" { default = yes; self_scan = yes; }
}
actions { reject = 15; add_header = 6; }
lua = "/usr/share/rspamd/rules/rspamd.lua";
modules { path = "/usr/share/rspamd/plugins/milter_headers.lua"; }
milter_headers { use = ["x-spamd-result"]; skip_local = false; skip_authenticated = false; }
"#;

/// A text that every filter of spam takes for spam.
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

#[test]
fn rspamd_marks_what_it_has_seen_and_refuses_spam_of_strangers_and_of_local_users() {
    scenario(|| {
        let (folder, port, sink) = (scratch("rspamd"), Port::reserve(), Sink::v4());
        write(&folder, "tld", "test\n");
        let text = RSPAMD.replace("FOLDER", &folder.display().to_string()).replace("PORT", &port.number().to_string());
        let file = write(&folder, "rspamd.conf", &text);
        let _filter = Program::start(Command::new("rspamd").args(["-f", "-i", "-c", &file]), &port);
        let filter = format!("inet:127.0.0.1:{}", port.number());
        let mail = setup()
            .set("relayhost", sink.next_hop())
            .set("smtpd_milters", &filter)
            .set("non_smtpd_milters", &filter)
            .start();
        let send = |body: &str| {
            let text = format!("From: a@client.test\nTo: b@elsewhere.test\nSubject: sub\n\n{body}\n");
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.send("a@client.test", &["b@elsewhere.test"], &text).expect("a reply").last()
        };
        assert!(send("body").starts_with("250 2.0.0 Ok: queued as "), "{}", mail.log());
        assert_eq!(send(GTUBE), "554 5.7.1 Gtube pattern", "{}", mail.log());
        mail.wait_log(&["milter-reject: END-OF-MESSAGE from", ": 5.7.1 Gtube pattern; from=<a@client.test>"]);
        mail.sendmail(&["-f", "alice@mail.test", "b@elsewhere.test"], "Subject: local\n\nbody\n");
        assert!(until_true(PATIENCE, || sink.count() == 2), "{}", mail.log());
        for received in sink.received() {
            assert!(received.text.contains("X-Spamd-Result: default: False"), "{}", received.text);
        }
        mail.sendmail(&["-f", "alice@mail.test", "b@elsewhere.test"], &format!("Subject: local\n\n{GTUBE}\n"));
        mail.wait_log(&["to=<b@elsewhere.test>", "status=bounced (Gtube pattern)"]);
        let notice = mail.wait_mail("alice", 1).remove(0);
        assert!(notice.0.contains("Gtube pattern"), "{}", notice.0);
        assert_eq!(sink.count(), 2);
        let _ = fs::remove_dir_all(folder);
    });
}
