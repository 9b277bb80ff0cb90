//! Which files are to be read: those that main.cf, with the options of each service in master.cf, names. Nobody can ask
//! for others.

use std::path::Path;

use config::master_cf::MasterCf;
use config::{Agent, Config, Reader, param};
use ipc::tlsmgr::Files;
use tls::files;

/// What may be asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// The files of each service.
    pub(crate) sets: Vec<Files>,
    /// All of them, each once.
    pub(crate) paths: Vec<String>,
    /// tls_server_sni_maps, of each service that has another one.
    pub(crate) names: Vec<String>,
}

impl Rights {
    /// Reads them. What makes no sense is for the service that it is meant for to tell.
    pub(crate) fn read(config: &Config) -> Rights {
        let mut rights = Rights::default();
        rights.add(config, "smtpd");
        rights.add(config, "smtp");
        rights.add(config, "lmtp");
        // waits: before the first client
        let Ok(master) = MasterCf::load(&config.directory().join("master.cf"), config) else { return rights };
        for service in &master.services {
            let overrides = service.arguments().map(|arguments| arguments.overrides).unwrap_or_default();
            if !overrides.is_empty() {
                let config = overrides.iter().fold(config.clone(), |config, (name, value)| config.with(name, value));
                rights.add(&config, service.program());
            }
        }
        rights
    }

    fn add(&mut self, config: &Config, program: &str) {
        let program = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let found = match program {
            "smtpd" => files::of_server(config),
            "smtp" => files::of_client(Reader::of(config, Agent::Smtp)),
            "lmtp" => files::of_client(Reader::of(config, Agent::Lmtp)),
            _ => return,
        };
        if let Ok(Some(files)) = found.map(|found| found.files)
            && !self.sets.contains(&files)
        {
            match &files {
                Files::Chains(paths) => paths.iter().for_each(|path| self.add_path(path)),
                Files::Legacy(pairs) => pairs.iter().for_each(|pair| {
                    self.add_path(&pair.certificate);
                    self.add_path(&pair.key);
                }),
            }
            self.sets.push(files);
        }
        if program == "smtpd"
            && let Ok(Some(maps)) = config.lookup(param::TLS_SERVER_SNI_MAPS.name())
            && !maps.is_empty()
            && !self.names.contains(&maps)
        {
            self.names.push(maps);
        }
    }

    fn add_path(&mut self, path: &str) {
        if !self.paths.iter().any(|known| known == path) {
            self.paths.push(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_service_are_known_and_no_others() {
        let directory = std::env::temp_dir().join(format!("tlsmgr-rights-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(
            directory.join("master.cf"),
            "smtps inet n - n - - smtpd\n -o smtpd_tls_chain_files=/s\n\
             relay unix - - n - - smtp\n -o smtp_tls_cert_file=/r\nother unix - - n - - pipe\n -o smtpd_tls_chain_files=/x\n",
        )
        .unwrap();
        let main = b"smtpd_tls_cert_file = /c\nsmtpd_tls_key_file = /k\ntls_server_sni_maps = inline:{a.test=/n}\n";
        let config = Config::parse(main, &directory, &[]).unwrap();
        let rights = Rights::read(&config);
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(rights.paths, ["/c", "/k", "/s", "/r"]);
        assert_eq!(rights.sets.len(), 3);
        assert_eq!(rights.names, ["inline:{a.test=/n}"]);
    }
}
