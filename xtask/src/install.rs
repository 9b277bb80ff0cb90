//! `cargo xtask install --root DIR`: builds (release) and installs by conf/manifest.
//!
//! Below a DIR that is not `/`, main.cf names the directories below DIR, so that the installation runs from where it
//! is, beside another; `--staged` leaves main.cf as it is, for a package whose files move to `/` later.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use config::manifest::{self, Entry, Kind};
use testing::accounts::is_root;

use crate::failure::{Failure, Outcome};
use crate::programs::{self, Profile};
use crate::{accounts, workspace};

#[derive(clap::Args)]
pub struct Options {
    /// Where to: `/`, or a folder that stands for it
    #[arg(long)]
    root: PathBuf,
    /// DIR stands for `/` of another system: main.cf does not name it
    #[arg(long)]
    staged: bool,
    /// Build without optimisation, for tests
    #[arg(long, hide = true)]
    dev: bool,
}

pub fn run(options: &Options) -> Outcome {
    let built = programs::build(if options.dev { Profile::Dev } else { Profile::Release })?;
    fs::create_dir_all(&options.root)?;
    let root = options.root.canonicalize()?;
    let main_cf = below(&root, "/etc/postfix/main.cf");
    let was_there = main_cf.exists();
    let count = place_all(&root, &built)?;
    if root != Path::new("/") && !options.staged {
        relocate(&main_cf, &root)?;
    }
    if was_there && !options.staged {
        // A configuration of another version, or of another Postfix: what it needs here is added.
        let mut postfix = std::process::Command::new(below(&root, "/usr/sbin/postfix"));
        workspace::run(postfix.arg("-c").arg(below(&root, "/etc/postfix")).arg("upgrade-configuration"))?;
    }
    if !below(&root, "/etc/aliases.lmdb").exists() && !options.staged {
        let mut postalias = std::process::Command::new(below(&root, "/usr/sbin/postalias"));
        postalias.arg("-c").arg(below(&root, "/etc/postfix"));
        workspace::run(postalias.arg(format!("hash:{}", below(&root, "/etc/aliases").display())))?;
    }
    println!("installed {count} files and directories below {}", root.display());
    println!("start it with: {} start", shown_start(&root, options.staged));
    Ok(())
}

/// Places every entry of the manifest below `root`; `built` holds the programs. Returns how many there were.
pub fn place_all(root: &Path, built: &Path) -> Outcome<usize> {
    if !is_root() {
        return Err(Failure("installing needs root: it sets owners (`cargo xtask run` does not)".to_owned()));
    }
    accounts::ensure()?;
    let entries = read()?;
    for entry in &entries {
        let target = below(root, &entry.path);
        place(entry, &target, built).map_err(|e| Failure::about(target.display(), e))?;
    }
    Ok(entries.len())
}

/// The manifest of the source tree.
fn read() -> Outcome<Vec<Entry>> {
    let path = workspace::root().join("conf/manifest");
    manifest::parse(&workspace::read(&path)?).map_err(|e| Failure(format!("conf/manifest:{e}")))
}

fn shown_start(root: &Path, staged: bool) -> String {
    match root == Path::new("/") || staged {
        true => "postfix".to_owned(),
        false => format!("{} -c {}", below(root, "/usr/sbin/postfix").display(), below(root, "/etc/postfix").display()),
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn place(entry: &Entry, target: &Path, built: &Path) -> Outcome {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    match &entry.kind {
        Kind::Directory => fs::create_dir_all(target)?,
        Kind::Program(name) => replace(&built.join(name), target)?,
        Kind::File(source) => replace(&workspace::root().join(source), target)?,
        Kind::Configuration(_) if target.exists() => return Ok(()),
        Kind::Configuration(source) => replace(&workspace::root().join(source), target)?,
        Kind::Link(to) => {
            let _ = fs::remove_file(target);
            return Ok(symlink(to, target)?);
        }
    }
    chown(target, Some(user(&entry.owner)?), Some(group(&entry.group)?))?;
    // After the owner: changing it clears the set-gid bit.
    Ok(fs::set_permissions(target, fs::Permissions::from_mode(entry.mode))?)
}

/// A running program is replaced, never written to.
fn replace(source: &Path, target: &Path) -> Outcome {
    let fresh = target.with_extension("new");
    fs::copy(source, &fresh).map_err(|e| Failure::about(source.display(), e))?;
    Ok(fs::rename(&fresh, target)?)
}

fn relocate(main_cf: &Path, root: &Path) -> Outcome {
    let mut text = workspace::read(main_cf)?;
    let directories = [
        ("queue_directory", "/var/spool/postfix"),
        ("data_directory", "/var/lib/postfix"),
        ("daemon_directory", "/usr/lib/postfix/sbin"),
        ("command_directory", "/usr/sbin"),
        ("sendmail_path", "/usr/sbin/sendmail"),
        ("mailq_path", "/usr/bin/mailq"),
        ("newaliases_path", "/usr/bin/newaliases"),
        ("meta_directory", "/etc/postfix"),
    ];
    if !text.lines().any(|l| l.starts_with("queue_directory")) {
        text = text.replace("hash:/etc/aliases", &format!("hash:{}", below(root, "/etc/aliases").display()));
        text.push_str("\n# This installation runs from where it is.\n");
        for (name, path) in directories {
            text.push_str(&format!("{name} = {}\n", below(root, path).display()));
        }
        fs::write(main_cf, text)?;
    }
    Ok(())
}

fn user(name: &str) -> Outcome<u32> {
    let user = nix::unistd::User::from_name(name).ok().flatten();
    Ok(user.ok_or_else(|| Failure(format!("no user {name}")))?.uid.as_raw())
}

fn group(name: &str) -> Outcome<u32> {
    let group = nix::unistd::Group::from_name(name).ok().flatten();
    Ok(group.ok_or_else(|| Failure(format!("no group {name}")))?.gid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_installed_under_its_name() {
        let entries = read().expect("read");
        for program in workspace::programs().expect("programs") {
            let installed = |e: &Entry| e.path.rsplit('/').next() == Some(&program) && e.kind != Kind::Directory;
            assert!(entries.iter().any(installed), "conf/manifest has no {program}");
        }
    }

    #[test]
    fn the_sources_that_the_manifest_names_exist() {
        for entry in read().expect("read") {
            if let Kind::File(source) | Kind::Configuration(source) = entry.kind {
                assert!(workspace::root().join(&source).exists(), "{source}");
            }
        }
    }
}
