//! A store of values under small reusable numbers. Jobs and destinations refer to each other by number, so that no
//! reference counting and no hashing stands in the way of a selection. What a number stands for is its type.
//!
//! It must never be indexed with the number of a value that was removed: the owner of a number drops it together with
//! the value. A stale number is a bug of the scheduler, and panics.

use std::ops::{Index, IndexMut};

/// A number that stands for a value of one kind.
pub trait Number: Copy {
    /// The number of a slot.
    fn of(slot: usize) -> Self;

    /// The slot of a number.
    fn slot(self) -> usize;
}

/// Values under numbers; a number is reused after its value was removed.
pub struct Arena<N, T> {
    slots: Vec<Option<T>>,
    free: Vec<N>,
}

impl<N, T> Default for Arena<N, T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<N: Number, T> Arena<N, T> {
    /// Stores a value and tells its number.
    pub fn insert(&mut self, value: T) -> N {
        if let Some(number) = self.free.pop() {
            self.slots[number.slot()] = Some(value);
            return number;
        }
        self.slots.push(Some(value));
        N::of(self.slots.len() - 1)
    }

    /// Takes a value out; `None` when there is none under this number.
    pub fn remove(&mut self, number: N) -> Option<T> {
        let value = self.slots.get_mut(number.slot())?.take()?;
        self.free.push(number);
        Some(value)
    }

    /// The value under a number that may be stale.
    pub fn find(&self, number: N) -> Option<&T> {
        self.slots.get(number.slot())?.as_ref()
    }

    /// All values with their numbers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (N, &T)> {
        let numbered = self.slots.iter().enumerate();
        numbered.filter_map(|(slot, value)| Some((N::of(slot), value.as_ref()?)))
    }

    /// All values with their numbers, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (N, &mut T)> {
        let numbered = self.slots.iter_mut().enumerate();
        numbered.filter_map(|(slot, value)| Some((N::of(slot), value.as_mut()?)))
    }
}

impl<N: Number, T> Index<N> for Arena<N, T> {
    type Output = T;

    fn index(&self, number: N) -> &T {
        // cannot fail: numbers are dropped together with their values
        self.slots[number.slot()].as_ref().expect("a live number")
    }
}

impl<N: Number, T> IndexMut<N> for Arena<N, T> {
    fn index_mut(&mut self, number: N) -> &mut T {
        // cannot fail: numbers are dropped together with their values
        self.slots[number.slot()].as_mut().expect("a live number")
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::JobId;
    use super::*;

    #[test]
    fn the_number_of_a_removed_value_is_reused() {
        let mut arena: Arena<JobId, &str> = Arena::default();
        let first = arena.insert("a");
        arena.insert("b");
        assert_eq!(arena.remove(first), Some("a"));
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.iter().count(), 1);
        assert_eq!(arena.insert("c"), first);
        assert_eq!(arena[first], "c");
    }
}
