//! What several programs make of more than one parameter: the queue directory, the form of extended addresses, the
//! structure of a message.

use address::Delimiters;
use message::mime::Limits;
use net::ports::Services;
use queue::{Hashing, Spool};

use crate::{Config, ValueError, param};

impl Config {
    /// The queue directory seen from within: daemons and commands have it as their working directory. To be called
    /// before a sandbox is entered: it looks up what kind of file system that is.
    ///
    /// # Errors
    /// A value that cannot be understood.
    pub fn spool(&self) -> Result<Spool, ValueError> {
        // hash_queue_names
        let names = self.get(param::HASH_QUEUE_NAMES)?;
        // hash_queue_depth
        let depth = self.read(param::HASH_QUEUE_DEPTH)?;
        Ok(Spool::new("", Hashing { names, depth }))
    }

    /// How far parts are followed: mime_nesting_limit, and the two that Postfix takes beyond it, and
    /// mime_boundary_length_limit.
    ///
    /// # Errors
    /// A value that cannot be understood.
    pub fn mime_limits(&self) -> Result<Limits, ValueError> {
        let nesting = self.read::<_, usize>(param::MIME_NESTING_LIMIT)?.saturating_add(2);
        Ok(Limits { nesting, boundary: self.read(param::MIME_BOUNDARY_LENGTH_LIMIT)? })
    }

    /// Ports by name: known_tcp_ports, and those of the machine.
    ///
    /// # Errors
    /// A sentence about the item that is none.
    pub fn ports(&self) -> Result<Services, String> {
        let known = self.get(param::KNOWN_TCP_PORTS).map_err(|error| error.to_string())?;
        Services::of_machine().with_known(&known)
    }

    /// Where an address extension begins: recipient_delimiter, owner_request_special.
    ///
    /// # Errors
    /// A value that cannot be understood.
    pub fn delimiters(&self) -> Result<Delimiters, ValueError> {
        Ok(Delimiters::new(&self.get(param::RECIPIENT_DELIMITER)?, self.get(param::OWNER_REQUEST_SPECIAL)?))
    }
}
