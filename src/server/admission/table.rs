//! What is remembered of networks, in memory of a fixed size: whoever comes from many addresses makes nothing grow.
//!
//! A network has its place in one of eight slots, which a keyed hash chooses, so that nobody can tell who shares them.
//! Where all eight are taken, he goes whom it harms least to forget; the caller says who that is.

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use crate::limits::NETWORKS_REMEMBERED;
use crate::net::Network;

const SLOTS: usize = 8;

/// Whether a network may be forgotten, for the sake of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Whoever has the earliest time goes first; one that is over is worth nothing.
    Until(Instant),
    /// He is not forgotten.
    Kept,
}

/// A network, and what is remembered of it.
type Slot<T> = Option<(Network, T)>;

/// What is remembered of at most `NETWORKS_REMEMBERED` networks.
#[derive(Debug)]
pub struct Table<T> {
    sets: Vec<[Slot<T>; SLOTS]>,
    hasher: RandomState,
}

impl<T: Copy> Table<T> {
    pub fn new() -> Table<T> {
        Table { sets: vec![[None; SLOTS]; NETWORKS_REMEMBERED / SLOTS], hasher: RandomState::new() }
    }

    fn set(&mut self, network: Network) -> &mut [Slot<T>] {
        let at = self.hasher.hash_one(network) as usize % self.sets.len();
        &mut self.sets[at]
    }

    /// What is remembered of `network`.
    pub fn get(&mut self, network: Network) -> Option<&mut T> {
        let slots = self.set(network).iter_mut().flatten();
        slots.filter(|(other, _)| *other == network).map(|(_, value)| value).next()
    }

    /// Remembers `value` of a network that is not remembered; says whether there was room.
    pub fn insert(&mut self, network: Network, value: T, worth: impl Fn(&T) -> Worth) -> bool {
        let rank = |slot: &Slot<T>| match slot {
            None => (0, None),
            Some((_, value)) => match worth(value) {
                Worth::Until(time) => (1, Some(time)),
                Worth::Kept => (2, None),
            },
        };
        let Some(slot) = self.set(network).iter_mut().min_by_key(|slot| rank(slot)) else { return false };
        if rank(slot).0 == 2 {
            return false;
        }
        *slot = Some((network, value));
        true
    }

    /// Forgets those for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(Network, &T) -> bool) {
        for slot in self.sets.iter_mut().flatten() {
            if slot.as_ref().is_some_and(|(network, value)| !keep(*network, value)) {
                *slot = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn network(number: u32) -> Network {
        Network::of(number.to_be_bytes().into())
    }

    #[test]
    fn it_remembers_and_forgets() {
        let (mut table, now) = (Table::new(), Instant::now());
        let worth = |_: &u32| Worth::Until(now);
        assert!((0..100).all(|number| table.insert(network(number), number, worth)));
        assert!((0..100).all(|number| table.get(network(number)).copied() == Some(number)));
        assert_eq!(table.get(network(100)), None);
        table.retain(|_, value| *value != 7);
        assert_eq!(table.get(network(7)), None);
        assert_eq!(table.get(network(8)).copied(), Some(8));
    }

    #[test]
    fn it_never_grows_and_keeps_those_that_matter() {
        let (mut table, now) = (Table::new(), Instant::now());
        let worth = |value: &u32| match value {
            0 => Worth::Kept,
            value => Worth::Until(now + Duration::from_secs(u64::from(*value))),
        };
        assert!((0..50).all(|number| table.insert(network(number), 0, worth)));
        // Far more than there is room for; those that come later are worth more.
        let most = 20 * NETWORKS_REMEMBERED as u32;
        let inserted = (1_000..1_000 + most).filter(|number| table.insert(network(*number), *number, worth)).count();
        assert_eq!(inserted, most as usize);
        let there = table.sets.iter().flatten().flatten().count();
        assert_eq!((there, table.sets.len() * SLOTS), (NETWORKS_REMEMBERED, NETWORKS_REMEMBERED));
        assert!((0..50).all(|number| table.get(network(number)).is_some()), "one that is kept was forgotten");
        assert!(table.get(network(1_000 + most - 1)).is_some() && table.get(network(1_000)).is_none());
    }

    #[test]
    fn where_all_are_kept_there_is_no_room() {
        let mut table = Table::new();
        let kept = (0..).take_while(|number| table.insert(network(*number), (), |()| Worth::Kept)).count();
        assert!((SLOTS..=NETWORKS_REMEMBERED).contains(&kept));
    }
}
