//! Sessions as files: what the client says (`C:`; `B:` with the escapes of C, in one piece), what the server must
//! answer (`S:`, `EOF` at the end), settings (`##`).
//!
//! The replies are those of Postfix to the same commands.

use crate::tests::fakes::{Client, start_error, with_server};

/// Plays one file: sessions separated by lines that begin with `##`, which name settings for the next one.
fn play(file: &str) {
    for session in file.split("\n## ").skip(1) {
        let (settings, dialogue) = session.split_once('\n').unwrap_or((session, ""));
        let settings = settings.replace(" ; ", "\n");
        with_server(&format!("{settings}\n"), |server| async move {
            let (mut client, greeting) = Client::connect(&server).await;
            let mut got = String::from_utf8_lossy(&greeting.verbatim()).into_owned();
            let mut said = "the connection".to_owned();
            for line in dialogue.lines() {
                if let Some(line) = line.strip_prefix("C: ").or_else(|| line.strip_prefix("C:")) {
                    said = line.to_owned();
                    client.send(format!("{line}\r\n").as_bytes()).await;
                } else if let Some(line) = line.strip_prefix("B: ") {
                    said = line.to_owned();
                    client.send(&[&text::c_unescape(line)[..], b"\r\n"].concat()).await;
                } else if let Some(expected) = line.strip_prefix("S: ") {
                    if said != "the connection" {
                        let reply = client.reply().await;
                        got = reply
                            .map_or("EOF".to_owned(), |reply| String::from_utf8_lossy(&reply.verbatim()).into_owned());
                    }
                    assert_eq!(got, expected, "after {said} in {settings}");
                }
            }
        });
    }
}

#[test]
fn the_commands_answer_as_postfix_does() {
    play(include_str!("../../tests/transcripts/commands.txt"));
}

#[test]
fn clients_of_other_protocols_are_left_as_postfix_leaves_them() {
    play(include_str!("../../tests/transcripts/strangers.txt"));
}

#[test]
fn content_in_chunks_is_answered_as_postfix_does() {
    play(include_str!("../../tests/transcripts/chunks.txt"));
}

#[test]
fn another_identity_is_taken_as_postfix_takes_it() {
    play(include_str!("../../tests/transcripts/xclient.txt"));
}

#[test]
fn the_restrictions_answer_as_postfix_does() {
    play(include_str!("../../tests/transcripts/restrictions.txt"));
}

#[test]
fn lists_and_hosts_behind_names_are_asked_as_postfix_asks_them() {
    play(include_str!("../../tests/transcripts/hosts.txt"));
}

#[test]
fn addresses_are_judged_as_postfix_does() {
    play(include_str!("../../tests/transcripts/addresses.txt"));
}

#[test]
fn what_is_asked_for_and_not_there_is_refused_as_postfix_does_when_it_is_out_of_order() {
    play(include_str!("../../tests/transcripts/withheld.txt"));
}

#[test]
fn a_level_of_tls_that_is_none_ends_the_server() {
    assert_eq!(start_error("smtpd_tls_security_level = dane\n"), "Invalid TLS level \"dane\"");
    assert_eq!(
        start_error("smtpd_upstream_proxy_protocol = bogus\n"),
        "unsupported smtpd_upstream_proxy_protocol value: bogus"
    );
}

#[test]
fn a_server_without_relay_protection_does_not_start() {
    let error = start_error("smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit\n");
    assert_eq!(
        error,
        "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working \
         instance of: reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit or \
         check_relay_domains"
    );
}
