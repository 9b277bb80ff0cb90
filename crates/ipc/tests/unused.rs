//! Connections that nobody uses any more are closed while the process does nothing.

use std::time::Duration;

use ipc::cleanup::Cleanup;
use ipc::{Channel, Pool, Server};
use tokio::net::UnixListener;

#[tokio::test(flavor = "current_thread")]
async fn a_connection_is_closed_when_it_was_unused_for_ipc_idle_though_its_process_does_nothing() {
    ipc::keep_connections(Duration::from_millis(20), Duration::from_secs(1000));
    let path = std::env::temp_dir().join(format!("ipc-unused-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let pool: Pool<Cleanup> = Pool::new(&path, Duration::from_secs(5));
    let serve = async {
        // The second round: what has closed one closes those after it.
        for _ in 0..2 {
            let (client, used) = pool.take().await.unwrap();
            assert!(!used);
            pool.give_back(client);
            let mut server: Server<Cleanup> = Channel::new(listener.accept().await.unwrap().0);
            let ended = server.must_receive().await;
            assert!(ended.is_err(), "{ended:?}");
        }
    };
    let served = tokio::select! {
        served = tokio::time::timeout(Duration::from_secs(60), serve) => served,
        () = ipc::close_unused() => unreachable!("it never ends"),
    };
    std::fs::remove_file(&path).unwrap();
    served.expect("the connection is never closed");
}
