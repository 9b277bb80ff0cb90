//! How tables ask what is out of their process's reach: the users and groups of the system, and the servers of clients.
//!
//! The databases may be servers somewhere else, which take as long as they like. A command asks them where it stands. A
//! daemon has no databases in reach, and other clients to serve: it says once how questions go out ([`reach`]), and
//! wraps searches in [`settled`], which waits for answers between two attempts, while other sessions go on. A search
//! that is not wrapped waits where it stands.
//!
//! What it must never do: take an answer that is not there for "no such user".

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::served;

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Database {
    /// passwd.byname
    Users,
    /// group.byname
    Groups,
    /// That of a table behind a client, by the number that the table has ([`crate::client::served`]).
    Client(u32),
}

impl Database {
    /// The database of the system with the name that a table has it by, `unix:NAME`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "passwd.byname" => Some(Self::Users),
            "group.byname" => Some(Self::Groups),
            _ => None,
        }
    }
}

/// What is looked up where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The database.
    pub database: Database,
    /// The name of a user or group, or another key.
    pub name: Vec<u8>,
}

impl Question {
    /// Asks the system itself, and waits as long as it takes. The answer is the line of the entry, or the rows of a
    /// server; an error is its reason.
    ///
    /// # Errors
    /// The database says neither yes nor no.
    pub fn ask_system(&self) -> Answer {
        if let Database::Client(number) = self.database {
            return served::ask(number, &self.name);
        }
        // No database has a name that is no text, or has a NUL in it.
        let Ok(name) = std::str::from_utf8(&self.name) else { return Ok(None) };
        if name.is_empty() || name.contains('\0') {
            return Ok(None);
        }
        // waits: in a command, or in a process or thread for it
        let found = match self.database {
            Database::Groups => sys::identity::group_line(name),
            Database::Users | Database::Client(_) => sys::identity::passwd_line(name),
        };
        found.map_err(|error| text::system_error(&error))
    }
}

/// The line of an entry, or the rows of a server, or that there is none; an error is the reason why nobody can say.
pub type Answer = Result<Option<Vec<u8>>, String>;

/// How a process without the databases in reach asks, and waits where it stands.
pub type Reach = Box<dyn Fn(&Question) -> Answer + Send + Sync>;
/// How the event loop asks, and goes on.
pub type Later = Rc<dyn Fn(Question) -> Pin<Box<dyn Future<Output = Answer>>>>;

static REACH: OnceLock<Reach> = OnceLock::new();
static ANNOUNCED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static LATER: RefCell<Option<Later>> = const { RefCell::new(None) };
    static ATTEMPT: RefCell<Option<Attempt>> = const { RefCell::new(None) };
}

/// What one search knows already, and what it has to ask.
#[derive(Default)]
struct Attempt {
    answers: HashMap<Question, Answer>,
    wanted: Option<Question>,
    /// The answer that came last: what is odd in the others has been told.
    newest: Option<Question>,
}

/// Whether this process has opened a table of users or groups.
pub fn is_used() -> bool {
    ANNOUNCED.load(Ordering::Relaxed)
}

pub(crate) fn announce() {
    ANNOUNCED.store(true, Ordering::Relaxed);
}

/// From now on questions of this process go out like this. Only the first call counts.
pub fn reach(reach: Reach) {
    let _ = REACH.set(reach);
}

/// From now on searches of this thread that are wrapped in [`settled`] wait like this.
pub fn reach_later(later: Later) {
    LATER.set(Some(later));
}

/// The answer; `None` when the search that asks is made again with it.
pub(crate) fn answer(question: &Question) -> Option<Answer> {
    let known = ATTEMPT.with_borrow_mut(|attempt| {
        let attempt = attempt.as_mut()?;
        let known = attempt.answers.get(question).cloned();
        if known.is_none() {
            attempt.wanted.get_or_insert_with(|| question.clone());
        }
        Some(known)
    });
    known.unwrap_or_else(|| Some(REACH.get().map_or_else(|| question.ask_system(), |reach| reach(question))))
}

/// Whether the log has not heard of an answer in an earlier attempt of the same search.
pub(crate) fn is_news(question: &Question) -> bool {
    ATTEMPT.with_borrow(|attempt| attempt.as_ref().is_none_or(|attempt| attempt.newest.as_ref() == Some(question)))
}

/// Answers that one search may need; a longer one waits for the rest where it stands.
/// told: nobody; the result is the same.
const MOST: usize = 100;

/// The result of a search that may have to ask the system: it is made again with every answer that it lacked, and has
/// to be one without other effects.
pub async fn settled<T>(search: impl Fn() -> T) -> T {
    let Some(later) = LATER.with_borrow(Clone::clone) else { return search() };
    let (mut answers, mut newest) = (HashMap::new(), None);
    while answers.len() < MOST {
        let (result, attempt) = attempt(&search, answers, newest);
        let Some(question) = attempt.wanted else { return result };
        answers = attempt.answers;
        let answer = later(question.clone()).await;
        newest = Some(question.clone());
        answers.insert(question, answer);
    }
    search()
}

fn attempt<T>(search: impl Fn() -> T, answers: HashMap<Question, Answer>, newest: Option<Question>) -> (T, Attempt) {
    /// A search that panics ends its session alone, and leaves nothing to the next one.
    struct Cleared;
    impl Drop for Cleared {
        fn drop(&mut self) {
            ATTEMPT.set(None);
        }
    }
    ATTEMPT.set(Some(Attempt { answers, wanted: None, newest }));
    let cleared = Cleared;
    let result = search();
    let attempt = ATTEMPT.take().unwrap_or_default();
    drop(cleared);
    (result, attempt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Maps, OpenFlags, Settings};

    use std::cell::Cell;
    use std::task::{Context, Poll, Waker};

    /// Answers that take a turn of the loop each: everybody has a group, nobody but `alice` is a user, and of `bob`
    /// nobody can say.
    fn later(asked: Rc<RefCell<Vec<String>>>) -> Later {
        Rc::new(move |question: Question| {
            let name = String::from_utf8(question.name).unwrap();
            asked.borrow_mut().push(name.clone());
            let turn = Cell::new(false);
            Box::pin(std::future::poll_fn(move |_| {
                if !turn.replace(true) {
                    return Poll::Pending;
                }
                Poll::Ready(match (question.database, name.as_str()) {
                    (Database::Users, "bob") => Err("out of order".to_owned()),
                    (Database::Users, "alice") | (Database::Groups, _) => Ok(Some(format!("{name}:x").into_bytes())),
                    _ => Ok(None),
                })
            }))
        })
    }

    /// What a search gives, and how often the loop had a turn before that.
    fn turns<T>(future: impl Future<Output = T>) -> (T, usize) {
        let mut future = Box::pin(future);
        let mut context = Context::from_waker(Waker::noop());
        for turn in 0.. {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return (result, turn);
            }
        }
        unreachable!()
    }

    #[test]
    fn a_search_waits_for_every_answer_that_it_needs_and_the_loop_does_not() {
        let asked = Rc::new(RefCell::new(Vec::new()));
        reach_later(later(Rc::clone(&asked)));
        let list = "unix:passwd.byname unionmap:{unix:passwd.byname,unix:group.byname}";
        let maps = Maps::open(Settings::default(), "t", list, OpenFlags::default()).unwrap();
        let (found, waited) = turns(settled(|| maps.lookup(b"alice")));
        assert_eq!((found.unwrap(), waited), (Some(b"alice:x".to_vec()), 1));
        let (found, waited) = turns(settled(|| maps.lookup(b"carol")));
        assert_eq!((found.unwrap(), waited), (Some(b"carol:x".to_vec()), 2));
        let (found, _) = turns(settled(|| maps.lookup(b"bob")));
        assert_eq!(found.unwrap_err().reason(), "out of order");
        assert_eq!(*asked.borrow(), ["alice", "carol", "carol", "bob"]);
        LATER.set(None);
        assert!(ATTEMPT.take().is_none());
    }

    #[test]
    fn a_search_that_panics_leaves_nothing_behind() {
        reach_later(later(Rc::default()));
        let search = || -> () { panic!("a fault") };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| turns(settled(search))));
        assert!(result.is_err() && ATTEMPT.take().is_none());
        LATER.set(None);
    }
}
