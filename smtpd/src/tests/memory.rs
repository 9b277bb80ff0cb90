//! What a session costs while its client says nothing.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpStream;

use crate::session::Session;
use crate::settings::Settings;
use crate::worker::Smtpd;

/// Bytes of the future of a session.
fn size<F>(_run: impl FnOnce(Rc<Smtpd>, Rc<Settings>, TcpStream, SocketAddr, SocketAddr) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_session_that_waits_has_no_room_for_the_work_of_a_command() {
    let (future, state) = (size(Session::run), size_of::<Session>());
    // The state, the wait for a line, and what the session was begun with.
    assert!(future <= state + 1024, "{future} bytes, {state} of them state");
    assert!(state <= 2048, "{state} bytes");
}
