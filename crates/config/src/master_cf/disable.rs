//! master_service_disable: which services of master.cf are not started.

/// The list, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Disabled {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    disables: bool,
    name: Option<String>,
    kind: String,
}

impl Disabled {
    /// From the words of the list: `type`, `name/type` or `name.type`, `!` before what is not disabled.
    pub fn new(words: &[String]) -> Disabled {
        Disabled { patterns: words.iter().map(|word| Pattern::new(word)).collect() }
    }

    /// Whether the first pattern that matches says that the service is disabled.
    pub fn matches(&self, name: &str, kind: &str) -> bool {
        self.patterns.iter().find(|p| p.matches(name, kind)).is_some_and(|p| p.disables)
    }
}

impl Pattern {
    fn new(word: &str) -> Pattern {
        let plain = word.trim_start_matches('!');
        let disables = (word.len() - plain.len()).is_multiple_of(2);
        // The dot is the older form; it counts only without a slash.
        let parts = plain.rsplit_once('/').or_else(|| plain.rsplit_once('.'));
        match parts {
            Some((name, kind)) => Pattern { disables, name: Some(name.to_owned()), kind: kind.to_owned() },
            None => Pattern { disables, name: None, kind: plain.to_owned() },
        }
    }

    fn matches(&self, name: &str, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
            && self.name.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_matches_decides() {
        let words: Vec<_> = ["!smtp/inet", "INET", "foo.unix"].map(str::to_owned).to_vec();
        let disabled = Disabled::new(&words);
        assert!(!disabled.matches("smtp", "inet"));
        assert!(disabled.matches("submission", "inet"));
        assert!(disabled.matches("foo", "unix"));
        assert!(!disabled.matches("bar", "unix"));
    }
}
