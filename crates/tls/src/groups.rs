//! Groups of the key exchange: which ones are offered and taken, by tls_eecdh_auto_curves.
//!
//! There are elliptic curves and hybrids with ML-KEM; finite fields, X448 and P-521 are not there.

use rustls::NamedGroup;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{ALL_KX_GROUPS, DEFAULT_KX_GROUPS};

/// Groups, in order of preference.
#[derive(Clone, Debug)]
pub struct Groups(pub(crate) Vec<&'static dyn SupportedKxGroup>);

impl Default for Groups {
    fn default() -> Self {
        Self(DEFAULT_KX_GROUPS.to_vec())
    }
}

impl Groups {
    /// Reads a list. Without any group that is there the log is told, and the choice is the library's.
    pub fn read(list: &str) -> Groups {
        if let Some(groups) = Groups::parse(list) {
            return groups;
        }
        if words(list).next().is_some() {
            logging::warning!("none of the configured key exchange groups are supported");
            logging::warning!("using Postfix default key exchange groups instead");
        }
        Groups::default()
    }

    /// Reads a list. Names of groups that are not there are passed over, `DEFAULT` stands for the library's choice, and
    /// `-NAME` takes one away. `None`: nothing is left.
    pub fn parse(list: &str) -> Option<Groups> {
        let mut chosen = Vec::new();
        for word in words(list) {
            add(&mut chosen, word);
        }
        (!chosen.is_empty()).then_some(Groups(chosen))
    }

    /// Their names, in OpenSSL's words.
    // tests: the laws of crates/fuzzing
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|group| crate::facts::group_name(group.name())).collect()
    }
}

fn add(chosen: &mut Vec<&'static dyn SupportedKxGroup>, word: &str) {
    // `?`: it need not be there. `*`: a share of a key is sent for it, which is the library's to decide.
    let name = word.trim_start_matches(['?', '*']);
    if let Some(name) = name.strip_prefix('-') {
        return chosen.retain(|group| !is_meant(name, group.name()));
    }
    let known: Vec<&'static dyn SupportedKxGroup> = match name.eq_ignore_ascii_case("DEFAULT") {
        true => DEFAULT_KX_GROUPS.to_vec(),
        false => ALL_KX_GROUPS.iter().copied().filter(|group| is_meant(name, group.name())).collect(),
    };
    for group in known {
        if chosen.iter().all(|it| it.name() != group.name()) {
            chosen.push(group);
        }
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split([':', '/', ',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty())
}

/// Whether a word of OpenSSL means a group.
fn is_meant(word: &str, group: NamedGroup) -> bool {
    let names: &[&str] = match group {
        NamedGroup::X25519 => &["X25519"],
        NamedGroup::secp256r1 => &["P-256", "prime256v1", "secp256r1"],
        NamedGroup::secp384r1 => &["P-384", "secp384r1"],
        NamedGroup::MLKEM768 => &["MLKEM768"],
        NamedGroup::MLKEM1024 => &["MLKEM1024"],
        NamedGroup::X25519MLKEM768 => &["X25519MLKEM768"],
        NamedGroup::secp256r1MLKEM768 => &["SecP256r1MLKEM768"],
        _ => &[],
    };
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(curves: &str) -> Vec<String> {
        Groups::read(curves).names()
    }

    #[test]
    fn groups_are_those_of_the_list_in_its_order() {
        assert_eq!(names("P-384:x25519"), ["secp384r1", "x25519"]);
        assert_eq!(names("prime256v1, secp256r1 P-521 X448"), ["secp256r1"]);
        assert_eq!(names("?nonsense:*secp384r1/X25519"), ["secp384r1", "x25519"]);
    }

    #[test]
    fn what_is_not_there_leaves_the_choice_to_the_library() {
        let default = Groups::default().names();
        assert_eq!(default, ["X25519MLKEM768", "x25519", "secp256r1", "secp384r1"]);
        assert_eq!(names("?X25519MLKEM768:DEFAULT"), default);
        assert_eq!(names(""), default);
        assert_eq!(names("ffdhe2048"), default);
        assert_eq!(names("DEFAULT:-X25519MLKEM768:-x25519"), ["secp256r1", "secp384r1"]);
    }
}
