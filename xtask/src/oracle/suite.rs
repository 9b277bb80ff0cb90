//! Packages of a Debian suite that this machine is not set up for, fetched from its own mirror by an apt with lists and
//! a state of its own. Nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Version;
use crate::failure::{Failure, Outcome};
use crate::workspace;

/// Where Debian is found when apt's configuration names no mirror.
const MIRROR: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Unpacks `packages`, and the libraries that they need, below `folder/root`: from the first suite that has the
/// version, or else from the suite whose version is nearest to it.
pub fn unpack(packages: &[&str], version: Version, folder: &Path) -> Outcome {
    let suite = choose(packages[0], version, folder)?;
    let needed = suite.needed(packages)?;
    let archives = folder.join("archives");
    fs::create_dir_all(&archives)?;
    suite.call("apt-get", &["-qq", "-o", "APT::Sandbox::User=root", "download"], &needed, &archives)?;
    for archive in fs::read_dir(&archives)?.flatten().map(|entry| entry.path()) {
        workspace::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(folder.join("root")))?;
    }
    fs::remove_dir_all(archives)?;
    Ok(fs::remove_dir_all(&suite.folder)?)
}

fn choose(package: &str, version: Version, folder: &Path) -> Outcome<Suite> {
    let mut nearest: Option<(u32, Suite)> = None;
    let mut last = None;
    for name in version.suites() {
        let suite = match Suite::read(name, &folder.join("apt")) {
            Ok(suite) => suite,
            Err(failure) => {
                last = Some(failure);
                continue;
            }
        };
        let distance = suite.version(package).map(|found| distance(found, version.wanted()));
        match distance {
            Ok(0) => return Ok(suite),
            Ok(far) if nearest.as_ref().is_none_or(|(least, _)| far < *least) => nearest = Some((far, suite)),
            Ok(_) => {}
            Err(failure) => last = Some(failure),
        }
    }
    let suite = nearest.map(|(_, suite)| suite);
    suite.ok_or_else(|| last.unwrap_or_else(|| Failure(format!("no Debian suite has {package} {version}"))))
}

/// How many minor versions lie between the two; a major one is further than any of them.
fn distance((major, minor): (u32, u32), (wanted_major, wanted_minor): (u32, u32)) -> u32 {
    major.abs_diff(wanted_major) * 1000 + minor.abs_diff(wanted_minor)
}

/// The package lists of one suite.
struct Suite {
    folder: PathBuf,
}

impl Suite {
    fn read(name: &str, parent: &Path) -> Outcome<Suite> {
        let folder = parent.join(name);
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let source = format!("deb [signed-by={KEYRING}] {} {name} main\n", mirror());
        fs::write(folder.join("sources.list"), source)?;
        let suite = Suite { folder };
        suite.call("apt-get", &["-qq", "update"], &[], parent)?;
        Ok(suite)
    }

    /// Major and minor number of a package.
    fn version(&self, package: &str) -> Outcome<(u32, u32)> {
        let text = self.call("apt-cache", &["show", "--no-all-versions"], &[package.to_owned()], &self.folder)?;
        let version = text.lines().find_map(|line| line.strip_prefix("Version: "));
        let mut numbers = version.unwrap_or_default().split(['.', '-']).map_while(|part| part.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => Ok((major, minor)),
            _ => Err(Failure(format!("{package}: no version in {text:?}"))),
        }
    }

    /// Which packages an installation would bring, as far as they hold the packages themselves or libraries.
    fn needed(&self, packages: &[&str]) -> Outcome<Vec<String>> {
        let packages: Vec<String> = packages.iter().map(|name| name.to_string()).collect();
        let plan = ["-qq", "--simulate", "--no-install-recommends", "install"];
        let text = self.call("apt-get", &plan, &packages, &self.folder)?;
        let names = text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next());
        let is_needed = |name: &&str| name.starts_with("lib") || packages.iter().any(|package| package == name);
        Ok(names.filter(is_needed).map(str::to_owned).collect())
    }

    fn call(&self, program: &str, options: &[&str], words: &[String], directory: &Path) -> Outcome<String> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new(program);
        for (name, value) in [
            ("Dir::State::Lists", at("lists")),
            ("Dir::Etc::SourceList", at("sources.list")),
            ("Dir::Etc::SourceParts", "/dev/null".to_owned()),
            ("Dir::Cache", at("cache")),
            // Nothing counts as installed: not even the C library.
            ("Dir::State::Status", "/dev/null".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
        ] {
            command.arg("-o").arg(format!("{name}={value}"));
        }
        workspace::output(command.args(options).args(words).current_dir(directory))
    }
}

/// The mirror that apt is set up with.
fn mirror() -> String {
    let sites = workspace::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE)",
        "Created-By: Packages",
    ]));
    let sites = sites.unwrap_or_default();
    let found = sites.lines().find(|site| site.trim_end_matches('/').ends_with("/debian"));
    found.unwrap_or(MIRROR).to_owned()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn the_nearest_version_is_the_one_with_the_fewest_minor_versions_between() {
        assert_eq!(distance((3, 11), (3, 11)), 0);
        assert!(distance((3, 10), (3, 11)) < distance((3, 13), (3, 11)));
        assert!(distance((3, 0), (3, 11)) < distance((4, 11), (3, 11)));
    }
}
