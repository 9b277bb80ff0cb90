//! `cargo xtask oracle`: the scenarios on C Postfix as Debian has it, which is unpacked and never installed.
//!
//! Each version is taken from the Debian suite that has it, with the C library and the other libraries of that suite:
//! it runs on any Debian machine, whatever that machine has itself. It needs root: C Postfix's master serves nobody
//! else.

mod private;
mod suite;

use std::fmt;
use std::fs;
use std::path::PathBuf;

use testing::accounts::is_root;

use crate::failure::{Failure, Outcome};
use crate::packages::{self, Tool};
use crate::{accounts, programs, test, workspace};

/// What is unpacked beside the libraries that these need.
const PACKAGES: [&str; 5] = ["postfix", "postfix-cdb", "postfix-lmdb", "postfix-pcre", "postfix-sqlite"];

/// Which Postfix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Version {
    /// The one whose behaviour is ours.
    #[value(name = "3.11")]
    Reference,
    /// That of Debian 12, which many servers run.
    #[value(name = "3.7")]
    Stable,
}

impl Version {
    /// All that `cargo xtask test` runs on.
    pub const ALL: [Version; 2] = [Version::Reference, Version::Stable];

    /// Major and minor number.
    fn wanted(self) -> (u32, u32) {
        match self {
            Version::Reference => (3, 11),
            Version::Stable => (3, 7),
        }
    }

    /// Where to look for it, in this order.
    fn suites(self) -> &'static [&'static str] {
        match self {
            Version::Reference => &["sid", "forky", "trixie"],
            Version::Stable => &["bookworm"],
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.wanted();
        write!(f, "{major}.{minor}")
    }
}

/// An unpacked C Postfix.
pub struct Unpacked {
    /// What stands for `/`.
    pub root: PathBuf,
    /// Which version this run asks for: the one that oracle.toml means.
    pub version: Version,
    /// Its own word for its version, `3.11.7`.
    pub release: String,
}

#[derive(clap::Args)]
pub struct Options {
    /// Only scenarios whose names contain this
    filter: Option<String>,
    /// Which Postfix
    #[arg(long, value_enum, default_value_t = Version::Reference)]
    version: Version,
}

/// Runs the scenarios whose names match, or all.
pub fn run(options: &Options) -> Outcome {
    packages::ensure(&test::TOOLS)?;
    let unpacked = prepare(options.version)?;
    test::on_oracle(&unpacked, options.filter.as_deref())
}

/// Writes the outcomes of the cases about the name service again.
pub fn record() -> Outcome {
    packages::ensure(&test::TOOLS)?;
    test::record(&prepare(Version::Reference)?)
}

/// Unpacks C Postfix, if that was not done before.
pub fn prepare(version: Version) -> Outcome<Unpacked> {
    if !is_root() {
        return Err(Failure("the oracle needs root: C Postfix's master serves nobody else".to_owned()));
    }
    accounts::ensure()?;
    let folder = folder(version)?;
    let (root, done) = (folder.join("root"), folder.join("done"));
    let packages = PACKAGES.join(" ");
    let said = fs::read_to_string(&done).unwrap_or_default();
    // What was unpacked before may lack a package that has come since.
    if let Some((release, held)) = said.split_once('\n')
        && held == packages
    {
        return Ok(Unpacked { root, version, release: release.to_owned() });
    }
    packages::ensure(&[Tool::Program { name: "patchelf", package: "patchelf" }])?;
    println!("unpacking Postfix {version} into {}", root.display());
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&root)?;
    suite::unpack(&PACKAGES, version, &folder)?;
    private::make(&root)?;
    let release = private::release(&root)?;
    let (major, minor) = version.wanted();
    if !release.starts_with(&format!("{major}.{minor}.")) {
        println!(
            "Debian has no Postfix {version} any more; the nearest is {release}, which the scenarios run on instead"
        );
    }
    fs::write(done, format!("{release}\n{packages}"))?;
    Ok(Unpacked { root, version, release })
}

/// Below `target/`, or below a directory of temporary files when the mail system's user cannot reach that, or its name
/// has characters that C Postfix takes for more than a name: it starts its programs by lines that it divides at blanks.
fn folder(version: Version) -> Outcome<PathBuf> {
    let temporary = |parent: PathBuf| parent.join("postfix-rs-oracle");
    let candidates =
        [workspace::target().join("oracle"), temporary(std::env::temp_dir()), temporary("/var/tmp".into())];
    let fit = |folder: &PathBuf| programs::is_plain(folder) && programs::is_reachable(folder);
    match candidates.into_iter().find(fit) {
        Some(folder) => Ok(folder.join(version.to_string())),
        None => Err(Failure("neither target/ nor TMPDIR nor /var/tmp can hold C Postfix".to_owned())),
    }
}
