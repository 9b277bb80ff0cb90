//! Laws over generated input: no reader panics, nothing that is not asked for changes, names come back.

use std::path::Path;

use config::edit::{self, Change, Document};
use config::master_cf::{MasterCf, split_arguments};
use config::{Config, Level, expand, lines, main_cf};
use proptest::prelude::*;

/// Text made of what the grammars care about.
fn grammar() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("$".to_owned()),
            Just("{".to_owned()),
            Just("}".to_owned()),
            Just("(".to_owned()),
            Just(")".to_owned()),
            Just("?".to_owned()),
            Just(":".to_owned()),
            Just("==".to_owned()),
            Just("<level".to_owned()),
            Just(" ".to_owned()),
            Just("\n".to_owned()),
            Just("#".to_owned()),
            Just("=".to_owned()),
            Just("é".to_owned()),
            "[a-z0-9_.]{1,4}",
        ],
        0..40,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn an_expression_is_expanded_or_refused_whatever_it_is(text in grammar()) {
        let mut scope = |name: &str| (!name.starts_with('x')).then(|| name.to_uppercase());
        let _ = expand::expand(&text, &mut scope);
    }

    #[test]
    fn a_text_without_dollars_is_itself(text in "[^$]{0,40}") {
        let mut scope = |_: &str| None;
        let expanded = expand::expand(&text, &mut scope).unwrap();
        prop_assert_eq!(expanded.as_text(), text);
    }

    #[test]
    fn any_bytes_are_a_main_cf_or_an_error_with_a_line(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        let directory = Path::new("/etc/postfix");
        if let Err(error) = Config::parse(&content, directory, &[]) {
            prop_assert!(error.to_string().contains("/etc/postfix/main.cf, line "));
        }
    }

    #[test]
    fn a_setting_that_is_written_is_read_back(name in "[a-z][a-z0-9_]{0,10}", value in "([a-z0-9$,=]{1,8}( [a-z=#]{1,4}){0,3})?") {
        let mut warnings = Vec::new();
        let line = format!("{name} = {value}\n");
        let read = main_cf::parse(line.as_bytes(), Path::new("main.cf"), &mut warnings).unwrap();
        prop_assert_eq!(&read[0].name, &name);
        prop_assert_eq!(&read[0].value, &value);
    }

    #[test]
    fn a_file_that_nothing_is_asked_of_stays_as_it_is(text in grammar()) {
        let rendered = Document::parse(text.as_bytes()).render();
        prop_assert_eq!(String::from_utf8(rendered).unwrap(), text);
    }

    #[test]
    fn after_an_edit_the_setting_has_the_new_value(text in grammar(), value in "[a-z]{0,5}") {
        let file = Path::new("main.cf");
        let mut ignored = Vec::new();
        let usable = main_cf::parse(text.as_bytes(), file, &mut ignored).is_ok();
        // A first line that is skipped for its blank would swallow nothing that is appended.
        prop_assume!(usable);
        let change = Change::Set { name: "zzz".to_owned(), value: value.clone() };
        let (edited, _) = edit::main_cf(text.as_bytes(), file, &[change]);
        let read = main_cf::parse(&edited, file, &mut ignored).unwrap();
        let found = read.iter().find(|setting| setting.name == "zzz").unwrap();
        prop_assert_eq!(&found.value, &value);
    }

    #[test]
    fn any_bytes_are_a_master_cf_or_an_error_with_a_line(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        let directory = Path::new("/etc/postfix");
        let config = Config::parse(b"", directory, &[]).unwrap();
        if let Err(error) = MasterCf::parse(&content, &directory.join("master.cf"), &config) {
            prop_assert!(error.to_string().starts_with("/etc/postfix/master.cf: line "));
        }
    }

    #[test]
    fn arguments_without_braces_are_the_words(words in proptest::collection::vec("[a-z=$-]{1,6}", 0..6)) {
        prop_assert_eq!(split_arguments(&words.join("  ")).unwrap(), words);
    }

    #[test]
    fn logical_lines_never_start_with_a_blank(text in grammar()) {
        let mut warnings = Vec::new();
        for line in lines::logical(text.as_bytes(), Path::new("x"), &mut warnings) {
            prop_assert!(!line.text.starts_with([' ', '\t']));
            prop_assert!(line.first <= line.last);
        }
    }

    #[test]
    fn a_level_is_read_back(major in 0u32..100, minor in 0u32..100) {
        let level = Level::new(major, minor);
        prop_assert_eq!(Level::parse(&level.to_string()), Some(level));
    }
}

proptest! {
    // Values that refer to each other in circles take their time.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_settings_can_be_checked_and_looked_up(values in proptest::collection::vec(grammar(), 1..6)) {
        let names = ["a", "b", "mynetworks", "inet_protocols", "smtpd_timeout", "myhostname"];
        let content: String = names.iter().zip(&values).map(|(name, value)| {
            format!("{name} = {}\n", value.replace('\n', " "))
        }).collect();
        let config = Config::parse(content.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
        let (file, services) = (Path::new("/etc/postfix/master.cf"), b"smtp inet n - n - - smtpd\n");
        if let Ok(master_cf) = config::master_cf::MasterCf::parse(services, file, &config) {
            config::Report::new(&config, (file, services), &master_cf, &|_| true).sentences();
        }
        for name in names {
            let _ = config.lookup(name);
        }
    }
}

#[test]
fn a_byte_that_is_no_character_is_kept_in_a_path_and_marked_in_a_text() {
    let content = b"queue_directory = /var/sp\xf6ol\nsmtpd_banner = sp\xf6ol\n";
    let config = config::Config::parse(content, Path::new("/c"), &[]).unwrap();
    let directory = config.get(config::param::QUEUE_DIRECTORY).unwrap();
    assert_eq!(std::os::unix::ffi::OsStrExt::as_bytes(directory.as_os_str()), b"/var/sp\xf6ol");
    assert_eq!(config.get(config::param::SMTPD_BANNER).unwrap(), "sp\u{fffd}ol");
}
