//! Mail under TLS to and from servers of others: Exim, whose TLS is GnuTLS, and OpenSSL.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use scenarios::scenario;
use testing::accounts::is_root;
use testing::certificates::{Authority, Identity, Period};
use testing::port::Port;
use testing::setup::write_old;
use testing::wait::until_true;
use testing::{Client, Exim, Instance, Setup};

const TEXT: &str = "From: bob@mail.test\nSubject: onward\nMessage-Id: <4@client.test>\n\nbody\n";
const PATIENCE: Duration = Duration::from_secs(30);

/// Clients of one version of TLS each, by the version's name.
const CLIENTS: [(&str, &str); 2] = [("TLSv1.2", "tls12"), ("TLSv1.3", "tls13")];

/// A mail system under TLS whose servers and clients believe `authorities`.
fn built(identity: &Identity, authorities: &str) -> Instance {
    let mut setup = Setup::new()
        .set("compatibility_level", "3.11")
        .set("smtpd_tls_security_level", "may")
        .set("smtpd_tls_chain_files", "$config_directory/chain.pem")
        .set("smtpd_tls_loglevel", "1")
        .set("smtp_tls_security_level", "verify")
        .set("smtp_tls_verify_cert_match", "server.test")
        .set("smtp_tls_CAfile", "$config_directory/authorities.pem")
        .set("smtp_tls_loglevel", "1")
        .set("transport_maps", "texthash:$config_directory/transport")
        .service("tlsmgr unix - - n 1000? 1 tlsmgr");
    for (version, client) in CLIENTS {
        setup = setup.service(&format!(
            "{client} unix - - n - - smtp -o smtp_tls_protocols=!SSLv2,{version} \
             -o smtp_tls_mandatory_protocols={version}"
        ));
    }
    setup = setup.service("wrapped unix - - n - - smtp -o smtp_tls_wrappermode=yes");
    let mail = setup.build();
    write_old(&mail.etc().join("chain.pem"), &format!("{}{}", identity.key_pem(), identity.certificates_pem()));
    write_old(&mail.etc().join("authorities.pem"), authorities);
    mail
}

#[test]
fn exim_takes_mail_and_sends_mail() {
    scenario(|| {
        if !is_root() {
            return eprintln!("left out: Exim is started by root");
        }
        let root = Authority::root("Lab CA");
        let exims = Identity::self_signed_rsa(&["server.test"]);
        let ours = root.issue(&["mx.mail.test"], Period::Current);
        let mut mail = built(&ours, &exims.certificate().pem);
        let folder = mail.folder().join("exim");
        let Some(exim) = Exim::start(&folder, &exims, mail.v4(), &root.certificate().pem) else {
            return eprintln!("left out: no Exim is unpacked (`cargo xtask test` as root does that)");
        };
        let port = exim.address().port();
        let transports = format!("old.exim.test tls12:[127.0.0.1]:{port}\nexim.test tls13:[127.0.0.1]:{port}\n");
        write_old(&mail.etc().join("transport"), &transports);
        mail.start();
        for (recipient, version) in [("u@old.exim.test", "TLSv1.2"), ("u@exim.test", "TLSv1.3")] {
            mail.sendmail(&["-f", "bob@mail.test", recipient], TEXT);
            mail.wait_log(&[&format!("to=<{recipient}>"), "dsn=2.0.0, status=sent (250 OK id="]);
            mail.wait_log(&[&format!(
                "Verified TLS connection established to 127.0.0.1[127.0.0.1]:{port}: {version} with cipher "
            )]);
        }
        assert!(until_true(PATIENCE, || exim.mails().len() == 2), "{}", exim.log());
        let mut client = Client::greet(exim.address()).expect("connected");
        let said = client.send("bob@client.test", &["alice@mail.test"], TEXT).expect("sent");
        assert_eq!(said.code, 250);
        mail.wait_mail("alice", 1);
        mail.wait_log(&["/smtpd[", "Anonymous TLS connection established from ", "[127.0.0.1]: TLSv1.3 with cipher "]);
        exim.wait_log(&[" R=others T=onward ", " CV=yes "]);
    });
}

/// `openssl s_server`, which knows no SMTP and says what is typed.
struct Openssl {
    process: Child,
    output: BufReader<ChildStdout>,
    port: Port,
}

impl Openssl {
    fn start(mail: &Instance, version: &str) -> Openssl {
        let port = Port::reserve();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-naccept", "1", "-crlf", version, "-accept"]);
        command.arg(format!("127.0.0.1:{}", port.number()));
        let file = mail.etc().join("chain.pem");
        command.arg("-cert").arg(&file).arg("-key").arg(&file);
        command.stdin(Stdio::piped()).stderr(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("openssl");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let mut server = Openssl { process, output, port };
        server.wait("ACCEPT");
        server
    }

    /// Waits for a line that begins with these words.
    fn wait(&mut self, begin: &str) {
        let line = self.output.by_ref().lines().map_while(Result::ok).find(|line| line.starts_with(begin));
        assert!(line.is_some(), "no line {begin}");
    }

    fn types(&mut self, text: &str) -> io::Result<()> {
        self.process.stdin.as_mut().expect("its input").write_all(text.as_bytes())
    }

    /// What it has shown since it was waited for; the session is over.
    fn shown(mut self) -> String {
        let mut text = Vec::new();
        self.output.read_to_end(&mut text).expect("read");
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const REPLIES: &str = "220 server.test\n250 server.test\n250 ok\n250 ok\n354 go on\n250 taken\n221 bye\n";

#[test]
fn openssl_takes_mail() {
    scenario(|| {
        let identity = Identity::self_signed(&["server.test"], Period::Current);
        let mut mail = built(&identity, &identity.certificate().pem);
        let [old, new] = ["-tls1_2", "-tls1_3"].map(|version| {
            let mut server = Openssl::start(&mail, version);
            server.types(REPLIES).expect("typed");
            server
        });
        let to = |server: &Openssl| format!("wrapped:[127.0.0.1]:{}", server.port.number());
        write_old(&mail.etc().join("transport"), &format!("old.test {}\nnew.test {}\n", to(&old), to(&new)));
        mail.start();
        for (server, recipient, version) in [(old, "u@old.test", "TLSv1.2"), (new, "u@new.test", "TLSv1.3")] {
            mail.sendmail(&["-f", "bob@mail.test", recipient], TEXT);
            mail.wait_log(&[&format!("to=<{recipient}>"), "dsn=2.0.0, status=sent (250 taken)"]);
            mail.wait_log(&[&format!(":{}: {version} with cipher ", server.port.number())]);
            let shown = server.shown();
            assert!(shown.contains("Message-Id: <4@client.test>") && shown.contains("\nbody\r\n"), "{shown}");
        }
    });
}

#[test]
fn the_mail_for_a_server_that_begins_another_handshake_waits() {
    scenario(|| {
        let identity = Identity::self_signed(&["server.test"], Period::Current);
        let mut mail = built(&identity, &identity.certificate().pem);
        let mut server = Openssl::start(&mail, "-tls1_2");
        let place = format!("box.test wrapped:[127.0.0.1]:{}\n", server.port.number());
        write_old(&mail.etc().join("transport"), &place);
        mail.start();
        mail.sendmail(&["-f", "bob@mail.test", "u@box.test"], TEXT);
        server.wait("CIPHER is");
        server.types("R\n").expect("typed");
        server.wait("SSL_do_handshake");
        // By now it may have ended: its client did not go along.
        let _ = server.types(REPLIES);
        let lost = "lost connection with 127.0.0.1[127.0.0.1] while receiving the initial server greeting";
        mail.wait_log(&["to=<u@box.test>", &format!("tls=verify, dsn=4.4.2, status=deferred ({lost})")]);
    });
}
