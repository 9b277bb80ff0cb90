//! A "no": reply code, enhanced status and text of a command that is turned down by policy.
//!
//! The code and the class of the status never disagree, whatever a table or a setting says.

use config::ErrorClass;
use dsn::Status;
use smtp_protocol::Reply;

/// A command that is turned down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// 400 to 599.
    pub code: u16,
    /// Its class is the first digit of the code.
    pub status: Status,
    /// The text, without code and status; bytes of the client may be in it.
    pub text: Vec<u8>,
    /// What the postmaster may hear of. notify_classes
    pub class: Option<ErrorClass>,
}

impl Rejection {
    /// The class of `status` is adapted to `code`; a code that cannot turn down anything becomes 450.
    pub fn new(code: u16, status: Status, text: impl Into<Vec<u8>>) -> Rejection {
        if !(400..600).contains(&code) {
            let shown = text::printable(&text.into());
            logging::warning!("SMTP reply code configuration error: {code} {status} {shown}");
            let status = Status::new(4, 7, 1);
            let class = Some(ErrorClass::Software);
            return Rejection { code: 450, status, text: b"Service unavailable".to_vec(), class };
        }
        // cannot fail: 4 or 5
        let status = status.with_class((code / 100) as u8);
        Rejection { code, status, text: text.into(), class: Some(ErrorClass::Policy) }
    }

    /// The same for another reason than policy.
    pub fn of(self, class: ErrorClass) -> Rejection {
        Rejection { class: Some(class), ..self }
    }

    /// The same for a client that hears of ASCII alone: blanks in the place of other bytes.
    pub fn in_ascii(mut self) -> Rejection {
        self.text.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b' ');
        self
    }

    /// The same, and nobody but the client needs to know.
    pub fn quietly(self) -> Rejection {
        Rejection { class: None, ..self }
    }

    /// A mistake in main.cf or a table: the client shall try again when it is repaired.
    pub fn server_configuration() -> Rejection {
        Rejection::new(451, Status::new(4, 3, 5), "Server configuration error").of(ErrorClass::Software)
    }

    /// Something that main.cf asks for is not there: as above, in the words of a service that cannot be asked.
    pub fn server_problem() -> Rejection {
        Rejection::new(451, Status::new(4, 3, 5), "Server configuration problem").of(ErrorClass::Software)
    }

    /// A table or a service that a decision needs cannot be asked now.
    pub fn temporary_lookup(name: &[u8]) -> Rejection {
        let mut text = b"<".to_vec();
        text.extend_from_slice(name);
        text.extend_from_slice(b">: Temporary lookup failure");
        Rejection::new(451, Status::new(4, 3, 0), text).of(ErrorClass::Data)
    }

    /// It will not go away by trying again.
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// The reply on the wire.
    pub fn reply(&self) -> Reply {
        Reply::with_status(self.code, self.status, &self.text)
    }

    /// `550 5.1.1 text`, as log lines quote it: what the client reads, where a blank stands for what is no text.
    pub fn shown(&self) -> String {
        let text: Vec<u8> = self.text.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect();
        format!("{} {} {}", self.code, self.status, text::printable(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_the_status_follows_the_code() {
        assert_eq!(Rejection::new(450, Status::new(5, 7, 1), "x").shown(), "450 4.7.1 x");
        assert_eq!(Rejection::new(554, Status::new(4, 3, 0), "x").shown(), "554 5.3.0 x");
    }

    #[test]
    fn a_code_that_turns_nothing_down_becomes_a_temporary_one() {
        assert_eq!(Rejection::new(250, Status::new(2, 0, 0), "x").shown(), "450 4.7.1 Service unavailable");
    }
}
