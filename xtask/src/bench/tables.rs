//! The tables row: how long postmap makes an indexed file, and how many look-ups a second different tables answer.
//!
//! The look-ups are those of `postmap -q -`, so its start and the reading of a table of rules are in the numbers.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Instant;

use testing::{Instance, Setup};

use super::figures::Sample;
use super::{Bench, Row, Sizes, rounds};
use crate::failure::{Failure, Outcome};

/// Types of which both have a form: `hash` is a file of Berkeley DB in Postfix, and one of LMDB here.
const INDEXED: [&str; 3] = ["cdb", "lmdb", "hash"];
const NETWORKS: usize = 10_000;
const PATTERNS: usize = 1_000;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let (entries, queries) = (bench.sizes.entries, bench.sizes.queries);
    let source = lines(entries, |n| format!("user{n}@domain{}.test value{n}", n % 1_000));
    let figures = rounds::alternate(&bench.systems, bench.rounds, |programs| {
        let mail = Setup::of(programs.clone()).build();
        let made = INDEXED
            .iter()
            .try_fold(Sample::default(), |sample, kind| indexed(&mail, sample, kind, &source, &bench.sizes));
        ruled(&mail, made?, queries)
    })?;
    let title = format!(
        "postmap of {entries} entries; look-ups by `postmap -q -`, {queries} in a table of rules, ten times that in an indexed one"
    );
    Ok((title, figures))
}

/// Makes an indexed table of the type, and asks it.
fn indexed(mail: &Instance, sample: Sample, kind: &str, source: &str, sizes: &Sizes) -> Outcome<Sample> {
    let table = table(mail.folder(), kind, source)?;
    let begin = Instant::now();
    mail.output("postmap", &[&table]);
    let sample = sample.with(format!("postmap {kind}"), "s", begin.elapsed().as_secs_f64());
    let (entries, queries) = (sizes.entries, sizes.queries * 10);
    // Far from each other, as the keys of mail are.
    let keys = lines(queries, |n| {
        let entry = n * 7_919 % entries;
        format!("user{entry}@domain{}.test", entry % 1_000)
    });
    Ok(sample.with(format!("look-ups in {kind}"), "/ s", rate(mail, &table, &keys, queries)?))
}

/// Every key meets the last rule, so that all are looked at.
fn ruled(mail: &Instance, sample: Sample, queries: usize) -> Outcome<Sample> {
    let networks = lines(NETWORKS, |n| format!("10.{}.{}.0/24 value{n}", n / 250, n % 250));
    let patterns = lines(PATTERNS, |n| format!("/^word{n}[a-z]*@domain{n}\\.test$/ value{n}"));
    let cidr = table(mail.folder(), "cidr", &networks)?;
    let pcre = table(mail.folder(), "pcre", &patterns)?;
    let (network, pattern) = (NETWORKS - 1, PATTERNS - 1);
    let addresses = lines(queries, |n| format!("10.{}.{}.{}", network / 250, network % 250, n % 250));
    let names = lines(queries, |_| format!("word{pattern}x@domain{pattern}.test"));
    Ok(sample.with("look-ups in cidr, 10,000 rules", "/ s", rate(mail, &cidr, &addresses, queries)?).with(
        "look-ups in pcre, 1,000 rules",
        "/ s",
        rate(mail, &pcre, &names, queries)?,
    ))
}

fn table(folder: &Path, kind: &str, text: &str) -> Outcome<String> {
    let file = folder.join(kind);
    fs::write(&file, text)?;
    Ok(format!("{kind}:{}", file.display()))
}

/// Look-ups a second; each key must be found.
fn rate(mail: &Instance, table: &str, keys: &str, queries: usize) -> Outcome<f64> {
    let folder = mail.folder();
    let (input, output) = (folder.join("keys"), folder.join("answers"));
    fs::write(&input, keys)?;
    let mut command = mail.command("postmap");
    command.args(["-q", "-", table]).stdin(fs::File::open(&input)?).stdout(fs::File::create(&output)?);
    let begin = Instant::now();
    let ended = command.output()?;
    let seconds = begin.elapsed().as_secs_f64();
    let found = fs::read_to_string(&output)?.lines().count();
    if ended.status.success() && found == queries {
        return Ok(queries as f64 / seconds);
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    Err(Failure(format!("{found} of {queries} keys found in {table}, {}: {said}", ended.status)))
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        // cannot fail: a String takes all that is written to it
        let _ = writeln!(text, "{}", line(number));
        text
    })
}
