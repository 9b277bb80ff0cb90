//! Arguments as commands get them.

use proptest::prelude::*;
use queue::QueueId;

use super::*;

fn arguments(words: &[&str]) -> Vec<Argument> {
    words.iter().map(|word| Argument::parse(word.as_bytes()).unwrap()).collect()
}

fn request(recipients: &[&str]) -> Request {
    let recipient = |address: &&str| Recipient {
        address: address.as_bytes().to_vec(),
        original: b"Orig@X.Test".to_vec(),
        ..Recipient::default()
    };
    let mut request = Request::new(QueueId::parse(b"4A1B").unwrap());
    request.nexthop = b"Hop.Test".to_vec();
    request.size = 331;
    request.message.envelope_id = "E=1".to_owned();
    request.recipients = recipients.iter().map(recipient).collect();
    request
}

fn expanded(flags: Flags, recipients: &[&str], words: &[&str]) -> Vec<String> {
    let (request, delimiters) = (request(recipients), Delimiters::new("+", true));
    let facts = Facts { request: &request, sender: b"a b@x.test", flags, delimiters: &delimiters };
    let found = facts.expand(&arguments(words)).into_iter();
    found.map(|argument| String::from_utf8(argument).unwrap()).collect()
}

#[test]
fn an_argument_that_names_a_recipient_is_there_for_each_of_them_and_others_once() {
    let words = ["-f", "${sender}", "${user}+$(domain)", "$size", "[$extension]", "$$x", "${queue_id}.$envid"];
    assert_eq!(
        expanded(Flags::default(), &["Joe+Ext@A.test", "+x@b.test"], &words),
        ["-f", "a b@x.test", "Joe+A.test", "+x+b.test", "331", "[Ext]", "[]", "$x", "4A1B.E=1"]
    );
    assert_eq!(expanded(Flags::default(), &["a@b.test"], &["$client_address", ""]), ["", ""]);
}

#[test]
fn letters_decide_about_case_and_quotes() {
    let words = ["$recipient", "$original_recipient", "$user", "$mailbox", "$domain", "$nexthop"];
    let folding = Flags { folds_domain: true, folds_local: true, ..Flags::default() };
    assert_eq!(
        expanded(folding, &["Joe.USER+Ext@AHU.Example"], &words),
        ["joe.user+ext@ahu.example", "orig@x.test", "joe.user", "joe.user+ext", "ahu.example", "hop.test"]
    );
    let quoting = Flags { quotes: true, ..Flags::default() };
    let words = ["$sender", "$recipient", "$user", "$mailbox"];
    assert_eq!(
        expanded(quoting, &["joe user@x.test"], &words),
        ["\"a b\"@x.test", "\"joe user\"@x.test", "joe user", "joe user"]
    );
    let words = ["$recipient", "$user"];
    assert_eq!(expanded(Flags::default(), &["joe user@x.test"], &words), ["joe user@x.test", "joe user"]);
}

#[test]
fn there_are_no_conditions_and_no_other_names() {
    let why = |word: &str| Argument::parse(word.as_bytes()).unwrap_err().to_string();
    let name = "unknown macro name: \"extension?EXT=$extension\"";
    assert_eq!(why("x${extension?EXT=$extension}"), name);
    assert_eq!(why("$nosuch"), "unknown macro name: \"nosuch\"");
    assert_eq!(why("${user"), "truncated macro reference: \"${user\"");
    assert_eq!(why("a$"), "empty macro name: \"a$\"");
    assert_eq!(why("a$-"), "empty macro name: \"a$-\"");
}

proptest! {
    #[test]
    fn whatever_an_address_holds_it_stays_one_argument(
        address in prop::collection::vec(any::<u8>(), 0..60),
        word in "[-a-z ${}()?:]{0,20}",
    ) {
        let mut request = request(&["x"]);
        request.recipients[0].address = address;
        let delimiters = Delimiters::new("+", true);
        let facts = Facts { request: &request, sender: b"", flags: Flags::default(), delimiters: &delimiters };
        let words = ["$recipient", "-d$user", "$mailbox$domain"].map(|word| Argument::parse(word.as_bytes()).unwrap());
        let expanded = facts.expand(&words);
        prop_assert_eq!(expanded.len(), 3);
        prop_assert!(expanded.iter().all(|argument| !argument.contains(&0)));
        let _ = Argument::parse(word.as_bytes());
    }
}
