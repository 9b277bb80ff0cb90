//! POSIX regular expressions: regcomp(3) and regexec(3).
//!
//! What a pattern means is the C library's to say: glibc's `\<`, `\w` and the like, and back-references. The locale is
//! "C" in every program here, so a character is a byte. A pattern with back-references can take very long on a text
//! that was made for it: whoever writes the table decides whether it has any.

use std::ffi::CString;
use std::mem::MaybeUninit;

use super::Groups;
use super::shape::Shape;

/// Deepest nesting of groups, for the library reads them by recursion.
/// told: who opens the table, by an error.
const MAX_DEPTH: usize = 250;

/// Most parts of a pattern when its repetitions are written out, which is what the library does with them: about 100
/// MiB.
/// told: who opens the table, by an error.
const MAX_SIZE: usize = 100_000;

/// Deepest nesting of repetitions without an end: the library looks at each of them from within each other one.
/// told: who opens the table, by an error.
const MAX_LOOPS: usize = 8;

/// How a pattern is read.
#[derive(Clone, Copy, Debug)]
pub struct Syntax {
    /// REG_EXTENDED: `( ) { } + ? |` are operators without a backslash.
    pub extended: bool,
    /// REG_ICASE.
    pub caseless: bool,
    /// REG_NEWLINE: `^` and `$` match at each line, `.` and `[^a]` do not match a newline.
    pub by_line: bool,
}

/// A compiled pattern.
pub struct Regex {
    program: Box<libc::regex_t>,
    groups: usize,
}

// SAFETY: regexec(3) may be called by several threads with one regex_t, and nothing else is done with a shared one.
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with the pattern, in the C library's words.
    pub fn compile(pattern: &[u8], syntax: Syntax) -> Result<Self, String> {
        let Shape { groups, depth, size, loops } = Shape::of(pattern, syntax.extended);
        if depth > MAX_DEPTH || size > MAX_SIZE || loops > MAX_LOOPS {
            return Err("Regular expression too big".to_owned());
        }
        let pattern = CString::new(pattern).map_err(|_| "NUL in pattern".to_owned())?;
        let flags = [
            (syntax.extended, libc::REG_EXTENDED),
            (syntax.caseless, libc::REG_ICASE),
            (syntax.by_line, libc::REG_NEWLINE),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
        let mut program = Box::new(MaybeUninit::<libc::regex_t>::zeroed());
        // SAFETY: `program` is memory for a regex_t, `pattern` a string that ends in NUL; both live through the call.
        let code = unsafe { libc::regcomp(program.as_mut_ptr(), pattern.as_ptr(), flags) };
        if code != 0 {
            return Err(reason(code, program.as_ptr()));
        }
        // SAFETY: regcomp has filled it in.
        let program = unsafe { program.assume_init() };
        Ok(Regex { program, groups })
    }

    /// How many groups the pattern has.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Looks for the pattern in a text. Returns where the whole match and the first `wanted` groups are; without wanted
    /// groups the places are left out, which is much faster to find. A NUL counts as another control character, because
    /// the text of a C program would end there.
    ///
    /// # Errors
    /// The C library gave up: no memory, or a text too long for it.
    pub fn find(&self, text: &[u8], wanted: usize) -> Result<Option<Groups>, String> {
        let text: Vec<u8> = text.iter().map(|&byte| byte.max(1)).collect();
        // cannot fail: no byte is NUL
        let text = CString::new(text).map_err(|error| error.to_string())?;
        if libc::regoff_t::try_from(text.as_bytes().len()).is_err() {
            return Err("text too long for a regular expression".to_owned());
        }
        let count = if wanted == 0 { 0 } else { 1 + wanted.min(self.groups) };
        let mut places = vec![libc::regmatch_t { rm_so: -1, rm_eo: -1 }; count];
        // SAFETY: `program` is compiled, `text` ends in NUL, and `places` has room for `count` of them.
        let code = unsafe { libc::regexec(&raw const *self.program, text.as_ptr(), count, places.as_mut_ptr(), 0) };
        match code {
            0 => Ok(Some(places.iter().map(place).collect())),
            libc::REG_NOMATCH => Ok(None),
            code => Err(reason(code, &raw const *self.program)),
        }
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: compiled by regcomp, freed once, not used again.
        unsafe { libc::regfree(&raw mut *self.program) }
    }
}

fn place(found: &libc::regmatch_t) -> Option<std::ops::Range<usize>> {
    Some(usize::try_from(found.rm_so).ok()?..usize::try_from(found.rm_eo).ok()?)
}

/// The C library's words for one of its error numbers.
fn reason(code: libc::c_int, program: *const libc::regex_t) -> String {
    let mut buffer = [0u8; 200];
    // SAFETY: `program` is what regcomp or regexec was given, `buffer` has as many bytes as it says.
    let length = unsafe { libc::regerror(code, program, buffer.as_mut_ptr().cast(), buffer.len()) };
    let text = &buffer[..length.saturating_sub(1).min(buffer.len() - 1)];
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENDED: Syntax = Syntax { extended: true, caseless: true, by_line: false };

    fn groups(pattern: &str, text: &str) -> Option<Vec<String>> {
        let regex = Regex::compile(pattern.as_bytes(), EXTENDED).unwrap();
        let found = regex.find(text.as_bytes(), usize::MAX).unwrap()?;
        Some(found.into_iter().map(|place| place.map_or("-", |place| &text[place]).to_owned()).collect())
    }

    fn has(syntax: Syntax, pattern: &str, text: &str) -> bool {
        Regex::compile(pattern.as_bytes(), syntax).unwrap().find(text.as_bytes(), 0).unwrap().is_some()
    }

    #[test]
    fn the_leftmost_longest_match_wins_and_groups_have_their_places() {
        assert_eq!(groups("a|ab", "xABc").unwrap(), ["AB"]);
        assert_eq!(groups("(a)(x)?(b)", "zabz").unwrap(), ["ab", "a", "-", "b"]);
        assert_eq!(groups("^z", "abz"), None);
    }

    #[test]
    fn flags_change_what_a_pattern_means() {
        assert!(has(EXTENDED, "^a+$", "AA") && !has(Syntax { caseless: false, ..EXTENDED }, "^a+$", "AA"));
        assert!(has(Syntax { extended: false, ..EXTENDED }, "^a+$", "a+"));
        assert!(!has(EXTENDED, "^b$", "a\nb") && has(Syntax { by_line: true, ..EXTENDED }, "^b$", "a\nb"));
        assert!(has(EXTENDED, "a.b", "a\nb") && !has(Syntax { by_line: true, ..EXTENDED }, "a.b", "a\nb"));
    }

    #[test]
    fn a_text_goes_on_behind_a_nul() {
        let regex = Regex::compile(b"^a[[:cntrl:]](.)b$", EXTENDED).unwrap();
        assert_eq!(regex.find(b"a\0\0b", 1).unwrap().unwrap()[1], Some(2..3));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_librarys_words() {
        let deep = format!("{}{}", "(".repeat(100_000), ")".repeat(100_000));
        let [more, open] = ["+", "{1,}"].map(|repetition| format!("a{}", repetition.repeat(9)));
        for pattern in ["(", "[a", "a{2,1}", "(a)\\2", "((a{1,255}){1,255}){1,255}", &deep, &more, &open] {
            assert!(!Regex::compile(pattern.as_bytes(), EXTENDED).err().unwrap().is_empty(), "{pattern}");
        }
        assert!(Regex::compile(b"a\0b", EXTENDED).is_err());
    }

    /// A back-reference is accepted exactly when there is a group for it.
    #[test]
    fn the_number_of_groups_is_the_librarys() {
        let patterns = [
            "",
            "a",
            "(a)",
            "\\(a\\)",
            "((a)(b))",
            "[(](a)",
            "[]()](a)",
            "[^]()](a)",
            "[\\](a)",
            "[[:alpha:]](a)",
            "[[.(.]](a)",
            "[[=(=]](a)",
            "[a[(](b)",
            "\\\\(a)",
            "(()())",
            "\\\\\\(a\\)",
            "[(]\\(a\\)",
            "\\[(a)",
        ];
        for extended in [true, false] {
            let syntax = Syntax { extended, ..EXTENDED };
            for pattern in patterns {
                let Ok(regex) = Regex::compile(pattern.as_bytes(), syntax) else { continue };
                for number in 1..=9 {
                    let referring = Regex::compile(format!("{pattern}\\{number}").as_bytes(), syntax);
                    assert_eq!(referring.is_ok(), number <= regex.groups(), "{pattern} {extended} {number}");
                }
            }
        }
    }
}
