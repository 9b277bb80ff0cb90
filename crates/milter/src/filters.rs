//! The filters of one session, in the order of the list: each event goes to one after the other, until one has a word
//! about it.

use std::rc::Rc;

use crate::dial::Dial;
use crate::event::Event;
use crate::filter::{Filter, Verdict};
use crate::macros::{Macros, Values};
use crate::settings::Settings;

/// Some filters.
#[derive(Debug, Default)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// Those of a list; nobody has connected to them yet.
    pub fn new(list: &[Rc<Settings>], macros: &Rc<Macros>) -> Filters {
        Filters(list.iter().map(|settings| Filter::new(Rc::clone(settings), Rc::clone(macros))).collect())
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Filter> {
        self.0.iter()
    }

    /// One of them.
    pub fn filter(&mut self, number: usize) -> Option<&mut Filter> {
        self.0.get_mut(number)
    }

    /// Each of them, for somebody else.
    pub fn into_list(self) -> Vec<Filter> {
        self.0
    }

    /// Connects to all.
    pub async fn open(&mut self, dial: &dyn Dial) {
        for filter in &mut self.0 {
            filter.open(dial).await;
        }
    }

    /// Tells them of an event; the first word about it.
    pub async fn event(&mut self, event: &Event<'_>, values: &dyn Values) -> Verdict {
        for filter in &mut self.0 {
            let payload = filter.payload(event.stage(), values);
            let verdict = filter.event(event, &payload).await;
            if verdict != Verdict::Continue {
                return verdict;
            }
        }
        Verdict::Continue
    }

    /// Tells those who want to know of a recipient that was turned down; what they say changes nothing.
    pub async fn rejected_recipient(&mut self, words: &[&[u8]], values: &dyn Values) {
        let event = Event::Recipient(words);
        for filter in self.0.iter_mut().filter(|filter| filter.wants_rejected_recipients()) {
            let payload = filter.payload(event.stage(), values);
            let _ = filter.event(&event, &payload).await;
        }
    }

    /// What the first that has said anything for good has said.
    pub fn standing(&self) -> Option<&Verdict> {
        self.0.iter().find_map(Filter::standing)
    }

    /// The message is over.
    pub async fn abort(&mut self) {
        for filter in &mut self.0 {
            filter.abort().await;
        }
    }

    /// The session is over.
    pub async fn close(&mut self) {
        for filter in &mut self.0 {
            filter.close().await;
        }
        self.0.clear();
    }
}
