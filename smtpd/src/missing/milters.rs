//! Milters, none of which can be asked: what that means for a client.

use config::milter::{self, Lapse, Milter};
use config::{Config, param};
use daemon::StartError;
use lookup::{Maps, OpenFlags};

/// The milters of main.cf.
#[derive(Default)]
pub struct Milters {
    /// smtpd_milters
    all: Vec<Milter>,
    /// smtpd_milter_maps: other milters for some clients.
    by_client: Option<Maps>,
    /// milter_default_action
    default_action: String,
}

impl std::fmt::Debug for Milters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.all).finish()
    }
}

impl Milters {
    /// Reads the lists.
    ///
    /// # Errors
    /// A list that makes no sense.
    pub fn read(config: &Config) -> Result<Milters, StartError> {
        let name = param::SMTPD_MILTER_MAPS.name();
        let maps = config.lookup(name)?.unwrap_or_default();
        let by_client = Maps::open(config, name, &maps, OpenFlags::default())?;
        let default_action = config.get(param::MILTER_DEFAULT_ACTION)?;
        let list = config.lookup(param::SMTPD_MILTERS.name())?.unwrap_or_default();
        let all = milter::parse(&list, &default_action).map_err(StartError::new)?;
        Ok(Milters { all, by_client: Some(by_client).filter(|maps| !maps.is_empty()), default_action })
    }

    /// What the absence of the milters of a client with this address means.
    pub fn lapse(&self, address: &str) -> Lapse {
        let found = self.by_client.as_ref().map(|maps| maps.lookup(address.as_bytes()));
        let own = match found {
            // A table that fails leaves what is for all.
            None | Some(Err(_) | Ok(None)) => return of(&self.all),
            Some(Ok(Some(value))) => String::from_utf8_lossy(&value).into_owned(),
        };
        if own.trim().eq_ignore_ascii_case("DISABLE") {
            return Lapse::Nothing;
        }
        milter::parse(&own, &self.default_action).map_or(Lapse::Misconfigured, |milters| of(&milters))
    }

    /// The name of a table that has changed.
    pub fn changed(&self) -> Option<String> {
        self.by_client.as_ref().and_then(Maps::changed).map(str::to_owned)
    }
}

fn of(milters: &[Milter]) -> Lapse {
    milter::lapse(milters, |service| {
        logging::warning!("connect to Milter service {}: not implemented", text::printable(service.as_bytes()));
    })
}
