//! The Message-Id given to a message that came without one.

use crate::date;

/// `<20261122113015.DAD8C552116@mx.example.test>`: the time makes a short queue ID, which is used again, unique.
pub fn for_short_queue_id(unix: i64, queue_id: &str, hostname: &str) -> String {
    format!("<{}.{queue_id}@{hostname}>", date::compact_utc(unix))
}

/// `<4jXRJr3hS0zp2vF@mx.example.test>`: a long queue ID (enable_long_queue_ids) holds the time already.
pub fn for_long_queue_id(queue_id: &str, hostname: &str) -> String {
    format!("<{queue_id}@{hostname}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_postfix_forms() {
        assert_eq!(for_short_queue_id(1_795_347_015, "DAD8C552116", "h.test"), "<20261122113015.DAD8C552116@h.test>");
        assert_eq!(for_long_queue_id("4jXRJr3hS0zp2vF", "h.test"), "<4jXRJr3hS0zp2vF@h.test>");
    }
}
