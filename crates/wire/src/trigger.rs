//! Triggers: one-letter requests to pickup, qmgr and flush, without an answer.
//!
//! The client connects, writes the letters, then a NUL, and keeps the socket until the server closes it; the server
//! reads at most [`MAX_REQUEST`] bytes and closes.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Most bytes that a server reads of one trigger.
/// told: nobody; as with Postfix, and each letter means the same however often it comes.
pub const MAX_REQUEST: usize = 1024;

/// `W`: wake up; look for work now.
pub const WAKEUP: u8 = b'W';
/// `I`: scan the incoming queue.
pub const INCOMING: u8 = b'I';
/// `D`: scan the deferred queue.
pub const DEFERRED: u8 = b'D';
/// `F`: forget which destinations and transports do not answer.
pub const FLUSH_DEAD: u8 = b'F';
/// `A`: whatever the time of the next attempt.
pub const IGNORE_TIME: u8 = b'A';

/// Sends a trigger and waits until the server has closed the connection, or for `patience`.
///
/// # Errors
/// The service cannot be reached or does not take the request.
pub fn send(socket: &Path, request: &[u8], patience: Duration) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_read_timeout(Some(patience))?;
    write(&mut stream, request)?;
    // The server closes without an answer: the end of the stream, a time-out and a reset all mean that it was told.
    let _ = stream.read(&mut [0]);
    Ok(())
}

/// Sends a trigger and does not wait for the server: for a caller whose work is done and safe, and who only wants to
/// save the server the time until it looks by itself.
///
/// # Errors
/// The service cannot be reached or does not take the request for so long.
pub fn post(socket: &Path, request: &[u8], patience: Duration) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(patience))?;
    write(&mut stream, request)
}

/// The letters and the NUL at once: a server may close when it has read the first of them.
fn write(stream: &mut UnixStream, request: &[u8]) -> io::Result<()> {
    let mut letters = request.to_vec();
    letters.push(0);
    stream.write_all(&letters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn the_server_sees_the_letters_and_a_nul() {
        let path = std::env::temp_dir().join(format!("trigger-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 5];
            stream.read_exact(&mut request).unwrap();
            request
        });
        send(&path, &[FLUSH_DEAD, IGNORE_TIME, DEFERRED, INCOMING], Duration::from_secs(10)).unwrap();
        assert_eq!(&server.join().unwrap(), b"FADI\0");
        std::fs::remove_file(path).unwrap();
    }
}
