//! The processes of one instance, as /proc shows them: those of the session that its master leads.

use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// One process at the moment it was looked at.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Name of its program, at most 15 characters.
    pub name: String,
    /// Its parent.
    pub parent: i32,
    session: i32,
    /// CPU time in clock ticks.
    own_ticks: u64,
    /// That of the children that it has reaped.
    reaped_ticks: u64,
    /// Resident memory in pages.
    pages: u64,
}

impl Process {
    /// All processes of the session of `leader`, the leader included.
    pub fn of_session(leader: i32) -> Vec<Process> {
        all().into_iter().filter(|p| p.session == leader).collect()
    }

    /// One process, if it is there.
    pub fn of_pid(pid: i32) -> Option<Process> {
        parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// CPU seconds that it has used itself, its ended children left out.
    pub fn cpu(&self) -> f64 {
        seconds(self.own_ticks)
    }

    /// How often its threads have given up the processor, or lost it.
    pub fn switches(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        tasks.map(|task| switches(&std::fs::read_to_string(task.path().join("status")).unwrap_or_default())).sum()
    }

    /// Ids of its threads.
    pub fn threads(&self) -> Vec<i32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        self.pages * setting(SysconfVar::PAGE_SIZE)
    }

    /// The most resident memory that it has had, in bytes.
    pub fn peak(&self) -> Option<u64> {
        let kilobytes: u64 = self.status("VmHWM")?.strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// Memory that is this process's share, in bytes: pages that several processes map are divided among them.
    pub fn proportional(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("Pss:"));
        line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
    }

    /// Sends it a signal; a process that is gone is no error.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.pid), signal);
    }

    /// The folder that is its `/`, as seen from here.
    pub fn root(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/{}/root", self.pid)).ok()
    }

    /// A line of its status, by the word that it begins with: `Seccomp`, `CapEff`.
    pub fn status(&self, key: &str) -> Option<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }

    /// Its arguments, its own name first.
    pub fn arguments(&self) -> Vec<String> {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    /// The user and group ids it runs with: effective user, effective group.
    pub fn effective_ids(&self) -> Option<(u32, u32)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let id = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)?.split_whitespace().nth(1)?.parse().ok());
        Some((id("Uid:")?, id("Gid:")?))
    }
}

/// CPU seconds that the processes of a session have used, those that are reaped included.
pub fn cpu_seconds(leader: i32) -> f64 {
    seconds(Process::of_session(leader).iter().map(|p| p.own_ticks + p.reaped_ticks).sum())
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / setting(SysconfVar::CLK_TCK) as f64
}

/// From proc(5), /proc/PID/task/TID/status: those that were wanted and those that were not.
fn switches(status: &str) -> u64 {
    let counts = status.lines().filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
    counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|e| Process::of_pid(e.file_name().to_str()?.parse().ok()?)).collect()
}

/// proc(5), /proc/PID/stat: the name in parentheses may contain anything, the rest is numbers. Zombies are gone.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    if fields.first() == Some(&"Z") {
        return None;
    }
    let (own_ticks, reaped_ticks) = (number(11)? + number(12)?, number(13)? + number(14)?);
    let (parent, session) = (number(1)? as i32, number(3)? as i32);
    Some(Process { pid, name: name.to_owned(), parent, session, own_ticks, reaped_ticks, pages: number(21)? })
}

fn setting(variable: SysconfVar) -> u64 {
    sysconf(variable).ok().flatten().unwrap_or(4096) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_parentheses_in_its_name_is_read() {
        let rest = "S 7 8 9 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 0 0 55 0";
        let process = parse(5, &format!("5 (a) b) {rest}")).expect("parsed");
        assert_eq!((process.name.as_str(), process.parent, process.session), ("a) b", 7, 9));
        assert_eq!((process.own_ticks, process.reaped_ticks, process.pages), (3, 7, 55));
    }

    #[test]
    fn both_kinds_of_context_switches_count() {
        let status = "Threads:\t1\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(switches(status), 15);
    }

    #[test]
    fn this_process_is_found_by_its_id() {
        let own = Process::of_pid(std::process::id() as i32).expect("found");
        assert!(own.resident() > 0 && own.peak() > Some(0));
    }
}
