//! A service that a thread asks, which may wait for the answer: one request, one reply, over a blocking socket.
//!
//! For work that is done beside the loop of a daemon. What the loop itself asks goes through a [`Pool`](crate::Pool).

use std::io::{Read, Write};
use std::marker::PhantomData;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::channel::{Greeting, IpcError, MAGIC, Service};
use crate::codec;

/// How often a request is made again because its connection was closed without an answer.
const CLOSED_ATTEMPTS: u32 = 3;

/// One connection to a service, made when it is needed.
pub struct Caller<P: Service> {
    path: PathBuf,
    timeout: Duration,
    stream: Option<UnixStream>,
    service: PhantomData<fn(P)>,
}

impl<P: Service> Caller<P> {
    /// Of the service at `path` (relative to the queue directory); `timeout` is for each read and write.
    pub fn new(path: &Path, timeout: Duration) -> Self {
        Self { path: path.to_owned(), timeout, stream: None, service: PhantomData }
    }

    /// One request and its reply. Only for requests that may be made twice.
    ///
    /// # Errors
    /// The service cannot be reached, does not answer in time, or answers what makes no sense.
    pub fn call(&mut self, request: &P::Request) -> Result<P::Reply, IpcError> {
        let mut attempts = 0;
        loop {
            let result = self.exchange(request);
            match &result {
                Ok(_) => return result,
                // A worker may end between accepting a client and hearing it.
                Err(IpcError::Closed | IpcError::Reset) if attempts < CLOSED_ATTEMPTS => attempts += 1,
                Err(_) => {
                    self.stream = None;
                    return result;
                }
            }
            self.stream = None;
        }
    }

    fn exchange(&mut self, request: &P::Request) -> Result<P::Reply, IpcError> {
        let mut out = Vec::new();
        let is_new = self.stream.is_none();
        if is_new {
            let stream = UnixStream::connect(&self.path)?;
            stream.set_read_timeout(Some(self.timeout))?;
            stream.set_write_timeout(Some(self.timeout))?;
            self.stream = Some(stream);
            out.push(MAGIC);
            codec::encode(&Greeting::of::<P>(), &mut out).map_err(IpcError::TooLarge)?;
        }
        codec::encode(request, &mut out).map_err(IpcError::TooLarge)?;
        let Some(stream) = &mut self.stream else { return Err(IpcError::Closed) };
        stream.write_all(&out).map_err(waited)?;
        if is_new {
            let mut magic = [0];
            read(stream, &mut magic)?;
            if magic[0] != MAGIC {
                return Err(IpcError::Malformed(format!("first byte {:#x}", magic[0])));
            }
            let greeting: Greeting = codec::decode(&frame(stream)?).map_err(IpcError::Malformed)?;
            greeting.check::<P>()?;
        }
        codec::decode(&frame(stream)?).map_err(IpcError::Malformed)
    }
}

/// The next frame, its length included.
fn frame(stream: &mut UnixStream) -> Result<Vec<u8>, IpcError> {
    let mut frame = vec![0; codec::PREFIX];
    read(stream, &mut frame)?;
    let length = match codec::frame_length(&frame) {
        Some(Ok(length)) => length,
        Some(Err(why)) => return Err(IpcError::Malformed(why)),
        None => return Err(IpcError::Closed),
    };
    frame.resize(length, 0);
    read(stream, frame.get_mut(codec::PREFIX..).unwrap_or_default())?;
    Ok(frame)
}

fn read(stream: &mut UnixStream, buffer: &mut [u8]) -> Result<(), IpcError> {
    stream.read_exact(buffer).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => IpcError::Closed,
        _ => waited(error),
    })
}

/// What the end of a time limit is here.
fn waited(error: std::io::Error) -> IpcError {
    match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => IpcError::TimedOut,
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::anvil::{Anvil, Counts, Event, Request};

    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ipc-caller-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn request() -> Request {
        Request::Look { event: Event::Auth, identity: "smtp:a".to_owned() }
    }

    /// Answers one request a connection, `connections` times; the first `closed` connections are closed unheard.
    fn serve(path: &Path, closed: usize, connections: usize) -> std::thread::JoinHandle<()> {
        let listener = UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            for number in 0..connections {
                let (stream, _) = listener.accept().unwrap();
                if number < closed {
                    continue;
                }
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    stream.set_nonblocking(true).unwrap();
                    let stream = tokio::net::UnixStream::from_std(stream).unwrap();
                    let mut channel = crate::Server::<Anvil>::new(stream);
                    assert_eq!(channel.must_receive().await.unwrap(), request());
                    channel.send(&Counts { connections: 1, rate: 2 }).await.unwrap();
                });
            }
        })
    }

    #[test]
    fn a_request_that_is_closed_unheard_is_made_again() {
        let path = path("again");
        let server = serve(&path, 2, 4);
        let mut caller = Caller::<Anvil>::new(&path, Duration::from_secs(5));
        for _ in 0..2 {
            // The second time over a connection that has ended meanwhile.
            assert_eq!(caller.call(&request()).unwrap(), Counts { connections: 1, rate: 2 });
        }
        server.join().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(caller.call(&request()), Err(IpcError::Io(_) | IpcError::Reset)));
    }

    #[test]
    fn a_server_that_is_silent_or_another_one_is_an_error() {
        let path = path("silent");
        let listener = UnixListener::bind(&path).unwrap();
        let mut caller = Caller::<Anvil>::new(&path, Duration::from_millis(100));
        assert!(matches!(caller.call(&request()), Err(IpcError::TimedOut)));
        drop(listener.accept().unwrap());
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"protocol\0").unwrap();
            stream
        });
        assert!(matches!(caller.call(&request()), Err(IpcError::Malformed(_))));
        drop(other.join().unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}
