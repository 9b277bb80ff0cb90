//! The queries of a site as it is, all of them together.

use scenarios::scenario;

use super::{Database, auth_server, found, rcpt, with_logins};

/// The queries of Mail-in-a-Box, a mail server that is installed as a whole.
// long: the site
#[test]
fn the_queries_of_a_whole_site_find_domains_users_aliases_and_who_may_send() {
    scenario(|| {
        let mut mail = with_logins();
        let database = Database::new(
            &mail,
            "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE);
             CREATE TABLE aliases (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE,
                destination TEXT NOT NULL, permitted_senders TEXT);
             CREATE TABLE auto_aliases (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE,
                destination TEXT NOT NULL, permitted_senders TEXT);
             INSERT INTO users(email) VALUES('joe@virt.test'),('ann@virt.test');
             INSERT INTO aliases(source,destination,permitted_senders) VALUES
                ('all@virt.test','joe@virt.test,ann@virt.test,alice@mail.test',NULL),
                ('ann@virt.test','bob@mail.test','joe@virt.test,ann@virt.test'),('none@virt.test','','joe@virt.test');
             INSERT INTO auto_aliases(source,destination) VALUES
                ('postmaster@virt.test','alice@mail.test'),('@other.test','@virt.test');",
        );
        let domains = "SELECT 1 FROM users WHERE email LIKE '%%@%s' UNION SELECT 1 FROM aliases WHERE source LIKE '%%@%s' \
                       UNION SELECT 1 FROM auto_aliases WHERE source LIKE '%%@%s'";
        let boxes = "SELECT 1 FROM users WHERE email='%s'";
        let aliases = "SELECT destination from (SELECT destination, 0 as priority FROM aliases WHERE source='%s' AND \
                       destination<>'' UNION SELECT email as destination, 1 as priority FROM users WHERE email='%s' UNION \
                       SELECT destination, 2 as priority FROM auto_aliases WHERE source='%s' AND destination<>'') ORDER BY \
                       priority LIMIT 1;";
        let senders = "SELECT permitted_senders FROM (SELECT permitted_senders, 0 AS priority FROM aliases WHERE \
                       source='%s' AND permitted_senders IS NOT NULL UNION SELECT permitted_senders, 1 AS priority FROM \
                       auto_aliases WHERE source='%s' AND permitted_senders IS NOT NULL UNION SELECT email as \
                       permitted_senders, 2 AS priority FROM users WHERE email='%s') ORDER BY priority LIMIT 1;";
        let of = |name: &str, query: &str| database.table(&mail, name, query);
        let settings = [
            ("virtual_mailbox_domains", of("virtual-mailbox-domains", domains)),
            ("virtual_mailbox_maps", of("virtual-mailbox-maps", boxes)),
            ("virtual_alias_maps", of("virtual-alias-maps", aliases)),
            ("smtpd_sender_login_maps", of("sender-login-maps", senders)),
        ];
        for (table, key, value) in [
            (0, "virt.test", "1"),
            (0, "other.test", "1"),
            (0, "no.test", ""),
            (1, "Joe@Virt.test", "1"),
            (1, "all@virt.test", ""),
            (2, "all@virt.test", "joe@virt.test,ann@virt.test,alice@mail.test"),
            (2, "ann@virt.test", "bob@mail.test"),
            (2, "joe@virt.test", "joe@virt.test"),
            (2, "none@virt.test", ""),
            (2, "@other.test", "@virt.test"),
            (3, "ann@virt.test", "joe@virt.test,ann@virt.test"),
            (3, "joe@virt.test", "joe@virt.test"),
            (3, "x@virt.test", ""),
        ] {
            assert_eq!(found(&mail, &settings[table].1, key), value, "{key}");
        }
        for (name, table) in &settings {
            mail.set(name, table);
        }
        mail.set("smtpd_sender_restrictions", "reject_sender_login_mismatch");
        mail.set("virtual_transport", "discard:a store");
        mail.start();
        let _server = auth_server(&mail);
        assert!(rcpt(&mail, "joe@virt.test", "alice@mail.test").starts_with("553 5.7.1"));
        for (to, starts) in [("joe@other.test", "250"), ("x@virt.test", "550"), ("postmaster@virt.test", "250")] {
            let reply = rcpt(&mail, "x@client.test", to);
            assert!(reply.starts_with(starts), "{to}: {reply}");
        }
        mail.sendmail(&["-f", "carol@mail.test", "all@virt.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["to=<joe@virt.test>", "orig_to=<all@virt.test>", "status=sent (a store)"]);
        mail.wait_mail("alice", 1);
        mail.wait_mail("bob", 1);
        assert!(mail.find_log(&["warning: "]).is_none(), "{}", mail.log());
    });
}
