//! From what a service's constant says to the walls around it.

use std::path::{Path, PathBuf};

use config::{Config, param};
use sandbox::{Needs, Reach};

use crate::service::{Access, Network, Service};

/// Where the user database, its modules and the sockets of its servers are.
const USER_DATABASE: [&str; 7] =
    ["/etc", "/usr/lib", "/lib", "/lib64", "/run/nscd", "/run/systemd/userdb", "/var/lib/sss"];

/// What a service needs once its walls are closed. The working directory is the queue directory.
pub(crate) fn needs(service: &Service, config: &Config) -> Needs {
    let asks_for_users = service.files.contains(&Access::UserDatabase);
    Needs {
        paths: service.files.iter().flat_map(|access| paths(*access, config)).collect(),
        internet: service.network == Network::Internet,
        routes: asks_for_users,
        threads: service.threads,
        loads_code: asks_for_users,
    }
}

fn paths(access: Access, config: &Config) -> Vec<(PathBuf, Reach)> {
    let named = |path: &Path, reach| vec![(path.to_path_buf(), reach)];
    match access {
        Access::QueueRead(directory) => named(Path::new(directory), Reach::Read),
        Access::QueueWrite(directory) => named(Path::new(directory), Reach::Write),
        Access::UserDatabase => USER_DATABASE.map(|path| (PathBuf::from(path), Reach::Read)).into(),
        Access::DataDirectory => {
            config.get(param::DATA_DIRECTORY).map(|path| (path, Reach::Write)).into_iter().collect()
        }
    }
}
