//! postmulti - several mail systems on one machine
//!
//! # Synopsis
//! `postmulti -l [-ajRv] [-g group] [-i name]`
//!
//! `postmulti -p [-av] [-g group] [-i name] command...`
//!
//! `postmulti -x [-aRv] [-g group] [-i name] command...`
//!
//! `postmulti -e action [-av] [-g group] [-i name] [-G group] [-I name] [name=value...]`
//!
//! # Description
//! The instance of the default configuration directory is the primary one; the others are the directories that its
//! multi_instance_directories names, in the order in which they start. `-l` lists them: name, group, whether
//! `postfix start` starts it, directory; with `-j` as JSON. `-p` runs `postfix command` for each: commands of
//! postmulti_start_commands as `check` where an instance is not enabled, those of postmulti_stop_commands in reverse
//! order and, as those of postmulti_control_commands, for enabled instances alone. `-x` runs any command, with
//! MAIL_CONFIG and the main settings of the instance in its environment. `-a` (all of them) is the default, `-g`
//! chooses a group, `-i` one instance by name or directory, `-` the primary one; `-R` reverses the order.
//!
//! `-e` edits: `init` sets multi_instance_wrapper and enables the primary instance; `create` makes an instance, with
//! directories beside those of the primary one under the name of `-I`, or those of `config_directory=`,
//! `queue_directory=` and `data_directory=`; it listens on no network, and takes no mail of users, until its main.cf
//! says otherwise. `import` adds one that is there, `deport` removes one from the list, `destroy` removes one that is
//! disabled, stopped and has no mail, with all that belongs to it; what it does not know stays, with a warning.
//! `enable`, `disable`, and `assign` (`-I`, `-G`; `-` for none) change one.
//!
//! # Privilege
//! The caller's: root's, to edit or to control.
//!
//! # Diagnostics
//! Exit status 0: done, for all chosen instances. 1: not, or not for all.

mod create;
mod destroy;
mod edit;
mod instances;
mod iterate;
mod options;
mod place;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::run()
}
