//! Where in an expansion a destination was found, and for whom: what decides its rights, its logging and its limits.

use std::rc::Rc;

use address::Delimiters;
use config::expand::{self, ExpandError, Expanded};
use delivery::Recipient as Target;
use delivery::steward::{Account, Who};

/// A local address in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// As it was given; what is logged.
    pub address: Vec<u8>,
    /// The local part in lower case: all decisions are made with it.
    pub local: Vec<u8>,
    /// The local part without its extension.
    pub name: Vec<u8>,
    /// What follows the delimiter.
    pub extension: Vec<u8>,
    /// The delimiter that was found; empty when there is no extension.
    pub delimiter: Vec<u8>,
    /// The domain.
    pub domain: Vec<u8>,
    /// Written with a backslash: neither aliases nor .forward count.
    pub mailbox_only: bool,
    /// It had an extension with a `/` in it, which is left out: it is part of names of files.
    pub cut: bool,
}

impl Recipient {
    /// Takes an address apart. `utf8`: letters beyond ASCII have no case either.
    pub fn parse(address: &[u8], delimiters: &Delimiters, utf8: bool) -> Self {
        let (local, domain) = address::split(address);
        let stripped = local.strip_prefix(b"\\");
        let folded = lookup::fold::fold(stripped.unwrap_or(local), utf8);
        let (name, extension) = delimiters.split(&folded);
        let cut = extension.is_some_and(|extension| extension.contains(&b'/'));
        let (name, extension) = (name.to_vec(), extension.filter(|_| !cut).map(<[u8]>::to_vec));
        let delimiter = if extension.is_some() { folded[name.len()..=name.len()].to_vec() } else { Vec::new() };
        Recipient {
            address: match stripped {
                Some(_) => address[1..].to_vec(),
                None => address.to_vec(),
            },
            extension: extension.unwrap_or_default(),
            delimiter,
            domain: domain.unwrap_or_default().to_vec(),
            mailbox_only: stripped.is_some(),
            local: if cut { name.clone() } else { folded },
            name,
            cut,
        }
    }
}

/// What kind of list named a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The delivery request itself.
    Request,
    /// alias_maps.
    Alias,
    /// An :include: file.
    Include,
    /// A user's .forward.
    Forward,
    /// luser_relay.
    Relay,
}

/// Whose rights a delivery has.
#[derive(Clone, Debug)]
pub enum Rights {
    /// default_privs.
    Default,
    /// The owner of an alias file or an :include: file.
    Owner(u32),
    /// The user whose .forward it is.
    User(Rc<Account>),
}

impl Rights {
    /// Those of a file's owner; root's files give no more than default_privs.
    pub fn of_owner(uid: u32) -> Self {
        if uid == 0 { Rights::Default } else { Rights::Owner(uid) }
    }

    /// As the steward is asked.
    pub fn who(&self) -> Who {
        match self {
            Rights::Default => Who::Default,
            Rights::Owner(uid) => Who::Uid(*uid),
            // Root's own lists and commands, and those of the mail system's user.
            Rights::User(account) if account.is_withheld => Who::Default,
            Rights::User(account) => Who::Name(account.name.clone().into_bytes()),
        }
    }

    /// The user, where there is one.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Rights::User(account) => Some(account),
            Rights::Default | Rights::Owner(_) => None,
        }
    }

    /// A text that differs where rights differ.
    pub fn key(&self) -> String {
        match self {
            Rights::Default => "default".to_owned(),
            Rights::Owner(uid) => format!("uid {uid}"),
            Rights::User(account) => account.name.clone(),
        }
    }
}

/// Where in an expansion something was found.
#[derive(Clone, Debug)]
pub struct Place {
    /// What kind of list named it.
    pub via: Via,
    /// Whose list: the recipient that was expanded.
    pub recipient: Rc<Recipient>,
    /// Whose rights its files and commands have.
    pub rights: Rights,
    /// Steps from the request.
    pub depth: usize,
    /// Steps through :include: files.
    pub includes: usize,
    /// The envelope sender from here on.
    pub sender: Rc<[u8]>,
    /// The sender is the owner of an alias.
    pub owned: bool,
    /// Users are not delivered to on the spot, but by a new message, so that one user's trouble is not everybody's:
    /// below an alias with an owner, an :include: file, a .forward file.
    pub by_message: bool,
    /// The alias that led here, and those before it.
    pub aliases: Vec<Vec<u8>>,
    /// The alias directly above.
    pub parent: Option<Vec<u8>>,
    /// What a Delivered-To: header says here.
    pub delivered_to: Rc<[u8]>,
    /// The extension, with its delimiter, that nothing on the way has used, where it is added to what is found
    /// (propagate_unmatched_extensions).
    pub unmatched: Vec<u8>,
}

impl Place {
    /// The original recipient of a target, as it is told here. Below a list that has an owner it is not: the list's
    /// address is the list's own affair.
    pub fn original<'a>(&self, target: &'a Target) -> &'a [u8] {
        if self.owned { &[] } else { &target.original }
    }
}

/// The names that forward_path, luser_relay and command_execution_directory know.
pub struct Names<'a> {
    /// Whose.
    pub recipient: &'a Recipient,
    /// The user, where there is one.
    pub account: Option<&'a Account>,
    /// recipient_delimiter: its first character is `$recipient_delimiter` without an extension.
    pub delimiters: &'a str,
    /// Characters of values that stay as they are.
    pub filter: &'a str,
}

impl Names<'_> {
    /// Expands a text; in what it inserts, characters that the filter does not name become `_`.
    pub fn expand(&self, text: &str) -> Result<Expanded, ExpandError> {
        expand::expand(text, &mut |name: &str| self.value(name).map(|value| filtered(&value, self.filter)))
    }

    /// The same; `None` where the text names something that there is none of, and not only as a condition.
    pub fn expand_known(&self, text: &str) -> Result<Option<Expanded>, ExpandError> {
        let expanded = self.expand(text)?;
        Ok(plain_names(text).iter().all(|name| self.value(name).is_some()).then_some(expanded))
    }

    fn value(&self, name: &str) -> Option<String> {
        let text = |bytes: &[u8]| Some(text::printable(bytes)).filter(|value| !value.is_empty());
        match name {
            "user" => text(&self.recipient.name),
            "home" => self.account.map(|account| account.home.clone()),
            "shell" => self.account.map(|account| account.shell.clone()),
            "recipient" => text(&self.recipient.address),
            "extension" => text(&self.recipient.extension),
            "domain" => text(&self.recipient.domain),
            "local" | "mailbox" => text(&self.recipient.local),
            "recipient_delimiter" => {
                text(&self.recipient.delimiter).or_else(|| self.delimiters.chars().next().map(String::from))
            }
            _ => None,
        }
    }
}

/// The names that a text has inserted, without those that only decide.
pub fn plain_names(text: &str) -> Vec<&str> {
    let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let after = text.split('$').skip(1).filter_map(|rest| match rest.strip_prefix(['{', '(']) {
        Some(inner) => inner.split(['}', ')']).next(),
        None => rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next(),
    });
    after.filter(is_name).collect()
}

/// Characters that a filter does not name become underscores; an empty filter names all.
pub fn filtered(value: &str, filter: &str) -> String {
    let allowed = |c: char| filter.is_empty() || filter.contains(c);
    value.chars().map(|c| if allowed(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(address: &str) -> Recipient {
        Recipient::parse(address.as_bytes(), &Delimiters::new("+", true), true)
    }

    #[test]
    fn an_address_is_folded_and_split_but_logged_as_it_came() {
        let r = recipient("Bob+Ext@Mail.test");
        assert_eq!(
            (r.name.as_slice(), r.extension.as_slice(), r.delimiter.as_slice()),
            (&b"bob"[..], &b"ext"[..], &b"+"[..])
        );
        assert_eq!((r.address.as_slice(), r.local.as_slice()), (&b"Bob+Ext@Mail.test"[..], &b"bob+ext"[..]));
        let plain = recipient("\\bob@m.test");
        assert!(plain.mailbox_only && plain.name == b"bob" && plain.address == b"bob@m.test");
        let cut = recipient("bob+x/y@m.test");
        assert_eq!(
            (cut.local.as_slice(), cut.name.as_slice(), cut.address.as_slice()),
            (&b"bob"[..], &b"bob"[..], &b"bob+x/y@m.test"[..])
        );
        assert!(cut.cut && cut.extension.is_empty() && cut.delimiter.is_empty());
    }

    #[test]
    fn names_are_filtered_so_that_no_address_leads_out_of_a_home() {
        let r = recipient("bob+$(x);|..@m.test");
        let account = Account {
            name: "bob".into(),
            uid: 9,
            gid: 9,
            is_withheld: false,
            home: "/home/bob".into(),
            shell: "/bin/sh".into(),
        };
        let names =
            Names { recipient: &r, account: Some(&account), delimiters: "+-", filter: "abcdefghijklmnopqrstuvwxyz/+." };
        let path = "$home/.forward${recipient_delimiter}${extension}";
        assert_eq!(names.expand(path).unwrap().as_text(), "/home/bob/.forward+__x___..");
        let plain = recipient("bob@m.test");
        let names = Names { recipient: &plain, account: Some(&account), delimiters: "+-", filter: "" };
        assert_eq!(names.expand(path).unwrap().as_text(), "/home/bob/.forward+");
        assert_eq!(names.expand_known(path).unwrap(), None);
        let conditional = "$home/.forward${extension?${recipient_delimiter}$(extension)}";
        assert_eq!(names.expand_known(conditional).unwrap(), None);
        let conditional = "$home/.forward${extension?+x}";
        assert_eq!(names.expand_known(conditional).unwrap().unwrap().as_text(), "/home/bob/.forward");
        assert_eq!(names.expand("${extension?yes}${extension:no}").unwrap().as_text(), "no");
    }
}
