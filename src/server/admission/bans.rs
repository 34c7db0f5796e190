//! Failed logins of each network, and the ban that follows from too many (`--ban-after`, `--ban-for`).
//!
//! Failures are forgotten one by one, all of them in `--ban-for`: the users of a large site behind one address may
//! mistype their passwords now and then. A ban that runs is never forgotten for the sake of somebody else; where a
//! crowd has filled its places with bans, the next ones are not counted, and the log says so.

use std::net::IpAddr;
use std::time::Instant;

use super::Tell;
use super::table::{Table, Worth};
use crate::limits::{CROWD_TOLD_EVERY, REFUSALS_TOLD_EVERY};
use crate::net::Network;
use crate::options::Banning;
use crate::server::meter::Meter;

#[derive(Clone, Copy, Debug)]
enum Record {
    /// Until when its failures are paid for; see [`Meter`].
    Failing(Instant),
    /// Until when it is banned, and when the log was last told of one that was refused.
    Banned(Instant, Option<Instant>),
}

/// Who is banned, and who has failed.
#[derive(Debug)]
pub struct Bans {
    rule: Option<Rule>,
    /// When the first ban ends.
    next_end: Option<Instant>,
    /// Who was banned since [`Bans::take_fresh`].
    fresh: Vec<Network>,
    /// When the log was last told that somebody could not be counted.
    crowd_told: Option<Instant>,
}

#[derive(Debug)]
struct Rule {
    banning: Banning,
    meter: Meter,
    records: Table<Record>,
}

/// What came of a failed login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was counted, or nobody counts.
    Counted,
    /// It was one too many.
    Banned(Banning),
    /// It could not be counted: too many others are banned.
    Crowded(Tell),
}

impl Bans {
    /// Without a rule nobody is ever banned.
    pub fn new(banning: Option<Banning>) -> Bans {
        let rule = banning.map(|banning| Rule {
            banning,
            meter: Meter::new(banning.failures, banning.time),
            records: Table::new(),
        });
        Bans { rule, next_end: None, fresh: Vec::new(), crowd_told: None }
    }

    /// Counts a failed login.
    pub fn failed(&mut self, address: IpAddr, now: Instant) -> Verdict {
        let Some(Rule { banning, meter, records }) = &mut self.rule else { return Verdict::Counted };
        let network = Network::of(address);
        let until = now + banning.time;
        let worth = |record: &Record| match record {
            Record::Banned(until, _) if *until > now => Worth::Kept,
            Record::Banned(until, _) => Worth::Until(*until),
            Record::Failing(paid) => Worth::Until(*paid),
        };
        let after = |paid: Instant| match meter.free(paid, now) {
            0 | 1 => Record::Banned(until, None),
            _ => Record::Failing(meter.spend(paid, now, 1)),
        };
        let record = match records.get(network) {
            // Who is banned already is told so when his session has its next turn.
            Some(Record::Banned(until, _)) if *until > now => return Verdict::Counted,
            Some(record) => {
                *record = match record {
                    Record::Failing(paid) => after(*paid),
                    Record::Banned(..) => after(now),
                };
                *record
            }
            None => {
                let record = after(now);
                if !records.insert(network, record, worth) {
                    return Verdict::Crowded(Tell::once_in_a_while(&mut self.crowd_told, now, CROWD_TOLD_EVERY));
                }
                record
            }
        };
        match record {
            Record::Failing(_) => Verdict::Counted,
            Record::Banned(..) => {
                self.fresh.push(network);
                self.next_end = Some(self.next_end.map_or(until, |next| next.min(until)));
                Verdict::Banned(*banning)
            }
        }
    }

    /// Whether `address` is banned, and whether the log should be told that it was refused for it.
    pub fn refuse(&mut self, address: IpAddr, now: Instant) -> Option<Tell> {
        match self.rule.as_mut()?.records.get(Network::of(address))? {
            Record::Banned(until, told) if *until > now => Some(Tell::once_in_a_while(told, now, REFUSALS_TOLD_EVERY)),
            _ => None,
        }
    }

    /// Whether `address` is banned.
    pub fn has(&mut self, address: IpAddr, now: Instant) -> bool {
        let record = self.rule.as_mut().and_then(|rule| rule.records.get(Network::of(address)));
        matches!(record, Some(Record::Banned(until, _)) if *until > now)
    }

    /// Who was banned since the last call: those of them who are here already must go.
    pub fn take_fresh(&mut self) -> Vec<Network> {
        std::mem::take(&mut self.fresh)
    }

    /// When the next ban ends; nothing where none runs.
    pub fn next_end(&self) -> Option<Instant> {
        self.next_end
    }

    /// Hands the networks whose bans have ended to `tell`, and forgets them.
    pub fn end(&mut self, now: Instant, mut tell: impl FnMut(Network)) {
        if self.next_end.is_none_or(|end| end > now) {
            return;
        }
        self.next_end = None;
        let next = &mut self.next_end;
        let Some(rule) = &mut self.rule else { return };
        rule.records.retain(|network, record| match record {
            Record::Failing(paid) => *paid > now,
            Record::Banned(until, _) if *until > now => {
                *next = Some(next.map_or(*until, |next| next.min(*until)));
                true
            }
            Record::Banned(..) => {
                tell(network);
                false
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TIME: Duration = Duration::from_secs(600);

    fn bans(failures: u32) -> Bans {
        Bans::new(Some(Banning { failures, time: TIME }))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn ended(bans: &mut Bans, now: Instant) -> Vec<String> {
        let mut ended = Vec::new();
        bans.end(now, |network| ended.push(network.to_string()));
        ended
    }

    #[test]
    fn the_last_failure_bans_for_a_time() {
        let (mut bans, begin) = (bans(3), Instant::now());
        let (one, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        assert_eq!((bans.failed(one, begin), bans.failed(one, begin)), (Verdict::Counted, Verdict::Counted));
        assert!(!bans.has(one, begin) && bans.next_end().is_none());
        assert_eq!(bans.failed(one, begin), Verdict::Banned(Banning { failures: 3, time: TIME }));
        assert_eq!(bans.failed(one, begin), Verdict::Counted, "one ban is one ban");
        assert!(bans.has(one, begin) && !bans.has(other, begin));
        assert_eq!((bans.take_fresh(), bans.take_fresh()), (vec![Network::of(one)], vec![]));
        assert_eq!((bans.refuse(one, begin), bans.refuse(one, begin)), (Some(Tell::Now), Some(Tell::Never)));
        assert_eq!(bans.refuse(one, begin + REFUSALS_TOLD_EVERY), Some(Tell::Now));
        assert_eq!(bans.refuse(other, begin), None);

        let end = begin + TIME;
        assert_eq!(bans.next_end(), Some(end));
        let before = end - Duration::from_millis(1);
        assert!(bans.has(one, before) && ended(&mut bans, before).is_empty());
        assert!(!bans.has(one, end) && bans.refuse(one, end).is_none());
        assert_eq!(ended(&mut bans, end), ["192.0.2.1"]);
        assert!(bans.next_end().is_none());
        // He begins anew, and is not banned at once.
        assert_eq!(bans.failed(one, end), Verdict::Counted);
    }

    #[test]
    fn the_first_failure_may_be_the_last() {
        let (mut bans, now) = (bans(1), Instant::now());
        assert!(matches!(bans.failed(ip("192.0.2.1"), now), Verdict::Banned(_)));
    }

    #[test]
    fn failures_are_forgotten() {
        let (mut bans, begin) = (bans(10), Instant::now());
        // One a minute is what 10 in 10 minutes allow.
        for minute in 0..1_000 {
            let now = begin + Duration::from_secs(60 * minute);
            assert_eq!(bans.failed(ip("192.0.2.1"), now), Verdict::Counted, "after {minute} minutes");
        }
        // Twice as many are too many in the end.
        let faster = (0..100).map(|step| begin + Duration::from_secs(100_000 + 30 * step));
        let banned = faster.clone().position(|now| matches!(bans.failed(ip("192.0.2.1"), now), Verdict::Banned(_)));
        assert!(banned.is_some_and(|step| (10..=25).contains(&step)), "{banned:?}");
    }

    #[test]
    fn bans_end_one_by_one_and_are_told_of() {
        let (mut bans, begin) = (bans(1), Instant::now());
        let second = Duration::from_secs(1);
        bans.failed(ip("192.0.2.1"), begin);
        bans.failed(ip("2001:db8::1:2:3:4"), begin + second);
        assert_eq!(bans.next_end(), Some(begin + TIME));
        assert_eq!(ended(&mut bans, begin + TIME), ["192.0.2.1"]);
        assert_eq!(bans.next_end(), Some(begin + TIME + second));
        assert!(bans.has(ip("2001:db8::9"), begin + TIME), "the whole of its /64");
        assert_eq!(ended(&mut bans, begin + TIME + second), ["2001:db8::/64"]);
    }

    #[test]
    fn a_crowd_neither_ends_a_ban_nor_hides_who_goes_on_failing() {
        let (mut bans, now) = (bans(5), Instant::now());
        let (banned, failing) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let mut fail = |address, times| (0..times).filter(|_| bans.failed(address, now) != Verdict::Counted).count();
        assert_eq!((fail(banned, 5), fail(failing, 4)), (1, 0));
        assert_eq!((0..40_000_u32).map(|number| fail(IpAddr::from(number.to_be_bytes()), 1)).sum::<usize>(), 0);
        assert!(bans.has(banned, now), "his ban was forgotten");
        assert!(matches!(bans.failed(failing, now), Verdict::Banned(_)), "his failures were forgotten");
    }

    #[test]
    fn a_crowd_of_bans_is_told_of() {
        let (mut bans, now) = (bans(1), Instant::now());
        let verdicts: Vec<Verdict> =
            (0..40_000_u32).map(|number| bans.failed(IpAddr::from(number.to_be_bytes()), now)).collect();
        let told = verdicts.iter().filter(|verdict| **verdict == Verdict::Crowded(Tell::Now)).count();
        let banned = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Banned(_))).count();
        assert_eq!((told, banned), (1, crate::limits::NETWORKS_REMEMBERED));
    }

    #[test]
    fn without_a_rule_nobody_is_banned() {
        let (mut bans, now) = (Bans::new(None), Instant::now());
        assert!((0..1_000).all(|_| bans.failed(ip("192.0.2.1"), now) == Verdict::Counted));
        assert!(!bans.has(ip("192.0.2.1"), now) && bans.refuse(ip("192.0.2.1"), now).is_none());
    }
}
