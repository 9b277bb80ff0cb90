//! A user name and a password or token, which are wiped when they are not needed any more and never shown.

use aws_lc_rs::digest;
use zeroize::Zeroizing;

/// Bytes that nobody is to see. They are wiped when they are dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Who logs in, and what proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The login.
    pub user: Secret,
    /// The password, or the token.
    pub password: Secret,
}

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl std::ops::Deref for Secret {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl Credentials {
    /// Splits `USER:PASSWORD` at the first `delimiter`; without one the password is empty.
    pub fn split(text: &Secret, delimiter: u8) -> Self {
        let at = text.iter().position(|byte| *byte == delimiter).unwrap_or(text.len());
        let (user, rest) = text.split_at(at);
        Self { user: Secret::new(user.to_vec()), password: Secret::new(rest.get(1..).unwrap_or_default().to_vec()) }
    }

    /// SHA-256 of a place, the login and the password: enough to know them again.
    pub fn digest(&self, place: &str) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [place.as_bytes(), b"\0", &self.user, b"\0", &self.password] {
            context.update(part);
        }
        let mut out = [0; 32];
        out.iter_mut().zip(context.finish().as_ref()).for_each(|(out, byte)| *out = *byte);
        out
    }
}

/// The length, and not even that of the parts.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (String, String) {
        let found = Credentials::split(&Secret::new(text.as_bytes().to_vec()), b':');
        let text = |part: &Secret| String::from_utf8(part.to_vec()).unwrap();
        (text(&found.user), text(&found.password))
    }

    #[test]
    fn a_password_begins_after_the_first_delimiter_and_may_contain_more() {
        let pair = |user: &str, password: &str| (user.to_owned(), password.to_owned());
        assert_eq!(split("us er:p:w "), pair("us er", "p:w "));
        assert_eq!(split("user"), pair("user", ""));
        assert_eq!(split("user:"), pair("user", ""));
        assert_eq!(split(":pw"), pair("", "pw"));
    }

    #[test]
    fn nothing_secret_has_a_form_that_shows_it() {
        let credentials = Credentials::split(&Secret::new(b"alice:hunter2".to_vec()), b':');
        assert_eq!(format!("{credentials:?} {:?}", credentials.password), "Credentials Secret");
    }
}
