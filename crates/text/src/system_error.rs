//! Errors of the operating system as log lines show them.

use std::io;

/// The system's sentence alone (`Permission denied`), without the number that Rust appends.
pub fn system_error(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error().and_then(|code| text.strip_suffix(&format!(" (os error {code})"))) {
        Some(sentence) => sentence.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_left_out() {
        assert_eq!(system_error(&io::Error::from_raw_os_error(13)), "Permission denied");
        assert_eq!(system_error(&io::Error::other("own words")), "own words");
    }
}
