//! A log line about one message says so by `id:`, so that the line that people read and the fact that programs read are
//! one.

use super::Complaints;
use super::source::Source;

/// What logs a text.
const MACROS: [&str; 4] = ["info!(", "warning!(", "repeated!(", "error!("];
pub(super) fn check(source: &Source, complaints: &mut Complaints) {
    for (at, line) in source.lines.iter().enumerate().filter(|(_, line)| !line.test) {
        // The code has empty strings: a call within one is none.
        let Some(name) = MACROS.iter().find(|name| line.code.contains(**name)) else { continue };
        let Some((_, begin)) = line.text.split_once(name) else { continue };
        // The arguments, however rustfmt has broken them.
        let rest = source.lines[at + 1..].iter().take(LINES).map(|line| line.text.trim());
        let call = std::iter::once(begin.trim()).chain(rest).collect::<Vec<_>>().join(" ");
        if begins_with_id(call.trim_start()) {
            let name = name.trim_end_matches('(');
            let what = format!("the queue id is a fact of the line: `{name}(id: ID, \"...\")`, which puts it in front");
            complaints.add(&source.path, at + 1, what);
        }
    }
}

/// Lines of a call that are looked at: its format and the first argument.
const LINES: usize = 4;

/// `"{id}: ...`, `"{queue_id}: ...`, or `"{}: ..."` with a first argument that is called so.
fn begins_with_id(call: &str) -> bool {
    let Some((name, rest)) = call.strip_prefix("\"{").and_then(|rest| rest.split_once("}: ")) else { return false };
    if !name.is_empty() {
        return is_id(name);
    }
    let mut escaped = false;
    let end = rest.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some(arguments) = end.map(|end| rest[end + 1..].trim_start_matches([',', ' '])) else { return false };
    let first = arguments.split([',', ')']).next().unwrap_or_default().trim_end_matches('(');
    first.rsplit(['.', ' ', '&', ':']).next().is_some_and(is_id)
}

fn is_id(name: &str) -> bool {
    name == "id" || name.ends_with("_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> usize {
        let mut found = Complaints::default();
        check(&Source::new(path, text), &mut found);
        found.0.len()
    }

    #[test]
    fn a_line_does_not_begin_with_a_queue_id_by_hand() {
        for by_hand in [
            "logging::info!(\"{id}: removed\");\n",
            "warning!(\"{queue_id}: {error}\");\n",
            "logging::warning!(\"{}: say \\\"hi\\\"\", message.id);\n",
            "logging::warning!(\n    \"{}: too long\",\n    self.request.message.queue_id,\n    why\n);\n",
            "repeated!(\"{}: x\", writer.id());\n",
        ] {
            assert_eq!(complaints("qmgr/src/x.rs", by_hand), 1, "{by_hand}");
        }
        for other in [
            "logging::info!(id: id, \"removed\");\n",
            "warning!(\"{}: {error}\", path.display());\n",
            "warning!(\"{name}: {id}\");\n",
            "warning!(\"{}: {}\", path, id);\n",
            "let shown = \"info!(\\\"{id}: \\\")\";\n",
        ] {
            assert_eq!(complaints("qmgr/src/x.rs", other), 0, "{other}");
        }
    }
}
