//! What a server makes of each answer of the name service: every restriction that asks it, with every answer that there
//! is.
//!
//! `crates/scenarios/answers/world.toml` says what the name service answers and what is asked about; the outcomes
//! beside it were recorded from Postfix 3.11 by `cargo xtask record`, and are played on these programs and on that
//! Postfix. A case that is to differ here has its reason in `differences.toml`. Needs root, for a network with a name
//! server of its own.

mod outcomes;
mod play;
#[path = "../ipv6/session.rs"]
mod session;
mod world;

use testing::programs::{Implementation, Programs, oracle_version};

use outcomes::Outcomes;

/// Names what is to be written instead of compared: set by `cargo xtask record`.
const RECORD: &str = "RECORD_ANSWERS";

/// Plays every restriction about one subject.
fn subject(subject: &str) {
    if oracle_version().is_some_and(|version| version != "3.11") {
        eprintln!("left out: the outcomes are those of 3.11");
        return;
    }
    let Some(observed) = play::all(subject) else { return };
    if std::env::var_os(RECORD).is_some() {
        assert_eq!(Programs::under_test().implementation, Implementation::Oracle, "outcomes are those of Postfix");
        return observed.write(subject);
    }
    let wrong = Outcomes::recorded(subject).differences(&observed);
    assert!(wrong.is_empty(), "{} cases of {subject} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_the_name_service_says_of_a_greeting_decides_as_recorded() {
    subject("helo");
}

#[test]
fn what_the_name_service_says_of_a_sender_decides_as_recorded() {
    subject("sender");
}

#[test]
fn what_the_name_service_says_of_a_recipient_decides_as_recorded() {
    subject("recipient");
}

#[test]
fn what_the_name_service_says_of_a_client_decides_as_recorded() {
    subject("client");
}
