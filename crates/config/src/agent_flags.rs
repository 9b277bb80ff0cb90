//! The words that smtp and lmtp have behind their options in master.cf: `flags=DORX`.

use crate::arguments::ArgumentError;

/// What an agent adds to a message, and what its delivery is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentFlags {
    /// `D`: a Delivered-To header, by which a loop is found.
    pub delivered_to: bool,
    /// `O`: an X-Original-To header.
    pub original_to: bool,
    /// `R`: a Return-Path header.
    pub return_path: bool,
    /// `X`: what the server has taken is delivered, and not relayed.
    pub is_final: bool,
}

impl AgentFlags {
    /// Reads the words.
    ///
    /// # Errors
    /// The agent does not know one of them.
    pub fn parse(words: &[String]) -> Result<Self, ArgumentError> {
        let mut flags = AgentFlags::default();
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            if !name.eq_ignore_ascii_case("flags") || !word.contains('=') {
                return Err(ArgumentError::Attribute(word.clone()));
            }
            for letter in value.chars() {
                let flag = match letter {
                    'D' => &mut flags.delivered_to,
                    'O' => &mut flags.original_to,
                    'R' => &mut flags.return_path,
                    'X' => &mut flags.is_final,
                    _ => return Err(ArgumentError::Flag(letter, value.to_owned())),
                };
                *flag = true;
            }
        }
        Ok(flags)
    }

    /// The letters, in order.
    pub fn letters(self) -> String {
        let all = [(self.delivered_to, 'D'), (self.original_to, 'O'), (self.return_path, 'R'), (self.is_final, 'X')];
        all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter).collect()
    }

    /// The flag that a message for more than one recipient cannot have: each recipient has a header of its own.
    pub fn for_one_recipient(self) -> Option<char> {
        match self {
            AgentFlags { delivered_to: true, .. } => Some('D'),
            AgentFlags { original_to: true, .. } => Some('O'),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        AgentFlags::parse(&words).map(AgentFlags::letters).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_are_letters_and_add_up() {
        assert_eq!(parsed(&["flags=RD"]), Ok("DR".to_owned()));
        assert_eq!(parsed(&["Flags=R", "flags=X"]), Ok("RX".to_owned()));
        assert_eq!(parsed(&["flags="]), Ok(String::new()));
        assert_eq!(parsed(&[]), Ok(String::new()));
    }

    #[test]
    fn what_nobody_knows_is_refused_in_postfixs_words() {
        assert_eq!(parsed(&["flags=RZX"]), Err("unknown flags=RZX value \"Z\" in \"RZX\"".to_owned()));
        assert_eq!(parsed(&["user=x"]), Err("unknown attribute name: user=x".to_owned()));
        assert_eq!(parsed(&["flags"]), Err("unknown attribute name: flags".to_owned()));
    }
}
