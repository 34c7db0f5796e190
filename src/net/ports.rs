//! Passive data ports: which ones a session may listen on, and who holds which.
//!
//! `PASV` and `EPSV` (RFC 959 section 4.1.2, RFC 2428 section 3) ask for a port; the pool lends each port to at most
//! one session at a time, so that a stray connection can only ever reach the session that asked for it. Where to begin
//! is drawn at random, for a port that can be guessed can be taken. The pool touches no socket.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use crate::sys;

/// What Linux uses where `/proc/sys/net/ipv4/ip_local_port_range` does not say.
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// The pool of passive ports; clones are the same pool.
#[derive(Clone, Debug)]
pub struct PortPool(Arc<Mutex<Ports>>);

/// A port that is lent; dropped, it goes back.
#[derive(Debug)]
pub struct Lease {
    port: u16,
    pool: PortPool,
}

impl PortPool {
    /// A pool of `range`, or of the ports that the kernel gives by itself.
    pub fn new(range: Option<&RangeInclusive<u16>>) -> PortPool {
        let ports = range.map_or_else(|| Ports::new(&ephemeral()), Ports::new);
        PortPool(Arc::new(Mutex::new(ports)))
    }

    /// Lends a port that is free and for which `listen` succeeds; tries at most `tries` ports.
    pub fn lend<T>(&self, tries: usize, listen: impl FnMut(u16) -> Option<T>) -> Option<(T, Lease)> {
        let (listener, port) = self.ports(|ports| ports.lend(tries, listen))?;
        Some((listener, Lease { port, pool: self.clone() }))
    }

    /// Whether more than half of the ports are free.
    fn is_ample(&self) -> bool {
        self.ports(|ports| ports.used * 2 < ports.count)
    }

    fn ports<T>(&self, work: impl FnOnce(&mut Ports) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lease {
    /// Its number.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it may be kept without need: others will hardly miss it.
    pub fn may_be_kept(&self) -> bool {
        self.pool.is_ample()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.ports(|ports| ports.give_back(self.port));
    }
}

/// The first port that needs no privilege.
pub fn unprivileged_port_start() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    text.trim().parse().unwrap_or(1_024)
}

/// The range from which the kernel gives ports.
fn ephemeral() -> RangeInclusive<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if 0 < first && first <= last => first..=last,
        _ => EPHEMERAL,
    }
}

/// The ports of a range, and which of them are lent: one bit each.
#[derive(Debug)]
struct Ports {
    first: u16,
    count: usize,
    used: usize,
    lent: Vec<u64>,
}

impl Ports {
    fn new(range: &RangeInclusive<u16>) -> Ports {
        let count = usize::from(range.end().saturating_sub(*range.start())) + 1;
        Ports { first: *range.start(), count, used: 0, lent: vec![0; count.div_ceil(64)] }
    }

    fn lend<T>(&mut self, tries: usize, mut listen: impl FnMut(u16) -> Option<T>) -> Option<(T, u16)> {
        let start = (sys::random() % self.count as u64) as usize;
        let free = (0..self.count).map(|step| (start + step) % self.count).filter(|at| !is_set(&self.lent, *at));
        let (at, listener) =
            free.take(tries).find_map(|at| listen(self.first + at as u16).map(|listener| (at, listener)))?;
        self.lent[at / 64] |= 1 << (at % 64);
        self.used += 1;
        Some((listener, self.first + at as u16))
    }

    fn give_back(&mut self, port: u16) {
        let at = usize::from(port.wrapping_sub(self.first));
        if at < self.count {
            self.lent[at / 64] &= !(1 << (at % 64));
            self.used -= 1;
        }
    }
}

fn is_set(lent: &[u64], at: usize) -> bool {
    lent[at / 64] & 1 << (at % 64) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn pool(range: RangeInclusive<u16>) -> PortPool {
        PortPool::new(Some(&range))
    }

    #[test]
    fn each_port_is_lent_once_and_never_one_outside() {
        let ports = pool(65_533..=65_535);
        let mut leases: Vec<Lease> = (0..3).map(|_| ports.lend(64, Some).unwrap().1).collect();
        let lent: HashSet<u16> = leases.iter().map(Lease::port).collect();
        assert_eq!(lent, HashSet::from([65_533, 65_534, 65_535]));
        assert!(ports.lend(64, Some).is_none());
        let back = leases.pop().unwrap().port();
        assert_eq!(ports.lend(64, Some).unwrap().0, back);
    }

    #[test]
    fn a_port_that_cannot_be_had_is_stepped_over() {
        let ports = pool(5_000..=5_003);
        let listen = |port| (port != 5_001).then_some(port);
        let leases: Vec<_> = (0..3).map(|_| ports.lend(64, listen).unwrap()).collect();
        assert!(leases.iter().all(|(port, lease)| *port == lease.port()));
        assert!(ports.lend(64, listen).is_none());
    }

    #[test]
    fn ports_are_drawn_at_random() {
        let ports = pool(10_000..=60_000);
        let leases: Vec<Lease> = (0..32).map(|_| ports.lend(64, Some).unwrap().1).collect();
        assert!(leases.windows(2).filter(|pair| pair[0].port() + 1 == pair[1].port()).count() < 4, "{leases:?}");
    }
}
