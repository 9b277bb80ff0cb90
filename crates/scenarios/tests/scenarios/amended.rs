//! Replies that refuse, on their way to the client, and commands on their way in: smtpd_reject_footer,
//! smtpd_reject_filter_maps, smtpd_command_filter.

use scenarios::scenario;
use testing::port::Port;
use testing::{Client, Instance, Setup};

/// A server for each of these options, `name = value; name = value`; `TABLE` stands for a table with these rules.
fn start(rules: &str, options: &[&str]) -> (Instance, Vec<Port>) {
    let mut mail = Setup::new().set("smtpd_error_sleep_time", "0").build();
    let table = mail.etc().join("rules");
    testing::setup::write_old(&table, rules);
    let ports: Vec<Port> = options.iter().map(|_| Port::reserve()).collect();
    for (port, options) in ports.iter().zip(options) {
        let options = options.replace("TABLE", &format!("regexp:{}", table.display()));
        let options: Vec<String> = options.split("; ").map(|option| format!("-o {{ {option} }}")).collect();
        mail.add_service(&format!("127.0.0.1:{} inet n - n - - smtpd {}", port.number(), options.join(" ")));
    }
    mail.start();
    (mail, ports)
}

fn client(port: &Port) -> Client {
    Client::connect(([127, 0, 0, 1], port.number()).into()).expect("connected")
}

/// The whole reply, as `554-5.7.1 a | 554 5.7.1 b`.
fn say(client: &mut Client, line: &str) -> String {
    let Ok(reply) = client.command(line) else { return "closed".to_owned() };
    let last = reply.lines.len() - 1;
    let line = |(number, text): (usize, &String)| {
        let separator = if number < last { '-' } else { ' ' };
        format!("{}{separator}{text}", reply.code)
    };
    reply.lines.iter().enumerate().map(line).collect::<Vec<_>>().join(" | ")
}

const REJECTS: &str = "smtpd_recipient_restrictions = check_recipient_access inline:{{bad@mail.test=REJECT no}}";

/// A footer, what an unknown command is told, and what the log says of it.
const FOOTERS: [(&str, &str, &str); 7] = [
    ("help", "500-5.5.2 Error: command not recognized | 500 5.5.2 help", ""),
    ("\\c. See us", "500 5.5.2 Error: command not recognized. See us", ""),
    ("\\c one\\ntwo", "500-5.5.2 Error: command not recognized one | 500 5.5.2 two", ""),
    ("\\c", "500 5.5.2 Error: command not recognized", ""),
    (
        "\\c c=$client a=$client_address h=$helo_name s=$sender r=$recipient n=$server_name",
        "500 5.5.2 Error: command not recognized c=unknown[127.0.0.1] a=127.0.0.1 h=c.test s=a@b.test r= n=mail.test",
        "",
    ),
    ("\\c ${sender?{yes}:{no}} $$x", "500 5.5.2 Error: command not recognized yes $x", ""),
    ("x $nosuch y", "500-5.5.2 Error: command not recognized | 500 5.5.2 x  y", "unknown macro name \"nosuch\""),
];

#[test]
fn a_footer_stands_behind_every_no_and_behind_nothing_else() {
    scenario(|| {
        let options: Vec<String> =
            FOOTERS.iter().map(|(footer, ..)| format!("smtpd_reject_footer = {footer}; {REJECTS}")).collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let (mail, ports) = start("", &options);
        for ((footer, reply, line), port) in FOOTERS.iter().zip(&ports) {
            let mut client = client(port);
            say(&mut client, "EHLO c.test");
            assert_eq!(say(&mut client, "MAIL FROM:<a@b.test>"), "250 2.1.0 Ok");
            assert_eq!(say(&mut client, "FOO"), *reply, "{footer}");
            mail.wait_log(&[line]);
        }
        let mut client = client(&ports[0]);
        for line in ["EHLO c.test", "MAIL FROM:<>"] {
            say(&mut client, line);
        }
        let refused = "554-5.7.1 <bad@mail.test>: Recipient address rejected: no | 554 5.7.1 help";
        assert_eq!(say(&mut client, "RCPT TO:<bad@mail.test>"), refused);
        assert_eq!(say(&mut client, "QUIT"), "221 2.0.0 Bye");
        let logged = mail.wait_log(&["reject: RCPT", "to=<bad@mail.test>"]);
        assert!(!logged.contains("help"), "{logged}");
    });
}

#[test]
fn the_reply_decides_which_footer_it_gets_and_soft_bounce_softens_all_of_it() {
    scenario(|| {
        let options = [
            "smtpd_reject_footer_maps = TABLE; smtpd_reject_footer = default",
            "smtpd_reject_footer = help; soft_bounce = yes",
            "smtpd_reject_footer_maps = fail:x; smtpd_reject_footer = default",
        ];
        let (_mail, ports) = start("/^500/ \\c five hundred\n", &options);
        let replies = |port: &Port| {
            let mut client = client(port);
            [say(&mut client, "FOO"), say(&mut client, "RCPT TO:<a@b.test>")]
        };
        let foo = "Error: command not recognized";
        let need = "Error: need MAIL command";
        let two = |code: &str, status: &str, text: &str, footer: &str| {
            format!("{code}-{status} {text} | {code} {status} {footer}")
        };
        assert_eq!(replies(&ports[0]), [format!("500 5.5.2 {foo} five hundred"), two("503", "5.5.1", need, "default")]);
        assert_eq!(replies(&ports[1]), [two("400", "4.5.2", foo, "help"), two("403", "4.5.1", need, "help")]);
        assert_eq!(replies(&ports[2]), [two("500", "5.5.2", foo, "default"), two("503", "5.5.1", need, "default")]);
    });
}

#[test]
fn a_filter_makes_another_no_of_a_no_and_the_log_has_both() {
    scenario(|| {
        let rules = "/^500 5.5.2 (.*)/ 400 $1\n/need MAIL/ 250 ok then\n/^502/ 421 4.7.0 bye\n";
        let (mail, ports) = start(rules, &["smtpd_reject_filter_maps = TABLE; disable_vrfy_command = yes"]);
        let mut client = client(&ports[0]);
        assert_eq!(say(&mut client, "FOO"), "400 Error: command not recognized");
        mail.wait_log(&["NOQUEUE: reply filter in: 500 5.5.2 Error: command not recognized"]);
        mail.wait_log(&["NOQUEUE: reply filter out: 400 Error: command not recognized"]);
        assert_eq!(say(&mut client, "RCPT TO:<a@b.test>"), "503 5.5.1 Error: need MAIL command");
        mail.wait_log(&["warning: NOQUEUE: ignoring invalid reject filter result: 250 ok then"]);
        assert_eq!(say(&mut client, "VRFY alice"), "421 4.7.0 bye");
        assert_eq!(say(&mut client, "NOOP"), "closed");
    });
}

#[test]
fn a_command_is_replaced_before_anybody_looks_at_it() {
    scenario(|| {
        let rules =
            "/^HELO (.*)/ EHLO $1\n/^(MAIL FROM:<[^>]*>) BADOPT/ $1\n/^XX/ QUIT\n/^AB/ RCPT TO:<a@b>\\r\\nQUIT\n";
        let (mail, ports) = start(rules, &["smtpd_command_filter = TABLE"]);
        let mut client = client(&ports[0]);
        assert!(say(&mut client, "HELO x").contains("PIPELINING"));
        assert_eq!(say(&mut client, "  MAIL FROM:<a@b> BADOPT"), "250 2.1.0 Ok");
        assert!(!say(&mut client, "AB").starts_with("250"));
        assert_eq!(say(&mut client, "XX"), "221 2.0.0 Bye");
        mail.wait_log(&["replacing command \"HELO x\" with \"EHLO x\""]);
    });
}
