//! How fast data may go: of the server, of a user, of a session; each way for itself (`--rate`, `rate=`).
//!
//! A bucket is the clock of all that go through it: who may make a step puts the time that it takes at this rate on the
//! clock, and the next one has to wait until then. Those who wait stand in a line; the first of it knows when he may
//! go, and each who goes, or leaves, wakes the next. So each gets his share, and a transfer that has ended holds up
//! nobody; one whose client has closed both connections in silence ends at its next step.
//! A step that moved less than it was granted, or more, is settled afterwards. Nothing here moves octets: a step is as
//! large as the kernel can make it in one call, and it is `sendfile` as before.

mod bucket;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::rc::{Rc, Weak};
use std::time::Instant;

use crate::account::{Account, Rate};
use crate::net::Direction;
use crate::options;
use crate::reactor::Key;
use bucket::{Bucket, Queue};

/// What a transfer may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Move so many octets.
    Go(usize),
    /// Nothing until then, or until it is woken.
    Wait(Instant),
}

/// Where the next step of a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    /// In the line of one bucket, and through those before it.
    InLine {
        key: Key,
        bucket: usize,
        octets: usize,
    },
    /// Through all of them with so many octets.
    Through(usize),
}

/// One way of a session: through which buckets it goes, its own first. The server's is the last, so that the clock that
/// all share is moved on by those alone who go now.
#[derive(Debug)]
struct Lane {
    buckets: Vec<Rc<Bucket>>,
    place: Place,
}

impl Lane {
    fn step(&mut self, key: Key, now: Instant) -> Option<Step> {
        let (mut number, octets) = match self.place {
            Place::Through(octets) => return Some(Step::Go(octets)),
            Place::InLine { bucket, octets, .. } => (bucket, octets),
            Place::Nowhere => (0, self.buckets.iter().map(|bucket| bucket.step()).min()?),
        };
        while let Some(bucket) = self.buckets.get(number) {
            let is_in_line = mem::replace(&mut self.place, Place::Nowhere) != Place::Nowhere;
            if let Err(until) = bucket.enter(key, is_in_line, octets, now) {
                self.place = Place::InLine { key, bucket: number, octets };
                return Some(Step::Wait(until));
            }
            number += 1;
        }
        self.place = Place::Through(octets);
        Some(Step::Go(octets))
    }

    fn settle(&mut self, moved: usize) {
        match mem::replace(&mut self.place, Place::Nowhere) {
            Place::Nowhere => {}
            Place::InLine { key, bucket, octets } => {
                let (through, rest) = self.buckets.split_at(bucket);
                rest.iter().take(1).for_each(|bucket| bucket.leave(key));
                through.iter().for_each(|bucket| bucket.settle(octets, moved));
            }
            Place::Through(octets) => self.buckets.iter().for_each(|bucket| bucket.settle(octets, moved)),
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.settle(0);
    }
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
    pub fn step(&mut self, direction: Direction, key: Key, now: Instant) -> Option<Step> {
        self.lane(direction).step(key, now)
    }

    /// The step was made, and moved so many octets.
    pub fn settle(&mut self, direction: Direction, moved: usize) {
        self.lane(direction).settle(moved);
    }

    /// The transfer has ended: it stands in no line, and what it was granted and has not moved is the others'.
    pub fn leave(&mut self) {
        self.down.settle(0);
        self.up.settle(0);
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
    woken: Rc<Queue>,
}

const USERS_KNOWN: usize = 64;

impl Rates {
    pub fn new(rates: options::Rates, now: Instant) -> Rates {
        let woken = Rc::default();
        let server = [rates.server.down, rates.server.up].map(|rate| rate.map(|rate| Bucket::new(rate, now, &woken)));
        Rates { rates, server, users: HashMap::new(), users_max: USERS_KNOWN, woken }
    }

    /// Whose turn has come, or may have, since this was last asked.
    pub fn take_woken(&mut self) -> VecDeque<Key> {
        self.woken.take()
    }

    /// What a new session of `account` may move; nothing where there is no limit.
    pub fn allow(&mut self, account: &Account, now: Instant) -> Option<Box<Allowance>> {
        let user = self.of_user(&account.name, account.rate.unwrap_or(self.rates.user), now);
        let session = self.rates.session;
        let own = [session.down, session.up].map(|rate| rate.map(|rate| Bucket::new(rate, now, &self.woken)));
        let ways = [own, user, self.server.clone()];
        let [down, up] = [0, 1].map(|way| Lane {
            buckets: ways.iter().filter_map(|pair| pair[way].clone()).collect(),
            place: Place::Nowhere,
        });
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
        let woken = &self.woken;
        std::array::from_fn(|way| {
            let wanted = rates[way]?;
            let there = shared[way].upgrade().filter(|bucket| bucket.rate == wanted);
            let bucket = there.unwrap_or_else(|| Bucket::new(wanted, now, woken));
            shared[way] = Rc::downgrade(&bucket);
            Some(bucket)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reactor::Reactor;

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

    /// Always the same ones.
    fn keys(count: usize) -> Vec<Key> {
        let mut reactor = Reactor::new().unwrap();
        (0..count).map(|_| reactor.insert(())).collect()
    }

    /// Lets those who want to move octets do so for `time`, each as fast as he may, with a clock that goes in steps of
    /// a millisecond, as that of epoll_wait(2) does; what each has moved.
    fn run(wants: &mut [Box<Allowance>], begin: Instant, time: Duration) -> Vec<usize> {
        let (mut moved, keys) = (vec![0; wants.len()], keys(wants.len()));
        for millisecond in 0..time.as_millis() as u64 {
            let now = begin + Duration::from_millis(millisecond);
            // Always the same one first: the order of turns must not matter.
            for ((allowance, moved), key) in wants.iter_mut().zip(&mut moved).zip(&keys) {
                while let Some(Step::Go(octets)) = allowance.step(Direction::Out, *key, now) {
                    allowance.settle(Direction::Out, octets);
                    *moved += octets;
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
        assert!(one.step(Direction::Out, Key::NOBODY, begin).is_some());
        assert_eq!(one.step(Direction::In, Key::NOBODY, begin), None);
        let mut unlimited = super::tests::rates("0", "0", "0", begin);
        assert!(unlimited.allow(&account("u", None), begin).is_none());
        assert!(unlimited.allow(&account("u", Some("0")), begin).is_none());
    }

    #[test]
    fn what_is_shared_is_shared_each_way() {
        let begin = Instant::now();
        for (server, user) in [("1000", "0"), ("0", "1000")] {
            let mut rates = rates(server, user, "0", begin);
            let mut two = [(); 2].map(|()| rates.allow(&account("u", None), begin).unwrap());
            for way in [Direction::Out, Direction::In] {
                let steps = two.each_mut().map(|one| one.step(way, Key::NOBODY, begin));
                let expected = [Step::Go(1_000), Step::Wait(begin + Duration::from_secs(1))];
                assert_eq!(steps, expected.map(Some), "{way:?}");
            }
        }
    }

    #[test]
    fn what_was_not_moved_is_given_back_and_what_was_moved_beyond_is_paid() {
        let begin = Instant::now();
        let mut rates = rates("0", "0", "1000", begin);
        let mut one = rates.allow(&account("u", None), begin).unwrap();
        let step = |one: &mut Allowance| one.step(Direction::Out, Key::NOBODY, begin).unwrap();
        assert_eq!((step(&mut one), step(&mut one)), (Step::Go(1_000), Step::Go(1_000)));
        one.settle(Direction::Out, 10);
        assert_eq!(step(&mut one), Step::Wait(begin + Duration::from_millis(10)));
        let later = begin + Duration::from_millis(10);
        assert_eq!(one.step(Direction::Out, Key::NOBODY, later), Some(Step::Go(1_000)));
        one.settle(Direction::Out, 3_000);
        assert_eq!(step(&mut one), Step::Wait(begin + Duration::from_millis(3_010)));
    }

    /// Whoever leaves while he waits, or before he has moved what he may, takes nothing from those who stay; and the
    /// next in the line is woken.
    #[test]
    fn who_leaves_holds_up_nobody() {
        let begin = Instant::now();
        let (mut rates, keys) = (rates("1M", "0", "0", begin), keys(2_001));
        let mut stays = [rates.allow(&account("u", None), begin).unwrap()];
        for kept in [true, false] {
            let mut leave: Vec<_> = (0..2_000).map(|_| rates.allow(&account("v", None), begin).unwrap()).collect();
            for (number, (allowance, key)) in leave.iter_mut().zip(&keys[1..]).enumerate() {
                let step = allowance.step(Direction::Out, *key, begin);
                assert!(number == 0 || matches!(step, Some(Step::Wait(_))), "{number}: {step:?}");
            }
            rates.take_woken();
            let first = stays[0].step(Direction::Out, keys[0], begin);
            assert!(matches!(first, Some(Step::Wait(_))), "{first:?}");
            match kept {
                true => leave.iter_mut().for_each(|allowance| allowance.leave()),
                false => drop(leave),
            }
            assert_eq!(rates.take_woken().back(), Some(&keys[0]));
            stays[0].leave();
        }
        let moved = run(&mut stays, begin, Duration::from_secs(10))[0];
        assert!(near(moved, 10 << 20), "{moved}");
    }

    /// The user's rate is far below: his sessions are in nobody's way.
    #[test]
    fn who_waits_for_his_own_rate_holds_up_nobody_else() {
        let begin = Instant::now();
        let mut rates = rates("1M", "0", "0", begin);
        let mut all: Vec<_> = (0..20).map(|_| rates.allow(&account("slow", Some("1K")), begin).unwrap()).collect();
        all.push(rates.allow(&account("fast", None), begin).unwrap());
        let moved = run(&mut all, begin, Duration::from_secs(10));
        assert!(near(moved[20], (10 << 20) - (10 << 10)), "{moved:?}");
        assert!(moved[..20].iter().sum::<usize>() <= 12 << 10, "{moved:?}");
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
