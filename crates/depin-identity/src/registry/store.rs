//! Lists of a million entries whose copies share what they hold: a change copies one chunk, never the list.

use alloc::{sync::Arc, vec::Vec};
use core::cmp::Ordering;

/// A list that only grows at its end.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    /// Full ones: behind one pointer each are the entries themselves, so that a look-up waits for memory once.
    chunks: Arc<Vec<Arc<[T]>>>,
    last: Arc<Vec<T>>,
}

impl<T: Clone> Slab<T> {
    const CHUNK: usize = 256;

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.chunks.len().saturating_mul(Self::CHUNK).saturating_add(self.last.len())
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        let (chunk, inside) = Self::place(at)?;
        match self.chunks.get(chunk) {
            Some(chunk) => chunk.get(inside),
            None if chunk == self.chunks.len() => self.last.get(inside),
            None => None,
        }
    }

    pub(super) fn set(&mut self, at: u32, value: T) {
        let Some((chunk, inside)) = Self::place(at) else { return };
        let place = if chunk == self.chunks.len() {
            Arc::make_mut(&mut self.last).get_mut(inside)
        } else {
            let chunk = Arc::make_mut(&mut self.chunks).get_mut(chunk).map(Arc::make_mut);
            chunk.and_then(|chunk| chunk.get_mut(inside))
        };
        if let Some(place) = place {
            *place = value;
        }
    }

    /// Adds `value`; gives its place.
    pub(super) fn push(&mut self, value: T) -> u32 {
        // 2^32 entries do not fit into any memory.
        let at = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let last = Arc::make_mut(&mut self.last);
        last.push(value);
        if last.len() >= Self::CHUNK {
            Arc::make_mut(&mut self.chunks).push(core::mem::take(last).into());
        }
        at
    }

    fn place(at: u32) -> Option<(usize, usize)> {
        let at = usize::try_from(at).ok()?;
        Some((at.checked_div(Self::CHUNK)?, at.checked_rem(Self::CHUNK)?))
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Arc::default(), last: Arc::default() }
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
    entries: Arc<[T]>,
}

impl<T: Copy> Sorted<T> {
    const SHELF: usize = 512;

    /// The list of `entries`, which ascend.
    pub(super) fn of(entries: &[T]) -> Self {
        let shelves = entries
            .chunks(Self::SHELF)
            .filter_map(|chunk| Some(Shelf { first: *chunk.first()?, entries: chunk.into() }));
        Self { shelves: Arc::new(shelves.collect()) }
    }

    /// The entry for which `order` is equal, where `order` says how an entry stands to what is sought. The search begins where `guess` thinks that it is
    /// among so many entries from this one to the first of the next shelf.
    pub(super) fn find(
        &self,
        order: impl Fn(&T) -> Ordering,
        guess: impl FnOnce((&T, Option<&T>), usize) -> usize,
    ) -> Option<&T> {
        let at = self.shelf(&order)?;
        let shelf = self.shelves.get(at)?;
        let next = self.shelves.get(at.saturating_add(1)).map(|next| &next.first);
        let entries = &*shelf.entries;
        let guess = guess((&shelf.first, next), entries.len());
        let within = gallop(entries, guess.min(entries.len().saturating_sub(1)), &order);
        within.get(within.binary_search_by(&order).ok()?)
    }

    /// Inserts `entry` at its place; `order` says how an entry stands to it.
    pub(super) fn insert(&mut self, entry: T, order: impl Fn(&T) -> Ordering) {
        let at = self.shelf(&order).unwrap_or(0);
        let shelves = Arc::make_mut(&mut self.shelves);
        let Some(shelf) = shelves.get_mut(at) else {
            shelves.push(Shelf { first: entry, entries: [entry].into() });
            return;
        };
        let mut entries = Vec::with_capacity(shelf.entries.len().saturating_add(1));
        entries.extend_from_slice(&shelf.entries);
        let inside = entries.partition_point(|known| order(known).is_lt());
        entries.insert(inside, entry);
        if inside == 0 {
            shelf.first = entry;
        }
        let half = if entries.len() > Self::SHELF { Self::SHELF.div_euclid(2) } else { entries.len() };
        let rest = entries.split_off(half);
        shelf.entries = entries.into();
        if let Some(first) = rest.first() {
            let next = Shelf { first: *first, entries: rest.into() };
            shelves.insert(at.saturating_add(1), next);
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

/// The part of ascending `entries` around `guess` in which alone what is sought can be: the further off it is, the wider.
fn gallop<'a, T>(entries: &'a [T], guess: usize, order: &impl Fn(&T) -> Ordering) -> &'a [T] {
    let is_below = |at: usize| entries.get(at).is_some_and(|entry| order(entry).is_lt());
    let (mut from, mut to, mut step) = (guess, guess, 4_usize);
    if is_below(guess) {
        while is_below(to) {
            (from, to) = (to, to.saturating_add(step));
            step = step.saturating_mul(2);
        }
    } else {
        while from > 0 && !is_below(from) {
            (to, from) = (from, from.saturating_sub(step));
            step = step.saturating_mul(2);
        }
    }
    entries.get(from..entries.len().min(to.saturating_add(1))).unwrap_or(entries)
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
                let is_new = list.find(|one| one.cmp(&entry), |_, len| len / 2).is_none();
                prop_assert_eq!(is_new, known.insert(entry));
                if is_new {
                    list.insert(entry, |one| one.cmp(&entry));
                }
            }
            prop_assert!(list.iter().eq(known.iter()));
            prop_assert!(copy.iter().eq(start.iter()));
            let all: BTreeSet<u16> = list.iter().copied().collect();
            for entry in 0..=u16::MAX {
                // From wherever one begins.
                for guess in [0, 7, usize::from(entry) % 512, usize::MAX] {
                    let near = list.find(|one| one.cmp(&entry), |_, _| guess);
                    prop_assert_eq!(near.is_some(), all.contains(&entry));
                }
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
