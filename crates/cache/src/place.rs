//! From `type:name` to the file of a cache.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use config::{Config, param};
use lookup::{Kind, OpenError, Settings, Spec};
use sys::identity::Identity;

/// Where a cache is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `type:name`, as it stands in main.cf.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Bytes of address space to begin with. lmdb_map_size
    pub map_size: usize,
}

/// Finds it. hash: and btree: are kept in the file of an lmdb table, as everywhere; proxy: leads to the same file, for
/// who may write it does so.
///
/// # Errors
/// There is no such type, or none that can be written.
pub(crate) fn find(config: &Config, value: &str, owner: Option<&Identity>) -> Result<Place, OpenError> {
    let spec = Spec::parse(value)?;
    if !matches!(spec.kind, Kind::Lmdb | Kind::Hash | Kind::Btree) {
        return Err(OpenError::Syntax(format!("{value} map requires O_RDONLY access mode")));
    }
    let spec = match owner {
        Some(owner) => own(config, spec, owner),
        None => spec,
    };
    let name = value.strip_prefix("proxy:").map_or_else(|| spec.to_string(), |_| format!("proxy:{spec}"));
    Ok(Place { name, path: spec.index_path().into(), map_size: Settings::from(config).map_size })
}

/// A file whose directory is not the mail system's is one in data_directory: it was root's business in old versions.
fn own(config: &Config, spec: Spec, owner: &Identity) -> Spec {
    let path = Path::new(&spec.name);
    let of_owner = |folder: &Path| folder.metadata().map(|data| data.uid() == owner.uid);
    let Some(folder) = path.parent() else { return spec };
    // One that is not there is an error when the file is made.
    if of_owner(folder).unwrap_or(true) {
        return spec;
    }
    let (Ok(data), Some(name)) = (config.get(param::DATA_DIRECTORY), path.file_name()) else { return spec };
    let moved = data.join(name).display().to_string();
    let user = config.get(param::MAIL_OWNER).unwrap_or_default();
    logging::warning!("request to update table {spec} in non-{user} directory {}", folder.display());
    logging::warning!("redirecting the request to {user}-owned data_directory {}", data.display());
    Spec { name: moved, ..spec }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(value: &str) -> Result<Place, OpenError> {
        let config = Config::parse(b"data_directory = /data\n", Path::new("/proc/self/none"), &[]).unwrap();
        find(&config, value, None)
    }

    #[test]
    fn types_with_an_index_are_kept_in_an_lmdb_file() {
        for kind in ["lmdb", "btree", "hash", "proxy:lmdb", "proxy:btree"] {
            let place = place(&format!("{kind}:/data/verify_cache")).unwrap();
            assert_eq!(place.path, Path::new("/data/verify_cache.lmdb"));
            assert_eq!(place.name, format!("{kind}:/data/verify_cache"));
        }
    }

    #[test]
    fn what_cannot_be_written_is_no_cache() {
        let text = |value| place(value).unwrap_err().to_string();
        assert_eq!(text("texthash:/x"), "texthash:/x map requires O_RDONLY access mode");
        assert_eq!(text("cdb:/x"), "cdb:/x map requires O_RDONLY access mode");
        assert_eq!(text("nosuch:/x"), "unsupported dictionary type: nosuch");
        assert!(matches!(place("/x"), Err(OpenError::NotTypeName(_))));
    }

    #[test]
    fn a_file_among_those_of_others_is_one_of_the_mail_system() {
        let config = Config::parse(b"data_directory = /data\n", Path::new("/proc/self/none"), &[]).unwrap();
        let nobody = Identity { uid: 65534, gid: 65534, groups: Vec::new() };
        let found = find(&config, "lmdb:/etc/cache", Some(&nobody)).unwrap();
        assert_eq!((found.path.as_path(), found.name.as_str()), (Path::new("/data/cache.lmdb"), "lmdb:/data/cache"));
        let own = Identity { uid: Path::new("/etc").metadata().unwrap().uid(), ..nobody };
        assert_eq!(find(&config, "lmdb:/etc/cache", Some(&own)).unwrap().path, Path::new("/etc/cache.lmdb"));
    }
}
