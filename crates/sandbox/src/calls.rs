//! seccomp: the system calls that can be made, and with which arguments. Everything else fails with EPERM.
//!
//! The tables ([`table`]) are lists of calls by purpose, so that a reader can see what a process gets and why. What an
//! argument points to is out of a filter's sight: a call whose rights hide behind a pointer is left out.

mod table;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::{Needs, SandboxError};

/// A call, and the sets of conditions of which one must hold for its arguments; no sets: any arguments.
pub(crate) type Rule = (libc::c_long, Vec<Vec<Condition>>);

/// What one argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Which argument, from 0.
    argument: u8,
    /// The bits that count. An argument of 32 bits has no others: the kernel does not look at them either.
    mask: u64,
    /// What these bits must be.
    value: u64,
}

impl Condition {
    /// An argument of 32 bits with this value.
    pub(crate) fn is(argument: u8, value: libc::c_int) -> Self {
        Self { argument, mask: u32::MAX.into(), value: u64::from(value as u32) }
    }

    /// The bits of `mask` are these.
    pub(crate) fn bits(argument: u8, mask: u32, value: u32) -> Self {
        Self { argument, mask: mask.into(), value: value.into() }
    }

    /// A null pointer.
    pub(crate) fn is_null(argument: u8) -> Self {
        Self { argument, mask: u64::MAX, value: 0 }
    }

    fn compiled(self) -> Result<SeccompCondition, seccompiler::BackendError> {
        let length = if self.mask > u32::MAX.into() { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
        let operator = match self.mask {
            mask if mask == u64::MAX || mask == u64::from(u32::MAX) => SeccompCmpOp::Eq,
            mask => SeccompCmpOp::MaskedEq(mask),
        };
        SeccompCondition::new(self.argument, length, operator, self.value)
    }
}

/// Compiled filters, in the order in which they are installed.
pub(crate) struct Filter(Vec<BpfProgram>);

/// Whether filters can be made for this machine's instruction set.
pub(crate) fn is_known_machine() -> bool {
    TargetArch::try_from(std::env::consts::ARCH).is_ok()
}

impl Filter {
    /// The filter for what a process needs; none where the machine's architecture is not known to the library or the
    /// kernel has no filters.
    pub(crate) fn compile(needs: &Needs) -> Result<Option<Self>, SandboxError> {
        let Ok(machine) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(None) };
        if !sys::kernel::has_seccomp() {
            return Ok(None);
        }
        let failed = |error| SandboxError(format!("the filter of system calls does not compile: {error}"));
        let absent = program(table::absent(), SeccompAction::Allow, libc::ENOSYS, machine).map_err(failed)?;
        let denied = SeccompAction::Errno(libc::EPERM as u32);
        let listed = compile(table::of(needs), denied, SeccompAction::Allow, machine).map_err(failed)?;
        Ok(Some(Self(vec![absent, listed])))
    }

    pub(crate) fn install(self) -> Result<(), SandboxError> {
        for program in &self.0 {
            seccompiler::apply_filter_all_threads(program)
                .map_err(|error| SandboxError(format!("system calls cannot be restricted: {error}")))?;
        }
        Ok(())
    }
}

/// A filter that fails the listed calls with an error and has no opinion on others.
fn program(
    rules: Vec<Rule>,
    others: SeccompAction,
    errno: libc::c_int,
    machine: TargetArch,
) -> Result<BpfProgram, seccompiler::BackendError> {
    compile(rules, others, SeccompAction::Errno(errno as u32), machine)
}

fn compile(
    rules: Vec<Rule>,
    others: SeccompAction,
    listed: SeccompAction,
    machine: TargetArch,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut compiled: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (call, alternatives) in rules {
        let alternatives = alternatives.into_iter().map(|conditions| {
            let conditions = conditions.into_iter().map(Condition::compiled).collect::<Result<_, _>>()?;
            SeccompRule::new(conditions)
        });
        compiled.insert(call, alternatives.collect::<Result<_, _>>()?);
    }
    SeccompFilter::new(compiled, others, listed, machine)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use crate::Reach;

    fn profiles() -> Vec<Needs> {
        let nothing = Needs::default();
        let reads = Needs { paths: vec![(PathBuf::from("/etc"), Reach::Read)], ..Needs::default() };
        let writes =
            Needs { paths: vec![(PathBuf::from("incoming"), Reach::Write)], threads: true, ..Needs::default() };
        let everything = Needs { internet: true, routes: true, threads: true, loads_code: true, ..writes.clone() };
        vec![nothing, reads, writes, everything]
    }

    #[test]
    fn the_tables_compile_for_everything_that_a_process_can_need() {
        for machine in [TargetArch::x86_64, TargetArch::aarch64, TargetArch::riscv64] {
            for needs in profiles() {
                let denied = SeccompAction::Errno(libc::EPERM as u32);
                compile(table::of(&needs), denied, SeccompAction::Allow, machine).unwrap();
            }
        }
    }

    #[test]
    fn no_call_has_two_rules() {
        // The later one would replace the earlier one, and its arguments would be free.
        for needs in profiles() {
            let mut calls: Vec<_> = table::of(&needs).into_iter().map(|(call, _)| call).collect();
            calls.sort_unstable();
            let twice: Vec<_> = calls.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(twice.is_empty(), "{twice:?}");
        }
    }

    #[test]
    fn what_is_needed_only_adds_calls() {
        let calls = |needs: &Needs| table::of(needs).into_iter().map(|(call, _)| call).collect::<Vec<_>>();
        let all = calls(&profiles()[3]);
        for needs in profiles() {
            assert!(calls(&needs).iter().all(|call| all.contains(call)));
        }
    }
}
