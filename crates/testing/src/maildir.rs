//! Delivered mail: the messages of a Maildir.

use std::path::Path;

/// One delivered message, as the file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail(pub String);

impl Mail {
    /// The messages in `new/` of a Maildir, in no order; none when there is no such folder.
    pub fn in_maildir(folder: &Path) -> Vec<Mail> {
        let files = std::fs::read_dir(folder.join("new")).into_iter().flatten().flatten();
        files.filter_map(|f| Some(Mail(String::from_utf8_lossy(&std::fs::read(f.path()).ok()?).into_owned()))).collect()
    }

    /// How many messages are in `new/`, without reading them.
    pub fn count(folder: &Path) -> usize {
        std::fs::read_dir(folder.join("new")).map_or(0, |files| files.count())
    }

    /// Value of the first header field of that name, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    /// Values of all header fields of that name.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let mut fields: Vec<String> = Vec::new();
        for line in self.0.lines().take_while(|line| !line.is_empty()) {
            match fields.last_mut() {
                Some(field) if line.starts_with([' ', '\t']) => field.push_str(&format!(" {}", line.trim())),
                _ => fields.push(line.to_owned()),
            }
        }
        let value = |field: &String| {
            let (found, value) = field.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        fields.iter().filter_map(value).collect()
    }

    /// What follows the first empty line.
    pub fn body(&self) -> &str {
        self.0.split_once("\n\n").map_or("", |(_, body)| body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_header_is_one_value() {
        let mail = Mail("Received: from a\n\tby b\nSubject: x\n\nbody\n".to_owned());
        assert_eq!(mail.header("received").as_deref(), Some("from a by b"));
        assert_eq!(mail.body(), "body\n");
    }
}
