//! Log records: one type a line, rendered as Postfix's text or as JSON.
