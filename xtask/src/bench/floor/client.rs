//! A client of the floor program: every command is good, and content ends with a line of a dot.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

/// One session.
pub struct Session {
    stream: TcpStream,
    inbox: Vec<u8>,
    in_content: bool,
}

const END: &[u8] = b"\r\n.\r\n";

impl Session {
    pub fn greet(mut stream: TcpStream) -> io::Result<Session> {
        stream.set_nodelay(true)?;
        stream.write_all(b"220 floor.test ESMTP\r\n")?;
        Ok(Session { stream, inbox: Vec::new(), in_content: false })
    }

    /// Reads what has come, and answers commands. A message that is complete is given out, and not answered yet.
    pub fn turn(&mut self) -> io::Result<Option<Vec<u8>>> {
        read(&mut self.stream, &mut self.inbox)?;
        let mut replies = Vec::new();
        while !self.in_content
            && let Some(end) = self.inbox.iter().position(|byte| *byte == b'\n')
        {
            let line: Vec<u8> = self.inbox.drain(..=end).collect();
            self.in_content = line.starts_with(b"DATA");
            replies.extend_from_slice(if self.in_content { b"354 go on\r\n" } else { b"250 Ok\r\n" });
        }
        if !replies.is_empty() {
            self.stream.write_all(&replies)?;
        }
        let complete = self.in_content && self.inbox.ends_with(END);
        Ok(complete.then(|| std::mem::take(&mut self.inbox)))
    }

    /// The message is on stable storage.
    pub fn taken(&mut self) -> io::Result<()> {
        self.in_content = false;
        self.stream.write_all(b"250 2.0.0 Ok\r\n")
    }
}

/// Reads once, as edge-triggered sockets want it: until less comes than there is room for.
pub fn read(stream: &mut TcpStream, inbox: &mut Vec<u8>) -> io::Result<()> {
    let mut room = [0; 8192];
    loop {
        match stream.read(&mut room) {
            Ok(count) => {
                inbox.extend_from_slice(&room[..count]);
                if count < room.len() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
