//! The macros and records of a process, as its log gets them. One test: where lines go is decided once a process.

use std::os::unix::net::UnixDatagram;

use logging::{Destination, Format, Setup};
use serde_json::{Value, json};

fn next(receiver: &UnixDatagram) -> String {
    let mut buffer = [0; 8192];
    let count = receiver.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
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
    let say = || {
        let (id, size) = ("3F1E9552170", 7);
        logging::info!(id: id, "size={size}, nrcpt={}", 1);
        logging::warning!(id: id.to_owned(), "x");
        logging::repeated!(id: id, "again");
        logging::warning!(about: id, "remove defer/{id}: no");
        logging::info!("nobody's");
        let reason = "250 2.0.0 Ok: queued as 5D1AA55212B";
        logging::emit(&logging::records::smtpd::Decided {
            queue_id: None,
            action: "reject",
            command: "RCPT",
            client: "unknown[::1]",
            text: reason,
            from: None,
            to: None,
            protocol: "SMTP",
            helo: None,
        });
    };
    let texts = [
        "3F1E9552170: size=7, nrcpt=1",
        "warning: 3F1E9552170: x",
        "warning: 3F1E9552170: again",
        "warning: remove defer/3F1E9552170: no",
        "nobody's",
        "NOQUEUE: reject: RCPT from unknown[::1]: 250 2.0.0 Ok: queued as 5D1AA55212B; proto=SMTP",
    ];
    set_up(Format::Postfix);
    say();
    for text in texts {
        let line = next(&receiver);
        assert!(line.ends_with(&format!("]: {text}")), "{line}");
    }

    set_up(Format::Json);
    logging::flush();
    say();
    // The repeated line has been told this second.
    let texts = texts.into_iter().filter(|text| !text.ends_with("again"));
    for (text, about) in texts.zip([true, true, true, false, false]) {
        let line: Value = serde_json::from_str(&next(&receiver)).unwrap();
        let severity = if text.starts_with("warning") { "warning" } else { "info" };
        assert_eq!(line["text"], text.trim_start_matches("warning: "));
        assert_eq!(line["severity"], severity);
        assert_eq!(line.get("queue_id").cloned(), about.then(|| json!("3F1E9552170")));
        assert_eq!(line.get("event").is_some(), text.starts_with("NOQUEUE"));
    }
    std::fs::remove_file(path).unwrap();
}
