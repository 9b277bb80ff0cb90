//! A typed, bidirectional stream of frames over a Unix socket, with descriptors where the service carries them.
//!
//! Each side begins with [`MAGIC`] and a greeting that names the service and its version. The greeting is not waited
//! for: it travels with the first message, and the peer's is checked before the peer's first message is used. A socket
//! that also takes Postfix's one-letter triggers tells the two apart by the first byte.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::task::coop::consume_budget;

use crate::codec;
pub use crate::error::IpcError;

/// First byte of our protocol on any socket; no trigger starts with it.
pub const MAGIC: u8 = 0xf5;

/// A service as its two sides see it.
pub trait Service: 'static {
    /// Name in the greeting; a peer that greets with another name is refused.
    const NAME: &'static str;
    /// Changes when a message changes; both sides must agree.
    const VERSION: u16;
    /// What a client sends.
    type Request: Serialize + DeserializeOwned + 'static;
    /// What the server answers.
    type Reply: Serialize + DeserializeOwned + 'static;
}

/// The client's end of a service.
pub type Client<P> = Channel<P, <P as Service>::Request, <P as Service>::Reply>;
/// The server's end of a service.
pub type Server<P> = Channel<P, <P as Service>::Reply, <P as Service>::Request>;

#[derive(Serialize, Deserialize)]
pub(crate) struct Greeting {
    service: String,
    version: u16,
}

impl Greeting {
    /// What both ends of a service say first.
    pub(crate) fn of<P: Service>() -> Greeting {
        Greeting { service: P::NAME.to_owned(), version: P::VERSION }
    }

    /// Whether the other end is of this service.
    pub(crate) fn check<P: Service>(&self) -> Result<(), IpcError> {
        if self.service == P::NAME && self.version == P::VERSION {
            return Ok(());
        }
        Err(IpcError::WrongService(format!("{} version {}", self.service, self.version)))
    }
}

/// One end of a connection: sends `S`, receives `R`, on behalf of service `P`.
pub struct Channel<P, S, R> {
    stream: UnixStream,
    output: Vec<u8>,
    input: Vec<u8>,
    consumed: usize,
    descriptors: VecDeque<OwnedFd>,
    greeted: bool,
    timeout: Duration,
    opened: Instant,
    types: PhantomData<fn(P, S) -> R>,
}

/// Postfix's ipc_timeout: what a peer may take before it is given up.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);
/// Bytes read at once.
const READ_SIZE: usize = 64 << 10;
/// What an idle channel keeps.
const KEPT: usize = 8 << 10;
thread_local! {
    /// Where bytes are read, so that a channel that waits has no room of its own for them.
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
}

/// Received descriptors that may wait for their messages.
/// told: the other side, whose connection ends with an error.
const MAX_WAITING_DESCRIPTORS: usize = 2 * sys::descriptor::MAX_DESCRIPTORS;

impl<P: Service, S: Serialize, R: DeserializeOwned> Channel<P, S, R> {
    /// Connects to a service's socket.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn connect(path: &Path) -> Result<Self, IpcError> {
        Ok(Self::new(UnixStream::connect(path).await?))
    }

    /// How long it is there.
    pub(crate) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Takes an accepted or connected stream.
    pub fn new(stream: UnixStream) -> Self {
        let mut channel = Self {
            stream,
            output: vec![MAGIC],
            input: Vec::new(),
            consumed: 0,
            descriptors: VecDeque::new(),
            greeted: false,
            timeout: DEFAULT_TIMEOUT,
            opened: Instant::now(),
            types: PhantomData,
        };
        // cannot fail: a short string and a number fit any frame
        codec::encode(&Greeting::of::<P>(), &mut channel.output).expect("cannot fail: a greeting fits a frame");
        channel
    }

    /// Limits the time that one receive or one flush may take.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Puts a message into the output buffer; it leaves with the next [`flush`](Self::flush) or [`send`](Self::send).
    ///
    /// # Errors
    /// [`IpcError::TooLarge`].
    pub fn queue(&mut self, message: &S) -> Result<(), IpcError> {
        codec::encode(message, &mut self.output).map_err(IpcError::TooLarge)
    }

    /// Bytes that wait for a flush.
    pub fn queued_bytes(&self) -> usize {
        self.output.len()
    }

    /// Whether the next message is here as a whole: an answer may wait for those that follow it.
    pub fn has_next(&self) -> bool {
        let rest = &self.input[self.consumed..];
        matches!(codec::frame_length(rest), Some(Ok(length)) if rest.len() >= length)
    }

    /// Sends what was queued.
    ///
    /// # Errors
    /// The peer is gone, or does not read within the time limit.
    pub async fn flush(&mut self) -> Result<(), IpcError> {
        self.write_out(&[]).await
    }

    /// Sends a message, after everything that was queued before.
    ///
    /// # Errors
    /// As [`queue`](Self::queue) and [`flush`](Self::flush).
    pub async fn send(&mut self, message: &S) -> Result<(), IpcError> {
        self.queue(message)?;
        self.flush().await
    }

    /// Sends a message with a descriptor attached.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with(&mut self, message: &S, descriptor: BorrowedFd<'_>) -> Result<(), IpcError> {
        self.send_with_all(message, &[descriptor]).await
    }

    /// Sends a message with descriptors attached, at most [`sys::descriptor::MAX_DESCRIPTORS`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with_all(&mut self, message: &S, descriptors: &[BorrowedFd<'_>]) -> Result<(), IpcError> {
        self.queue(message)?;
        self.write_out(descriptors).await
    }

    /// The next message; `None` when the peer has closed the channel between messages.
    ///
    /// # Errors
    /// Anything that makes the channel unusable; the caller drops it.
    pub async fn receive(&mut self) -> Result<Option<R>, IpcError> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.receive_unlimited()).await {
            Ok(result) => result,
            Err(_) => Err(IpcError::TimedOut),
        }
    }

    /// The next message, without a time limit: for a server that waits for its client's next request. May be dropped
    /// and called again (cancel safe).
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_unlimited(&mut self) -> Result<Option<R>, IpcError> {
        loop {
            if !self.greeted && self.take_greeting()? {
                self.greeted = true;
            }
            if self.greeted
                && let Some(message) = self.take_frame()?
            {
                return codec::decode(&self.input[message]).map(Some).map_err(IpcError::Malformed);
            }
            if self.fill().await? == 0 {
                return if self.consumed == self.input.len() { Ok(None) } else { Err(IpcError::Closed) };
            }
        }
    }

    /// Waits until the peer has sent something that has not been received, or is gone; seldom for nothing. Nothing is
    /// read: a server that closes the channel then has not heard it, and the peer knows that by [`IpcError::Reset`].
    pub async fn arrival(&self) {
        if self.consumed == self.input.len() {
            // An error is found by who reads. turns: nothing is read here
            let _ = self.stream.readable().await;
        }
    }

    /// The peer waits for an answer, and says nothing until it has one. Where its message came with a descriptor,
    /// nobody has seen the end of what there was to read; now it need not be looked for. No effect when more is here
    /// already.
    pub fn peer_waits(&self) {
        if self.consumed == self.input.len() {
            self.wait_for_news();
        }
    }

    /// Waits until the peer has greeted: it has accepted the connection and serves it. Only services whose servers send
    /// the greeting at once (an empty [`flush`](Self::flush)) can be waited for.
    ///
    /// # Errors
    /// The peer is gone, or is another service.
    pub async fn greeted(&mut self) -> Result<(), IpcError> {
        while !self.greeted {
            if self.take_greeting()? {
                self.greeted = true;
            } else if self.fill().await? == 0 {
                return Err(IpcError::Closed);
            }
        }
        Ok(())
    }

    /// The next message, which the protocol requires to come now.
    ///
    /// # Errors
    /// As [`receive`](Self::receive), and [`IpcError::Closed`] at the end of the stream.
    pub async fn must_receive(&mut self) -> Result<R, IpcError> {
        self.receive().await?.ok_or(IpcError::Closed)
    }

    /// The next descriptor that came with the message received last.
    pub fn take_descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`must_receive`](Self::must_receive).
    pub async fn exchange(&mut self, message: &S) -> Result<R, IpcError> {
        self.send(message).await?;
        self.must_receive().await
    }

    /// Sends the output buffer. A future that is dropped in the middle leaves the rest of it there (cancel safe).
    async fn write_out(&mut self, descriptors: &[BorrowedFd<'_>]) -> Result<(), IpcError> {
        let (stream, output) = (&self.stream, &mut self.output);
        let mut attached = descriptors;
        let mut write = async || {
            while !output.is_empty() {
                let result = stream
                    .async_io(Interest::WRITABLE, || sys::descriptor::send_with(stream.as_fd(), output, attached));
                let sent = result.await?;
                output.drain(..sent);
                attached = &[];
            }
            Ok(())
        };
        let result = match tokio::time::timeout(self.timeout, write()).await {
            Ok(result) => result,
            Err(_) => Err(IpcError::TimedOut),
        };
        output.clear();
        output.shrink_to(KEPT);
        result
    }

    /// Reads once; 0 at the end of the stream.
    async fn fill(&mut self) -> Result<usize, IpcError> {
        self.input.drain(..self.consumed);
        self.consumed = 0;
        if self.input.is_empty() {
            self.input.shrink_to(KEPT);
        }
        // One who always has more to say leaves time to others.
        consume_budget().await;
        self.stream.readable().await?;
        let stream = &self.stream;
        let read = ROOM.with_borrow_mut(|room| {
            let read = stream.try_io(Interest::READABLE, || sys::descriptor::receive_with(stream.as_fd(), room));
            let (count, descriptors) = read?;
            self.input.extend_from_slice(room.get(..count).unwrap_or_default());
            io::Result::Ok((count, descriptors))
        });
        let (count, descriptors) = match read {
            Ok(read) => read,
            // A wake-up without data is not the end of the stream: one byte that never was, for another look.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(1),
            Err(error) => return Err(error.into()),
        };
        // A read ends behind bytes that came with descriptors, whatever follows them.
        if count < READ_SIZE && descriptors.is_empty() {
            self.wait_for_news();
        }
        self.descriptors.extend(descriptors);
        if self.descriptors.len() > MAX_WAITING_DESCRIPTORS {
            return Err(IpcError::Malformed("too many descriptors".to_owned()));
        }
        Ok(count)
    }

    /// The socket is empty, as one more call would find out. What comes now wakes us.
    fn wait_for_news(&self) {
        // Not shown: tokio takes it.
        let _ = self.stream.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }

    fn take_greeting(&mut self) -> Result<bool, IpcError> {
        match self.input.get(self.consumed) {
            None => return Ok(false),
            Some(&MAGIC) => {}
            Some(other) => return Err(IpcError::Malformed(format!("first byte {other:#x}"))),
        }
        self.consumed += 1;
        let Some(frame) = self.take_frame()? else {
            self.consumed -= 1;
            return Ok(false);
        };
        let greeting: Greeting = codec::decode(&self.input[frame]).map_err(IpcError::Malformed)?;
        greeting.check::<P>()?;
        Ok(true)
    }

    /// Where the next complete frame stands in the input, which is consumed up to its end.
    fn take_frame(&mut self) -> Result<Option<std::ops::Range<usize>>, IpcError> {
        let start = self.consumed;
        match codec::frame_length(&self.input[start..]) {
            Some(Err(why)) => Err(IpcError::Malformed(why)),
            Some(Ok(length)) if self.input.len() - start >= length => {
                self.consumed = start + length;
                Ok(Some(start..start + length))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
