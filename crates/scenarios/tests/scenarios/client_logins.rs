//! Logins of the SMTP and LMTP client at servers: who logs in where and how, and what becomes of mail when that fails.

use scenarios::scenario;
use testing::certificates::{Authority, Period};
use testing::programs::{Implementation, Programs};
use testing::wait::{PATIENCE, until_true};
use testing::{Dovecot, Instance, Setup, Sink, Submission};

const TEXT: &str = "From: a@client.test\nSubject: onward\nMessage-Id: <3@client.test>\n\nbody\n";

/// An instance that logs in to the next hop with one name and password.
fn with_login(next_hop: &str) -> Setup {
    Setup::new()
        .set("relayhost", next_hop)
        .set("smtp_sasl_auth_enable", "yes")
        .set("smtp_sasl_password_maps", "static:us:p:w")
        .set("smtp_sasl_security_options", "noanonymous")
}

/// The line about the first attempt to deliver to a recipient.
fn attempt(mail: &Instance, sender: &str, recipient: &str) -> String {
    mail.sendmail(&["-f", sender, recipient], TEXT);
    mail.wait_log(&[&format!("to=<{recipient}>"), "status="])
}

/// Its status and text.
fn result(line: &str) -> String {
    let dsn = line.split("dsn=").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    let text = line.split(" (").nth(1).and_then(|rest| rest.strip_suffix(')')).unwrap_or_default();
    format!("{dsn} {}", text.replace("127.0.0.1[127.0.0.1]", "HOST"))
}

#[test]
fn every_mechanism_logs_in_to_dovecot_and_mail_goes_on() {
    if !testing::accounts::is_root() {
        return;
    }
    scenario(|| {
        let sink = Sink::v4();
        let mechanisms = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"];
        let server = Submission::start(&mechanisms.join(" ").to_lowercase(), "secret", &sink);
        let mut setup = Setup::new()
            .set("smtp_sasl_auth_enable", "yes")
            .set("smtp_sasl_password_maps", "static:alice:secret")
            .set("smtp_sasl_security_options", "noanonymous");
        let mut transports = String::new();
        for mechanism in mechanisms {
            let name = mechanism.to_lowercase();
            transports.push_str(&format!("{name}.test {name}:{}\n", server.next_hop()));
            setup = setup.service(&format!("{name} unix - - n - - smtp -o smtp_sasl_mechanism_filter={name}"));
        }
        let mut mail = setup.build();
        let file = mail.etc().join("transport");
        testing::setup::write_old(&file, &transports);
        mail.set("transport_maps", &format!("texthash:{}", file.display()));
        mail.start();
        for mechanism in mechanisms {
            let line = attempt(&mail, "bob@mail.test", &format!("x@{}.test", mechanism.to_lowercase()));
            assert!(line.contains("status=sent"), "{line}\n{}", server.log());
            let logged = || server.log().contains(&format!("user=<alice>, method={mechanism}"));
            assert!(until_true(PATIENCE, logged), "{mechanism}: {}", server.log());
        }
        assert_eq!(sink.count(), mechanisms.len());
    });
}

#[test]
fn access_tokens_log_in_to_dovecot_by_both_of_their_mechanisms() {
    if !testing::accounts::is_root() {
        return;
    }
    scenario(|| {
        let sink = Sink::v4();
        let server = Submission::start("plain oauthbearer xoauth2", "secret", &sink);
        for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
            let mut mail = with_login(&server.next_hop())
                .set("smtp_sasl_password_maps", format!("static:alice@mail.test:{}", testing::dovecot::TOKEN))
                .set("smtp_sasl_mechanism_filter", mechanism)
                .build();
            mail.start();
            let line = attempt(&mail, "bob@mail.test", "x@token.test");
            assert!(line.contains("status=sent"), "{line}\n{}", server.log());
            let logged = || server.log().contains(&format!("user=<alice@mail.test>, method={mechanism}"));
            assert!(until_true(PATIENCE, logged), "{mechanism}: {}", server.log());
            // One that nobody has signed.
            mail.set("smtp_sasl_password_maps", "static:alice@mail.test:e30.e30.e30");
            mail.reload();
            let line = attempt(&mail, "bob@mail.test", "y@token.test");
            assert!(line.contains("status=deferred (SASL authentication failed; server "), "{line}");
        }
        assert_eq!(sink.count(), 2);
    });
}

#[test]
fn one_mail_system_logs_in_at_another_as_users_do() {
    if !testing::accounts::is_root() {
        return;
    }
    scenario(|| {
        let other = Setup::new()
            .set("smtpd_sasl_auth_enable", "yes")
            .set("smtpd_sasl_type", "dovecot")
            .set("smtpd_sasl_path", "private/auth")
            .set("mynetworks", "")
            .set("smtpd_relay_restrictions", "permit_sasl_authenticated, reject")
            .start();
        let users = [("us", "secret")];
        let _dovecot =
            Dovecot::authenticates(&other.folder().join("dovecot"), &other.queue().join("private/auth"), &users);
        let mail = with_login(&format!("[127.0.0.1]:{}", other.port()))
            .set("smtp_sasl_password_maps", "static:us:secret")
            .set("mydestination", "")
            .set("myhostname", "relay.test")
            .start();
        let line = attempt(&mail, "bob@mail.test", "alice@mail.test");
        assert!(line.contains("status=sent"), "{line}");
        other.wait_log(&["client=unknown[127.0.0.1], sasl_method=CRAM-MD5, sasl_username=us"]);
        assert!(other.wait_mail("alice", 1)[0].0.contains("with ESMTPA id"));
    });
}

#[test]
fn a_wrong_password_defers_mail_whatever_the_mechanism() {
    if !testing::accounts::is_root() {
        return;
    }
    scenario(|| {
        let sink = Sink::v4();
        let server = Submission::start("plain scram-sha-256", "secret", &sink);
        let mail = with_login(&server.next_hop()).start();
        let scram = attempt(&mail, "bob@mail.test", "x@other.test");
        assert!(
            scram.contains("status=deferred (SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535 5.7.8")
        );
        assert_eq!(sink.count(), 0);
    });
}

#[test]
fn what_a_server_says_to_a_login_decides_over_the_mail() {
    scenario(|| {
        let said = [
            ("535 5.7.8 Error: authentication failed", "4.7.8"),
            ("454 4.7.0 Temporary authentication failure", "4.7.0"),
            ("535 no enhanced", "4.0.0"),
            ("504 5.5.4 Unrecognized authentication type", "4.5.4"),
            ("535-5.7.8 line one\r\n535 5.7.8 line two", "4.7.8"),
        ];
        for (reply, status) in said {
            let sink = Sink::v4();
            sink.offer_login("PLAIN", &[reply]);
            let mail = with_login(&sink.next_hop()).start();
            let line = attempt(&mail, "bob@mail.test", "x@other.test");
            assert!(line.contains("status=deferred"), "{line}");
            let shown = reply.replace("\r\n", "?");
            assert_eq!(result(&line), format!("{status} SASL authentication failed; server HOST said: {shown}"));
            assert_eq!((sink.logins(), sink.count()), (vec!["AUTH PLAIN AHVzAHA6dw==".to_owned()], 0));
        }
    });
}

#[test]
fn mail_is_returned_at_once_where_a_refused_login_is_to_be_final() {
    scenario(|| {
        let sink = Sink::v4();
        sink.offer_login("LOGIN", &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "535 5.7.8 no"]);
        let mail = with_login(&sink.next_hop()).set("smtp_sasl_auth_soft_bounce", "no").start();
        let line = attempt(&mail, "bob@mail.test", "x@other.test");
        assert!(line.contains("status=bounced"), "{line}");
        assert_eq!(result(&line), "5.7.8 SASL authentication failed; server HOST said: 535 5.7.8 no");
        assert_eq!(sink.logins(), ["AUTH LOGIN", "dXM=", "cDp3"]);
        assert!(mail.wait_mail("bob", 1)[0].0.contains("535 5.7.8 no"));
    });
}

#[test]
fn a_login_that_is_not_possible_is_told_with_its_reason() {
    scenario(|| {
        let cannot = |why: &str| format!("4.7.0 SASL authentication failed; cannot authenticate to server HOST: {why}");
        let none = "4.7.0 SASL authentication failed: server HOST offered no compatible authentication mechanisms for \
                    this type of connection security";
        let worthy = "warning: SASL authentication failure: No worthy mechs found";
        let cases = [
            ("PLAIN LOGIN", "235 ok", "noplaintext", cannot("no mechanism available"), Some(worthy)),
            ("FOO BAR", "235 ok", "", cannot("no mechanism available"), Some(worthy)),
            ("ANONYMOUS", "235 ok", "noanonymous", cannot("no mechanism available"), Some(worthy)),
            ("", "235 ok", "noanonymous", none.to_owned(), Some("offered null AUTH mechanism list")),
            ("CRAM-MD5", "334 ###bad", "noanonymous", cannot("bad protocol / cancel"), None),
            ("PLAIN", "334 eyJ4Ijp9", "noanonymous", cannot("generic failure"), None),
        ];
        for (offer, reply, options, expected, logged) in cases {
            let sink = Sink::v4();
            sink.offer_login(offer, &[reply]);
            let mail = with_login(&sink.next_hop()).set("smtp_sasl_security_options", options).start();
            assert_eq!(result(&attempt(&mail, "bob@mail.test", "x@other.test")), expected, "{offer}");
            if let Some(text) = logged {
                mail.wait_log(&["smtp[", text]);
            }
            assert_eq!(sink.count(), 0);
        }
    });
}

#[test]
fn what_protects_a_session_decides_which_passwords_it_may_show() {
    scenario(|| {
        let root = Authority::root("Lab Root CA");
        let identity = root.issue(&["mx1.dest.test"], Period::Current);
        let (tls, verified) = ("smtp_sasl_tls_security_options", "smtp_sasl_tls_verified_security_options");
        for (policy, lenient, logs_in) in [
            ("none", tls, false),
            ("may", tls, true),
            ("encrypt", verified, false),
            ("secure match=mx1.dest.test", verified, true),
        ] {
            let sink = Sink::v4().offer_tls(&identity);
            sink.offer_login("PLAIN", &["235 2.7.0 ok"]);
            let hop = sink.next_hop();
            let mut setup = with_login(&hop)
                .set("smtp_sasl_security_options", "noplaintext, noanonymous")
                .set(lenient, "noanonymous")
                .set("smtp_tls_policy_maps", format!("inline:{{ {{ {hop} = {policy} }} }}"));
            if Programs::under_test().implementation == Implementation::Oracle {
                setup = setup.service("tlsmgr unix - - n 1000? 1 tlsmgr");
            }
            let mut mail = setup.build();
            let file = mail.etc().join("ca.pem");
            testing::setup::write_old(&file, &root.certificate().pem);
            mail.set("smtp_tls_CAfile", &file.display().to_string());
            mail.start();
            let line = attempt(&mail, "bob@mail.test", "x@other.test");
            let expected = if logs_in { "status=sent" } else { "HOST: no mechanism available)" };
            assert!(line.replace("127.0.0.1[127.0.0.1]", "HOST").contains(expected), "{policy}: {line}");
            let logins = sink.received().iter().filter_map(|mail| mail.login.clone()).collect::<Vec<_>>();
            let expected: &[&str] = if logs_in { &["PLAIN AHVzAHA6dw=="] } else { &[] };
            assert_eq!(logins, expected, "{policy}");
            assert!(sink.received().iter().all(|mail| mail.tls.is_some()), "{policy}");
        }
    });
}

#[test]
fn a_filter_of_mechanisms_decides_which_is_taken() {
    scenario(|| {
        for (filter, first) in [
            ("", "AUTH CRAM-MD5"),
            ("plain, login", "AUTH PLAIN AHVzAHA6dw=="),
            ("!cram-md5, !plain, static:all", "AUTH LOGIN"),
        ] {
            let sink = Sink::v4();
            sink.offer_login("plain Login CRAM-MD5", &["235 2.7.0 ok"]);
            let mail = with_login(&sink.next_hop()).set("smtp_sasl_mechanism_filter", filter).start();
            attempt(&mail, "bob@mail.test", "x@other.test");
            assert_eq!(sink.logins(), [first], "{filter}");
        }
        let sink = Sink::v4();
        sink.offer_login("PLAIN", &["235 2.7.0 ok"]);
        let mail = with_login(&sink.next_hop()).set("smtp_sasl_mechanism_filter", "foo").start();
        let line = attempt(&mail, "bob@mail.test", "x@other.test");
        assert!(line.contains("offered no compatible authentication mechanisms"), "{line}");
        mail.wait_log(&["smtp[", "offered no supported AUTH mechanisms: 'PLAIN'"]);
    });
}

#[test]
fn each_sender_has_a_login_and_nobodys_mail_goes_over_the_session_of_another() {
    scenario(|| {
        let sink = Sink::v4();
        sink.offer_login("PLAIN", &["235 2.7.0 ok"]);
        let passwords = "inline:{ alice@mail.test=alice:a, @mail.test=all:x, 127.0.0.1=host:h }";
        let mail = with_login(&sink.next_hop())
            .set("smtp_sender_dependent_authentication", "yes")
            .set("smtp_sasl_password_maps", passwords)
            .set("smtp_send_dummy_mail_auth", "yes")
            .set("smtp_connection_cache_destinations", "127.0.0.1")
            .set("smtp_connection_cache_time_limit", "30s")
            .set("recipient_delimiter", "+")
            .start();
        let (alice, all, host) = ("PLAIN AGFsaWNlAGE=", "PLAIN AGFsbAB4", "PLAIN AGhvc3QAaA==");
        let senders = [
            ("alice@mail.test", alice),
            ("bob@mail.test", all),
            ("alice+x@mail.test", alice),
            ("z@other.test", host),
            ("alice@mail.test", alice),
        ];
        for (number, (sender, login)) in senders.iter().enumerate() {
            let line = attempt(&mail, sender, &format!("x{number}@other.test"));
            assert!(line.contains("status=sent"), "{line}");
            assert_eq!(sink.received()[number].login.as_deref(), Some(*login), "{sender}");
        }
        // Each of them is kept for who has the same.
        assert!(sink.logins().len() < senders.len(), "{:?}", sink.logins());
        assert!(sink.received().iter().all(|mail| mail.sender.ends_with("> AUTH=<>")), "{:?}", sink.received());
    });
}

#[test]
fn a_password_is_found_by_host_or_nexthop_and_without_one_mail_goes_without_login() {
    scenario(|| {
        let sink = Sink::v4();
        sink.offer_login("PLAIN", &["235 2.7.0 ok"]);
        let hop = sink.next_hop();
        let port = sink.address().port();
        for (key, logs_in) in
            [("127.0.0.1", true), (hop.as_str(), true), ("[127.0.0.1]", false), (&format!("127.0.0.1:{port}"), false)]
        {
            let before = sink.logins().len();
            let mail =
                with_login(&hop).set("smtp_sasl_password_maps", format!("inline:{{ {{ {key} = us:pw }} }}")).start();
            let line = attempt(&mail, "bob@mail.test", "x@other.test");
            assert!(line.contains("status=sent"), "{line}");
            assert_eq!(sink.logins().len() > before, logs_in, "{key}");
        }
    });
}

#[test]
fn passwords_that_cannot_be_looked_up_hold_up_mail_to_servers_that_offer_a_login_alone() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = with_login(&sink.next_hop()).set("smtp_sasl_password_maps", "texthash:/proc/self/none").start();
        let line = attempt(&mail, "bob@mail.test", "x@other.test");
        assert!(line.contains("status=sent"), "{line}");
        sink.offer_login("PLAIN", &["235 2.7.0 ok"]);
        let line = attempt(&mail, "bob@mail.test", "y@other.test");
        assert_eq!(result(&line), "4.3.0 local data error while talking to HOST");
        mail.wait_log(&["smtp[", ": smtp_sasl_password_maps lookup error"]);
        assert_eq!(sink.count(), 1);
    });
}

#[test]
fn that_nobody_is_known_to_have_sent_mail_stands_behind_the_other_parameters() {
    scenario(|| {
        let sink = Sink::v4();
        sink.offer_login("PLAIN", &["235 2.7.0 ok"]);
        let mail = with_login(&sink.next_hop()).set("smtp_send_dummy_mail_auth", "yes").start();
        mail.sendmail(&["-B", "8BITMIME", "-f", "bob@mail.test", "x@other.test"], TEXT);
        mail.wait_log(&["to=<x@other.test>", "status=sent"]);
        assert_eq!(sink.received()[0].sender, "<bob@mail.test> BODY=8BITMIME AUTH=<>");
    });
}

#[test]
fn the_lmtp_client_logs_in_by_parameters_of_its_own() {
    scenario(|| {
        let sink = Sink::v4();
        sink.offer_login("PLAIN", &["235 2.7.0 ok"]);
        let mail = Setup::new()
            .set("relayhost", "")
            .set("default_transport", format!("lmtp:inet:127.0.0.1:{}", sink.address().port()))
            .set("lmtp_sasl_auth_enable", "yes")
            .set("lmtp_sasl_password_maps", "static:us:p:w")
            .set("lmtp_sasl_security_options", "noanonymous")
            .service("lmtp unix - - n - - lmtp")
            .start();
        let line = attempt(&mail, "bob@mail.test", "x@other.test");
        assert!(line.contains("status=sent"), "{line}");
        assert_eq!(sink.logins(), ["AUTH PLAIN AHVzAHA6dw=="]);
    });
}

#[test]
fn a_password_is_in_no_log_whatever_is_to_be_logged() {
    scenario(|| {
        let sink = Sink::v4();
        sink.offer_login("LOGIN", &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0 ok"]);
        let mail = with_login(&sink.next_hop())
            .set("smtp_sasl_password_maps", "static:us:correct-horse")
            .set("debug_peer_list", "127.0.0.1")
            .service("smtp unix - - n - - smtp -v -v")
            .start();
        attempt(&mail, "bob@mail.test", "x@other.test");
        mail.wait_log(&["> 127.0.0.1", "MAIL FROM:<bob@mail.test>"]);
        let log = mail.log();
        for secret in ["correct-horse", "Y29ycmVjdC1ob3JzZQ"] {
            assert!(!log.contains(secret), "{log}");
        }
    });
}

#[test]
fn a_refused_password_is_not_tried_again_where_refusals_are_remembered() {
    scenario(|| {
        let sink = Sink::v4();
        sink.offer_login("PLAIN", &["535 5.7.8 no"]);
        let mut mail = with_login(&sink.next_hop()).set("smtp_sasl_auth_cache_name", "proxy:lmdb:/unused").start();
        attempt(&mail, "bob@mail.test", "x@other.test");
        // Another process knows it as well.
        mail.stop();
        mail.start();
        let line = attempt(&mail, "bob@mail.test", "y@other.test");
        let text = "status=deferred (SASL [CACHED] authentication failed; server 127.0.0.1 said: 535 5.7.8 no)";
        assert!(line.contains(text), "{line}");
        assert_eq!(sink.logins().len(), 1);
        mail.set("smtp_sasl_password_maps", "static:us:new");
        mail.reload();
        attempt(&mail, "bob@mail.test", "z@other.test");
        // What was deferred may be tried with it as well.
        let later = sink.logins().split_off(1);
        assert!(!later.is_empty() && later.iter().all(|line| line == "AUTH PLAIN AHVzAG5ldw=="), "{later:?}");
    });
}

#[test]
fn a_setting_of_logins_that_makes_no_sense_ends_the_agent_with_the_reason() {
    scenario(|| {
        let cases = [
            (
                "smtp_sasl_password_maps",
                "",
                "fatal: specify a password table via the `smtp_sasl_password_maps' configuration parameter",
            ),
            ("smtp_sasl_type", "foo", "fatal: SASL library initialization"),
            (
                "smtp_sasl_password_result_delimiter",
                "::",
                "fatal: bad string length 2 > 1: smtp_sasl_password_result_delimiter = ::",
            ),
            (
                "smtp_sasl_auth_cache_name",
                "lmdb:/x",
                "fatal: SASL authentication cache name \"lmdb:/x\" must start with \"proxy:",
            ),
            ("smtp_sasl_security_options", "foo", "fatal: SASL per-connection initialization failed"),
        ];
        for (name, value, fatal) in cases {
            let sink = Sink::v4();
            sink.offer_login("PLAIN", &["235 2.7.0 ok"]);
            let mail = with_login(&sink.next_hop()).set(name, value).start();
            mail.sendmail(&["-f", "bob@mail.test", "x@other.test"], TEXT);
            mail.wait_log(&["smtp[", fatal]);
            assert_eq!(sink.count(), 0);
        }
    });
}
