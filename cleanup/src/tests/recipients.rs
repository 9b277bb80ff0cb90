//! Laws of who gets a message: aliases, canonical addresses, hidden copies, duplicates.

use super::*;

/// What `settings` make of a recipient: the addresses in the queue file, or the outcome.
async fn recipients(settings: &str, given: &[&str]) -> Result<Vec<String>, Outcome> {
    let directory = Directory::new("recipients");
    let outcome = deliver(&cleanup(settings), &message(given, &["x"])).await;
    if !matches!(outcome, Outcome::Accepted(_)) {
        assert!(directory.is_empty());
        return Err(outcome);
    }
    let envelope = envelope(&directory.files(QueueName::Incoming)[0]);
    Ok(envelope.recipients.iter().map(|r| String::from_utf8_lossy(&r.address).into_owned()).collect())
}

fn found(addresses: &[&str]) -> Result<Vec<String>, Outcome> {
    Ok(addresses.iter().map(|address| address.to_string()).collect())
}

fn later() -> Result<Vec<String>, Outcome> {
    Err(Outcome::refused(Cause::Defer, "4.6.0 Alias expansion error"))
}

#[tokio::test]
async fn a_recipient_is_written_once() {
    let given = ["a@b.test", "A@B.test", "c@b.test", "a@b.test"];
    assert_eq!(recipients("", &given).await, found(&["a@b.test", "c@b.test"]));
}

#[tokio::test]
async fn aliases_are_expanded_in_place_until_nothing_changes() {
    let aliases = "virtual_alias_maps = inline:{ {m@b.test = n@b.test o@b.test m@b.test}, {n@b.test = p@b.test q@b.test}, \
                   {o@b.test = n@b.test r@b.test} }";
    let expected = ["p@b.test", "m@b.test", "q@b.test", "r@b.test"];
    assert_eq!(recipients(aliases, &["m@b.test"]).await, found(&expected));
}

#[tokio::test]
async fn an_address_that_its_own_alias_names_stays_as_it_is() {
    let aliases = "virtual_alias_maps = inline:{ {l@b.test = m@b.test L@b.test}, {s@b.test = S@b.test} }";
    assert_eq!(recipients(aliases, &["l@b.test"]).await, found(&["m@b.test", "L@b.test"]));
    assert_eq!(recipients(aliases, &["s@b.test"]).await, found(&["S@b.test"]));
}

#[tokio::test]
async fn a_circle_of_aliases_refuses_the_message_for_now() {
    let pair = "virtual_alias_maps = inline:{ {l@b.test = m@b.test}, {m@b.test = l@b.test} }";
    assert_eq!(recipients(pair, &["l@b.test"]).await, later());
    let growing = "virtual_alias_maps = inline:{ {l@b.test = m@b.test n@b.test}, {n@b.test = l@b.test} }";
    assert_eq!(recipients(growing, &["l@b.test"]).await, later());
    let domains = "virtual_alias_maps = inline:{ {@b.test = @c.test}, {@c.test = @b.test} }";
    assert_eq!(recipients(domains, &["u@b.test"]).await, later());
    let copy = format!("{pair}\nalways_bcc = l@b.test");
    assert_eq!(recipients(&copy, &["u@d.test"]).await, later());
}

#[tokio::test]
async fn a_limit_of_aliases_is_the_last_number_that_is_accepted() {
    let aliases = "virtual_alias_maps = inline:{ {l@b.test = m@b.test n@b.test}, {m@b.test = o@b.test} }";
    let with = |limit: &str| format!("{aliases}\nvirtual_alias_{limit}");
    let good = found(&["o@b.test", "n@b.test"]);
    assert_eq!(recipients(&with("expansion_limit = 2"), &["l@b.test"]).await, good);
    assert_eq!(recipients(&with("expansion_limit = 1"), &["l@b.test"]).await, later());
    // The last look-up, which finds nothing, counts too.
    assert_eq!(recipients(&with("recursion_limit = 3"), &["l@b.test"]).await, good);
    assert_eq!(recipients(&with("recursion_limit = 2"), &["l@b.test"]).await, later());
    assert_eq!(recipients(&with("address_length_limit = 8"), &["l@b.test"]).await, good);
    assert_eq!(recipients(&with("address_length_limit = 7"), &["l@b.test"]).await, later());
}

#[tokio::test]
async fn a_circle_of_canonical_addresses_ends_after_ten_steps_and_the_message_is_accepted() {
    let pair = "canonical_maps = inline:{ {l@b.test = m@b.test}, {m@b.test = l@b.test} }";
    assert_eq!(recipients(pair, &["l@b.test"]).await, found(&["l@b.test"]));
    let step = |number: usize| format!("{{a{number}@b.test = a{}@b.test}}", number + 1);
    let long = format!("canonical_maps = inline:{{ {} }}", (0..20).map(step).collect::<Vec<_>>().join(", "));
    assert_eq!(recipients(&long, &["a0@b.test"]).await, found(&["a10@b.test"]));
    assert_eq!(recipients(&long, &["a11@b.test"]).await, found(&["a20@b.test"]));
}

#[tokio::test]
async fn a_value_without_an_address_refuses_the_message_for_now_and_the_null_address_is_one() {
    for maps in ["virtual_alias_maps", "canonical_maps"] {
        for value in [",", "(comment)", "g:;", "full name <>"] {
            let outcome = recipients(&format!("{maps} = inline:{{ {{l@b.test = {value}}} }}"), &["l@b.test"]).await;
            assert_eq!(outcome, Err(Outcome::refused(Cause::Write, "")), "{maps} {value}");
        }
        let null = format!("{maps} = inline:{{ {{l@b.test = <>}} }}");
        assert_eq!(recipients(&null, &["l@b.test"]).await, found(&[""]), "{maps}");
    }
}

#[tokio::test]
async fn the_receiver_of_a_copy_is_one_address_that_canonical_tables_and_aliases_change() {
    let maps =
        "canonical_maps = inline:{ {c@b.test = d@b.test} }\nvirtual_alias_maps = inline:{ {d@b.test = e@b.test} }";
    for setting in ["always_bcc = c@b.test", "recipient_bcc_maps = static:c@b.test"] {
        let settings = format!("{maps}\n{setting}");
        assert_eq!(recipients(&settings, &["u@b.test"]).await, found(&["u@b.test", "e@b.test"]), "{setting}");
    }
    let settings = format!("{maps}\nsender_bcc_maps = static:c@b.test");
    assert_eq!(recipients(&settings, &["u@b.test"]).await, found(&["e@b.test", "u@b.test"]));
}

#[tokio::test]
async fn without_enable_original_recipient_an_address_gets_one_copy_whatever_it_was_before() {
    let settings = "always_bcc = u@b.test\nvirtual_alias_maps = inline:{ {l@b.test = u@b.test} }";
    let three = found(&["u@b.test", "u@b.test", "u@b.test"]);
    assert_eq!(recipients(settings, &["l@b.test", "u@b.test"]).await, three);
    let one = format!("{settings}\nenable_original_recipient = no");
    assert_eq!(recipients(&one, &["l@b.test", "u@b.test"]).await, found(&["u@b.test"]));
}
