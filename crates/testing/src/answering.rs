//! An SMTP server that answers each recipient as it is told to, and remembers every line that it heard: for those who
//! only ask.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::port::Port;

/// A running server. It ends with the process.
pub struct Answering {
    port: Port,
    heard: Arc<Mutex<Vec<String>>>,
}

type Answer = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Answering {
    /// Answers RCPT by the address, without its brackets; with `None` it says nothing more. DATA is answered with
    /// `data`, and nothing is taken.
    pub fn start(data: &str, answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Answering {
        let port = Port::reserve();
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap_or_else(|e| panic!("server: {e}"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (data, answer): (Arc<str>, Arc<Answer>) = (data.into(), Arc::new(answer));
        let hearing = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, data, answer) = (Arc::clone(&hearing), Arc::clone(&data), Arc::clone(&answer));
                // A client that hangs up in the middle is the client's business.
                std::thread::spawn(move || serve(stream, &heard, &data, &*answer));
            }
        });
        Answering { port, heard }
    }

    /// It as a next hop without a DNS look-up: `[127.0.0.1]:2525`.
    pub fn next_hop(&self) -> String {
        format!("[127.0.0.1]:{}", self.port.number())
    }

    /// Every line that it heard; `(lost)` for a client that did not say QUIT.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a recipient was asked about.
    pub fn asked(&self, address: &str) -> usize {
        self.heard().iter().filter(|line| **line == format!("RCPT TO:<{address}>")).count()
    }
}

fn serve(mut stream: TcpStream, heard: &Mutex<Vec<String>>, data: &str, answer: &Answer) -> io::Result<()> {
    let keep = |line: &str| heard.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    let input = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 answering.test ESMTP\r\n")?;
    for line in input.lines() {
        let line = line?;
        keep(&line);
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                match answer(address) {
                    Some(reply) => reply,
                    None => continue,
                }
            }
            "DATA" => data.to_owned(),
            "QUIT" => {
                stream.write_all(b"221 2.0.0 Bye\r\n")?;
                return Ok(());
            }
            _ => "250 2.0.0 Ok".to_owned(),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes())?;
    }
    keep("(lost)");
    Ok(())
}
