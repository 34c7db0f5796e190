//! Readiness, turns and time: who may go on, and who goes next. It has never heard of FTP.
//!
//! mio reports edges. They are remembered here ([`Readiness`]) until a call says `WouldBlock`, so that whoever stops
//! early (his budget is spent, a peer does not read) needs no new event: he is queued again.

mod deadlines;
mod slots;

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token, Waker};

use deadlines::Deadlines;
pub use slots::{Key, Part, Slot};
use slots::{Place, Slots};

/// Events taken from the kernel at once.
const EVENTS_PER_WAIT: usize = 1_024;

/// What a socket may do without waiting, as far as is known; it is cleared where a call says `WouldBlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness(u8);

impl Readiness {
    pub const NONE: Readiness = Readiness(0);
    pub const READ: Readiness = Readiness(1);
    pub const WRITE: Readiness = Readiness(2);
    /// A new socket: trying costs less than asking.
    pub const ALL: Readiness = Readiness(3);
    /// Reading less than there was room for does not show that all was read: there is urgent data, at which reading
    /// stops, or the end.
    pub const UNUSUAL: Readiness = Readiness(4);

    /// Whether all of `other` is in it.
    pub fn has(self, other: Readiness) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Readiness) {
        self.0 |= other.0;
    }

    /// Takes `other` out.
    pub fn clear(&mut self, other: Readiness) {
        self.0 &= !other.0;
    }

    fn of(event: &Event) -> Readiness {
        let mut ready = Readiness::NONE;
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            ready.add(Readiness::READ);
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            ready.add(Readiness::WRITE);
        }
        if event.is_priority() || event.is_read_closed() || event.is_error() {
            ready.add(Readiness::UNUSUAL);
        }
        ready
    }
}

/// Waits for events, and hands out turns to whom they are for.
#[derive(Debug)]
pub struct Reactor<T> {
    poll: Poll,
    events: Events,
    slots: Slots<T>,
    turns: VecDeque<Key>,
    /// How many of the turns belong to this round; those queued meanwhile come in the next.
    round: usize,
    deadlines: Deadlines,
    now: Instant,
}

impl<T> Reactor<T> {
    /// A reactor that holds nobody.
    ///
    /// # Errors
    /// The kernel gives no epoll descriptor.
    pub fn new() -> io::Result<Reactor<T>> {
        Ok(Reactor {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            slots: Slots::default(),
            turns: VecDeque::new(),
            round: 0,
            deadlines: Deadlines::default(),
            now: Instant::now(),
        })
    }

    /// Where sockets are registered.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// What another thread wakes this one with; its events are those of bell `number`.
    pub fn waker(&self, number: usize) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), bell(number))
    }

    /// The time after the last wait; one reading serves all turns of a round.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Waits until somebody may go on, or until `latest`; hands the numbers of the bells that rang to `rang`.
    ///
    /// # Errors
    /// What epoll_wait(2) says, which is nothing that a running server can see.
    pub fn wait(&mut self, latest: Option<Instant>, mut rang: impl FnMut(usize)) -> io::Result<()> {
        let until = match (self.deadlines.next(), latest) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let timeout = match self.turns.is_empty() {
            true => until.map(|until| until.saturating_duration_since(Instant::now())),
            false => Some(std::time::Duration::ZERO),
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.now = Instant::now();
        for event in &self.events {
            match slots::place(event.token()) {
                Place::Bell(number) => rang(number),
                Place::Slot(key, part) => {
                    // A stale event, of somebody who has left, finds nobody.
                    if let Some(slot) = self.slots.get_mut(key) {
                        slot.ready[part as usize].add(Readiness::of(event));
                        queue(&mut self.turns, slot, key);
                    }
                }
            }
        }
        while let Some(key) = self.deadlines.pop_expired(self.now) {
            if let Some(slot) = self.slots.get_mut(key) {
                slot.armed = None;
                queue(&mut self.turns, slot, key);
            }
        }
        self.round = self.turns.len();
        Ok(())
    }

    /// Who goes next in this round.
    pub fn next_turn(&mut self) -> Option<Key> {
        while self.round > 0 {
            self.round -= 1;
            let key = self.turns.pop_front()?;
            if let Some(slot) = self.slots.get_mut(key) {
                slot.queued = slots::Queued::No;
                return Some(key);
            }
        }
        None
    }

    /// Takes somebody in; he gets a turn.
    pub fn insert(&mut self, value: T) -> Key {
        let key = self.slots.insert(value);
        self.queue(key);
        key
    }

    /// Queues a turn in the next round.
    pub fn queue(&mut self, key: Key) {
        if let Some(slot) = self.slots.get_mut(key) {
            queue(&mut self.turns, slot, key);
        }
    }

    /// Who is behind `key`, with what his sockets may do.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Slot<T>> {
        self.slots.get_mut(key)
    }

    /// Gives him a turn at `deadline`, if nothing happens before; an earlier one that was set is kept, for it is
    /// cheaper to look once in vain than to move it at every octet.
    pub fn arm(&mut self, key: Key, deadline: Option<Instant>) {
        let (Some(slot), Some(deadline)) = (self.slots.get_mut(key), deadline) else { return };
        if slot.armed.is_none_or(|armed| deadline < armed) {
            self.deadlines.replace(key, slot.armed, deadline);
            slot.armed = Some(deadline);
        }
    }

    /// Lets him go.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.remove(key)?;
        if let Some(armed) = slot.armed {
            self.deadlines.remove(key, armed);
        }
        Some(slot.value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of all of them.
    pub fn keys(&self) -> Vec<Key> {
        self.slots.keys()
    }
}

/// The token of what is nobody's: listeners, signals, wakers.
pub fn bell(number: usize) -> Token {
    slots::bell(number)
}

fn queue<T>(turns: &mut VecDeque<Key>, slot: &mut Slot<T>, key: Key) {
    if slot.queued == slots::Queued::No {
        slot.queued = slots::Queued::Yes;
        turns.push_back(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn turns_come_in_order_and_once() {
        let mut reactor = Reactor::new().unwrap();
        let (a, b) = (reactor.insert('a'), reactor.insert('b'));
        reactor.queue(a);
        reactor.wait(None, |_| ()).unwrap();
        assert_eq!(reactor.next_turn(), Some(a));
        // Who is queued during a round waits for the next.
        reactor.queue(a);
        assert_eq!((reactor.next_turn(), reactor.next_turn()), (Some(b), None));
        reactor.remove(a);
        reactor.wait(None, |_| ()).unwrap();
        assert_eq!(reactor.next_turn(), None);
    }

    #[test]
    fn deadlines_give_turns() {
        let mut reactor = Reactor::new().unwrap();
        let key = reactor.insert(());
        reactor.wait(None, |_| ()).unwrap();
        reactor.next_turn();
        let now = reactor.now();
        reactor.arm(key, Some(now + Duration::from_secs(3_600)));
        reactor.arm(key, Some(now + Duration::from_millis(2)));
        reactor.arm(key, Some(now + Duration::from_secs(1_800)));
        reactor.wait(None, |_| ()).unwrap();
        assert_eq!(reactor.next_turn(), Some(key));
        assert!(reactor.deadlines.next().is_none());
    }

    #[test]
    fn a_waker_rings_its_bell() {
        let mut reactor = Reactor::<()>::new().unwrap();
        let waker = reactor.waker(3).unwrap();
        waker.wake().unwrap();
        let mut rang = Vec::new();
        reactor.wait(None, |number| rang.push(number)).unwrap();
        assert_eq!(rang, [3]);
    }
}
