//! The way into cleanup for a server whose clients wait for every answer.
//!
//! Where its next message goes was said with the outcome of the last one. So it begins a message without a question,
//! and what is no larger than most mail travels in one frame. A worker of cleanup that is about to end closes its
//! connections unread: the message is then brought to another one, which finds the same file.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use super::{Cleanup, Finished, Flags, Message, Outcome, Place, Reply, Request, outcome};
use crate::channel::{Client, IpcError};
use crate::pool::{MAX_IDLE, MAX_KEPT, Pool};

/// The way into cleanup. Belongs to one thread.
pub struct Entrance {
    pool: Rc<Pool<Cleanup>>,
    places: RefCell<Vec<(Client<Cleanup>, Place, Instant)>>,
}

/// A message of which cleanup has not heard yet, and where it goes.
pub(super) struct Unasked {
    flags: Flags,
    place: Place,
    /// For another connection.
    pool: Rc<Pool<Cleanup>>,
}

impl Entrance {
    /// With no place yet.
    pub fn new(pool: Pool<Cleanup>) -> Self {
        Self { pool: Rc::new(pool), places: RefCell::default() }
    }

    /// Connections for who has other messages.
    pub fn pool(&self) -> &Pool<Cleanup> {
        &self.pool
    }

    /// Begins a message.
    ///
    /// # Errors
    /// As [`Message::open`].
    pub async fn open(&self, flags: Flags) -> Result<Message, IpcError> {
        let kept = {
            let mut places = self.places.borrow_mut();
            places.retain(|(_, _, since)| since.elapsed() < MAX_IDLE);
            places.pop()
        };
        let Some((client, place, _)) = kept else { return Message::open(&self.pool, flags).await };
        let queue_id = place.queue_id.clone();
        let unasked = Unasked { flags, place, pool: Rc::clone(&self.pool) };
        Ok(Message { client, queue_id, records: Vec::new(), unasked: Some(unasked), failed: Vec::new() })
    }

    /// Ends a message and waits until it is on stable storage.
    ///
    /// # Errors
    /// As [`Message::finish`].
    pub async fn finish(&self, mut message: Message) -> Result<Finished, IpcError> {
        let (outcome, next) = match message.unasked.take() {
            Some(unasked) => message.whole(unasked).await?,
            None => message.end(true).await?,
        };
        let failed = std::mem::take(&mut message.failed);
        let mut places = self.places.borrow_mut();
        match next {
            Some(place) if places.len() < MAX_KEPT => places.push((message.client, place, Instant::now())),
            _ => self.pool.give_back(message.client),
        }
        Ok(Finished { outcome, failed })
    }
}

impl Message {
    /// Tells cleanup of the message, if it does not know of it.
    pub(super) async fn ask(&mut self) -> Result<(), IpcError> {
        let Some(Unasked { flags, place, pool }) = self.unasked.take() else { return Ok(()) };
        let reply = self.exchange(&pool, &Request::Open { flags, place: Some(place) }).await?;
        match reply {
            Reply::Opened { queue_id } if queue_id == self.queue_id => Ok(()),
            _ => Err(IpcError::Malformed("no file under the name that was said".to_owned())),
        }
    }

    /// Sends it from its beginning to its end.
    async fn whole(&mut self, unasked: Unasked) -> Result<(Outcome, Option<Place>), IpcError> {
        let Unasked { flags, place, pool } = unasked;
        let records = std::mem::take(&mut self.records);
        outcome(self.exchange(&pool, &Request::Whole { flags, place, records }).await?)
    }

    /// A request that may begin anew at another worker, as long as this one has not heard it.
    async fn exchange(&mut self, pool: &Pool<Cleanup>, request: &Request) -> Result<Reply, IpcError> {
        match self.client.exchange(request).await {
            Err(IpcError::Reset) => {
                self.client = pool.connect().await?;
                self.client.exchange(request).await
            }
            answered => answered,
        }
    }
}
