//! Questions to a helper process of one's own: numbered packets on a private socket, answered in any order.
//!
//! What a packet says is the helper's matter; its first field is the number of the question ([`wire::fields`]).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

/// Largest question in bytes, for a helper that takes no longer ones.
/// told: who asks, by an error.
pub const MAX: usize = 4096;
/// Largest question in bytes to any helper: it may be about a whole header, which header_size_limit bounds.
/// told: as above.
pub const LONGEST: usize = 128 << 10;
/// Largest answer in bytes.
/// told: who asks, by an error that the helper sends in its place.
pub const MAX_ANSWER: usize = 64 << 10;

/// The asking end of the socket.
pub struct Questions {
    socket: RefCell<Option<OwnedFd>>,
    registered: RefCell<Option<Rc<UnixStream>>>,
    waiting: RefCell<HashMap<u32, oneshot::Sender<Answer>>>,
    next: Cell<u32>,
}

/// An answer: the packet, and the descriptor that came with it.
#[derive(Debug)]
pub struct Answer {
    /// The packet, its number included.
    pub packet: Vec<u8>,
    /// The first descriptor that was attached.
    pub descriptor: Option<OwnedFd>,
}

impl Questions {
    /// Questions go out on `socket`, one end of a pair of packet sockets.
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket: RefCell::new(Some(socket)),
            registered: RefCell::default(),
            waiting: RefCell::default(),
            next: Cell::new(0),
        }
    }

    /// Asks, and waits for the answer. `question` makes the packet for a number; a descriptor may go with it.
    ///
    /// # Errors
    /// `InvalidInput` for a packet that is too long; `BrokenPipe` when the helper is gone; those of sendmsg(2).
    pub async fn ask(&self, question: impl FnOnce(u32) -> Vec<u8>, attached: Option<OwnedFd>) -> io::Result<Answer> {
        let number = self.next.replace(self.next.get().wrapping_add(1));
        let packet = question(number);
        if packet.len() > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "question too long"));
        }
        let socket = self.socket()?;
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(number, sender);
        let asked = Asked { questions: self, number };
        let descriptors: Vec<_> = attached.iter().map(AsFd::as_fd).collect();
        socket
            .async_io(Interest::WRITABLE, || sys::descriptor::send_with(socket.as_fd(), &packet, &descriptors))
            .await?;
        let answer =
            receiver.await.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the helper process is gone"))?;
        drop(asked);
        Ok(answer)
    }

    /// Sends packets whose answers nobody will wait for: whoever asked is about to end. What the helper does not take
    /// within the send timeout of the socket is lost.
    pub fn leave(&self, packets: impl Iterator<Item = Vec<u8>>) {
        let Ok(socket) = self.socket() else { return };
        if sys::descriptor::set_nonblocking(socket.as_fd(), false).is_err() {
            return;
        }
        for packet in packets {
            if sys::descriptor::send_with(socket.as_fd(), &packet, &[]).is_err() {
                return;
            }
        }
    }

    /// The socket, known to the event loop from the first use on. It carries packets, whatever the type's name says.
    fn socket(&self) -> io::Result<Rc<UnixStream>> {
        if let Some(registered) = &*self.registered.borrow() {
            return Ok(Rc::clone(registered));
        }
        let owned = self.socket.borrow_mut().take().ok_or_else(|| io::Error::other("asked before"))?;
        sys::descriptor::set_nonblocking(owned.as_fd(), true)?;
        let registered = Rc::new(UnixStream::from_std(owned.into())?);
        *self.registered.borrow_mut() = Some(Rc::clone(&registered));
        Ok(registered)
    }

    /// Receives the answers for as long as the helper lives: to be run as a task beside the sessions.
    pub async fn listen(&self) {
        let Ok(socket) = self.socket() else { return };
        let mut buffer = vec![0; MAX_ANSWER];
        loop {
            let received = socket
                .async_io(Interest::READABLE, || sys::descriptor::receive_with(socket.as_fd(), &mut buffer))
                .await;
            let (count, descriptors) = match received {
                Ok((count, descriptors)) if count > 0 => (count, descriptors),
                _ => break,
            };
            let packet = buffer[..count].to_vec();
            let first = packet.split(|&byte| byte == 0).next().and_then(wire::fields::number);
            let Some(number) = first else { break };
            if let Some(sender) = self.waiting.borrow_mut().remove(&number) {
                // The session that asked may be gone.
                let _ = sender.send(Answer { packet, descriptor: descriptors.into_iter().next() });
            }
        }
        // Whoever waits learns that there will be no answer.
        self.waiting.borrow_mut().clear();
    }
}

/// The helper's end: hands each question to `take`, until whoever asks is gone.
///
/// # Errors
/// Those of `take` and of recvmsg(2).
pub fn serve(socket: BorrowedFd<'_>, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; LONGEST];
    loop {
        match sys::descriptor::receive_with(socket, &mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok((0, _)) => return Ok(()),
            Ok((count, _)) => take(&buffer[..count])?,
        }
    }
}

/// A question that waits; who gives up waiting is forgotten.
struct Asked<'h> {
    questions: &'h Questions,
    number: u32,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.questions.waiting.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    fn question(number: u32) -> Vec<u8> {
        wire::fields::join(&[number.to_string().as_bytes(), b"?"])
    }

    /// The answering end, by hand.
    fn receive(socket: &OwnedFd) -> Vec<u8> {
        let mut buffer = [0; MAX];
        let (count, _) = sys::descriptor::receive_with(socket.as_fd(), &mut buffer).unwrap();
        buffer[..count].to_vec()
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        runtime.block_on(test);
    }

    #[test]
    fn answers_may_come_in_another_order() {
        run(async {
            let (ours, theirs) = pair();
            let questions = Rc::new(Questions::new(ours));
            let listener = Rc::clone(&questions);
            tokio::task::spawn_local(async move { listener.listen().await });
            let answers = tokio::task::spawn_blocking(move || {
                let (first, second) = (receive(&theirs), receive(&theirs));
                sys::descriptor::send_with(theirs.as_fd(), &second, &[]).unwrap();
                sys::descriptor::send_with(theirs.as_fd(), &first, &[]).unwrap();
                theirs
            });
            let (one, two) = tokio::join!(questions.ask(question, None), questions.ask(question, None));
            assert_eq!((one.unwrap().packet, two.unwrap().packet), (question(0), question(1)));
            drop(answers.await);
            assert!(questions.ask(question, None).await.is_err());
        });
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        run(async {
            let (ours, _theirs) = pair();
            let questions = Questions::new(ours);
            let asked = tokio::time::timeout(Duration::from_millis(1), questions.ask(question, None)).await;
            assert!(asked.is_err());
            assert!(questions.waiting.borrow().is_empty());
        });
    }
}
