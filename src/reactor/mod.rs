//! Readiness, turns and time: who may go on, and who goes next. It has never heard of FTP.
//!
//! mio reports edges. They are remembered here ([`Readiness`]) until a call says `WouldBlock`, so that whoever stops
//! early (his budget is spent, a peer does not read) needs no new event: he is queued again.
//!
//! There are two queues. Whose first socket has news (a command came) goes before those who only have more to do, and
//! the kernel is asked for news four times a millisecond, however long the queues are: a command is not held up by a
//! hundred transfers. The two take turns, so that commands do not hold up transfers either.

mod deadlines;
mod slots;
mod turns;

use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Registry, Token, Waker};

use deadlines::Deadlines;
pub use slots::{Key, Part, Slot};
use slots::{Place, Queued, Slots};
use turns::Turns;

/// The kernel is asked for news this often, if not before.
const ROUND_MAX: Duration = Duration::from_micros(250);
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
    turns: Turns,
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
            turns: Turns::default(),
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
            false => Some(Duration::ZERO),
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
                        match part {
                            Part::First => self.turns.queue_soon(slot, key),
                            Part::Second => self.turns.queue(slot, key),
                        }
                    }
                }
            }
        }
        while let Some(key) = self.deadlines.pop_expired(self.now) {
            if let Some(slot) = self.slots.get_mut(key) {
                slot.armed = None;
                self.turns.queue(slot, key);
            }
        }
        self.turns.begin_round();
        Ok(())
    }

    /// Who goes next in this round, which ends when all had their turn, or the kernel should be asked for news.
    pub fn next_turn(&mut self) -> Option<Key> {
        if self.turns.have_gone() && self.now.elapsed() >= ROUND_MAX {
            return None;
        }
        while let Some(key) = self.turns.next() {
            if let Some(slot) = self.slots.get_mut(key) {
                // One who was promoted stands in the other queue too.
                if std::mem::replace(&mut slot.queued, Queued::No) != Queued::No {
                    return Some(key);
                }
            }
        }
        None
    }

    /// Whether nobody waits for a turn but him who has it.
    pub fn is_alone(&self) -> bool {
        self.turns.is_empty()
    }

    /// Takes somebody in; he gets a turn.
    pub fn insert(&mut self, value: T) -> Key {
        let key = self.slots.insert(value);
        self.queue_soon(key);
        key
    }

    /// Queues a turn in the next round.
    pub fn queue(&mut self, key: Key) {
        if let Some(slot) = self.slots.get_mut(key) {
            self.turns.queue(slot, key);
        }
    }

    /// The same, before those who only have more to do.
    pub fn queue_soon(&mut self, key: Key) {
        if let Some(slot) = self.slots.get_mut(key) {
            self.turns.queue_soon(slot, key);
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn news_goes_first_and_holds_up_nobody() {
        let mut reactor = Reactor::new().unwrap();
        let busy: Vec<Key> = (0..4).map(|name| reactor.insert(name)).collect();
        reactor.wait(None, |_| ()).unwrap();
        while reactor.next_turn().is_some() {}
        busy.iter().for_each(|&key| reactor.queue(key));
        let caller = reactor.insert(4);
        // Promoted, and not given a second turn for the place that he leaves.
        reactor.queue_soon(busy[2]);
        reactor.wait(None, |_| ()).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| reactor.next_turn()).collect();
        assert_eq!(order, [caller, busy[0], busy[2], busy[1], busy[3]]);
    }

    #[test]
    fn a_round_ends_in_time_and_has_one_turn_at_least() {
        let mut reactor = Reactor::new().unwrap();
        let keys: Vec<Key> = (0..3).map(|name| reactor.insert(name)).collect();
        for key in keys {
            reactor.wait(None, |_| ()).unwrap();
            reactor.now -= ROUND_MAX;
            assert_eq!((reactor.next_turn(), reactor.next_turn()), (Some(key), None));
        }
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
