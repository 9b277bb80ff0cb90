//! Networks of cases: interfaces made by commands, DNS on port 53, the system's log; and programs that are refused
//! sockets of a family, as by a kernel without it.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use testing::wait::until_true;
use testing::{NameServer, SystemLog, World};
use toml::Table;

use crate::case::Case;

/// The network that the calling thread is in.
pub struct Network {
    /// What programs send to /dev/log.
    pub log: SystemLog,
    /// Who answers on port 53, where there is a loopback address.
    pub dns: Option<NameServer>,
    _world: World,
}

/// Plays a group in a thread and a network of its own.
pub fn in_own(
    lines: &[String],
    zone: &[String],
    cases: &[Case],
    play: fn(&Network, &[Case]) -> Vec<Table>,
) -> Vec<Table> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| play(&Network::enter(lines, zone), cases));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Network {
    fn enter(lines: &[String], zone: &[String]) -> Network {
        let world = World::enter().unwrap_or_else(|| panic!("no network of its own"));
        world.file(
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
        );
        let log = world.system_log();
        lines.iter().for_each(|line| shell(line));
        settle(lines);
        let has_loopback = !lines.iter().any(|line| line.contains("lo down"));
        let dns = has_loopback.then(|| NameServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)), zone));
        Network { log, dns, _world: world }
    }

    /// Listening TCP sockets, `[::]:25`, but for the DNS server's.
    pub fn listeners(&self) -> Vec<String> {
        let output = Command::new("ss").arg("-Hltn").output().unwrap_or_else(|e| panic!("ss: {e}"));
        let text = String::from_utf8_lossy(&output.stdout);
        let mut found: Vec<String> = text
            .lines()
            .filter_map(|line| line.split_whitespace().nth(3))
            .filter(|address| !address.ends_with(":53"))
            .map(str::to_owned)
            .collect();
        found.sort();
        found
    }
}

fn shell(line: &str) {
    if let Some((name, value)) = line.strip_prefix("sysctl -qw ").and_then(|setting| setting.split_once('=')) {
        let file = format!("/proc/sys/{}", name.replace('.', "/"));
        std::fs::write(&file, value).unwrap_or_else(|e| panic!("{file}: {e}"));
        return;
    }
    let output = Command::new("sh").args(["-c", line]).output().unwrap_or_else(|e| panic!("sh: {e}"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until the addresses that the kernel gives by itself are there.
fn settle(lines: &[String]) {
    let any = |text: &str| lines.iter().any(|line| line.contains(text));
    let link_local = any("link set e0 up")
        && !["disable_ipv6", "e0 addrgenmode none", "set e0 down", "tuntap"].iter().any(|text| any(text));
    let addresses = || Command::new("ip").args(["-o", "addr"]).output().map(|output| output.stdout).unwrap_or_default();
    let mut last = Vec::new();
    until_true(Duration::from_secs(5), || {
        let now = addresses();
        let text = String::from_utf8_lossy(&now);
        let ready = now == last && !text.contains("tentative") && (!link_local || text.contains("fe80::"));
        last = now;
        ready
    });
}

/// Starts a program that gets no sockets of some families. `wrap` names the families and the error.
pub fn spawn(mut command: Command, wrap: &str) -> std::io::Result<Child> {
    command.stdin(Stdio::null());
    // EAFNOSUPPORT, EPROTONOSUPPORT, EMFILE
    let denied: &[(u64, u32)] = match wrap {
        "" => return command.spawn(),
        "no-ipv6-sockets" => &[(INET6, 97)],
        "no-ipv4-sockets" => &[(INET, 97)],
        "no-ip-sockets" => &[(INET6, 97), (INET, 97)],
        "ipv6-eprotonosupport" => &[(INET6, 93)],
        "ipv6-emfile" => &[(INET6, 24)],
        other => panic!("no such wrap: {other}"),
    };
    // The filter is that of a thread, and of what it starts.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            denied.iter().for_each(|(family, error)| deny(*family, *error));
            command.spawn()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

const INET: u64 = nix::libc::AF_INET as u64;
const INET6: u64 = nix::libc::AF_INET6 as u64;

fn deny(family: u64, error: u32) {
    let filter = || -> Result<BpfProgram, seccompiler::BackendError> {
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family)?;
        let rules = [(nix::libc::SYS_socket, vec![SeccompRule::new(vec![condition])?])].into_iter().collect();
        let arch = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error), arch)?.try_into()
    };
    let program = filter().unwrap_or_else(|e| panic!("filter: {e}"));
    seccompiler::apply_filter(&program).unwrap_or_else(|e| panic!("filter: {e}"));
}
