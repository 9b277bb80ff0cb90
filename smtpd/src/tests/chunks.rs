//! Content in BDAT chunks: what reaches cleanup.

use crate::tests::fakes::{Client, with_server};
use crate::tests::messages::{ENVELOPE, shown};

#[test]
fn chunks_reach_cleanup_as_lines_with_the_line_ends_they_have() {
    with_server("", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..3]).await;
        client.send(b"BDAT 12\r\n.\r\n..\r\nFrom BDAT 11\r\n me\r\nlf\n\r\nxBDAT 1 LAST\r\ny").await;
        for expected in ["250 2.0.0 Ok: 12 bytes", "250 2.0.0 Ok: 11 bytes", "250 2.0.0 Ok: 27 bytes queued as QUEUEID"]
        {
            assert_eq!(client.reply().await.unwrap().verbatim(), expected.as_bytes());
        }
        let records = shown(&server.mail.borrow().finished[0]);
        let at = records.iter().position(|line| line == "M ").unwrap() + 4;
        assert_eq!(records[at..], ["N .", "N ..", "N From  me", "N lf", "N ", "N xy", "X ", "E "]);
    });
}

#[test]
fn a_bare_line_feed_in_a_chunk_spoils_the_message_when_it_is_forbidden() {
    let settings = "smtpd_forbid_bare_newline_exclusions =\nsmtpd_forbid_bare_newline = reject\n";
    with_server(settings, |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..3]).await;
        client.send(b"BDAT 2\r\na\r").await;
        assert_eq!(client.reply().await.unwrap().verbatim(), b"250 2.0.0 Ok: 2 bytes");
        client.send(b"BDAT 3\r\n\nb\nBDAT 0 LAST\r\n").await;
        let reply = client.reply().await.unwrap();
        assert_eq!(reply.verbatim(), b"550 5.5.2 mx.example.test Error: bare <LF> received");
        let reply = client.reply().await.unwrap();
        assert_eq!(reply.verbatim(), b"551 5.0.0 Discarded 0 bytes after earlier error");
        assert!(server.mail.borrow().finished.is_empty());
    });
}

#[test]
fn a_long_message_in_chunks_is_as_whole_as_one_after_data() {
    with_server("", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..3]).await;
        let text = "x".repeat(200_000);
        client.send(format!("BDAT 150000\r\n{}", &text[..150_000]).as_bytes()).await;
        assert_eq!(client.reply().await.unwrap().code(), 250);
        client.send(format!("BDAT 50000 LAST\r\n{}", &text[150_000..]).as_bytes()).await;
        assert_eq!(client.reply().await.unwrap().verbatim(), b"250 2.0.0 Ok: 200196 bytes queued as QUEUEID");
        let records = shown(&server.mail.borrow().finished[0]);
        let content: usize = records.iter().filter(|line| line.contains(" xx")).map(|line| line.len() - 2).sum();
        assert_eq!(content, 200_000);
    });
}

#[test]
fn a_chunk_that_is_too_large_is_refused_when_it_has_come_and_the_session_goes_on_behind_it() {
    with_server("message_size_limit = 1000\n", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..3]).await;
        client.send(b"BDAT 1500 LAST\r\n").await;
        client.send("RSET\r\n".repeat(1500 / 6).as_bytes()).await;
        assert_eq!(client.reply().await.unwrap().verbatim(), b"552 5.3.4 Chunk exceeds message size limit");
        client.send(b"NOOP\r\n").await;
        assert_eq!(client.reply().await.unwrap().verbatim(), b"250 2.0.0 Ok");
        assert!(server.mail.borrow().finished.is_empty());
        assert_eq!(client.say_all(&ENVELOPE[1..3]).await, "250 2.1.5 Ok");
    });
}

#[test]
fn a_client_that_would_have_too_much_thrown_away_is_left() {
    with_server("message_size_limit = 1000\n", |server| async move {
        for chunks in [&[1501][..], &[1200, 301], &[900, 601], &[2, 998, 501]] {
            let (mut client, _) = Client::connect(&server).await;
            client.say_all(&ENVELOPE[..3]).await;
            let (last, before) = chunks.split_last().unwrap();
            for length in before {
                client.send(format!("BDAT {length}\r\n{}\r\n", "x".repeat(length - 2)).as_bytes()).await;
                client.reply().await.unwrap();
            }
            client.send(format!("BDAT {last}\r\n").as_bytes()).await;
            assert_eq!(client.reply().await.unwrap().class(), 5, "{chunks:?}");
            assert!(client.reply().await.is_none(), "the session goes on: {chunks:?}");
        }
    });
}
