//! Several mail systems on one machine: postmulti, and `postfix` for all of them.
//!
//! The primary one is that of /etc/postfix, whoever's programs they are: these scenarios see an /etc of their own.

use std::process::Command;

use scenarios::scenario;
use testing::accounts::is_root;
use testing::programs::ENVIRONMENT;
use testing::{Instance, Setup};

/// Runs a command that sees another directory as /etc.
const IN_PLACE: &str = "mount --bind \"$1\" /etc && shift && exec \"$@\"";

/// The instance whose configuration is in /etc/postfix.
struct Machine {
    mail: Instance,
}

impl Machine {
    fn new() -> Machine {
        let mail = Setup::new().build();
        let etc = mail.folder().join("etc-of-machine");
        let copied = Command::new("cp").arg("-a").arg("/etc").arg(&etc).status().expect("cp runs");
        assert!(copied.success());
        let primary = etc.join("postfix");
        std::fs::create_dir_all(&primary).expect("made");
        for file in std::fs::read_dir(mail.etc()).expect("etc").flatten().filter(|file| file.path().is_file()) {
            std::fs::copy(file.path(), primary.join(file.file_name())).expect("copied");
        }
        let main_cf = std::fs::read_to_string(mail.etc().join("main.cf")).expect("main.cf");
        let main_cf = main_cf.replace(&format!("{}/", mail.etc().display()), "/etc/postfix/");
        std::fs::write(primary.join("main.cf"), main_cf).expect("main.cf");
        Machine { mail }
    }

    /// Runs a program: exit status, what it prints, and what it says without the name in front.
    fn run(&self, program: &str, words: &str) -> (Option<i32>, String, String) {
        let program = self.mail.programs().command(program);
        let mut command = Command::new("unshare");
        command.env_clear().envs(ENVIRONMENT).current_dir("/");
        command.args(["-m", "sh", "-c", IN_PLACE, "sh"]).arg(self.mail.folder().join("etc-of-machine")).arg(program);
        let output = command.args(words.split(' ')).output().expect("unshare runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stderr);
        let said: Vec<&str> = said.lines().map(|line| line.split_once(": ").map_or(line, |(_, text)| text)).collect();
        (output.status.code(), text(&output.stdout), said.join("\n"))
    }

    fn done(&self, program: &str, words: &str) -> String {
        let (status, printed, said) = self.run(program, words);
        assert_eq!(status, Some(0), "{words}: {said}");
        printed
    }

    fn refused(&self, words: &str) -> String {
        let (status, printed, said) = self.run("postmulti", words);
        assert_eq!((status, printed.as_str()), (Some(1), ""), "{words}: {said}");
        said.lines().last().unwrap_or_default().to_owned()
    }

    /// A new instance, whose data directory has a name of its own.
    fn create(&self, name: &str, options: &str) {
        let data = self.mail.folder().join(format!("data-of-{name}"));
        self.done("postmulti", &format!("-e create -I {name} {options}data_directory={}", data.display()));
    }

    /// What `postmulti -l` says, one blank between the columns.
    fn listed(&self, words: &str) -> Vec<String> {
        let printed = self.done("postmulti", words);
        printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// A file of /etc.
    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.mail.folder().join("etc-of-machine").join(name)).unwrap_or_default()
    }
}

#[test]
fn instances_are_made_named_ordered_and_removed() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: mounts need root");
            return;
        }
        let machine = Machine::new();
        assert_eq!(machine.listed("-l"), ["- - y /etc/postfix"]);
        let both = machine.refused("-e create -I postfix-a");
        assert!(both.contains("/postfix-a conflicts with instance /etc/postfix-a, queue_directory="), "{both}");
        let data = machine.mail.folder().join("data-of-postfix-a");
        let refused = machine.refused(&format!("-e create -I postfix-a data_directory={}", data.display()));
        assert!(refused.ends_with("multi_instance_wrapper is empty, run 'postmulti -e init' first."), "{refused}");
        machine.done("postmulti", "-e init");
        assert!(machine.file("postfix/main.cf").contains("multi_instance_enable = yes\n"));
        machine.create("postfix-a", "-G mta ");
        machine.create("postfix-b", "");
        machine.create("postfix-c", "-a ");
        let all = [
            "- - y /etc/postfix",
            "postfix-c - n /etc/postfix-c",
            "postfix-a mta n /etc/postfix-a",
            "postfix-b - n /etc/postfix-b",
        ];
        assert_eq!(machine.listed("-l"), all);
        assert_eq!(machine.listed("-lR"), all.iter().rev().copied().collect::<Vec<_>>());
        assert_eq!(machine.listed("-l -g mta"), [all[2]]);
        assert_eq!(machine.listed("-l -i postfix-b"), [all[3]]);
        assert_eq!(machine.listed("-l -i /etc/postfix-c"), [all[1]]);
        assert_eq!(machine.listed("-l -i -"), [all[0]]);
        assert!(machine.listed("-l -i nobody").is_empty() && machine.listed("-l -g -").is_empty());
        assert!(machine.refused("-e create -I postfix-x -G a,b").ends_with("Unsafe characters in '-G a,b'"));
        assert!(machine.refused("-e create -I postfix-x foo").ends_with("Malformed parameter setting 'foo'"));
        let main_cf = machine.file("postfix-a/main.cf");
        for setting in [
            "multi_instance_name = postfix-a\n",
            "multi_instance_group = mta\n",
            "master_service_disable = inet\n",
            "authorized_submit_users =",
        ] {
            assert!(main_cf.contains(setting), "{main_cf}");
        }
        let queue = machine.mail.queue().parent().expect("folder").join("postfix-a");
        assert!(queue.join("deferred").is_dir() && queue.join("maildrop").is_dir());
        names_are_assigned(&machine);
        machine.done("postmulti", "-e enable -i postfix-a");
        assert!(machine.refused("-e destroy -i postfix-a").ends_with("Cannot remove enabled instances"));
        assert!(machine.refused("-e deport -i postfix-a").ends_with("Cannot remove enabled instances"));
        assert!(machine.refused("-e destroy -i -").ends_with("Cannot remove the primary instance"));
        machine.done("postmulti", "-e disable -i postfix-a");
        machine.done("postmulti", "-e deport -i postfix-c");
        assert!(!machine.file("postfix-c/main.cf").is_empty());
        machine.done("postmulti", "-e import -I postfix-c -G late");
        assert_eq!(machine.listed("-l -i postfix-c"), ["postfix-c late n /etc/postfix-c"]);
        machine.done("postmulti", "-e destroy -i postfix-a");
        assert!(machine.file("postfix-a/main.cf").is_empty() && !queue.exists());
        assert_eq!(machine.listed("-l").len(), 3);
    });
}

fn names_are_assigned(machine: &Machine) {
    let used = "new config_directory=/etc/postfix-a is already in use by instance /etc/postfix-a, \
                config_directory=/etc/postfix-a";
    assert!(machine.refused("-e create -I postfix-a").ends_with(used));
    let taken = machine.refused("-e assign -i postfix-b -I postfix-a");
    assert!(taken.contains("conflicts with instance /etc/postfix-a, multi_instance_name=postfix-a"), "{taken}");
    machine.done("postmulti", "-e assign -i postfix-b -I postfix-bb -G grp");
    machine.done("postmulti", "-e assign -i postfix-bb -G -");
    assert_eq!(machine.listed("-l -i postfix-bb"), ["postfix-bb - n /etc/postfix-b"]);
}

#[test]
fn one_command_is_run_for_each_instance_that_it_concerns() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: mounts need root");
            return;
        }
        let machine = Machine::new();
        let of_one = "-x sh -c echo${IFS}$MAIL_LOGTAG${IFS}$multi_instance_enable";
        assert_eq!(machine.done("postmulti", of_one), "postfix yes\n");
        machine.done("postmulti", "-e init");
        machine.create("postfix-a", "");
        machine.create("postfix-b", "-G mta ");
        let echo = "-x sh -c echo${IFS}$MAIL_CONFIG${IFS}$multi_instance_name${IFS}$multi_instance_enable";
        let all = "/etc/postfix yes\n/etc/postfix-a postfix-a no\n/etc/postfix-b postfix-b no\n";
        assert_eq!(machine.done("postmulti", echo), all);
        assert_eq!(machine.done("postmulti", &format!("-g mta {echo}")), "/etc/postfix-b postfix-b no\n");
        assert_eq!(machine.run("postmulti", "-x false").0, Some(1));
        assert!(machine.refused("-i nobody -x true").ends_with("No matching instances"));
        assert!(machine.refused("-i postfix-a -p stop").ends_with("No matching instances"));
        let (status, _, said) = machine.run("postfix", "status");
        assert_eq!(status, Some(1));
        assert_eq!(said.lines().filter(|line| line.ends_with("mail system is not running")).count(), 3, "{said}");
        let (_, _, said) = machine.run("postfix", "-c /etc/postfix-a status");
        assert_eq!(said.lines().filter(|line| line.ends_with("mail system is not running")).count(), 1, "{said}");
    });
}
