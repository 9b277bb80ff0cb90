//! Delivery to commands by pipe: what a command gets, what its end means, and what it cannot do to the mail system.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup};

/// A user whom every system has, who is nobody of the mail system.
const USER: &str = "games";

/// A mail system with pipe services, by their attributes and commands; mail for `NAME.test` goes to service `NAME` with
/// nexthop `Hop.test`. In commands DUMP is a program that writes down what it gets.
struct Pipes {
    mail: Instance,
    /// Everybody may write here.
    open: PathBuf,
}

impl Pipes {
    fn start(setup: Setup, services: &[(&str, &str)]) -> Option<Pipes> {
        if !testing::accounts::is_root() {
            eprintln!("left out: only root delivers as other users");
            return None;
        }
        let routes = services.iter().map(|(name, _)| format!("{{ {name}.test = {name}:Hop.test }}"));
        let routes = routes.collect::<Vec<_>>().join(", ");
        let setup = setup.set("transport_maps", format!("inline:{{ {routes} }}")).set("recipient_delimiter", "+");
        let setup = setup.set("relay_domains", "static:all").set("export_environment", "TZ MAIL_CONFIG FOO=bar");
        let mut mail = setup.set("maximal_backoff_time", "1h").set("minimal_backoff_time", "1h").build();
        let open = mail.folder().join("open");
        fs::create_dir(&open).expect("a directory");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("open to all");
        let dump = open.join("dump");
        let text = format!(
            "#!/bin/sh\ncd {}\nexec >>facts 2>&1\ncat >input\nprintf '[%s]' \"$@\"\necho\nid -u; id -g; id -G; umask\n\
             env | sort | grep -v -e PWD -e _= -e SHLVL -e ^MAIL_CONFIG=\nsed 's/$/|/' input | cat -v\nmv facts told\n",
            open.display()
        );
        fs::write(&dump, text).expect("a program");
        fs::set_permissions(&dump, fs::Permissions::from_mode(0o755)).expect("made executable");
        for (name, line) in services {
            let line = line.replace("DUMP", &dump.display().to_string()).replace("OPEN", &open.display().to_string());
            mail.add_service(&format!("{name} unix - n n - - pipe {line}"));
        }
        mail.start();
        Some(Pipes { mail, open })
    }

    /// Sends a message, and gives the status line of its first recipient from the dsn on.
    fn send(&self, sender: &str, to: &[&str]) -> String {
        let text =
            "Subject: p\r\nDate: d\r\nFrom: f\r\nMessage-Id: <m>\r\n\r\nFrom here\r\n..dot\r\n>From q\r\nlast\r\n";
        self.send_text(sender, to, text)
    }

    fn send_text(&self, sender: &str, to: &[&str], text: &str) -> String {
        let mut client = Client::greet(self.mail.v4()).expect("connected");
        client.command("EHLO client.test").expect("a reply");
        let mut says = |line: &str, code: u16| {
            let reply = client.command(line).expect("a reply");
            assert_eq!(reply.code, code, "{line}: {reply:?}");
            reply
        };
        says(&format!("MAIL FROM:<{sender}> ENVID=E+3D1"), 250);
        to.iter().for_each(|to| drop(says(&format!("RCPT TO:<{to}>"), 250)));
        says("DATA", 354);
        let reply = says(&format!("{text}."), 250);
        let id = reply.queue_id().expect("a queue id");
        let line = self.mail.wait_log(&[&id, "status="]);
        line[line.find("dsn=").unwrap_or_default()..].to_owned()
    }

    /// What the program has written down: arguments, ids, environment, and the lines of the message.
    fn told(&self) -> Vec<String> {
        let path = self.open.join("told");
        assert!(until_true(PATIENCE, || path.exists()), "{}", self.mail.log());
        let text = fs::read_to_string(&path).expect("facts");
        fs::remove_file(&path).expect("facts removed");
        text.lines().map(str::to_owned).collect()
    }
}

fn ids() -> (String, String) {
    let user = nix::unistd::User::from_name(USER).ok().flatten().expect("the user of the test");
    (user.uid.to_string(), user.gid.to_string())
}

#[test]
fn a_command_has_its_arguments_its_user_and_a_small_environment() {
    scenario(|| {
        let services = [(
            "a",
            "user=games argv=DUMP ${sender} $recipient ${user}+${domain} $nexthop {a  b} { c d } $$x $size [$extension] \
             $mailbox ${original_recipient} $client_helo $client_address $client_protocol $sasl_method ;id;",
        )];
        let Some(pipes) = Pipes::start(Setup::new(), &services) else { return };
        let said = pipes.send("s@x.test", &["Joe+Ext@a.test"]);
        assert_eq!(said, "dsn=2.0.0, status=sent (delivered via a service)");
        let told = pipes.told();
        let size = told[0].split(['[', ']']).nth(15).expect("a size").to_owned();
        assert!(size.parse::<u32>().is_ok_and(|size| size > 100), "{told:?}");
        let expected = format!(
            "[s@x.test][Joe+Ext@a.test][Joe+a.test][Hop.test][a  b][c d][$x][{size}][[Ext]][Joe+Ext][Joe+Ext@a.test]\
             [client.test][127.0.0.1][ESMTP][][;id;]"
        );
        assert_eq!(told[0], expected);
        let (uid, gid) = ids();
        assert_eq!(told[1..5], [uid, gid.clone(), gid, "0077".to_owned()], "{told:?}");
        let environment: Vec<&String> = told[5..].iter().take_while(|line| !line.ends_with('|')).collect();
        assert_eq!(environment, ["FOO=bar", "PATH=/usr/bin:/bin", "TZ=UTC"]);
    });
}

#[test]
fn an_argument_about_recipients_is_there_for_each_of_them() {
    scenario(|| {
        let services = [("a", "user=games argv=DUMP -f $sender -- $recipient u$user $domain")];
        let Some(pipes) = Pipes::start(Setup::new(), &services) else { return };
        pipes.send("", &["+x@a.test", "b+c@a.test", "a@A.test", "B@a.test"]);
        let told = pipes.told();
        // Sorted by domain, and then by address.
        let words: Vec<&str> = told[0].split(['[', ']']).filter(|word| !word.is_empty()).collect();
        assert_eq!(words[..3], ["-f", "MAILER-DAEMON", "--"]);
        assert_eq!(
            words[3..],
            [
                "+x@a.test",
                "B@a.test",
                "a@A.test",
                "b+c@a.test",
                "u+x",
                "uB",
                "ua",
                "ub",
                "a.test",
                "a.test",
                "A.test",
                "a.test"
            ]
        );
        assert_eq!(pipes.mail.log().matches("status=sent (delivered via a service)").count(), 4);
    });
}

/// The lines of the message that the program has got, `|` at the end of each.
fn message(told: &[String]) -> Vec<&str> {
    told.iter().map(String::as_str).filter(|line| line.ends_with('|')).collect()
}

#[test]
fn the_message_has_the_form_that_the_flags_say() {
    scenario(|| {
        let services = [
            ("plain", "user=games argv=DUMP"),
            ("drob", "flags=DROB user=games argv=DUMP"),
            ("fdot", "flags=F>. user=games eol=\\r\\n argv=DUMP"),
            ("null", "flags=FR user=games null_sender= argv=DUMP -f $sender x"),
            ("fold", "flags=hu user=games argv=DUMP $recipient $user $domain $nexthop $original_recipient"),
            ("quote", "flags=qFR user=games argv=DUMP $sender $recipient $user"),
        ];
        let setup = services
            .iter()
            .fold(Setup::new(), |setup, (name, _)| setup.set(&format!("{name}_destination_recipient_limit"), "1"));
        let Some(pipes) = Pipes::start(setup, &services) else { return };
        let body = ["|", "From here|", ".dot|", ">From q|", "last|"];
        let ends_with = |told: &[String], end: &[&str]| {
            let message = message(told);
            assert_eq!(message[message.len() - end.len()..], *end, "{message:?}");
        };
        pipes.send("s@x.test", &["j@plain.test"]);
        let told = pipes.told();
        assert!(message(&told)[0].starts_with("Received: from client.test "), "{told:?}");
        ends_with(&told, &body);
        pipes.send("s@x.test", &["J+e@drob.test"]);
        let told = pipes.told();
        let heading = ["Return-Path: <s@x.test>|", "X-Original-To: J+e@drob.test|", "Delivered-To: J+e@drob.test|"];
        assert_eq!(message(&told)[..3], heading);
        ends_with(&told, &["last|", "|"]);
        pipes.send("s@x.test", &["j@fdot.test"]);
        let told = pipes.told();
        assert!(message(&told)[0].starts_with("From s@x.test  "), "{told:?}");
        ends_with(&told, &["^M|", ">From here^M|", "..dot^M|", ">From q^M|", "last^M|"]);
        pipes.send("", &["j@null.test"]);
        let told = pipes.told();
        assert_eq!(told[0], "[-f][][x]");
        assert!(message(&told)[0].starts_with("From MAILER-DAEMON  "), "{told:?}");
        assert_eq!(message(&told)[1], "Return-Path: <>|");
        pipes.send("s@x.test", &["Joe.USER+Ext@Fold.Test"]);
        let told = pipes.told();
        assert_eq!(told[0], "[joe.user+ext@fold.test][joe.user][fold.test][hop.test][joe.user+ext@fold.test]");
        pipes.send("\"a b\"@x.test", &["\"joe user\"@quote.test"]);
        let told = pipes.told();
        assert_eq!(told[0], "[\"a b\"@x.test][\"joe user\"@quote.test][joe user]");
        assert!(message(&told)[0].starts_with("From \"a b\"@x.test  "), "{told:?}");
        assert_eq!(message(&told)[1], "Return-Path: <\"a b\"@x.test>|");
    });
}

/// A service whose command is the local part of the address.
const SHELL: (&str, &str) = ("sh", "flags= user=games argv=/bin/sh -c $user");

#[test]
fn the_end_of_a_command_is_the_result_as_sysexits_has_it() {
    scenario(|| {
        let Some(pipes) = Pipes::start(Setup::new(), &[SHELL]) else { return };
        for (command, expected) in [
            ("exit 0", "dsn=2.0.0, status=sent (delivered via sh service)"),
            ("echo hello world; echo two", "dsn=2.0.0, status=sent (delivered via sh service (hello world two))"),
            ("exit 1", "dsn=5.3.0, status=bounced (Command died with status 1: \"/bin/sh\")"),
            ("exit 64", "dsn=5.3.0, status=bounced (command line usage error)"),
            ("exit 65", "dsn=5.6.0, status=bounced (data format error)"),
            ("exit 67", "dsn=5.1.1, status=bounced (user unknown)"),
            ("exit 69", "dsn=5.3.0, status=bounced (service unavailable)"),
            ("exit 71", "dsn=4.3.0, status=deferred (system resource problem)"),
            ("exit 73", "dsn=5.2.0, status=bounced (can't create user output file)"),
            ("exit 75", "dsn=4.3.0, status=deferred (temporary failure)"),
            ("exit 77", "dsn=5.7.0, status=bounced (permission denied)"),
            ("exit 78", "dsn=5.3.5, status=bounced (local configuration error)"),
            ("exit 79", "dsn=5.3.0, status=bounced (Command died with status 79: \"/bin/sh\")"),
            ("kill -9 $$", "dsn=4.3.0, status=deferred (Command died with signal 9: \"/bin/sh\")"),
            ("echo 4.7.1 try later; exit 1", "dsn=4.7.1, status=deferred (try later )"),
            ("echo 5.2.2 full; exit 75", "dsn=5.2.2, status=bounced (full )"),
            ("echo 2.0.0 fine; exit 1", "dsn=5.0.0, status=bounced (fine )"),
            ("echo 4.7.1; exit 9", "dsn=4.7.1, status=deferred ()"),
            ("echo err 1>&2; exit 69", "dsn=5.3.0, status=bounced (service unavailable. Command output: err )"),
            (
                "echo 5.1.1extra; exit 1",
                "dsn=5.3.0, status=bounced (Command died with status 1: \"/bin/sh\". Command output: 5.1.1extra )",
            ),
        ] {
            assert_eq!(pipes.send("s@x.test", &[&format!("\"{command}\"@sh.test")]), expected, "{command}");
        }
        pipes.mail.wait_log(&["warning: bounce_append: ignoring dsn code \"2.0.0\""]);
    });
}

#[test]
fn a_command_that_never_ends_floods_forks_or_does_not_read_holds_nobody_up() {
    scenario(|| {
        let setup = Setup::new().set("brief_time_limit", "2s");
        let Some(pipes) = Pipes::start(setup, &[SHELL, ("brief", SHELL.1)]) else { return };
        let large = format!("Subject: x\r\n\r\n{}", "0123456789abcdef0123456789abcdef\r\n".repeat(12_000));
        for (command, expected) in [
            ("exec 0<&-; exit 0", "dsn=2.0.0, status=sent (delivered via brief service)"),
            ("head -c 100 >/dev/null; exit 75", "dsn=4.3.0, status=deferred (temporary failure)"),
            ("sleep 600", "dsn=5.3.0, status=bounced (Command time limit exceeded: \"/bin/sh\")"),
            (
                "cat >/dev/null; echo before; sleep 601",
                "dsn=5.3.0, status=bounced (Command time limit exceeded: \"/bin/sh\". Command output: before )",
            ),
            (
                "for i in 1 2 3 4 5; do sleep 602 & done; cat >/dev/null; wait",
                "dsn=5.3.0, status=bounced (Command time limit exceeded: \"/bin/sh\")",
            ),
            (
                "for i in 1 2 3 4 5; do sleep 3 >/dev/null 2>&1 0<&1 & done; exit 0",
                "dsn=2.0.0, status=sent (delivered via brief service)",
            ),
        ] {
            let said = pipes.send_text("s@x.test", &[&format!("\"{command}\"@brief.test")], &large);
            assert_eq!(said, expected, "{command}");
        }
        pipes.mail.wait_log(&["warning: pipe_command_write: write time limit exceeded"]);
        pipes.mail.wait_log(&["warning: pipe_command_read: read time limit exceeded"]);
        let flood = pipes.send("s@x.test", &["\"yes | head -c 1000000000; exit 69\"@sh.test"]);
        assert!(flood.starts_with("dsn=5.3.0, status=bounced (service unavailable. Command output: y y y "), "{flood}");
        assert!(flood.len() < 5000, "{}", flood.len());
        // Those of the session are gone with it.
        let left = || testing::process::Process::of_session(pipes.mail.master());
        let asleep =
            || left().iter().any(|it| it.arguments().iter().any(|word| ["600", "601", "602"].contains(&word.as_str())));
        assert!(until_true(PATIENCE, || !asleep()), "{:?}", left());
        assert_eq!(
            pipes.send("s@x.test", &["\"exit 0\"@brief.test"]),
            "dsn=2.0.0, status=sent (delivered via brief service)"
        );
    });
}

#[test]
fn what_a_service_cannot_do_waits_or_returns_with_the_reason() {
    scenario(|| {
        let services = [
            ("loop", "flags=D user=games argv=DUMP"),
            ("orig", "flags=O user=games argv=DUMP"),
            ("size", "user=games size=1000 argv=DUMP"),
            ("cond", "user=games argv=DUMP ${extension?EXT=$extension}"),
            ("none", "user=games argv=/no/such/command x"),
            ("dir", "user=games directory=/no/such/directory argv=DUMP"),
        ];
        let Some(pipes) = Pipes::start(Setup::new(), &services) else { return };
        let wrong = "dsn=4.3.5, status=deferred (mail system configuration error)";
        assert_eq!(pipes.send("s@x.test", &["a@loop.test", "b@loop.test"]), wrong);
        pipes.mail.wait_log(&["warning: pipe flag `D' requires loop_destination_recipient_limit = 1"]);
        assert_eq!(pipes.send("s@x.test", &["a@orig.test", "b@orig.test"]), wrong);
        pipes.mail.wait_log(&["warning: pipe flag `O' requires orig_destination_recipient_limit = 1"]);
        let text = "Subject: x\r\nDelivered-To: A@Loop.Test\r\n\r\nx\r\n";
        let said = pipes.send_text("s@x.test", &["a@loop.test"], text);
        assert_eq!(said, "dsn=5.4.6, status=bounced (mail forwarding loop for a@loop.test)");
        let said = pipes.send_text("s@x.test", &["a@size.test"], &"0123456789\r\n".repeat(200));
        assert_eq!(said, "dsn=5.2.3, status=bounced (message too large)");
        assert_eq!(pipes.send("s@x.test", &["a@cond.test"]), wrong);
        pipes.mail.wait_log(&["master.cf: service cond: unknown macro name: \"extension?EXT=$extension\""]);
        let why = "pipe_command: execvp /no/such/command: No such file or directory";
        let said = pipes.send("s@x.test", &["a@none.test"]);
        let expected = format!("dsn=4.3.0, status=deferred (temporary failure. Command output: pipe: fatal: {why} )");
        assert_eq!(said, expected);
        pipes.mail.wait_log(&[&format!("]: fatal: {why}")]);
        assert_eq!(pipes.send("s@x.test", &["a@dir.test"]), "dsn=4.3.0, status=deferred (temporary failure)");
        let (uid, gid) = ids();
        let why =
            format!("fatal: cannot change directory to \"/no/such/directory\" for uid={uid} gid={gid}: No such file");
        pipes.mail.wait_log(&[&why]);
        pipes.mail.sendmail(&["-bv", "j@none.test"], "");
        pipes.mail.wait_log(&["to=<j@none.test>", "status=deliverable (delivers to command: /no/such/command)"]);
    });
}

#[test]
fn nothing_is_run_as_root_or_the_mail_system_and_a_wrong_attribute_is_named() {
    for (line, why) in [
        ("user=root argv=DUMP", "fatal: user= command-line attribute specifies root privileges"),
        ("user=postfix argv=DUMP", "fatal: user= command-line attribute specifies mail system owner postfix"),
        ("user=games:root argv=DUMP", "fatal: user= command-line attribute specifies privileged group id 0"),
        (
            "user=games:postfix argv=DUMP",
            "fatal: user= command-line attribute specifies mail system owner postfix group id ",
        ),
        (
            "user=games:postdrop argv=DUMP",
            "fatal: user= command-line attribute specifies mail system postdrop group id ",
        ),
        ("user=nosuchuser argv=DUMP", "fatal: get_service_attr: unknown username: nosuchuser"),
        ("user=games:nosuchgroup argv=DUMP", "fatal: get_service_attr: unknown group: nosuchgroup"),
        ("argv=DUMP", "fatal: missing user= command-line attribute"),
        ("user=games", "fatal: missing argv= command-line attribute"),
        ("flags=RZ user=games argv=DUMP", "fatal: unknown flag: Z (ignored)"),
        ("nosuch=1 user=games argv=DUMP", "fatal: unknown attribute name: nosuch"),
        ("size=1k user=games argv=DUMP", "fatal: get_service_attr: bad size= value: 1k"),
    ] {
        scenario(|| {
            let Some(pipes) = Pipes::start(Setup::new(), &[("a", line)]) else { return };
            pipes.mail.sendmail(&["-f", "s@x.test", "j@a.test"], "Subject: x\n\nx\n");
            pipes.mail.wait_log(&[why]);
            assert!(!pipes.open.join("told").exists());
        });
    }
}

#[test]
fn procmail_and_maildrop_file_mail_by_their_rules() {
    scenario(|| {
        let services = [
            ("proc", "flags=FR user=games argv=/usr/bin/procmail -p -m WHO=${user} HOME/procmailrc"),
            ("drop", "flags=R user=games argv=/usr/bin/maildrop HOME/mailfilter"),
        ];
        let home = std::env::temp_dir().join(format!("rules-{}", std::process::id()));
        let lines = services.map(|(name, line)| (name, line.replace("HOME", &home.display().to_string())));
        let services = [(lines[0].0, lines[0].1.as_str()), (lines[1].0, lines[1].1.as_str())];
        let Some(pipes) = Pipes::start(Setup::new(), &services) else { return };
        let _ = fs::remove_dir_all(&home);
        fs::create_dir(&home).expect("a directory");
        let at = home.display();
        let procmail =
            format!("SHELL=/bin/sh\n:0\n* ^Subject: refuse\n{{\nEXITCODE=77\n:0\n/dev/null\n}}\n:0:\n{at}/box-$WHO\n");
        let maildrop = format!("if ( /^Subject: refuse/ )\n{{\nEXITCODE = 77\nexit\n}}\nto \"{at}/box\"\n");
        for (name, text) in [("procmailrc", procmail), ("mailfilter", maildrop)] {
            fs::write(home.join(name), text).expect("rules");
            fs::set_permissions(home.join(name), fs::Permissions::from_mode(0o600)).expect("rules of one user");
        }
        let user = nix::unistd::User::from_name(USER).ok().flatten().expect("the user of the test");
        for path in [home.clone(), home.join("procmailrc"), home.join("mailfilter")] {
            nix::unistd::chown(&path, Some(user.uid), Some(user.gid)).expect("the user's");
        }
        for (name, mailbox) in [("proc", "box-joe"), ("drop", "box")] {
            let said = pipes.send("s@x.test", &[&format!("joe@{name}.test")]);
            assert!(said.starts_with("dsn=2.0.0, status=sent (delivered via "), "{said}");
            let text = fs::read_to_string(home.join(mailbox)).expect("a mailbox");
            assert!(text.starts_with("From ") && text.contains("Return-Path: <s@x.test>\n"), "{text}");
            assert!(text.contains("\n\n>From here\n.dot\n"), "{text}");
            let said = pipes.send_text("s@x.test", &[&format!("joe@{name}.test")], "Subject: refuse\r\n\r\nx\r\n");
            assert_eq!(said, "dsn=5.7.0, status=bounced (permission denied)", "{name}");
        }
        fs::remove_dir_all(&home).expect("removed");
    });
}
