//! Who is served: a slab of slots, and keys that do not outlive them.
//!
//! A slot is used again when its owner has left; the generation in key and token tells the old owner from the new, so
//! that an event that was on its way to the old one is dropped.

use std::time::Instant;

use mio::Token;
use slab::Slab;

use super::Readiness;

const PART_BITS: u32 = 1;
/// On machines of 64 bits 31, on those of 32 bits 19: half a million.
const INDEX_BITS: u32 = if usize::BITS == 64 { 31 } else { 19 };
const GENERATION_BITS: u32 = usize::BITS - INDEX_BITS - PART_BITS;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;

/// Names somebody who is served, and nobody after him.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    index: u32,
    generation: u32,
}

/// Which of his two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    First = 0,
    Second = 1,
}

impl Key {
    /// The key that nobody ever has.
    pub const NOBODY: Key = Key { index: INDEX_MASK as u32, generation: 0 };

    /// The token with which one of his sockets is registered.
    pub fn token(self, part: Part) -> Token {
        Token(
            (self.generation as usize) << (INDEX_BITS + PART_BITS) | (self.index as usize) << PART_BITS | part as usize,
        )
    }
}

/// Whom an event is for.
pub(super) enum Place {
    Slot(Key, Part),
    Bell(usize),
}

/// The bells have the last index, which no slot reaches.
pub(super) fn bell(number: usize) -> Token {
    Token(number << (INDEX_BITS + PART_BITS) | INDEX_MASK << PART_BITS)
}

pub(super) fn place(token: Token) -> Place {
    let index = token.0 >> PART_BITS & INDEX_MASK;
    let generation = token.0 >> (INDEX_BITS + PART_BITS);
    if index == INDEX_MASK {
        return Place::Bell(generation);
    }
    let part = if token.0 & 1 == 0 { Part::First } else { Part::Second };
    Place::Slot(Key { index: index as u32, generation: generation as u32 }, part)
}

/// Whether a slot stands in a queue of turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    Soon,
    Yes,
    No,
}

/// Somebody who is served, and what the reactor knows of him.
#[derive(Debug)]
pub struct Slot<T> {
    generation: u32,
    pub value: T,
    /// What his two sockets may do.
    pub ready: [Readiness; 2],
    pub(super) queued: Queued,
    /// The one entry among the deadlines.
    pub(super) armed: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Slots<T> {
    slab: Slab<Slot<T>>,
    next_generation: u32,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { slab: Slab::new(), next_generation: 0 }
    }
}

impl<T> Slots<T> {
    pub(super) fn insert(&mut self, value: T) -> Key {
        let generation = self.next_generation;
        let mask = (1u64 << GENERATION_BITS) - 1;
        self.next_generation = ((u64::from(generation) + 1) & mask) as u32;
        let ready = [Readiness::ALL; 2];
        let index = self.slab.insert(Slot { generation, value, ready, queued: Queued::No, armed: None });
        Key { index: index as u32, generation }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Slot<T>> {
        self.slab.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Slot<T>> {
        self.get_mut(key)?;
        let slot = self.slab.try_remove(key.index as usize);
        if self.slab.is_empty() {
            self.slab.shrink_to_fit();
        }
        slot
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.slab.iter().map(|(index, slot)| Key { index: index as u32, generation: slot.generation }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        for (index, generation) in [(0, 0), (5, 1), (1 << 18, 4_095)] {
            for part in [Part::First, Part::Second] {
                let key = Key { index, generation };
                assert!(matches!(place(key.token(part)), Place::Slot(k, p) if k == key && p == part));
            }
        }
        assert!(matches!(place(bell(7)), Place::Bell(7)));
    }

    #[test]
    fn an_old_key_does_not_open_a_new_slot() {
        let mut slots = Slots::default();
        let old = slots.insert('a');
        assert!(slots.remove(old).is_some());
        let new = slots.insert('b');
        assert_eq!(old.index, new.index);
        assert!(slots.get_mut(old).is_none() && slots.remove(old).is_none());
        assert_eq!(slots.get_mut(new).map(|slot| slot.value), Some('b'));
        assert_eq!((slots.len(), slots.keys()), (1, vec![new]));
    }
}
