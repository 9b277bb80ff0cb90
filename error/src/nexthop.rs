//! A nexthop that is a reason: `5.1.1 no such user`.

use dsn::Status;

/// The status and the text of a reason. A code of another class than the default's becomes one of that class: the
/// service decides what happens to the mail, the text only says why.
pub fn reason(nexthop: &[u8], default: Status) -> (Status, String) {
    let (status, text) = Status::split_bytes(nexthop, default);
    (status.with_class(default.class()), text::printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_decides_the_class_and_the_nexthop_the_rest() {
        let bounce = Status::new(5, 0, 0);
        assert_eq!(reason(b"5.1.1 no such user", bounce), (Status::new(5, 1, 1), "no such user".into()));
        assert_eq!(reason(b"4.3.2 come back", bounce), (Status::new(5, 3, 2), "come back".into()));
        assert_eq!(reason(b"User unknown", bounce), (bounce, "User unknown".into()));
    }
}
