//! The lookup tables of this daemon.

use config::{Config, Param, ValueError, param};
use daemon::StartError;
use lookup::{Maps, OpenFlags};

/// Every table, open.
pub struct Tables {
    /// sender_canonical_maps.
    pub sender_canonical: Maps,
    /// recipient_canonical_maps.
    pub recipient_canonical: Maps,
    /// canonical_maps.
    pub canonical: Maps,
    /// virtual_alias_maps.
    pub virtual_alias: Maps,
    /// sender_bcc_maps.
    pub sender_bcc: Maps,
    /// recipient_bcc_maps.
    pub recipient_bcc: Maps,
    /// header_checks.
    pub header_checks: Maps,
    /// mime_header_checks.
    pub mime_header_checks: Maps,
    /// nested_header_checks.
    pub nested_header_checks: Maps,
    /// body_checks.
    pub body_checks: Maps,
    /// milter_header_checks.
    pub milter_header_checks: Maps,
}

impl Tables {
    /// Opens them. A table that cannot be opened is logged, and fails when it is used.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        let addresses = |param| maps(config, param, OpenFlags::default());
        let patterns = |param| maps(config, param, OpenFlags { keep_case: true, bytes: true, ..OpenFlags::default() });
        // virtual_maps is the name that virtual_alias_maps had; its default refers to it.
        Ok(Tables {
            sender_canonical: addresses(param::SENDER_CANONICAL_MAPS)?,
            recipient_canonical: addresses(param::RECIPIENT_CANONICAL_MAPS)?,
            canonical: addresses(param::CANONICAL_MAPS)?,
            virtual_alias: addresses(param::VIRTUAL_ALIAS_MAPS)?,
            sender_bcc: addresses(param::SENDER_BCC_MAPS)?,
            recipient_bcc: addresses(param::RECIPIENT_BCC_MAPS)?,
            header_checks: patterns(param::HEADER_CHECKS)?,
            mime_header_checks: patterns(param::MIME_HEADER_CHECKS)?,
            nested_header_checks: patterns(param::NESTED_HEADER_CHECKS)?,
            body_checks: patterns(param::BODY_CHECKS)?,
            milter_header_checks: patterns(param::MILTER_HEADER_CHECKS)?,
        })
    }

    /// A table that has changed on disk.
    pub fn changed(&self) -> Option<&str> {
        self.all().into_iter().find_map(Maps::changed)
    }

    fn all(&self) -> [&Maps; 11] {
        [
            &self.sender_canonical,
            &self.recipient_canonical,
            &self.canonical,
            &self.virtual_alias,
            &self.sender_bcc,
            &self.recipient_bcc,
            &self.header_checks,
            &self.mime_header_checks,
            &self.nested_header_checks,
            &self.body_checks,
            &self.milter_header_checks,
        ]
    }
}

fn maps(config: &Config, param: Param<Vec<String>>, flags: OpenFlags) -> Result<Maps, StartError> {
    let list: Result<Option<String>, ValueError> = config.lookup(param.name());
    let list = list?.unwrap_or_default();
    Maps::open(config, param.name(), &list, flags).map_err(|error| StartError::new(error.to_string()))
}
