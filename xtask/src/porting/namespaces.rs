//! Every method that this platform has, run on odd interfaces in network namespaces, and compared with what is there.
//!
//! That is one comparison for all pairs of methods: they differ only where the table says so. SIOCGIFCONF does not mark
//! interfaces that are down, and has no IPv6 on Linux; /proc/net/if_inet6 needs /proc, and keeps what was given to
//! them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use net::discover::Method;
use testing::accounts::is_root;

use super::Verdict;
use super::worlds::{self, Kind, World};
use crate::failure::{Failure, Outcome};
use crate::packages::{self, Tool};
use crate::workspace;

const TOOLS: [Tool; 2] =
    [Tool::Program { name: "ip", package: "iproute2" }, Tool::Program { name: "unshare", package: "util-linux" }];

/// Whether all methods find what is there, in all worlds.
pub(super) fn check() -> Outcome<Verdict> {
    if !cfg!(target_os = "linux") {
        return Ok(Verdict::Untried("no Linux"));
    }
    if !is_root() {
        println!("left out, for it needs root: methods in network namespaces");
        return Ok(Verdict::Untried("needs root"));
    }
    packages::ensure(&TOOLS)?;
    let program = program()?;
    let (mut verdict, worlds) = (Verdict::Yes, worlds::all());
    for world in &worlds {
        for (method, found) in run(&program, world)? {
            let expected = expected(&program, world, method);
            if found != expected {
                println!("{}: {method} differs", world.name);
                print_differences(&expected, &found);
                verdict = Verdict::No;
            }
        }
    }
    println!("{} methods in {} network namespaces", Method::all_here().len(), worlds.len());
    Ok(verdict)
}

fn program() -> Outcome<PathBuf> {
    workspace::cargo(&["build", "--quiet", "--package", "inet_addr_local"])?;
    Ok(workspace::target().join("debug/inet_addr_local"))
}

/// What a run of the program says: addresses of each family sorted, for their order is the system's; then its remarks.
#[derive(PartialEq, Eq)]
struct Report {
    v4: Vec<String>,
    v6: Vec<String>,
    remarks: Vec<String>,
    status: String,
}

/// Sets the world up and runs the program once a method.
fn run(program: &Path, world: &World) -> Outcome<Vec<(Method, Report)>> {
    let mut script = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad\n".to_owned();
    for line in &world.setup {
        script.push_str(&format!("{line} || exit 99\n"));
    }
    let before = match world.kind {
        Kind::Usual => "",
        Kind::NoProc => {
            script.push_str("mount -t tmpfs none /proc || exit 99\n");
            ""
        }
        Kind::NoIpv6 => "\"$XTASK\" without-ipv6 ",
    };
    for method in Method::all_here() {
        script.push_str(&format!(
            "echo \"= {method}\"; {before}\"$PROGRAM\" --method {method} 2>&1; echo \"status $?\"\n"
        ));
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--propagation", "private", "sh", "-c", &script]).env("PROGRAM", program);
    command.env("XTASK", std::env::current_exe()?);
    let output = command.stdin(Stdio::null()).output().map_err(|error| Failure::about("unshare", error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::about(format!("network namespace \"{}\"", world.name), said.trim()));
    }
    let mut found = Vec::new();
    for part in text.split("= ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        let method = Method::named(name).ok_or_else(|| Failure::about("no method", name))?;
        found.push((method, read(program, text)));
    }
    Ok(found)
}

fn read(program: &Path, text: &str) -> Report {
    let mut report = Report { v4: Vec::new(), v6: Vec::new(), remarks: Vec::new(), status: String::new() };
    let prefix = format!("{}: ", program.display());
    for line in text.lines() {
        if let Some(remark) = line.strip_prefix(&prefix) {
            report.remarks.push(remark.to_owned());
        } else if let Some(status) = line.strip_prefix("status ") {
            status.clone_into(&mut report.status);
        } else if line.contains(':') {
            report.v6.push(line.to_owned());
        } else {
            report.v4.push(line.to_owned());
        }
    }
    report.v4.sort();
    report.v6.sort();
    report
}

/// What the method must say about this world.
fn expected(program: &Path, world: &World, method: Method) -> Report {
    let ipv6 = world.kind != Kind::NoIpv6;
    let mut v4 = masked(&world.v4);
    let (kept_v6, kept_v4): (Vec<_>, Vec<_>) = masked(&world.down).into_iter().partition(|line| line.contains(':'));
    if method != Method::Getifaddrs {
        v4.extend(kept_v4);
    }
    let v6 = match method {
        Method::Siocgif => Vec::new(),
        Method::Procnet if world.kind == Kind::NoProc => Vec::new(),
        _ if !ipv6 => Vec::new(),
        Method::Procnet => [masked(&world.v6), kept_v6].concat(),
        _ => masked(&world.v6),
    };
    let mut remarks = vec!["name_mask: all".to_owned()];
    if !ipv6 {
        let why = "disabling IPv6 name/address support: Address family not supported by protocol";
        remarks.push(format!("warning: {}: {why}", program.display()));
    }
    remarks.push(format!("inet_addr_local: configured {} IPv4 addresses", v4.len()));
    if method == Method::Procnet && world.kind == Kind::NoProc {
        let why = "can't open /proc/net/if_inet6 (No such file or directory) - skipping IPv6 configuration";
        remarks.push(format!("warning: {why}"));
    }
    if ipv6 {
        remarks.push(format!("inet_addr_local: configured {} IPv6 addresses", v6.len()));
    }
    let mut report = Report { v4, v6, remarks, status: "0".to_owned() };
    match report.v4.len() + report.v6.len() {
        0 => {
            report.remarks.push("fatal: cannot find any active network interfaces".to_owned());
            report.status = "1".to_owned();
        }
        1 => report.remarks.push("warning: found only one active network interface".to_owned()),
        _ => {}
    }
    report.v4.sort();
    report.v6.sort();
    report
}

/// `10.1.2.3/255.255.255.0` of `10.1.2.3/24`.
fn masked(list: &[String]) -> Vec<String> {
    let mask = |item: &String| {
        let (address, length) = item.split_once('/').unwrap_or((item, ""));
        let length: u8 = length.parse().unwrap_or(0);
        let ones = if address.contains(':') { IpAddr::from([0xff; 16]) } else { IpAddr::from([0xff; 4]) };
        format!("{address}/{}", net::Shown(net::Cidr::around(ones, length).network()))
    };
    list.iter().map(mask).collect()
}

fn print_differences(expected: &Report, found: &Report) {
    let lines = |report: &Report| {
        [&report.v4[..], &report.v6, &report.remarks, &[format!("status {}", report.status)]].concat()
    };
    let (expected, found) = (lines(expected), lines(found));
    for line in expected.iter().filter(|line| !found.contains(line)) {
        println!("  missing: {line}");
    }
    for line in found.iter().filter(|line| !expected.contains(line)) {
        println!("  extra:   {line}");
    }
}
