//! Commands: output, errors and exit status.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use testing::Programs;
use testing::programs::ENVIRONMENT;
use toml::{Table, Value};

use crate::case::Case;
use crate::folder::{Folder, write, write_old};
use crate::network::spawn;

/// Runs the command of each case with its main.cf and files in a folder of its own.
pub fn play(cases: &[Case]) -> Vec<Table> {
    cases.iter().map(run).collect()
}

fn run(case: &Case) -> Table {
    let folder = Folder::new(case.id());
    let conf = folder.path().display().to_string();
    for (name, text) in case.files() {
        write(&folder.path().join(name), &text);
    }
    let main = ["myhostname = mail.example.net".to_owned(), "mydomain = example.net".to_owned()];
    write_old(&folder.path().join("main.cf"), &([&main[..], &case.list("main_cf")].concat().join("\n") + "\n"));
    write_old(&folder.path().join("master.cf"), "");
    let line = case.text("command").replace("$CONF", &conf).replace("$DIR", &conf);
    let words = words(&line);
    let mut command = Command::new(Programs::under_test().command(&words[0]));
    command.arg0(&words[0]).args(&words[1..]).env_clear().envs(ENVIRONMENT).current_dir(folder.path());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = spawn(command, case.text("wrap")).unwrap_or_else(|e| panic!("{}: {line}: {e}", case.id()));
    let output = child.wait_with_output().unwrap_or_else(|e| panic!("{}: {line}: {e}", case.id()));
    let shown = if case.text("command").contains("$DIR") { "$DIR" } else { "$CONF" };
    let text = |bytes: &[u8]| Value::String(String::from_utf8_lossy(bytes).replace(&conf, shown));
    Table::from_iter([
        ("stdout".to_owned(), text(&output.stdout)),
        ("stderr".to_owned(), text(&output.stderr)),
        ("exit".to_owned(), Value::Integer(output.status.code().map_or(-1, i64::from))),
    ])
}

/// Words as a shell has them, with both kinds of quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote, mut open) = (Vec::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => (quote, open) = (Some(c), start(&mut words, open)),
            (Some(q), c) if c == q => quote = None,
            (None, ' ') => open = false,
            (_, c) => {
                open = start(&mut words, open);
                words.last_mut().unwrap_or_else(|| unreachable!("a word was started")).push(c);
            }
        }
    }
    words
}

fn start(words: &mut Vec<String>, open: bool) -> bool {
    if !open {
        words.push(String::new());
    }
    true
}
