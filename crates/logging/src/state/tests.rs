//! Lines and those who read them, or do not.

use super::*;

/// A state whose lines go to a socket, and the receiving end.
fn state(name: &str) -> (State, UnixDatagram, PathBuf) {
    let path = std::env::temp_dir().join(format!("log-state-{name}-{}", std::process::id()));
    drop(std::fs::remove_file(&path));
    let receiver = UnixDatagram::bind(&path).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let destinations = vec![Destination::Postlog(path.clone(), Format::Postfix)];
    (State::of(Setup { destinations, ..Setup::default() }), receiver, path)
}

fn received(receiver: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; LONGEST_DATAGRAM];
    let next = std::iter::from_fn(|| receiver.recv(&mut buffer).ok().map(|count| buffer[..count].to_vec()));
    let datagrams: Vec<String> = next.map(|bytes| String::from_utf8(bytes).unwrap()).collect();
    let lines = datagrams.iter().flat_map(|datagram| datagram.split('\n'));
    lines.map(|line| line.rsplit(": ").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_line_that_the_log_service_does_not_take_is_in_the_file_though_the_terminal_has_it() {
    let folder = std::env::temp_dir().join(format!("log-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (nobody, file) = (folder.join("postlog"), folder.join("file"));
    let destinations = vec![Destination::Terminal, Destination::Postlog(nobody, Format::Postfix)];
    let fallback = Some(crate::LogFile { path: file.clone(), mode: 0o600 });
    let setup = Setup { program: "postfix-script".into(), destinations, fallback, ..Setup::default() };
    State::of(setup).push(Severity::Info, "stopping", Vec::new);
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(written.ends_with(": stopping\n"), "{written}");
}

#[test]
fn a_log_in_ascii_has_a_question_mark_for_every_other_byte() {
    let (mut state, receiver, path) = state("ascii");
    state.push(Severity::Info, "j\u{fc}\u{85}", Vec::new);
    state.setup.ascii = true;
    state.push(Severity::Info, "j\u{fc}", Vec::new);
    assert_eq!(received(&receiver), ["j\u{fc}?", "j??"]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_line_that_the_file_does_not_take_either_is_in_syslog() {
    let (mut state, receiver, path) = state("full");
    state.system_log = path.clone();
    state.setup.destinations = vec![Destination::Postlog(path.with_extension("nobody"), Format::Postfix)];
    state.setup.fallback = Some(crate::LogFile { path: "/dev/full".into(), mode: 0o600 });
    state.push(Severity::Info, "one", Vec::new);
    assert_eq!(received(&receiver), ["one"]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn lines_that_a_slow_reader_does_not_take_come_later_and_in_their_order() {
    let (mut state, receiver, path) = state("slow");
    let file = path.with_extension("file");
    state.setup.fallback = Some(crate::LogFile { path: file.clone(), mode: 0o600 });
    state.never_wait();
    for number in 0..900 {
        state.push(Severity::Info, &number.to_string(), Vec::new);
    }
    let mut lines = received(&receiver);
    assert!(lines.len() < 900, "the socket takes everything: nothing is tried");
    while lines.len() < 900 {
        state.flush();
        lines.extend(received(&receiver));
    }
    assert_eq!(lines, (0..900).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(!file.exists());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_lines_of_a_turn_are_one_datagram_for_postlog_and_one_each_for_syslog() {
    let datagrams = |destination: Destination, name| {
        let (mut state, receiver, path) = state(name);
        state.wake = Some(Box::new(|| {}));
        state.system_log = path.clone();
        if destination != Destination::Terminal {
            state.replace(Setup { destinations: vec![destination], ..Setup::default() });
        }
        (0..8).for_each(|number| state.push(Severity::Info, &number.to_string(), Vec::new));
        state.flush();
        let mut buffer = [0; LONGEST_DATAGRAM];
        let count = std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count();
        std::fs::remove_file(path).unwrap();
        count
    };
    assert_eq!(datagrams(Destination::Terminal, "together"), 1, "postlog, as `state` has it");
    assert_eq!(datagrams(Destination::Syslog(2), "apart"), 8);
}

#[test]
fn where_no_long_datagram_is_taken_each_line_goes_alone_and_none_is_lost() {
    let (mut state, receiver, path) = state("short");
    state.never_wait();
    // The least that the system allows; another connection, which would be a wider one, cannot be had.
    let socket = state.sockets[0].as_ref().unwrap();
    nix::sys::socket::setsockopt(socket.socket(), nix::sys::socket::sockopt::SndBuf, &1).unwrap();
    std::fs::remove_file(path).unwrap();
    state.wake = Some(Box::new(|| {}));
    let long = |number: usize| format!("{number} {}", "x".repeat(900));
    (0..8).for_each(|number| state.push(Severity::Info, &long(number), Vec::new));
    let mut lines = Vec::new();
    // At least one line goes in each turn, for what was sent is read.
    for _ in 0..8 {
        state.flush();
        lines.extend(received(&receiver));
    }
    assert_eq!((lines, state.together), ((0..8).map(long).collect(), 1));
}

#[test]
fn lines_outlive_a_reader_that_is_started_again() {
    let (mut state, receiver, path) = state("restart");
    state.never_wait();
    drop(receiver);
    std::fs::remove_file(&path).unwrap();
    state.push(Severity::Info, "while nobody reads", Vec::new);
    let receiver = UnixDatagram::bind(&path).unwrap();
    receiver.set_nonblocking(true).unwrap();
    state.flush();
    assert_eq!(received(&receiver), ["while nobody reads"]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn lines_that_find_no_place_are_counted_in_the_log() {
    let (mut state, receiver, path) = state("lost");
    state.never_wait();
    for number in 0..5000 {
        state.push(Severity::Info, &number.to_string(), Vec::new);
    }
    let mut lines = received(&receiver);
    while state.held.as_ref().is_some_and(|held| !held.is_empty()) {
        state.flush();
        lines.extend(received(&receiver));
    }
    state.flush();
    lines.extend(received(&receiver));
    let told = lines.pop().unwrap();
    let lost = 5000 - lines.len();
    assert_eq!(told, format!("{lost} lines before this one found no place in the log"));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_lost_system_log_is_asked_for_and_its_new_connection_gets_what_waited() {
    let (mut state, _receiver, path) = state("system");
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    state.ask = Some(Box::new(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }));
    state.setup.destinations = vec![Destination::Syslog(2)];
    state.system_log = path.with_extension("missing");
    let (gone, nobody) = UnixDatagram::pair().unwrap();
    drop(nobody);
    state.never_wait();
    state.adopt(gone);
    state.push(Severity::Info, "one", Vec::new);
    state.push(Severity::Info, "two", Vec::new);
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
    let (here, there) = UnixDatagram::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    state.adopt(here);
    state.flush();
    assert_eq!(received(&there), ["one", "two"]);
    std::fs::remove_file(path).unwrap();
}
