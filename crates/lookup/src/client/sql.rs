//! What the clients of SQL servers have in common: how a query is written down, and how a key is quoted in it.

use crate::OpenError;
use crate::client::template::{Template, Use};
use crate::client::values::Values;

/// The query that is set: as a whole, or by the settings of old.
pub(crate) fn query(values: &Values) -> Result<String, OpenError> {
    let query = values.optional("query")?;
    if !query.is_empty() {
        return Ok(query);
    }
    let table = values.required("table")?;
    let (select, field) = (values.required("select_field")?, values.required("where_field")?);
    let conditions = values.optional("additional_conditions")?;
    Ok(format!("SELECT {select} FROM {table} WHERE {field}='%s' {conditions}"))
}

/// The template of a query, or the sentence for the log.
pub(crate) fn template(source: &str, query: &str) -> Result<Template, OpenError> {
    let wrong = |text| OpenError::Syntax(format!("db_common_parse: {source}: Invalid query template: {text}"));
    Template::parse(query, Use::Query).map_err(wrong)
}

/// The expressions of a query that do not stand in single quotes, where quoting has no effect.
pub fn unquoted(query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut within = None;
    let mut letters = query.chars();
    while let Some(letter) = letters.next() {
        match (letter, within) {
            ('\'' | '"', None) => within = Some(letter),
            (_, Some(quote)) if quote == letter => within = None,
            ('%', _) => match letters.next() {
                Some('%') | None => {}
                Some(_) if within == Some('\'') => {}
                Some(expression) => found.push(format!("%{expression}")),
            },
            _ => {}
        }
    }
    found
}

/// Adds a text to what stands in single quotes: a quote in it is doubled, as standard SQL has it.
pub fn double_quotes(text: &[u8], query: &mut Vec<u8>) {
    for &byte in text {
        if byte == b'\'' {
            query.push(byte);
        }
        query.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_outside_of_single_quotes_are_found() {
        for (query, expected) in [
            ("SELECT v FROM t WHERE k='%s'", &[][..]),
            ("SELECT %s; select 2", &["%s"]),
            ("SELECT \"%s\", '$x'", &["%s"]),
            ("SELECT \"'%s'\"", &["%s"]),
            ("SELECT '%s' union select \"%s\"", &["%s"]),
            ("SELECT %s,%u where %s=%q", &["%s", "%u", "%s", "%q"]),
            ("SELECT 'a''%s' LIKE '%%' and 1 %% 2", &[]),
            ("SELECT ' %s '", &[]),
            ("SELECT %", &[]),
        ] {
            assert_eq!(unquoted(query), expected, "{query}");
        }
    }
}
