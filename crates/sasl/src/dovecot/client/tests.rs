//! A server that is played by the test.

use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, duplex};
use tokio::task::spawn_local;

use super::*;

const GREETING: &str = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nDONE\n";

/// What the server does with one connection: it hears lines and says lines.
type Play = Box<dyn Fn(Server) -> Pin<Box<dyn Future<Output = ()>>>>;

struct Server {
    stream: BufReader<DuplexStream>,
}

impl Server {
    async fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        let _ = self.stream.read_line(&mut line).await;
        line.trim_end_matches('\n').to_owned()
    }

    /// Greets, and takes the two lines of the client.
    async fn greet(&mut self) {
        self.say(GREETING).await;
        assert_eq!(self.hear().await, "VERSION\t1\t0");
        assert_eq!(self.hear().await, format!("CPID\t{}", std::process::id()));
    }
}

/// A server that does one thing after the other, one a connection; then nobody is there.
struct Plays(RefCell<Vec<Play>>);

impl Connect for Plays {
    fn connect(&self) -> Pin<Box<dyn Future<Output = io::Result<Transport>> + '_>> {
        Box::pin(async {
            if self.0.borrow().is_empty() {
                return Err(io::Error::from_raw_os_error(2));
            }
            let play = self.0.borrow_mut().remove(0);
            let (ours, theirs) = duplex(1 << 16);
            spawn_local(play(Server { stream: BufReader::new(theirs) }));
            Ok(Box::new(ours) as Transport)
        })
    }
}

macro_rules! play {
    ($server:ident => $body:expr) => {
        Box::new(|mut $server: Server| {
            Box::pin(async move {
                let _ = $body;
            }) as Pin<Box<dyn Future<Output = ()>>>
        }) as Play
    };
}

fn with<F: Future<Output = ()>>(plays: Vec<Play>, test: impl FnOnce(Rc<Client>) -> F) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(Default::default()).unwrap();
    let mut client = Client::new("private/auth", Plays(RefCell::new(plays)));
    client.patience = Duration::from_millis(500);
    runtime.block_on(test(Rc::new(client)));
}

fn plain(initial: Option<&'static [u8]>) -> Request<'static> {
    let address = Some(IpAddr::from([127, 0, 0, 1]));
    Request { mechanism: "PLAIN", service: "smtp", local: address, remote: address, secured: false, initial }
}

fn told(begun: Option<Begun>) -> String {
    match begun.map(|begun| begun.outcome) {
        None => "unreachable".to_owned(),
        Some(outcome) => shown(outcome),
    }
}

fn shown(outcome: Outcome) -> String {
    let text = |bytes: Option<Vec<u8>>| bytes.map_or("none".to_owned(), |bytes| String::from_utf8(bytes).unwrap());
    match outcome {
        Outcome::Lost => "lost".to_owned(),
        Outcome::Answered(Answer::Ok(user)) => format!("ok {}", text(user)),
        Outcome::Answered(Answer::Continue(challenge)) => format!("more {}", text(challenge)),
        Outcome::Answered(Answer::Fail { reason, .. }) => format!("no {}", text(reason)),
    }
}

const HEAD: &str = "PLAIN\tservice=smtp\tnologin\tlip=127.0.0.1\trip=127.0.0.1";

#[test]
fn a_login_goes_over_a_connection_that_is_kept_and_numbers_go_on() {
    let server = play!(server => {
        server.greet().await;
        assert_eq!(server.hear().await, format!("AUTH\t1\t{HEAD}\tresp=AGE="));
        server.say("OK\t999\tuser=x\nHELLO\nFAIL\nOK\t1\tuser=alice\n").await;
        assert_eq!(server.hear().await, format!("AUTH\t2\t{HEAD}\tresp=="));
        server.say("CONT\t2\t\n").await;
        assert_eq!(server.hear().await, "CONT\t2\teA==");
        server.say("FAIL\t2\treason=no\n").await;
        server.hear().await
    });
    with(vec![server], |client| async move {
        let names: Vec<_> = client.mechanisms().await.unwrap().iter().map(|found| found.name.clone()).collect();
        assert_eq!(names, ["PLAIN", "LOGIN"]);
        assert_eq!(told(client.begin(&plain(Some(b"AGE="))).await), "ok alice");
        let begun = client.begin(&plain(Some(b"="))).await.unwrap();
        assert_eq!(shown(begun.outcome), "more ");
        assert_eq!(shown(begun.exchange.respond(b"eA==").await), "no no");
    });
}

#[test]
fn sessions_share_the_connection_and_each_gets_its_own_answer() {
    let server = play!(server => {
        server.greet().await;
        server.hear().await;
        server.hear().await;
        server.say("OK\t2\tuser=two\nOK\t1\tuser=one\n").await;
        server.hear().await
    });
    with(vec![server], |client| async move {
        let (one, two) = (plain(None), plain(None));
        let (one, two) = tokio::join!(client.begin(&one), client.begin(&two));
        assert_eq!((told(one), told(two)), ("ok one".to_owned(), "ok two".to_owned()));
    });
}

#[test]
fn a_server_that_was_started_again_is_connected_anew_and_one_that_closes_upon_a_request_is_lost() {
    let gone = || play!(server => server.greet().await);
    let closes = play!(server => { server.greet().await; server.hear().await });
    let serves = play!(server => {
        server.greet().await;
        server.hear().await;
        server.say("OK\t3\tuser=a\n").await;
        server.hear().await
    });
    with(vec![gone(), closes, serves], |client| async move {
        assert!(client.mechanisms().await.is_some());
        assert_eq!(told(client.begin(&plain(None)).await), "lost");
        assert_eq!(told(client.begin(&plain(None)).await), "ok a");
        client.link.lock().await.as_ref().unwrap().end();
        assert_eq!(told(client.begin(&plain(None)).await), "unreachable");
    });
}

#[test]
fn a_server_that_is_silent_is_lost_and_left() {
    let hangs = play!(server => { server.greet().await; server.hear().await; server.hear().await });
    let greets_never = play!(server => { server.hear().await; server.hear().await; server.hear().await });
    let serves = play!(server => server.greet().await);
    with(vec![hangs, greets_never, serves], |client| async move {
        assert_eq!(told(client.begin(&plain(None)).await), "lost");
        // Many wait for one attempt, not each for its own.
        let (one, two, three) = (plain(None), plain(None), plain(None));
        let all = tokio::join!(client.begin(&one), client.begin(&two), client.begin(&three));
        assert!(all.0.is_none() && all.1.is_none() && all.2.is_none());
        assert!(client.mechanisms().await.is_some());
    });
}

#[test]
fn an_answer_that_does_not_come_to_one_does_not_cost_the_others_theirs() {
    let server = play!(server => {
        server.greet().await;
        server.hear().await;
        server.hear().await;
        server.say("CONT\t2\t\n").await;
        server.hear().await;
        server.say("OK\t2\tuser=two\n").await;
        server.hear().await
    });
    with(vec![server], |client| async move {
        let (slow, other) = (plain(None), plain(None));
        let (slow, other) = tokio::join!(client.begin(&slow), client.begin(&other));
        assert_eq!(told(slow), "lost");
        assert_eq!(shown(other.unwrap().exchange.respond(b"").await), "ok two");
    });
}

#[test]
fn garbage_without_an_end_is_the_end_of_the_connection() {
    let server = play!(server => {
        server.greet().await;
        server.hear().await;
        for _ in 0..100 {
            server.say(&"x".repeat(1000)).await;
        }
        server.hear().await
    });
    let babbles = play!(server => {
        for _ in 0..100 {
            server.say(&"MECH\tX\n".repeat(100)).await;
        }
    });
    with(vec![server, babbles], |client| async move {
        assert_eq!(told(client.begin(&plain(None)).await), "lost");
        assert!(client.mechanisms().await.is_none());
    });
}
