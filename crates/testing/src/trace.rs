//! strace on all processes of an instance: what they ask of the kernel, in order or counted.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::instance::Instance;
use crate::wait::{PATIENCE, until_true};

/// A running strace. Processes that start later are followed.
#[derive(Debug)]
pub struct Trace {
    strace: Child,
    output: PathBuf,
}

impl Trace {
    /// Attaches with further options of strace; comes back when every process is traced.
    pub fn attach(instance: &Instance, options: &[&str]) -> Trace {
        let (output, said) = (instance.folder().join("trace"), instance.folder().join("trace.said"));
        let mut command = Command::new("strace");
        command.arg("-f").args(options).arg("-o").arg(&output);
        let processes = instance.processes();
        for process in &processes {
            command.args(["-p", &process.pid.to_string()]);
        }
        let stderr = fs::File::create(&said).unwrap_or_else(|e| panic!("{}: {e}", said.display()));
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        let trace = Trace { strace: spawned.unwrap_or_else(|e| panic!("strace: {e}")), output };
        // One that was at its end meanwhile, as the process of a delivery is, has nothing to tell.
        let is_traced = |told: &str, pid: i32| told.contains(&format!("Process {pid} attached")) || has_ended(pid);
        let attached = || {
            let told = fs::read_to_string(&said).unwrap_or_default();
            processes.iter().all(|process| is_traced(&told, process.pid))
        };
        assert!(until_true(PATIENCE, attached), "strace: {}", fs::read_to_string(&said).unwrap_or_default());
        trace
    }

    /// Detaches; what strace wrote.
    pub fn finish(mut self) -> String {
        let _ = kill(Pid::from_raw(self.strace.id() as i32), Signal::SIGINT);
        let _ = self.strace.wait();
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

/// The process is gone, or waits to be collected.
fn has_ended(pid: i32) -> bool {
    !fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
