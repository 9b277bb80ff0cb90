//! A proxy in front of the server: the client is who the proxy says, and whoever does not say it is not served.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use scenarios::scenario;
use testing::certificates::{Identity, Period};
use testing::{Client, Instance, Setup, TlsClient};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.25 5678 25\r\n";

/// A server behind a proxy, for which nobody is one of ours by the proxy's address.
fn behind_proxy() -> Setup {
    let only = "reject_unauth_destination";
    Setup::new().set("smtpd_upstream_proxy_protocol", "haproxy").set("smtpd_relay_restrictions", only)
}

/// Version 2 of the header.
fn binary(command: u8, kind: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, kind][..], &length, addresses].concat()
}

/// Connects with these first bytes.
fn connect(mail: &Instance, header: &[u8]) -> Client {
    Client::behind(mail.v4(), &[header]).expect("greeted")
}

/// The first reply of the server behind these bytes.
fn greeting(mail: &Instance, header: &[u8]) -> String {
    connect(mail, header).greeting().last().trim_end().to_owned()
}

const REFUSED: &str = "421 4.3.0 mail.test Server local error";

#[test]
fn the_client_is_who_the_proxy_says_in_the_log_in_headers_and_for_restrictions() {
    scenario(|| {
        let restricted = "check_client_access inline:{192.0.2.8=REJECT}, permit_mynetworks";
        let mail = behind_proxy().set("smtpd_recipient_restrictions", restricted).start();
        let mut client = connect(&mail, LINE);
        client.command("EHLO far.test").expect("reply");
        let reply = client.send("x@far.test", &["alice@mail.test"], "Subject: hello\n\nbody\n").expect("reply");
        assert_eq!(reply.code, 250, "{reply:?}");
        let message = mail.wait_mail("alice", 1).remove(0);
        let received = message.header("Received").unwrap_or_default();
        assert!(received.starts_with("from far.test (unknown [192.0.2.7])"), "{received}");
        mail.wait_log(&["connect from unknown[192.0.2.7]"]);
        let mut other = connect(&mail, &binary(0x21, 0x11, &[192, 0, 2, 8, 192, 0, 2, 25, 0, 9, 0, 25]));
        other.command("EHLO far.test").expect("reply");
        other.command("MAIL FROM:<x@far.test>").expect("reply");
        assert_eq!(other.command("RCPT TO:<alice@mail.test>").expect("reply").code, 554);
        mail.wait_log(&["reject: RCPT from unknown[192.0.2.8]: 554 5.7.1"]);
    });
}

#[test]
fn both_versions_and_both_families_name_a_client() {
    scenario(|| {
        let mail = behind_proxy().start();
        let v6: Vec<u8> = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]; 2].concat();
        let mapped: Vec<u8> = [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 9]; 2].concat();
        let ports: &[u8] = &[1, 2, 0, 25];
        for (header, client) in [
            (b"PROXY TCP6 2001:db8::6 2001:db8::25 5678 25\r\n".to_vec(), "2001:db8::6"),
            (b"PROXY tcp4  192.0.2.6 192.0.2.25 5678 25 more\n".to_vec(), "192.0.2.6"),
            (b"PROXY TCP6 ::ffff:192.0.2.5 ::ffff:192.0.2.25 5678 25\r\n".to_vec(), "192.0.2.5"),
            (binary(0x21, 0x21, &[&v6, ports].concat()), "2001:db8::7"),
            (binary(0x21, 0x21, &[&mapped, ports].concat()), "192.0.2.9"),
            (binary(0x21, 0x11, &[&[192, 0, 2, 10, 192, 0, 2, 25, 1, 2, 0, 25][..], &[4; 300]].concat()), "192.0.2.10"),
            // The proxy itself, which looks whether somebody is there.
            (binary(0x20, 0, b""), "127.0.0.1"),
            (binary(0x20, 0x99, b"abc"), "127.0.0.1"),
        ] {
            assert_eq!(greeting(&mail, &header), "220 mail.test ESMTP Postfix", "{client}");
            mail.wait_log(&[&format!("connect from unknown[{client}]")]);
        }
    });
}

#[test]
fn who_does_not_say_who_the_client_is_is_not_served() {
    scenario(|| {
        let mail = behind_proxy().start();
        for (header, why) in [
            (&b"PROXY UNKNOWN\r\n"[..], "bad or missing protocol type: PROXY UNKNOWN"),
            (b"PROXY TCP4 192.0.2.7\r\n", "bad or missing server address"),
            (b"PROXY TCP4 2001:db8::7 192.0.2.25 1 25\r\n", "bad or missing client address"),
            (b"PROXY TCP4 192.0.2.7 192.0.2.25 99999 25\r\n", "bad or missing client port"),
            (b"PROXY TCP4 192.0.2.7 192.0.2.25 5678\r\n", "bad or missing server port"),
            (b"proxy TCP4 192.0.2.7 192.0.2.25 5678 25\r\n", "unrecognized protocol header"),
            (b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", "unrecognized protocol header"),
            (&binary(0x21, 0x12, &[0; 12]), "unsupported network protocol"),
            (&binary(0x22, 0x11, &[0; 12]), "bad command in proxy header"),
            (&binary(0x21, 0x21, &[0; 12]), "short address field"),
            (&binary(0x21, 0x11, &[0; 1000]), "short version 2 protocol header"),
        ] {
            assert_eq!(greeting(&mail, header), REFUSED);
            mail.wait_log(&[&format!("warning: haproxy read: {why}")]);
        }
        mail.wait_log(&["disconnect from unknown[unknown]"]);
        // One that goes away, and one that never says anything.
        let mut gone = TcpStream::connect(mail.v4()).expect("connected");
        gone.write_all(b"PROXY").expect("written");
        // C Postfix reads once, and may have hung up by now.
        let _ = gone.shutdown(Shutdown::Write);
        mail.wait_log(&["warning: haproxy read: ", ": PROXY"]);
    });
}

#[test]
fn a_proxy_that_says_nothing_is_waited_for_as_long_as_the_setting_says() {
    scenario(|| {
        let mail = behind_proxy().set("smtpd_upstream_proxy_timeout", "1s").start();
        assert_eq!(greeting(&mail, b""), REFUSED);
        mail.wait_log(&["warning: haproxy read: timeout error"]);
        // Others are served meanwhile.
        let _silent = TcpStream::connect(mail.v4()).expect("connected");
        assert_eq!(greeting(&mail, LINE), "220 mail.test ESMTP Postfix");
    });
}

#[test]
fn what_follows_the_header_is_the_clients_and_comes_too_early() {
    scenario(|| {
        let mail = behind_proxy().set("smtpd_forbid_unauth_pipelining", "yes").start();
        let reply = greeting(&mail, &[LINE, b"EHLO early\r\n"].concat());
        assert_eq!(reply, "554 5.5.0 Error: SMTP protocol synchronization");
        mail.wait_log(&["improper command pipelining after CONNECT from unknown[192.0.2.7]: EHLO early"]);
    });
}

#[test]
fn a_header_that_comes_in_pieces_is_one_header() {
    scenario(|| {
        let mail = behind_proxy().start();
        for header in [LINE.to_vec(), binary(0x21, 0x11, &[192, 0, 2, 7, 192, 0, 2, 25, 1, 2, 0, 25])] {
            let bytes: Vec<&[u8]> = header.chunks(1).collect();
            assert_eq!(Client::behind(mail.v4(), &bytes).expect("greeted").greeting().code, 220);
        }
    });
}

/// The same with TLS before the greeting.
fn wrapped_behind_proxy() -> Instance {
    let mut mail = behind_proxy().set("smtpd_tls_wrappermode", "yes").build();
    let identity = Identity::self_signed(&["mx.mail.test"], Period::Current);
    let chain = mail.etc().join("chain.pem");
    std::fs::write(&chain, format!("{}{}", identity.key_pem(), identity.certificates_pem())).expect("a file");
    for (name, value) in [
        ("smtpd_tls_security_level", "encrypt"),
        ("smtpd_tls_loglevel", "1"),
        ("smtpd_upstream_proxy_timeout", "3s"),
        ("smtpd_tls_chain_files", chain.to_str().expect("a path")),
    ] {
        mail.set(name, value);
    }
    mail.start();
    mail
}

#[test]
fn the_header_of_the_proxy_comes_before_the_handshake() {
    scenario(|| {
        let mail = wrapped_behind_proxy();
        for header in [LINE.to_vec(), binary(0x21, 0x11, &[192, 0, 2, 7, 192, 0, 2, 25, 0, 9, 0, 25])] {
            let mut client = Client::tls_behind(mail.v4(), &header, &TlsClient::new()).expect("a session");
            assert_eq!(client.greeting().last().trim_end(), "220 mail.test ESMTP Postfix");
            client.command("EHLO far.test").expect("a reply");
            let reply = client.send("x@far.test", &["alice@mail.test"], "Subject: hello\n\nbody\n").expect("a reply");
            assert_eq!(reply.code, 250, "{reply:?}");
        }
        mail.wait_log(&["TLS connection established from unknown[192.0.2.7]: "]);
        let message = mail.wait_mail("alice", 2).remove(0);
        let received = message.header("Received").unwrap_or_default();
        assert!(received.starts_with("from far.test (unknown [192.0.2.7])"), "{received}");
        assert!(received.contains("ESMTPS"), "{received}");
    });
}

#[test]
fn who_does_not_say_who_the_client_is_hears_so_without_tls_where_that_was_to_come_first() {
    scenario(|| {
        let mail = wrapped_behind_proxy();
        for header in [&b"PROXY UNKNOWN\r\n"[..], b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaa"]
        {
            assert_eq!(greeting(&mail, header), REFUSED);
        }
        mail.wait_log(&["warning: haproxy read: bad or missing protocol type: PROXY UNKNOWN"]);
        mail.wait_log(&["warning: haproxy read: timeout error"]);
        mail.wait_log(&["warning: haproxy read: unrecognized protocol header: \\026\\003\\001"]);
        // What follows a good header has to be a handshake.
        let mut stream = TcpStream::connect(mail.v4()).expect("connected");
        stream.write_all(&[LINE, b"EHLO x\r\n"].concat()).expect("written");
        mail.wait_log(&["SSL_accept error from unknown[192.0.2.7]: "]);
        mail.wait_log(&["lost connection after CONNECT from unknown[192.0.2.7]"]);
    });
}
