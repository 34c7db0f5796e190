//! One rate, its clock, and the line of those who wait for it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::limits::{RATE_BURST, RATE_LOOK, RATE_OCTETS_PER_STEP_MIN, RATE_STEPS_PER_SECOND, TRANSFER_OCTETS_PER_TURN};
use crate::reactor::Key;

/// Sessions, in order.
#[derive(Default)]
pub(super) struct Queue(Cell<VecDeque<Key>>);

impl Queue {
    pub(super) fn take(&self) -> VecDeque<Key> {
        self.0.take()
    }

    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<Key>) -> T) -> T {
        let mut keys = self.0.take();
        let result = work(&mut keys);
        self.0.set(keys);
        result
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|keys| keys.fmt(f))
    }
}

/// What goes through at a rate, whoever shares it.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) rate: NonZeroU64,
    /// When the next octet may go.
    next: Cell<Instant>,
    /// Who waits for that.
    line: Queue,
    /// Those whose turn it may have become.
    woken: Rc<Queue>,
}

impl Bucket {
    pub(super) fn new(rate: NonZeroU64, now: Instant, woken: &Rc<Queue>) -> Rc<Bucket> {
        Rc::new(Bucket { rate, next: Cell::new(now), line: Queue::default(), woken: woken.clone() })
    }

    /// How long so many octets take.
    fn time(&self, octets: usize) -> Duration {
        let nanoseconds = octets as u128 * 1_000_000_000 / u128::from(self.rate.get());
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// The octets of one step: large enough that there are not too many of them, small enough for the others.
    pub(super) fn step(&self) -> usize {
        let least = RATE_OCTETS_PER_STEP_MIN.min(self.rate.get());
        let step = (self.rate.get() / RATE_STEPS_PER_SECOND).clamp(least, TRANSFER_OCTETS_PER_TURN as u64);
        step as usize
    }

    /// Goes through with `octets`, or stands in the line; then, when to look again, though nobody wakes him.
    pub(super) fn enter(&self, key: Key, is_in_line: bool, octets: usize, now: Instant) -> Result<(), Instant> {
        let entered = self.line.with(|line| {
            if !is_in_line {
                line.push_back(key);
            }
            match (line.front() == Some(&key), self.next.get()) {
                (true, next) if next <= now => {
                    line.pop_front();
                    let since = next.max(now.checked_sub(RATE_BURST).unwrap_or(now));
                    self.next.set(since + self.time(octets));
                    Ok(())
                }
                (true, next) => Err(next),
                (false, _) => Err(now + RATE_LOOK),
            }
        });
        if entered.is_ok() {
            self.wake();
        }
        entered
    }

    /// Of `granted` octets only so many were moved, or more.
    pub(super) fn settle(&self, granted: usize, moved: usize) {
        let next = self.next.get();
        let settled = match moved.checked_sub(granted) {
            Some(more) => next.checked_add(self.time(more)),
            None => next.checked_sub(self.time(granted - moved)),
        };
        self.next.set(settled.unwrap_or(next));
        if moved < granted {
            self.wake();
        }
    }

    /// Stands in the line no longer.
    pub(super) fn leave(&self, key: Key) {
        self.line.with(|line| line.retain(|other| *other != key));
        self.wake();
    }

    /// The first in the line looks whether, and when, he may go.
    fn wake(&self) {
        if let Some(first) = self.line.with(|line| line.front().copied()) {
            self.woken.with(|keys| keys.push_back(first));
        }
    }
}
