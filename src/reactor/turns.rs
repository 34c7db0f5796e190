//! Who goes next: two queues that take turns.

use std::collections::VecDeque;

use super::Slot;
use super::slots::{Key, Queued};

/// Keys that wait for a turn. A slot knows whether it waits, so that none waits twice.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Those who have news.
    soon: VecDeque<Key>,
    /// Those who have more to do.
    later: VecDeque<Key>,
    /// How many of `later` belong to this round; those queued meanwhile come in the next.
    round: usize,
    last: Last,
    /// Turns that this round has had.
    gone: usize,
}

/// From which queue the last turn came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    Soon,
    #[default]
    Later,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.soon.is_empty() && self.later.is_empty()
    }

    pub(super) fn begin_round(&mut self) {
        self.round = self.later.len();
        self.gone = 0;
    }

    /// Whether this round has had a turn: each has one at least, whatever the time is.
    pub(super) fn have_gone(&self) -> bool {
        self.gone > 0
    }

    pub(super) fn queue<T>(&mut self, slot: &mut Slot<T>, key: Key) {
        if slot.queued == Queued::No {
            slot.queued = Queued::Yes;
            self.later.push_back(key);
        }
    }

    pub(super) fn queue_soon<T>(&mut self, slot: &mut Slot<T>, key: Key) {
        if slot.queued != Queued::Soon {
            slot.queued = Queued::Soon;
            self.soon.push_back(key);
        }
    }

    /// The next key. One that was queued for later and then soon comes twice, and has no turn waiting the second time.
    pub(super) fn next(&mut self) -> Option<Key> {
        self.gone += 1;
        if (self.last == Last::Later || self.round == 0)
            && let Some(key) = self.soon.pop_front()
        {
            self.last = Last::Soon;
            return Some(key);
        }
        self.last = Last::Later;
        if self.round == 0 {
            return None;
        }
        self.round -= 1;
        self.later.pop_front()
    }
}
