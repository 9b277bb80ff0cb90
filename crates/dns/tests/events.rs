//! What a look-up tells of its way: each question, whom it went to, and what came of it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dns::{Hosts, ResolvConf, Resolver};
use net::{Family, Protocols};
use testing::NameServer;
use testing::name_server::Verdict;
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// The texts of events.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Told {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push(format!("{value:?}"));
    }
}

#[tokio::test]
async fn every_question_is_told_with_whom_it_went_to_and_what_came_of_it() {
    let zone: &[&str] = &["n.test MX 10 mx.test", "n.test MX 20 mx2.test"];
    let server = |verdict| NameServer::judged_on_loopback(zone, move |_| verdict);
    let (silent, refusing, cut) = (server(Verdict::Silence), server(Verdict::Code(5)), server(Verdict::Truncated));
    let of = |servers: &[&NameServer], hosts: &str| {
        let servers = servers.iter().map(|server| server.address()).collect();
        let conf = ResolvConf { servers, timeout: Duration::from_millis(100), ..ResolvConf::default() };
        Resolver::new(conf, Hosts::parse(hosts), Protocols::BOTH)
    };
    let told = Told::default();
    let work = async {
        of(&[&silent, &refusing, &cut], "").mx("n.test").await.unwrap();
        of(&[&server(Verdict::Code(3))], "").addresses("n.test", Family::V6).await.unwrap_err();
        of(&[], "192.0.2.1 h.test\n192.0.2.2 h.test\n").native_addresses("h.test", Family::V4).await.unwrap();
    };
    work.with_subscriber(Registry::default().with(told.clone())).await;
    let [one, two, three] = [&silent, &refusing, &cut].map(|server| server.address());
    let expected = [
        format!("MX of n.test: asking {one}"),
        format!("MX of n.test: no answer from {one} in time"),
        format!("MX of n.test: asking {two}"),
        format!("MX of n.test: {two} answers REFUSED, records: 0"),
        format!("MX of n.test: what {two} says is no answer"),
        format!("MX of n.test: asking {three}"),
        format!("MX of n.test: {three} answers NOERROR, records: 0, cut to fit a datagram"),
        format!("MX of n.test: asking {three} over TCP"),
        format!("MX of n.test: {three} answers NOERROR, records: 2"),
    ];
    let told = told.0.lock().unwrap().clone();
    assert_eq!(told[..9], expected);
    assert!(told[9].starts_with("AAAA of n.test: asking 127.0.0.1:"), "{told:?}");
    assert!(told[10].ends_with(" answers NXDOMAIN, records: 0"), "{told:?}");
    assert_eq!(told[11..], ["A of h.test: the hosts file has [192.0.2.1, 192.0.2.2]"]);
}
