//! Lists of access restrictions: names that are none, arguments that are missing, and what cannot answer yet.

use crate::report::{Finding, Report, Said, places};
use crate::restrictions::{self, Argument, Known, LISTS, REMOVED};
use crate::settings::Config;

/// What local_header_rewrite_clients may have, beside tables.
const REWRITE_CLIENTS: [&str; 6] = [
    "check_address_map",
    "permit_inet_interfaces",
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "permit_tls_all_clientcerts",
    "permit_tls_clientcerts",
];

/// An item of a list.
#[derive(Debug, PartialEq)]
enum Item<'a> {
    /// A restriction, with its argument.
    Restriction(&'a str, &'a str),
    /// A table that stands for itself.
    Table(&'a str),
    /// A name of smtpd_restriction_classes.
    Class,
    /// What the server would say of it.
    Wrong(String),
}

impl Report<'_> {
    /// Restrictions that the server would not understand when their turn comes.
    pub(super) fn wrong_restrictions(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for said in self.lists() {
            for item in self.items(said) {
                if let Item::Wrong(why) = item {
                    found.push(Finding { place: said.place.clone(), text: format!("{}: {why}", said.name) });
                }
            }
        }
        found.extend(self.wrong_rewrite_clients());
        found.extend(self.without_relay_protection());
        found
    }

    /// local_header_rewrite_clients: a name that is none matches no client.
    fn wrong_rewrite_clients(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for said in self.said.iter().filter(|said| said.name == "local_header_rewrite_clients") {
            let is_wrong = |item: &&str| !(REWRITE_CLIENTS.contains(item) || item.contains(':'));
            found.extend(said.items().into_iter().filter(is_wrong).map(|item| Finding {
                place: said.place.clone(),
                text: format!("{}: unknown restriction: \"{item}\"", said.name),
            }));
        }
        found
    }

    /// The tables of the lists, with the settings that name them.
    pub(super) fn tables_of_restrictions(&self) -> Vec<(&Said, String)> {
        let mut found = Vec::new();
        for said in self.lists() {
            for item in self.items(said) {
                match item {
                    Item::Table(table) => found.push((said, table.to_owned())),
                    Item::Restriction(name, table)
                        if restrictions::find(name).is_some_and(|it| it.argument == Argument::Table) =>
                    {
                        found.push((said, table.to_owned()));
                    }
                    _ => {}
                }
            }
        }
        found
    }

    /// What check_policy_service asks, wherever it stands.
    pub(super) fn policy_services(&self) -> Vec<String> {
        let lists: Vec<&Said> = self.lists().collect();
        let items = lists.into_iter().flat_map(|said| self.items(said));
        let asked = items.filter_map(|item| match item {
            Item::Restriction(name, service) if name.eq_ignore_ascii_case("check_policy_service") => Some(service),
            _ => None,
        });
        asked.map(str::to_owned).collect()
    }

    /// The lists of the server, and those that smtpd_restriction_classes gives a name.
    fn lists(&self) -> impl Iterator<Item = &Said> {
        let classes = self.classes();
        let is_list = move |name: &str| LISTS.contains(&name) || classes.iter().any(|class| class == name);
        self.said.iter().filter(move |said| is_list(&said.name))
    }

    fn classes(&self) -> Vec<String> {
        let lists = self.said.iter().filter(|said| said.name == "smtpd_restriction_classes");
        lists.flat_map(|said| said.items().into_iter().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    fn items<'a>(&self, said: &'a Said) -> Vec<Item<'a>> {
        let classes = self.classes();
        let mut found = Vec::new();
        let mut rest = said.items().into_iter();
        while let Some(name) = rest.next() {
            found.push(item(name, &mut rest, &classes, &said.name));
        }
        found
    }

    /// A server that would end because it could be used by strangers.
    fn without_relay_protection(&self) -> Option<Finding> {
        let servers = self.services.iter().filter(|service| service.program() == "smtpd");
        let open = servers.filter(|service| !is_protected(&self.config_of(service)));
        let places: Vec<_> = open.map(|service| self.master(service.line)).collect();
        let which = match places.as_slice() {
            [] => return None,
            [_] => String::new(),
            places => format!(" ({})", places::all(places)),
        };
        let text = format!("smtpd will not run{which}: {}", restrictions::no_relay_protection());
        Some(Finding { place: places.into_iter().next()?, text })
    }
}

fn is_protected(config: &Config) -> bool {
    let lists = ["smtpd_relay_restrictions", "smtpd_recipient_restrictions"].map(|name| config.lookup(name));
    // A list that cannot be read is told elsewhere.
    lists.iter().any(Result::is_err)
        || lists
            .iter()
            .flatten()
            .flatten()
            .any(|list| restrictions::protects_relay(text::split_list_before_comment(list).0))
}

fn item<'a>(name: &'a str, rest: &mut impl Iterator<Item = &'a str>, classes: &[String], list: &str) -> Item<'a> {
    if classes.iter().any(|class| class == name) {
        return Item::Class;
    }
    let lower = name.to_ascii_lowercase();
    if let Some((_, instead)) = REMOVED.iter().find(|(old, _)| *old == lower) {
        let removed = "has been removed in Postfix 3.9";
        return Item::Wrong(format!("support for restriction \"{name}\" {removed}; instead, specify {instead}"));
    }
    match restrictions::find(name) {
        Some(known) => with_argument(known, name, rest),
        // A table alone is a check of what the list is about.
        None if name.contains(':') && !list.contains("data") => Item::Table(name),
        None => Item::Wrong(format!("unknown smtpd restriction: \"{name}\"")),
    }
}

fn with_argument<'a>(known: Known, name: &'a str, rest: &mut impl Iterator<Item = &'a str>) -> Item<'a> {
    let argument = match known.argument {
        Argument::Nothing => return Item::Restriction(name, ""),
        _ => rest.next().unwrap_or_default(),
    };
    let is_right = match known.argument {
        Argument::Nothing => true,
        Argument::Table | Argument::Server => argument.contains(':'),
        Argument::Domain => !argument.is_empty(),
        Argument::Seconds => argument.parse::<u64>().is_ok(),
    };
    if is_right {
        return Item::Restriction(name, argument);
    }
    Item::Wrong(match known.argument {
        Argument::Table => format!("restriction {name}: bad argument \"{argument}\": need maptype:mapname"),
        Argument::Server => format!("restriction {name} must be followed by transport:server"),
        Argument::Domain => format!("restriction {name} requires domain name argument"),
        Argument::Seconds | Argument::Nothing => format!("restriction {name} must be followed by number"),
    })
}
