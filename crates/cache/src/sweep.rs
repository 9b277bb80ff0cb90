//! Taking out of a cache what has grown old.

use lookup::index::IndexError;

use crate::kept::without_nul;
use crate::{Cache, Kept, MOST_UNWRITTEN};

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Retain,
    /// It goes.
    Drop,
    /// It is no entry that counts.
    Ignore,
}

/// What a sweep has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Entries that stay.
    pub retained: u64,
    /// Entries that are gone.
    pub dropped: u64,
    /// It did not get to the end.
    pub partial: bool,
}

/// Keys that are found in one reading of the file.
/// told: nobody; the file is read again.
const AT_ONCE: usize = 5000;
/// How often a file is read again that others write meanwhile.
const ATTEMPTS: usize = 5;

/// The result of one reading.
struct Found {
    retained: u64,
    old: Vec<Vec<u8>>,
    is_all: bool,
}

impl Cache {
    /// Looks at every entry; `judge` says what becomes of it. Sessions go on meanwhile: the file is read aside.
    pub async fn sweep<J>(&self, judge: J) -> Swept
    where
        J: Fn(&[u8], &[u8]) -> Fate + Clone + Send + 'static,
    {
        match &self.kept {
            Kept::Unusable(why) => {
                logging::warning!("{} is unavailable. {why}", self.name());
                self.broken_off(Swept::default())
            }
            Kept::Nowhere => self.sweep_memory(&judge),
            Kept::File { .. } => self.sweep_file(judge).await,
        }
    }

    fn sweep_memory<J: Fn(&[u8], &[u8]) -> Fate>(&self, judge: &J) -> Swept {
        let mut swept = Swept::default();
        self.changes.borrow_mut().retain(|key, change| {
            let fate = change.value.as_deref().map_or(Fate::Drop, |value| judge(key, value));
            swept.retained += u64::from(fate == Fate::Retain);
            swept.dropped += u64::from(fate == Fate::Drop);
            fate != Fate::Drop
        });
        swept
    }

    async fn sweep_file<J>(&self, judge: J) -> Swept
    where
        J: Fn(&[u8], &[u8]) -> Fate + Clone + Send + 'static,
    {
        let mut swept = Swept::default();
        loop {
            let found = match self.read(judge.clone()).await {
                Ok(found) => found,
                Err(why) => {
                    logging::warning!("{}: {why}", self.name());
                    return self.broken_off(swept);
                }
            };
            swept.retained = found.retained;
            for key in found.old {
                // Whoever has changed it meanwhile has given it a new life.
                if !self.changes.borrow().contains_key(&key) {
                    self.room().await;
                    self.remove(&key);
                    swept.dropped += 1;
                }
            }
            if found.is_all {
                return swept;
            }
            self.flush().await;
        }
    }

    fn broken_off(&self, swept: Swept) -> Swept {
        logging::warning!("{}: cache cleanup scan terminated due to error", self.name());
        Swept { partial: true, ..swept }
    }

    /// Waits until another change finds a place.
    async fn room(&self) {
        while self.changes.borrow().len() >= MOST_UNWRITTEN / 2 {
            self.written.notified().await;
        }
    }

    /// Reads the file to its end, while the scribe writes nothing.
    async fn read<J>(&self, judge: J) -> Result<Found, String>
    where
        J: Fn(&[u8], &[u8]) -> Fate + Clone + Send + 'static,
    {
        let Some(tree) = self.tree() else { return Err("the file cannot be read".to_owned()) };
        let mut attempt = 0;
        loop {
            let turn = self.turn.lock().await;
            let (tree, judge) = (tree.clone(), judge.clone());
            let reading = tokio::task::spawn_blocking(move || {
                let mut found = Found { retained: 0, old: Vec::new(), is_all: true };
                let result = tree.visit(&mut |key, value| {
                    let (key, value) = (without_nul(key), without_nul(value));
                    match judge(&key, &value) {
                        Fate::Retain => found.retained += 1,
                        Fate::Ignore => {}
                        Fate::Drop if found.old.len() < AT_ONCE => found.old.push(key),
                        Fate::Drop => found.is_all = false,
                    }
                });
                result.map(|()| found)
            });
            let read = reading.await;
            drop(turn);
            attempt += 1;
            match read {
                Ok(Ok(found)) => return Ok(found),
                // Another system writes the same file.
                Ok(Err(IndexError::Restless)) if attempt < ATTEMPTS => {}
                Ok(Err(error)) => return Err(error.to_string()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
