//! What a library tells of its work, as the log of a process with a debug_peer_list gets it. One test: a process
//! listens once.

use std::os::unix::net::UnixDatagram;
use std::pin::pin;
use std::task::{Context, Waker};

use logging::library::{self, Wanted};
use logging::{Destination, Format, Setup};
use serde_json::{Value, json};

#[test]
fn an_event_of_a_session_with_a_debugged_peer_is_a_line_of_severity_debug() {
    let path = std::env::temp_dir().join(format!("debugged-{}", std::process::id()));
    drop(std::fs::remove_file(&path));
    let receiver = UnixDatagram::bind(&path).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let destinations = vec![Destination::Postlog(path.clone(), Format::Json)];
    logging::set_up(Setup { program: "smtpd".into(), host: "mx".into(), destinations, ..Setup::default() });
    library::listen(Wanted::OfPeers);
    library::listen(Wanted::All); // the first call counts
    tracing::debug!("of nobody");
    for (is_debugged, text) in [(false, "of another"), (true, "asking \"x\"")] {
        let session = pin!(library::of_peer(is_debugged, async { tracing::debug!("{text}") }));
        assert!(session.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
    let mut buffer = [0; 8192];
    let count = receiver.recv(&mut buffer).unwrap();
    let line: Value = serde_json::from_slice(&buffer[..count]).unwrap();
    assert_eq!(["severity", "library", "text"].map(|name| &line[name]), ["debug", "debugged", "asking \"x\""]);
    assert_eq!(line["process"], json!("postfix/smtpd"));
    assert!(receiver.recv(&mut buffer).is_err(), "another line");
    std::fs::remove_file(path).unwrap();
}
