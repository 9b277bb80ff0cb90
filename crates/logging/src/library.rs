//! What libraries tell of their work (`tracing` events), as lines of severity debug: `debug: text`.
//!
//! Nobody reads them unless something is looked for, so that nothing listens, and nothing is formatted, unless a
//! program was started with -v or has a debug_peer_list. They go the way of all other lines. Of the libraries that
//! others wrote none tells anything here: mio has `log` records of its own, of every turn, and tokio none without an
//! unstable option.

use std::fmt::{self, Debug, Write};
use std::future::Future;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Instrument, Span, Subscriber, debug_span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, SpanRef};
use tracing_subscriber::{Layer, Registry};

use crate::line::{MAX_TEXT, Severity};
use crate::{Value, sink};

/// Whose events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Every one: the program was started with -v.
    All,
    /// Those of sessions with a peer of debug_peer_list: see [`of_peer`].
    OfPeers,
}

/// From now on the wanted events are in the log. The first call of a process counts.
pub fn listen(wanted: Wanted) {
    let write = |text: &str, library: &str| {
        sink::write(Severity::Debug, text, || vec![("library", Value::Text(library.to_owned()))]);
    };
    // A second one would find the first in its place.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(ToLog { wanted, write }));
}

/// Work of a session; `is_debugged` says whether its peer is in debug_peer_list.
///
/// No `async fn`, which would hold the work once more for each way that it can go.
pub fn of_peer<F: Future>(is_debugged: bool, work: F) -> impl Future<Output = F::Output> {
    work.instrument(if is_debugged { debug_span!(target: TARGET, PEER) } else { Span::none() })
}

/// The span of a session with a debugged peer.
const PEER: &str = "debugged peer";
const TARGET: &str = "logging::library";

/// Brings events into the log.
struct ToLog<W> {
    wanted: Wanted,
    /// Takes a text, and the library that it is of.
    write: W,
}

impl<S, W> Layer<S> for ToLog<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str, &str) + 'static,
{
    /// Steps of a library's own code are not for operators.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let of_peer = || context.event_scope(event).is_some_and(|mut scope| scope.any(|span| is_of_peer(&span)));
        if self.wanted != Wanted::All && !of_peer() {
            return;
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let library = event.metadata().target().split(':').next().unwrap_or_default();
        (self.write)(&text.0, library);
    }
}

fn is_of_peer<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> bool {
    span.metadata().target() == TARGET && span.name() == PEER
}

/// The message of an event, then its fields: `text name=value`.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // What does not fit is cut, as any text of a line.
        let _ = match field.name() {
            "message" => write!(self, "{value:?}"),
            name if self.0.is_empty() => write!(self, "{name}={value:?}"),
            name => write!(self, " {name}={value:?}"),
        };
    }
}

impl Write for Text {
    /// A library may have much to say: no more is kept than a line has place for.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_TEXT - self.0.len();
        // told: who reads the line, which is as long as a line can be.
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context as Turn, Poll, Waker};

    use tracing::{debug, info, trace};

    use super::*;

    /// The lines that come of some work when these events are wanted.
    fn lines(wanted: Option<Wanted>, work: impl Future<Output = ()>) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let write = move |text: &str, library: &str| kept.lock().unwrap().push(format!("{library}: {text}"));
        let work = || {
            let mut work = pin!(work);
            while work.as_mut().poll(&mut Turn::from_waker(Waker::noop())).is_pending() {}
        };
        match wanted {
            Some(wanted) => tracing::subscriber::with_default(Registry::default().with(ToLog { wanted, write }), work),
            None => work(),
        }
        std::mem::take(&mut *lines.lock().unwrap())
    }

    async fn event(name: &str) {
        // A session gives way to others in the middle of its work.
        let mut gave_way = false;
        std::future::poll_fn(|_| if std::mem::replace(&mut gave_way, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;
        debug!("{name}");
    }

    #[test]
    fn a_verbose_program_tells_everything_but_single_steps() {
        let work = async {
            debug!(count = 2, "asking {}", "a");
            info!(target: "other::part", "said");
            trace!("step");
            debug!(server = "x");
        };
        assert_eq!(
            lines(Some(Wanted::All), work),
            ["logging: asking a count=2", "other: said", "logging: server=\"x\""]
        );
    }

    #[test]
    fn the_events_of_a_session_with_a_debugged_peer_are_told_and_no_others() {
        let work = async {
            let sessions = [("debugged", true), ("other", false)];
            let [mut one, mut other] = sessions.map(|(name, is)| Box::pin(of_peer(is, event(name))));
            // In turns: the span is that of the session, not of the time.
            let (mut first, mut second) = (None, None);
            std::future::poll_fn(|turn| {
                for (session, ended) in [(&mut one, &mut first), (&mut other, &mut second)] {
                    if ended.is_none() && session.as_mut().poll(turn).is_ready() {
                        *ended = Some(());
                    }
                }
                if first.is_some() && second.is_some() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            debug!("nobody's");
            of_peer(true, async { debug_span!("within").in_scope(|| debug!("deeper")) }).await;
            debug_span!("debugged peer").in_scope(|| debug!("another's span of that name"));
        };
        assert_eq!(lines(Some(Wanted::OfPeers), work), ["logging: debugged", "logging: deeper"]);
    }

    #[test]
    fn nothing_is_formatted_when_nobody_listens() {
        struct Counted<'a>(&'a Cell<u32>);
        impl fmt::Display for Counted<'_> {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.set(self.0.get() + 1);
                Ok(())
            }
        }
        let count = Cell::new(0);
        for (wanted, formatted) in [(None, 0), (Some(Wanted::OfPeers), 0), (Some(Wanted::All), 1)] {
            lines(wanted, async { debug!("{}", Counted(&count)) });
            assert_eq!(count.get(), formatted, "{wanted:?}");
        }
    }

    #[test]
    fn a_talkative_library_is_cut() {
        let told = lines(Some(Wanted::All), async { debug!(more = 1, "{}", "é".repeat(5000)) });
        assert_eq!(told[0].len(), "logging: ".len() + MAX_TEXT);
    }
}
