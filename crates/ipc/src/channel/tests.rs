//! Two ends of a channel that mean different things, stop in the middle, or never stop.

use tokio::io::AsyncWriteExt;

use super::*;

struct Echo;
impl Service for Echo {
    const NAME: &'static str = "echo";
    const VERSION: u16 = 1;
    type Request = (String, Vec<u8>);
    type Reply = usize;
}
struct Other;
impl Service for Other {
    const NAME: &'static str = "other";
    const VERSION: u16 = 1;
    type Request = (String, Vec<u8>);
    type Reply = usize;
}

fn pair<A: Service, B: Service>() -> (Client<A>, Server<B>) {
    let (left, right) = UnixStream::pair().unwrap();
    (Channel::new(left), Channel::new(right))
}

#[tokio::test]
async fn requests_and_replies_cross_with_descriptors() {
    let (mut client, mut server) = pair::<Echo, Echo>();
    let file = std::fs::File::open("/dev/null").unwrap();
    client.send_with(&("a".into(), vec![0; 100_000]), file.as_fd()).await.unwrap();
    let (name, bytes) = server.receive().await.unwrap().unwrap();
    assert_eq!((name.as_str(), bytes.len()), ("a", 100_000));
    assert!(server.take_descriptor().is_some());
    server.send(&7).await.unwrap();
    assert_eq!(client.must_receive().await.unwrap(), 7);
    drop(client);
    assert!(server.receive().await.unwrap().is_none());
}

#[tokio::test]
async fn a_peer_that_always_has_more_to_say_leaves_time_to_others() {
    let (mut client, mut server) = pair::<Echo, Echo>();
    for _ in 0..150 {
        // What comes with a descriptor is read by itself.
        client.send_with(&("a".into(), vec![]), std::io::stdin().as_fd()).await.unwrap();
    }
    let other = tokio::spawn(async {});
    for _ in 0..150 {
        server.receive().await.unwrap().unwrap();
        server.take_descriptor().unwrap();
    }
    assert!(other.is_finished());
}

#[tokio::test]
async fn a_peer_of_another_service_is_refused() {
    let (mut client, mut server) = pair::<Other, Echo>();
    client.send(&("a".into(), vec![])).await.unwrap();
    assert!(matches!(server.receive().await, Err(IpcError::WrongService(_))));
}

#[tokio::test]
async fn a_greeting_tells_that_a_server_has_taken_the_connection() {
    let (mut client, mut server) = pair::<Echo, Echo>();
    assert!(tokio::time::timeout(Duration::from_millis(20), client.greeted()).await.is_err());
    server.flush().await.unwrap();
    client.greeted().await.unwrap();
    client.send(&("a".into(), vec![])).await.unwrap();
    drop(server);
    assert!(matches!(client.must_receive().await, Err(IpcError::Reset)));
}

#[tokio::test]
async fn foreign_bytes_end_the_channel_with_a_reason() {
    let (mut left, right) = UnixStream::pair().unwrap();
    left.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut server: Server<Echo> = Channel::new(right);
    assert!(matches!(server.receive().await, Err(IpcError::Malformed(_))));
}

#[tokio::test]
async fn a_peer_that_stops_in_the_middle_of_a_frame_is_noticed() {
    let (mut left, right) = UnixStream::pair().unwrap();
    left.write_all(&[MAGIC, 200, 0, 0, 0, 1]).await.unwrap();
    drop(left);
    let mut server: Server<Echo> = Channel::new(right);
    assert!(matches!(server.receive().await, Err(IpcError::Closed)));
}
