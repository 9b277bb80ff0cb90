//! How a porter learns which databases it is to ask, and whose rights it is to have: over a pipe, once, before it reads
//! anything else. A command line would be everybody's to read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use lookup::client::served;
use nix::errno::Errno;
use sys::identity::Identity;

/// Most bytes of it.
/// told: the worker, whose porter ends.
const MOST: u64 = 64 << 20;

/// Tells a porter of this process's tables.
pub(super) fn hand_over(pipe: OwnedFd, owner: Option<&Identity>) -> io::Result<()> {
    let mut pipe = File::from(pipe);
    pipe.write_all(ids(owner).as_bytes())?;
    pipe.write_all(&served::definitions())
}

/// Takes over the tables of a worker; the result is whose rights this process is to have, if not those that it has.
pub(super) fn take_over(pipe: OwnedFd) -> io::Result<Option<Identity>> {
    let mut told = Vec::new();
    // told: who is cut short has no whole table at the end
    File::from(pipe).take(MOST).read_to_end(&mut told)?;
    let end = told.iter().position(|&byte| byte == 0).ok_or(Errno::EBADMSG)?;
    served::take_over(&told[end + 1..]).map_err(io::Error::other)?;
    identity(&told[..end]).ok_or_else(|| Errno::EBADMSG.into())
}

/// `UID GID GROUP...`, or nothing.
fn ids(owner: Option<&Identity>) -> String {
    let ids =
        owner.into_iter().flat_map(|owner| [owner.uid, owner.gid].into_iter().chain(owner.groups.iter().copied()));
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    format!("{}\0", ids.join(" "))
}

fn identity(ids: &[u8]) -> Option<Option<Identity>> {
    if ids.is_empty() {
        return Some(None);
    }
    let ids: Option<Vec<u32>> = ids.split(|&byte| byte == b' ').map(wire::fields::number).collect();
    let ids = ids?;
    let (&uid, rest) = ids.split_first()?;
    let (&gid, groups) = rest.split_first()?;
    Some(Some(Identity { uid, gid, groups: groups.to_vec() }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    use std::sync::{Arc, OnceLock};

    /// The keys of [`table`], and how long their values are.
    pub(crate) const LENGTHS: [(&str, Option<usize>); 4] =
        [("10", Some(10)), ("100000", Some(100_000)), ("1000000", Some(1_000_000)), ("none", None)];

    /// The one table of the tests of this program, whose number is 0.
    pub(crate) fn table() -> Arc<dyn lookup::Table> {
        static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| {
            let folder = std::env::temp_dir().join(format!("porter-databases-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("db"), b"").unwrap();
            let query = "SELECT replace(hex(zeroblob('%s')), '00', '0') WHERE '%s' <> 'none'";
            let settings = format!("dbpath = {}\nquery = {query}\n", folder.join("db").display());
            std::fs::write(folder.join("cf"), settings).unwrap();
            folder
        });
        let name = format!("sqlite:{}", folder.join("cf").display());
        lookup::open(&name, &lookup::Settings::default(), lookup::OpenFlags::default()).unwrap()
    }

    #[test]
    fn whose_rights_a_porter_gets_comes_back() {
        let owner = Identity { uid: 101, gid: 102, groups: vec![102, 8] };
        for owner in [None, Some(owner)] {
            let ids = ids(owner.as_ref());
            assert_eq!(identity(ids.trim_end_matches('\0').as_bytes()), Some(owner));
        }
        for wrong in [&b"1"[..], b"1 x", b" ", b"1 2 -3"] {
            assert_eq!(identity(wrong), None);
        }
    }
}
