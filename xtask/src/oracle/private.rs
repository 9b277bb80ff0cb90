//! An unpacked C Postfix that runs from where it is: each of its files names its own libraries and its own loader, for
//! master clears LD_LIBRARY_PATH, and the machine's C library may be older.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::workspace;

const LIBRARIES: &str = "usr/lib/postfix";
const PROGRAMS: [&str; 3] = ["usr/lib/postfix/sbin", "usr/sbin", "usr/bin"];

/// Makes programs and libraries below `root` find each other where they are.
pub fn make(root: &Path) -> Outcome {
    let shared: Vec<PathBuf> = files(root)?.into_iter().filter(|path| is_library(path)).collect();
    let loader = shared.iter().find(|path| name(path).starts_with("ld-linux"));
    let loader = loader.ok_or_else(|| Failure(format!("{}: no loader among the libraries", root.display())))?;
    let mut folders: Vec<String> =
        shared.iter().filter_map(|path| Some(path.parent()?.display().to_string())).collect();
    folders.sort();
    folders.dedup();
    let path = folders.join(":");
    for folder in PROGRAMS {
        for program in fs::read_dir(root.join(folder)).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if is_elf(&program) && !is_library(&program) {
                patch(&program, &path, Some(loader))?;
            }
        }
    }
    for library in shared.iter().filter(|file| file.starts_with(root.join(LIBRARIES))) {
        patch(library, &path, None)?;
    }
    let configuration = root.join("etc/postfix");
    fs::write(configuration.join("dynamicmaps.cf"), dynamic_maps(root))?;
    // Where newer packages keep the list by which `postfix start` makes missing directories.
    let list = root.join("usr/share/postfix/postfix-files");
    if !configuration.join("postfix-files").exists() && list.exists() {
        fs::copy(&list, configuration.join("postfix-files"))?;
    }
    leave_out_chroot_files(root)?;
    Ok(fs::set_permissions(root, fs::Permissions::from_mode(0o755))?)
}

/// Debian's scripts call one by its installed place that copies system files for processes in a chroot: there are none
/// here.
fn leave_out_chroot_files(root: &Path) -> Outcome {
    let script = root.join("usr/lib/postfix/sbin/post-install");
    let text = fs::read_to_string(&script).map_err(|e| Failure::about(script.display(), e))?;
    Ok(fs::write(&script, text.replace("/usr/lib/postfix/configure-instance.sh", "true"))?)
}

/// What it says of its version, `3.11.7`.
pub fn release(root: &Path) -> Outcome<String> {
    let mut command = Command::new(root.join("usr/sbin/postconf"));
    command.args(["-dh", "mail_version"]).env("MAIL_CONFIG", root.join("etc/postfix"));
    fs::write(root.join("etc/postfix/main.cf"), "")?;
    let libraries = root.join(LIBRARIES);
    command.args(["-o", &format!("shlib_directory={}", libraries.display())]);
    Ok(workspace::output(&mut command)?.trim().to_owned())
}

fn patch(file: &Path, path: &str, loader: Option<&PathBuf>) -> Outcome {
    let mut command = Command::new("patchelf");
    command.args(["--force-rpath", "--set-rpath", path]);
    if let Some(loader) = loader {
        command.arg("--set-interpreter").arg(loader);
    }
    workspace::run(command.arg(file))
}

/// dynamicmaps.cf for the table types that lie beside the libraries: type, library, function to open, function to make.
fn dynamic_maps(root: &Path) -> String {
    let mut text = String::new();
    for file in fs::read_dir(root.join(LIBRARIES)).into_iter().flatten().flatten() {
        let library = file.file_name().to_string_lossy().into_owned();
        let Some(kind) = library.strip_prefix("postfix-").and_then(|rest| rest.strip_suffix(".so")) else { continue };
        let make = if matches!(kind, "lmdb" | "cdb") { format!("mkmap_{kind}_open") } else { String::new() };
        // cannot fail: a String takes all that is written to it
        let _ = writeln!(text, "{kind}\t{library}\tdict_{kind}_open\t{make}");
    }
    text
}

/// All regular files below a folder.
fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_library(path: &Path) -> bool {
    name(path).contains(".so") && is_elf(path)
}

fn is_elf(path: &Path) -> bool {
    path.is_file() && !path.is_symlink() && fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"))
}
