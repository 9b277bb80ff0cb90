//! The queue directory, as main.cf describes it.

use queue::{Hashing, Spool};

use crate::{Config, ValueError, param};

impl Config {
    /// The queue directory seen from within: daemons and commands have it as their working directory. To be called before
    /// a sandbox is entered: it looks up what kind of file system that is.
    ///
    /// # Errors
    /// A value that cannot be understood.
    pub fn spool(&self) -> Result<Spool, ValueError> {
        // hash_queue_names
        let names = self.get(param::HASH_QUEUE_NAMES)?;
        // hash_queue_depth
        let depth = usize::try_from(self.get(param::HASH_QUEUE_DEPTH)?).unwrap_or(1);
        Ok(Spool::new("", Hashing { names, depth }))
    }
}
