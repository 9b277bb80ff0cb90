//! The command line: what is to be done, and for which instances.

use std::ffi::OsString;

const USAGE: &str = "Usage: postmulti -l [-v] [-j] [-a] [-g group] [-i instance] | postmulti -p [-v] [-a] [-g group] \
                     [-i instance] command... | postmulti -x [-v] [-a] [-i name] [-g group] command... | postmulti -e \
                     action [-v] [-a] [-i name] [-g group] [-I name] [-G group] [param=value ...]";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// `-l`
    List { json: bool },
    /// `-p`
    Postfix(Vec<OsString>),
    /// `-x`
    Command(Vec<OsString>),
    /// `-e`
    Edit(Edit),
}

/// What is to become of instances, or of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub action: Action,
    /// `-I`: the new name; an empty one for `-`.
    pub name: Option<String>,
    /// `-G`: the new group; an empty one for `-`.
    pub group: Option<String>,
    /// Directories, by the names of their parameters.
    pub places: Vec<(String, String)>,
}

/// A word behind `-e`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Destroy,
    Import,
    Deport,
    Enable,
    Disable,
    Assign,
    Init,
}

impl Action {
    const ALL: [(&str, Action); 8] = [
        ("create", Action::Create),
        ("destroy", Action::Destroy),
        ("import", Action::Import),
        ("deport", Action::Deport),
        ("enable", Action::Enable),
        ("disable", Action::Disable),
        ("assign", Action::Assign),
        ("init", Action::Init),
    ];

    fn word(self) -> &'static str {
        Action::ALL.iter().find(|(_, action)| *action == self).map_or("", |(word, _)| word)
    }

    /// Whether it adds an instance to the list.
    pub(crate) fn adds(self) -> bool {
        matches!(self, Action::Create | Action::Import)
    }

    /// The parameters that may stand behind it.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Action::Create => &["config_directory", "queue_directory", "data_directory"],
            Action::Import => &["config_directory"],
            _ => &[],
        }
    }
}

/// Which instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Which {
    /// Nothing was said: all of them, or where a new one goes, the end.
    #[default]
    Unsaid,
    /// `-a`
    All,
    /// `-g`
    Group(String),
    /// `-i`: a name, a directory, or `-`.
    One(String),
}

/// The command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub act: Act,
    pub which: Which,
    pub reverse: bool,
    pub verbose: bool,
}

/// The command line as it stands.
#[derive(Default)]
struct Line {
    modes: Vec<(u8, String)>,
    which: Vec<Which>,
    name: Option<String>,
    group: Option<String>,
    json: bool,
    reverse: bool,
    verbose: bool,
}

impl Options {
    /// Parses the command line; the error is the text behind `fatal: `.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut line = Line::default();
        let mut walk = text::Options::new("ae:g:i:jlpRvxG:I:", arguments);
        while let Some((letter, value)) = walk.next_or_usage("postmulti", USAGE)? {
            let value = String::from_utf8_lossy(&value).into_owned();
            match letter {
                b'e' | b'l' | b'p' | b'x' => line.modes.push((letter, value)),
                b'a' => line.which.push(Which::All),
                b'g' => line.which.push(Which::Group(value)),
                b'i' => line.which.push(Which::One(value)),
                b'j' => line.json = true,
                b'R' => line.reverse = true,
                b'v' => line.verbose = true,
                b'G' => line.group = Some(new_group(&value)?),
                _ => line.name = Some(new_name(&value)?),
            }
        }
        line.understood(walk.operands())
    }
}

impl Line {
    fn understood(mut self, words: Vec<OsString>) -> Result<Options, String> {
        let [(mode, value)] = &self.modes[..] else {
            return Err("Specify exactly one of '-e', '-l', '-p', '-x'".to_owned());
        };
        let (mode, value) = (*mode, value.clone());
        if self.which.len() > 1 {
            return Err("Specify no more than one of '-a', '-g', '-i'".to_owned());
        }
        let which = self.which.pop().unwrap_or_default();
        if self.reverse && matches!(mode, b'p' | b'e') {
            return Err("The '-p' and '-e' options preclude the use of '-R'".to_owned());
        }
        if self.json && mode != b'l' {
            return Err("JSON output available only with '-l'".to_owned());
        }
        if mode != b'e' && (self.name.is_some() || self.group.is_some()) {
            return Err("Cannot assign instance name or group without '-e assign'".to_owned());
        }
        if matches!(mode, b'p' | b'x') && words.is_empty() {
            return Err("Command required with '-p' or '-x' option".to_owned());
        }
        let act = match mode {
            b'l' if !words.is_empty() => return Err("Command not allowed with '-l'".to_owned()),
            b'l' => Act::List { json: self.json },
            b'p' => Act::Postfix(words),
            b'x' => Act::Command(words),
            _ => Act::Edit(Edit::understood(&value, self.name, self.group, words, &which)?),
        };
        Ok(Options { act, which, reverse: self.reverse, verbose: self.verbose })
    }
}

impl Edit {
    fn understood(
        word: &str,
        name: Option<String>,
        group: Option<String>,
        words: Vec<OsString>,
        which: &Which,
    ) -> Result<Edit, String> {
        let Some((_, action)) = Action::ALL.into_iter().find(|(known, _)| *known == word) else {
            return Err(format!(
                "Invalid '-e' edit action '{word}'. Specify 'create', 'destroy', 'import', 'deport', 'enable', \
                 'disable', 'assign' or 'init'"
            ));
        };
        let word = action.word();
        let is_assigned = name.is_some() || group.is_some();
        match action {
            Action::Assign if !is_assigned => {
                return Err("Specify new instance name or group with '-e assign'".to_owned());
            }
            Action::Create | Action::Import | Action::Assign => {}
            _ if is_assigned => return Err(format!("Cannot assign instance name or group with '-e {word}'")),
            _ => {}
        }
        if !action.parameters().is_empty() {
            let places = words.iter().map(|word| action.place(&word.to_string_lossy())).collect::<Result<_, _>>()?;
            return Ok(Edit { action, name, group, places });
        }
        if !words.is_empty() {
            return Err(format!("Parameter overrides not valid with '-e {word}'"));
        }
        if action != Action::Init && !matches!(which, Which::One(_)) {
            return Err("Select an instance via '-i name'".to_owned());
        }
        Ok(Edit { action, name, group, places: Vec::new() })
    }
}

impl Action {
    /// A directory that is given on the command line.
    fn place(self, word: &str) -> Result<(String, String), String> {
        let malformed = |_| format!("Malformed parameter setting '{word}'");
        let (name, value) = config::main_cf::split(word).map_err(malformed)?;
        if !self.parameters().contains(&name) {
            return Err(format!("Parameter '{name}' not valid with action {}", self.word()));
        }
        if !value.starts_with('/') {
            return Err(format!("Parameter setting '{name}' is not an absolute path"));
        }
        Ok((name.to_owned(), value.to_owned()))
    }
}

/// The name of `-I`, which becomes that of directories.
fn new_name(value: &str) -> Result<String, String> {
    if matches!(value, "-" | "") {
        return Ok(String::new());
    }
    if !value.starts_with("postfix-") {
        return Err("New instance name must start with 'postfix-'".to_owned());
    }
    if value.contains('/') {
        return Err(format!("Illegal '/' character in new instance name: '{value}'"));
    }
    is_plain(value)
        .then(|| value.to_owned())
        .ok_or_else(|| format!("Unsafe characters in new instance name: '{value}'"))
}

fn new_group(value: &str) -> Result<String, String> {
    if value == "-" {
        return Ok(String::new());
    }
    is_plain(value).then(|| value.to_owned()).ok_or_else(|| format!("Unsafe characters in '-G {value}'"))
}

/// Whether a text means nothing else in main.cf or in the command of a shell.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+:@%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn one_thing_is_asked_for_with_what_it_needs() {
        for (line, refusal) in [
            ("", "Specify exactly one of '-e', '-l', '-p', '-x'"),
            ("-l -p status", "Specify exactly one of '-e', '-l', '-p', '-x'"),
            ("-l -a -i x", "Specify no more than one of '-a', '-g', '-i'"),
            ("-R -p status", "The '-p' and '-e' options preclude the use of '-R'"),
            ("-j -x true", "JSON output available only with '-l'"),
            ("-l -I postfix-x", "Cannot assign instance name or group without '-e assign'"),
            ("-x", "Command required with '-p' or '-x' option"),
            ("-l foo", "Command not allowed with '-l'"),
            ("-e enable", "Select an instance via '-i name'"),
            ("-e deport -a", "Select an instance via '-i name'"),
            ("-e enable -i - -I postfix-x", "Cannot assign instance name or group with '-e enable'"),
            ("-e enable -i - foo=bar", "Parameter overrides not valid with '-e enable'"),
            ("-e assign -i x", "Specify new instance name or group with '-e assign'"),
            ("-e create myhostname=x", "Parameter 'myhostname' not valid with action create"),
            ("-e create config_directory=etc", "Parameter setting 'config_directory' is not an absolute path"),
            ("-e create -I foo", "New instance name must start with 'postfix-'"),
            ("-e create -I postfix-q/x", "Illegal '/' character in new instance name: 'postfix-q/x'"),
            ("-e create -G a,b", "Unsafe characters in '-G a,b'"),
            ("-e create foo", "Malformed parameter setting 'foo'"),
            ("-e create =x", "Malformed parameter setting '=x'"),
            ("-e create config_directory=", "Parameter setting 'config_directory' is not an absolute path"),
            ("-e create -I postfix-$x", "Unsafe characters in new instance name: 'postfix-$x'"),
        ] {
            assert_eq!(parse(line).err().as_deref(), Some(refusal), "{line}");
        }
    }

    #[test]
    fn what_stands_behind_the_options_is_the_command_with_its_own_options() {
        let words = |act: Act| match act {
            Act::Postfix(words) | Act::Command(words) => words,
            _ => Vec::new(),
        };
        assert_eq!(words(parse("-p -- status").unwrap().act), ["status"]);
        let of_one = parse("-i postfix-a -x sh -c x").unwrap();
        assert_eq!(of_one.which, Which::One("postfix-a".to_owned()));
        assert_eq!(words(of_one.act), ["sh", "-c", "x"]);
    }

    #[test]
    fn a_dash_takes_a_name_away() {
        let Act::Edit(edit) = parse("-e assign -i x -I - -G mta").unwrap().act else { unreachable!() };
        assert_eq!((edit.name.as_deref(), edit.group.as_deref()), (Some(""), Some("mta")));
    }
}
