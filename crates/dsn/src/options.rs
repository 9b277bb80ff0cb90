//! What the sender asked to be told: NOTIFY and RET (RFC 3461 4.1, 4.3), as the numbers stored in queue files.

/// The NOTIFY set of one recipient. Empty means that the sender said nothing: failures and delays are reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notify(u8);

impl Notify {
    /// Nothing said.
    pub const UNSET: Notify = Notify(0);
    /// No report at all.
    pub const NEVER: Notify = Notify(1);
    /// Report success.
    pub const SUCCESS: Notify = Notify(2);
    /// Report failure.
    pub const FAILURE: Notify = Notify(4);
    /// Report delay.
    pub const DELAY: Notify = Notify(8);

    /// From the number in a queue file; unknown bits, and NEVER beside others, are refused.
    pub fn from_bits(bits: u32) -> Option<Notify> {
        let valid = bits & !0b1111 == 0 && (bits & 1 == 0 || bits == 1);
        valid.then_some(Notify(bits as u8))
    }

    /// Reads the value of the NOTIFY parameter (`SUCCESS,FAILURE`).
    pub fn parse(value: &[u8]) -> Option<Notify> {
        let mut bits = 0;
        for word in value.split(|&b| b == b',').filter(|word| !word.is_empty()) {
            bits |= match word.to_ascii_uppercase().as_slice() {
                b"NEVER" => 1,
                b"SUCCESS" => 2,
                b"FAILURE" => 4,
                b"DELAY" => 8,
                _ => return None,
            };
        }
        Notify::from_bits(bits).filter(|found| *found != Notify::UNSET)
    }

    /// The first word of a value that is none of those that [`parse`](Notify::parse) knows.
    pub fn unknown_word(value: &[u8]) -> Option<&[u8]> {
        let mut words = value.split(|&b| b == b',').filter(|word| !word.is_empty());
        words.find(|word| Notify::parse(word).is_none())
    }

    /// The value of the NOTIFY parameter for the next host; `None` where nothing was said.
    pub fn parameter(self) -> Option<String> {
        let names = [(1, "NEVER"), (2, "SUCCESS"), (4, "FAILURE"), (8, "DELAY")];
        let named: Vec<&str> = names.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| *name).collect();
        (!named.is_empty()).then(|| named.join(","))
    }

    /// The number for queue files and logs.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// The set for what an alias made of a recipient: the sender was told of the expansion (RFC 3461 5.2.7). Who wanted
    /// to hear of success alone hears nothing more.
    pub const fn without_success(self) -> Notify {
        match self.0 & !Notify::SUCCESS.0 {
            0 if self.0 != 0 => Notify::NEVER,
            rest => Notify(rest),
        }
    }

    /// From the number in a file that others may have written: what is no valid set says nothing.
    pub fn from_stored(bits: u32) -> Notify {
        Notify::from_bits(bits).unwrap_or_default()
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Notify) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a failure is reported to the sender.
    pub const fn wants_failure(self) -> bool {
        self.0 == 0 || self.contains(Notify::FAILURE)
    }

    /// Whether a delay is reported to the sender.
    pub const fn wants_delay(self) -> bool {
        self.0 == 0 || self.contains(Notify::DELAY)
    }

    /// Whether a delivery is reported to the sender.
    pub const fn wants_success(self) -> bool {
        self.contains(Notify::SUCCESS)
    }
}

/// How much of the message a failure report carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Return {
    /// Nothing said: the whole message (up to bounce_size_limit).
    #[default]
    Unset,
    /// RET=FULL.
    Full,
    /// RET=HDRS.
    Headers,
}

impl Return {
    /// From the number in a queue file.
    pub fn from_bits(bits: u32) -> Option<Return> {
        match bits {
            0 => Some(Return::Unset),
            1 => Some(Return::Full),
            2 => Some(Return::Headers),
            _ => None,
        }
    }

    /// The number for queue files.
    pub const fn bits(self) -> u32 {
        match self {
            Return::Unset => 0,
            Return::Full => 1,
            Return::Headers => 2,
        }
    }

    /// Reads the value of the RET parameter.
    pub fn parse(value: &[u8]) -> Option<Return> {
        if value.eq_ignore_ascii_case(b"FULL") {
            Some(Return::Full)
        } else if value.eq_ignore_ascii_case(b"HDRS") {
            Some(Return::Headers)
        } else {
            None
        }
    }

    /// The value of the RET parameter for the next host; `None` where nothing was said.
    pub const fn parameter(self) -> Option<&'static str> {
        match self {
            Return::Unset => None,
            Return::Full => Some("FULL"),
            Return::Headers => Some("HDRS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_valid_set_is_read_back_from_its_parameter() {
        for bits in 0..32 {
            match Notify::from_bits(bits) {
                Some(notify) => match notify.parameter() {
                    Some(value) => assert_eq!(Notify::parse(value.as_bytes()), Some(notify)),
                    None => assert_eq!(notify, Notify::UNSET),
                },
                None => assert!(bits > 15 || (bits & 1 != 0 && bits != 1)),
            }
        }
    }

    #[test]
    fn never_excludes_the_others() {
        assert_eq!(Notify::parse(b"NEVER,SUCCESS"), None);
        assert!(!Notify::NEVER.wants_failure() && !Notify::NEVER.wants_delay());
        assert_eq!(Notify::SUCCESS.without_success(), Notify::NEVER);
        assert_eq!(Notify::UNSET.without_success(), Notify::UNSET);
        assert_eq!(Notify::parse(b"SUCCESS,DELAY").map(Notify::without_success), Some(Notify::DELAY));
        assert!(Notify::UNSET.wants_failure() && Notify::UNSET.wants_delay() && !Notify::UNSET.wants_success());
    }

    #[test]
    fn ret_is_read_back() {
        for ret in [Return::Full, Return::Headers] {
            assert_eq!(ret.parameter().and_then(|value| Return::parse(value.as_bytes())), Some(ret));
            assert_eq!(Return::from_bits(ret.bits()), Some(ret));
        }
    }
}
