//! The submission and submissions services as they stand in the usual master.cf, and programs that hand in mail there.

use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};

use scenarios::scenario;
use testing::accounts::is_root;
use testing::certificates::{Authority, Period};
use testing::dovecot::TOKEN;
use testing::port::Port;
use testing::setup::write_old;
use testing::swaks::swaks;
use testing::{Client, Dovecot, Instance, Setup};

/// What both services are set to.
const COMMON: &str = "
  -o smtpd_forbid_unauth_pipelining=no
  -o smtpd_sasl_auth_enable=yes
  -o local_header_rewrite_clients=static:all
  -o smtpd_hide_client_session=yes
  -o smtpd_reject_unlisted_recipient=no
#     A comment among the options
  -o smtpd_client_restrictions=
  -o smtpd_helo_restrictions=
  -o smtpd_sender_restrictions=
  -o smtpd_relay_restrictions=
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
  -o milter_macro_daemon_name=ORIGINATING";

/// A mail system with both services, and Dovecot for the passwords.
struct Provider {
    mail: Instance,
    _dovecot: Dovecot,
    submission: Port,
    submissions: Port,
    authority: PathBuf,
}

fn provider() -> Provider {
    let (submission, submissions) = (Port::reserve(), Port::reserve());
    let authority = Authority::root("Lab CA");
    let identity = authority.issue(&["mail.test", "localhost"], Period::Current);
    let mut mail = Setup::new()
        .set("smtpd_sasl_type", "dovecot")
        .set("smtpd_sasl_path", "private/auth")
        .set("smtpd_tls_security_level", "may")
        .set("smtpd_tls_loglevel", "1")
        .set("mynetworks", "")
        .set("inet_interfaces", "127.0.0.1")
        .service(&format!(
            "127.0.0.1:{} inet n - n - - smtpd\n  -o syslog_name=postfix/submission\n  \
             -o smtpd_tls_security_level=encrypt\n  -o smtpd_tls_auth_only=yes{COMMON}",
            submission.number()
        ))
        .service(&format!(
            "127.0.0.1:{} inet n - n - - smtpd\n  -o syslog_name=postfix/submissions\n  \
             -o smtpd_tls_wrappermode=yes{COMMON}",
            submissions.number()
        ))
        .build();
    let (etc, folder) = (mail.etc(), mail.folder().to_owned());
    let authority_file = etc.join("ca.pem");
    write_old(&authority_file, &authority.certificate().pem);
    write_old(&etc.join("chain.pem"), &format!("{}{}", identity.key_pem(), identity.certificates_pem()));
    mail.set("smtpd_tls_chain_files", &etc.join("chain.pem").display().to_string());
    let users = [("alice@mail.test", "secret")];
    mail.start();
    let mechanisms = "plain login cram-md5 scram-sha-1 scram-sha-256 oauthbearer xoauth2";
    let (place, socket) = (folder.join("dovecot"), mail.queue().join("private/auth"));
    let dovecot = Dovecot::authenticates_by(mechanisms, &place, &socket, &users);
    Provider { mail, _dovecot: dovecot, submission, submissions, authority: authority_file }
}

impl Provider {
    /// Runs a program that reads `input`, all of it, and does its work.
    fn succeeds(&self, program: &str, arguments: &[&str], input: &str) {
        self.ends_well(program, arguments, |pipe| drop(typed(pipe, input)));
    }

    /// Runs a program that ends its session when it has read all, and shall wait for the replies.
    fn talks(&self, program: &str, arguments: &[&str], input: &str) {
        self.ends_well(program, arguments, |pipe| typed(pipe, input));
    }

    /// What `types` gives back is kept while the program runs.
    fn ends_well<T>(&self, program: &str, arguments: &[&str], types: impl FnOnce(ChildStdin) -> T) {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{program}: {e}"));
        let _kept = types(child.stdin.take().expect("its input"));
        let output = child.wait_with_output().unwrap_or_else(|e| panic!("{program}: {e}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}\n{}", self.mail.log());
    }

    /// swaks at a port, under TLS, as a user.
    fn swaks(&self, port: &Port, more: &[&str]) -> String {
        let tls = if port.number() == self.submissions.number() { "--tls-on-connect" } else { "--tls" };
        let envelope = ["--helo", "client.test", "--from", "alice@mail.test", "--to", "bob@mail.test"];
        let place = ([127, 0, 0, 1], port.number()).into();
        let said = swaks(place, &[&[tls], &envelope[..], more].concat()).expect("swaks");
        String::from_utf8_lossy(&said.stdout).into_owned()
    }
}

fn typed(mut pipe: ChildStdin, input: &str) -> ChildStdin {
    std::io::Write::write_all(&mut pipe, input.as_bytes()).expect("typed");
    pipe
}

/// Leaves a test out for which Dovecot, and so root, is needed.
fn as_root(body: impl FnOnce(Provider)) {
    match is_root() {
        true => body(provider()),
        false => eprintln!("left out: Dovecot is started by root"),
    }
}

#[test]
fn the_usual_services_take_mail_of_users_alone_and_under_tls_alone() {
    scenario(|| {
        as_root(|provider| {
            let mail = &provider.mail;
            let mut clear = Client::greet(([127, 0, 0, 1], provider.submission.number()).into()).expect("connected");
            for command in ["MAIL FROM:<alice@mail.test>", "AUTH PLAIN AGFsaWNlQG1haWwudGVzdABzZWNyZXQ="] {
                let said = clear.command(command).expect("a reply").last();
                assert_eq!(said, "530 5.7.0 Must issue a STARTTLS command first");
            }
            let mut count = 0;
            for port in [&provider.submission, &provider.submissions] {
                let refused = provider.swaks(port, &[]);
                assert!(refused.contains("554 5.7.1 <bob@mail.test>: Recipient address rejected: Access denied"));
                for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5"] {
                    for version in ["tlsv1_2", "tlsv1_3"] {
                        let user = ["--auth-user", "alice@mail.test", "--auth-password", "secret"];
                        let how = ["--auth", mechanism, "--tls-protocol", version];
                        let shown = provider.swaks(port, &[&how[..], &user].concat());
                        assert!(shown.contains(" 235 2.7.0 Authentication successful"), "{shown}");
                        count += 1;
                        assert_eq!(mail.wait_mail("bob", count).len(), count, "{shown}");
                    }
                }
                let user = ["--auth", "PLAIN", "--auth-user", "alice@mail.test", "--auth-password", "bad"];
                assert!(provider.swaks(port, &user).contains(" 535 5.7.8 Error: authentication failed"));
            }
            // The client is not described, and headers are completed with this system's domain.
            let field = mail.wait_mail("bob", 1).remove(0).header("Received").unwrap_or_default();
            assert!(field.starts_with("by ") && !field.contains("client.test"), "{field}");
            // As programs look for it that shut such clients out.
            for service in ["submission", "submissions"] {
                let line = mail.wait_log(&[&format!("postfix/{service}/smtpd["), "authentication failed"]);
                let (_, said) = line.split_once("]: ").expect("a line");
                let reason = "warning: unknown[127.0.0.1]: SASL PLAIN authentication failed: (reason unavailable), ";
                assert!(said.starts_with(reason), "{line}");
                mail.wait_log(&[&format!("postfix/{service}/smtpd["), "disconnect from unknown", " auth=0/1 "]);
            }
            let warned: Vec<String> =
                mail.log().lines().filter(|l| l.contains("warning:")).map(str::to_owned).collect();
            assert!(warned.iter().all(|line| line.contains("SASL PLAIN authentication failed")), "{warned:?}");
        });
    });
}

#[test]
fn programs_of_users_hand_in_mail() {
    scenario(|| {
        as_root(|provider| {
            let (mail, authority) = (&provider.mail, provider.authority.display().to_string());
            let (starttls, wrapped) = (provider.submission.number(), provider.submissions.number());
            // Large enough for many records.
            let body: String = "a line of text that is longer than most\n".repeat(20_000);
            let text = format!("Subject: x\n\n{body}");
            provider.succeeds("python3", &["-c", PYTHON, &authority, &starttls.to_string(), &wrapped.to_string()], "");
            for url in [format!("smtp://localhost:{starttls}"), format!("smtps://localhost:{wrapped}")] {
                let options = ["-4", "-sS", "--ssl-reqd", "--cacert", &authority, "--user", "alice@mail.test:secret"];
                let envelope = ["--mail-from", "alice@mail.test", "--mail-rcpt", "bob@mail.test", "-T", "-", &url];
                provider.succeeds("curl", &[&options[..], &envelope].concat(), &text);
            }
            for (port, begins) in [(starttls, "on"), (wrapped, "off")] {
                let options = [
                    "--host=localhost",
                    &format!("--port={port}"),
                    "--tls=on",
                    &format!("--tls-starttls={begins}"),
                    &format!("--tls-trust-file={authority}"),
                    "--auth=on",
                    "--user=alice@mail.test",
                    "--passwordeval=echo secret",
                    "--from=alice@mail.test",
                    "bob@mail.test",
                ];
                provider.succeeds("msmtp", &options, &text);
            }
            let ports = [starttls.to_string(), wrapped.to_string()];
            provider.succeeds("node", &["-e", NODE, &authority, &ports[0], &ports[1]], "");
            for (port, begins) in ports.iter().zip([&["--starttls-proto=smtp"][..], &[]]) {
                let options = ["--x509cafile", &authority, "--port", port];
                provider.talks(
                    "gnutls-cli",
                    &[begins, &options, &["localhost"]].concat(),
                    &TYPED.replace('\n', "\r\n"),
                );
            }
            let received = mail.wait_mail("bob", 14);
            assert_eq!(received.len(), 14);
            let whole = received.iter().filter(|mail| mail.0.contains(&body)).count();
            assert_eq!(whole, 4);
        });
    });
}

#[test]
fn programs_of_users_log_in_by_challenges_and_by_tokens() {
    scenario(|| {
        as_root(|provider| {
            let (mail, authority) = (&provider.mail, provider.authority.display().to_string());
            let port = provider.submission.number();
            let mut expected = Vec::new();
            for (mechanism, secret) in [
                ("CRAM-MD5", "secret"),
                ("SCRAM-SHA-1", "secret"),
                ("SCRAM-SHA-256", "secret"),
                ("OAUTHBEARER", TOKEN),
                ("XOAUTH2", TOKEN),
            ] {
                let options = [
                    "--host=localhost",
                    &format!("--port={port}"),
                    "--tls=on",
                    &format!("--tls-trust-file={authority}"),
                    &format!("--auth={}", mechanism.to_lowercase()),
                    "--user=alice@mail.test",
                    &format!("--passwordeval=echo {secret}"),
                    "--from=alice@mail.test",
                    "bob@mail.test",
                ];
                provider.succeeds("msmtp", &options, "Subject: x\n\nbody\n");
                expected.push(mechanism);
            }
            let url = format!("smtp://localhost:{port}");
            let who = ["--user", "alice@mail.test", "--oauth2-bearer", TOKEN];
            let options = ["-4", "-sS", "--ssl-reqd", "--cacert", &authority];
            let envelope = ["--mail-from", "alice@mail.test", "--mail-rcpt", "bob@mail.test", "-T", "-", &url];
            provider.succeeds("curl", &[&options[..], &who, &envelope].concat(), "Subject: x\n\nbody\n");
            expected.push("OAUTHBEARER");
            provider.succeeds("node", &["-e", NODE_TOKEN, &authority, &port.to_string(), TOKEN], "");
            expected.push("XOAUTH2");
            mail.wait_mail("bob", expected.len());
            for mechanism in ["CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"] {
                let method = format!("sasl_method={mechanism}, sasl_username=alice@mail.test");
                let logins = mail.log().lines().filter(|line| line.ends_with(&method)).count();
                assert_eq!(logins, expected.iter().filter(|one| **one == mechanism).count(), "{mechanism}");
            }
        });
    });
}

const NODE_TOKEN: &str = "
module.paths.push('/usr/share/nodejs')
const { createTransport } = require('nodemailer')
const [authority, port, accessToken] = process.argv.slice(1)
const tls = { ca: require('fs').readFileSync(authority) }
const auth = { type: 'OAuth2', user: 'alice@mail.test', accessToken }
const server = createTransport({ host: 'localhost', port, requireTLS: true, tls, auth })
server.sendMail({ from: 'alice@mail.test', to: 'bob@mail.test', subject: 'x', text: 'text' })
    .catch(error => { console.error(error); process.exit(1) })
";

/// What somebody types who knows SMTP.
const TYPED: &str = "EHLO client.test
AUTH PLAIN AGFsaWNlQG1haWwudGVzdABzZWNyZXQ=
MAIL FROM:<alice@mail.test>
RCPT TO:<bob@mail.test>
DATA
Subject: typed

text
.
QUIT
";

/// Each way twice, for another version of TLS.
const NODE: &str = "
module.paths.push('/usr/share/nodejs')
const { createTransport } = require('nodemailer')
const [authority, starttls, wrapped] = process.argv.slice(1)
async function all() {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
        for (const [secure, port] of [[false, starttls], [true, wrapped]]) {
            const tls = { ca: require('fs').readFileSync(authority), minVersion: version, maxVersion: version }
            const auth = { user: 'alice@mail.test', pass: 'secret' }
            const server = createTransport({ host: 'localhost', port, secure, requireTLS: true, tls, auth })
            await server.sendMail({ from: 'alice@mail.test', to: 'bob@mail.test', subject: 'x', text: 'text' })
        }
    }
}
all().catch(error => { console.error(error); process.exit(1) })
";

/// Each way twice, for another version of TLS.
const PYTHON: &str = "
import smtplib, ssl, sys
for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
    context = ssl.create_default_context(cafile=sys.argv[1])
    context.minimum_version = context.maximum_version = version
    for secure, port in (False, sys.argv[2]), (True, sys.argv[3]):
        if secure:
            server = smtplib.SMTP_SSL('localhost', int(port), context=context)
        else:
            server = smtplib.SMTP('localhost', int(port))
            server.starttls(context=context)
        server.login('alice@mail.test', 'secret')
        server.sendmail('alice@mail.test', ['bob@mail.test'], 'Subject: x\\r\\n\\r\\n' + 'text\\r\\n' * 9)
        server.quit()
";

#[test]
fn headers_are_completed_for_clients_that_a_table_has_whatever_stands_there() {
    scenario(|| {
        let sent = |value: &str| {
            let mail = Setup::new().set("local_header_rewrite_clients", value).start();
            let mut client = Client::greet(mail.v4()).expect("connected");
            let said = client.send("a@client.test", &["alice@mail.test"], "To: root\n\nbody\n").expect("sent").last();
            assert!(said.starts_with("250 "), "{value}: {said}");
            (mail.wait_mail("alice", 1).remove(0).header("To").unwrap_or_default(), mail.log())
        };
        for (value, expected) in [
            ("static:all", "root@mail.test"),
            ("static:reject", "root@mail.test"),
            ("check_address_map inline:{127.0.0.1=x}", "root@mail.test"),
            ("inline:{127.0.0.2=x}, permit_mynetworks", "root@mail.test"),
            // Neither networks nor names are looked up.
            ("inline:{{127.0.0=x}, {unknown=x}}", "root"),
            ("permit_sasl_authenticated", "root"),
            ("foo", "root"),
        ] {
            let (to, log) = sent(value);
            assert_eq!(to, expected, "{value}");
            assert!(!log.contains(" reject: "), "{value}: {log}");
        }
        let (_, log) = sent("foo");
        assert!(log.contains("warning: parameter local_header_rewrite_clients: invalid request: foo"), "{log}");

        let mail = Setup::new().set("local_header_rewrite_clients", "texthash:/dev/null/none").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let said = client.command("MAIL FROM:<a@client.test>").expect("a reply").last();
        assert_eq!(said, "451 4.3.0 Temporary lookup error");
        mail.wait_log(&["warning: texthash:/dev/null/none lookup error for \"127.0.0.1\""]);
    });
}
