//! Cases that need nothing but a library: lists of networks, and the syntax of addresses.

use lookup::{MatchList, ParentStyle, Settings};
use toml::{Table, Value};

use crate::case::Case;
use crate::folder::{Folder, write};

/// The observed outcome of each case.
pub fn play(cases: &[Case]) -> Vec<Table> {
    cases.iter().map(|case| if case.kind() == "syntax" { syntax(case) } else { list(case) }).collect()
}

/// Whether a text is an address, and what is said when it is none.
fn syntax(case: &Case) -> Table {
    let input = case.text("input");
    let error = match case.area() {
        "hostaddr-syntax" => net::literal::check(input.as_bytes()).err(),
        _ if input.starts_with('[') => net::literal::check_mailhost(input.as_bytes()).err(),
        _ => net::literal::check_mailhost(format!("[{input}]").as_bytes()).err(),
    };
    let valid = error.is_none();
    let messages = error.map(|error| Value::String(error.to_string())).into_iter().collect();
    Table::from_iter([("valid".to_owned(), Value::Boolean(valid)), ("messages".to_owned(), Value::Array(messages))])
}

/// Whether a list matches a client. What is logged about the list is seen by those who look at the server's log.
fn list(case: &Case) -> Table {
    let folder = Folder::new(case.id());
    for (name, text) in case.files() {
        write(&folder.path().join(name), &text);
    }
    let text = case.text("list").replace("$DIR", &folder.path().display().to_string());
    let list = MatchList::open(Settings::default(), "mynetworks", &text, ParentStyle::Bare);
    let found = match list {
        Err(_) => "fatal",
        Ok(list) => match list.matches_host(case.text("hostname").as_bytes(), case.text("address").as_bytes()) {
            Ok(true) => "yes",
            Ok(false) => "no",
            Err(_) => "error",
        },
    };
    Table::from_iter([("result".to_owned(), Value::String(found.to_owned()))])
}
