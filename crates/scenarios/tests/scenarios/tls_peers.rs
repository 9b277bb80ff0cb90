//! TLS of the SMTP and LMTP client with our certificate, with mail stores, and for domains that want to hear of it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use scenarios::scenario;
use testing::certificates::{Authority, Identity, Period};
use testing::dns::Zone;
use testing::setup::write_old;
use testing::tls_server::{Script, Starttls};
use testing::wait::{PATIENCE, until_true};
use testing::{Dovecot, Setup, World};

const TEXT: &str = "From: a@client.test\nSubject: onward\nMessage-Id: <4@client.test>\n\nbody\n";

fn good(authority: &Authority) -> Identity {
    authority.issue(&["mx1.dest.test"], Period::Current)
}

#[test]
fn our_certificate_goes_to_a_server_that_asks_and_both_logs_say_what_the_session_is() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let (server, client) = (good(&root), root.issue(&["client.test"], Period::Current));
        let chain = |identity: &Identity| format!("{}{}", identity.key_pem(), identity.certificates_pem());
        let files = |setup: Setup, identity: &Identity| {
            let mail = setup.service("tlsmgr unix - - n 1000? 1 tlsmgr").build();
            write_old(&mail.etc().join("ca.pem"), &root.certificate().pem);
            write_old(&mail.etc().join("chain.pem"), &chain(identity));
            mail
        };
        let last = Setup::new()
            .set("smtpd_tls_security_level", "encrypt")
            .set("smtpd_tls_chain_files", "$config_directory/chain.pem")
            .set("smtpd_tls_CAfile", "$config_directory/ca.pem")
            .set("smtpd_tls_ask_ccert", "yes")
            .set("smtpd_tls_loglevel", "1");
        let mut last = files(last, &server);
        last.start();
        let first = Setup::new()
            .set("compatibility_level", "3.11")
            .set("mydestination", "")
            .set("relayhost", format!("[127.0.0.1]:{}", last.port()))
            .set("smtp_tls_security_level", "verify")
            .set("smtp_tls_verify_cert_match", "mx1.dest.test")
            .set("smtp_tls_chain_files", "$config_directory/chain.pem")
            .set("smtp_tls_CAfile", "$config_directory/ca.pem")
            .set("smtp_tls_loglevel", "1");
        let mut first = files(first, &client);
        first.start();
        first.sendmail(&["-f", "bob@mail.test", "alice@mail.test"], TEXT);
        let line = first.wait_log(&["to=<alice@mail.test>", "status=sent"]);
        assert!(line.contains("tls=verify, dsn=2.0.0"), "{line}");
        let session = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange";
        let signatures = "server-signature ECDSA (prime256v1) server-digest SHA256 \
                          client-signature ECDSA (prime256v1) client-digest SHA256";
        first.wait_log(&["Verified TLS connection established to 127.0.0.1[127.0.0.1]:", session, signatures]);
        last.wait_log(&["Trusted TLS connection established from ", "[127.0.0.1]: TLSv1.3", session, signatures]);
        last.wait_mail("alice", 1);
    });
}

#[test]
fn lmtp_has_its_own_level_and_policies() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let server = Script::new(&good(&root)).start();
        let mut mail = Setup::new()
            .set("compatibility_level", "3.11")
            .set("default_transport", format!("lmtp:inet:{}", server.next_hop()))
            .set("relayhost", "")
            .set("smtp_tls_security_level", "none")
            .set("lmtp_tls_security_level", "may")
            .set("lmtp_tls_policy_maps", format!("inline:{{ {{ {}=encrypt }} }}", server.next_hop()))
            .set("lmtp_tls_loglevel", "1")
            .service("tlsmgr unix - - n 1000? 1 tlsmgr")
            .service("lmtp unix - - n - - lmtp")
            .build();
        mail.start();
        mail.sendmail(&["-f", "bob@mail.test", "u@box.test"], TEXT);
        let line = mail.wait_log(&["to=<u@box.test>", "status=sent"]);
        assert!(line.contains("tls=encrypt, dsn=2.0.0"), "{line}");
        mail.wait_log(&["/lmtp[", "Untrusted TLS connection established to 127.0.0.1[127.0.0.1]:"]);
        let heard = server.heard();
        assert_eq!(heard.iter().filter(|line| line.starts_with("LHLO")).count(), 2, "{heard:?}");
    });
}

#[test]
fn a_store_at_a_socket_of_this_machine_is_reached_under_tls_as_the_policy_says() {
    scenario(|| {
        if !testing::accounts::is_root() {
            return eprintln!("left out: only root runs a mail store");
        }
        let root = Authority::root("Lab Root CA");
        let mut mail = Setup::new()
            .set("compatibility_level", "3.11")
            .set("transport_maps", "texthash:$config_directory/transport")
            .set("lmtp_tls_CAfile", "$config_directory/ca.pem")
            .set("lmtp_tls_loglevel", "1")
            .service("tlsmgr unix - - n 1000? 1 tlsmgr")
            .service("lmtp unix - - n - - lmtp -o lmtp_tls_security_level=encrypt")
            .service("named unix - - n - - lmtp -o lmtp_tls_security_level=verify")
            .service(
                "other unix - - n - - lmtp -o lmtp_tls_security_level=secure -o lmtp_tls_secure_cert_match=other.test",
            )
            .build();
        let place = |domain: &str, agent: &str| format!("{domain} {agent}:unix:private/store\n");
        let places = [place("plain.test", "lmtp"), place("named.test", "named"), place("other.test", "other")];
        write_old(&mail.etc().join("transport"), &places.concat());
        write_old(&mail.etc().join("ca.pem"), &root.certificate().pem);
        let name = mail.output("postconf", &["-h", "myhostname"]).trim().to_owned();
        let folder = mail.folder().join("dovecot");
        let dovecot = store(&folder, &mail.queue().join("private/store"), &root.issue(&[&name], Period::Current));
        mail.start();
        for recipient in ["u@plain.test", "u@named.test"] {
            mail.sendmail(&["-f", "bob@mail.test", recipient], TEXT);
            let line = mail.wait_log(&[&format!("to=<{recipient}>"), "status="]);
            assert!(line.contains("status=sent (250 2.0.0 <u@"), "{line}\n{}", dovecot.log());
        }
        mail.wait_log(&["/lmtp[", "Trusted TLS connection established to ", "[private/store]: TLSv1.3 with cipher "]);
        mail.wait_log(&["/lmtp[", "Verified TLS connection established to ", "[private/store]: TLSv1.3 with cipher "]);
        mail.sendmail(&["-f", "bob@mail.test", "u@other.test"], TEXT);
        mail.wait_log(&["to=<u@other.test>", "status=deferred (Server certificate not verified)"]);
    });
}

/// Dovecot, whose LMTP server at `socket` offers TLS, for whoever it is.
fn store(folder: &Path, socket: &Path, identity: &Identity) -> Dovecot {
    std::fs::create_dir(folder).expect("a directory");
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    write_old(&chain, &identity.certificates_pem());
    write_old(&key, identity.key_pem());
    let configuration = format!(
        "protocols = lmtp\nssl = yes\nssl_cert = <{}\nssl_key = <{}\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
         mail_location = maildir:{folder}/mail\npassdb {{\n  driver = static\n  args = nopassword=y\n}}\nuserdb {{\n  driver = static\n  args = uid=mail gid=mail home={folder} \
         allow_all_users=yes\n}}\nservice lmtp {{\n  unix_listener {} {{\n    mode = 0666\n  }}\n}}\n\
         service anvil {{\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n",
        chain.display(),
        key.display(),
        socket.display(),
        folder = folder.display()
    );
    std::fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("permissions");
    let server = Dovecot::run(folder, &configuration);
    assert!(until_true(PATIENCE, || socket.exists()), "dovecot does not come: {}", server.log());
    server
}

#[test]
fn a_domain_that_wants_to_hear_of_tls_is_told_of_each_session() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let root = Authority::root("Lab Root CA");
        let (server, bad) =
            (Script::new(&good(&root)).start(), Script::new(&good(&root)).with(Starttls::Closes).start());
        let record = "v=TLSRPTv1; rua=mailto:r@dest.test";
        let zone = Zone::new().mx("dest.test", "mx1.dest.test", 10).mx("quiet.test", "mx1.dest.test", 10);
        let zone = zone.host("mx1.dest.test", &["127.0.0.1"]).txt("_smtp._tls.dest.test", record);
        let _dns = zone.start();
        let mut mail = Setup::new()
            .set("compatibility_level", "3.11")
            .set("relayhost", "")
            .set("inet_interfaces", "127.0.0.1")
            .set("smtp_host_lookup", "dns")
            .set("smtp_tls_security_level", "may")
            .set("smtp_tls_loglevel", "1")
            .set("smtp_tlsrpt_enable", "yes")
            .set("smtp_tlsrpt_socket_name", "public/collector")
            .service("tlsmgr unix - - n 1000? 1 tlsmgr")
            .build();
        let transports = format!(
            "good.test smtp:dest.test:{}\nbad.test smtp:dest.test:{}\nquiet.test smtp:quiet.test:{}\n",
            server.address().port(),
            bad.address().port(),
            server.address().port()
        );
        write_old(&mail.etc().join("transport"), &transports);
        mail.set("transport_maps", "texthash:$config_directory/transport");
        let path = mail.queue().join("public/collector");
        let collector = UnixDatagram::bind(&path).expect("collector");
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("collector");
        mail.start();
        let next = |recipient: &str| {
            mail.sendmail(&["-f", "bob@mail.test", recipient], TEXT);
            mail.wait_log(&[&format!("to=<{recipient}>"), "status="]);
        };
        let received = || {
            let mut buffer = [0; 4096];
            let count = collector.recv(&mut buffer).expect("a report");
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        };
        next("u@quiet.test");
        next("u@good.test");
        let head = format!("{{\"dpv\": \"1\",\"d\": \"dest.test\",\"pr\": \"{record}\",\"policies\":[{{");
        let policy = "\"policy-type\":9,\"policy-domain\": \"dest.test\"";
        assert_eq!(received(), format!("{head}{policy},\"t\":0,\"f\":0}}]}}"));
        next("u@bad.test");
        let report = received();
        let details = "\"failure-details\":[{\"c\":205,\"s\": \"127.0.0.1\",\"n\": \"mx1.dest.test\",\"h\": \"250-sink.test\\r\\n";
        assert!(report.starts_with(&format!("{head}{policy},{details}")), "{report}");
        let end = "\"r\": \"127.0.0.1\",\"f\": \"tls-handshake-failure\"}],\"t\":1,\"f\":1}]}";
        assert!(report.ends_with(end), "{report}");
        let about = "domain=dest.test, receiving_mx=mx1.dest.test[127.0.0.1]";
        mail.wait_log(&[&format!("TLSRPT: status=success, {about}")]);
        mail.wait_log(&[&format!(
            "TLSRPT: status=failure, {about}, failure_type=validation_failure, failure_reason=tls-handshake-failure"
        )]);
    });
}
