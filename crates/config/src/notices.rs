//! What the postmaster hears of: the words of notify_classes that are about sessions.

/// What can be wrong with a session. The words of notify_classes that are about sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// A recipient that is not there, or a message that could not be delivered.
    Bounce,
    /// A table that a decision needs cannot be read.
    Data,
    /// Somebody is not welcome.
    Policy,
    /// The other side breaks the rules of SMTP.
    Protocol,
    /// Space is missing.
    Resource,
    /// This system is configured wrongly, or a part of it does not work.
    Software,
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorClasses(u8);

impl ErrorClasses {
    /// The classes among these words that are about sessions.
    pub fn of_words(words: &[String]) -> Self {
        let class = |word: &String| match word.as_str() {
            "bounce" => Some(ErrorClass::Bounce),
            "data" => Some(ErrorClass::Data),
            "policy" => Some(ErrorClass::Policy),
            "protocol" => Some(ErrorClass::Protocol),
            "resource" => Some(ErrorClass::Resource),
            "software" => Some(ErrorClass::Software),
            // Those of bounce(8): 2bounce, delay. The table of words has no other.
            _ => None,
        };
        words.iter().filter_map(class).fold(Self::default(), Self::with)
    }

    /// The set with one more.
    pub fn with(self, class: ErrorClass) -> Self {
        Self(self.0 | 1 << class as u8)
    }

    /// Whether one of them is in the other set too.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it is one of them.
    pub fn has(self, class: ErrorClass) -> bool {
        self.0 & (1 << class as u8) != 0
    }
}
