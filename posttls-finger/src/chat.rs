//! What is said to a server and what it says, shown as it comes.

use std::time::Duration;

use smtp_client::Stream;
use smtp_protocol::{Input, Malformed, Newline, Reply, ReplyParser};

/// The longest reply line that is waited for to its end.
/// told: the line that says what is wrong.
const LONGEST_LINE: usize = 64 << 10;

/// A dialogue.
pub(crate) struct Chat {
    pub stream: Stream,
    /// What is said is shown.
    pub is_shown: bool,
    input: Input,
    parser: ReplyParser,
}

/// An answer of the server.
pub(crate) struct Answer {
    /// Nothing where the line is no reply.
    pub reply: Option<Reply>,
    /// The lines of the reply on one line, its code first; 0 where it is none.
    pub text: String,
}

impl Answer {
    /// The server says yes.
    pub(crate) fn is_positive(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.class() == 2)
    }
}

/// Why nothing more can be said. Display is what stands before what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Lost,
    TimedOut,
    Endless,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost connection",
            Self::TimedOut => "timeout",
            Self::Endless => "endless line",
        })
    }
}

impl Chat {
    pub(crate) fn new(stream: Stream, is_shown: bool) -> Self {
        Self { stream, is_shown, input: Input::new(), parser: ReplyParser::new() }
    }

    /// Says a command, and hears the answer.
    pub(crate) async fn ask(&mut self, command: &str, limit: Duration) -> Result<Answer, Broken> {
        if self.is_shown {
            logging::info!("> {}", text::printable(command.as_bytes()));
        }
        let line = format!("{command}\r\n");
        match tokio::time::timeout(limit, self.stream.write(line.as_bytes())).await {
            Ok(Ok(())) => self.answer(limit).await,
            Ok(Err(_)) => Err(Broken::Lost),
            Err(_) => Err(Broken::TimedOut),
        }
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self, limit: Duration) -> Result<Answer, Broken> {
        let wait = async {
            loop {
                if let Some(answer) = self.parse()? {
                    return Ok(answer);
                }
                if self.stream.read(self.input.room()).await.map_err(|_| Broken::Lost)? == 0 {
                    return Err(Broken::Lost);
                }
            }
        };
        tokio::time::timeout(limit, wait).await.unwrap_or(Err(Broken::TimedOut))
    }

    /// What has come before TLS does not count after it.
    pub(crate) fn forget(&mut self) {
        (self.input, self.parser) = (Input::new(), ReplyParser::new());
    }

    fn parse(&mut self) -> Result<Option<Answer>, Broken> {
        while let Some(line) = self.input.line(Newline::Lenient) {
            if self.is_shown {
                logging::info!("< {}", text::printable(line.bytes));
            }
            let parsed = self.parser.line(line.bytes);
            for text in self.parser.excess() {
                logging::warning!("{text}");
            }
            match parsed {
                Ok(Some(reply)) => {
                    let lines: Vec<_> = reply.lines().collect();
                    let text = format!("{} {}", reply.code(), text::printable(&lines.join(&b'\n')));
                    return Ok(Some(Answer { reply: Some(reply), text }));
                }
                Ok(None) => {}
                Err(Malformed(line)) => {
                    let text = format!("0 {}", text::printable(&line));
                    return Ok(Some(Answer { reply: None, text }));
                }
            }
        }
        if self.input.pending().len() > LONGEST_LINE { Err(Broken::Endless) } else { Ok(None) }
    }
}
