//! What programs print, reply, log and connect to when addresses are the matter: cases with outcomes recorded from
//! Postfix, one test for each area. `crates/scenarios/ipv6/AREA.toml` has the cases of an area. Those whose name begins
//! with `edge-`, `more-` or `source-` tell what Postfix 3.7 did.
//!
//! Those of syntax, of lists and of tables need nothing and always run. The others have networks, a /dev/log, and a DNS
//! server of their own, and need root.

mod case;
mod commands;
mod compare;
mod delivery;
mod folder;
mod instance;
mod listening;
mod network;
mod pure;
mod session;
mod sessions;

use testing::accounts::is_root;
use testing::programs::{Implementation, Programs};

use case::{Case, Cases};

/// Plays the cases of an area; the kind of each says how.
fn area(name: &str) {
    if Programs::under_test().implementation == Implementation::Oracle {
        // The outcomes are those of a newer one than Debian's.
        eprintln!("left out: recorded outcomes are for our programs");
        return;
    }
    let cases = Cases::load();
    let chosen = cases.of_area(name);
    assert!(!chosen.is_empty(), "no cases of the area {name}");
    if chosen.iter().any(Case::needs_network) && !is_root() {
        eprintln!("{} cases left out: an own network needs root", chosen.len());
        return;
    }
    let mut failed = Vec::new();
    for group in case::groups(chosen) {
        // A failure may be that of a machine that was busy elsewhere: once more, alone.
        let again: Vec<Case> =
            play(&cases, group).into_iter().filter(|(_, wrong)| !wrong.is_empty()).map(|(c, _)| c).collect();
        for one in again {
            failed.extend(play(&cases, vec![one]).into_iter().filter(|(_, wrong)| !wrong.is_empty()));
        }
    }
    let report: Vec<String> =
        failed.iter().map(|(case, wrong)| format!("{}:\n    {}", case.id(), wrong.join("\n    "))).collect();
    assert!(report.is_empty(), "{} of {name} failed\n{}", report.len(), report.join("\n"));
}

/// Plays cases that share what they are played on: each with what is wrong.
fn play(cases: &Cases, group: Vec<Case>) -> Vec<(Case, Vec<String>)> {
    let observed = match group[0].kind() {
        "syntax" | "matchlist" => pure::play(&group),
        "cmd" if !group[0].needs_network() => commands::play(&group),
        "cmd" => network::in_own(&cases.lines_for(&group[0]), &[], &group, |_, cases| commands::play(cases)),
        "listen" => network::in_own(&cases.net, &cases.zone, &group, listening::play_start),
        "reload" => network::in_own(&cases.net, &cases.zone, &group, listening::play_reload),
        "smtp" => network::in_own(&cases.net, &cases.zone, &group, sessions::play),
        "smtp-sequence" => network::in_own(&cases.net, &cases.zone, &group, sessions::play_sequence),
        "deliver" => network::in_own(&cases.net, &cases.zone, &group, delivery::play),
        other => panic!("{}: no such kind: {other}", group[0].id()),
    };
    assert_eq!(observed.len(), group.len());
    let results = group.into_iter().zip(observed).map(|(case, observed)| {
        let mut expected = case.expected().clone();
        if case.kind() == "matchlist" {
            // A library has no exit status, and leaves the log to the program.
            expected.retain(|key, _| key == "result");
        }
        let wrong = compare::differences(&expected, &observed);
        (case, wrong)
    });
    results.collect()
}

#[test]
fn tables_of_networks_match_as_recorded() {
    area("cidr");
}

#[test]
fn defaults_are_as_recorded() {
    area("defaults");
}

#[test]
fn inet_addr_local_prints_what_was_recorded() {
    area("inet_addr_local");
}

#[test]
fn inet_interfaces_means_what_was_recorded() {
    area("inet_interfaces");
}

#[test]
fn inet_protocols_means_what_was_recorded() {
    area("inet_protocols");
}

#[test]
fn the_default_of_mynetworks_is_as_recorded() {
    area("mynetworks");
}

#[test]
fn the_preferred_family_is_as_recorded() {
    area("address-preference");
}

#[test]
fn source_addresses_are_as_recorded() {
    area("bind");
}

#[test]
fn deliveries_are_as_recorded() {
    area("delivery");
}

#[test]
fn nexthops_mean_what_was_recorded() {
    area("nexthop");
}

#[test]
fn listeners_are_as_recorded() {
    area("listen");
}

#[test]
fn lists_of_networks_match_as_recorded() {
    area("matchlist");
}

#[test]
fn a_reload_does_what_was_recorded() {
    area("reload");
}

#[test]
fn clients_are_accepted_as_recorded() {
    area("accept");
}

#[test]
fn access_tables_match_as_recorded() {
    area("access-map");
}

#[test]
fn clients_are_named_as_recorded() {
    area("client-identity");
}

#[test]
fn lists_in_dns_are_asked_as_recorded() {
    area("dnsbl");
}

#[test]
fn literals_in_helo_are_taken_as_recorded() {
    area("helo-literal");
}

#[test]
fn permit_inet_interfaces_permits_as_recorded() {
    area("permit_inet_interfaces");
}

#[test]
fn permit_mynetworks_permits_as_recorded() {
    area("permit_mynetworks");
}

#[test]
fn literals_in_mail_and_rcpt_are_taken_as_recorded() {
    area("smtp-literal");
}

#[test]
fn xclient_does_what_was_recorded() {
    area("xclient");
}

#[test]
fn xforward_does_what_was_recorded() {
    area("xforward");
}

#[test]
fn clients_are_counted_by_prefix_as_recorded() {
    area("anvil-prefix");
}

#[test]
fn addresses_are_valid_as_recorded() {
    area("hostaddr-syntax");
}

#[test]
fn literals_are_valid_as_recorded() {
    area("mailhost-syntax");
}

/// Lists once more, through a server: what it logs about them.
#[test]
fn a_server_says_about_lists_of_networks_what_was_recorded() {
    let cases = Cases::load();
    let chosen: Vec<Case> = cases.of_area("matchlist").into_iter().filter(Case::can_be_a_client).collect();
    if !is_root() || Programs::under_test().implementation == Implementation::Oracle {
        eprintln!("{} cases left out: an own network needs root", chosen.len());
        return;
    }
    let observed = network::in_own(&cases.net, &cases.zone, &chosen, sessions::play_lists);
    for (case, observed) in chosen.iter().zip(observed) {
        let wrong = compare::differences(case.expected(), &observed);
        assert!(wrong.is_empty(), "{}: {}", case.id(), wrong.join("\n"));
    }
}

#[test]
fn every_case_is_of_an_area_that_is_played() {
    let source = include_str!("main.rs");
    for case in Cases::load().all() {
        assert!(source.contains(&format!("    area(\"{}\");", case.area())), "{}", case.id());
    }
}
