//! Index files that stand in for those of Berkeley DB, made where non_bdb_migration_level asks for it.
//!
//! Postfix has a service that makes the index of a table when a daemon finds none. Here no daemon can ask for such a
//! thing: the commands that an administrator gives (`postfix start`, `reload`, `non-bdb enable-reindex`) make
//! those of all tables that the configuration names, before anybody reads them. The rules are those of the service: who
//! owns the file of Berkeley DB has the new one made with his rights, from a source that nobody else can write, below a
//! directory that main.cf trusts.
//!
//! What it must never do: run postmap with the rights of root over what others than root can change.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use config::master_cf::MasterCf;
use config::report::BerkeleyTable;
use config::{Config, Param, Report, param};
use lookup::{Settings, Spec};

use crate::instance::Instance;

/// Under which lines stand in the log: the service that does this in Postfix.
const NAME: &str = "nbdb_reindexd";

/// Makes the index files that are missing, if main.cf wants it. What cannot be made is a warning, and stays as it is.
pub(crate) fn make_missing(instance: &Instance, own_name: &str) {
    let level: String = instance.config.get(param::NON_BDB_MIGRATION_LEVEL).unwrap_or_default();
    if level != "enable-reindex" {
        return;
    }
    logging::set_program(NAME);
    // That a table stands in for another is told by who reads it.
    let quiet = instance.config.with(param::NON_BDB_MIGRATION_LOG_REDIRECT.name(), "no");
    for table in tables(instance) {
        let named = format!("{}:{}", table.kind, table.path);
        let target = Spec::parse(&named).and_then(|spec| Settings::from(&quiet).redirect.apply(spec));
        let made = match &target {
            Ok(target) if target.to_string() == named || Path::new(&target.index_path()).exists() => continue,
            Ok(target) => make(instance, &table, target),
            Err(error) => Err(error.to_string()),
        };
        match made {
            Ok(done) => logging::info!("{done}"),
            Err(why) => logging::warning!("request to index {named} failed: {}", text::printable(why.as_bytes())),
        }
    }
    logging::set_program(own_name);
}

fn tables(instance: &Instance) -> Vec<BerkeleyTable> {
    let path = instance.config.directory().join("master.cf");
    // name: in the configuration directory, which the administrator gave.
    let content = fs::read(&path).unwrap_or_default();
    let Ok(master_cf) = MasterCf::parse(&content, &path, &instance.config) else { return Vec::new() };
    Report::new(&instance.config, (&path, &content), &master_cf, &|_| true).berkeley_tables()
}

/// Makes one; the sentence for the log.
fn make(instance: &Instance, table: &BerkeleyTable, target: &Spec) -> Result<String, String> {
    let owner = owner(&instance.config, &table.path)?;
    let command = if table.is_alias { "postalias" } else { "postmap" };
    let shown = format!("{command} {target}");
    let mut process = instance.command(&instance.commands.join(command));
    process.arg(target.to_string());
    if sys::identity::is_root() && owner.uid() != 0 {
        process.uid(owner.uid()).gid(owner.gid());
    }
    let uid = owner.uid();
    match process.status() {
        Ok(status) if status.success() => Ok(format!("successfully executed '{shown}' as uid {uid}")),
        Ok(status) => Err(format!("command '{shown}' as uid {uid}: {status}")),
        Err(error) => Err(format!("command '{shown}' as uid {uid}: {}", net::reason(&error))),
    }
}

/// Whose rights make the index: those of the owner of the file of Berkeley DB, if nobody else has a say in what it is
/// made of.
fn owner(config: &Config, path: &str) -> Result<Metadata, String> {
    let status = |path: &str, what: &str| {
        let failed = |error: std::io::Error| format!("look up status for {what} '{path}': {}", net::reason(&error));
        fs::metadata(path).map_err(failed)
    };
    let legacy = format!("{path}.db");
    let owner = status(&legacy, "legacy indexed file")?;
    let uid = owner.uid();
    let source = status(path, "source file")?;
    let trusted = if uid == 0 { &ROOT } else { &USER };
    if !trusted.has(config, path)? {
        let (whose, name) = (trusted.whose, trusted.prefixes.name());
        let setting = config.lookup(name).ok().flatten().unwrap_or_default();
        return Err(format!(
            "table {path} has an unexpected pathname; to allow automatic indexing as {whose}, append its parent \
             directory to the '{name}' setting (current setting is: \"{setting}\")"
        ));
    }
    let parent = Path::new(path).parent().map(|parent| parent.display().to_string()).unwrap_or_default();
    let is_safe = |status: &Metadata, mode: u32| mode & 0o022 == 0 && (status.uid() == 0 || status.uid() == uid);
    let mut folders = Path::new(&parent).ancestors().map(fs::metadata);
    let is_way_safe = folders.all(|folder| {
        // In a directory with the sticky bit (1777) nobody can put something else in the place of what is not his.
        let mode = |folder: &Metadata| if folder.mode() & 0o1000 == 0 { folder.mode() } else { 0 };
        folder.is_ok_and(|folder| is_safe(&folder, mode(&folder)))
    });
    let folder = status(&parent, "parent directory")?;
    let is_folder_safe = is_way_safe && is_safe(&folder, folder.mode());
    let is_source_safe = is_safe(&source, source.mode());
    let parts = [("parent directory", parent.as_str(), is_folder_safe), ("source file", path, is_source_safe)];
    for (what, path, is_safe) in parts {
        if !is_safe {
            return Err(format!(
                "legacy indexed file '{legacy}' is owned by uid '{uid}', but {what} '{path}' is owned or writable by \
                 other user; to allow automatic indexing, correct the ownership or permissions"
            ));
        }
    }
    Ok(owner)
}

/// Which directories are trusted with whose rights.
struct Trusted {
    whose: &'static str,
    prefixes: Param<Vec<String>>,
}

const ROOT: Trusted = Trusted { whose: "root", prefixes: param::NON_BDB_MIGRATION_ALLOW_ROOT_PREFIXES };
const USER: Trusted = Trusted { whose: "non-root", prefixes: param::NON_BDB_MIGRATION_ALLOW_USER_PREFIXES };

impl Trusted {
    fn has(&self, config: &Config, path: &str) -> Result<bool, String> {
        // A name that leads out again is below nothing.
        if path.contains("/../") {
            return Ok(false);
        }
        let prefixes: Vec<String> = config.get(self.prefixes).map_err(|error| error.to_string())?;
        let is_below = |prefix: &String| {
            let rest = path.strip_prefix(prefix.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        Ok(prefixes.iter().any(is_below))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn config(folder: &Path) -> Config {
        let prefixes = folder.display();
        let text = format!(
            "non_bdb_migration_allow_root_prefixes = {prefixes}\nnon_bdb_migration_allow_user_prefixes = {prefixes}/\n"
        );
        Config::parse(text.as_bytes(), Path::new("/c"), &[]).unwrap()
    }

    #[test]
    fn nobody_but_the_owner_has_a_say_in_what_an_index_is_made_of() {
        let folder = std::env::temp_dir().join(format!("reindex-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let (config, path) = (config(&folder), folder.join("table").display().to_string());
        let refused = |path: &str| owner(&config, path).err().unwrap_or_default();
        assert!(
            refused(&path).starts_with(&format!("look up status for legacy indexed file '{path}.db': No such file"))
        );
        fs::write(format!("{path}.db"), "").unwrap();
        assert!(refused(&path).starts_with(&format!("look up status for source file '{path}': No such file")));
        fs::write(&path, "k v\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(refused(&path), "");
        let outside = format!("{}/sub/../table", folder.display());
        fs::create_dir(folder.join("sub")).unwrap();
        assert!(refused(&outside).contains(" has an unexpected pathname; to allow automatic indexing as "));
        fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        assert!(refused(&path).contains(&format!("but source file '{path}' is owned or writable by other user")));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        assert!(refused(&path).contains("but parent directory '"));
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        // A name that leads to a file of somebody else's.
        fs::remove_file(&path).unwrap();
        symlink("/proc/self/none", &path).unwrap();
        assert!(refused(&path).starts_with("look up status for source file"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_what_is_below_a_prefix_is_trusted() {
        let config = config(Path::new("/a/b"));
        for (path, expected) in [("/a/b/c", true), ("/a/bc", false), ("/a/b/../c", false), ("/a/b", false)] {
            assert_eq!(ROOT.has(&config, path), Ok(expected), "{path}");
            assert_eq!(USER.has(&config, path), Ok(expected), "{path}");
        }
    }
}
