//! System calls made by a running process of somebody else, as the code of an attacker inside it would make them: what
//! tests of walls are made of. It needs the right to trace (root), and registers of x86-64.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::libc::{c_long, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A process that is stopped, and does what it is told; dropped, it goes on where it was.
#[derive(Debug)]
pub struct Injected {
    pid: Pid,
    memory: File,
    saved: user_regs_struct,
    /// Where a `syscall` instruction is.
    gadget: u64,
}

/// An argument of a system call.
#[derive(Clone, Copy, Debug)]
pub enum Argument<'a> {
    /// A number, or a pointer that is none.
    Number(i64),
    /// A pointer to these bytes.
    Bytes(&'a [u8]),
}

/// How far below the stack the arguments are: well below the red zone of the present frame.
const BELOW_STACK: u64 = 0x4000;
/// Bytes of code that are looked through.
const MOST_CODE: u64 = 8 << 20;

impl Injected {
    /// Stops the process.
    pub fn attach(pid: i32) -> Injected {
        let process = Pid::from_raw(pid);
        ptrace::attach(process).unwrap_or_else(|e| panic!("ptrace {pid}: {e}"));
        wait(process);
        let children = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
        ptrace::setoptions(process, children).unwrap_or_else(|e| panic!("ptrace options of {pid}: {e}"));
        let saved = ptrace::getregs(process).unwrap_or_else(|e| panic!("registers of {pid}: {e}"));
        let path = format!("/proc/{pid}/mem");
        let memory = File::options().read(true).write(true).open(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let gadget = syscall_instruction(pid, &memory);
        Injected { pid: process, memory, saved, gadget }
    }

    /// Makes the process do one system call; its result, or the negative number of its error. A child that comes of it
    /// is ended.
    pub fn call(&self, number: c_long, arguments: &[Argument<'_>]) -> i64 {
        let mut regs = self.saved;
        regs.rax = number as u64;
        regs.orig_rax = u64::MAX;
        regs.rip = self.gadget;
        let scratch = (self.saved.rsp - BELOW_STACK) & !0xf;
        regs.rsp = scratch - BELOW_STACK;
        let values = self.place(arguments, scratch);
        (regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9) =
            (values[0], values[1], values[2], values[3], values[4], values[5]);
        ptrace::setregs(self.pid, regs).unwrap_or_else(|e| panic!("registers of {}: {e}", self.pid));
        loop {
            ptrace::step(self.pid, None).unwrap_or_else(|e| panic!("step {}: {e}", self.pid));
            match wait(self.pid) {
                WaitStatus::PtraceEvent(..) => self.end_child(),
                WaitStatus::Stopped(_, Signal::SIGTRAP) => break,
                // A signal that came in between is left out.
                WaitStatus::Stopped(..) => {}
                other => panic!("process {} is gone: {other:?}", self.pid),
            }
        }
        ptrace::getregs(self.pid).unwrap_or_else(|e| panic!("registers of {}: {e}", self.pid)).rax as i64
    }

    /// The six registers; bytes are put into the process's memory, one after the other.
    fn place(&self, arguments: &[Argument<'_>], scratch: u64) -> [u64; 6] {
        let (mut values, mut at) = ([0; 6], scratch);
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = match argument {
                Argument::Number(number) => *number as u64,
                Argument::Bytes(bytes) => {
                    let here = at;
                    self.memory.write_all_at(bytes, here).unwrap_or_else(|e| panic!("memory of {}: {e}", self.pid));
                    at += (bytes.len() as u64 + 31) & !0xf;
                    here
                }
            };
        }
        values
    }

    fn end_child(&self) {
        let child = ptrace::getevent(self.pid).unwrap_or_else(|e| panic!("child of {}: {e}", self.pid));
        let child = Pid::from_raw(child as i32);
        // It is ours to end: the process has just made it, and it is stopped.
        let _ = kill(child, Signal::SIGKILL);
        let _ = waitpid(child, Some(WaitPidFlag::__WALL));
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        // A process that is gone needs neither.
        let _ = ptrace::setregs(self.pid, self.saved);
        let _ = ptrace::detach(self.pid, None);
    }
}

fn wait(pid: Pid) -> WaitStatus {
    waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap_or_else(|e| panic!("wait for {pid}: {e}"))
}

/// The address of a `syscall` instruction in the code of the process.
fn syscall_instruction(pid: i32, memory: &File) -> u64 {
    let path = format!("/proc/{pid}/maps");
    let maps = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let code = maps.lines().filter(|line| line.contains(" r-xp ")).filter_map(|line| {
        let (start, end) = line.split_whitespace().next()?.split_once('-')?;
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    });
    for (start, end) in code {
        let mut bytes = vec![0; (end - start).min(MOST_CODE) as usize];
        if memory.read_exact_at(&mut bytes, start).is_ok()
            && let Some(at) = bytes.windows(2).position(|two| two == [0x0f, 0x05])
        {
            return start + at as u64;
        }
    }
    panic!("process {pid} has no system call instruction");
}
