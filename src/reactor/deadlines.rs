//! When somebody must be looked at even if nothing happens: at most one entry for each.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Key;

#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(Instant, Key)>);

impl Deadlines {
    /// The earliest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(deadline, _)| *deadline)
    }

    /// Sets the entry of `key`, which was at `old`.
    pub(super) fn replace(&mut self, key: Key, old: Option<Instant>, new: Instant) {
        if let Some(old) = old {
            self.0.remove(&(old, key));
        }
        self.0.insert((new, key));
    }

    pub(super) fn remove(&mut self, key: Key, old: Instant) {
        self.0.remove(&(old, key));
    }

    /// Takes out the next entry whose time has come.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Key> {
        let (deadline, _) = self.0.first()?;
        if *deadline > now {
            return None;
        }
        self.0.pop_first().map(|(_, key)| key)
    }
}
