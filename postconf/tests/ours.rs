//! What postconf does beyond the observed command lines of Postfix's own: JSON, report templates, explanations, and
//! hints for a person at a terminal.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A configuration directory of its own, named `c` in the folder that commands run in.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, main_cf: &str, master_cf: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("postconf-ours-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("c")).unwrap();
        fs::write(folder.join("c/main.cf"), main_cf).unwrap();
        fs::write(folder.join("c/master.cf"), master_cf).unwrap();
        Folder(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postconf"));
        command.args(["-c", "c"]).args(arguments).current_dir(&self.0).output().unwrap()
    }

    fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn stderr(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.run(arguments).stderr).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MASTER: &str = "smtp inet n - y - - smtpd\nrelay unix - - y - - smtp\n  -o { myorigin = a \"b\" }\n";

#[test]
fn keys_of_tls_are_named_a_line_each_and_a_question_that_is_none_is_refused() {
    let folder = Folder::new("tls", "", MASTER);
    assert_eq!(folder.stdout(&["-T", "public-key-algorithms"]), "ecdsa\nrsa\n");
    assert_eq!(folder.stdout(&["-T", "run-version"]), "");
    assert!(folder.stderr(&["-T", "bogus"]).contains("unknown 'postconf -T' mode: bogus"));
    assert!(!folder.run(&["-T", "bogus"]).status.success());
}

#[test]
fn json_has_an_object_a_line_for_each_line_of_text() {
    let folder = Folder::new("json", "mydestination = a \"b\",\n  c\\d\ncompatibility_level = 3.6\n", MASTER);
    assert_eq!(
        folder.stdout(&["-jn"]),
        "{\"compatibility_level\": \"3.6\"}\n{\"mydestination\": \"a \\\"b\\\",  c\\\\d\"}\n"
    );
    assert_eq!(
        folder.stdout(&["-jM", "relay"]),
        "{\"relay/unix\": \"relay unix - - y - - smtp -o {myorigin=a \\\"b\\\"}\"}\n"
    );
    assert_eq!(folder.stdout(&["-jP"]), "{\"relay/unix/myorigin\": \"a \\\"b\\\"\"}\n");
    assert_eq!(folder.stdout(&["-jF", "smtp/inet/command"]), "{\"smtp/inet/command\": \"smtpd\"}\n");
    assert!(folder.stdout(&["-j"]).lines().count() > 800);
}

#[test]
fn report_templates_are_shown_as_they_are_and_expanded() {
    let folder = Folder::new("templates", "myhostname = h.test\ndelay_warning_time = 4h\n", MASTER);
    let template = "delay_template = <<EOF\nSubject: late\n\n$myhostname: $delay_warning_time_hours\nEOF\n";
    fs::write(folder.0.join("t.cf"), template).unwrap();
    assert!(
        folder.stdout(&["-b", "t.cf"]).contains("expanded_delay_text = <<EOF\nh.test: 4\nEOF\n\nexpanded_success_")
    );
    assert!(
        folder
            .stdout(&["-t", "t.cf"])
            .contains("Subject: late\nPostmaster-Subject: Postmaster Warning: Delayed Mail\n\n$my")
    );
    let built_in = folder.stdout(&["-t", ""]);
    assert_eq!(folder.stdout(&["-t"]), built_in);
    // What -t prints is a template file.
    fs::write(folder.0.join("all.cf"), &built_in).unwrap();
    assert_eq!(folder.stdout(&["-t", "all.cf"]), built_in);
    fs::write(folder.0.join("bad.cf"), template.replace("$myhostname", "$mihostname")).unwrap();
    assert_eq!(
        folder.stderr(&["-b", "bad.cf"]),
        "postconf: fatal: bad.cf: undefined $name in delay template: $mihostname: $delay_warning_time_hours\n"
    );
}

#[test]
fn an_explanation_says_what_is_in_force_and_where_it_comes_from() {
    let main_cf = "# a comment\n\nmydestination = $mydomain\nmydomain = d.test\nown = 1\n";
    let folder = Folder::new("explain", main_cf, MASTER);
    let text = folder.stdout(&["--explain", "mydestination"]);
    assert!(
        text.starts_with("mydestination\n  value     $mydomain\n  expanded  d.test\n  from      c/main.cf, line 3\n"),
        "{text}"
    );
    let text = folder.stdout(&["--explain=smtp_connect_timeout"]);
    for line in ["  value     30s", "  from      the default", "  type      duration, in seconds when no unit is given"]
    {
        assert!(text.contains(&format!("{line}\n")), "{text}");
    }
    assert!(
        folder
            .stdout(&["--explain", "myorigin"])
            .contains("  but       a \"b\" for relay/unix (c/master.cf, line 2)\n")
    );
    assert!(folder.stdout(&["--explain", "own"]).contains("No parameter of Postfix"));
    let unknown = folder.run(&["-q", "--explain", "mydestinatoin"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(unknown.stderr).unwrap(),
        "postconf: fatal: mydestinatoin: unknown parameter (did you mean mydestination?)\n"
    );
}

#[test]
fn a_misspelt_parameter_gets_a_suggestion_on_a_terminal_only() {
    let folder = Folder::new("terminal", "smtpd_tls_sercurity_level = may\n", MASTER);
    let warning = "postconf: warning: c/main.cf: unused parameter: smtpd_tls_sercurity_level=may";
    assert_eq!(folder.stderr(&["-n"]), format!("{warning}\n"));
    assert_eq!(folder.stderr(&["-nq"]), "");
    let mut script = Command::new("script");
    script.args(["-qec", "\"$POSTCONF\" -c c -n", "/dev/null"]).env("POSTCONF", env!("CARGO_BIN_EXE_postconf"));
    let output = script.current_dir(&folder.0).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    assert!(shown.contains(&format!("{warning} (did you mean smtpd_tls_security_level?)\n")), "{shown}");
}

/// Runs a shell script in a file system of 32 KB that is its own; false when this machine gives no such thing.
fn in_small_file_system(folder: &Folder, script: &str) -> Option<Output> {
    let mount = "mount -t tmpfs -o size=32k none c && ";
    let run = |text: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-ec", text]).env("POSTCONF", env!("CARGO_BIN_EXE_postconf"));
        command.current_dir(&folder.0).output().unwrap()
    };
    run(&format!("{mount} true")).status.success().then(|| run(&format!("{mount} {script}")))
}

#[test]
fn a_full_disk_leaves_the_file_as_it_was() {
    let folder = Folder::new("full", "", MASTER);
    let script =
        "printf 'a = b\\n# c\\n' >c/main.cf; cp c/main.cf before; chmod 640 c/main.cf; cat /dev/zero >c/filler 2>/dev/null || :
         \"$POSTCONF\" -c c relayhost=x 2>err && exit 1
         cmp c/main.cf before; test ! -e c/main.cf.tmp; rm c/filler
         \"$POSTCONF\" -c c relayhost=x; cat c/main.cf; stat -c %a c/main.cf";
    let Some(output) = in_small_file_system(&folder, script) else {
        eprintln!("skipped: no mount namespaces for this user");
        return;
    };
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(shown, "a = b\n# c\nrelayhost = x\n640\n");
    let error = fs::read_to_string(folder.0.join("err")).unwrap();
    assert!(error.starts_with("postconf: fatal: ") && error.ends_with("main.cf: No space left on device\n"), "{error}");
}
