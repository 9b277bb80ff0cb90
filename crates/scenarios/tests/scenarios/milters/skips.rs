//! What a filter does not want to hear more of.

use scenarios::scenario;
use testing::milter::{Filter, Script, say};

use super::{Server, start};

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
