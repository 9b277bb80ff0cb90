//! Authentication servers that fail, come late, hang, and are found wherever they are.

use super::*;

#[test]
fn a_server_that_is_started_again_between_sessions_is_asked_anew() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: Dovecot is started by root");
            return;
        }
        let mail = setup().start();
        let folder = mail.folder().join("dovecot");
        for _ in 0..2 {
            let _dovecot = Dovecot::authenticates(&folder, &socket(&mail), &USERS);
            let mut client = client(&mail);
            assert_eq!(say(&mut client, &format!("AUTH PLAIN {RIGHT}")), SUCCESS);
            assert_eq!(say(&mut client, "QUIT"), "221 2.0.0 Bye");
        }
    });
}

#[test]
fn what_an_authentication_server_does_wrong_costs_the_login_and_not_the_session() {
    let lost = "454 4.7.0 Temporary authentication failure: Connection lost to authentication server";
    let broken = "535 5.7.8 Error: authentication failed: Authentication backend error";
    let cases: [(&str, &str); 8] = [
        ("OK\t999\tuser=x\nHELLO\tx\nFAIL\nOK\tID\tuser=alice\n", SUCCESS),
        (
            "FAIL\tID\tuser=alice\treason=Account is locked\n",
            "535 5.7.8 Error: authentication failed: Account is locked",
        ),
        ("FAIL\tID\tuser=alice\ttemp\n", FAILURE),
        ("OK\tID\tx=y\n", broken),
        ("CONT\tID\n", broken),
        ("close", lost),
        ("OK\tID\tuser=\n", SUCCESS),
        ("", lost),
    ];
    scenario(|| {
        let mail = setup().start();
        for (act, expected) in cases {
            let act = match act {
                "close" => Act::Close,
                "" => Act::Nothing,
                text => Act::Say(text.to_owned()),
            };
            let shown = format!("{act:?}");
            let server = AuthServer::start(&socket(&mail), GREETING, move |_| act.clone());
            let mut client = client(&mail);
            assert_eq!(say(&mut client, &format!("AUTH PLAIN {RIGHT}")), expected, "{shown}");
            if shown == "Close" {
                drop(server);
                let again = say(&mut client, &format!("AUTH PLAIN {RIGHT}"));
                assert!(again.starts_with("454 4.7.0 Temporary authentication failure: "), "{again}");
                mail.wait_log(&["warning: SASL: Connect to Dovecot auth socket 'private/auth' failed: No such file"]);
            }
            assert_eq!(say(&mut client, "QUIT"), "221 2.0.0 Bye");
        }
        mail.wait_log(&["warning: SASL: Protocol error"]);
        mail.wait_log(&["warning: missing Dovecot server OK username field"]);
        mail.wait_log(&["warning: missing Dovecot server CONT reply field"]);
    });
}

#[test]
fn a_client_is_not_greeted_while_nobody_could_log_in() {
    let wrong = "warning: SASL: Connected to wrong auth socket (auth-master instead of auth-client)";
    let version = "warning: SASL: Protocol version mismatch (2 vs. 1)";
    let greetings = [
        ("VERSION\t1\t0\nSPID\t12\nDONE\n", wrong),
        ("VERSION\t2\t0\nMECH\tPLAIN\nDONE\n", version),
        ("VERSION\tx\nMECH\tPLAIN\nDONE\n", "warning: SASL: Protocol version error"),
        ("VERSION\t1\t0\nDONE\n", "fatal: no SASL authentication mechanisms"),
        ("MECH\tEXTERNAL\nDONE\n", "fatal: smtpd_sasl_mechanism_filter discards all mechanisms in 'EXTERNAL'"),
    ];
    scenario(|| {
        for (greeting, line) in greetings {
            let mail = setup().start();
            let _server = AuthServer::start(&socket(&mail), greeting, one_user);
            assert!(Client::connect(mail.v4()).is_err(), "{greeting:?}");
            mail.wait_log(&[line]);
            mail.wait_log(&["fatal: "]);
        }
        let mail = setup().set("smtpd_sasl_path", "private/nope").start();
        assert!(Client::connect(mail.v4()).is_err());
        mail.wait_log(&[
            "warning: SASL: Connect to Dovecot auth socket 'private/nope' failed: No such file or directory",
        ]);
        mail.wait_log(&["fatal: no SASL authentication mechanisms"]);
        let mail = setup().set("smtpd_sasl_type", "none").start();
        assert!(Client::connect(mail.v4()).is_err());
        mail.wait_log(&["warning: unsupported SASL server implementation: none"]);
        mail.wait_log(&["fatal: SASL per-process initialization failed"]);
    });
}

#[test]
fn a_server_that_comes_later_is_found_by_the_next_client() {
    scenario(|| {
        let mail = setup().start();
        assert!(Client::connect(mail.v4()).is_err());
        let _server = AuthServer::start(&socket(&mail), GREETING, one_user);
        assert_eq!(say(&mut client(&mail), &format!("AUTH PLAIN {RIGHT}")), SUCCESS);
    });
}

#[test]
fn a_login_that_hangs_holds_up_nobody_else() {
    scenario(|| {
        let mail = setup().start();
        let hangs_once = |line: &str| if line.ends_with(WRONG) { Act::Nothing } else { one_user(line) };
        let _server = AuthServer::start(&socket(&mail), GREETING, hangs_once);
        let (mut held, mut served) = (client(&mail), client(&mail));
        held.write(format!("AUTH PLAIN {WRONG}\r\n").as_bytes()).expect("written");
        assert_eq!(say(&mut served, &format!("AUTH PLAIN {RIGHT}")), SUCCESS);
        assert_eq!(say(&mut served, "QUIT"), "221 2.0.0 Bye");
        let lost = "454 4.7.0 Temporary authentication failure: Connection lost to authentication server";
        assert_eq!(held.reply().expect("a reply").last(), lost);
        assert_eq!(say(&mut held, &format!("AUTH PLAIN {RIGHT}")), SUCCESS);
    });
}

#[test]
fn the_server_is_found_wherever_its_socket_is() {
    scenario(|| {
        // Outside of the queue directory, in a folder that everybody may enter.
        let folder = std::env::temp_dir().join(format!("auth-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let far = folder.join("auth");
        let server = AuthServer::start(&far, GREETING, one_user);
        let relay = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = relay.local_addr().expect("its address").port();
        pass_on(relay, far.clone());
        let (far, inet) = (far.display().to_string(), format!("inet:127.0.0.1:{port}"));
        for path in [far.clone(), format!("unix:{far}"), inet, format!("inet:localhost:{port}")] {
            let mail = setup().set("smtpd_sasl_path", path.as_str()).start();
            assert_eq!(say(&mut client(&mail), &format!("AUTH PLAIN {RIGHT}")), SUCCESS, "{path}");
        }
        let mail = setup().set("smtpd_sasl_path", "unix:private/auth").start();
        let _near = AuthServer::start(&socket(&mail), GREETING, one_user);
        assert_eq!(say(&mut client(&mail), &format!("AUTH PLAIN {RIGHT}")), SUCCESS);
        drop(server);
        let _ = std::fs::remove_dir_all(&folder);
    });
}

/// Passes connections on to a socket.
fn pass_on(listener: std::net::TcpListener, socket: PathBuf) {
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = std::os::unix::net::UnixStream::connect(&socket) else { continue };
            let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), server.try_clone()) else { continue };
            std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
            let (mut from_server, mut to_client) = (server, client);
            std::thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
        }
    });
}
