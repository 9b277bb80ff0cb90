//! The way into cleanup that knows where the next message goes: what is asked, and what happens when a worker ends.

use std::path::PathBuf;
use std::time::Duration;

use ipc::cleanup::{Cleanup, Entrance, Flags, Message, Outcome, Place, Reply, Request};
use ipc::{Channel, Pool, Server};
use queue::QueueId;
use tokio::net::UnixListener;

fn id(name: &str) -> QueueId {
    QueueId::parse(name.as_bytes()).unwrap()
}

fn place(name: &str) -> Place {
    Place { queue_id: id(name), spare: id("SPARE") }
}

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> (Self, UnixListener, Entrance) {
        let path = std::env::temp_dir().join(format!("ipc-entrance-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let entrance = Entrance::new(Pool::new(&path, Duration::from_secs(5)));
        (Self(path), listener, entrance)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn accept(listener: &UnixListener) -> Server<Cleanup> {
    Channel::new(listener.accept().await.unwrap().0)
}

/// Serves a first message, after which the client knows a place for the next.
async fn first(listener: &UnixListener) -> Server<Cleanup> {
    let mut server = accept(listener).await;
    assert!(matches!(server.must_receive().await.unwrap(), Request::Open { place: None, .. }));
    server.send(&Reply::Opened { queue_id: id("A1") }).await.unwrap();
    assert!(matches!(server.must_receive().await.unwrap(), Request::Records(_)));
    assert!(matches!(server.must_receive().await.unwrap(), Request::Finish { more: true }));
    done(&mut server, "A1", Some(place("A2"))).await;
    server
}

async fn done(server: &mut Server<Cleanup>, name: &str, next: Option<Place>) {
    server.send(&Reply::Done { outcome: Outcome::Accepted(id(name)), next }).await.unwrap();
}

async fn open(entrance: &Entrance, name: &str, bytes: usize) -> Message {
    let mut message = entrance.open(Flags::EXTERNAL).await.unwrap();
    assert_eq!(*message.queue_id(), id(name));
    message.records().resize(bytes, b'x');
    message
}

#[tokio::test]
async fn a_message_whose_place_is_known_is_one_question_and_one_answer() {
    let (_directory, listener, entrance) = Directory::new("whole");
    let serve = async {
        let mut server = first(&listener).await;
        let Request::Whole { place: told, records, .. } = server.must_receive().await.unwrap() else { panic!() };
        assert_eq!((told, records.len()), (place("A2"), 100));
        done(&mut server, "A2", None).await;
        assert!(matches!(server.must_receive().await.unwrap(), Request::Open { place: None, .. }));
    };
    let send = async {
        for name in ["A1", "A2"] {
            let message = open(&entrance, name, 100).await;
            assert_eq!(entrance.finish(message).await.unwrap().outcome, Outcome::Accepted(id(name)));
        }
        drop(entrance.open(Flags::EXTERNAL).await);
    };
    tokio::join!(serve, send);
}

#[tokio::test]
async fn a_large_message_is_announced_before_any_of_it_is_sent() {
    let (_directory, listener, entrance) = Directory::new("large");
    let serve = async {
        let mut server = first(&listener).await;
        let Request::Open { place: told, .. } = server.must_receive().await.unwrap() else { panic!() };
        assert_eq!(told, Some(place("A2")));
        server.send(&Reply::Opened { queue_id: id("A2") }).await.unwrap();
        assert!(matches!(server.must_receive().await.unwrap(), Request::Records(_)));
        assert!(matches!(server.must_receive().await.unwrap(), Request::Abort));
    };
    let send = async {
        let message = open(&entrance, "A1", 100).await;
        entrance.finish(message).await.unwrap();
        let mut message = open(&entrance, "A2", 100_000).await;
        message.flow().await.unwrap();
        message.abort(entrance.pool()).await;
    };
    tokio::join!(serve, send);
}

#[tokio::test]
async fn a_worker_that_ends_unheard_loses_no_message_and_no_name() {
    let (_directory, listener, entrance) = Directory::new("ends");
    let serve = async {
        let server = first(&listener).await;
        server.arrival().await;
        drop(server);
        let mut other = accept(&listener).await;
        let Request::Whole { place: told, .. } = other.must_receive().await.unwrap() else { panic!() };
        assert_eq!(told, place("A2"));
        done(&mut other, "A2", Some(place("A3"))).await;
        drop(other);
        let mut third = accept(&listener).await;
        assert!(matches!(third.must_receive().await.unwrap(), Request::Open { place: Some(_), .. }));
        third.send(&Reply::Opened { queue_id: id("A3") }).await.unwrap();
        assert!(matches!(third.must_receive().await.unwrap(), Request::Records(_)));
    };
    let send = async {
        for name in ["A1", "A2"] {
            let message = open(&entrance, name, 100).await;
            assert_eq!(entrance.finish(message).await.unwrap().outcome, Outcome::Accepted(id(name)));
        }
        // The connection has ended before anything was sent.
        let mut message = open(&entrance, "A3", 100_000).await;
        message.flow().await.unwrap();
    };
    tokio::join!(serve, send);
}
