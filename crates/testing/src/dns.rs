//! A real DNS server with the records of one test: dnsmasq on port 53 of the thread's own network (`World`).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait::{PATIENCE, until_true};

/// Records to serve; started with `start`.
#[derive(Debug, Default)]
pub struct Zone {
    options: Vec<String>,
}

/// A running server; dropped, it ends.
#[derive(Debug)]
pub struct DnsServer {
    process: Child,
}

impl Zone {
    /// No records: every name of `.test` does not exist.
    pub fn new() -> Zone {
        Zone::default()
    }

    /// A mail exchanger.
    pub fn mx(mut self, domain: &str, host: &str, preference: u16) -> Zone {
        self.options.push(format!("--mx-host={domain},{host},{preference}"));
        self
    }

    /// Addresses of a host, of either protocol.
    pub fn host(mut self, name: &str, addresses: &[&str]) -> Zone {
        self.options.extend(addresses.iter().map(|address| format!("--host-record={name},{address}")));
        self
    }

    /// Another name of a host whose addresses are here too.
    pub fn alias(mut self, alias: &str, name: &str) -> Zone {
        self.options.push(format!("--cname={alias},{name}"));
        self
    }

    /// A text.
    pub fn txt(mut self, name: &str, text: &str) -> Zone {
        self.options.push(format!("--txt-record={name},{text}"));
        self
    }

    /// Starts the server and waits until it answers.
    pub fn start(self) -> DnsServer {
        let mut command = Command::new("dnsmasq");
        let fixed = [
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--user=root",
            "--pid-file=",
            "--conf-file=/dev/null",
        ];
        command.args(fixed).args(["--port=53", "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/"]);
        let process =
            command.args(self.options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = DnsServer { process: process.unwrap_or_else(|e| panic!("dnsmasq: {e}")) };
        // About `a.test`.
        let question = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";
        let port = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        assert!(until_true(PATIENCE, || answers(question, port)), "dnsmasq does not answer");
        server
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether anything comes back from a question (RFC 1035 4.1).
pub(crate) fn answers(question: &[u8], server: SocketAddr) -> bool {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return false };
    let asked =
        socket.set_read_timeout(Some(Duration::from_millis(100))).is_ok() && socket.send_to(question, server).is_ok();
    asked && socket.recv(&mut [0; 512]).is_ok()
}
