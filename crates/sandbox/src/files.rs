//! Landlock: the directories and files that can still be opened, and no TCP, abstract sockets or signals beyond.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};

use crate::{Needs, Reach, SandboxError};

/// Rights beyond this level of the kernel interface are not asked for.
pub(crate) const LEVEL: ABI = ABI::V6;

/// Rules whose paths are open already.
pub(crate) struct Rules {
    open: Vec<(PathFd, BitFlags<AccessFs>)>,
    internet: bool,
}

impl Rules {
    pub(crate) fn prepare(needs: &Needs) -> Self {
        let open = needs.paths.iter().filter_map(|(path, reach)| rule(path, *reach));
        Self { open: open.collect(), internet: needs.internet }
    }

    pub(crate) fn enforce(self) -> Result<(), SandboxError> {
        self.restrict().map_err(|error| SandboxError(format!("access to files cannot be restricted: {error}")))
    }

    /// What the kernel does not know is left out; [`crate::missing`] tells of it.
    fn restrict(self) -> Result<(), landlock::RulesetError> {
        let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
        rules = rules.handle_access(AccessFs::from_all(LEVEL))?;
        if !self.internet {
            // No TCP rule follows: neither bind nor connect.
            rules = rules.handle_access(AccessNet::from_all(LEVEL))?;
        }
        rules = rules.scope(Scope::from_all(LEVEL))?;
        let mut created: RulesetCreated = rules.create()?.no_new_privs(true);
        for (fd, rights) in self.open {
            created = created.add_rule(PathBeneath::new(fd, rights))?;
        }
        created.restrict_self().map(drop)
    }
}

/// A path that is not there needs no rule.
fn rule(path: &Path, reach: Reach) -> Option<(PathFd, BitFlags<AccessFs>)> {
    let rights = match reach {
        Reach::Read => AccessFs::from_read(LEVEL) & !AccessFs::Execute,
        Reach::Write => {
            AccessFs::from_all(LEVEL)
                & !(AccessFs::Execute
                    | AccessFs::MakeBlock
                    | AccessFs::MakeChar
                    | AccessFs::MakeSock
                    | AccessFs::MakeFifo)
        }
    };
    let fd = PathFd::new(path).ok()?;
    Some((fd, if path.is_dir() { rights } else { rights & AccessFs::from_file(LEVEL) }))
}
