//! The users of the system, where the user database is a server somewhere else: it may be slow, and it may fail.
//!
//! The database is that of the C library's module `hesiod`, which asks the DNS: a name server of the test holds it up.
//! It fails when it is not told in which domain to ask.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};

use scenarios::scenario;
use testing::{Client, Instance, Setup, World};

/// A mail system whose users are those of /etc/passwd, and of a database of that domain.
fn start(world: &World, domain: &str) -> Instance {
    setup(world, domain).start()
}

fn setup(world: &World, domain: &str) -> Setup {
    world.new_file("/etc/hesiod.conf", &format!("lhs=.ns\n{domain}"));
    world.file("/etc/nsswitch.conf", "passwd: files hesiod\ngroup: files\nhosts: files dns\n");
    world.file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n");
    Setup::new().set("local_recipient_maps", "unix:passwd.byname $alias_maps")
}

/// A name server that tells of every question, and answers "no such name" to all of them when it is allowed to.
struct SlowServer {
    asked: Receiver<()>,
    allowed: Sender<()>,
}

impl SlowServer {
    fn start() -> SlowServer {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("port 53");
        let ((tell, asked), (allowed, wait)) = (channel(), channel::<()>());
        std::thread::spawn(move || serve(&socket, &tell, &wait));
        SlowServer { asked, allowed }
    }
}

fn serve(socket: &UdpSocket, tell: &Sender<()>, wait: &Receiver<()>) {
    let mut questions: Vec<(Vec<u8>, SocketAddr)> = Vec::new();
    let mut buffer = [0; 1500];
    let mut is_held = true;
    while let Ok((count, from)) = socket.recv_from(&mut buffer) {
        questions.push((buffer[..count].to_vec(), from));
        // The test has seen what it wanted to see, or is over.
        let _ = tell.send(());
        if is_held && wait.recv().is_err() {
            return;
        }
        is_held = false;
        for (mut answer, to) in questions.drain(..) {
            // RFC 1035 4.1.1: it is a response, recursion is available, there is no such name.
            answer[2] |= 0x80;
            answer[3] = 0x83;
            drop(socket.send_to(&answer, to));
        }
    }
}

#[test]
fn a_look_up_of_a_user_that_takes_long_holds_up_nobody_else() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let server = SlowServer::start();
        let mail = start(&world, "rhs=.hesiod.test\n");
        // So many that the worker of the one that waits serves others too.
        let mut clients: Vec<Client> = (0..8).map(|_| Client::greet(mail.v4()).expect("connected")).collect();
        let mut waiting = clients.remove(0);
        waiting.command("MAIL FROM:<x@client.test>").expect("reply");
        waiting.write(b"RCPT TO:<stranger@mail.test>\r\n").expect("sent");
        server.asked.recv().expect("a question");
        for client in &mut clients {
            assert_eq!(client.command("MAIL FROM:<x@client.test>").expect("reply").code, 250);
        }
        server.allowed.send(()).expect("the server runs");
        let reply = waiting.reply().expect("reply");
        assert!(reply.last().starts_with("550 5.1.1 <stranger@mail.test>"), "{reply:?}");
    });
}

#[test]
fn a_table_of_users_that_takes_long_holds_up_nobody_else() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let server = SlowServer::start();
        let list = "check_helo_access unix:passwd.byname";
        let mail = setup(&world, "rhs=.hesiod.test\n").set("smtpd_helo_restrictions", list).start();
        let mut clients: Vec<Client> = (0..8).map(|_| Client::greet(mail.v4()).expect("connected")).collect();
        let mut waiting = clients.remove(0);
        assert_eq!(waiting.command("HELO stranger").expect("reply").code, 250);
        waiting.command("MAIL FROM:<x@client.test>").expect("reply");
        waiting.write(b"RCPT TO:<root@mail.test>\r\n").expect("sent");
        server.asked.recv().expect("a question");
        for client in &mut clients {
            assert_eq!(client.command("MAIL FROM:<x@client.test>").expect("reply").code, 250);
        }
        server.allowed.send(()).expect("the server runs");
        assert_eq!(waiting.reply().expect("reply").code, 250);
    });
}

#[test]
fn a_process_that_hangs_ends_and_says_so_and_the_next_one_serves() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let server = SlowServer::start();
        // A look-up that is made where the process stands.
        let maps = ("smtpd_discard_ehlo_keyword_address_maps", "unix:passwd.byname");
        let settings = setup(&world, "rhs=.hesiod.test\n").set(maps.0, maps.1);
        let mail = settings.set("daemon_timeout", "6s").set("service_throttle_time", "1s").start();
        let _client = TcpStream::connect(mail.v4()).expect("connected");
        server.asked.recv().expect("a question");
        let line = mail.wait_log(&["/smtpd[", "]: fatal: watchdog timeout"]);
        let pid = line.split("/smtpd[").nth(1).and_then(|rest| rest.split(']').next()).expect("a process").to_owned();
        mail.wait_log(&["warning: process ", "/smtpd pid ", &pid, " exit status 1"]);
        server.allowed.send(()).expect("the server runs");
        let mut next = Client::greet(mail.v4()).expect("connected");
        assert_eq!(next.command("NOOP").expect("reply").code, 250);
    });
}

#[test]
fn a_table_of_users_that_fails_defers_what_depends_on_it() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let list = "check_helo_access unix:passwd.byname";
        let mail = setup(&world, "").set("smtpd_helo_restrictions", list).start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("HELO a.stranger").expect("reply");
        client.command("MAIL FROM:<x@client.test>").expect("reply");
        let reply = client.command("RCPT TO:<root@mail.test>").expect("reply");
        assert_eq!(reply.last(), "451 4.3.5 <a.stranger>: Helo command rejected: Server configuration error");
        mail.wait_log(&["warning: unix:passwd.byname lookup error for \""]);
    });
}

#[test]
fn a_user_database_that_fails_is_no_unknown_user_for_the_client() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let mail = start(&world, "");
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("MAIL FROM:<x@client.test>").expect("reply");
        let reply = client.command("RCPT TO:<stranger@mail.test>").expect("reply");
        assert_eq!(reply.last(), "451 4.3.0 <stranger@mail.test>: Temporary lookup failure");
        // Those whom it need not ask for are served.
        assert_eq!(client.command("RCPT TO:<root@mail.test>").expect("reply").code, 250);
    });
}

#[test]
fn a_user_database_that_fails_defers_local_mail() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let mail = start(&world, "");
        mail.sendmail(&["-f", "alice@mail.test", "stranger@mail.test"], "Subject: hello\n\nbody\n");
        mail.wait_log(&["warning: error looking up passwd info for stranger: "]);
        mail.wait_log(&["to=<stranger@mail.test>, relay=local, ", "dsn=4.0.0, status=deferred (user lookup error)"]);
    });
}

#[test]
fn a_look_up_of_a_user_that_takes_long_holds_up_no_other_local_delivery() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let server = SlowServer::start();
        let mail = start(&world, "rhs=.hesiod.test\n");
        mail.sendmail(&["-f", "bob@mail.test", "stranger@mail.test"], "Subject: hello\n\nbody\n");
        server.asked.recv().expect("a question");
        mail.sendmail(&["-f", "bob@mail.test", "alice@mail.test"], "Subject: hello\n\nbody\n");
        mail.wait_mail("alice", 1);
        server.allowed.send(()).expect("the server runs");
        mail.wait_log(&["to=<stranger@mail.test>, relay=local, ", "status=bounced (unknown user: \"stranger\")"]);
    });
}
