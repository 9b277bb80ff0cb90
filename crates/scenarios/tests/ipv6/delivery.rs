//! Deliveries: questions to DNS, connections, and what the client logs.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use testing::wait::until_true;
use toml::Table;

use crate::case::Case;
use crate::compare::differences;
use crate::folder::write;
use crate::instance::Instance;
use crate::listening::texts;
use crate::network::Network;
use crate::session::{SILENCE, dialog};

/// How long a delivery may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long more lines may take than the first with a status.
const AFTER: Duration = Duration::from_secs(1);

/// Who connected to which server: `10.1.2.3 -> [10.1.2.11]:25`.
type Connections = Arc<Mutex<Vec<String>>>;

/// One message each. A client that has ended is not used for the next.
pub fn play(network: &Network, cases: &[Case]) -> Vec<Table> {
    let connections = Connections::default();
    for address in ["10.1.2.11", "2001:db8:1::11"] {
        [25, 24, 2525].iter().for_each(|port| serve(address, *port, &connections));
    }
    serve("::1", 2525, &connections);
    let mut instance = None;
    let one = |case: &Case| {
        let current = instance.get_or_insert_with(|| server(network, case));
        let observed = deliver(network, current, &connections, case);
        if !differences(case.expected(), &observed).is_empty() {
            instance = None;
        }
        observed
    };
    cases.iter().map(one).collect()
}

fn server<'a>(network: &'a Network, case: &Case) -> Instance<'a> {
    let mut instance = Instance::new(network, &case.list("main_cf"), "smtp", "");
    for (name, text) in case.files() {
        write(&instance.conf().join(name), &text);
    }
    instance.start("");
    instance
}

fn deliver(network: &Network, instance: &Instance<'_>, connections: &Connections, case: &Case) -> Table {
    let asked = || network.dns.as_ref().map(|dns| dns.asked()).unwrap_or_default();
    let (position, before) = (instance.position(), asked().len());
    connections.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let recipient = format!("RCPT TO:<{}>", case.text("rcpt"));
    let lines = ["EHLO h", "MAIL FROM:<s@mail.example.net>", &recipient, "DATA", "Subject: x\\n\\nhi\\n.", "QUIT"]
        .map(str::to_owned);
    let replies = dialog("127.0.0.1", 25, "", &lines, |_| SILENCE);
    assert!(replies.get(5).is_some_and(|reply| reply.starts_with("250")), "{}: not accepted: {replies:?}", case.id());
    until_true(PATIENCE, || {
        instance.lines(position).iter().any(|line| line.contains("status=") || line.contains("fatal: "))
    });
    let mut observed = Table::new();
    until_true(AFTER, || {
        let log = instance.log(position, is_kept).iter().map(|line| without_times(line)).collect();
        let connected = connections.lock().unwrap_or_else(PoisonError::into_inner).clone();
        observed = Table::from_iter([
            ("connections".to_owned(), texts(connected)),
            ("dns".to_owned(), texts(asked().split_off(before))),
            ("log".to_owned(), texts(log)),
        ]);
        differences(case.expected(), &observed).is_empty()
    });
    observed
}

fn is_kept(line: &str) -> bool {
    let of_client = line.contains("postfix/smtp[") || line.contains("postfix/lmtp[");
    of_client
        && ["to=", "warning", "fatal", "connect to"].iter().any(|word| line.contains(word))
        && !line.contains("overriding")
}

/// A delivery's line without how long it took, and how it was protected.
fn without_times(line: &str) -> String {
    let fields =
        line.split(", ").filter(|field| !["delay=", "delays=", "tls="].iter().any(|name| field.starts_with(name)));
    fields.collect::<Vec<_>>().join(", ")
}

/// A server that takes everything.
fn serve(address: &str, port: u16, connections: &Connections) {
    let ip: IpAddr = address.parse().unwrap_or_else(|e| panic!("{address}: {e}"));
    let listener = TcpListener::bind((ip, port)).unwrap_or_else(|e| panic!("{address} {port}: {e}"));
    let connections = connections.clone();
    std::thread::spawn(move || {
        while let Ok((stream, peer)) = listener.accept() {
            let text = format!("{} -> [{ip}]:{port}", peer.ip());
            connections.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            std::thread::spawn(move || take(&stream));
        }
    });
}

fn take(mut stream: &TcpStream) -> Option<()> {
    let reader = BufReader::new(stream.try_clone().ok()?);
    let mut in_data = false;
    stream.write_all(b"220 sink\r\n").ok()?;
    for line in reader.lines() {
        let line = line.ok()?;
        let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
        let reply: &[u8] = match (in_data, verb.as_str()) {
            (true, _) if line != "." => continue,
            (false, "DATA") => b"354 go\r\n",
            (false, "QUIT") => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        in_data = !in_data && verb == "DATA";
        stream.write_all(reply).ok()?;
        if reply.starts_with(b"221") {
            break;
        }
    }
    Some(())
}
