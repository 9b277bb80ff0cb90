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
            cases.push(Case { prefix: prefix.clone(), command: command.to_owned(), outcome: Outcome::new() });
        } else if let Some(name) = line.strip_prefix("% ") {
            prefix = format!("{name}.");
        } else if let Some((key, text)) = line.split_once('|').filter(|_| !line.starts_with('#')) {
            let key = KEYS.into_iter().find(|known| *known == key).unwrap();
            let text = text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned();
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
        String::from_utf8_lossy(text).lines().map(|line| line.trim_end().to_owned()).collect()
    };
    let mut outcome = Outcome::new();
    outcome.insert("exit", vec![output.status.code().unwrap().to_string()]);
    outcome.insert("out", lines(&output.stdout));
    let mut errors = lines(&output.stderr);
    // Ours alone: Postfix implements everything it knows.
    errors.retain(|line| !line.contains(": settings that are not there yet") && !line.contains("usage: "));
    errors.sort();
    errors.dedup();
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

/// Defaults that are not those of Postfix 3.11.7 as Debian builds it, and why.
const OTHER_DEFAULTS: &[(&str, &str)] = &[
    ("alias_maps", "no NIS"),
    ("default_database_type", "Debian's before 3.11: what main.cf calls hash is made by postmap without a type"),
    ("inet_interfaces_wait", "ours"),
    ("inet_protocols", "ipv4 below level 1: an address family is not added to old configurations"),
    ("lmtp_connection_attempt_delay", "ours"),
    ("maillog_format", "ours"),
    ("meta_directory", "where packages put it is their choice"),
    ("postscreen_reject_filter_maps", "of Postfix 3.12"),
    ("process_session_limit", "ours"),
    ("smtp_connection_attempt_delay", "ours"),
    ("smtp_retry_other_family_on_policy_reject", "ours"),
];

/// Defaults that follow from the machine, the process or the version.
const COMPUTED: [&str; 6] = ["config_directory", "mydomain", "myhostname", "mynetworks", "process_id", "process_name"];

#[test]
fn every_default_is_the_one_of_postfix_or_differs_for_a_reason() {
    let output = Command::new(env!("CARGO_BIN_EXE_postconf")).arg("-d").output().unwrap();
    let read = |text: &str| -> BTreeMap<String, String> {
        let pairs = text.lines().filter_map(|line| line.split_once(" ="));
        pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    };
    let mut ours = read(&String::from_utf8_lossy(&output.stdout));
    let mut theirs = read(&fs::read_to_string(observed().join("defaults.txt")).unwrap());
    for (name, reason) in OTHER_DEFAULTS {
        assert_ne!(ours.remove(*name), theirs.remove(*name), "{name}: the same now, in spite of: {reason}");
    }
    COMPUTED.iter().for_each(|name| drop(ours.remove(*name)));
    for name in ours.keys().chain(theirs.keys()) {
        assert_eq!(ours.get(name), theirs.get(name), "{name}");
    }
}
