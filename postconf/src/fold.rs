//! The form of what is printed: blanks collapsed, and with `-f` lines of at most 80 bytes.

use text::lossless::encoded_len;

/// The longest folded line of main.cf, when its words allow it.
pub const MAIN_CF: usize = 80;
/// The longest folded line of master.cf, when its words allow it.
pub const MASTER_CF: usize = 79;
/// What a continuation starts with.
const INDENT: &str = "    ";

/// `start` (a name with its `=`, or nothing) and a value, folded when wanted.
pub fn value(start: &str, value: &str, fold: bool) -> String {
    let mut text = Folded::new(start, fold.then_some(MAIN_CF));
    words(value).for_each(|word| text.word(word));
    text.line
}

/// A line that grows word by word.
#[derive(Debug)]
pub struct Folded {
    /// The text so far.
    pub line: String,
    width: usize,
    /// Where lines are broken, if at all.
    limit: Option<usize>,
}

impl Folded {
    /// Starts a line.
    pub fn new(start: &str, limit: Option<usize>) -> Folded {
        Folded { line: start.to_owned(), width: encoded_len(start), limit }
    }

    /// Adds a word: after a blank when it fits, else on a line of its own.
    pub fn word(&mut self, word: &str) {
        let width = encoded_len(word);
        if self.width == 0 {
            self.line.push_str(word);
            self.width = width;
        } else if self.limit.is_none_or(|limit| self.width + 1 + width <= limit) {
            self.line.push(' ');
            self.line.push_str(word);
            self.width += 1 + width;
        } else {
            self.new_line(word);
        }
    }

    /// Adds a word on a new line, when folding.
    pub fn new_line(&mut self, word: &str) {
        if self.limit.is_none() {
            return self.word(word);
        }
        self.line.push('\n');
        self.line.push_str(INDENT);
        self.line.push_str(word);
        self.width = INDENT.len() + encoded_len(word);
    }
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_before_the_word_that_would_pass_80_characters() {
        let word = "1234567890".repeat(5) + "123456";
        assert_eq!(
            value("transport_maps =", &format!("{word} 1234567 x"), true),
            format!("transport_maps = {word}\n    1234567 x")
        );
        assert_eq!(
            value("transport_map =", &format!("{word}  1234567 x"), true),
            format!("transport_map = {word} 1234567\n    x")
        );
        assert_eq!(value("", "a  b\n\tc", false), "a b c");
        assert_eq!(value("a =", "", true), "a =");
    }
}
