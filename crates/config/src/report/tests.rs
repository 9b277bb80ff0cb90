//! Sentences about whole files, as an operator reads them.

use super::*;

fn sentences(main_cf: &str, master_cf: &str) -> Vec<String> {
    let config = Config::parse(main_cf.as_bytes(), Path::new("/c"), &[]).unwrap();
    let file = Path::new("/c/master.cf");
    let master = MasterCf::parse(master_cf.as_bytes(), file, &config).unwrap();
    let absent = ["pipe", "virtual", "flush", "proxymap", "scache", "nbdb_reindexd", "spawn", "smptd"];
    let has_program = |program: &str| !absent.contains(&program);
    Report::new(&config, (file, master_cf.as_bytes()), &master, &has_program).sentences()
}

const SERVICES: &str = "bounce unix - - n - 0 bounce\ncleanup unix n - n - 0 cleanup\ndefer unix - - n - 0 bounce\n\
    qmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\ntrace unix - - n - 0 bounce\n\
    smtp unix - - n - - smtp\nrelay unix - - n - - smtp\nlocal unix - n n - - local\n";

/// A level at which nothing is as it was.
fn told(main_cf: &str, master_cf: &str) -> Vec<String> {
    sentences(&format!("{main_cf}compatibility_level = 3.11\n"), &format!("{SERVICES}{master_cf}"))
}

#[test]
fn what_works_is_not_told() {
    let main_cf = "myhostname = mx.example.test\nmua = permit\nvirtual_mailbox_maps = inline:{a=b}\n\
        smtp_destination_recipient_limit = 1\nlmtp_destination_concurrency_limit = 1\n\
        smtpd_client_restrictions = permit_mynetworks, reject_unknown_client_hostname\n\
        debugger_command = PATH=/bin; gdb\nproxy_read_maps = $virtual_alias_maps\nvirtual_uid_maps = static:5000\n\
        virtual_transport = lmtp:unix:private/dovecot\nvirtual_mailbox_domains = example.test\nbiff = no\n\
        milter_protocol = 6\nsmtpd_sasl_path = private/auth\nunverified_sender_reject_code = 550\n\
        local_recipient_maps = proxy:unix:passwd.byname $alias_maps\nalias_maps = inline:{a=b}\n";
    let master = "smtp inet n - n - - smtpd\n -o smtpd_helo_restrictions=$mua\nlmtp unix - - n - - lmtp -v\n\
        scache unix - - n - 1 scache\nproxymap unix - - n - - proxymap\n\
        nbdb_reindex unix y n n - 1 nbdb_reindexd\n";
    assert_eq!(told(main_cf, master), Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_told_once_with_file_and_line_and_before_what_is_missing() {
    let main_cf = "tls_disable_workarounds = 1\nmydestination = one\nmydestination = two\nrelay_domains = $nosuch\n\
        relayhost = [relay.example]:587 # mine\nmydistination = x\nhopcount_limit = 5x\n\
        smtpd_helo_restrictions = reject_nonsense,\n  check_client_access\nother_time_limit = 3600\n";
    let master = "smtp inet n - n - - smtpd\n  -o smtpd_helo_restricctions=permit -o myorigin=$mua\n\
        submission inet n - n - - smptd\npickup unix n - n 60 1 pickup -v\n";
    assert_eq!(
        told(main_cf, master),
        [
            "/c/main.cf, line 3: overriding earlier entry: mydestination=one",
            "/c/main.cf, line 4: undefined parameter: nosuch",
            "/c/main.cf, line 5: #comment after other text is not allowed: # mine...",
            "/c/main.cf, line 6: unused parameter: mydistination=x (did you mean mydestination?)",
            "/c/main.cf, line 7: bad numerical configuration: hopcount_limit = 5x",
            "/c/main.cf, line 8: smtpd_helo_restrictions: restriction check_client_access: bad argument \"\": need \
             maptype:mapname",
            "/c/main.cf, line 8: smtpd_helo_restrictions: unknown smtpd restriction: \"reject_nonsense\"",
            "/c/main.cf, line 10: unused parameter: other_time_limit=3600",
            "/c/master.cf, line 10: undefined parameter: mua",
            "/c/master.cf, line 10: unused parameter: smtpd_helo_restricctions=permit (did you mean \
             smtpd_helo_restrictions?)",
            "/c/master.cf, line 12: service submission (inet) is not started: program smptd does not exist",
            "/c/master.cf, line 13: service pickup: -v has no effect on pickup",
            "tls_disable_workarounds (main.cf line 1) has no effect: OpenSSL is not used",
        ]
    );
}

#[test]
fn keys_that_nobody_reads_are_told_once() {
    let keys = "smtpd_tls_chain_files = /k\nsmtp_tls_cert_file = /c\n";
    let text = "smtpd_tls_chain_files: its keys are read by tlsmgr alone, and /c/master.cf has no service tlsmgr (unix): \
                there is no TLS with them";
    assert_eq!(told(keys, ""), [format!("/c/main.cf, line 1: {text}")]);
    assert_eq!(told(keys, "tlsmgr unix - - n 1000? 1 tlsmgr\n"), Vec::<String>::new());
    assert_eq!(told("smtpd_tls_cert_file = none\nsmtpd_tls_key_file =\n", ""), Vec::<String>::new());
}

#[test]
fn a_server_that_is_to_ask_an_authentication_server_of_another_kind_is_told_what_to_set() {
    let text = |kind: &str| {
        format!(
            "smtpd_sasl_type = {kind} is not there, and a server with smtpd_sasl_auth_enable = yes does not start; set \
             smtpd_sasl_type = dovecot, and smtpd_sasl_path to the socket of an authentication server"
        )
    };
    let smtp = "smtp inet n - n - - smtpd\n";
    let submission = "submission inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes\n";
    let on = "smtpd_sasl_auth_enable = yes\n";
    assert_eq!(told(on, smtp), [format!("/c/main.cf, line 1: {}", text("cyrus"))]);
    assert_eq!(told(&format!("{on}smtpd_sasl_type = x\n"), smtp), [format!("/c/main.cf, line 2: {}", text("x"))]);
    assert_eq!(told("", &format!("{smtp}{submission}")), [format!("/c/master.cf, line 11: {}", text("cyrus"))]);
    for fine in ["smtpd_sasl_type = dovecot\n", "smtpd_sasl_type = dovecot\nsmtpd_sasl_local_domain = x.test\n"] {
        assert!(told(&format!("{on}{fine}"), &format!("{smtp}{submission}")).is_empty());
    }
    assert!(told("smtpd_sasl_type = x\n", smtp).is_empty());
}

#[test]
fn a_client_that_is_to_have_another_kind_of_sasl_is_told_once() {
    let wrong = "smtp_sasl_auth_enable = yes\nsmtp_sasl_type = gnu\n";
    let text = "smtp_sasl_type = gnu is not there, and a client with smtp_sasl_auth_enable = yes does not start; set \
        smtp_sasl_type = cyrus";
    assert_eq!(told(wrong, ""), [format!("/c/main.cf, line 2: {text}")]);
    let fine = "smtp_sasl_auth_enable = yes\nsmtp_sasl_path = x\nlmtp_sasl_type = gnu\nsmtp_sasl_auth_cache_name = proxy:x:y\n";
    assert!(told(fine, "").is_empty());
}

#[test]
fn what_is_missing_is_one_sentence_a_feature() {
    let main_cf = "postscreen_dnsbl_sites = x\npostscreen_greet_action = drop\nx = 1\nmyorigin = $x\n";
    let master = "smtpd inet n - n - 1 postscreen -o postscreen_dnsbl_sites=y\n";
    assert_eq!(
        told(main_cf, master),
        ["postscreen(8) is not there yet: postscreen_dnsbl_sites (main.cf line 1; master.cf line 10), \
             postscreen_greet_action (main.cf line 2); mail that they are for is refused for now, or waits"]
    );
}

#[test]
fn settings_of_another_tls_library_are_one_sentence_for_what_happens_instead() {
    let main_cf = "smtpd_tls_eecdh_grade = ultra\ntls_ffdhe_auto_groups = ffdhe2048\ntls_null_cipherlist = eNULL\n\
        smtpd_tls_session_cache_database = lmdb:/s\nsmtpd_tls_security_level = may\nsmtpd_tls_chain_files = /c\n";
    assert_eq!(
        told(main_cf, "tlsmgr unix - - n 1000? 1 tlsmgr\n"),
        [
            "support for these parameters will be removed: smtpd_tls_eecdh_grade (main.cf line 1: leave it at its default)",
            "tls_null_cipherlist (main.cf line 3) has no effect: ciphers are those of tls_high_cipherlist and \
             tls_medium_cipherlist",
            "smtpd_tls_session_cache_database (main.cf line 4) has no effect: clients keep their TLS sessions themselves, as \
             tickets",
            "tls_ffdhe_auto_groups (main.cf line 2) has no effect: the TLS library exchanges no keys over finite fields",
            "smtpd_tls_eecdh_grade (main.cf line 1) has no effect: the groups of the key exchange are those of \
             tls_eecdh_auto_curves",
        ]
    );
}

#[test]
fn settings_of_a_service_or_a_type_of_table_that_nothing_asks_for_are_not_told() {
    let main_cf = "socketmap_max_reply_size = 3\nrespectful_logging = no\n\
        best_mx_transport = local\ndns_ncache_ttl_fix_enable = yes\nerror_service_name = wrong\n";
    assert!(told(main_cf, "").is_empty());
}

#[test]
fn more_words_in_the_log_are_no_wish_without_effect_where_a_dialogue_is_told() {
    let master = "smtp inet n - n - - smtpd -v\n628 inet n - n - - qmqpd -v\nquiet unix - - n - - smtp -v\n";
    assert!(told("", master).is_empty());
}

#[test]
fn a_root_directory_of_its_own_that_does_not_hold_for_mailboxes_is_told() {
    let told_of =
        |chroot: &str| told("", &format!("boxes unix - n {chroot} - - local\nquiet unix - - {chroot} - - smtp\n"));
    let text = "/c/master.cf, line 10: service boxes: chroot has no effect on the mailboxes of local";
    assert_eq!(told_of("y"), [text]);
    assert!(told_of("n").is_empty());
}

#[test]
fn a_setting_that_has_no_effect_is_about_a_feature_that_operators_know() {
    let waiting = crate::table::TABLE.iter().filter(|entry| !entry.implemented && !entry.legacy);
    let odd: Vec<&str> =
        waiting.filter(|entry| Feature::of_parameter(entry) == Feature::Other).map(|entry| entry.name).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn a_client_that_is_none_in_the_list_of_those_whose_headers_are_completed_is_told() {
    let found = told("local_header_rewrite_clients = permit_mynetwork, check_address_map inline:{a=b}\n", "");
    let wrong = "/c/main.cf, line 1: local_header_rewrite_clients: unknown restriction: \"permit_mynetwork\"";
    assert_eq!(found, [wrong]);
}

#[test]
fn a_cache_that_a_daemon_makes_needs_no_file_and_an_alias_database_its_own_command() {
    let main_cf = "smtp_tls_session_cache_database = btree:/nowhere/smtp_scache\n\
        lmtp_tls_session_cache_database = lmdb:/nowhere/lmtp_scache\naddress_verify_map = btree:/nowhere/verify\n\
        alias_maps = lmdb:/nowhere/aliases\nsender_bcc_maps = lmdb:/nowhere/bcc\n";
    let told = told(main_cf, "");
    let missing: Vec<&str> =
        told.iter().filter_map(|line| line.split_once("/nowhere/")).map(|(_, rest)| rest).collect();
    let expected = [
        "aliases: there is no /nowhere/aliases.lmdb; run \"postalias lmdb:/nowhere/aliases\"",
        "bcc: there is no /nowhere/bcc.lmdb; run \"postmap lmdb:/nowhere/bcc\"",
    ];
    assert_eq!(missing, expected, "{told:?}");
}

#[test]
fn tables_and_restrictions_that_are_not_there_are_named() {
    let main_cf = "virtual_mailbox_domains = mysql:/a.cf\nvirtual_transport = relay\nalias_maps = inline:{a=b}, ldap:/b.cf\n\
        virtual_mailbox_maps = proxy:mysql:/c.cf\ntransport_maps = hassh:/d, hash:/no/such\n\
        smtpd_recipient_restrictions = reject_unverified_recipient, reject_sender_login_mismatch,\n\
        \x20 check_policy_service inet:127.0.0.1:10023, check_ccert_access hash:/e, check_sender_access tcp:[::1]:5\n\
        virtual_alias_maps = unionmap:{inline:{a=b}, pipemap:{pgsql:/x, cidr:/no}}, randmap:{a,b}, debug:nis:x sqlite:/s\n\
        unverified_recipient_reject_code = 550\n";
    let found = told(main_cf, "");
    assert_eq!(
        found,
        [
            "/c/main.cf, line 5: transport_maps: hash:/no/such: there is neither /no/such.lmdb nor /no/such",
            "/c/main.cf, line 5: transport_maps: hassh:/d: unsupported dictionary type: hassh",
            "/c/main.cf, line 6: smtpd_recipient_restrictions: hash:/e: there is neither /e.lmdb nor /e",
            "/c/main.cf, line 8: virtual_alias_maps: cidr:/no: there is no /no",
            "/c/main.cf, line 8: virtual_alias_maps: sqlite:/s: there is no /s",
            "ldap: tables are not there yet: alias_maps (main.cf line 3); every look-up fails, and mail that needs it \
             is refused for now, or waits",
            "mysql: tables are not there yet: virtual_mailbox_domains (main.cf line 1), virtual_mailbox_maps (main.cf \
             line 4); every look-up fails, and mail that needs it is refused for now, or waits",
            "nis: tables are not there yet: virtual_alias_maps (main.cf line 8); every look-up fails, and mail that needs it \
             is refused for now, or waits",
            "pgsql: tables are not there yet: virtual_alias_maps (main.cf line 8); every look-up fails, and mail that needs \
             it is refused for now, or waits",
            "tcp: tables are not there yet: smtpd_recipient_restrictions (main.cf line 6); every look-up fails, and \
             mail that needs it is refused for now, or waits",
        ]
    );
}

#[test]
fn ways_that_lead_nowhere_are_told_and_those_to_absent_programs_too() {
    let main_cf = "virtual_mailbox_domains = example.test\nvirtual_transport = dovecot\nvirtual_uid_maps = static:8\n\
        local_transport = virtual\ndefault_transport = nosuch:[1.2.3.4]\nrelay_domains =\nrelay_transport = gone\n";
    let master = "dovecot unix - n n - - pipe flags=R user=x argv=/bin/x\nvirtual unix - n n - - virtual\n\
        uucp unix - n n - - pipe flags=R user=x argv=/bin/x\nflush unix n - n 1000? 0 flush\n";
    assert_eq!(
        told(main_cf, master),
        [
            "/c/main.cf, line 5: default_transport = nosuch:[1.2.3.4]: mail waits, for /c/master.cf has no service nosuch",
            "Delivery to commands, pipe(8), is not there yet: virtual_transport = dovecot (main.cf line 2), service \
             dovecot (master.cf line 10); mail for them waits",
            "The virtual(8) delivery agent is not there yet: local_transport = \
             virtual (main.cf line 4), service virtual (master.cf line 11); mail for them waits",
            "/c/master.cf: services that nothing here asks for are not started, for their programs are not there yet: \
             uucp, flush (master.cf lines 12, 13)",
        ]
    );
}

#[test]
fn an_old_level_is_one_line_and_a_server_without_protection_is_told() {
    let master = format!("{}smtp inet n - n - - smtpd\n", SERVICES.replace("- - n", "- - -"));
    let found = sentences("inet_protocols = all\n", &master);
    let chroot =
        "/c/master.cf: using backwards-compatible default setting chroot=y for 6 services (master.cf lines 1, 3, 5-8)";
    assert!(found.contains(&chroot.to_owned()), "{found:#?}");
    assert!(found[0].starts_with("/c/master.cf, line 10: smtpd will not run: in parameter"), "{found:#?}");
}

#[test]
fn services_that_all_mail_needs_and_that_are_missing_are_told() {
    let found = sentences("compatibility_level = 3.11\n", "smtp unix - - n - - smtp\nlocal unix - n n - - local\n");
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(found[0].ends_with("service bounce is missing (bounce_service_name): no mail is handled without it"));
}
