//! How fast data may go: of the server, of a user, of a session; each way for itself (`--rate`, `rate=`).
//!
//! A bucket is the virtual clock of all that go through it: it tells each transfer that asks when its next step may be,
//! and puts the time that the step takes at its rate on the clock. So the steps of many transfers queue up in the order
//! in which they asked, and each gets its share; who has to wait sleeps until his time, and need not be looked at. A
//! step that moved less than it was granted, or more, is settled afterwards. Nothing here moves octets: a step is as
//! large as the kernel can make it in one call, and it is `sendfile` as before.

use std::cell::Cell;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use crate::account::{Account, Rate};
use crate::limits::{RATE_BURST, RATE_OCTETS_PER_STEP_MIN, RATE_STEPS_PER_SECOND, TRANSFER_OCTETS_PER_TURN};
use crate::net::Direction;
use crate::options;

/// What goes through at a rate, whoever shares it.
#[derive(Debug)]
struct Bucket {
    rate: NonZeroU64,
    /// When the next octet may go.
    next: Cell<Instant>,
}

impl Bucket {
    fn new(rate: NonZeroU64, now: Instant) -> Rc<Bucket> {
        Rc::new(Bucket { rate, next: Cell::new(now) })
    }

    /// How long so many octets take.
    fn time(&self, octets: usize) -> Duration {
        let nanoseconds = octets as u128 * 1_000_000_000 / u128::from(self.rate.get());
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// The octets of one step: large enough that there are not too many of them, small enough for the others.
    fn step(&self) -> usize {
        let least = RATE_OCTETS_PER_STEP_MIN.min(self.rate.get());
        let step = (self.rate.get() / RATE_STEPS_PER_SECOND).clamp(least, TRANSFER_OCTETS_PER_TURN as u64);
        step as usize
    }

    /// Takes a place for `octets`; says when it is.
    fn reserve(&self, octets: usize, now: Instant) -> Instant {
        let at = self.next.get().max(now.checked_sub(RATE_BURST).unwrap_or(now));
        self.next.set(at + self.time(octets));
        at
    }

    /// Of `granted` octets only so many were moved, or more.
    fn settle(&self, granted: usize, moved: usize) {
        let next = self.next.get();
        let settled = match moved.checked_sub(granted) {
            Some(more) => next.checked_add(self.time(more)),
            None => next.checked_sub(self.time(granted - moved)),
        };
        self.next.set(settled.unwrap_or(next));
    }
}

/// When a transfer may make its next step, and of how many octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub at: Instant,
    pub octets: usize,
}

/// One way of a session: through which buckets it goes.
#[derive(Debug, Default)]
struct Lane {
    buckets: Vec<Rc<Bucket>>,
    /// The place that it has taken, and not used yet.
    taken: Option<Step>,
}

/// What a session may move.
#[derive(Debug)]
pub struct Allowance {
    down: Lane,
    up: Lane,
}

impl Allowance {
    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Out => &mut self.down,
            Direction::In => &mut self.up,
        }
    }

    /// The next step in this direction: the same one until it is [settled](Allowance::settle). Nothing where there is
    /// no limit.
    pub fn step(&mut self, direction: Direction, now: Instant) -> Option<Step> {
        let lane = self.lane(direction);
        if lane.taken.is_none() {
            let octets = lane.buckets.iter().map(|bucket| bucket.step()).min()?;
            let at = lane.buckets.iter().map(|bucket| bucket.reserve(octets, now)).max()?;
            lane.taken = Some(Step { at, octets });
        }
        lane.taken
    }

    /// The step was made, and moved so many octets.
    pub fn settle(&mut self, direction: Direction, moved: usize) {
        let lane = self.lane(direction);
        if let Some(step) = lane.taken.take() {
            lane.buckets.iter().for_each(|bucket| bucket.settle(step.octets, moved));
        }
    }
}

/// The buckets of one user, as long as he has sessions.
type Shared = [Weak<Bucket>; 2];

/// All rates that are in force.
#[derive(Debug)]
pub struct Rates {
    rates: options::Rates,
    server: [Option<Rc<Bucket>>; 2],
    users: HashMap<String, Shared>,
    /// So many users may be known before those without a session are forgotten.
    users_max: usize,
}

const USERS_KNOWN: usize = 64;

impl Rates {
    pub fn new(rates: options::Rates, now: Instant) -> Rates {
        let server = [rates.server.down, rates.server.up].map(|rate| rate.map(|rate| Bucket::new(rate, now)));
        Rates { rates, server, users: HashMap::new(), users_max: USERS_KNOWN }
    }

    /// What a new session of `account` may move; nothing where there is no limit.
    pub fn allow(&mut self, account: &Account, now: Instant) -> Option<Box<Allowance>> {
        let user = self.of_user(&account.name, account.rate.unwrap_or(self.rates.user), now);
        let session = self.rates.session;
        let own = [session.down, session.up].map(|rate| rate.map(|rate| Bucket::new(rate, now)));
        let mut lanes = [Lane::default(), Lane::default()];
        for pair in [self.server.clone(), user, own] {
            for (lane, bucket) in lanes.iter_mut().zip(pair) {
                lane.buckets.extend(bucket);
            }
        }
        let [down, up] = lanes;
        let limited = !(down.buckets.is_empty() && up.buckets.is_empty());
        limited.then(|| Box::new(Allowance { down, up }))
    }

    /// The buckets of a user; new ones where his rate is another than that of the sessions that he has.
    fn of_user(&mut self, name: &str, rate: Rate, now: Instant) -> [Option<Rc<Bucket>>; 2] {
        if rate == Rate::default() {
            return [None, None];
        }
        if self.users.len() >= self.users_max {
            self.users.retain(|_, shared| shared.iter().any(|bucket| bucket.strong_count() > 0));
            self.users_max = (self.users.len() * 2).max(USERS_KNOWN);
        }
        let shared = self.users.entry(name.to_owned()).or_default();
        let rates = [rate.down, rate.up];
        std::array::from_fn(|way| {
            let wanted = rates[way]?;
            let there = shared[way].upgrade().filter(|bucket| bucket.rate == wanted);
            let bucket = there.unwrap_or_else(|| Bucket::new(wanted, now));
            shared[way] = Rc::downgrade(&bucket);
            Some(bucket)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, rate: Option<&str>) -> Account {
        let rate = rate.map(|rate| Rate::parse(rate).unwrap());
        Account {
            name: name.into(),
            rights: crate::account::Rights::READ_ONLY,
            root: "/".into(),
            rate,
            anonymous: false,
        }
    }

    fn rates(server: &str, user: &str, session: &str, now: Instant) -> Rates {
        let [server, user, session] = [server, user, session].map(|rate| Rate::parse(rate).unwrap());
        Rates::new(options::Rates { server, user, session }, now)
    }

    /// Lets those who want to move octets do so for `time`, each as fast as he may, with a clock that goes in steps of
    /// a millisecond, as that of epoll_wait(2) does; what each has moved.
    fn run(wants: &mut [Box<Allowance>], begin: Instant, time: Duration) -> Vec<usize> {
        let mut moved = vec![0; wants.len()];
        for millisecond in 0..time.as_millis() as u64 {
            let now = begin + Duration::from_millis(millisecond);
            // Always the same one first: the order of turns must not matter.
            for (allowance, moved) in wants.iter_mut().zip(&mut moved) {
                while let Some(step) = allowance.step(Direction::Out, now).filter(|step| step.at <= now) {
                    allowance.settle(Direction::Out, step.octets);
                    *moved += step.octets;
                }
            }
        }
        moved
    }

    fn near(octets: usize, expected: usize) -> bool {
        octets.abs_diff(expected) <= expected / 20
    }

    #[test]
    fn one_session_has_its_rate() {
        let begin = Instant::now();
        for rate in [1 << 10, 50_000, 1 << 20, 10 << 20, 1 << 30] {
            let mut rates = rates("0", "0", &rate.to_string(), begin);
            let mut one = [rates.allow(&account("u", None), begin).unwrap()];
            let moved = run(&mut one, begin, Duration::from_secs(10))[0];
            assert!(near(moved, 10 * rate), "{rate}: {moved}");
            // A pause is made up for by a tenth of a second, and no more.
            let later = begin + Duration::from_secs(1_000);
            let moved = run(&mut one, later, Duration::from_secs(5))[0];
            assert!(
                near(moved, 5 * rate + rate / 10) || moved <= 5 * rate + 2 * 1_024,
                "{rate}: {moved} after a pause"
            );
        }
    }

    #[test]
    fn those_who_share_a_rate_share_it_evenly() {
        let begin = Instant::now();
        let mut rates = rates("1M", "0", "0", begin);
        let mut five: Vec<_> = (0..5).map(|_| rates.allow(&account("u", None), begin).unwrap()).collect();
        let moved = run(&mut five, begin, Duration::from_secs(10));
        assert!(near(moved.iter().sum(), 10 << 20), "{moved:?}");
        assert!(moved.iter().all(|moved| near(*moved, 2 << 20)), "{moved:?}");
        // One who comes later waits for nobody to finish.
        five.push(rates.allow(&account("v", None), begin).unwrap());
        let moved = run(&mut five, begin + Duration::from_secs(10), Duration::from_secs(6));
        assert!(moved.iter().all(|moved| near(*moved, 1 << 20)), "{moved:?}");
    }

    #[test]
    fn the_narrowest_of_three_decides() {
        let begin = Instant::now();
        let mut rates = rates("4M", "1M", "600K", begin);
        let mut all: Vec<_> = ["a", "a", "b"].map(|name| rates.allow(&account(name, None), begin).unwrap()).into();
        all.push(rates.allow(&account("c", Some("100K")), begin).unwrap());
        let moved = run(&mut all, begin, Duration::from_secs(10));
        // Two sessions of one user share his, one alone has that of a session, and one has a line of his own.
        for (moved, expected) in moved.iter().zip([512, 512, 600, 100]) {
            assert!(near(*moved, (10 * expected) << 10), "{moved:?}");
        }
    }

    #[test]
    fn the_two_ways_have_nothing_to_do_with_each_other() {
        let begin = Instant::now();
        let mut rates = rates("0", "0", "1M/0", begin);
        let mut one = rates.allow(&account("u", None), begin).unwrap();
        assert!(one.step(Direction::Out, begin).is_some());
        assert_eq!(one.step(Direction::In, begin), None);
        let mut unlimited = super::tests::rates("0", "0", "0", begin);
        assert!(unlimited.allow(&account("u", None), begin).is_none());
        assert!(unlimited.allow(&account("u", Some("0")), begin).is_none());
    }

    #[test]
    fn what_was_not_moved_is_given_back_and_what_was_moved_beyond_is_paid() {
        let begin = Instant::now();
        let mut rates = rates("0", "0", "1000", begin);
        let mut one = rates.allow(&account("u", None), begin).unwrap();
        let step = one.step(Direction::Out, begin).unwrap();
        assert_eq!((step, one.step(Direction::Out, begin).unwrap()), (Step { at: begin, octets: 1_000 }, step));
        one.settle(Direction::Out, 10);
        assert_eq!(one.step(Direction::Out, begin).unwrap().at, begin + Duration::from_millis(10));
        one.settle(Direction::Out, 3_000);
        assert_eq!(one.step(Direction::Out, begin).unwrap().at, begin + Duration::from_millis(3_010));
    }

    #[test]
    fn a_new_rate_is_that_of_new_sessions() {
        let begin = Instant::now();
        let mut rates = rates("0", "0", "0", begin);
        let old = rates.allow(&account("u", Some("1M")), begin).unwrap();
        let same = rates.allow(&account("u", Some("1M")), begin).unwrap();
        let new = rates.allow(&account("u", Some("2M")), begin).unwrap();
        let bucket = |allowance: &Allowance| Rc::as_ptr(&allowance.down.buckets[0]);
        assert_eq!(bucket(&old), bucket(&same));
        assert_ne!(bucket(&old), bucket(&new));
        assert_eq!(new.down.buckets[0].rate.get(), 2 << 20);
    }

    #[test]
    fn users_who_have_left_are_forgotten() {
        let begin = Instant::now();
        let mut rates = rates("0", "1M", "0", begin);
        let kept = rates.allow(&account("kept", None), begin).unwrap();
        for number in 0..10_000 {
            drop(rates.allow(&account(&number.to_string(), None), begin));
        }
        assert!(rates.users.len() <= USERS_KNOWN + 1, "{}", rates.users.len());
        let again = rates.allow(&account("kept", None), begin).unwrap();
        assert!(Rc::ptr_eq(&kept.down.buckets[0], &again.down.buckets[0]));
    }
}
