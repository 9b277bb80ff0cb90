//! Perl's regular expressions: PCRE2, without its compiler to machine code, with its own limits on backtracking.

use std::ptr;

use pcre2_sys as pcre;

use super::Groups;

/// How a pattern is read; each is an option of PCRE2.
#[derive(Clone, Copy, Debug, Default)]
pub struct Syntax {
    /// PCRE2_CASELESS
    pub caseless: bool,
    /// PCRE2_MULTILINE
    pub multi_line: bool,
    /// PCRE2_DOTALL
    pub dot_all: bool,
    /// PCRE2_EXTENDED
    pub extended: bool,
    /// PCRE2_ANCHORED
    pub anchored: bool,
    /// PCRE2_DOLLAR_ENDONLY
    pub dollar_end_only: bool,
    /// PCRE2_UNGREEDY
    pub ungreedy: bool,
}

/// A compiled pattern.
pub struct Regex {
    code: ptr::NonNull<pcre::pcre2_code_8>,
    groups: usize,
}

// SAFETY: a compiled pattern is never changed by matching; each match has data of its own (pcre2api, MULTITHREADING).
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

/// Working memory of one match.
struct MatchData(ptr::NonNull<pcre::pcre2_match_data_8>);

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Where in the pattern (bytes) something is wrong, and what, in PCRE2's words.
    pub fn compile(pattern: &[u8], syntax: Syntax) -> Result<Self, (usize, String)> {
        let (mut code, mut offset) = (0, 0);
        // SAFETY: the pattern is as long as it says, the two results are live, no compile context is given.
        let compiled = unsafe {
            let options = options(syntax);
            pcre::pcre2_compile_8(
                pattern.as_ptr(),
                pattern.len(),
                options,
                &raw mut code,
                &raw mut offset,
                ptr::null_mut(),
            )
        };
        let Some(compiled) = ptr::NonNull::new(compiled) else { return Err((offset, reason(code))) };
        let mut groups: u32 = 0;
        // SAFETY: this question is answered with a u32.
        unsafe {
            pcre::pcre2_pattern_info_8(compiled.as_ptr(), pcre::PCRE2_INFO_CAPTURECOUNT, (&raw mut groups).cast());
        }
        Ok(Regex { code: compiled, groups: usize::try_from(groups).unwrap_or(usize::MAX) })
    }

    /// How many groups the pattern has.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Looks for the pattern in a text.
    ///
    /// # Errors
    /// PCRE2 gave up, in its words: a limit was reached, or the pattern asks for UTF-8 and the text is not.
    pub fn find(&self, text: &[u8]) -> Result<Option<Groups>, String> {
        // SAFETY: the code is compiled.
        let data = unsafe { pcre::pcre2_match_data_create_from_pattern_8(self.code.as_ptr(), ptr::null_mut()) };
        let data = MatchData(ptr::NonNull::new(data).ok_or("no more memory")?);
        // SAFETY: code and data belong together, and the text is as long as it says.
        let count = unsafe {
            pcre::pcre2_match_8(self.code.as_ptr(), text.as_ptr(), text.len(), 0, 0, data.0.as_ptr(), ptr::null_mut())
        };
        match usize::try_from(count) {
            Ok(count) => Ok(Some(data.groups(count))),
            Err(_) if count == pcre::PCRE2_ERROR_NOMATCH => Ok(None),
            Err(_) => Err(reason(count)),
        }
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: compiled once, freed once, not used again.
        unsafe { pcre::pcre2_code_free_8(self.code.as_ptr()) }
    }
}

impl MatchData {
    /// The places of the match and of the groups before `count`; those behind were not tried.
    fn groups(&self, count: usize) -> Groups {
        // SAFETY: after a match there are `count` pairs of offsets at that place; they are copied.
        let pairs = unsafe {
            let pairs = pcre::pcre2_get_ovector_pointer_8(self.0.as_ptr()).cast::<[usize; 2]>();
            std::slice::from_raw_parts(pairs, count).to_vec()
        };
        pairs.into_iter().map(|[start, end]| (start <= end && end != usize::MAX).then_some(start..end)).collect()
    }
}

impl Drop for MatchData {
    fn drop(&mut self) {
        // SAFETY: made once, freed once, not used again.
        unsafe { pcre::pcre2_match_data_free_8(self.0.as_ptr()) }
    }
}

fn options(syntax: Syntax) -> u32 {
    let options = [
        (syntax.caseless, pcre::PCRE2_CASELESS),
        (syntax.multi_line, pcre::PCRE2_MULTILINE),
        (syntax.dot_all, pcre::PCRE2_DOTALL),
        (syntax.extended, pcre::PCRE2_EXTENDED),
        (syntax.anchored, pcre::PCRE2_ANCHORED),
        (syntax.dollar_end_only, pcre::PCRE2_DOLLAR_ENDONLY),
        (syntax.ungreedy, pcre::PCRE2_UNGREEDY),
    ];
    options.iter().filter(|(set, _)| *set).fold(0, |all, (_, option)| all | option)
}

/// PCRE2's words for one of its error numbers.
fn reason(code: i32) -> String {
    let mut buffer = [0u8; 256];
    // SAFETY: the buffer has as many bytes as it says.
    let length = unsafe { pcre::pcre2_get_error_message_8(code, buffer.as_mut_ptr(), buffer.len()) };
    let text = usize::try_from(length).ok().and_then(|length| buffer.get(..length));
    text.map_or_else(|| format!("error {code}"), |text| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(pattern: &str, syntax: Syntax) -> Regex {
        Regex::compile(pattern.as_bytes(), syntax).map_err(|(offset, text)| format!("{offset}: {text}")).unwrap()
    }

    fn has(pattern: &str, syntax: Syntax, text: &str) -> bool {
        compile(pattern, syntax).find(text.as_bytes()).unwrap().is_some()
    }

    #[test]
    fn every_option_changes_what_a_pattern_means() {
        let plain = Syntax::default();
        for (pattern, text, syntax) in [
            ("a", "A", Syntax { caseless: true, ..plain }),
            ("^b", "a\nb", Syntax { multi_line: true, ..plain }),
            ("a.b", "a\nb", Syntax { dot_all: true, ..plain }),
            ("a b", "ab", Syntax { extended: true, ..plain }),
        ] {
            assert!(!has(pattern, plain, text) && has(pattern, syntax, text), "{pattern}");
        }
        assert!(has("b", plain, "ab") && !has("b", Syntax { anchored: true, ..plain }, "ab"));
        assert!(has("a$", plain, "a\n") && !has("a$", Syntax { dollar_end_only: true, ..plain }, "a\n"));
        let ungreedy = compile("a+", Syntax { ungreedy: true, ..plain });
        assert_eq!(ungreedy.find(b"aaa").unwrap().unwrap(), [Some(0..1)]);
    }

    #[test]
    fn groups_that_took_no_part_have_no_place() {
        let regex = compile("(a)(x)?(b)(y)?", Syntax::default());
        assert_eq!(regex.groups(), 4);
        assert_eq!(regex.find(b"ab").unwrap().unwrap()[1..], [Some(0..1), None, Some(1..2)]);
    }

    #[test]
    fn errors_and_limits_are_in_pcres_words() {
        assert_eq!(Regex::compile(b"a(", Syntax::default()).err().unwrap().0, 2);
        let regex = compile("^(a+)+$", Syntax::default());
        assert_eq!(regex.find(format!("{}b", "a".repeat(64)).as_bytes()).unwrap_err(), "match limit exceeded");
        assert!(compile("(*UTF)a", Syntax::default()).find(b"\xff").is_err());
    }

    #[test]
    fn patterns_and_texts_are_bytes() {
        let regex = Regex::compile(b"^\xe9.$", Syntax::default()).ok().unwrap();
        assert!(regex.find(b"\xe9\0").unwrap().is_some());
    }
}
