//! A bound on input that is reached is an error with a name, or is told: never a shorter result that nobody hears of.
//! Whatever cuts, and every constant that names a bound, says who is told, or why nothing is lost.

use super::Complaints;
use super::source::{Line, Source};

/// The comment that says it: on the line, or in the comment above it.
const EXCUSE: &str = "told: ";
/// Words in the names of constants that are bounds, and of variables.
const BOUNDS: [&str; 8] = ["MAX", "MOST", "LONGEST", "LARGEST", "LIMIT", "DEPTH", "DEEPEST", "AT_MOST"];
const VARIABLES: [&str; 6] = ["limit", "most", "max", "room", "bound", "capacity"];
/// Times and rates are no sizes of input; names of parameters are not bounds themselves.
const OTHER_TYPES: [&str; 7] = ["Duration", "Param<", "Twin<", "Family", "&str", "Limits", "(Duration"];

pub(super) fn check(source: &Source, complaints: &mut Complaints) {
    let lines = || source.lines.iter().enumerate();
    // Where a constant of this file says it, who uses the constant need not.
    let constants = lines().filter(|(at, _)| excused(source, *at));
    let told: Vec<&str> = constants.filter_map(|(_, line)| Some(constant(&line.code)?.0)).collect();
    for (at, line) in lines().filter(|(_, line)| !line.test) {
        let is_constant = constant(&line.code).is_some_and(|(name, kind)| is_bound(name, kind));
        let says = words(&line.code).any(|word| told.contains(&word));
        if !is_constant && !cuts(&line.code) || says || excused(source, at) {
            continue;
        }
        let what = if is_constant { "a bound" } else { "what cuts" };
        complaints.add(
            &source.path,
            at + 1,
            format!("{what} says who hears of it, or why nothing is lost: `{EXCUSE}...`"),
        );
    }
}

/// On the line, in the comments right above it or above the statement that it belongs to.
fn excused(source: &Source, at: usize) -> bool {
    let tells = |line: &Line| line.text.split_once("//").is_some_and(|(_, comment)| comment.contains(EXCUSE));
    let is_comment = |line: &&Line| line.text.trim_start().starts_with("//");
    let above = |at: usize| source.lines[..at].iter().rev().take_while(is_comment).any(tells);
    if tells(&source.lines[at]) || above(at) {
        return true;
    }
    // A statement of several lines: the comment stands above its first.
    let begins = |line: &Line| line.code.trim_end().ends_with([';', '{', '}', ',']) || line.code.trim().is_empty();
    let start = (0..at).rev().find(|before| begins(&source.lines[*before])).map_or(0, |before| before + 1);
    start < at && source.lines[start..at].iter().all(|line| !begins(line)) && above(start)
}

/// The constant that a line defines, and its type.
fn constant(code: &str) -> Option<(&str, &str)> {
    let code = code.trim_start();
    let code = code.strip_prefix("pub(crate) ").or(code.strip_prefix("pub ")).unwrap_or(code);
    let (name, rest) = code.strip_prefix("const ").and_then(|code| code.split_once(':'))?;
    Some((name, rest.split('=').next().unwrap_or_default()))
}

/// `MAX_...: usize`.
fn is_bound(name: &str, kind: &str) -> bool {
    has_bound(name) && !OTHER_TYPES.iter().any(|other| kind.contains(other))
}

/// Whether a line makes something shorter: a collection, a text, what is read.
fn cuts(code: &str) -> bool {
    let argument = |call: &str| code.split(call).skip(1).any(|after| is_size(inside(after)));
    let length =
        code.contains(".len().min(") || code.split(".min(").skip(1).any(|after| inside(after).ends_with(".len()"));
    let truncates = code.split(".truncate(").skip(1).any(|after| !matches!(inside(after), "0" | "true" | "false"));
    let slice = code.split("[..").skip(1).any(|after| after.split(']').next().is_some_and(has_bound));
    let part = code.split("get(..").skip(1).any(|after| has_bound(inside(after)));
    argument(".take(") || length || truncates || slice || part
}

/// The argument of a call, from behind its parenthesis to the one that closes it.
fn inside(after: &str) -> &str {
    let mut depth = 0;
    let end = after.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth < 0
    });
    &after[..end.unwrap_or(after.len())]
}

/// A number, a constant or a variable of that kind; `take(request)` of our own types is none.
fn is_size(argument: &str) -> bool {
    let is_number = argument.starts_with(|c: char| c.is_ascii_digit());
    let is_counted =
        ["count", "length", "size", "len()", "depth", " as u64"].iter().any(|word| argument.contains(word));
    is_number || is_counted || has_bound(argument)
}

fn has_bound(text: &str) -> bool {
    words(text).any(|word| {
        let constant = word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let named = constant && BOUNDS.iter().any(|bound| word.contains(bound));
        named || word.split('_').any(|part| VARIABLES.contains(&part))
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> usize {
        let mut found = Complaints::default();
        check(&Source::new("smtpd/src/x.rs", text), &mut found);
        found.0.len()
    }

    #[test]
    fn whatever_cuts_says_who_is_told() {
        let cuts = [
            "file.take(LIMIT).read_to_end(&mut text)?;\n",
            "let words: Vec<_> = found.take(100).collect();\n",
            "names.truncate(count);\n",
            "let shown = &text[..text.len().min(300)];\n",
            "let shown = &text[..end.min(text.len())];\n",
            "let shown = &text[..MAX_SHOWN];\n",
            "let shown = text.get(..limit);\n",
            "const MAX_HOSTS: usize = 100;\n",
            "pub(crate) const LONGEST_LINE: u64 = 1 << 20;\n",
        ];
        for line in cuts {
            assert_eq!(complaints(line), 1, "{line}");
            assert_eq!(complaints(&format!("// told: the log.\n{line}")), 0, "{line}");
            assert_eq!(complaints(&format!("#[cfg(test)]\n{line}")), 0, "{line}");
        }
        assert_eq!(complaints("/// Hosts. told: the client.\nconst MAX_HOSTS: usize = 100;\n"), 0);
        assert_eq!(complaints("// told: the log.\nlet read = file\n    .take(LIMIT)\n    .read();\n"), 0);
        let constant = "/// Hosts. told: the client.\nconst MAX_HOSTS: usize = 100;\n";
        assert_eq!(complaints(&format!("{constant}hosts.take(MAX_HOSTS);\nhosts.take(MAX_OTHERS);\n")), 1);
        assert_eq!(complaints("// told: the log.\nlet a = b;\nfile.take(LIMIT).read();\n"), 1);
    }

    #[test]
    fn what_takes_all_or_measures_time_says_nothing() {
        let others = [
            "let text = self.text.take();\n",
            "match held.take(request) {\n",
            "let text = std::mem::take(&mut self.text);\n",
            "text.truncate(0);\n",
            "File::options().write(true).truncate(true);\n",
            "let pause = (pause * 2).min(LONGEST_PAUSE);\n",
            "const MAX_IDLE: Duration = Duration::from_secs(5);\n",
            "pub const MAX_USE: Param<i64> = Param::new(\"max_use\");\n",
        ];
        for line in others {
            assert_eq!(complaints(line), 0, "{line}");
        }
    }
}
