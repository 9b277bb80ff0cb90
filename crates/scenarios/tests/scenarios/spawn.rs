//! Commands that serve clients: what spawn gives them, and how they end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use scenarios::scenario;
use testing::port::Port;
use testing::wait::PATIENCE;
use testing::{Instance, Setup};

/// A mail system with a service of this command behind a port; `None`: not as root.
fn serving(setup: Setup, words: &str) -> Option<(Instance, Port)> {
    if !testing::accounts::is_root() {
        eprintln!("left out: only root runs commands as other users");
        return None;
    }
    let port = Port::reserve();
    let setup = setup.set("export_environment", "TZ MAIL_CONFIG FOO=bar");
    let mail = setup.service(&format!("127.0.0.1:{} inet n n n - - spawn {words}", port.number())).start();
    Some((mail, port))
}

/// Says something to the service, and hears it to its end.
fn talk(port: &Port, said: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port.number())).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A command that is gone already hears nothing.
    let _ = stream.write_all(said.as_bytes());
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn a_client_talks_to_a_command_with_the_rights_of_its_user_alone() {
    scenario(|| {
        let script = "read line; echo got $line; id -u; id -g; id -G; umask; env | sort | grep -v -e PWD -e MAIL_CONFIG; \
                      echo $0 $1 >&2; cat";
        let words = format!("user=games argv=/bin/sh -c {{{script}}} a$user {{b  c}}");
        let Some((mail, port)) = serving(Setup::new(), &words) else { return };
        let user = nix::unistd::User::from_name("games").ok().flatten().expect("the user of the test");
        let (uid, gid) = (user.uid, user.gid);
        let mut stream = TcpStream::connect(("127.0.0.1", port.number())).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(b"hello\nmore\n").expect("written");
        stream.shutdown(std::net::Shutdown::Write).expect("nothing more to say");
        let mut heard = String::new();
        stream.read_to_string(&mut heard).expect("an answer");
        let lines: Vec<&str> =
            heard.lines().filter(|line| !line.starts_with("_=") && !line.starts_with("SHLVL")).collect();
        let ids = [uid.to_string(), gid.to_string(), gid.to_string()];
        let expected = ["got hello", &ids[0], &ids[1], &ids[2], "0077", "FOO=bar", "PATH=/usr/bin:/bin", "TZ=UTC"];
        assert_eq!(lines[..8], expected, "{heard}");
        assert_eq!(lines[8..], ["a$user b c", "more"], "{heard}");
        assert!(!mail.log().contains("exit status"), "{}", mail.log());
    });
}

#[test]
fn a_service_of_a_unix_socket_serves_many_clients_at_the_same_time() {
    scenario(|| {
        let setup = Setup::new().service("echo unix n n n - 5 spawn user=games argv=/bin/cat");
        if !testing::accounts::is_root() {
            return;
        }
        let mail = setup.start();
        let path = mail.queue().join("public/echo");
        let mut clients: Vec<UnixStream> = (0..5).map(|_| UnixStream::connect(&path).expect("connected")).collect();
        for (number, client) in clients.iter_mut().enumerate().rev() {
            client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let line = format!("line {number}\n");
            client.write_all(line.as_bytes()).expect("written");
            let mut heard = vec![0; line.len()];
            client.read_exact(&mut heard).expect("an answer");
            assert_eq!(heard, line.as_bytes());
        }
    });
}

#[test]
fn the_end_of_a_command_is_told_unless_it_is_a_success() {
    for (command, told) in [
        ("/bin/sh -c {exit 3}", &["warning: command /bin/sh exit status 3"][..]),
        ("/bin/sh -c {kill -9 $$}", &["warning: command /bin/sh killed by signal 9"]),
        (
            "/no/such/command x",
            &[
                "fatal: spawn_comand: execvp /no/such/command: No such file or directory",
                "warning: command /no/such/command exit status 1",
            ],
        ),
        (
            "/bin/sh -c {sleep 600 & sleep 601}",
            &[": command time limit exceeded", "warning: command /bin/sh killed by signal 9"],
        ),
    ] {
        scenario(|| {
            let setup = Setup::new().set("command_time_limit", "2s");
            let Some((mail, port)) = serving(setup, &format!("user=games argv={command}")) else { return };
            assert_eq!(talk(&port, ""), "", "{command}");
            told.iter().for_each(|line| drop(mail.wait_log(&[line])));
            // The next client is served.
            assert_eq!(talk(&port, ""), "", "{command}");
            let asleep = || {
                let left = testing::process::Process::of_session(mail.master());
                left.iter().any(|it| it.arguments().iter().any(|word| ["600", "601"].contains(&word.as_str())))
            };
            assert!(testing::wait::until_true(PATIENCE, || !asleep()), "{}", mail.log());
        });
    }
}

#[test]
fn nothing_is_run_as_root_or_the_mail_system_and_a_wrong_attribute_is_named() {
    for (words, why) in [
        ("user=root argv=/bin/cat", "fatal: request to deliver as root"),
        ("user=postfix argv=/bin/cat", "fatal: request to deliver as mail system owner"),
        ("user=games:root argv=/bin/cat", "fatal: request to use privileged group id 0"),
        ("user=games:postfix argv=/bin/cat", "fatal: request to use mail system owner group id "),
        ("user=nosuchuser argv=/bin/cat", "fatal: unknown user name: nosuchuser"),
        ("user=games:nosuchgroup argv=/bin/cat", "fatal: unknown group name: nosuchgroup"),
        ("argv=/bin/cat", "fatal: missing user= attribute"),
        ("user=games", "fatal: missing argv= attribute"),
        ("nosuch=1 user=games argv=/bin/cat", "fatal: unknown attribute name: nosuch"),
    ] {
        scenario(|| {
            let Some((mail, port)) = serving(Setup::new(), words) else { return };
            let stream = TcpStream::connect(("127.0.0.1", port.number())).expect("connected");
            mail.wait_log(&[why]);
            drop(stream);
        });
    }
}

#[test]
fn the_columns_of_master_cf_about_rights_and_the_root_directory_count() {
    scenario(|| {
        if !testing::accounts::is_root() {
            return;
        }
        let users = "root:x:0:0::/:/bin/sh\ngames:x:5:60::/:/bin/sh\n";
        let setup = Setup::new()
            .set("virtual_mailbox_base", "/proc/self/none")
            .set("transport_maps", "inline:{ {jailed.test = jailed:} }")
            .set("relay_domains", "jailed.test")
            .service("meek unix n y n - - spawn user=games argv=/bin/true")
            .service("modest unix n y n - - pipe user=games argv=/bin/true")
            .service("polite unix n y n - - local")
            .service("humble unix n y n - - virtual")
            .service("inside unix n n y - - spawn user=games argv=/bin/true")
            .service("jailed unix - n y - - pipe user=games argv=/bin/true");
        let mut mail = setup.build();
        // Postfix looks users up in the new root directory, which has no commands.
        std::fs::create_dir_all(mail.queue().join("etc")).expect("a directory");
        std::fs::write(mail.queue().join("etc/passwd"), users).expect("users");
        std::fs::write(mail.queue().join("etc/group"), "games:x:60:\n").expect("groups");
        mail.start();
        for name in ["meek", "modest", "polite", "humble"] {
            let _client = UnixStream::connect(mail.queue().join("public").join(name)).expect("connected");
            mail.wait_log(&[&format!("fatal: service {name} requires privileged operation")]);
        }
        let _client = UnixStream::connect(mail.queue().join("public/inside")).expect("connected");
        mail.wait_log(&["fatal: spawn_comand: execvp /bin/true: No such file or directory"]);
        mail.sendmail(&["-f", "s@x.test", "a@jailed.test"], "Subject: x\n\nx\n");
        let why = "fatal: pipe_command: execvp /bin/true: No such file or directory";
        let line = mail.wait_log(&["to=<a@jailed.test>", "status="]);
        assert!(line.contains(&format!("status=deferred (temporary failure. Command output: pipe: {why} )")), "{line}");
    });
}
