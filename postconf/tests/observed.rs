//! What Postfix's own postconf printed and wrote, and that ours does the same: `observed/cases.txt`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What one command line does.
type Outcome = BTreeMap<&'static str, Vec<String>>;

const KEYS: [&str; 5] = ["exit", "out", "err", "main", "master"];

fn observed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/observed")
}

/// A command line on one pair of files, and its outcome.
struct Case {
    /// What the names of the files start with.
    prefix: String,
    command: String,
    outcome: Outcome,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut prefix = String::new();
    for line in fs::read_to_string(observed().join("cases.txt")).unwrap().lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            cases.push(Case { prefix: prefix.clone(), command: command.to_string(), outcome: Outcome::new() });
        } else if let Some(name) = line.strip_prefix("% ") {
            prefix = format!("{name}.");
        } else if let Some((key, text)) = line.split_once('|').filter(|_| !line.starts_with('#')) {
            let key = KEYS.into_iter().find(|known| *known == key).unwrap();
            let text = text.strip_prefix(' ').unwrap_or(text).trim_end().to_string();
            cases.last_mut().unwrap().outcome.entry(key).or_default().push(text);
        }
    }
    cases
}

/// Words of a command line; quotes are single.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words
}

fn run(folder: &Path, prefix: &str, command: &str) -> Outcome {
    let etc = folder.join("c");
    fs::create_dir_all(&etc).unwrap();
    let before: Vec<String> = ["main.cf", "master.cf"]
        .iter()
        .map(|name| fs::read_to_string(observed().join(format!("{prefix}{name}"))).unwrap())
        .collect();
    fs::write(etc.join("main.cf"), &before[0]).unwrap();
    fs::write(etc.join("master.cf"), &before[1]).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_postconf"))
        .args(["-c", "c"])
        .args(words(command))
        .current_dir(folder)
        .output()
        .unwrap();
    let lines = |text: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(text).lines().map(|line| line.trim_end().to_string()).collect()
    };
    let mut outcome = Outcome::new();
    outcome.insert("exit", vec![output.status.code().unwrap().to_string()]);
    outcome.insert("out", lines(&output.stdout));
    let mut errors = lines(&output.stderr);
    // Ours alone: Postfix implements everything it knows.
    errors.retain(|line| {
        !line.contains(": not implemented, ") && !line.contains("usage: ") && !line.contains(": support for parameter ")
    });
    errors.sort();
    outcome.insert("err", errors);
    for (key, name, before) in [("main", "main.cf", &before[0]), ("master", "master.cf", &before[1])] {
        let after = fs::read_to_string(etc.join(name)).unwrap();
        if after != *before {
            outcome.insert(key, lines(after.as_bytes()));
        }
    }
    outcome.retain(|_, lines| !lines.is_empty());
    outcome
}

#[test]
fn every_command_line_prints_and_writes_what_postfix_does() {
    let folder = std::env::temp_dir().join(format!("postconf-observed-{}", std::process::id()));
    let mut failures = Vec::new();
    for Case { prefix, command, outcome: expected } in cases() {
        let found = run(&folder, &prefix, &command);
        let differs = KEYS.iter().find(|key| found.get(*key) != expected.get(*key));
        if let Some(key) = differs {
            failures.push(format!(
                "{prefix} postconf {command}: {key}\n want {:#?}\n have {:#?}",
                expected.get(key),
                found.get(key)
            ));
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
