//! What the server says first: its version, its mechanisms, and `DONE`.

use std::fmt;

use super::Mechanism;

/// The version that is spoken; a server of another one is not understood.
pub const MAJOR: u32 = 1;

/// Mechanisms of one server.
/// told: the log, by [`GreetingError::TooMany`]
const MECHANISMS: usize = 100;
/// Lines before `DONE`.
/// told: the log, by [`GreetingError::TooMany`]
const LINES: usize = 1000;

/// A greeting as far as it has come.
#[derive(Clone, Debug, Default)]
pub struct Greeting {
    mechanisms: Vec<Mechanism>,
    has_mechanism: bool,
    lines: usize,
}

/// Why this is no server for us. Display is the text behind `SASL: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GreetingError {
    /// `VERSION` without two numbers.
    Syntax,
    /// A version that is another protocol.
    Version(u32),
    /// The socket is the one of another protocol of the same program.
    WrongSocket,
    /// It says too much.
    TooMany,
}

impl fmt::Display for GreetingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("Protocol version error"),
            Self::Version(theirs) => write!(f, "Protocol version mismatch ({theirs} vs. {MAJOR})"),
            Self::WrongSocket => f.write_str("Connected to wrong auth socket (auth-master instead of auth-client)"),
            Self::TooMany => f.write_str("the greeting of the auth server does not end"),
        }
    }
}

impl std::error::Error for GreetingError {}

impl Greeting {
    /// Takes a line; true when it was the last one.
    ///
    /// # Errors
    /// This is no server for us.
    pub fn line(&mut self, line: &[u8]) -> Result<bool, GreetingError> {
        self.lines += 1;
        if self.lines > LINES || self.mechanisms.len() > MECHANISMS {
            return Err(GreetingError::TooMany);
        }
        let mut fields = line.split(|byte| *byte == b'\t');
        match fields.next() {
            Some(b"VERSION") => match (fields.next().and_then(number), fields.next().and_then(number)) {
                (Some(MAJOR), Some(_)) => {}
                (Some(other), Some(_)) => return Err(GreetingError::Version(other)),
                _ => return Err(GreetingError::Syntax),
            },
            Some(b"MECH") => {
                self.has_mechanism = true;
                self.mechanisms.extend(Mechanism::parse(fields).filter(|mechanism| !mechanism.is_private()));
            }
            Some(b"SPID") if !self.has_mechanism => return Err(GreetingError::WrongSocket),
            Some(b"DONE") => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    /// The mechanisms for clients, in the order of the server.
    pub fn into_mechanisms(self) -> Vec<Mechanism> {
        self.mechanisms
    }
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Vec<String>, String> {
        let mut greeting = Greeting::default();
        for line in lines {
            if greeting.line(line.as_bytes()).map_err(|error| error.to_string())? {
                return Ok(greeting.into_mechanisms().into_iter().map(|mechanism| mechanism.name).collect());
            }
        }
        Err("it does not end".to_owned())
    }

    #[test]
    fn the_mechanisms_keep_their_order_and_case_and_private_ones_are_left_out() {
        let greeting =
            ["VERSION\t1\t2", "MECH\tplain\tplaintext", "MECH\tX\tprivate", "MECH\tPLAIN", "SPID\t1", "DONE"];
        assert_eq!(read(&greeting), Ok(vec!["plain".to_owned(), "PLAIN".to_owned()]));
        assert_eq!(read(&["MECH\tPLAIN", "COOKIE\tx", "DONE"]), Ok(vec!["PLAIN".to_owned()]));
    }

    #[test]
    fn a_server_that_is_none_for_us_is_told_as_postfix_tells_it() {
        let error = |lines: &[&str]| read(lines).unwrap_err();
        let wrong = "Connected to wrong auth socket (auth-master instead of auth-client)";
        assert_eq!(error(&["VERSION\t1\t0", "SPID\t12"]), wrong);
        assert_eq!(error(&["VERSION\t2\t0"]), "Protocol version mismatch (2 vs. 1)");
        assert_eq!(error(&["VERSION\tx"]), "Protocol version error");
        assert_eq!(error(&["VERSION\t1"]), "Protocol version error");
        assert_eq!(error(&["VERSION"]), "Protocol version error");
        assert_eq!(error(&vec!["MECH\tA"; 5000]), "the greeting of the auth server does not end");
    }

    #[test]
    fn a_name_that_could_be_more_than_a_name_is_not_offered() {
        assert_eq!(read(&["MECH\tPL AIN", "MECH\t\x01", "MECH", "MECH\tA-1_b", "DONE"]), Ok(vec!["A-1_b".to_owned()]));
    }
}
