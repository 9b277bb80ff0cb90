//! `cargo xtask send SERVER RECIPIENT`: one message over SMTP, every reply shown; for machines without an SMTP client.

use std::net::SocketAddr;

use testing::Client;

use crate::failure::{Failure, Outcome};

#[derive(clap::Args)]
pub struct Options {
    /// `127.0.0.1:2525` or `[::1]:2525`
    server: SocketAddr,
    /// Address to send to
    recipient: String,
    /// Address to send from
    #[arg(long, default_value = "you@mail.test")]
    from: String,
}

pub fn run(options: &Options) -> Outcome {
    let Options { server, recipient, from } = options;
    let text = format!("From: {from}\nTo: {recipient}\nSubject: a message to {server}\n\nhello\n");
    let reply = Client::greet(*server).and_then(|mut client| {
        println!("{}", client.greeting().last());
        client.send(from, &[recipient], &text)
    });
    let reply = reply.map_err(|e| Failure::about(server, e))?;
    println!("{}", reply.last());
    if reply.code == 250 { Ok(()) } else { Err(Failure("the message was refused".to_owned())) }
}
