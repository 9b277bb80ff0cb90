//! swaks, the SMTP test client that operators use: a peer that we did not write.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

/// Runs swaks against `server` with further options; None when it is not installed.
pub fn swaks(server: SocketAddr, options: &[&str]) -> Option<Output> {
    let mut command = Command::new("swaks");
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    command.args(["--server", &ip, "--port", &port]).arg(if server.is_ipv6() { "-6" } else { "-4" });
    command.args(options).stdin(Stdio::null()).output().ok()
}
