//! TCP ports that no other test of this machine takes at the same time.
//!
//! The kernel's own choice (port 0) comes from the range of outgoing connections and would be taken again by one of
//! them between choice and use; these ports come from below that range, and a lock file holds each.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// A port on 127.0.0.1 and ::1, free when it was reserved, ours until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Holds the lock.
    _lock: File,
}

const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

impl Port {
    /// Reserves a port.
    pub fn reserve() -> Port {
        let folder = locks();
        let start = std::process::id() as u16;
        for step in 0..COUNT {
            let number = FIRST + start.wrapping_mul(31).wrapping_add(step) % COUNT;
            let mut options = OpenOptions::new();
            let file =
                options.write(true).create(true).truncate(false).mode(0o666).open(folder.join(number.to_string()));
            let Ok(lock) = file else { continue };
            if lock.try_lock().is_ok() && is_free(number) {
                return Port { number, _lock: lock };
            }
        }
        panic!("all ports from {FIRST} to {} are in use", FIRST + COUNT);
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// One folder a user: lock files of another user could not be opened.
fn locks() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("postfix-rs-ports-{}", nix::unistd::getuid()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reserved_ports_differ() {
        let (a, b) = (Port::reserve(), Port::reserve());
        assert_ne!(a.number(), b.number());
    }
}
