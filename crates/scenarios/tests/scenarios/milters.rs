//! Mail filters (milters): a scripted one that says anything, and real ones.

mod changes;
mod local;
mod real;
mod skips;

use scenarios::scenario;
use testing::milter::{Act, Filter, Script, header, say};
use testing::port::Port;
use testing::{Client, Instance, Setup, Sink};

const MESSAGE: &str = "From: a@client.test\nSubject: x\nX-Fold: a\n b\n\nbody\n";

/// A server with these options on a port of its own.
struct Server {
    port: Port,
    options: String,
}

impl Server {
    fn new(options: &str) -> Server {
        Server { port: Port::reserve(), options: options.to_owned() }
    }

    /// With this filter, and tempfail where it does not work.
    fn with(filter: &Filter) -> Server {
        Server::new(&format!("smtpd_milters = {}; milter_default_action = tempfail", filter.endpoint()))
    }

    fn line(&self) -> String {
        let options: Vec<String> = self.options.split("; ").map(|option| format!("-o {{ {option} }}")).collect();
        format!("127.0.0.1:{} inet n - n - - smtpd {}", self.port.number(), options.join(" "))
    }

    fn connect(&self) -> Client {
        Client::connect(([127, 0, 0, 1], self.port.number()).into()).expect("connected")
    }

    /// A session with one message: what the client hears that it does not hear without filters.
    fn session(&self) -> String {
        let mut client = self.connect();
        let mut heard = Vec::new();
        if client.greeting().code != 220 {
            heard.push(client.greeting().last());
        }
        if client.greeting().code == 421 {
            return heard.join("; ");
        }
        for line in ["EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<alice@mail.test>", "DATA", ""] {
            let reply = match line {
                "" => client.write(testing::client::wire_form(MESSAGE).as_bytes()).and_then(|()| client.reply()),
                line => client.command(line),
            };
            match reply {
                Ok(reply) if reply.code >= 400 => heard.push(reply.lines.iter().fold(String::new(), |text, line| {
                    let between = if text.is_empty() { "" } else { " / " };
                    format!("{text}{between}{} {line}", reply.code)
                })),
                Ok(reply) if line.is_empty() => {
                    heard.push(reply.last().split(':').next().unwrap_or_default().to_owned())
                }
                Ok(_) => continue,
                Err(_) => heard.push("closed".to_owned()),
            }
            break;
        }
        let _ = client.command("QUIT");
        heard.join("; ")
    }
}

fn start(servers: &[Server]) -> Instance {
    servers.iter().fold(setup(), |setup, server| setup.service(&server.line())).start()
}

fn setup() -> Setup {
    Setup::new().set("mynetworks", "127.0.0.0/8")
}

const QUEUED: &str = "250 2.0.0 Ok";
const REJECTED: &str = "550 5.7.1 Command rejected";
const LATER: &str = "451 4.7.1 Service unavailable - try again later";
const CONFUSED: &str = "451 4.3.5 Server configuration problem - try again later";

/// Servers of one system: each is a process with its own connections to the services behind it.
const AT_ONCE: usize = 30;

fn reply(text: &str) -> Vec<Act> {
    vec![say(format!("y{text}\0"))]
}

/// Where the client hears of an answer of the filter: at which event, what it says, what the client hears.
fn answers() -> Vec<(char, Vec<Act>, &'static str)> {
    let shut = "421 4.7.0 Server closing connection";
    let banner = "421 mail.test Service unavailable - try again later";
    let closed = "554 mail.test ESMTP not accepting connections; 550 5.7.1 Command rejected";
    let mut all = vec![
        ('C', vec![say("r")], closed),
        ('C', vec![say("t")], LATER),
        ('C', vec![say("4")], banner),
        ('C', reply("421 4.7.0 bye"), banner),
        ('C', vec![say("a")], QUEUED),
        ('C', vec![say("d")], QUEUED),
        ('H', vec![say("r")], REJECTED),
        ('H', vec![say("4")], shut),
        ('H', reply("421 4.7.0 bye"), "421 4.7.0 bye"),
        ('U', vec![say("r")], QUEUED),
    ];
    for event in ['M', 'R', 'T'] {
        all.push((event, vec![say("4")], shut));
    }
    for event in ['M', 'R', 'T', 'L', 'N', 'B', 'E'] {
        all.extend([
            (event, vec![say("c")], QUEUED),
            (event, vec![say("a")], QUEUED),
            (event, vec![say("p"), say("p"), say("c")], QUEUED),
            (event, vec![say("r")], REJECTED),
            (event, vec![say("t")], LATER),
            (event, vec![say("d")], QUEUED),
            (event, vec![say("qbad\0"), say("c")], QUEUED),
            (event, reply("550 5.7.9 no"), "550 5.7.9 no"),
            (event, reply("450 4.7.9 lat%%er %d"), "450 4.7.9 lat%er d"),
            (event, reply("421 4.7.0 bye"), "421 4.7.0 bye"),
            (event, reply("550-5.7.1 one\r\n550 5.7.1 two"), "550 5.7.1 one / 550 5.7.1 two"),
            (event, reply("250 ok"), CONFUSED),
            (event, reply("550 4.7.1 mix"), CONFUSED),
        ]);
    }
    all
}

#[test]
fn what_a_filter_answers_is_what_the_client_hears() {
    scenario(|| {
        let cases: Vec<_> = answers()
            .into_iter()
            .map(|(event, acts, heard)| (Filter::start(Script::new().at(event, acts)), event, heard))
            .collect();
        for cases in cases.chunks(AT_ONCE) {
            let servers: Vec<Server> = cases.iter().map(|(filter, ..)| Server::with(filter)).collect();
            let mail = start(&servers);
            for ((filter, event, expected), server) in cases.iter().zip(&servers) {
                let heard = server.session();
                assert_eq!(heard, *expected, "{event}: {:#?}\n{}", filter.heard(), mail.log());
            }
        }
    });
}

/// What no filter should say, at which event.
fn nonsense() -> Vec<(char, Vec<Act>)> {
    let mut all = Vec::new();
    for event in ['C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E'] {
        all.extend([
            (event, vec![Act::Close]),
            (event, vec![say("Zfoo")]),
            (event, vec![say("rxyz")]),
            (event, vec![Act::Raw(vec![0, 0, 0, 0])]),
            (event, vec![Act::Raw(vec![0xff; 64])]),
        ]);
    }
    for event in ['C', 'M', 'L', 'B'] {
        all.push((event, vec![header('h', None, "X", "1")]));
    }
    all.push(('E', vec![Act::Raw([&[0x3f, 0xff, 0xff, 0xff, b'Z'][..], &[b'x'; 100]].concat())]));
    all.push(('E', vec![header('h', None, "X", "1"), Act::Close]));
    all.push(('E', vec![say("bhalf of a body"), Act::Close]));
    all
}

#[test]
fn a_filter_that_closes_or_talks_nonsense_is_as_good_as_its_default_action() {
    scenario(|| {
        let cases: Vec<_> =
            nonsense().into_iter().map(|(event, acts)| (Filter::start(Script::new().at(event, acts)), event)).collect();
        let servers: Vec<Server> = cases.iter().map(|(filter, _)| Server::with(filter)).collect();
        let mail = start(&servers);
        for ((filter, event), server) in cases.iter().zip(&servers) {
            assert_eq!(server.session(), LATER, "{event}: {:#?}\n{}", filter.heard(), mail.log());
        }
        assert!(mail.wait_mail("alice", 0).is_empty());
    });
}

#[test]
fn a_default_action_decides_for_a_filter_that_is_not_there() {
    scenario(|| {
        let cases = [
            ("accept", QUEUED),
            ("reject", "554 mail.test ESMTP not accepting connections; 550 5.5.0 Service unavailable"),
            ("tempfail", LATER),
            ("quarantine", QUEUED),
            ("nonsense", CONFUSED),
        ];
        let port = Port::reserve();
        let server = |action: &str| {
            Server::new(&format!("smtpd_milters = {{ inet:127.0.0.1:{}, default_action={action} }}", port.number()))
        };
        let servers: Vec<Server> = cases.iter().map(|(action, _)| server(action)).collect();
        let mail = start(&servers);
        for ((action, expected), server) in cases.iter().zip(&servers) {
            assert_eq!(server.session(), *expected, "{action}:\n{}", mail.log());
        }
        mail.wait_log(&[
            "smtpd",
            "NOQUEUE: milter-hold: MAIL from ",
            ": default_action; from=<a@client.test> proto=ESMTP",
        ]);
        assert_eq!(mail.queue_ids("hold").len(), 1);
    });
}

#[test]
fn a_server_shuts_down_by_default_where_its_filter_is_not_there() {
    scenario(|| {
        let hangs = Filter::start(Script::new().at('E', [Act::Hang]));
        let port = Port::reserve();
        let servers = [
            Server::new(&format!("smtpd_milters = inet:127.0.0.1:{}", port.number())),
            Server::new("smtpd_milters = foo:bar"),
            Server::new(&format!("smtpd_milters = {{ {}, content_timeout=1s }}", hangs.endpoint())),
        ];
        let mail = start(&servers);
        let banner = "421 mail.test Service unavailable - try again later";
        let expected = [banner, banner, "421 4.7.1 Service unavailable - try again later"];
        for (server, expected) in servers.iter().zip(expected) {
            assert_eq!(server.session(), expected, "{}:\n{}", server.options, mail.log());
        }
        mail.wait_log(&["warning: invalid transport name: foo in Milter service: foo:bar"]);
        mail.wait_log(&["can't read SMFIC_BODYEOB reply packet header: Connection timed out"]);
    });
}

#[test]
fn a_filter_that_hangs_keeps_no_other_client_waiting() {
    scenario(|| {
        let (hangs, fine) = (Filter::start(Script::new().at('E', [Act::Hang])), Filter::start(Script::new()));
        let servers = [Server::with(&hangs), Server::with(&fine)];
        let mail = start(&servers);
        let mut slow = servers[0].connect();
        for line in ["EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<alice@mail.test>", "DATA"] {
            slow.command(line).expect("a reply");
        }
        slow.write(b"Subject: x\r\n\r\nx\r\n.\r\n").expect("written");
        hangs.wait_heard("E");
        assert_eq!(servers[1].session(), QUEUED, "{}", mail.log());
    });
}

// long: a session from its beginning to its end
#[test]
fn a_filter_is_told_of_a_session_in_the_words_of_the_client() {
    scenario(|| {
        let filter = Filter::start(Script::new().steps(0x800));
        let servers = [Server::with(&filter)];
        let _mail = start(&servers);
        let mut client = servers[0].connect();
        for line in [
            "FOO bar",
            "EHLO client.test",
            "MAIL FROM:<\"A B\"@client.test> SIZE=100 BODY=8BITMIME",
            "RCPT TO:<x@elsewhere.test> NOTIFY=NEVER",
            "RSET",
            "EHLO client.test",
        ] {
            client.command(line).expect("a reply");
        }
        let reply = client.send("a@client.test", &["alice@mail.test", "bob@mail.test"], MESSAGE).expect("a reply");
        let id = reply.queue_id().expect("a queue id");
        client.command("QUIT").expect("a reply");
        filter.wait_heard("Q");
        let heard = filter.heard();
        let events: Vec<&str> =
            heard.iter().map(String::as_str).filter(|line| !line.starts_with(['D', 'O', 'C'])).collect();
        let generated = |line: &&str| !line.starts_with("LMessage-Id|") && !line.starts_with("LDate|");
        let events: Vec<&str> = events.into_iter().filter(generated).collect();
        assert_eq!(
            events,
            [
                "UFOO bar|",
                "Hclient.test|",
                "M<\"A B\"@client.test>|SIZE=100|BODY=8BITMIME|",
                "R<x@elsewhere.test>|NOTIFY=NEVER|",
                "A",
                "Hclient.test|",
                "A",
                "M<a@client.test>|",
                "R<alice@mail.test>|",
                "R<bob@mail.test>|",
                "T",
                "LFrom|a@client.test|",
                "LSubject|x|",
                "LX-Fold|a\\n b|",
                "N",
                "Bbody\\r\\n",
                "E",
                "A",
                "A",
                "Q",
            ]
        );
        for line in [
            "DCj|mail.test|{daemon_name}|mail.test|{daemon_addr}|127.0.0.1|v|Postfix ",
            "DM{mail_addr}|\"a b\"@client.test|{mail_host}|[127.0.0.1]:9|{mail_mailer}|smtp|",
            "DR{rcpt_addr}|alice@mail.test|{rcpt_host}|mail.test|{rcpt_mailer}|local|",
            &format!("DRi|{id}|{{rcpt_addr}}|bob@mail.test|"),
            &format!("DTi|{id}|"),
            &format!("DLi|{id}|"),
            &format!("DEi|{id}|"),
        ] {
            assert!(heard.iter().any(|known| known.starts_with(line)), "{line}: {heard:#?}");
        }
    });
}

#[test]
fn macros_are_those_of_the_lists_with_their_defaults() {
    scenario(|| {
        let own = [
            &b"O"[..],
            &6u32.to_be_bytes(),
            &0x1ffu32.to_be_bytes(),
            &0u32.to_be_bytes(),
            &2u32.to_be_bytes(),
            b"{x} i\0",
        ]
        .concat();
        let (filter, other) = (Filter::start(Script::new()), Filter::start(Script::new().answer(own)));
        let options = "milter_connect_macros = {client_addr} client_name {client_ptr} {none}; \
                       milter_macro_defaults = none=given, {x}=1; milter_helo_macros =; milter_macro_daemon_name = D";
        let server = |filter: &Filter| Server::new(&format!("smtpd_milters = {}; {options}", filter.endpoint()));
        let servers = [server(&filter), server(&other)];
        let mail = start(&servers);
        servers.iter().for_each(|server| assert_eq!(server.session(), QUEUED, "{}", mail.log()));
        let heard = filter.heard();
        let connect = "DC{client_addr}|127.0.0.1|client_name|unknown|{client_ptr}|unknown|{none}|given|";
        assert!(heard.iter().any(|line| line == connect) && heard.iter().any(|line| line == "DH"), "{heard:#?}");
        assert!(other.heard().iter().any(|line| line == "DM{x}|1|"), "{:#?}", other.heard());
    });
}

#[test]
fn filters_are_asked_in_their_order_until_one_has_a_word() {
    scenario(|| {
        let first = Filter::start(Script::new().at('R', [say("r")]));
        let second = Filter::start(Script::new());
        let list = format!("{}, {}", first.endpoint(), second.endpoint());
        let servers = [Server::new(&format!("smtpd_milters = {list}"))];
        let mail = start(&servers);
        assert_eq!(servers[0].session(), REJECTED, "{}", mail.log());
        first.wait_heard("Q");
        second.wait_heard("Q");
        assert_eq!((first.events().as_str(), second.events().as_str()), ("OCHMRAAQ", "OCHMAAQ"));
    });
}

#[test]
fn clients_have_filters_of_their_own_or_none() {
    scenario(|| {
        let (all, own) = (Filter::start(Script::new()), Filter::start(Script::new().at('M', [say("r")])));
        let server = |maps: &str| {
            Server::new(&format!("smtpd_milters = {}; smtpd_milter_maps = inline:{{{maps}}}", all.endpoint()))
        };
        let servers =
            [server(&format!("127.0.0.1={}", own.endpoint())), server("127.0.0.1=disable"), server("192.0.2.1=x")];
        let mail = start(&servers);
        let heard: Vec<String> = servers.iter().map(Server::session).collect();
        assert_eq!(heard, [REJECTED, QUEUED, QUEUED], "{}", mail.log());
        all.wait_heard("Q");
        assert_eq!(all.events(), "OCHMRTLLLLLNBEAAQ");
    });
}

#[test]
fn what_is_held_or_discarded_by_a_filter_is_logged_once() {
    scenario(|| {
        let hold = Filter::start(Script::new().at('M', [say("qvery bad\0"), say("c")]));
        let discard = Filter::start(Script::new().at('R', [say("d")]));
        let late = Filter::start(Script::new().at('E', [say("q\0"), say("c")]));
        let servers = [Server::with(&hold), Server::with(&discard), Server::with(&late)];
        let mail = start(&servers);
        servers.iter().for_each(|server| assert_eq!(server.session(), QUEUED, "{}", mail.log()));
        mail.wait_log(&["smtpd", "NOQUEUE: milter-hold: MAIL from unknown[127.0.0.1]: very bad; from=<a@client.test> proto=ESMTP helo=<client.test>"]);
        let lost = ": milter-discard: RCPT from unknown[127.0.0.1]: milter triggers DISCARD action; from=<a@client.test> to=<alice@mail.test> proto=ESMTP helo=<client.test>";
        mail.wait_log(&["smtpd", lost]);
        let end = ": milter-hold: END-OF-MESSAGE from unknown[127.0.0.1]: milter triggers HOLD action; from=<a@client.test> to=<alice@mail.test> proto=ESMTP helo=<client.test>";
        mail.wait_log(&["cleanup", end]);
        assert_eq!(mail.log().matches("milter-hold").count(), 2, "{}", mail.log());
        assert_eq!(mail.queue_ids("hold").len(), 2);
        assert!(mail.wait_mail("alice", 0).is_empty());
    });
}

#[test]
fn an_old_filter_is_spoken_to_in_its_version() {
    scenario(|| {
        let answer =
            |version: u32| [&b"O"[..], &version.to_be_bytes(), &0u32.to_be_bytes(), &0u32.to_be_bytes()].concat();
        let cases = [
            ("2", 2, "OCHMRLLLLLNBEAAQ"),
            ("3", 3, "OCUHMRLLLLLNBEAAQ"),
            ("4", 4, "OCUHMRTLLLLLNBEAAQ"),
            ("6", 2, "OCHMRLLLLLNBEAAQ"),
        ];
        let filters: Vec<Filter> =
            cases.iter().map(|(_, version, _)| Filter::start(Script::new().answer(answer(*version)))).collect();
        let servers: Vec<Server> = cases
            .iter()
            .zip(&filters)
            .map(|((protocol, ..), filter)| {
                Server::new(&format!("smtpd_milters = {}; milter_protocol = {protocol}", filter.endpoint()))
            })
            .collect();
        let mail = start(&servers);
        for (((protocol, _, expected), filter), server) in cases.iter().zip(&filters).zip(&servers) {
            let mut client = server.connect();
            client.command("FOO").expect("a reply");
            client.command("EHLO client.test").expect("a reply");
            let reply = client.send("a@client.test", &["alice@mail.test"], MESSAGE).expect("a reply");
            client.command("QUIT").expect("a reply");
            filter.wait_heard("Q");
            assert_eq!((reply.code, filter.events().as_str()), (250, *expected), "{protocol}:\n{}", mail.log());
        }
    });
}

#[test]
fn who_relays_has_a_filter_that_sees_large_mail_in_pieces() {
    scenario(|| {
        let (sink, filter) = (Sink::v4(), Filter::start(Script::new()));
        let server = Server::with(&filter);
        let mail = setup().set("relayhost", sink.next_hop()).service(&server.line()).start();
        let text = format!("Subject: x\n\n{}", format!("{}\n", "y".repeat(998)).repeat(200));
        let mut client = server.connect();
        client.command("EHLO client.test").expect("a reply");
        let reply = client.send("a@client.test", &["b@elsewhere.test"], &text).expect("a reply");
        assert_eq!(reply.code, 250, "{}", mail.log());
        assert_eq!(filter.events().matches('B').count(), 4);
        let seen: usize = filter
            .heard()
            .iter()
            .filter(|line| line.starts_with('B'))
            .map(|line| line.replace("\\r\\n", "..").len() - 1)
            .sum();
        assert_eq!(seen, 200 * 1000);
        testing::wait::until_true(testing::wait::PATIENCE, || sink.count() == 1);
        assert!(sink.received()[0].text.ends_with(&text[12..]));
    });
}
