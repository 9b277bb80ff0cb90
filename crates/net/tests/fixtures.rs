//! Every answer in fixtures/ gives what it says it gives, and no damage to one makes the reading panic, or find more.

use std::collections::HashSet;
use std::path::Path;

use net::discover::replay::Fixture;
use net::platform::PLATFORMS;
use proptest::prelude::*;

fn fixtures() -> Vec<(String, Fixture)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "txt") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let fixture = Fixture::parse(&std::fs::read_to_string(&path).unwrap());
            found.push((name.clone(), fixture.unwrap_or_else(|why| panic!("{name}: {why}"))));
        }
    }
    assert!(!found.is_empty());
    found
}

/// Whether the answers are as a kernel gives them when all is well.
fn whole((name, _): &(String, Fixture)) -> bool {
    !name.contains("damaged") && !name.contains("refused")
}

/// The addresses of an outcome.
fn addresses(outcome: &[String]) -> Vec<&String> {
    outcome.iter().filter(|line| !line.contains(": ")).collect()
}

#[test]
fn every_fixture_gives_what_it_says() {
    for (name, fixture) in fixtures() {
        assert_eq!(fixture.outcome(), fixture.expected, "{name}");
    }
}

#[test]
fn every_platform_has_a_whole_answer_and_a_damaged_one() {
    let fixtures = fixtures();
    for row in &PLATFORMS {
        let of = || fixtures.iter().filter(|(_, fixture)| fixture.platform == row);
        assert!(of().any(|(name, _)| !name.contains("damaged")), "{}", row.name);
        assert!(of().any(|(name, _)| name.contains("damaged")), "{}", row.name);
    }
}

#[test]
fn an_answer_cut_anywhere_gives_the_addresses_before_the_cut_and_a_warning() {
    for (name, fixture) in fixtures().into_iter().filter(whole) {
        let expected: Vec<_> = addresses(&fixture.expected).into_iter().cloned().collect();
        for family in [0, 1] {
            for length in 0..fixture.answers[family].answer.records.len() {
                let mut cut = fixture.clone();
                cut.answers[family].answer.records.truncate(length);
                let outcome = cut.outcome();
                let found = addresses(&outcome);
                assert!(found.iter().all(|line| expected.contains(line)), "{name} at {length}: {outcome:?}");
                let read = fixture.method != net::discover::Method::Procnet || family == 0;
                let told = outcome.iter().any(|line| line.starts_with("warning: unexpected data from ioctl"));
                let asked = fixture.platform.ipv6 || family == 0;
                assert!(told || !read || !asked || found.len() == expected.len(), "{name} at {length}: {outcome:?}");
            }
        }
    }
}

#[test]
fn a_cut_header_is_a_warning_and_no_address() {
    for (name, fixture) in fixtures().into_iter().filter(whole) {
        for length in 0..fixture.answers[0].answer.header.len() {
            let mut cut = fixture.clone();
            cut.answers[0].answer.header.truncate(length);
            let outcome = cut.outcome();
            let first = outcome.first().map(String::as_str).unwrap_or_default();
            assert!(first.starts_with("warning: unexpected data from ioctl"), "{name} at {length}: {outcome:?}");
        }
    }
}

#[test]
fn text_cut_anywhere_gives_addresses_of_whole_lines() {
    for (name, fixture) in fixtures().into_iter().filter(whole) {
        let Ok(text) = &fixture.if_inet6 else { continue };
        for length in 0..text.len() {
            let mut cut = fixture.clone();
            cut.if_inet6 = Ok(text[..length].to_vec());
            let outcome = cut.outcome();
            // A prefix length may lose its last digit, and is a shorter one then: only addresses are compared.
            let address = |line: &str| line.split('/').next().unwrap_or_default().to_owned();
            let known: HashSet<_> = fixture.expected.iter().map(|line| address(line)).collect();
            assert!(addresses(&outcome).iter().all(|line| known.contains(&address(line))), "{name} at {length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_byte_makes_it_panic_or_find_more_than_fits(at: prop::sample::Index, value: u8, header: bool) {
        for (name, fixture) in fixtures() {
            for family in [0, 1] {
                let mut changed = fixture.clone();
                let answer = &mut changed.answers[family].answer;
                let bytes = if header { &mut answer.header } else { &mut answer.records };
                if bytes.is_empty() {
                    continue;
                }
                let at = at.index(bytes.len());
                bytes[at] = value;
                let outcome = changed.outcome();
                let room: usize = changed.answers.iter().map(|answers| answers.answer.records.len() / 32).sum();
                let lines = changed.if_inet6.as_ref().map_or(0, |text| text.split(|byte| *byte == b'\n').count());
                prop_assert!(addresses(&outcome).len() <= room + lines, "{}", name);
            }
        }
    }

    #[test]
    fn noise_in_any_layout_makes_nothing_panic(noise in prop::collection::vec(any::<u8>(), 0..1200), length: u32) {
        for (_, mut fixture) in fixtures() {
            for answers in &mut fixture.answers {
                answers.answer.records = noise.clone();
                answers.answer.header = [length.to_be_bytes(), length.to_le_bytes()].concat().repeat(4);
                answers.netmasks = vec![Ok(noise.clone()); 100];
            }
            fixture.if_inet6 = Ok(noise.clone());
            prop_assert!(addresses(&fixture.outcome()).len() <= 2 * noise.len() / 32 + noise.len() / 32);
        }
    }
}
