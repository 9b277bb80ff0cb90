//! One judgement of a configuration: what no daemon can run with is refused by check, start and reload alike, with the
//! reason, and nothing of it serves.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use scenarios::scenario;
use testing::accounts::is_root;
use testing::wait::{PATIENCE, until_true};
use testing::world::World;
use testing::{Instance, Setup};

/// Standard error and exit status of a command of `postfix`.
fn postfix(mail: &Instance, command: &str) -> (Option<i32>, String) {
    let output = mail.run("postfix", &[command]);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What is wrong is refused by check, start and reload, the reason being on standard error and in the log.
fn is_refused(mail: &mut Instance, make_wrong: impl Fn(&mut Instance), reason: &str) {
    let refused = |mail: &Instance, command: &str| {
        let before = mail.log().len();
        let (status, said) = postfix(mail, command);
        assert_eq!(status, Some(1), "{command} with {reason}: {said}");
        assert!(said.contains(reason), "{command} does not say {reason:?}: {said}");
        let logged = until_true(PATIENCE, || mail.log()[before..].contains(reason));
        assert!(logged, "{command}: not in the log: {reason:?}\n{}", mail.log());
    };
    assert_eq!(postfix(mail, "start").0, Some(0), "{}", mail.log());
    mail.adopt();
    make_wrong(mail);
    refused(mail, "check");
    refused(mail, "reload");
    mail.stop();
    refused(mail, "start");
    assert_eq!(postfix(mail, "status").0, Some(1), "it runs with {reason}");
}

#[test]
fn a_service_with_a_word_too_many_serves_nobody() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let cut = "-o smtpd_client_restrictions=permit_mynetworks, reject";
        mail.add_service(&format!("127.0.0.1:{} inet n - n - - smtpd {cut}", mail.port()));
        mail.start();
        let mut client = TcpStream::connect(mail.v4()).expect("connected");
        mail.wait_log(&["smtpd", "fatal: unexpected command-line argument: reject"]);
        client.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
        let mut byte = [0];
        assert!(!matches!(client.read(&mut byte), Ok(1)), "it greets");
    });
}

#[test]
fn every_daemon_refuses_a_word_that_it_has_no_use_for() {
    scenario(|| {
        let mut mail = Setup::new().build();
        for (name, program, limit) in
            [("bounce", "bounce", "0"), ("cleanup", "cleanup", "0"), ("showq", "showq", "-"), ("error", "error", "-")]
        {
            mail.add_service(&format!("{name} unix n - n - {limit} {program} stray"));
        }
        mail.add_service("relay unix n - n - - smtp stray");
        mail.start();
        let connect = |name: &str| std::os::unix::net::UnixStream::connect(mail.queue().join("public").join(name));
        let _clients = ["bounce", "cleanup", "showq", "error", "relay"].map(|name| connect(name).expect("connected"));
        for program in ["bounce", "cleanup", "showq", "error"] {
            mail.wait_log(&[&format!("postfix/{program}["), "fatal: unexpected command-line argument: stray"]);
        }
        mail.wait_log(&["postfix/smtp[", "fatal: unknown attribute name: stray"]);
    });
}

#[test]
fn a_word_too_many_is_refused_by_check_start_and_reload() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mut mail = Setup::new().build();
        is_refused(
            &mut mail,
            |mail| mail.add_service("pickup unix n - n 60 1 pickup # takes the mail of users"),
            "service pickup: unexpected command-line argument: #",
        );
    });
}

#[test]
fn a_value_that_ends_every_daemon_is_refused_by_check_start_and_reload() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        for (name, value, reason) in [
            ("message_size_limit", "10240000 # ten", "bad numerical configuration: message_size_limit"),
            ("bounce_queue_lifetime", "1x", "bounce_queue_lifetime"),
            ("myorigin", "/etc/nosuch/mailname", "open /etc/nosuch/mailname: No such file or directory"),
            ("inet_interfaces", "nosuch.invalid.", "nosuch.invalid"),
            ("smtpd_restriction_classes", "nodef", "restriction class `nodef' needs a definition"),
            ("smtp_tcp_port", "nosuchport", "unknown service: nosuchport/tcp"),
        ] {
            let mut mail = Setup::new().build();
            is_refused(&mut mail, |mail| mail.set(name, value), reason);
        }
    });
}

#[test]
fn a_log_file_that_cannot_be_used_is_refused_and_nothing_is_written_where_it_must_not_be() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        for (file, prefixes, sentence) in [
            ("outside", "inside", "does not match any prefix in maillog_file_prefixes"),
            ("inside/none/log", "inside", "cannot create file exclusively: No such file or directory"),
            ("etc", "", "cannot open file: Is a directory"),
        ] {
            let mail = Setup::new().build();
            let at = |name: &str| mail.folder().join(name).display().to_string();
            let (file, prefixes) = (at(file), at(prefixes));
            let mut mail = mail;
            mail.set("maillog_file", &file);
            mail.set("maillog_file_prefixes", &prefixes);
            for command in ["check", "start"] {
                let (status, said) = postfix(&mail, command);
                assert_eq!(status, Some(1), "{command} with {file}: {said}");
                assert!(said.contains(sentence) && said.contains(&file), "{command} with {file}: {said}");
            }
            let outside = std::path::Path::new(&file);
            assert!(!outside.exists() || outside.is_dir(), "{file} was made");
            mail.set("maillog_file", "");
            assert_eq!(postfix(&mail, "status").0, Some(1), "it runs with {file}");
        }
    });
}

#[test]
fn a_start_that_fails_says_why_on_standard_error_and_in_the_log_every_time() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mail = Setup::new().build();
        let _taken = std::net::TcpListener::bind(mail.v6()).expect("bound");
        let reason = format!("bind ::1 port {}: Address already in use", mail.port());
        for count in 1..=8 {
            let (status, said) = postfix(&mail, "start");
            assert_eq!(status, Some(1));
            assert!(said.contains(&reason), "{said}");
            assert_eq!(mail.log().matches(&reason).count(), count, "{}", mail.log());
            assert!(!mail.log().contains("timeout"), "{}", mail.log());
        }
    });
}

#[test]
fn a_log_file_that_takes_nothing_more_leaves_its_lines_to_syslog() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let log = world.system_log();
        let mut mail = Setup::new().set("maillog_file", "/dev/full").set("maillog_file_prefixes", "/dev").build();
        let said = |part: &str| log.lines(0).iter().any(|line| line.contains(part));
        assert_eq!(postfix(&mail, "start").0, Some(0), "{:?}", log.lines(0));
        mail.adopt();
        mail.sendmail(&["-f", "root@mail.test", "alice"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        assert!(until_true(PATIENCE, || said("status=sent")), "{:?}", log.lines(0));
        assert!(said("warning: write /dev/full: No space left on device"), "{:?}", log.lines(0));
    });
}

#[test]
fn what_is_said_goes_to_standard_error_whether_it_is_a_terminal_or_not() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mut mail = Setup::new().build();
        assert!(postfix(&mail, "status").1.contains("the Postfix mail system is not running"));
        assert!(postfix(&mail, "start").1.contains("starting the Postfix mail system"));
        mail.adopt();
        assert!(postfix(&mail, "start").1.contains("the Postfix mail system is already running"));
        let output = mail.run("postlog", &["-p", "warn", "a word", "-x"]);
        assert!(String::from_utf8_lossy(&output.stderr).ends_with("warning: a word -x\n"), "{output:?}");
        let logged = || mail.find_log(&["postfix/postlog", "warning: a word -x"]).is_some();
        assert!(until_true(PATIENCE, logged), "{}", mail.log());
    });
}

#[test]
fn a_start_says_each_warning_once() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mut mail = Setup::new().set("mydistination", "x.test").set("header_checks", "# none").build();
        mail.add_service("submission unix - - y - - smtp -o smtp_line_length=70");
        mail.add_service("192.0.2.77:2525 inet n - - - - smtpd");
        mail.add_service("discard unix - - n - - nosuchprogram");
        mail.set("inet_interfaces_wait", "0s");
        let (status, said) = postfix(&mail, "start");
        assert_eq!(status, Some(0), "{said}");
        mail.adopt();
        mail.wait_log(&["daemon started"]);
        let log = mail.log();
        let warnings = |text: &str| {
            let behind = text.lines().filter_map(|line| line.split_once("warning: "));
            let mut all: Vec<String> = behind.map(|(_, rest)| rest.to_owned()).collect();
            all.sort();
            all
        };
        let mut once = warnings(&log);
        assert!(once.iter().any(|it| it.contains("mydistination")) && once.len() > 2, "{log}");
        once.dedup();
        assert_eq!(warnings(&log), once, "{log}");
        assert_eq!(warnings(&said), once, "{said}");
    });
}

#[test]
fn a_directory_of_programs_that_is_not_there_is_refused_by_check_start_and_reload() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        for name in ["daemon_directory", "command_directory"] {
            let mut mail = Setup::new().build();
            let nowhere = mail.folder().join("nowhere").display().to_string();
            let reason = format!("chdir({nowhere}): No such file or directory");
            is_refused(&mut mail, |mail| mail.set(name, &nowhere), &reason);
        }
    });
}

#[test]
fn a_queue_that_is_not_there_is_refused_and_not_made() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        for (name, reason) in [("nowhere", "No such file or directory"), ("etc/main.cf", "Not a directory")] {
            let mut mail = Setup::new().build();
            let queue = mail.folder().join(name);
            mail.set("queue_directory", &queue.display().to_string());
            for command in ["check", "start", "status", "reload"] {
                let (status, said) = postfix(&mail, command);
                let reason = format!("fatal: chdir({}): {reason}", queue.display());
                assert!(status == Some(1) && said.contains(&reason), "{command}: {said}");
                assert!(!queue.is_dir(), "{command} made it");
            }
        }
    });
}

#[test]
fn a_file_where_a_directory_belongs_is_refused_by_check_and_start() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        for name in ["data", "queue/incoming"] {
            let mail = Setup::new().build();
            let place = mail.folder().join(name);
            std::fs::remove_dir(&place).expect("removed");
            std::fs::write(&place, "").expect("written");
            for command in ["check", "start"] {
                let (status, said) = postfix(&mail, command);
                assert!(status == Some(1) && said.contains("File exists"), "{command} with {name}: {said}");
            }
        }
    });
}

#[test]
fn every_command_that_ends_before_it_knows_its_log_says_why_there_all_the_same() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let log = world.system_log();
        let mail = Setup::new().set("maillog_file", "").build();
        let file = mail.etc().join("main.cf");
        let text = std::fs::read_to_string(&file).expect("main.cf");
        let says = |command: &str, argument: &str, reason: &str| {
            let before = log.lines(0).len();
            let output = mail.run(command, &[argument]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(reason), "{command} {argument}: {said}");
            let is_it = |line: &String| line.contains(command) && line.contains(reason);
            let logged = until_true(PATIENCE, || log.lines(0).iter().skip(before).any(is_it));
            assert!(logged, "{command} {argument}: not in the log: {:?}", log.lines(0));
        };
        for (command, argument) in [
            ("sendmail", "x@mail.test"),
            ("postdrop", "-v"),
            ("postqueue", "-p"),
            ("postsuper", "-p"),
            ("postmap", "texthash:x"),
            ("postlog", "x"),
        ] {
            says(command, "-Y", "fatal: usage");
            std::fs::write(&file, format!("{text}nonsense\n")).expect("written");
            says(command, argument, "missing '=' after attribute name");
            std::fs::remove_file(&file).expect("removed");
            says(command, argument, "main.cf: No such file or directory");
            std::fs::write(&file, &text).expect("written");
        }
        assert_eq!(mail.run("postqueue", &["-Y"]).status.code(), Some(69));
    });
}
