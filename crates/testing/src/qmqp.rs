//! A QMQP client that says what it is told and shows the answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::wait::PATIENCE;

/// A netstring of these bytes.
pub fn netstring(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{}:", bytes.len()).as_bytes(), bytes, b","].concat()
}

/// A whole request.
pub fn request(content: impl AsRef<[u8]>, sender: &str, recipients: &[&str]) -> Vec<u8> {
    let addresses = std::iter::once(&sender).chain(recipients).flat_map(netstring);
    netstring(netstring(content).into_iter().chain(addresses).collect::<Vec<u8>>())
}

/// A message over QMQP; the answer, without what makes it a netstring.
pub fn send(server: SocketAddr, content: impl AsRef<[u8]>, sender: &str, recipients: &[&str]) -> String {
    say(server, &request(content, sender, recipients)).unwrap_or_else(|error| panic!("no answer: {error}"))
}

/// These bytes; the answer, without what makes it a netstring, or nothing where the server ends the connection without
/// one.
pub fn say(server: SocketAddr, bytes: &[u8]) -> io::Result<String> {
    let mut session = connect(server)?;
    // A server that has heard enough may be gone.
    let _ = session.write_all(bytes);
    answer(session)
}

/// The same, and nothing more will come.
pub fn say_and_end(server: SocketAddr, bytes: &[u8]) -> io::Result<String> {
    let mut session = connect(server)?;
    let _ = session.write_all(bytes);
    let _ = session.shutdown(Shutdown::Write);
    answer(session)
}

/// A connection.
pub fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let session = TcpStream::connect(server)?;
    session.set_read_timeout(Some(PATIENCE))?;
    Ok(session)
}

/// What the server says to the end.
pub fn answer(mut session: TcpStream) -> io::Result<String> {
    let mut heard = Vec::new();
    let ended = session.read_to_end(&mut heard);
    // Bytes that the server has not read make its end of the connection a reset.
    if let Err(error) = ended
        && heard.is_empty()
        && error.kind() != io::ErrorKind::ConnectionReset
    {
        return Err(error);
    }
    let text = String::from_utf8_lossy(&heard).into_owned();
    let Some((length, rest)) = text.split_once(':') else { return Ok(text) };
    let within = rest.strip_suffix(',').filter(|within| length == within.len().to_string());
    within.map(str::to_owned).ok_or_else(|| io::Error::other(format!("no netstring: {text}")))
}
