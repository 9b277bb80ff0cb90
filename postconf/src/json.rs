//! `-j`: what is shown, as JSON, one member a line.

use text::lossless::to_utf8;

/// An object; the lines of its text.
pub fn object<'a>(members: impl Iterator<Item = (&'a str, String)>) -> Vec<String> {
    between("{", members.map(|(name, value)| format!("{}: {}", json_string(name), json_string(&value))), "}")
}

/// An array of strings.
pub fn strings<'a>(items: impl Iterator<Item = &'a str>) -> Vec<String> {
    between("[", items.map(json_string), "]")
}

/// An array of objects, one a line.
pub fn objects(items: &[Vec<(String, String)>]) -> Vec<String> {
    let object = |members: &Vec<(String, String)>| {
        let members = members.iter().map(|(name, value)| format!("{}: {}", json_string(name), json_string(value)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
    };
    between("[", items.iter().map(object), "]")
}

fn json_string(text: &str) -> String {
    text::json_string(&to_utf8(text))
}

fn between(open: &str, items: impl Iterator<Item = String>, close: &str) -> Vec<String> {
    let mut lines = vec![open.to_string()];
    let mut items = items.peekable();
    while let Some(item) = items.next() {
        let comma = if items.peek().is_some() { "," } else { "" };
        lines.push(format!("    {item}{comma}"));
    }
    lines.push(close.to_string());
    lines
}
