//! Landlock: the directories and files that a worker can still open.

use std::path::PathBuf;

use config::{Config, param};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::service::{Access, Network, Service};

/// Rights beyond this level of the kernel interface are not asked for.
const LEVEL: ABI = ABI::V6;

/// Rules whose paths are open already.
pub(crate) struct FileRules {
    service: &'static Service,
    open: Vec<(PathFd, BitFlags<AccessFs>)>,
}

impl FileRules {
    pub(crate) fn prepare(service: &'static Service, config: &Config) -> Self {
        let mut open = Vec::new();
        for access in service.files {
            for (path, rights) in paths(*access, config) {
                // A path that is not there needs no rule.
                if let Ok(fd) = PathFd::new(&path) {
                    let is_directory = path.is_dir();
                    open.push((fd, if is_directory { rights } else { rights & AccessFs::from_file(LEVEL) }));
                }
            }
        }
        Self { service, open }
    }

    pub(crate) fn enforce(self) {
        if self.service.files.contains(&Access::Everything) {
            return;
        }
        let network = self.service.network;
        match self.restrict(network) {
            Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => {}
            Ok(RulesetStatus::NotEnforced) => {
                logging::warning!("sandbox: this kernel has no Landlock: access to files is not restricted");
            }
            Err(error) => logging::warning!("sandbox: access to files is not restricted: {error}"),
        }
    }

    fn restrict(self, network: Network) -> Result<RulesetStatus, landlock::RulesetError> {
        let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
        rules = rules.handle_access(AccessFs::from_all(LEVEL))?;
        if network == Network::None {
            // No TCP rule follows: neither bind nor connect.
            rules = rules.handle_access(AccessNet::from_all(LEVEL))?;
        }
        rules = rules.scope(Scope::from_all(LEVEL))?;
        let mut created: RulesetCreated = rules.create()?.no_new_privs(true);
        for (fd, rights) in self.open {
            created = created.add_rule(PathBeneath::new(fd, rights))?;
        }
        Ok(created.restrict_self()?.ruleset)
    }
}

fn paths(access: Access, config: &Config) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let read = AccessFs::from_read(LEVEL) & !AccessFs::Execute;
    let write = AccessFs::from_all(LEVEL) & !(AccessFs::Execute | AccessFs::MakeBlock | AccessFs::MakeChar);
    let of_user_database = || {
        ["/etc", "/usr/lib", "/lib", "/lib64", "/run/nscd", "/run/systemd/userdb", "/var/lib/sss"]
            .map(|path| (PathBuf::from(path), read | AccessFs::Execute))
            .to_vec()
    };
    match access {
        // The working directory is the queue directory.
        Access::QueueRead(directory) => vec![(PathBuf::from(directory), read)],
        Access::QueueWrite(directory) => vec![(PathBuf::from(directory), write)],
        Access::UserDatabase => of_user_database(),
        Access::DataDirectory => named(config.get(param::DATA_DIRECTORY).ok(), write),
        Access::Everything => Vec::new(),
    }
}

fn named(path: Option<impl Into<PathBuf>>, rights: BitFlags<AccessFs>) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    path.map(|path| (path.into(), rights)).into_iter().collect()
}
