//! What a filter does not want to hear more of, and what of a message there is not to be heard.

use scenarios::scenario;
use testing::milter::{Filter, Script, say};

use super::{MESSAGE, Server, start};

#[test]
fn a_filter_that_skips_recipients_hears_of_no_more_in_this_message() {
    scenario(|| {
        let filter = Filter::start(Script::new().at('R', [say("s")]));
        let servers = [Server::with(&filter)];
        let mail = start(&servers);
        let mut client = servers[0].connect();
        client.command("EHLO client.test").expect("a reply");
        for _ in 0..2 {
            for line in ["MAIL FROM:<a@client.test>", "RCPT TO:<alice@mail.test>", "RCPT TO:<bob@mail.test>"] {
                assert_eq!(client.command(line).expect("a reply").code, 250, "{line}: {}", mail.log());
            }
            client.command("RSET").expect("a reply");
        }
        client.command("QUIT").expect("a reply");
        filter.wait_heard("Q");
        assert_eq!(filter.events(), "OCHMRAMRAAQ");
    });
}

#[test]
fn of_a_message_from_nobody_the_macros_name_nobody() {
    scenario(|| {
        let filter = Filter::start(Script::new());
        let servers = [Server::with(&filter)];
        let _mail = start(&servers);
        let mut client = servers[0].connect();
        client.command("EHLO client.test").expect("a reply");
        client.send("", &["alice@mail.test"], MESSAGE).expect("a reply");
        client.command("QUIT").expect("a reply");
        filter.wait_heard("Q");
        let heard = filter.heard();
        let line = "DM{mail_addr}||{mail_host}|mail.test|{mail_mailer}|local|";
        assert!(heard.iter().any(|known| known == line), "{heard:#?}");
    });
}
