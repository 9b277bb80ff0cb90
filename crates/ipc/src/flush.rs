//! flush: lists of deferred messages by destination. What it is asked and answers is Postfix's protocol
//! ([`wire::flush`]), for postqueue speaks it as well.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use wire::flush::MAX_REQUEST;
pub use wire::flush::{Request, Status};

/// How long an answer is waited for: the lists are a convenience.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of the service.
pub struct Flush {
    path: PathBuf,
}

impl Flush {
    /// Of the service at `path`, normally `public/flush`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// One request.
    ///
    /// # Errors
    /// The service cannot be reached, or does not answer in time.
    pub async fn ask(&self, request: &Request) -> io::Result<Status> {
        tokio::time::timeout(PATIENCE, self.exchange(request)).await?
    }

    async fn exchange(&self, request: &Request) -> io::Result<Status> {
        let mut stream = UnixStream::connect(&self.path).await?;
        stream.write_all(&request.write()).await?;
        let mut answer = Vec::new();
        loop {
            // told: a longer answer is none.
            if stream.read_buf(&mut answer).await? == 0 || answer.len() > MAX_REQUEST {
                return Err(io::Error::other("premature end of input"));
            }
            if let Some(status) = Status::read(&answer)? {
                return Ok(status);
            }
        }
    }
}
