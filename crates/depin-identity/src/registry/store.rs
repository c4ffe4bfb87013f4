//! Lists of a million entries whose copies share what they hold: a change copies one chunk, never the list.

use alloc::{sync::Arc, vec::Vec};
use core::cmp::Ordering;

/// A list that only grows at its end.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    chunks: Arc<Vec<Arc<Vec<T>>>>,
    len: usize,
}

impl<T: Clone> Slab<T> {
    const CHUNK: usize = 256;

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        let at = usize::try_from(at).ok()?;
        self.chunks.get(at.checked_div(Self::CHUNK)?)?.get(at.checked_rem(Self::CHUNK)?)
    }

    pub(super) fn set(&mut self, at: u32, value: T) {
        let Ok(at) = usize::try_from(at) else { return };
        let (Some(chunk), Some(inside)) = (at.checked_div(Self::CHUNK), at.checked_rem(Self::CHUNK)) else {
            return;
        };
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(chunk).map(Arc::make_mut);
        if let Some(place) = chunk.and_then(|chunk| chunk.get_mut(inside)) {
            *place = value;
        }
    }

    /// Adds `value`; gives its place.
    pub(super) fn push(&mut self, value: T) -> u32 {
        let chunks = Arc::make_mut(&mut self.chunks);
        match chunks.last_mut().filter(|last| last.len() < Self::CHUNK) {
            Some(last) => Arc::make_mut(last).push(value),
            None => chunks.push(Arc::new(alloc::vec![value])),
        }
        // 2^32 entries do not fit into any memory.
        let at = u32::try_from(self.len).unwrap_or(u32::MAX);
        self.len = self.len.saturating_add(1);
        at
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Arc::default(), len: 0 }
    }
}

/// A sorted list of small entries.
#[derive(Clone, Debug)]
pub(super) struct Sorted<T> {
    shelves: Arc<Vec<Shelf<T>>>,
}

#[derive(Clone, Debug)]
struct Shelf<T> {
    /// The first of its entries, beside those of the other shelves: a search needs no pointer of a shelf but one.
    first: T,
    entries: Arc<Vec<T>>,
}

impl<T: Copy> Sorted<T> {
    const SHELF: usize = 512;

    /// The list of `entries`, which ascend.
    pub(super) fn of(entries: &[T]) -> Self {
        let shelves = entries
            .chunks(Self::SHELF)
            .filter_map(|chunk| Some(Shelf { first: *chunk.first()?, entries: Arc::new(chunk.to_vec()) }));
        Self { shelves: Arc::new(shelves.collect()) }
    }

    /// The entry for which `order` is equal, where `order` says how an entry stands to what is sought.
    pub(super) fn find(&self, order: impl Fn(&T) -> Ordering) -> Option<&T> {
        let entries = &self.shelves.get(self.shelf(&order)?)?.entries;
        entries.get(entries.binary_search_by(&order).ok()?)
    }

    /// Inserts `entry` at its place; `order` says how an entry stands to it.
    pub(super) fn insert(&mut self, entry: T, order: impl Fn(&T) -> Ordering) {
        let at = self.shelf(&order).unwrap_or(0);
        let shelves = Arc::make_mut(&mut self.shelves);
        let Some(shelf) = shelves.get_mut(at) else {
            shelves.push(Shelf { first: entry, entries: Arc::new(alloc::vec![entry]) });
            return;
        };
        let entries = Arc::make_mut(&mut shelf.entries);
        let inside = entries.partition_point(|known| order(known).is_lt());
        entries.insert(inside, entry);
        if inside == 0 {
            shelf.first = entry;
        }
        if entries.len() > Self::SHELF {
            let rest = entries.split_off(Self::SHELF.div_euclid(2));
            entries.shrink_to_fit();
            if let Some(first) = rest.first() {
                let next = Shelf { first: *first, entries: Arc::new(rest) };
                shelves.insert(at.saturating_add(1), next);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.shelves.iter().flat_map(|shelf| shelf.entries.iter())
    }

    /// The shelf on which something in this order stands, or would stand; none while there are no shelves.
    fn shelf(&self, order: &impl Fn(&T) -> Ordering) -> Option<usize> {
        let after = self.shelves.partition_point(|shelf| order(&shelf.first).is_le());
        if self.shelves.is_empty() { None } else { Some(after.saturating_sub(1)) }
    }
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { shelves: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sorted_list_is_a_set_and_its_copies_stay_as_they_were(
            start in prop::collection::btree_set(any::<u16>(), 0..3000),
            more in prop::collection::vec(any::<u16>(), 0..3000),
        ) {
            let mut known = start.clone();
            let sorted: Vec<u16> = start.iter().copied().collect();
            let mut list = Sorted::of(&sorted);
            let copy = list.clone();
            for entry in more {
                let is_new = list.find(|one| one.cmp(&entry)).is_none();
                prop_assert_eq!(is_new, known.insert(entry));
                if is_new {
                    list.insert(entry, |one| one.cmp(&entry));
                }
            }
            prop_assert!(list.iter().eq(known.iter()));
            prop_assert!(copy.iter().eq(start.iter()));
            let all: BTreeSet<u16> = list.iter().copied().collect();
            for entry in 0..=u16::MAX {
                prop_assert_eq!(list.find(|one| one.cmp(&entry)).is_some(), all.contains(&entry));
            }
        }

        #[test]
        fn a_slab_is_a_list_and_its_copies_stay_as_they_were(len in 0..1500_u32, changed in any::<prop::sample::Index>()) {
            let mut slab = Slab::default();
            for value in 0..len {
                prop_assert_eq!(slab.push(value), value);
            }
            let copy = slab.clone();
            slab.push(len);
            let at = u32::try_from(changed.index(usize::try_from(len).unwrap() + 1)).unwrap();
            slab.set(at, u32::MAX);
            for index in 0..=len {
                let expected = if index == at { u32::MAX } else { index };
                prop_assert_eq!(slab.get(index), Some(&expected));
                prop_assert_eq!(copy.get(index), Some(&index).filter(|_| index < len));
            }
            prop_assert_eq!((slab.get(len + 1), copy.len()), (None, usize::try_from(len).unwrap()));
        }
    }
}
