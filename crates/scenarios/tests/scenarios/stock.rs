//! The configuration of a stock Debian installation, taken over as it is.

use std::path::Path;

use scenarios::scenario;
use testing::programs::{Implementation, Programs};
use testing::setup::{Files, write_old};
use testing::{Client, Setup};

/// What Debian's installer adds to main.cf, for a host that serves itself.
const INSTALLER: &str = "
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = mail.test
alias_database = @TYPE@:@FOLDER@/etc/stock-aliases
alias_maps = @TYPE@:@FOLDER@/etc/stock-aliases
myorigin = @FOLDER@/etc/mailname
mydestination = $myhostname, mail, localhost.localdomain, , localhost
relayhost =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
";

/// main.cf and master.cf as the package ships them; None without the package.
fn shipped() -> Option<Files> {
    let root = Programs::oracle()?.root?;
    let read = |name: &str| std::fs::read_to_string(Path::new(&root).join("usr/share/postfix").join(name)).expect(name);
    // As the installer does it, a line takes the place of the shipped one. C Postfix warns of each that is overridden,
    // and its postlogd, which gets its own warnings by its own socket, waits for itself for ever when there are more
    // than the socket holds.
    let shipped = ["main.cf.debian", "main.cf.tls"].map(read).concat();
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let replaced: Vec<String> = INSTALLER.lines().filter_map(name).chain(["smtpd_tls_security_level".into()]).collect();
    let kept = shipped.lines().filter(|line| name(line).is_none_or(|name| !replaced.contains(&name)));
    let main_cf = kept.map(|line| format!("{line}\n")).collect::<String>() + INSTALLER;
    Some(Files { main_cf, master_cf: read("master.cf.dist") })
}

#[test]
fn a_stock_debian_configuration_starts_and_delivers() {
    scenario(|| {
        let Some(files) = shipped() else {
            eprintln!("left out: no Debian package (`cargo xtask oracle` unpacks it)");
            return;
        };
        // The certificate of main.cf belongs to another package.
        let mut mail = Setup::new().files(files).set("smtpd_tls_security_level", "").build();
        let main_cf = std::fs::read_to_string(mail.etc().join("main.cf")).expect("main.cf");
        let folder = mail.folder().display().to_string();
        // Debian 13 and later have no hash: any more.
        let has_hash = mail.output("postconf", &["-m"]).lines().any(|kind| kind == "hash");
        let main_cf = main_cf.replace("@FOLDER@", &folder).replace("@TYPE@", if has_hash { "hash" } else { "lmdb" });
        write_old(&mail.etc().join("main.cf"), &main_cf);
        write_old(&mail.etc().join("mailname"), "mail.test\n");
        let aliases = format!("alice: {}/\n", mail.maildir("alice").display());
        write_old(&mail.etc().join("stock-aliases"), &aliases);
        mail.output("sendmail", &["-bi"]);
        mail.start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let greeting = client.greeting().last();
        assert!(greeting.starts_with("220 mail.test ESMTP Postfix (Debian"), "{greeting}");
        let reply = client.send("a@client.test", &["alice+box@mail.test"], "Subject: stock\n\nbody\n").expect("sent");
        assert_eq!(reply.code, 250, "{reply:?}");
        mail.sendmail(&["alice"], "Subject: by command\n\nbody\n");
        mail.wait_mail("alice", 2);
        if mail.programs().implementation == Implementation::Ours {
            mail.wait_log(&["services that are not here: ", "proxymap"]);
        }
    });
}

#[test]
fn aliases_that_only_the_other_system_has_indexed_are_served_from_their_text() {
    scenario(|| {
        let mail = Setup::new().build();
        let aliases = mail.etc().join("hash-aliases");
        write_old(
            &aliases,
            &format!("# as Debian has it\nabuse: alice\nalice: {}/\n", mail.maildir("alice").display()),
        );
        let mut mail = mail;
        mail.set("alias_maps", &format!("hash:{}", aliases.display()));
        mail.start();
        let mut client = Client::greet(mail.v6()).expect("connected");
        let reply = client.send("a@client.test", &["abuse@mail.test"], "Subject: x\n\nbody\n").expect("sent");
        assert_eq!(reply.code, 250, "{reply:?}");
        mail.wait_mail("alice", 1);
    });
}

#[test]
fn the_fifos_of_old_master_cf_files_bring_mail_as_fast_as_sockets() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let path = mail.etc().join("master.cf");
        let text = std::fs::read_to_string(&path).expect("master.cf");
        // Nobody is woken up in time: what comes late does not come in this test.
        let old = text
            .replace("pickup unix n - n 60 1 pickup", "pickup fifo n - n 6000 1 pickup")
            .replace("qmgr unix n - n 300 1 qmgr", "qmgr fifo n - n 3000 1 qmgr");
        assert_eq!(old.matches(" fifo ").count(), 2, "{old}");
        write_old(&path, &old);
        mail.start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        for count in 1..=3 {
            let reply = client.send("a@client.test", &["alice@mail.test"], "Subject: x\n\nbody\n").expect("sent");
            assert_eq!(reply.code, 250, "{reply:?}");
            mail.sendmail(&["-f", "root@mail.test", "alice"], "Subject: y\n\nbody\n");
            mail.wait_mail("alice", 2 * count);
        }
        assert!(mail.find_log(&["Connection refused"]).is_none(), "{}", mail.log());
    });
}

#[test]
fn an_old_configuration_that_was_upgraded_serves_ipv6_and_has_every_service() {
    scenario(|| {
        if !testing::accounts::is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let relay = "permit_mynetworks, reject_unauth_destination";
        let mut mail = Setup::new().set("smtpd_relay_restrictions", relay).build();
        let (main_cf, master_cf) = (mail.etc().join("main.cf"), mail.etc().join("master.cf"));
        let read = |path: &Path| std::fs::read_to_string(path).expect("read");
        let without = |path: &Path, starts: &[&str]| {
            let kept = read(path);
            let kept = kept.lines().filter(|line| !starts.iter().any(|start| line.starts_with(start)));
            write_old(path, &kept.map(|line| format!("{line}\n")).collect::<String>());
        };
        without(&main_cf, &["compatibility_level", "inet_protocols"]);
        without(&master_cf, &["retry ", "relay ", "anvil ", "postlog "]);
        write_old(&master_cf, &read(&master_cf).replace("cleanup unix n", "cleanup unix -"));
        let said = mail.output("postfix", &["upgrade-configuration"]);
        for service in ["retry", "relay", "anvil", "postlog"] {
            assert!(said.contains(&format!("adding missing entry for {service} ")), "{said}");
        }
        assert!(said.contains("making the cleanup service public"), "{said}");
        let once = (read(&main_cf), read(&master_cf));
        mail.output("postfix", &["upgrade-configuration"]);
        assert_eq!(once, (read(&main_cf), read(&master_cf)), "a second run changes something");
        mail.start();
        let mut client = Client::greet(mail.v6()).expect("IPv6 is served");
        let reply = client.send("a@client.test", &["alice@mail.test"], "Subject: x\n\nbody\n").expect("sent");
        assert_eq!(reply.code, 250, "{reply:?}");
        mail.wait_mail("alice", 1);
    });
}
