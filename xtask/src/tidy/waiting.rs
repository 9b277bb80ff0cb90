//! A daemon serves many clients in one thread: what may wait for another program is done elsewhere, before it serves,
//! or in a process or thread of its own. Each such call says which. Nor does it serve one client as long as that one
//! likes: who waits for a socket and then reads it by himself lets others have their turn.

use super::Complaints;
use super::source::Source;

/// Calls that take as long as somebody else likes.
const MAY_WAIT: [&str; 12] = [
    "thread::sleep(",
    ".to_socket_addrs()",
    "User::from_name(",
    "User::from_uid(",
    "Group::from_name(",
    "Group::from_gid(",
    "identity::account(",
    "account_of_uid(",
    "Identity::of_account(",
    "F_SETLKW",
    ".lock()?",
    "net::UnixStream::connect(",
];
/// The comment that says where it waits, on the line or just above it.
const EXCUSE: &str = "waits: ";
/// Waits of which the library does not count how often they end at once: with a peer that is always ready nobody else
/// has a turn.
const UNCOUNTED: [&str; 2] = [".readable().await", ".writable().await"];
/// What counts them.
const COUNTED: &str = "consume_budget().await";
/// The comment that says why one need not be counted.
const UNCOUNTED_EXCUSE: &str = "turns: ";
/// Lines above a wait where either may stand.
const ABOVE: usize = 8;
/// Crates that no daemon serves with, and `sys`, whose functions are the calls.
const ELSEWHERE: [&str; 3] = ["crates/command/", "crates/sys/", "crates/sandbox/"];

/// `daemons`: the folders of programs that serve.
pub(super) fn check(source: &Source, daemons: &[String], complaints: &mut Complaints) {
    let library = source.path.starts_with("crates/") && !ELSEWHERE.iter().any(|path| source.path.starts_with(path));
    if !library && !daemons.iter().any(|folder| source.path.starts_with(folder)) {
        return;
    }
    for (at, line) in source.lines.iter().enumerate().filter(|(_, line)| !line.test) {
        let Some(call) = MAY_WAIT.iter().find(|call| line.code.contains(**call)) else { continue };
        let near = &source.lines[at.saturating_sub(2)..=at];
        if !near.iter().any(|line| line.comment.as_deref().is_some_and(|comment| comment.contains(EXCUSE))) {
            let what = format!(
                "`{call}` may wait for another program: not in the loop of a daemon, or say where: `// {EXCUSE}...`"
            );
            complaints.add(&source.path, at + 1, what);
        }
    }
    for (at, line) in source.lines.iter().enumerate().filter(|(_, line)| !line.test) {
        let Some(call) = UNCOUNTED.iter().find(|call| line.code.contains(**call)) else { continue };
        let near = &source.lines[at.saturating_sub(ABOVE)..=at];
        let excused = |comment: &String| comment.contains(UNCOUNTED_EXCUSE);
        if !near.iter().any(|line| line.code.contains(COUNTED) || line.comment.as_ref().is_some_and(excused)) {
            let what = format!(
                "`{call}` ends at once with a peer that is always ready: `{COUNTED}` above it, or say why nobody waits \
                 for its end: `// {UNCOUNTED_EXCUSE}...`"
            );
            complaints.add(&source.path, at + 1, what);
        }
    }
}

/// The folders of the programs that serve: those with a SERVICE constant.
pub(super) fn daemons(sources: &[Source]) -> Vec<String> {
    let serves = |source: &&Source| source.lines.iter().any(|line| line.code.contains("static SERVICE: Service"));
    let folder = |source: &Source| Some(source.path.strip_suffix("src/main.rs")?.to_owned());
    sources.iter().filter(serves).filter_map(folder).chain(["master/".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> usize {
        let mut found = Complaints::default();
        check(&Source::new(path, text), &["smtpd/".to_owned()], &mut found);
        found.0.len()
    }

    #[test]
    fn a_call_that_may_wait_says_where() {
        let call = "let user = User::from_name(name)?;\n";
        assert_eq!(complaints("smtpd/src/x.rs", call), 1);
        assert_eq!(complaints("crates/lookup/src/x.rs", call), 1);
        assert_eq!(complaints("smtpd/src/x.rs", &format!("// waits: before it serves\n{call}")), 0);
        assert_eq!(complaints("postmap/src/x.rs", call), 0);
        assert_eq!(complaints("smtpd/src/x.rs", &format!("#[cfg(test)]\n{call}")), 0);
    }

    #[test]
    fn a_wait_for_a_socket_gives_others_their_turn() {
        let call = "stream.readable().await?;\n";
        assert_eq!(complaints("smtpd/src/x.rs", call), 1);
        assert_eq!(complaints("smtpd/src/x.rs", &format!("consume_budget().await;\n{call}")), 0);
        assert_eq!(complaints("smtpd/src/x.rs", &format!("// turns: once a client\n{call}")), 0);
        assert_eq!(complaints("smtpd/src/x.rs", &format!("consume_budget().await;\n{}{call}", "a();\n".repeat(9))), 1);
    }
}
