//! System calls of an instance, counted by strace: all together, or by program and name.

use std::collections::{BTreeMap, HashMap};

use testing::Instance;
use testing::trace::Trace;

use crate::failure::{Failure, Outcome};

/// Calls that wait for the disk.
const WAITS_FOR_DISK: [&str; 3] = ["fsync", "fdatasync", "syncfs"];

/// Numbers of calls by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub fn total(&self) -> f64 {
        self.0.values().sum::<u64>() as f64
    }

    /// Waits for the disk.
    pub fn syncs(&self) -> f64 {
        WAITS_FOR_DISK.iter().filter_map(|name| self.0.get(*name)).sum::<u64>() as f64
    }

    fn most_first(&self) -> Vec<(&String, u64)> {
        let mut calls: Vec<_> = self.0.iter().map(|(name, count)| (name, *count)).collect();
        calls.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        calls
    }
}

/// Counts what the processes of an instance call while `work` goes on.
pub fn count(instance: &Instance, work: impl FnOnce() -> Outcome) -> Outcome<Counts> {
    let trace = Trace::attach(instance, &["-c"]);
    work()?;
    summary(&trace.finish())
}

/// The table of `strace -c`: ` 1.00 1.234567 3 400000 123 read`, the errors left out if there are none.
fn summary(text: &str) -> Outcome<Counts> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [share, _, _, calls, .., name] = fields[..] else { return None };
        share.parse::<f64>().ok()?;
        Some((name.to_owned(), calls.parse().ok()?)).filter(|(name, _)| name != "total")
    };
    let counts = Counts(text.lines().filter_map(row).collect());
    if counts.0.is_empty() { Err(Failure(format!("strace counted nothing:\n{text}"))) } else { Ok(counts) }
}

/// Numbers of calls by program, and by name.
pub struct Detail(BTreeMap<String, Counts>);

impl Detail {
    /// Observes each call: slow, so `work` is short.
    pub fn observe(instance: &Instance, work: impl FnOnce() -> Outcome) -> Outcome<Detail> {
        let processes = instance.processes();
        let known = processes.iter().flat_map(|p| p.threads().into_iter().map(|thread| (thread, p.name.clone())));
        let known: HashMap<i32, String> = known.collect();
        let trace = Trace::attach(instance, &["-s", "0", "-e", "verbose=none", "-e", "signal=none"]);
        work()?;
        Ok(Detail::parse(&trace.finish(), known))
    }

    /// Lines `1234 read(5, ""..., 4096) = 17`; one that is interrupted by another process counts where it begins.
    fn parse(text: &str, known: HashMap<i32, String>) -> Detail {
        let lines: Vec<(i32, &str)> = text.lines().filter_map(call).collect();
        let names = names(&lines, known);
        let mut programs: BTreeMap<String, Counts> = BTreeMap::new();
        for (process, call) in lines {
            let Some((name, _)) = call.split_once('(') else { continue };
            let program = names.get(&process).map_or("?", String::as_str);
            *programs.entry(program.to_owned()).or_default().0.entry(name.to_owned()).or_default() += 1;
        }
        Detail(programs)
    }

    /// A line for each program: calls a message, the frequent ones by name.
    pub fn print(&self, messages: usize) {
        for (program, counts) in &self.0 {
            let each = |count: u64| count as f64 / messages as f64;
            let names = counts.most_first().into_iter().filter(|(_, count)| each(*count) >= 0.05);
            let names: Vec<String> = names.map(|(name, count)| format!("{name} {:.1}", each(count))).collect();
            println!("  {program:<16} {:>6.1}  {}", counts.total() / messages as f64, names.join(", "));
        }
    }
}

/// The process of a line, and the call that begins there, if one does.
fn call(line: &str) -> Option<(i32, &str)> {
    let (process, rest) = line.split_once(' ')?;
    let rest = rest.trim_start();
    rest.starts_with(|c: char| c.is_ascii_lowercase()).then_some((process.parse().ok()?, rest))
}

/// Programs by process and thread: by what they execute, else by who has made them.
fn names(lines: &[(i32, &str)], mut known: HashMap<i32, String>) -> HashMap<i32, String> {
    for (process, call) in lines {
        let path = call.strip_prefix("execve(\"").and_then(|rest| rest.split('"').next());
        if let Some(program) = path.and_then(|path| path.rsplit('/').next()) {
            known.insert(*process, program.to_owned());
        }
        let makes = ["clone(", "clone3(", "fork(", "vfork("].iter().any(|name| call.starts_with(name));
        let child = call.rsplit_once("= ").and_then(|(_, child)| child.trim().parse().ok()).filter(|_| makes);
        if let Some((child, parent)) = child.zip(known.get(process).cloned()) {
            known.entry(child).or_insert(parent);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_strace_is_read_with_and_without_errors() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n \
            60.00    0.600000           3       200        12 read\n \
            40.00    0.400000           4       100           fsync\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    1.000000           3       300        12 total\n";
        let counts = summary(text).expect("a table");
        assert_eq!((counts.total(), counts.syncs()), (300.0, 100.0));
        assert!(summary("").is_err());
    }

    #[test]
    fn calls_belong_to_the_program_that_a_process_runs() {
        let text = "10 read(5, \"\"..., 4096) = 17\n\
            10 clone3(0x7f, 88 <unfinished ...>\n\
            12  execve(\"/usr/libexec/cleanup\", 0x1, 0x2) = 0\n\
            12  +++ exited with 0 +++\n\
            10 <... clone3 resumed>) = 12\n\
            11 futex(0x1, FUTEX_WAIT) = 0\n\
            10 clone(child_stack=0) = 13\n\
            13 close(3) = 0\n";
        let known = HashMap::from([(10, "master".to_owned()), (11, "smtpd".to_owned())]);
        let Detail(programs) = Detail::parse(text, known);
        let counted = |program: &str| programs[program].total();
        assert_eq!((counted("master"), counted("smtpd"), counted("cleanup")), (4.0, 1.0, 1.0));
    }
}
