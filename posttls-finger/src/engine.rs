//! How TLS sessions are made: what the command line and main.cf say of it, and the files that they name.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use config::param::{self, twin};
use config::{Agent, Config, Reader};
use tls::chain::{self, Loaded, Pair};
use tls::{Anchors, Client, Digest, Grades, Groups, LogLevel};
use zeroize::Zeroizing;

use crate::options::Options;

/// The largest file of keys and certificates that is read.
/// told: the warning that the file cannot be read.
const LARGEST: u64 = 1 << 20;

/// How TLS sessions are made.
pub(crate) struct Engine {
    /// False if a part of it is missing, which was told: there is no TLS then.
    pub works: bool,
    pub client: Client,
    pub anchors: Rc<Anchors>,
    pub digest: Digest,
    pub log: LogLevel,
    pub depth: usize,
    pub grades: Grades,
    pub groups: Groups,
}

impl Engine {
    /// Reads everything.
    ///
    /// # Errors
    /// A sentence: a trust anchor file cannot be read, or a parameter makes no sense.
    pub(crate) fn load(options: &Options, config: &Config) -> Result<Engine, String> {
        let from = Reader::of(config, Agent::Smtp);
        let told = |error: config::ValueError| error.to_string();
        let log = LogLevel::parse(&options.log, "-L option");
        if log.verbose {
            logging::info!("initializing the client-side TLS engine");
        }
        // smtp_tls_fingerprint_digest
        let digest = options.digest.clone().map_or_else(|| from.get(twin::TLS_FINGERPRINT_DIGEST).map_err(told), Ok)?;
        let digest = tls::engine::digest(&digest);
        let (file, directory) = (&options.authority_file, &options.authority_directory);
        // tls_append_default_CA
        let is_appended = config.get(param::TLS_APPEND_DEFAULT_CA).map_err(told)?;
        let anchors = tls::engine::anchors(file, directory, is_appended);
        let mut works = digest.is_some() && anchors.is_ok();
        let mut anchors = anchors.unwrap_or_else(|some| some);
        if !options.trust_anchors.is_empty() {
            anchors = pinned(&options.trust_anchors)?;
        }
        let (pairs, is_whole) = pairs(options);
        works &= is_whole;
        // smtp_tls_scert_verifydepth
        let depth = usize::try_from(from.get(twin::TLS_SCERT_VERIFYDEPTH).map_err(told)?).unwrap_or(0);
        let grades = Grades {
            high: config.get(param::TLS_HIGH_CIPHERLIST).map_err(told)?,
            medium: config.get(param::TLS_MEDIUM_CIPHERLIST).map_err(told)?,
        };
        let groups = Groups::read(&config.get(param::TLS_EECDH_AUTO_CURVES).map_err(told)?);
        let (client, digest) = (Client::with_pairs(pairs), digest.unwrap_or(Digest::Sha256));
        Ok(Engine { works, client, anchors: Rc::new(anchors), digest, log, depth, grades, groups })
    }
}

/// What trust anchor files hold.
fn pinned(files: &[PathBuf]) -> Result<Anchors, String> {
    let mut anchors = Anchors::pinned();
    for file in files {
        let name = text::printable(file.as_os_str().as_bytes());
        let content = Anchors::read(file).map_err(|error| {
            logging::warning!("error opening trust anchor file: {name}: {}", text::system_error(&error));
            format!("Failed to load trust anchor file: {name}")
        })?;
        if !anchors.pin(&content) {
            return Err(format!("Failed to load trust anchor file: {name}"));
        }
    }
    Ok(anchors)
}

/// Our certificates, with their keys; false if there is no TLS without them: they are named in the old way.
fn pairs(options: &Options) -> (Vec<Pair>, bool) {
    let (loaded, is_needed) = match (&options.certificate, &options.key) {
        (None, None) if options.chains.is_empty() => return (Vec::new(), true),
        (None, None) => (chains(&options.chains), false),
        (certificate, key) => {
            let either = certificate.as_deref().or(key.as_deref()).unwrap_or_default();
            let (certificate, key) = (certificate.as_deref().unwrap_or(either), key.as_deref().unwrap_or(either));
            let contents = [content(certificate), content(key)];
            let [first, second] = contents.each_ref().map(borrowed);
            (chain::legacy("RSA", (certificate, first), (key, second)), true)
        }
    };
    for warning in &loaded.warnings {
        logging::warning!("{}", text::printable(warning.as_bytes()));
    }
    (loaded.pairs, !(loaded.failed && is_needed))
}

fn chains(files: &[String]) -> Loaded {
    let contents: Vec<_> = files.iter().map(|file| content(file)).collect();
    let sources: Vec<_> = files.iter().map(String::as_str).zip(contents.iter().map(borrowed)).collect();
    chain::chains(&sources, &files.join(" "), "no certificate will be sent")
}

fn borrowed(content: &Result<Zeroizing<Vec<u8>>, String>) -> Result<&[u8], &str> {
    content.as_ref().map(|content| content.as_slice()).map_err(String::as_str)
}

/// The content of a file, which is wiped after use: it may be a key.
fn content(path: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let read = || -> io::Result<_> {
        // No copy is left behind where the buffer grows.
        let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(LARGEST).unwrap_or(0) + 1));
        sys::content::append(sys::content::open(Path::new(path))?, LARGEST, &mut content)?;
        Ok(content)
    };
    read().map_err(|error| text::system_error(&error))
}
