//! The end of a message: a filter says what it wants changed, change by change, and then its last word.

use std::time::Duration;

use crate::edit::Edit;
use crate::event::Event;
use crate::filter::{Failure, Filter, Verdict, finished};
use crate::negotiation::LEADING_SPACE;
use crate::packet::Head;
use crate::reply::{Reply, ReplyError, Said};

/// Who carries out what a filter wants changed.
#[allow(async_fn_in_trait, reason = "a session never leaves its thread")]
pub trait Editor {
    /// Does it.
    ///
    /// # Errors
    /// It cannot be done: the message is not accepted, for this verdict.
    async fn edit(&mut self, edit: Edit, has_leading_space: bool) -> Result<(), Verdict>;

    /// A piece of the new body, which begins with the first one. An empty one makes an empty body.
    ///
    /// # Errors
    /// As [`edit`](Self::edit).
    fn body(&mut self, piece: &[u8]) -> Result<(), Verdict>;

    /// The new body is complete.
    ///
    /// # Errors
    /// As [`edit`](Self::edit).
    fn end_body(&mut self) -> Result<(), Verdict>;
}

impl Filter {
    /// The changes, up to the last word.
    pub(crate) async fn edits(&mut self, editor: &mut impl Editor, limit: Duration) -> Result<Verdict, Failure> {
        let event = Event::EndOfBody;
        let has_leading_space = self.agreement().steps & LEADING_SPACE != 0;
        let (mut wrong, mut body, mut hold) = (None, Body::Old, None);
        loop {
            let Some(link) = &self.link else { return Ok(Verdict::Continue) };
            let head = link.head(limit).await.map_err(Failure::Exchange)?;
            if head.command != b'b' && head.command != b'p' && body == Body::Coming {
                body = Body::New;
                note(&mut wrong, editor.end_body());
            }
            match head.command {
                b'b' => {
                    if body == Body::New {
                        let text = "body replacement requests can't currently be mixed with other requests";
                        return Err(Failure::Reply(ReplyError::Misconfigured(text.to_owned())));
                    }
                    if body == Body::Old {
                        body = Body::Coming;
                    }
                    let takes = body == Body::Coming;
                    self.new_body(head, editor, takes, &mut wrong, limit).await?;
                }
                command if Edit::is_one(command) => {
                    let data = link.data(head, limit).await.map_err(Failure::Exchange)?;
                    match Edit::parse(command, &data) {
                        Ok(edit) if wrong.is_none() => note(&mut wrong, editor.edit(edit, has_leading_space).await),
                        Ok(_) => {}
                        Err(why) => return Err(Failure::Reply(why)),
                    }
                }
                _ => match finished(link, head, &event, limit).await? {
                    Reply::Progress => {}
                    Reply::Hold(reason) => hold = Some(reason),
                    reply => return Ok(self.last_word(reply, wrong, hold)),
                },
            }
        }
    }

    async fn new_body(
        &self,
        head: Head,
        editor: &mut impl Editor,
        takes: bool,
        wrong: &mut Option<Verdict>,
        limit: Duration,
    ) -> Result<(), Failure> {
        let Some(link) = &self.link else { return Ok(()) };
        let mut left = head.length;
        if takes && wrong.is_none() {
            note(wrong, editor.body(b""));
        }
        while left > 0 {
            let piece = link.piece(left, limit).await.map_err(Failure::Exchange)?;
            left -= piece.len();
            if takes && wrong.is_none() {
                note(wrong, editor.body(&piece));
            }
        }
        Ok(())
    }

    /// What was wrong with the changes overrides everything but what refuses the message for now, or drops it.
    fn last_word(&mut self, reply: Reply, wrong: Option<Verdict>, hold: Option<Vec<u8>>) -> Verdict {
        let verdict = match self.take(&Event::EndOfBody, reply) {
            Verdict::Continue => hold.map_or(Verdict::Continue, Verdict::Hold),
            other => other,
        };
        let is_temporary = |said: &Said| said.code() < 500;
        match (&verdict, wrong) {
            (Verdict::Discard | Verdict::Shutdown, _) | (_, None) => verdict,
            (Verdict::Say(said), Some(_)) if is_temporary(said) => verdict,
            (_, Some(wrong)) => wrong,
        }
    }
}

/// What is known of a new body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// There is none.
    Old,
    /// Its pieces come.
    Coming,
    /// It is complete.
    New,
}

/// The first thing that is wrong counts.
fn note(wrong: &mut Option<Verdict>, result: Result<(), Verdict>) {
    if let Err(verdict) = result {
        wrong.get_or_insert(verdict);
    }
}
