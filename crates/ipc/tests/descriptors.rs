//! Messages around one that brings a descriptor: the system ends a read behind it, whatever follows.

use std::os::fd::AsFd;
use std::time::Duration;

use ipc::{Channel, Client, Server, Service};
use tokio::net::UnixStream;

struct Letters;

impl Service for Letters {
    const NAME: &'static str = "letters";
    const VERSION: u16 = 1;
    type Request = String;
    type Reply = usize;
}

#[tokio::test]
async fn what_follows_a_descriptor_in_the_same_moment_is_heard() {
    let (left, right) = UnixStream::pair().unwrap();
    let (mut client, mut server): (Client<Letters>, Server<Letters>) = (Channel::new(left), Channel::new(right));
    let file = std::fs::File::open("/dev/null").unwrap();
    for _ in 0..3 {
        client.send(&"a".to_owned()).await.unwrap();
        client.send_with(&"b".to_owned(), file.as_fd()).await.unwrap();
        client.send(&"c".to_owned()).await.unwrap();
        let mut heard = String::new();
        for _ in 0..3 {
            let next = tokio::time::timeout(Duration::from_secs(5), server.must_receive()).await;
            heard.push_str(&next.expect("it was sent").unwrap());
        }
        assert!(heard == "abc" && server.take_descriptor().is_some());
    }
}
