//! The names that sessions of tests look up.

use std::net::SocketAddr;

use testing::NameServer;

const ZONE: &[&str] = &[
    "six.example AAAA 2001:db8:1::25",
    "four.example A 10.1.2.4",
    "other.example A 10.9.9.9",
    "broken.example FAIL",
    "null.example MX 0 .",
    "mail.example MX 0 four.example",
    "empty.example PTR unused",
    "1.2.1.10.in-addr.arpa PTR nosuch.example",
    "2.2.1.10.in-addr.arpa PTR other.example",
    "3.2.1.10.in-addr.arpa PTR broken.example",
    "4.2.1.10.in-addr.arpa PTR four.example",
    "5.2.1.10.in-addr.arpa PTR six.example",
    "6.2.1.10.in-addr.arpa FAIL",
    "7.2.1.10.in-addr.arpa PTR 10.1.2.7",
    "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR six.example",
    "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example A 127.0.0.2",
    "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example TXT listed six",
    "3.2.1.10.bl.example A 127.0.0.2",
    "3.2.1.10.filt.example A 127.0.0.2",
    "3.2.1.10.filt.example A 127.0.0.4",
    "3.2.1.10.filt.example TXT one reason",
    "3.2.1.10.filt.example TXT other reason",
    "four.example.rhs.example A 127.0.0.9",
    "four.example.rhs.example TXT rhs reason",
    "helo.test.rhs.example A 127.0.0.9",
    "sender.test.rhs.example A 127.0.0.9",
    "ok.test.rhs.example A 127.0.0.9",
    "3.2.1.10.servfail.test FAIL",
    "sender.test.servfail.test FAIL",
    "four.example.servfail.test FAIL",
    "servfail.test FAIL",
    "sender.test MX 0 mx.sender.test",
    "sender.test NS ns1.dns.test",
    "sender.test A 192.0.2.67",
    "sub.sender.test A 192.0.2.68",
    "mx.sender.test A 192.0.2.66",
    "mx.sender.test AAAA 2001:db8:66::1",
    "ns1.dns.test A 192.0.2.53",
    "ns1.dns.test AAAA 2001:db8:53::1",
    "nomx.test A 192.0.2.69",
    "nomx.test AAAA 2001:db8:69::1",
    "badmx.test MX 0 nosuch.test",
    "backup.test MX 0 mx.sender.test",
    "backup.test MX 20 this.test",
    "primary.test MX 0 this.test",
    "primary.test MX 20 mx.sender.test",
    "this.test A 127.0.0.1",
];

/// Starts the server that knows them.
pub fn serve() -> SocketAddr {
    let hidden: Vec<String> = (0..101).map(|n| format!("hidden.test MX {n} mx{n}.hidden.test")).collect();
    let zone: Vec<&str> = ZONE.iter().copied().chain(hidden.iter().map(String::as_str)).collect();
    NameServer::on_loopback(&zone).address()
}
