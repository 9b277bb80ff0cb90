//! What is asked for and not there yet, by feature, one sentence each.

use std::collections::BTreeMap;

use crate::report::{Feature, Place, Report, Said, places};

/// Something that needs a feature which is not there.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    pub(super) feature: Feature,
    pub(super) place: Place,
    /// The setting, or `service NAME`.
    pub(super) what: String,
    /// It cannot be passed over.
    pub(super) demands: bool,
}

/// So many things are named one by one; of more there is the number.
const NAMED: usize = 4;

impl Report<'_> {
    /// The sentences, one for each feature.
    pub(super) fn missing(&self) -> Vec<String> {
        let mut all = self.missing_settings();
        let idle_tls = self.idle_tls(&mut all);
        all.extend(self.missing_tables());
        all.extend(self.missing_services());
        let mut features: BTreeMap<Feature, Vec<Missing>> = BTreeMap::new();
        for missing in all {
            features.entry(missing.feature).or_default().push(missing);
        }
        let mut sentences: Vec<String> = features.iter().map(|(feature, things)| sentence(*feature, things)).collect();
        sentences.extend(idle_tls);
        sentences.extend(self.idle_services(features.contains_key(&Feature::Tls)));
        sentences
    }

    fn missing_settings(&self) -> Vec<Missing> {
        let mut found = Vec::new();
        for said in &self.said {
            let Some(entry) = said.entry().filter(|_| self.config.has_no_effect(&said.name, &said.raw)) else {
                continue;
            };
            let feature = Feature::of_parameter(entry);
            if self.is_in_use(feature) {
                let demands = entry.refused && self.demands(feature, said);
                found.push(Missing { feature, place: said.place.clone(), what: said.name.clone(), demands });
            }
        }
        found
    }

    /// Whether a setting cannot be passed over, being of those that forbid, filter or protect.
    fn demands(&self, feature: Feature, said: &Said) -> bool {
        match feature {
            Feature::Tls => !said.value.eq_ignore_ascii_case("may"),
            _ => true,
        }
    }

    /// Whether anything asks for a feature; its other settings are idle when nothing does.
    fn is_in_use(&self, feature: Feature) -> bool {
        let is_set = |names: &[&str]| {
            self.said.iter().any(|said| names.contains(&said.name.as_str()) && !said.value.trim().is_empty())
        };
        match feature {
            // What is left are settings of the Cyrus library, and it is not there.
            Feature::Sasl => false,
            Feature::ProxyFilter => is_set(&["smtpd_proxy_filter"]),
            Feature::Postscreen => self.services.iter().any(|service| service.program() == "postscreen"),
            Feature::Pipe => self.is_way_to(feature),
            Feature::Virtual => self.is_way_to(feature),
            Feature::Flush => is_set(&["fast_flush_domains"]),
            // Tables and connections are reached without it.
            Feature::Shared => false,
            // Tables themselves are told.
            Feature::Tables(_) => false,
            _ => true,
        }
    }
}

/// One sentence: `TLS is not there yet: 14 settings, main.cf lines 11-17, 40`.
fn sentence(feature: Feature, things: &[Missing]) -> String {
    let names = by_name(things.iter());
    let demands = by_name(things.iter().filter(|missing| missing.demands));
    let is_plural = matches!(feature, Feature::Tables(_));
    let title = format!("{feature} {} not there yet", if is_plural { "are" } else { "is" });
    let mut text = if names.len() <= NAMED {
        format!("{title}: {}", listed(&names))
    } else {
        let services = things.iter().filter(|missing| missing.what.starts_with("service ")).count();
        let settings = match names.len() - services {
            0 => None,
            1 => Some("1 setting".to_owned()),
            count => Some(format!("{count} settings")),
        };
        let services = match services {
            0 => None,
            1 => Some("1 service".to_owned()),
            count => Some(format!("{count} services")),
        };
        let counted = [settings, services].into_iter().flatten().collect::<Vec<_>>().join(", ");
        format!("{title}: {counted}, {}", places::all(things.iter().map(|missing| &missing.place)))
    };
    if !demands.is_empty() {
        let who = if names.len() <= NAMED { String::new() } else { format!("{}: ", listed(&demands)) };
        text.push_str(&format!("; {who}{}", feature.consequence()));
    }
    text
}

/// Names in the order of their places, each with all of them.
pub(super) fn by_name<'a>(things: impl Iterator<Item = &'a Missing>) -> Vec<(&'a str, Vec<&'a Place>)> {
    let mut things: Vec<&Missing> = things.collect();
    things.sort_by_key(|missing| &missing.place);
    let mut names: Vec<(&str, Vec<&Place>)> = Vec::new();
    for missing in things {
        match names.iter_mut().find(|(what, _)| *what == missing.what) {
            Some((_, places)) => places.push(&missing.place),
            None => names.push((&missing.what, vec![&missing.place])),
        }
    }
    names
}

pub(super) fn listed(names: &[(&str, Vec<&Place>)]) -> String {
    let texts = names.iter().map(|(what, places)| match places.as_slice() {
        [place] => format!("{what} ({})", places::short(place)),
        places => format!("{what} ({})", places::all(places.iter().copied())),
    });
    texts.collect::<Vec<_>>().join(", ")
}
