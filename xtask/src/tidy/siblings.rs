//! A daemon finds the sockets of other services by `daemon::Service` alone, which lets it have those that its constant
//! lists.

use super::Complaints;
use super::source::Source;

/// How the path of a socket is made by hand.
const BY_HAND: [&str; 6] =
    ["format!(\"private/", "format!(\"public/", "join(\"private", "join(\"public", "from(\"private", "from(\"public"];

/// `daemons`: the folders of programs that serve. Master makes the sockets.
pub(super) fn check(source: &Source, daemons: &[String], complaints: &mut Complaints) {
    let serves = daemons.iter().any(|folder| folder != "master/" && source.path.starts_with(&format!("{folder}src/")));
    for (number, line) in source.numbered().filter(|(_, line)| serves && !line.test) {
        if BY_HAND.iter().any(|call| line.text.contains(call)) {
            complaints.add(&source.path, number, "the socket of a sibling comes from `Service::socket` or `transport`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_makes_no_path_of_a_socket() {
        let complaints = |path: &str, text: &str| {
            let mut found = Complaints::default();
            check(&Source::new(path, text), &["smtpd/".to_owned(), "master/".to_owned()], &mut found);
            found.0.len()
        };
        let line = "let path = format!(\"private/{name}\");\n";
        assert_eq!(complaints("smtpd/src/x.rs", line), 1);
        assert_eq!(complaints("master/src/x.rs", line) + complaints("postqueue/src/x.rs", line), 0);
        assert_eq!(complaints("smtpd/src/x.rs", "warning!(\"private/{name} socket: {error}\");\n"), 0);
    }
}
