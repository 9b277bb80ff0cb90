//! From what a service's constant says to the walls around it.

use std::path::{Path, PathBuf};

use config::{Config, param};
use sandbox::{Needs, Reach};

use crate::service::{Access, Network, Service};

/// What a service needs once its walls are closed. The working directory is the queue directory.
pub(crate) fn needs(service: &Service, config: &Config) -> Needs {
    Needs {
        paths: service.files.iter().flat_map(|access| paths(*access, config)).collect(),
        internet: service.network == Network::Internet,
        threads: service.threads,
        ..Needs::default()
    }
}

fn paths(access: Access, config: &Config) -> Vec<(PathBuf, Reach)> {
    let named = |path: &Path, reach| vec![(path.to_path_buf(), reach)];
    match access {
        Access::QueueRead(directory) => named(Path::new(directory), Reach::Read),
        Access::QueueWrite(directory) => named(Path::new(directory), Reach::Write),
        Access::BeforeQueue => {
            let filter = config.get(param::SMTPD_PROXY_FILTER).unwrap_or_default();
            let options = config.get(param::SMTPD_PROXY_OPTIONS).unwrap_or_default();
            if filter.is_empty() || options.is_empty() {
                Vec::new()
            } else {
                named(Path::new("incoming"), Reach::Write)
            }
        }
        Access::DataDirectory => {
            config.get(param::DATA_DIRECTORY).map(|path| (path, Reach::Write)).into_iter().collect()
        }
    }
}
