//! The bytes of one session: read in the largest pieces there are, written once a group of replies.
//!
//! An idle connection holds no buffer: bytes are read into one that all sessions of the process share, and the session
//! keeps only what it has not used yet.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv};
use smtp_protocol::{Input, Newline, Reply};
use smtp_server::CommandLine;
use tls::{HandshakeError, Server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use zeroize::{Zeroize, Zeroizing};

/// Bytes read at once.
const READ_SIZE: usize = 64 << 10;
/// Replies that may wait while the client sends more commands; beyond it they are sent at once.
/// told: nobody; it goes out.
const OUTPUT_LIMIT: usize = 16 << 10;

thread_local! {
    static SHARED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
}

/// Why a connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The client closed it, or the network did.
    Lost,
    /// The client said nothing, or did not read, within smtpd_timeout.
    TimedOut,
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    /// What stands between the stream and the rest once nobody can listen.
    tls: Option<Box<tls::Session>>,
    input: Input,
    output: Vec<u8>,
    limit: Duration,
    deadline: Deadline,
    timer: Timer,
}

/// One timer for the whole session, moved only when it goes off too early: setting one for every read would wake the
/// runtime's own poll each time.
struct Timer(Pin<Box<Sleep>>);

impl Timer {
    fn new(end: Instant) -> Timer {
        Timer(Box::pin(sleep_until(end)))
    }

    /// Ready when `end` has come.
    fn poll(&mut self, end: Instant, cx: &mut std::task::Context<'_>) -> Poll<()> {
        if end < self.0.deadline() {
            self.0.as_mut().reset(end);
        }
        loop {
            std::task::ready!(self.0.as_mut().poll(cx));
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(end);
        }
    }
}

/// How long one request may take altogether. smtpd_per_request_deadline
#[derive(Clone, Copy, Debug)]
enum Deadline {
    /// Only each read and write is limited.
    None,
    /// Whole requests are limited, and this is when the present one is over.
    Until(Instant),
}

impl Connection {
    /// `limit` (smtpd_timeout) is what one read or write may take; with `per_request` (smtpd_per_request_deadline) it
    /// is what all of them may take for one request.
    pub fn new(stream: TcpStream, limit: Duration, per_request: bool) -> Connection {
        let deadline = if per_request { Deadline::Until(Instant::now() + limit) } else { Deadline::None };
        let timer = Timer::new(Instant::now() + limit);
        Connection { stream, tls: None, input: Input::new(), output: Vec::new(), limit, deadline, timer }
    }

    /// A new request begins.
    pub fn begin_request(&mut self) {
        if let Deadline::Until(end) = &mut self.deadline {
            *end = Instant::now() + self.limit;
        }
    }

    /// Content came: the client earns time for it, at `rate` bytes a second, up to a whole new request.
    /// smtpd_min_data_rate
    pub fn earn_time(&mut self, bytes: usize, rate: u64) {
        if let Deadline::Until(end) = &mut self.deadline {
            let earned = Duration::from_millis((bytes as u64).saturating_mul(1000) / rate.max(1));
            *end = (*end + earned).min(Instant::now() + self.limit);
        }
    }

    /// When the client is given up.
    fn end(&self) -> Instant {
        match self.deadline {
            Deadline::None => Instant::now() + self.limit,
            Deadline::Until(end) => end,
        }
    }

    /// Bytes that the client has sent and that are not used yet.
    pub fn pending(&self) -> &[u8] {
        self.input.pending()
    }

    /// Takes pending bytes away.
    pub fn consume(&mut self, count: usize) {
        self.input.consume(count);
    }

    /// Adds a reply to those that go out together; gives its bytes.
    pub fn queue(&mut self, reply: &Reply) -> &[u8] {
        let start = self.output.len();
        reply.write(&mut self.output);
        &self.output[start..]
    }

    /// The next command line. A line longer than `limit` is cut there and the rest skipped. line_length_limit.
    ///
    /// # Errors
    /// The client is gone before the end of the line.
    pub async fn command_line(&mut self, limit: usize, newline: Newline) -> Result<CommandLine, Gone> {
        let mut kept: Option<CommandLine> = None;
        self.begin_request();
        loop {
            if let Some(line) = self.input.line(newline) {
                return Ok(CommandLine::finished(kept, line, limit));
            }
            let waiting = self.input.pending();
            if waiting.len() > limit {
                let length = waiting.len();
                CommandLine::extend(&mut kept, waiting, limit);
                self.input.consume(length);
            }
            self.more().await?;
        }
    }

    /// Wipes what was read and used: a secret was in it.
    pub fn forget(&mut self) {
        self.input.wipe_used();
        SHARED.with_borrow_mut(|shared| shared.zeroize());
        SHARED.with_borrow_mut(|shared| shared.resize(READ_SIZE, 0));
    }

    /// What the client has sent before it was greeted. The socket itself is asked: tokio knows nothing of one that it
    /// has not waited for yet.
    pub fn early_input(&mut self) -> &[u8] {
        let (stream, input) = (&self.stream, &mut self.input);
        SHARED.with_borrow_mut(|shared| {
            if let Ok(count) = recv(stream.as_raw_fd(), shared, MsgFlags::MSG_DONTWAIT) {
                input.push(&shared[..count]);
            }
        });
        self.input.pending()
    }

    /// Takes the client through a TLS handshake, after the replies that wait. What it has sent before that is thrown
    /// away: somebody else may have put it there. `limit`: smtpd_starttls_timeout. `client`: its name in log lines.
    ///
    /// # Errors
    /// There is no session; logged.
    pub async fn start_tls(
        &mut self,
        server: &Server,
        client: &str,
        limit: Duration,
    ) -> Result<tls::Accepted, HandshakeError> {
        if self.flush().await.is_err() {
            return Err(HandshakeError::Lost);
        }
        self.input = Input::new();
        server.accept(&mut self.stream, client, limit).await
    }

    /// From here on everything goes through a session of TLS.
    pub fn secure(&mut self, session: tls::Session) {
        self.tls = Some(Box::new(session));
    }

    /// Sends what waits to be sent, then waits for more bytes.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn more(&mut self) -> Result<(), Gone> {
        loop {
            self.flush().await?;
            self.input.release();
            if self.read().await? {
                return Ok(());
            }
        }
    }

    /// Reads once; false if what came was the business of TLS alone.
    async fn read(&mut self) -> Result<bool, Gone> {
        let end = self.end();
        let Connection { stream, tls, input, timer, .. } = self;
        if let Some(session) = tls
            && take(session, &[], input)?
        {
            return Ok(true);
        }
        poll_fn(|cx| {
            let read = SHARED.with_borrow_mut(|shared| {
                let mut buffer = ReadBuf::new(shared);
                let result = std::task::ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
                Poll::Ready(result.map_err(|_| Gone::Lost).and_then(|()| match (buffer.filled(), &mut *tls) {
                    ([], _) => Err(Gone::Lost),
                    (wire, Some(session)) => take(session, wire, input),
                    (plain, None) => {
                        input.push(plain);
                        Ok(true)
                    }
                }))
            });
            match read {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => timer.poll(end, cx).map(|()| Err(Gone::TimedOut)),
            }
        })
        .await
    }

    /// Sends the replies that wait.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        let mut output = std::mem::take(&mut self.output);
        if let Some(session) = &mut self.tls {
            let plain = std::mem::take(&mut output);
            session.pending(&mut output);
            session.send(&plain, &mut output);
        }
        if output.is_empty() { Ok(()) } else { self.write(&output).await }
    }

    async fn write(&mut self, output: &[u8]) -> Result<(), Gone> {
        let end = self.end();
        let (stream, timer) = (&mut self.stream, &mut self.timer);
        let mut write = pin!(stream.write_all(output));
        poll_fn(|cx| match write.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Gone::Lost)),
            Poll::Pending => timer.poll(end, cx).map(|()| Err(Gone::TimedOut)),
        })
        .await
    }

    /// Sends the replies when they have become many.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn flush_if_large(&mut self) -> Result<(), Gone> {
        if self.output.len() < OUTPUT_LIMIT { Ok(()) } else { self.flush().await }
    }

    /// Ends the connection after the last reply. `patience`: how long the client's last word is waited for, under TLS.
    /// Errors make no difference any more.
    pub async fn close(mut self, patience: Duration) -> io::Result<()> {
        let _ = self.flush().await;
        if let Some(mut session) = self.tls.take() {
            let mut wire = Vec::new();
            session.close(&mut wire);
            let _ = self.write(&wire).await;
            if !patience.is_zero() {
                let _ = tokio::time::timeout(patience, last_word(&mut self.stream, &mut session)).await;
            }
        }
        self.stream.shutdown().await
    }
}

/// Takes bytes from the network into a session of TLS; false if there is no plain text among them.
fn take(session: &mut tls::Session, wire: &[u8], input: &mut Input) -> Result<bool, Gone> {
    // It may be a password.
    let mut plain = Zeroizing::new(Vec::new());
    let goes_on = session.receive(wire, &mut plain).map_err(|broken| {
        logging::warning!("TLS library problem: {broken}");
        Gone::Lost
    })?;
    input.push(&plain);
    match plain.is_empty() {
        false => Ok(true),
        true if goes_on => Ok(false),
        true => Err(Gone::Lost),
    }
}

/// Waits until the client has said that nothing follows, or has closed the connection. tls_fast_shutdown_enable
async fn last_word(stream: &mut TcpStream, session: &mut tls::Session) {
    let mut buffer = vec![0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if !matches!(session.receive(buffer.get(..count).unwrap_or_default(), &mut Vec::new()), Ok(true)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (client, Connection::new(server, Duration::from_secs(5), false))
    }

    #[tokio::test]
    async fn a_line_beyond_the_limit_is_cut_and_the_next_one_is_whole() {
        let (mut client, mut connection) = pair().await;
        let mut wire = vec![b'x'; 5000];
        wire.extend_from_slice(b"\r\nNOOP\r\n");
        client.write_all(&wire).await.unwrap();
        let line = connection.command_line(100, Newline::Strict).await.unwrap();
        assert_eq!((line.bytes.len(), line.length), (100, 5000));
        assert_eq!(connection.command_line(100, Newline::Strict).await.unwrap().bytes, b"NOOP");
    }

    #[tokio::test]
    async fn a_client_that_goes_in_the_middle_of_a_line_is_noticed() {
        let (mut client, mut connection) = pair().await;
        client.write_all(b"NOO").await.unwrap();
        drop(client);
        assert_eq!(connection.command_line(100, Newline::Strict).await.err(), Some(Gone::Lost));
    }
}
