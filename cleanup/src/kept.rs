//! The file that is kept for the next message of a client.
//!
//! The client was told the identifier of that message. Whichever worker gets it finds the file: this one has it open, a
//! later one finds it among the spare files as soon as this one has let it go.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use ipc::cleanup::Place;
use queue::{NewFile, QueueName, Spare};

use crate::site::Site;

/// A file, and what the client knows of it.
pub struct Kept {
    spare: Spare,
    place: Place,
}

impl Kept {
    /// Keeps a file, if there is one.
    pub fn new(site: &Site) -> Option<Self> {
        let spare = site.spares.borrow_mut().take(&site.settings.spool)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let queue_id = spare.id(now, site.settings.long_ids);
        let place = Place { queue_id, spare: spare.name().clone() };
        Some(Kept { spare, place })
    }

    /// The file of a place that a client was told of, by this worker or by another one.
    ///
    /// # Errors
    /// Nobody keeps it any more, and it was used.
    pub fn find(site: &Site, kept: Option<Self>, place: Place) -> io::Result<Self> {
        if let Some(kept) = kept.filter(|kept| kept.place == place) {
            return Ok(kept);
        }
        let spare = Spare::take(&site.settings.spool, place.spare.clone());
        let spare = spare.ok_or_else(|| io::Error::other(format!("the file for {} is not there", place.queue_id)))?;
        Ok(Kept { spare, place })
    }

    /// What the client is told.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Makes it the file of the message.
    ///
    /// # Errors
    /// As [`NewFile::create_in`].
    pub fn create(self, site: &Site) -> io::Result<NewFile> {
        NewFile::create_in(&site.settings.spool, QueueName::Incoming, self.spare, self.place.queue_id)
    }
}
