//! How much may happen in a time, and how much has: so many things at once, and one more each time that an interval
//! has passed (the "generic cell rate algorithm" of ATM). Pure: the time is handed in.
//!
//! All that is remembered is one time: until when what has happened is paid for. Who is paid up (`paid <= now`) is as
//! good as somebody who was never seen, and need not be remembered.

use std::time::{Duration, Instant};

/// A rate of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// What one thing costs.
    interval: Duration,
    /// What may be owed.
    period: Duration,
}

impl Meter {
    /// At most `count` things at once, and as many in each `period` in the long run; `count` is 1 at least.
    pub fn new(count: u32, period: Duration) -> Meter {
        Meter { interval: (period / count.max(1)).max(Duration::from_nanos(1)), period }
    }

    /// How many things may happen at `now`.
    pub fn free(self, paid: Instant, now: Instant) -> usize {
        let owed = paid.saturating_duration_since(now);
        let free = self.period.saturating_sub(owed).as_nanos() / self.interval.as_nanos();
        usize::try_from(free).unwrap_or(usize::MAX)
    }

    /// What is remembered once `count` more things have happened at `now`.
    pub fn spend(self, paid: Instant, now: Instant, count: u32) -> Instant {
        paid.max(now) + self.interval.saturating_mul(count)
    }

    /// When one more thing may happen.
    pub fn next(self, paid: Instant) -> Instant {
        let wait = self.period.saturating_sub(self.interval);
        paid.checked_sub(wait).unwrap_or(paid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_one_more_each_interval() {
        let (meter, begin) = (Meter::new(10, Duration::from_secs(1)), Instant::now());
        let mut paid = begin;
        assert_eq!(meter.free(paid, begin), 10);
        for left in (0..10).rev() {
            paid = meter.spend(paid, begin, 1);
            assert_eq!(meter.free(paid, begin), left);
        }
        let next = meter.next(paid);
        assert_eq!(next, begin + Duration::from_millis(100));
        assert_eq!(meter.free(paid, next - Duration::from_nanos(1)), 0);
        assert_eq!(meter.free(paid, next), 1);
        // Rest is not saved up beyond one period.
        assert_eq!(meter.free(paid, begin + Duration::from_secs(3_600)), 10);
        let later = begin + Duration::from_secs(3_600);
        assert_eq!(meter.free(meter.spend(paid, later, 4), later), 6);
    }

    #[test]
    fn in_the_long_run_it_is_the_rate() {
        for count in [1, 3, 1_000, 50_000] {
            let (meter, begin) = (Meter::new(count, Duration::from_secs(1)), Instant::now());
            let (mut paid, mut happened) = (begin, 0);
            for step in 0..10_000 {
                let now = begin + Duration::from_millis(step);
                let free = meter.free(paid, now);
                paid = meter.spend(paid, now, free as u32);
                happened += free;
            }
            let (least, most) = (10 * count as usize, 11 * count as usize + count as usize / 1_000 + 1);
            assert!((least..=most).contains(&happened), "{count}: {happened}");
        }
    }
}
