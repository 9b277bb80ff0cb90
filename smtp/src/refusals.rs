//! Logins that a server has refused for good (smtp_sasl_auth_cache_name): as long as the password is the same, the
//! server is not asked again, which might lock the account.
//!
//! They stand in a file of the data directory, which every worker opens before it has clients: a line each, in the
//! order in which they were refused, added by one write. What was refused is known by a digest of host, user and
//! password; none of the three can be read from it. Lines whose time is over go when a worker starts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dsn::Status;
use nix::fcntl::{Flock, FlockArg};
use sasl::client::Credentials;

/// Bytes of the file.
/// told: the log: no more logins are remembered.
const LARGEST: u64 = 1 << 20;

/// What is remembered.
#[derive(Debug)]
pub struct Refusals {
    /// smtp_sasl_auth_cache_time.
    kept: Duration,
    path: PathBuf,
    file: File,
    known: RefCell<Known>,
}

/// What was read of the file.
#[derive(Debug, Default)]
struct Known {
    bytes: u64,
    /// By digest.
    refusals: HashMap<String, Refusal>,
}

/// A refused login.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    /// Seconds since 1970.
    when: u64,
    status: Status,
    said: String,
}

impl Refusals {
    /// Opens the file, or makes it for this owner, and leaves out what is over.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn open(path: &Path, owner: Option<u32>, kept: Duration) -> io::Result<Self> {
        // waits: for the disk, before the first client
        let options = OpenOptions::new().read(true).append(true).clone();
        let opened = sys::open::open_or_create(path, &options, 0o600, &sys::open::SYSTEM);
        let (file, is_new) = opened.map_err(sys::open::Refusal::into_error)?;
        if let Some(uid) = owner.filter(|_| is_new) {
            fchown(&file, Some(uid), None)?;
        }
        let refusals = Self { kept, path: path.to_path_buf(), file: file.try_clone()?, known: RefCell::default() };
        // Others that start do the same.
        let locked = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
        refusals.sweep()?;
        drop(locked);
        Ok(refusals)
    }

    /// What the host said when these very credentials were tried last.
    pub fn find(&self, host: &str, credentials: &Credentials) -> Option<(Status, String)> {
        self.refresh();
        let known = self.known.borrow();
        let refusal = known.refusals.get(&digest(host, credentials))?;
        self.counts(refusal).then(|| (refusal.status, refusal.said.clone()))
    }

    /// Takes note of one.
    pub fn add(&self, host: &str, credentials: &Credentials, status: Status, said: &str) {
        self.refresh();
        let refusal = Refusal { when: now(), status, said: said.to_owned() };
        let line = format!("{} {refusal}\n", digest(host, credentials));
        let path = self.path.display();
        if self.known.borrow().bytes + line.len() as u64 > LARGEST {
            logging::repeated!("{path}: file is full: refused logins are not remembered");
        } else if let Err(error) = (&self.file).write_all(line.as_bytes()) {
            logging::repeated!("{path}: write: {}: refused logins are not remembered", text::system_error(&error));
        }
    }

    fn counts(&self, refusal: &Refusal) -> bool {
        // A clock that was set back does not make anything older.
        now().saturating_sub(refusal.when) < self.kept.as_secs()
    }

    /// Reads what others, and this worker, have added.
    fn refresh(&self) {
        let mut known = self.known.borrow_mut();
        if let Err(error) = self.read_on(&mut known) {
            logging::repeated!("{}: read: {}", self.path.display(), text::system_error(&error));
        }
    }

    fn read_on(&self, known: &mut Known) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length < known.bytes {
            *known = Known::default();
        }
        // told: the log, when the next one is to be added.
        let more = length.min(LARGEST).saturating_sub(known.bytes);
        let mut bytes = vec![0; usize::try_from(more).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, known.bytes)?;
        // What is being written has no end yet.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n') {
            known.refusals.extend(parse(line));
        }
        known.bytes += whole as u64;
        Ok(())
    }

    /// Writes the file again without what is over, if there is any.
    fn sweep(&self) -> io::Result<()> {
        let mut known = self.known.borrow_mut();
        self.read_on(&mut known)?;
        let before = known.refusals.len();
        known.refusals.retain(|_, refusal| self.counts(refusal));
        if known.refusals.len() < before || known.bytes > LARGEST / 2 {
            let lines = known.refusals.iter().map(|(digest, refusal)| format!("{digest} {refusal}\n"));
            let text: String = lines.collect();
            self.file.set_len(0)?;
            (&self.file).write_all(text.as_bytes())?;
            known.bytes = text.len() as u64;
        }
        Ok(())
    }
}

/// As it stands behind the digest.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.when, self.status, text::printable(self.said.as_bytes()))
    }
}

/// A line that makes no sense says nothing.
fn parse(line: &[u8]) -> Option<(String, Refusal)> {
    let mut fields = std::str::from_utf8(line).ok()?.splitn(4, ' ');
    let digest = fields.next()?.to_owned();
    let when = fields.next()?.parse().ok()?;
    let status = fields.next()?.parse().ok()?;
    Some((digest, Refusal { when, status, said: fields.next()?.to_owned() }))
}

fn digest(host: &str, credentials: &Credentials) -> String {
    credentials.digest(&host.to_ascii_lowercase()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;
    use sasl::client::Secret;

    /// A name that no other test has.
    pub fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("smtp-refusals-{name}-{}", std::process::id()))
    }

    fn login(user: &str, password: &str) -> Credentials {
        Credentials { user: Secret::new(user.into()), password: Secret::new(password.into()) }
    }

    fn open(path: &Path, kept: u64) -> Refusals {
        Refusals::open(path, None, Duration::from_secs(kept)).unwrap()
    }

    #[test]
    fn a_refusal_counts_for_its_host_user_and_password_in_every_worker() {
        let path = path("all");
        let (first, second) = (open(&path, 60), open(&path, 60));
        let status = Status::new(5, 7, 8);
        first.add("Mx1.dest.test", &login("us", "pw"), status, "535 5.7.8 no\n");
        let refused = Some((status, "535 5.7.8 no?".to_owned()));
        for refusals in [&first, &second, &open(&path, 60)] {
            let found = |host: &str, user: &str, password: &str| refusals.find(host, &login(user, password));
            assert_eq!(found("mx1.dest.test", "us", "pw"), refused);
            assert_eq!(found("mx2.dest.test", "us", "pw"), None);
            assert_eq!(found("mx1.dest.test", "other", "pw"), None);
            assert_eq!(found("mx1.dest.test", "us", "new"), None);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("us") && !text.contains("pw"), "{text}");
        // Who starts with a time that is over, or empties the file, ends it.
        assert_eq!(open(&path, 0).find("mx1.dest.test", &login("us", "pw")), None);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(first.find("mx1.dest.test", &login("us", "pw")), None);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_full_file_grows_no_more() {
        let path = path("full");
        std::fs::write(&path, vec![b'\n'; LARGEST as usize - 10]).unwrap();
        let refusals = Refusals {
            kept: Duration::from_secs(60),
            path: path.clone(),
            file: OpenOptions::new().read(true).append(true).open(&path).unwrap(),
            known: RefCell::default(),
        };
        refusals.add("h", &login("us", "pw"), Status::new(5, 7, 8), "535 no");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), LARGEST - 10);
        drop(open(&path, 60));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        std::fs::remove_file(path).unwrap();
    }

    proptest! {
        #[test]
        fn a_refusal_is_read_as_it_was_written(when: u64, said in "[ -~é]{0,60}", noise in prop::collection::vec(any::<u8>(), 0..60)) {
            let refusal = Refusal { when, status: Status::new(5, 7, 8), said };
            prop_assert_eq!(parse(format!("abc {refusal}").as_bytes()), Some(("abc".to_owned(), refusal)));
            let _ = parse(&noise);
        }
    }
}
