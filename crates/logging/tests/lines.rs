//! The macros and records of a process, as its log gets them. One test: where lines go is decided once a process.

use std::os::unix::net::UnixDatagram;

use logging::{Destination, Format, Setup};
use serde_json::{Value, json};

fn next(receiver: &UnixDatagram) -> String {
    let mut buffer = [0; 8192];
    let count = receiver.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

/// A record whose facts must not be asked for.
struct Costly;

impl std::fmt::Display for Costly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("costly")
    }
}

impl logging::Record for Costly {
    fn event(&self) -> &'static str {
        "costly"
    }

    fn fields(&self) -> Vec<logging::Field> {
        panic!("no destination is JSON")
    }
}

/// What [`say`] says the first time, as Postfix has it.
const TEXTS: [&str; 7] = [
    "3F1E9552170: size=7, nrcpt=1",
    "warning: 3F1E9552170: x",
    "warning: 3F1E9552170: again 1",
    "warning: remove defer/3F1E9552170: no",
    "nobody's",
    "warning: NOQUEUE: null BDAT request",
    "NOQUEUE: reject: RCPT from unknown[::1]: 554 5.7.1 no; proto=SMTP",
];

/// Lines of every kind; `time` keeps the one that may be repeated from being the same.
fn say(time: u32) {
    let (id, size) = ("3F1E9552170", 7);
    logging::info!(id: id, "size={size}, nrcpt={}", 1);
    logging::warning!(id: id.to_owned(), "x");
    logging::repeated!(id: id, "again {time}");
    logging::warning!(about: id, "remove defer/{id}: no");
    logging::info!("nobody's");
    logging::warning!(id: logging::records::NOQUEUE, "null BDAT request");
    logging::emit(&logging::records::smtpd::Decided {
        queue_id: None,
        action: "reject",
        command: "RCPT",
        client: "unknown[::1]",
        text: "554 5.7.1 no",
        from: None,
        to: None,
        protocol: "SMTP",
        helo: None,
        login: None,
        sasl_sender: None,
    });
}

#[test]
fn the_message_that_a_line_is_about_stands_in_front_of_the_text_and_is_a_fact() {
    let path = std::env::temp_dir().join(format!("lines-{}", std::process::id()));
    drop(std::fs::remove_file(&path));
    let receiver = UnixDatagram::bind(&path).unwrap();
    let set_up = |form| {
        let destinations = vec![Destination::Postlog(path.clone(), form)];
        logging::set_up(Setup { program: "qmgr".into(), host: "mx".into(), destinations, ..Setup::default() });
    };
    set_up(Format::Postfix);
    say(1);
    for text in TEXTS {
        let line = next(&receiver);
        assert!(line.ends_with(&format!("]: {text}")), "{line}");
    }

    // Nobody reads its facts.
    logging::emit(&Costly);
    assert!(next(&receiver).ends_with("]: costly"));

    set_up(Format::Json);
    say(2);
    for (text, about) in TEXTS.into_iter().zip([true, true, true, true, false, false, false]) {
        let text = text.replace("again 1", "again 2");
        let line: Value = serde_json::from_str(&next(&receiver)).unwrap();
        let severity = if text.starts_with("warning") { "warning" } else { "info" };
        assert_eq!(line["text"], text.trim_start_matches("warning: "));
        assert_eq!(line["severity"], severity);
        assert_eq!(line.get("queue_id").cloned(), about.then(|| json!("3F1E9552170")));
        assert_eq!(line.get("event").is_some(), text.starts_with("NOQUEUE: reject"));
    }
    std::fs::remove_file(path).unwrap();
}
