//! biff: a user who is logged in and has asked for it (biff(1)) sees a line of new mail, which the comsat service of
//! this machine writes.
//!
//! It is told of mail that is there already: what becomes of the news makes no difference to anybody's delivery, and
//! nobody waits for it.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};

/// The port of comsat: `biff` in the table of services.
const COMSAT: u16 = 512;

/// Where the news goes.
pub struct Biff(Option<UdpSocket>);

impl Biff {
    /// Opens the socket, before the sandbox is entered: behind it there are no others.
    pub fn start(wanted: bool) -> Self {
        Biff(wanted.then(open).and_then(|opened| {
            opened.inspect_err(|error| logging::warning!("biff: {}", text::system_error(error))).ok()
        }))
    }

    /// A message of this user begins at this place of the mailbox file.
    pub fn tell(&self, user: &str, at: u64) {
        if let Some(socket) = &self.0 {
            // Where comsat is not, the next one hears of it, and so on.
            let _ = socket.send(format!("{user}@{at}\0").as_bytes());
        }
    }
}

fn open() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, COMSAT))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
