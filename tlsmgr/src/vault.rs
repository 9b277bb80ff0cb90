//! The keys: read through the keeper, and used for signatures.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ipc::Questions;
use ipc::tlsmgr::{Certificates, Der, Files, KeyId, Pair as Sent, Reply};
use nix::errno::Errno;
use tls::chain::{self, Loaded, Pair, PrivateKey, Source};
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use crate::packet::{self, LARGEST, Request, read_sources};
use crate::rights::Rights;

#[cfg(test)]
mod tests;

/// How long files are believed to be what they were.
const FRESH: Duration = Duration::from_secs(1);
/// How long the keeper may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Keys that were replaced, or belong to server names, and may still sign for handshakes that have begun.
/// told: nobody; the oldest ones go, and a handshake that wants one fails.
const MOST_OLD: usize = 1000;

/// Server names whose certificates are at hand.
/// told: nobody; those of others are read anew.
const MOST_NAMES: usize = 1000;

/// Everything that is known of keys.
pub(crate) struct Vault {
    keeper: Questions,
    rights: Rights,
    loaded: RefCell<HashMap<Files, State>>,
    keys: RefCell<HashMap<KeyId, Held>>,
    /// What server names led to, by list and name.
    names: RefCell<HashMap<(usize, String), Named>>,
    serial: Cell<u64>,
}

/// The digest of what a server name led to, and what came of it.
type Named = ([u8; 32], Certificates);

struct Held {
    key: PrivateKey,
    since: Instant,
}

/// What is known of some files.
struct State {
    /// What they were when they were looked at last.
    stamps: Vec<Stamp>,
    looked: Instant,
    /// What is in use; nothing when they could never be used.
    used: Option<Certificates>,
    /// Why they cannot be used.
    warnings: Vec<String>,
}

/// What tells one content of a file from another; or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stamp {
    File { device: u64, inode: u64, size: u64, modified: (i64, i64), changed: (i64, i64) },
    Missing(String),
}

/// A file that was opened, or why not.
type Opened = Result<File, String>;
/// What a file holds, or why nothing.
type Content = Result<Zeroizing<Vec<u8>>, String>;

impl Vault {
    pub(crate) fn new(keeper: OwnedFd, rights: Rights) -> Vault {
        Vault {
            keeper: Questions::new(keeper),
            rights,
            loaded: RefCell::default(),
            keys: RefCell::default(),
            names: RefCell::default(),
            serial: Cell::new(1),
        }
    }

    /// Takes the keeper's answers, until it is gone.
    pub(crate) async fn listen(&self) {
        self.keeper.listen().await;
    }

    /// A key.
    pub(crate) fn key(&self, id: KeyId) -> Option<PrivateKey> {
        self.keys.borrow().get(&id).map(|held| held.key.clone())
    }

    /// The certificates of some files; `known` is the serial of those that the asker has.
    pub(crate) async fn certificates(&self, files: &Files, known: u64) -> Reply {
        if !self.rights.sets.contains(files) {
            let why = "tlsmgr: these certificate files are not those of main.cf and master.cf; reload the mail system";
            return Reply::Unusable(vec![why.to_owned()]);
        }
        let is_fresh = self.loaded.borrow().get(files).is_some_and(|state| state.looked.elapsed() < FRESH);
        if !is_fresh {
            let opened = self.open(files).await;
            self.look(files, opened);
        }
        let loaded = self.loaded.borrow();
        match loaded.get(files) {
            Some(State { used: Some(used), .. }) if used.serial == known => Reply::Unchanged,
            Some(State { used: Some(used), .. }) => Reply::Certificates(used.clone()),
            Some(State { warnings, .. }) => Reply::Unusable(warnings.clone()),
            None => Reply::Unusable(Vec::new()),
        }
    }

    /// The certificates for a server name. tls_server_sni_maps
    pub(crate) async fn of_name(&self, maps: &str, name: &str) -> Reply {
        let unusable = |why: String| Reply::Unusable(vec![why]);
        let Some(list) = self.rights.names.iter().position(|known| known == maps) else {
            return unusable("tlsmgr: tls_server_sni_maps is not that of main.cf; reload the mail system".to_owned());
        };
        let request = Request::Name(u32::try_from(list).unwrap_or(u32::MAX), name.to_owned());
        let stream = match self.ask(&request).await {
            Ok((packet::Reply::Unknown, _)) => return Reply::NoSuchName,
            Ok((packet::Reply::Attached, Some(descriptor))) => descriptor,
            Ok((packet::Reply::Failed(why), _)) => return unusable(why),
            Ok((packet::Reply::Attached, None)) => {
                return unusable("tlsmgr: malformed answer of the keeper".to_owned());
            }
            Err(error) => return unusable(format!("tlsmgr: keeper: {}", text::system_error(&error))),
        };
        let read = all(stream).await.and_then(|bytes| read_sources(&bytes).map(|sources| (digest_of(&bytes), sources)));
        let (digest, sources) = match read {
            Ok(read) => read,
            Err(error) => return unusable(format!("tlsmgr: keeper: {}", text::system_error(&error))),
        };
        // The files are read each time, and taken apart when they are others.
        let place = (list, name.to_owned());
        if let Some((_, known)) = self.names.borrow().get(&place).filter(|(known, _)| *known == digest)
            && known.pairs.iter().all(|pair| self.keys.borrow().contains_key(&pair.key))
        {
            return Reply::Certificates(known.clone());
        }
        let borrowed: Vec<Source<'_>> =
            sources.iter().map(|(name, content)| (name.as_str(), content.as_deref().map_err(String::as_str))).collect();
        let label = format!("SNI data for {name}");
        let loaded = chain::chains(&borrowed, &label, "aborting TLS handshake");
        if loaded.failed {
            return Reply::Unusable(loaded.warnings);
        }
        let found = self.take(loaded);
        let mut names = self.names.borrow_mut();
        if names.len() >= MOST_NAMES {
            names.clear();
        }
        names.insert(place, (digest, found.clone()));
        Reply::Certificates(found)
    }

    /// Takes note of what files are now.
    fn look(&self, files: &Files, opened: Vec<(String, Opened)>) {
        let stamps: Vec<Stamp> = opened.iter().map(|(_, opened)| stamp(opened)).collect();
        if let Some(state) = self.loaded.borrow_mut().get_mut(files)
            && state.stamps == stamps
        {
            state.looked = Instant::now();
            return;
        }
        let mut found = load(files, opened);
        let used = self.loaded.borrow_mut().remove(files).and_then(|state| state.used);
        if used.is_some() && !found.failed {
            expired(&mut found);
        }
        let state = match used {
            Some(used) if found.failed => {
                found.warnings.iter().for_each(|warning| logging::warning!("{warning}"));
                logging::warning!("the certificates that were read before stay in use");
                State { stamps, looked: Instant::now(), used: Some(used), warnings: Vec::new() }
            }
            before => {
                if before.is_some() {
                    logging::info!("new certificates: {}", named(files));
                }
                let warnings = found.warnings.clone();
                let used = (!found.failed).then(|| self.take(found));
                State { stamps, looked: Instant::now(), used, warnings }
            }
        };
        self.loaded.borrow_mut().insert(files.clone(), state);
    }

    /// Keeps keys, and makes of their certificates what others may have.
    fn take(&self, loaded: Loaded) -> Certificates {
        let serial = self.serial.get();
        self.serial.set(serial + 1);
        let sent = |pair: &Pair| {
            let chain = pair.chain.iter().map(|certificate| Der(certificate.der.clone())).collect();
            Sent { key: pair.id(), chain }
        };
        let pairs = loaded.pairs.iter().map(sent).collect();
        let mut keys = self.keys.borrow_mut();
        let since = Instant::now();
        for pair in loaded.pairs {
            keys.insert(pair.id(), Held { key: pair.key, since });
        }
        self.forget(&mut keys);
        Certificates { serial, pairs, warnings: loaded.warnings }
    }

    /// Old keys go when there are too many; those that are in use stay.
    fn forget(&self, keys: &mut HashMap<KeyId, Held>) {
        let loaded = self.loaded.borrow();
        let used = loaded.values().filter_map(|state| state.used.as_ref());
        let used: HashSet<KeyId> = used.flat_map(|used| used.pairs.iter().map(|pair| pair.key)).collect();
        while keys.len() > MOST_OLD {
            let oldest = keys.iter().filter(|(id, _)| !used.contains(id)).min_by_key(|(_, held)| held.since);
            let Some(id) = oldest.map(|(id, _)| *id) else { return };
            keys.remove(&id);
        }
    }

    async fn open(&self, files: &Files) -> Vec<(String, Opened)> {
        let mut opened = Vec::new();
        for path in paths(files) {
            let place = self.rights.paths.iter().position(|known| *known == path);
            let request = Request::File(place.and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX));
            let file = match self.ask(&request).await {
                Ok((packet::Reply::Attached, Some(descriptor))) => Ok(File::from(descriptor)),
                Ok((packet::Reply::Failed(why), _)) => Err(why),
                Ok(_) => Err("malformed answer of the keeper".to_owned()),
                Err(error) => Err(format!("the keeper of tlsmgr: {}", text::system_error(&error))),
            };
            opened.push((path, file));
        }
        opened
    }

    async fn ask(&self, request: &Request) -> io::Result<(packet::Reply, Option<OwnedFd>)> {
        let question = self.keeper.ask(|number| request.encode(number), None);
        let answer = tokio::time::timeout(PATIENCE, question).await.map_err(|_| Errno::ETIMEDOUT)??;
        let reply = packet::Reply::decode(&answer.packet).ok_or(Errno::EBADMSG)?;
        Ok((reply, answer.descriptor))
    }
}

fn digest_of(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    digest
}

fn named(files: &Files) -> String {
    paths(files).iter().map(|path| text::printable(path.as_bytes())).collect::<Vec<_>>().join(", ")
}

/// The files in their order; one that is both certificate and key stands twice.
fn paths(files: &Files) -> Vec<String> {
    match files {
        Files::Chains(paths) => paths.clone(),
        Files::Legacy(pairs) => pairs.iter().flat_map(|pair| [pair.certificate.clone(), pair.key.clone()]).collect(),
    }
}

fn stamp(opened: &Opened) -> Stamp {
    let file = match opened {
        Ok(file) => file,
        Err(why) => return Stamp::Missing(why.clone()),
    };
    match file.metadata() {
        Ok(data) => Stamp::File {
            device: data.dev(),
            inode: data.ino(),
            size: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        },
        Err(error) => Stamp::Missing(text::system_error(&error)),
    }
}

/// Reads files that are open.
fn load(files: &Files, opened: Vec<(String, Opened)>) -> Loaded {
    let contents: Vec<(String, Content)> = opened
        .into_iter()
        .map(|(path, file)| (path, file.and_then(|file| content(file).map_err(|error| text::system_error(&error)))))
        .collect();
    let sources: Vec<Source<'_>> = contents
        .iter()
        .map(|(path, content)| (path.as_str(), content.as_ref().map(|it| it.as_slice()).map_err(String::as_str)))
        .collect();
    match files {
        Files::Chains(paths) => chain::chains(&sources, &paths.join(" "), "disabling TLS support"),
        Files::Legacy(pairs) => {
            let mut all = Loaded::default();
            for (pair, two) in pairs.iter().zip(sources.chunks_exact(2)) {
                let loaded = chain::legacy(&pair.kind, two[0], two[1]);
                all.warnings.extend(loaded.warnings);
                all.pairs.extend(loaded.pairs);
                if loaded.failed {
                    return Loaded { pairs: Vec::new(), failed: true, ..all };
                }
            }
            all
        }
    }
}

fn content(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::with_capacity(64 << 10));
    sys::content::append(file, LARGEST as u64, &mut content)?;
    Ok(content)
}

/// New certificates that are not valid now replace no others.
fn expired(found: &mut Loaded) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let leaves = found.pairs.iter().filter_map(|pair| pair.chain.first());
    let why = leaves.filter_map(|leaf| {
        let name = text::printable(leaf.subject.as_bytes());
        match () {
            () if now > leaf.not_after => Some(format!("certificate of {name} has expired")),
            () if now < leaf.not_before => Some(format!("certificate of {name} is not yet valid")),
            () => None,
        }
    });
    let why: Vec<String> = why.collect();
    found.failed |= !why.is_empty();
    found.warnings.extend(why);
}

/// What comes over a stream, to its end.
async fn all(descriptor: OwnedFd) -> io::Result<Zeroizing<Vec<u8>>> {
    let stream = std::os::unix::net::UnixStream::from(descriptor);
    stream.set_nonblocking(true)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
    let limit = 2 * LARGEST as u64;
    // told: the service that asked, by the error.
    tokio::net::UnixStream::from_std(stream)?.take(limit + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > limit { Err(Errno::EFBIG.into()) } else { Ok(bytes) }
}
