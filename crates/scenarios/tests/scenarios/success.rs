//! Who hears of success, of what, and what of the sender's wishes goes on to other servers. RFC 3461 5.2

use scenarios::scenario;
use testing::{Client, Instance, Setup, Sink};

/// Sends a message of alice's, with wishes about reports, and waits until all has come to its end.
fn send(mail: &Instance, to: &str, notify: &str) {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let rcpt = format!("RCPT TO:<{to}@elsewhere.test> NOTIFY={notify} ORCPT=rfc822;first+2B@o.test");
    let rcpt = if to.starts_with('x') { rcpt } else { rcpt.replace("elsewhere.test>", "mail.test>") };
    for (line, code) in
        [("MAIL FROM:<alice@mail.test> RET=HDRS ENVID=e+2B1+3d", 250), (rcpt.as_str(), 250), ("DATA", 354)]
    {
        let reply = client.command(line).expect("a reply");
        assert_eq!(reply.code, code, "{line}: {reply:?}");
    }
    assert_eq!(client.command("Subject: x\r\n\r\nbody\r\n.").expect("a reply").code, 250);
    mail.wait_idle();
}

/// An instance in which everything beyond its own domain goes to the sink.
fn start(sink: &Sink) -> Instance {
    let mut mail = Setup::new().set("relayhost", sink.next_hop()).build();
    let users = mail.etc().join("aliases");
    let lists = "{both=bob,carol} {out=bob,x1@elsewhere.test} {list=bob,x2@elsewhere.test} {owner-list=carol}";
    mail.set("alias_maps", &format!("inline:{{ {lists} }}, texthash:{}", users.display()));
    mail.start();
    mail
}

#[test]
fn the_sender_hears_once_that_the_recipient_stands_for_others_and_the_server_reports_the_rest() {
    scenario(|| {
        let sink = Sink::v4().take_utf8();
        let mail = start(&sink);
        let mut reports = 0;
        for (to, notify, action) in [
            ("both", "SUCCESS", Some("expanded")),
            ("both", "FAILURE", None),
            ("out", "SUCCESS,FAILURE", Some("expanded")),
            ("list", "SUCCESS", Some("delivered")),
            ("list", "NEVER", None),
            ("x3", "SUCCESS,DELAY", None),
        ] {
            send(&mail, to, notify);
            let found = mail.wait_mail("alice", reports);
            assert_eq!(found.len(), reports + usize::from(action.is_some()), "{to} {notify}\n{}", mail.log());
            let Some(action) = action else { continue };
            reports += 1;
            let facts = [
                format!("Final-Recipient: rfc822; {to}@mail.test"),
                "Original-Recipient: rfc822;first+@o.test".to_owned(),
                format!("Action: {action}"),
                "Status: 2.0.0".to_owned(),
                "Diagnostic-Code: X-Postfix; delivery via local: alias expanded".to_owned(),
            ]
            .join("\n");
            let report = found.iter().find(|report| report.0.contains(&facts));
            let report = report.unwrap_or_else(|| panic!("{to} {notify}: {found:?}"));
            assert_eq!(report.0.matches("Final-Recipient: ").count(), 1, "{}", report.0);
            assert!(report.0.contains("\nOriginal-Envelope-Id: e+1=\n"), "{}", report.0);
        }
        let taken: Vec<(String, Vec<String>)> =
            sink.received().into_iter().map(|received| (received.sender, received.recipients)).collect();
        for (sender, recipient, wishes) in [
            ("alice", "x1", "ORCPT=rfc822;first+2B@o.test NOTIFY=FAILURE"),
            ("owner-list", "x2", "ORCPT=rfc822;x2@elsewhere.test NOTIFY=NEVER"),
            ("alice", "x3", "ORCPT=rfc822;first+2B@o.test NOTIFY=SUCCESS,DELAY"),
        ] {
            let (sender, recipient) =
                (format!("<{sender}@mail.test> "), format!("<{recipient}@elsewhere.test> {wishes}"));
            let is_it = |(from, to): &&(String, Vec<String>)| from.starts_with(&sender) && to.contains(&recipient);
            let (from, _) = taken.iter().find(is_it).unwrap_or_else(|| panic!("{recipient}: {taken:?}"));
            assert!(from.contains(" ENVID=e+2B1+3D") && from.contains(" RET=HDRS"), "{from}");
        }
    });
}
