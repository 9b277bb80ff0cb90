//! From the intake into the ledger: messages are taken while there is room for them, and the way of their recipients is
//! looked for.

use std::io;
use std::rc::Rc;

use logging::records;
use queue::Envelope;

use crate::active::Active;
use crate::assign::by_domain;
use crate::intake::{Arrival, LOCKED_WAIT};
use crate::scheduler::MessageKey;
use crate::service::Qmgr;

/// Messages taken in one go, before others get a turn.
/// told: nobody; the rest has its turn.
const MAX_AT_ONCE: usize = 32;

impl Qmgr {
    /// Takes messages as long as there is room for them. A message that has a place already is passed over: cleanup
    /// announces what a scan of the incoming queue may have found, and the other way round.
    pub fn feed(self: &Rc<Self>) {
        for _ in 0..MAX_AT_ONCE {
            if self.is_draining() {
                return;
            }
            let Some(arrival) = self.intake.next(self.suspended.has_room()) else { return };
            if self.intake.claim(&arrival.id) {
                self.take(arrival);
            }
        }
        self.wake.notify_one(); // there may be more
    }

    fn take(self: &Rc<Self>, Arrival { id, source, file }: Arrival) {
        self.index.remove(&id);
        match self.intake.load(&id, source, file, self.ledger.first_chunk()) {
            Ok(Some(message)) => self.begin(message),
            Ok(None) => self.intake.leave(&id),
            Err(error) => {
                // Of a file that is gone nothing is to be told: postsuper, or another name of it, was faster.
                if error.kind() != io::ErrorKind::NotFound {
                    logging::warning!(id: id, "{error}", error = text::system_error(&error));
                    self.intake.look_again_in(LOCKED_WAIT); // it may not have come as far as the active queue
                }
                tokio::task::spawn_local(Rc::clone(self).give_back(id));
            }
        }
    }

    /// A message is in memory. A redirected one is logged with the recipients that the file has, for whoever counts
    /// them.
    fn begin(self: &Rc<Self>, mut message: Active) {
        let size = message.envelope.size.unwrap_or_default();
        logging::emit(&records::qmgr::Active {
            queue_id: message.id.as_str(),
            from: self.settings.log.addresses.shown(&message.envelope.sender),
            size: size.content_length,
            recipients: size.recipients,
        });
        if message.envelope.redirect_to.is_some() {
            redirect(&mut message.envelope);
            message.listed.give_up();
        }
        let key = self.ledger.enter(message);
        self.resolve_read(key);
    }

    /// Finds the way of the recipients that were just read, in a task of its own: each is a question to
    /// trivial-rewrite, and other messages do not wait for its answers.
    pub fn resolve_read(self: &Rc<Self>, key: MessageKey) {
        let Some(recipients) = self.ledger.take_read(key) else { return };
        self.intake.resolving();
        tokio::task::spawn_local(Rc::clone(self).assign(key, recipients));
    }
}

/// A REDIRECT record: the first recipient, in the order in which they are delivered to, stands for all, with that
/// address.
fn redirect(envelope: &mut Envelope) {
    let Some(target) = envelope.redirect_to.clone() else { return };
    envelope.resume = None;
    envelope.recipients.sort_by_cached_key(|recipient| by_domain(&recipient.address));
    // told: nobody; that is what REDIRECT means.
    envelope.recipients.truncate(1);
    for recipient in &mut envelope.recipients {
        recipient.original = std::mem::replace(&mut recipient.address, target.clone());
    }
}
