//! The command line: whom to send what.

use std::ffi::OsString;
use std::path::PathBuf;

use text::Options;

/// The command line.
#[derive(Debug)]
pub(crate) struct Request {
    /// Of main.cf.
    pub(crate) directory: Option<Vec<u8>>,
    /// `public` or `private`.
    pub(crate) class: OsString,
    /// The name of the service.
    pub(crate) service: OsString,
    /// What it is sent.
    pub(crate) letters: Vec<u8>,
}

impl Request {
    /// Reads it.
    ///
    /// # Errors
    /// The usage.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        const USAGE: &str = "usage: postkick [-c config_dir] [-v] class service request";
        let mut options = Options::new("c:v", arguments);
        let mut directory = None;
        while let Some((letter, value)) = options.next_or_usage("postkick", USAGE)? {
            if letter == b'c' {
                directory = Some(value);
            }
        }
        let words: [OsString; 3] = options.operands().try_into().map_err(|_| USAGE.to_owned())?;
        let [class, service, letters] = words;
        Ok(Self { directory, class, service, letters: letters.into_encoded_bytes() })
    }

    /// The socket, from the queue directory on.
    pub(crate) fn socket(&self) -> PathBuf {
        PathBuf::from(&self.class).join(&self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Request, String> {
        Request::parse(line.iter().map(OsString::from))
    }

    #[test]
    fn a_request_is_three_words() {
        let request = parse(&["-v", "-c", "/c", "public", "qmgr", "DA"]).unwrap();
        assert_eq!((request.socket().to_str(), &request.letters[..]), (Some("public/qmgr"), &b"DA"[..]));
        assert_eq!(request.directory.as_deref(), Some(&b"/c"[..]));
        for line in [&[][..], &["public", "qmgr"], &["public", "qmgr", "D", "A"], &["-x", "public", "qmgr", "D"]] {
            assert!(parse(line).is_err_and(|why| why.starts_with("usage: postkick")), "{line:?}");
        }
    }
}
