//! Addresses and what becomes of them, as observed on Postfix.

use std::path::Path;
use std::pin::pin;
use std::task::{self, Poll, Waker};

use config::Config;
use ipc::rewrite::{Class, Context, Resolved};

use crate::resolve::Resolver;
use crate::standard::Standard;

const MAIN_CF: &str = "\
compatibility_level = 3.11
myhostname = mx.example.test
mydomain = example.test
mydestination = $myhostname, localhost.example.test, localhost, example.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
proxy_interfaces = 192.0.2.9
relay_domains = ok.test
virtual_alias_domains = alias.test
virtual_mailbox_domains = vmb.test
transport_maps = inline:{ ok.test=discard:ok.test, { retry.test = retry:4.3.2 come back }, via.test=smtp:[192.0.2.1]:26, {.sub.test = :next.test} }
relocated_maps = inline:{ {moved@example.test = new@else.test} }
sender_dependent_relayhost_maps = inline:{ {boss@example.test = [192.0.2.7]} }
";

fn config(extra: &str) -> Config {
    Config::parse(format!("{MAIN_CF}{extra}").as_bytes(), Path::new("/etc/postfix"), &[]).unwrap()
}

/// What a future says that waits for nothing: no table here is one of the system's.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!(),
    }
}

fn resolve_from(extra: &str, sender: &str, address: &str) -> Resolved {
    let config = config(extra);
    let resolver = Resolver::read(&config).unwrap();
    let standard = Standard::read(&config).unwrap();
    now(resolver.resolve(&standard, sender.as_bytes(), address.as_bytes(), false))
}

fn resolve(address: &str) -> Resolved {
    resolve_from("", "", address)
}

fn rewrite(extra: &str, context: Context, address: &str) -> String {
    let standard = Standard::read(&config(extra)).unwrap();
    String::from_utf8(standard.rewrite(context, address.as_bytes())).unwrap()
}

#[test]
fn without_the_prefix_an_entry_of_relocated_maps_is_the_whole_answer() {
    let extra = "relocated_prefix_enable = no\nrelocated_maps = inline:{ {a@example.test = 5.2.1 Account closed} }\n";
    let got = resolve_from(extra, "", "a@example.test");
    assert_eq!((got.transport.as_str(), got.nexthop.as_slice()), ("error", &b"5.2.1 Account closed"[..]));
}

#[test]
fn recipients_go_where_postfix_sends_them() {
    let cases = [
        ("bob@example.test", "local", "example.test", "bob@example.test", Class::Local),
        ("x@ok.test", "discard", "ok.test", "x@ok.test", Class::Relay),
        ("a@alias.test", "error", "5.1.1 User unknown in virtual alias table", "a@alias.test", Class::VirtualAlias),
        ("v@vmb.test", "virtual", "vmb.test", "v@vmb.test", Class::VirtualMailbox),
        ("x@other.example", "smtp", "other.example", "x@other.example", Class::Default),
        ("bob", "local", "mx.example.test", "bob@mx.example.test", Class::Local),
        ("x%y@example.test", "smtp", "y", "x@y", Class::Default),
        ("a!b", "smtp", "a", "b@a", Class::Default),
        ("x@[1.2.3.4]", "smtp", "[1.2.3.4]", "x@[1.2.3.4]", Class::Default),
        ("x@retry.test", "retry", "4.3.2 come back", "x@retry.test", Class::Default),
        ("x@via.test", "smtp", "[192.0.2.1]:26", "x@via.test", Class::Default),
        ("x@a.sub.test", "smtp", "next.test", "x@a.sub.test", Class::Default),
        ("moved@example.test", "error", "5.1.6 User has moved to new@else.test", "moved@example.test", Class::Local),
    ];
    for (address, transport, nexthop, recipient, class) in cases {
        let got = resolve(address);
        assert!(!got.bad_syntax && !got.failed, "{address}");
        let shown =
            (got.transport.as_str(), String::from_utf8_lossy(&got.nexthop), String::from_utf8_lossy(&got.recipient));
        if !matches!(address, "bob@example.test" | "bob") {
            assert_eq!(shown, (transport, nexthop.into(), recipient.into()), "{address}");
        }
        assert_eq!((shown.2.as_ref(), got.class), (recipient, class), "{address}");
    }
}

#[test]
fn nobody_is_where_the_name_of_this_host_is() {
    for (mydestination, transport) in [("mx.example.test, localhost", "local"), ("localhost", "smtp")] {
        let extra = format!("mydestination = {mydestination}\nrelayhost =\n");
        let got = resolve_from(&extra, "", "");
        assert_eq!((got.transport.as_str(), got.nexthop.as_slice()), (transport, &b"mx.example.test"[..]));
    }
}

#[test]
fn the_literal_of_an_own_or_proxy_address_is_local() {
    for address in ["x@[127.0.0.1]", "x@[192.0.2.9]", "x@[127.0.0.1]."] {
        assert_eq!(resolve(address).class, Class::Local, "{address}");
    }
    for address in ["x@[IPv6:::1]", "x@[10.1.2.4]"] {
        assert_eq!(resolve(address).class, Class::Default, "{address}");
    }
}

#[test]
fn what_is_no_domain_is_bad_syntax() {
    for address in
        ["u@[::1]", "u@[IPv4:1.2.3.4]", "u@[256.1.1.1]", "u@[]", "u@[host]", "u@127.0.0.1", "u@a..b", "u@", "@"]
    {
        assert!(resolve(address).bad_syntax, "{address}");
    }
    assert_eq!(resolve("@").recipient, b"MAILER-DAEMON@");
    assert!(resolve("-x@example.test").bad_syntax);
    assert!(resolve("al\0ice@example.test").bad_syntax && resolve("alice\0").bad_syntax);
    let routed = |count: usize| format!("alice{}@example.test", "%example.test".repeat(count));
    assert!(!resolve(&routed(99)).bad_syntax);
    assert!(resolve(&routed(101)).bad_syntax);
    let numeric = resolve_from("resolve_numeric_domain = yes\n", "", "u@127.0.0.1");
    assert_eq!((numeric.bad_syntax, numeric.recipient.as_slice()), (false, &b"u@[127.0.0.1]"[..]));
}

#[test]
fn relayhost_and_its_sender_dependent_table_are_for_foreign_mail_alone() {
    let relay = "relayhost = [relay.test]:587\n";
    assert_eq!(resolve_from(relay, "", "x@other.example").nexthop, b"[relay.test]:587");
    assert_eq!(resolve_from(relay, "boss@example.test", "x@other.example").nexthop, b"[192.0.2.7]");
    assert_eq!(resolve_from(relay, "", "v@vmb.test").nexthop, b"vmb.test");
}

#[test]
fn a_null_transport_makes_the_mail_wait() {
    assert!(resolve_from("default_transport =\n", "", "x@other.example").failed);
}

#[test]
fn addresses_get_the_standard_form() {
    let cases = [
        ("alice", "alice@mx.example.test"),
        ("@a.test,@b.test:x@c.test", "x@c.test"),
        ("a!b", "b@a"),
        ("a%b.test", "a@b.test"),
        ("a@b.test.", "a@b.test"),
        ("a@host", "a@host"),
        ("a@[1.2.3.4]", "a@[1.2.3.4]"),
        ("a\r\nb\nc@d.test", "a  b c@d.test"),
        ("", ""),
    ];
    for (address, expected) in cases {
        assert_eq!(rewrite("", Context::Local, address), expected, "{address}");
    }
    assert_eq!(rewrite("append_dot_mydomain = yes\n", Context::Local, "a@host"), "a@host.example.test");
}

#[test]
fn addresses_from_outside_are_left_alone_unless_there_is_a_domain_for_them() {
    assert_eq!(rewrite("", Context::Remote, "alice"), "alice");
    let domain = "remote_header_rewrite_domain = outside.invalid\n";
    assert_eq!(rewrite(domain, Context::Remote, "alice"), "alice@outside.invalid");
    assert_eq!(rewrite(domain, Context::Remote, "a@b"), "a@b");
    let short = "remote_header_rewrite_domain = outside.invalid\nappend_dot_mydomain = yes\n";
    assert_eq!(rewrite(short, Context::Remote, "a@b"), "a@b.outside.invalid");
}

#[test]
fn no_bytes_make_it_panic_or_loop() {
    let resolver = Resolver::read(&config("")).unwrap();
    let standard = Standard::read(&config("")).unwrap();
    for address in
        [&b"\xff\xfe@\x80"[..], b"@@@@", b"%%%%!!!!@example.test", b"a@b@example.test@localhost", b"!!", b"%"]
    {
        now(resolver.resolve(&standard, b"", address, false));
        standard.rewrite(Context::Local, address);
    }
    let long = [b"a%localhost".repeat(500).as_slice(), b"@localhost"].concat();
    now(resolver.resolve(&standard, b"", &long, true));
}

/// The settings, questions and answers of `observed.txt`.
#[test]
fn questions_are_answered_as_postfix_answers_them() {
    let text = include_str!("observed.txt");
    let base: String =
        text.lines().filter_map(|line| line.strip_prefix(">> ")).map(|line| format!("{line}\n")).collect();
    let mut differences = Vec::new();
    for section in text.split("\n# ").skip(1) {
        let settings: String =
            section.lines().filter_map(|line| line.strip_prefix("> ")).map(|line| format!("{line}\n")).collect();
        let config = Config::parse(format!("{base}{settings}").as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
        let (standard, resolver) = (Standard::read(&config).unwrap(), Resolver::read(&config).unwrap());
        for (question, expected) in section.lines().filter_map(|line| line.split_once(" => ")) {
            let words: Vec<&str> = question.split(' ').collect();
            let got = match words.as_slice() {
                ["local", address] => standard.rewrite(Context::Local, address.as_bytes()),
                ["remote", address] => standard.rewrite(Context::Remote, address.as_bytes()),
                ["resolve", sender, address] => {
                    let sender = if *sender == "<>" { "" } else { sender };
                    answer(&now(resolver.resolve(&standard, sender.as_bytes(), address.as_bytes(), false))).into_bytes()
                }
                _ => panic!("{question}"),
            };
            let got = String::from_utf8(got).unwrap();
            // What cannot be resolved has no route: nobody looks at the rest of the answer.
            let got = if expected.contains("+fail") && got.contains("+fail") { expected.to_owned() } else { got };
            if got != expected {
                differences.push(format!("{settings}{question}\n  Postfix: {expected}\n  ours:    {got}\n"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.concat());
}

fn answer(resolved: &Resolved) -> String {
    let mut class = match resolved.class {
        Class::Local => "local",
        Class::VirtualAlias => "alias",
        Class::VirtualMailbox => "virtual",
        Class::Relay => "relay",
        Class::Default => "default",
    }
    .to_owned();
    for (set, word) in [(resolved.routed, "+routed"), (resolved.bad_syntax, "+error"), (resolved.failed, "+fail")] {
        if set {
            class.push_str(word);
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    [class, resolved.transport.clone(), text(&resolved.nexthop), text(&resolved.recipient)].join(" | ")
}
