//! A program in a kernel without IPv6: a system-call filter refuses sockets of that family, as such a kernel does.
//!
//! `disable_ipv6` is another thing: with it there are sockets, and no addresses.

use std::os::unix::process::CommandExt;
use std::process::Command;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::failure::{Failure, Outcome};

/// Becomes the program, which is refused sockets of IPv6; returns only if that fails.
pub fn without_ipv6(command: &[String]) -> Outcome {
    let Some((program, arguments)) = command.split_first() else { return Err(Failure("no program".to_owned())) };
    let filter = filter().map_err(|error| Failure::about("system-call filter", error))?;
    seccompiler::apply_filter(&filter).map_err(|error| Failure::about("system-call filter", error))?;
    Err(Failure::about(program, Command::new(program).args(arguments).exec()))
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let family = u64::from(nix::libc::AF_INET6.unsigned_abs());
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family)?;
    let rules = [(nix::libc::SYS_socket, vec![SeccompRule::new(vec![condition])?])];
    let refusal = SeccompAction::Errno(nix::libc::EAFNOSUPPORT.unsigned_abs());
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules.into_iter().collect(), SeccompAction::Allow, refusal, machine)?.try_into()
}
