//! Laws: the first rule that matches decides, whatever is known of the others without trying them.

use proptest::prelude::*;

use super::*;

const REGEXP: Reading = Reading { kind: Kind::Regexp, flags: OpenFlags::TRUSTED };

fn parse(kind: Kind, text: &str) -> (Regex, Vec<String>) {
    Regex::parse("table".into(), "f", text.as_bytes(), Reading { kind, flags: OpenFlags::default() })
}

fn table(text: &str) -> Regex {
    parse(Kind::Pcre, text).0
}

fn lookup(table: &Regex, key: &str) -> Option<String> {
    table.lookup(key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap())
}

#[test]
fn the_first_pattern_that_matches_gives_the_result() {
    let table = table("/^foo/ bar\n/Case/i sens $$ x\n/(a+)(b*)c/ $1-${2}-$(1)x\n!/^x/ notx\n");
    for (key, expected) in
        [("FOOx", "bar"), ("Case", "sens $ x"), ("case", "notx"), ("aabbc", "aa-bb-aax"), ("y", "notx")]
    {
        assert_eq!(lookup(&table, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(lookup(&table, "xa"), None);
}

#[test]
fn bad_rules_are_skipped_and_the_rest_serves() {
    let table =
        table("foo bar\n/unclosed bar\n/flags/q x\n/bad(/ x\n/x/ $3\n!/(y)/ $1\n/z/ $\n/z/ ${1\n/z/ $x\n/ok/ yes\n");
    assert_eq!(lookup(&table, "ok").as_deref(), Some("yes"));
    for key in ["foo", "unclosed", "flags", "bad(", "x", "y", "z"] {
        assert_eq!(lookup(&table, key), None, "{key}");
    }
}

#[test]
fn rules_between_if_and_endif_depend_on_it() {
    let table = table("if /a/\n/abc/ in\nif !/b/\n/ac/ nested\nendif x\nendif\nendif\n/./ last\n");
    assert_eq!(lookup(&table, "abc").as_deref(), Some("in"));
    assert_eq!(lookup(&table, "xac").as_deref(), Some("nested"));
    assert_eq!(lookup(&table, "ab").as_deref(), Some("last"));
}

#[test]
fn flags_delimiters_and_groups_that_took_no_part() {
    let table = table("/^A/A anch\n|p/q| pipe\n/r\\/s/ slash\n/d.e/ dot\n/f.g/s no\n/^q$/m multi\n/t(u)?v/ [$1]\n");
    assert_eq!(lookup(&table, "abc").as_deref(), Some("anch"));
    assert_eq!(lookup(&table, "p/q").as_deref(), Some("pipe"));
    assert_eq!(lookup(&table, "r/s").as_deref(), Some("slash"));
    assert_eq!(lookup(&table, "d\ne").as_deref(), Some("dot"));
    assert_eq!(lookup(&table, "f\ng"), None);
    assert_eq!(lookup(&table, "x\nq\ny").as_deref(), Some("multi"));
    assert_eq!(lookup(&table, "tv").as_deref(), Some("[]"));
}

#[test]
fn results_that_are_trusted_hold_no_part_of_the_key() {
    let table = Regex::parse("table".into(), "f", b"/(.*)/ smtp:$1\n/./ smtp:[a]\n", REGEXP).0;
    assert_eq!(lookup(&table, "x").as_deref(), Some("smtp:[a]"));
}

#[test]
fn a_pattern_that_its_engine_gives_up_does_not_match_whatever_it_asks() {
    let key = format!("{}b", "a".repeat(64));
    for text in ["/^(a+)+$/ x\n/b/ y\n", "!/^(a+)+$/ x\n/b/ y\n", "if !/^(a+)+$/\n/./ x\nendif\n/b/ y\n"] {
        assert_eq!(lookup(&table(text), &key).as_deref(), Some("y"), "{text}");
    }
}

#[test]
fn a_regexp_table_speaks_the_dialect_of_the_c_library() {
    for (pattern, matching, other) in [
        ("/\\<viagra\\>/", "buy Viagra now", "viagras"),
        ("/^[a\\]+$/", "a\\", "]"),
        ("/^[\\w]$/", "\\", "x"),
        ("/^\\d$/i", "d", "1"),
        ("/^a**$/", "aa", "b"),
        ("/^a(b$/x", "a(b", "ab"),
        ("/a/!/b/", "a", "ab"),
        ("!/a/!!/b/", "b", "ab"),
    ] {
        let table = parse(Kind::Regexp, &format!("{pattern} yes\n")).0;
        assert_eq!(lookup(&table, matching).as_deref(), Some("yes"), "{pattern}");
        assert_eq!(lookup(&table, other), None, "{pattern}");
    }
}

/// What is said of a line in a regexp table, and in a pcre table.
#[test]
fn what_is_wrong_with_a_rule_is_said_as_it_always_was() {
    let bad = "bad replacement syntax: skipping this rule";
    for (line, regexp, pcre) in [
        ("abc x", "ignoring unrecognized request", "ignoring unrecognized request"),
        ("!", "no regexp: skipping this rule", "no regexp: skipping this rule"),
        (
            "/a",
            "no closing regexp delimiter \"/\": skipping this rule",
            "no closing regexp delimiter \"/\": ignoring this rule",
        ),
        (
            "/a/q x",
            "unknown regexp option \"q\": skipping this rule",
            "unknown regexp option \"q\": skipping this rule",
        ),
        ("/a/", "no replacement text: using empty string", "no replacement text: using empty string"),
        ("/a(/ x", "Unmatched ( or \\(", "error in regex at offset 2: missing closing parenthesis"),
        (
            "/(a)/ $2",
            "out of range replacement index \"2\": skipping this rule",
            "out of range replacement index \"2\": skipping this rule",
        ),
        ("endif", "ignoring ENDIF without matching IF", "ignoring ENDIF without matching IF"),
        ("if /a/", "IF has no matching ENDIF", "IF has no matching ENDIF"),
    ] {
        assert_eq!(parse(Kind::Regexp, line).1, [format!("regexp map f, line 1: {regexp}")], "{line}");
        assert_eq!(parse(Kind::Pcre, line).1, [format!("pcre map f, line 1: {pcre}")], "{line}");
    }
    for (line, regexp) in [
        ("/a/ x $ y", "empty macro name: \"x $ y\""),
        ("/(a)/ ${1", "truncated macro reference: \"${1\""),
        ("/(a)/ $1a", "regexp map f, line 1: non-numeric replacement index \"1a\""),
        ("/(a)/ $0", "regexp map f, line 1: out-of-range replacement index \"0\""),
    ] {
        assert_eq!(parse(Kind::Regexp, line).1, [regexp.to_owned(), format!("regexp map f, line 1: {bad}")]);
    }
}

#[test]
fn rules_may_stand_in_the_name() {
    let name = "{ {/^a b/ x}, {/^c/ y} }";
    let table = Regex::open("regexp:x".into(), name, Kind::Regexp, OpenFlags::default()).unwrap();
    assert_eq!(lookup(&table, "A b").as_deref(), Some("x"));
    for name in ["{/a/ x}", "{{/a/ x}", "{{/a/ x}}y", "{{/a/ x}, /b/ y}"] {
        assert!(Regex::open("regexp:x".into(), name, Kind::Regexp, OpenFlags::default()).is_err(), "{name}");
    }
}

/// Pieces of expressions that both engines, or one of them, read.
fn expressions() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "a",
        "b",
        "ab",
        "K",
        "s",
        "-",
        ".",
        "[ab]",
        "[^a]",
        "[]a]",
        "[\\]]",
        "[[:alpha:]]",
        "\\.",
        "\\b",
        "\\<",
        "\\w",
        "\\d",
        "\\1",
        "^",
        "$",
        "\\x61",
        "(?i)",
        "(?=a)",
        "(?!b)",
        "(?<=a)",
        "{",
        "}",
        "]",
        "\\Qa.\\E",
        "\u{e9}",
        "(*ACCEPT)",
        "(?x) ",
        "#",
    ]);
    let leaf = prop::collection::vec(atom, 1..4).prop_map(|atoms| atoms.concat());
    leaf.prop_recursive(4, 24, 4, |inner| {
        let times = prop::sample::select(vec![
            "*", "+", "?", "+?", "*?", "??", "++", "{0}", "{2}", "{0,2}", "{1,}", "{,2}", "**",
        ]);
        let open = prop::sample::select(vec!["(", "(?:", "(?>", "(?|", "(?-i:", "(?!", "(?="]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.concat()),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one}|{other}")),
            (open, inner.clone(), times).prop_map(|(open, inner, times)| format!("{open}{inner}){times}")),
            (inner, prop::sample::select(vec!["*", "?", "+", "{0,1}", "+?"])).prop_map(|(inner, times)| inner + times),
        ]
    })
}

/// What the rules say when each is tried in turn.
fn by_trying(table: &Regex, key: &[u8]) -> Option<Vec<u8>> {
    let every: Vec<_> = (0..table.rules.count()).map(|at| (at, Vec::new())).collect();
    let found = table
        .rules
        .find(&Prefilter::of(every.len(), &every).possible(key), |pattern, line| table.matches(pattern, key, line));
    found.map(|(_, template)| template.expand(|_| None))
}

#[test]
fn expressions_that_people_use_match_as_when_each_is_tried() {
    let expressions = [
        r"/^Subject:.*\b(viagra|cialis|levitra)\b/",
        r"/^Subject: .*\s{10,}\S+$/",
        r"/^(To|Cc|Bcc):.*undisclosed[ _-]?recipients/",
        r"/^Content-(Type|Disposition):.*(file)?name=.*\.(exe|scr|pif|com|bat)/",
        r"/^Received:.*\[(10|127)(\.[0-9]{1,3}){3}\]/",
        r"/^From:.*<[^@>]+@(.*\.)?example\.(com|net)>/",
        r"/^X-Mailer:\s*(The Bat!|Foo?) v?[[:digit:]]+/",
        r"/[[:space:]]+(Warning|Precedence): (bulk|junk)/i",
        r"/^(.*)-outgoing@(.*)$/",
        r"/^([^@+]+)(\+[^@]*)?@domain\.test$/",
        r"/(^|\.)dyn(amic)?[.-]/",
        r"/^[0-9]{1,3}-[0-9]{1,3}-.*\.isp\.test$/",
        r"/./",
    ];
    let keys = [
        "Subject: buy VIAGRA now",
        "Subject: viagras",
        "Subject: x            end",
        "To: Undisclosed Recipients:;",
        "cc: undisclosedrecipients",
        "Content-Type: application/x; name=\"a.Exe\"",
        "Content-Disposition: attachment; filename=a.txt",
        "Received: from x ([127.0.0.1])",
        "Received: from x ([192.0.2.1])",
        "From: A <a@mail.example.NET>",
        "From: A <a@example.org>",
        "X-Mailer: the bat! v3",
        "X-Mailer: Fo 12",
        "a\tPrecedence: bulk",
        "list-outgoing@example.com",
        "user+tag@domain.test",
        "user@domain.test",
        "host.dynamic.isp.test",
        "1-22-333.isp.test",
        "",
    ];
    for kind in [Kind::Pcre, Kind::Regexp] {
        let (mut matched, mut skipped) = (0, 0);
        for expression in &expressions {
            let table = parse(kind, &format!("{expression} yes\n")).0;
            for key in keys {
                let expected = by_trying(&table, key.as_bytes());
                assert_eq!(table.lookup(key.as_bytes()).unwrap(), expected, "{kind:?} {expression} {key}");
                matched += usize::from(expected.is_some());
                skipped +=
                    usize::from(table.rules.find(&table.prefilter.possible(key.as_bytes()), |_, _| Some(())).is_none());
            }
        }
        // Nearly all that does not match is known not to.
        assert!(matched > 30 && matched + skipped > expressions.len() * keys.len() * 9 / 10, "{matched} {skipped}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_rule_that_matches_is_left_out(
        lines in prop::collection::vec((expressions(), prop::sample::select(vec!["", "i", "m", "x", "im"]), 0u8..8), 1..12),
        keys in prop::collection::vec("[aAbBkKsS. \u{e9}\u{212a}\u{17f}\\]-]{0,8}", 1..12),
    ) {
        let mut text = String::new();
        for (number, (expression, flags, kind)) in lines.iter().enumerate() {
            let rule = match kind {
                0 => format!("if /{expression}/{flags}\n"),
                1 => "endif\n".to_owned(),
                2 => format!("!/{expression}/{flags} {number}\n"),
                _ => format!("/{expression}/{flags} {number}\n"),
            };
            text.push_str(&rule);
        }
        for kind in [Kind::Pcre, Kind::Regexp] {
            let table = parse(kind, &text).0;
            for key in &keys {
                prop_assert_eq!(table.lookup(key.as_bytes()).unwrap(), by_trying(&table, key.as_bytes()), "{} {:?}", text, key);
            }
        }
    }
}
