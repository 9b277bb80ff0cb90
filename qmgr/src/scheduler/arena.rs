//! A store of values under small reusable numbers. Jobs and destinations refer to each other by number, so
//! that no reference counting and no hashing stands in the way of a selection.
//!
//! It must never be indexed with the number of a value that was removed: the owner of a number drops it together
//! with the value. A stale number is a bug of the scheduler, and panics.

use std::ops::{Index, IndexMut};

/// Values under numbers; a number is reused after its value was removed.
pub struct Arena<T> {
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Arena<T> {
    /// Stores a value and tells its number.
    pub fn insert(&mut self, value: T) -> usize {
        if let Some(number) = self.free.pop() {
            self.slots[number] = Some(value);
            return number;
        }
        self.slots.push(Some(value));
        self.slots.len() - 1
    }

    /// Takes a value out; `None` when there is none under this number.
    pub fn remove(&mut self, number: usize) -> Option<T> {
        let value = self.slots.get_mut(number)?.take()?;
        self.free.push(number);
        Some(value)
    }

    /// The value under a number that may be stale.
    pub fn find(&self, number: usize) -> Option<&T> {
        self.slots.get(number)?.as_ref()
    }

    /// All values with their numbers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let numbered = self.slots.iter().enumerate();
        numbered.filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
    }

    /// All values with their numbers, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        let numbered = self.slots.iter_mut().enumerate();
        numbered.filter_map(|(number, slot)| Some((number, slot.as_mut()?)))
    }
}

impl<T> Index<usize> for Arena<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        // cannot fail: numbers are dropped together with their values
        self.slots[number].as_ref().expect("a live number")
    }
}

impl<T> IndexMut<usize> for Arena<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        // cannot fail: numbers are dropped together with their values
        self.slots[number].as_mut().expect("a live number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_removed_value_is_reused() {
        let mut arena = Arena::default();
        let first = arena.insert("a");
        arena.insert("b");
        assert_eq!(arena.remove(first), Some("a"));
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.iter().count(), 1);
        assert_eq!(arena.insert("c"), first);
        assert_eq!(arena[first], "c");
    }
}
