//! New connections of each network and second (`--connections-per-second`).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::Tell;
use super::table::{Table, Worth};
use crate::limits::REFUSALS_TOLD_EVERY;
use crate::net::Network;
use crate::server::meter::Meter;

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Until when those that came are paid for; see [`Meter`].
    paid: Instant,
    /// When the log was last told of one that was refused.
    told: Option<Instant>,
}

/// Who came how often.
#[derive(Debug)]
pub struct Arrivals {
    meter: Meter,
    seen: Table<Seen>,
}

impl Arrivals {
    /// At most `most` at once from one network, and as many in each second.
    pub fn new(most: u32) -> Arrivals {
        Arrivals { meter: Meter::new(most, Duration::from_secs(1)), seen: Table::new() }
    }

    /// Counts one more connection.
    ///
    /// # Errors
    /// It is one too many, and does not count; whether the log should hear of it.
    pub fn count(&mut self, address: IpAddr, now: Instant) -> Result<(), Tell> {
        let network = Network::of(address);
        let Some(seen) = self.seen.get(network) else {
            let seen = Seen { paid: self.meter.spend(now, now, 1), told: None };
            // Who is soon paid up is soon as good as never seen.
            self.seen.insert(network, seen, |seen| Worth::Until(seen.paid));
            return Ok(());
        };
        if self.meter.free(seen.paid, now) == 0 {
            return Err(Tell::once_in_a_while(&mut seen.told, now, REFUSALS_TOLD_EVERY));
        }
        seen.paid = self.meter.spend(seen.paid, now, 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second_and_no_more() {
        let (mut arrivals, begin) = (Arrivals::new(5), Instant::now());
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert!((0..5).all(|_| arrivals.count(address, begin).is_ok()));
        assert_eq!(arrivals.count(address, begin), Err(Tell::Now));
        assert_eq!(arrivals.count(address, begin), Err(Tell::Never), "the log is told of it once a second");
        assert!(arrivals.count("192.0.2.2".parse().unwrap(), begin).is_ok(), "another address");
        // Those that were refused do not count: who goes on knocking gets in at his rate.
        let admitted =
            (1..=10_000).filter(|step| arrivals.count(address, begin + Duration::from_millis(*step)).is_ok());
        assert!((49..=51).contains(&admitted.count()));
    }

    #[test]
    fn an_ipv6_network_is_one() {
        let (mut arrivals, now) = (Arrivals::new(2), Instant::now());
        let mut knock = |address: &str| arrivals.count(address.parse().unwrap(), now).is_ok();
        assert!(knock("2001:db8::1") && knock("2001:db8::2:1") && !knock("2001:db8::ffff:3"));
        assert!(knock("2001:db8:0:1::1"));
    }

    #[test]
    fn a_crowd_does_not_hide_one_who_hammers() {
        let (mut arrivals, now) = (Arrivals::new(100), Instant::now());
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        (0..100).for_each(|_| arrivals.count(address, now).unwrap());
        (0..40_000_u32).for_each(|number| arrivals.count(IpAddr::from(number.to_be_bytes()), now).unwrap());
        assert!(arrivals.count(address, now).is_err(), "he was forgotten");
    }
}
