//! Results of deliveries that a table puts others in the place of.

use std::fs;

use scenarios::scenario;
use testing::Setup;

#[test]
fn a_table_puts_other_codes_and_texts_in_the_place_of_results_and_makes_no_failure_a_success() {
    scenario(|| {
        let mut mail = Setup::new().set("minimal_backoff_time", "1h").set("relayhost", "[127.0.0.1]:9").build();
        let table = mail.etc().join("filter");
        let rules = "/^5\\.1\\.1 unknown user: \"(.*)\"/ 4.1.1 $1 may come\n\
                     /^4\\.4\\.1 connect to/ 5.4.1 gone\n\
                     /^2\\.0\\.0 delivered to maildir/ 2.1.5 there\n\
                     /^5\\.3\\.5 mail system/ 2.0.0 fine\n";
        testing::setup::write_old(&table, rules);
        mail.set("default_delivery_status_filter", &format!("regexp:{}", table.display()));
        mail.set("local_recipient_maps", "");
        let aliases = mail.etc().join("more-aliases");
        fs::write(&aliases, "wrong :include:no/path\n").expect("aliases");
        let users = mail.etc().join("aliases");
        mail.set("alias_maps", &format!("texthash:{}, texthash:{}", users.display(), aliases.display()));
        mail.start();
        for (to, expected) in [
            ("nobodyatall@mail.test", "dsn=4.1.1, status=deferred (nobodyatall may come)"),
            ("x@elsewhere.test", "dsn=5.4.1, status=bounced (gone)"),
            ("alice@mail.test", "dsn=2.1.5, status=sent (there)"),
        ] {
            mail.sendmail(&["-f", "carol@mail.test", to], "Subject: x\n\nx\n");
            let line = mail.wait_log(&[&format!("to=<{to}>"), "status="]);
            assert!(line.ends_with(expected), "{line}");
        }
        mail.sendmail(&["-f", "carol@mail.test", "wrong@mail.test"], "Subject: x\n\nx\n");
        let line = mail.wait_log(&["to=<wrong@mail.test>", "status="]);
        assert!(line.contains("dsn=5.3.5, status=bounced ("), "{line}");
    });
}
