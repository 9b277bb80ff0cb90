//! Laws of master.cf: what entries mean, and what is said about wrong ones.

use std::path::Path;

use config::Config;
use config::master_cf::{MasterCf, ServiceEntry, ServiceKind, Wakeup};

fn read_with(main_cf: &str, master_cf: &str) -> Result<MasterCf, String> {
    let directory = Path::new("/etc/postfix");
    let config = Config::parse(main_cf.as_bytes(), directory, &[]).expect("main.cf");
    MasterCf::parse(master_cf.as_bytes(), &directory.join("master.cf"), &config).map_err(|error| error.to_string())
}

fn read(master_cf: &str) -> Result<Vec<ServiceEntry>, String> {
    read_with("compatibility_level = 3.6\n", master_cf).map(|read| read.services)
}

#[test]
fn every_field_is_read_and_a_dash_is_the_default() {
    let services = read(
        "smtp inet n - y - - smtpd\n  -o syslog_name=postfix/$service_name\n\
         qmgr unix n - n 300 1 qmgr\ntlsmgr unix - n - 1000? 0 tlsmgr\n",
    )
    .unwrap();
    let smtp = &services[0];
    assert_eq!((smtp.line, smtp.name.as_str(), smtp.kind), (1, "smtp", ServiceKind::Inet));
    assert_eq!((smtp.private, smtp.unprivileged, smtp.chroot), (false, true, true));
    assert_eq!((smtp.wakeup, smtp.max_proc, smtp.command.as_str()), (None, Some(100), "smtpd"));
    let overrides = smtp.arguments().unwrap().overrides;
    assert_eq!(overrides, [("syslog_name".to_owned(), "postfix/$service_name".to_owned())]);
    let qmgr = &services[1];
    assert_eq!(qmgr.wakeup, Some(Wakeup { seconds: 300, conditional: false }));
    assert_eq!(qmgr.max_proc, Some(1));
    let tlsmgr = &services[2];
    assert_eq!(tlsmgr.wakeup, Some(Wakeup { seconds: 1000, conditional: true }));
    assert_eq!((tlsmgr.max_proc, tlsmgr.private, tlsmgr.unprivileged), (None, true, false));
}

#[test]
fn a_wrong_entry_is_an_error_that_names_file_and_line() {
    for (entry, problem) in [
        ("foo", "missing \"transport type\" field"),
        ("foo tcp n - n - - smtpd", "bad transport type: tcp"),
        ("foo UNIX n - n - - smtpd", "bad transport type: UNIX"),
        ("foo unix", "missing \"private\" field"),
        ("foo unix n", "missing \"unprivileged\" field"),
        ("foo unix n -", "missing \"chroot\" field"),
        ("foo unix n - n", "missing \"wakeup_time\" field"),
        ("foo unix n - n -", "missing \"max_proc\" field"),
        ("foo unix n - n - -", "missing \"command\" field"),
        ("foo unix x - n - - smtpd", "field \"private\": bad value: \"x\""),
        ("foo unix n yes n - - smtpd", "field \"unprivileged\": bad value: \"yes\""),
        ("foo unix n - n ? - smtpd", "field \"wakeup_time\": bad value: \"?\""),
        ("foo unix n - n - -1 smtpd", "field \"max_proc\": bad value: \"-1\""),
        ("foo inet - - n - - smtpd", "inet service cannot be private"),
        ("foo unix - - n - - smtpd {a", "missing '}' in \"{a\""),
    ] {
        let error = read(&format!("# comment\n\n{entry}\n")).unwrap_err();
        assert_eq!(error, format!("/etc/postfix/master.cf: line 3: {problem}"), "{entry}");
    }
}

#[test]
fn the_fifos_of_old_files_are_sockets_for_who_hears_more_than_a_letter() {
    let services = read("pickup fifo n - n 60 1 pickup\nqmgr fifo n - n 300 1 ./qmgr\nown fifo n - n - 1 notifier\n");
    let kinds: Vec<_> = services.unwrap().iter().map(|service| service.kind).collect();
    assert_eq!(kinds, [ServiceKind::Unix, ServiceKind::Unix, ServiceKind::Fifo]);
}

#[test]
fn digits_followed_by_something_else_are_read_as_postfix_reads_them() {
    assert_eq!(read("foo unix - - n - 1x smtpd\n").unwrap()[0].max_proc, Some(1));
}

#[test]
fn a_disabled_service_is_left_out_before_its_fields_are_looked_at() {
    let read = read_with(
        "compatibility_level = 3.6\nmaster_service_disable = !smtp/inet inet foo/unix\n",
        "smtp inet n - n - - smtpd\nsubmission inet odd\nfoo unix\nbar unix - - n - - bar\n",
    )
    .unwrap();
    let names: Vec<_> = read.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["smtp", "bar"]);
}

#[test]
fn below_level_one_the_default_is_chroot_and_one_sentence_says_where() {
    let read = read_with("", "foo unix - - - - - foo\nbar unix - - n - - bar\nbaz unix - - - - - foo\n").unwrap();
    assert_eq!(read.services.iter().map(|service| service.chroot).collect::<Vec<_>>(), [true, false, true]);
    let said = "/etc/postfix/master.cf: using backwards-compatible default setting chroot=y for 2 services (master.cf lines 1, 3)";
    assert_eq!(read.old_chroot.as_deref(), Some(said));
}

#[test]
fn a_leading_continuation_is_a_warning_and_the_rest_is_read() {
    let read = read_with("compatibility_level=3.6\n", "  -o x=y\nfoo unix - - n - - foo\n").unwrap();
    assert_eq!(read.services.len(), 1);
    assert_eq!(read.warnings, ["/etc/postfix/master.cf: logical line must not start with whitespace: \"  -o x=y\""]);
}

#[test]
fn a_bad_override_names_the_option() {
    let services = read("foo unix - - n - - smtp -o nosuch\n").unwrap();
    assert_eq!(
        services[0].arguments().unwrap_err().to_string(),
        "invalid \"-o nosuch\" option value: missing '=' after attribute name"
    );
}
