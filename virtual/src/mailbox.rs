//! The mailbox of an address: where it is, and whose.

use address::Delimiters;
use lookup::search::{Key, address_keys};
use lookup::{Maps, OwnDomains, fold};

/// The tables.
pub struct Mailboxes {
    /// virtual_mailbox_maps.
    pub paths: Maps,
    /// virtual_uid_maps.
    pub users: Maps,
    /// virtual_gid_maps.
    pub groups: Maps,
    /// Domains whose addresses are looked up without them, too.
    pub domains: OwnDomains,
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Absolute; a maildir ends in a slash.
    pub path: Vec<u8>,
    /// Whose rights it is written with: user and group.
    pub ids: (u32, u32),
}

/// Why there is no mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMailbox {
    /// No such address.
    Unknown,
    /// The tables are wrong, or do not answer; it is in the log.
    Misconfigured,
}

/// Where mailboxes are and whose they may be.
pub struct Bounds<'a> {
    /// virtual_mailbox_base.
    pub base: &'a str,
    /// virtual_minimum_uid.
    pub minimum_uid: u32,
    /// recipient_delimiter.
    pub delimiters: &'a Delimiters,
    /// smtputf8_enable.
    pub utf8: bool,
}

impl Mailboxes {
    /// Looks an address up.
    ///
    /// # Errors
    /// There is none, or the tables give none that can be used.
    pub fn find(&self, address: &[u8], bounds: &Bounds<'_>) -> Result<Mailbox, NoMailbox> {
        let address = fold::fold(address, bounds.utf8);
        let keys = address_keys(&address, bounds.delimiters, |domain| self.domains.contains(domain));
        let shown = text::printable(&address);
        let path = self.paths.search(&keys).map_err(|error| {
            if !error.is_awaited() {
                logging::warning!("table virtual_mailbox_maps: lookup {shown}: {}", error.reason());
            }
            NoMailbox::Misconfigured
        })?;
        let path = path.ok_or(NoMailbox::Unknown)?.value;
        let whole = [bounds.base.as_bytes(), b"/", path.as_slice()].concat();
        // From the last byte of the base on: the names of the base are the administrator's.
        if contains(&whole[bounds.base.len()..], b"/../") {
            let path = text::printable(&path);
            logging::warning!("recipient {shown}: bad mailbox path {path} in virtual_mailbox_maps");
            return Err(NoMailbox::Misconfigured);
        }
        let uid = number(&self.users, &keys, &shown, "uid", |uid| uid >= bounds.minimum_uid && uid != u32::MAX)?;
        let gid = number(&self.groups, &keys, &shown, "gid", |gid| gid > 0 && gid != u32::MAX)?;
        Ok(Mailbox { path: whole, ids: (uid, gid) })
    }

    /// The name of a table whose file is no longer the one that was opened.
    pub fn changed(&self) -> Option<String> {
        [&self.paths, &self.users, &self.groups].iter().find_map(|maps| maps.changed()).map(str::to_owned)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// What a table says of whose a mailbox is: a number, the whole of it.
fn number(maps: &Maps, keys: &[Key], shown: &str, kind: &str, is_fit: impl Fn(u32) -> bool) -> Result<u32, NoMailbox> {
    let found = match maps.search(keys) {
        Ok(Some(found)) => found,
        Err(error) if error.is_awaited() => return Err(NoMailbox::Misconfigured),
        Ok(None) | Err(_) => {
            logging::warning!("recipient {shown}: not found in {}", maps.title());
            return Err(NoMailbox::Misconfigured);
        }
    };
    let digits = std::str::from_utf8(&found.value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    match digits.and_then(|text| text.parse().ok()).filter(|id| is_fit(*id)) {
        Some(id) => Ok(id),
        None => {
            let value = text::printable(&found.value);
            logging::warning!("recipient {shown}: bad {kind} {value} in {}", maps.title());
            Err(NoMailbox::Misconfigured)
        }
    }
}

#[cfg(test)]
mod tests {
    use config::Config;
    use lookup::OpenFlags;

    use super::*;

    fn find(paths: &str, users: &str, address: &str) -> Result<(String, u32, u32), NoMailbox> {
        let text =
            b"recipient_delimiter = +\nmydestination = here.test\nmyorigin = here.test\ninet_interfaces = 127.0.0.1\n";
        let config = Config::parse(text, std::path::Path::new("/c"), &[]).unwrap();
        let maps = |title, list: &str| Maps::open(&config, title, list, OpenFlags::TRUSTED).unwrap();
        let mailboxes = Mailboxes {
            paths: maps("virtual_mailbox_maps", paths),
            users: maps("virtual_uid_maps", users),
            groups: maps("virtual_gid_maps", "static:8"),
            domains: OwnDomains::read(&config).unwrap(),
        };
        let delimiters = config.delimiters().unwrap();
        let bounds = Bounds { base: "/srv/..x", minimum_uid: 100, delimiters: &delimiters, utf8: true };
        let found = mailboxes.find(address.as_bytes(), &bounds)?;
        Ok((String::from_utf8(found.path).unwrap(), found.ids.0, found.ids.1))
    }

    const PATHS: &str = "inline:{ {joe@v.test = v/joe/} {ext+tag@v.test = v/ext} {@all.test = all/} {own = own} }";

    #[test]
    fn an_address_is_found_in_lower_case_without_its_extension_and_by_its_domain() {
        let path = |address| find(PATHS, "static:5000", address).map(|found| found.0);
        assert_eq!(path("Joe+Tag@V.Test"), Ok("/srv/..x/v/joe/".to_owned()));
        assert_eq!(path("ext+tag@v.test"), Ok("/srv/..x/v/ext".to_owned()));
        assert_eq!(path("ext@v.test"), Err(NoMailbox::Unknown));
        assert_eq!(path("any@all.test"), Ok("/srv/..x/all/".to_owned()));
        assert_eq!(path("own@here.test"), Ok("/srv/..x/own".to_owned()));
        assert_eq!(path("own@v.test"), Err(NoMailbox::Unknown));
        assert_eq!(find(PATHS, "static:5000", "joe@v.test"), Ok(("/srv/..x/v/joe/".to_owned(), 5000, 8)));
    }

    #[test]
    fn no_number_is_guessed_and_none_that_is_too_small_is_taken() {
        for users in ["static:99", "static:abc", "static:5000x", "static:-1", "static:4294967295", "static:+200", ""] {
            assert_eq!(find(PATHS, users, "joe@v.test"), Err(NoMailbox::Misconfigured), "{users}");
        }
        assert!(find(PATHS, "static:100", "joe@v.test").is_ok());
    }

    #[test]
    fn no_path_leads_out_of_the_base() {
        for path in ["../x/", "x/../y", "/../x"] {
            let paths = format!("inline:{{ {{joe@v.test = {path}}} }}");
            assert_eq!(find(&paths, "static:100", "joe@v.test"), Err(NoMailbox::Misconfigured), "{path}");
        }
        assert!(find("inline:{ {joe@v.test = a..b/..c/} }", "static:100", "joe@v.test").is_ok());
    }
}
