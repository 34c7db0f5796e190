//! Passive data ports: which ones a session may listen on, and who holds which.
//!
//! `PASV` and `EPSV` (RFC 959 section 4.1.2, RFC 2428 section 3) ask for a port; the pool lends each port to at most
//! one session at a time, so that a stray connection can only ever reach the session that asked for it. Where to begin
//! is drawn at random, for a port that can be guessed can be taken. The pool touches no socket.

use std::ops::RangeInclusive;

use crate::sys;

/// What Linux uses where `/proc/sys/net/ipv4/ip_local_port_range` does not say.
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// The ports of a range, and which of them are lent: one bit each.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    count: usize,
    lent: Vec<u64>,
}

impl Ports {
    /// A pool of `range`.
    pub fn new(range: &RangeInclusive<u16>) -> Ports {
        let count = usize::from(range.end().saturating_sub(*range.start())) + 1;
        Ports { first: *range.start(), count, lent: vec![0; count.div_ceil(64)] }
    }

    /// The range from which the kernel gives ports.
    pub fn ephemeral() -> RangeInclusive<u16> {
        let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        let mut numbers = text.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(first)), Some(Ok(last))) if 0 < first && first <= last => first..=last,
            _ => EPHEMERAL,
        }
    }

    /// Lends a port that is free and for which `listen` succeeds; tries at most `tries` ports.
    pub fn lend<T>(&mut self, tries: usize, mut listen: impl FnMut(u16) -> Option<T>) -> Option<T> {
        let start = (sys::random() % self.count as u64) as usize;
        let free = (0..self.count).map(|step| (start + step) % self.count).filter(|at| !is_set(&self.lent, *at));
        let (at, listener) = free.take(tries).find_map(|at| listen(self.first + at as u16).map(|listener| (at, listener)))?;
        self.lent[at / 64] |= 1 << (at % 64);
        Some(listener)
    }

    /// Takes a port back.
    pub fn give_back(&mut self, port: u16) {
        let at = usize::from(port.wrapping_sub(self.first));
        if at < self.count {
            self.lent[at / 64] &= !(1 << (at % 64));
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

    #[test]
    fn each_port_is_lent_once_and_never_one_outside() {
        let mut ports = Ports::new(&(65_533..=65_535));
        let lent: HashSet<u16> = (0..3).map(|_| ports.lend(64, Some).unwrap()).collect();
        assert_eq!(lent, HashSet::from([65_533, 65_534, 65_535]));
        assert_eq!(ports.lend(64, Some), None);
        ports.give_back(65_534);
        ports.give_back(1);
        assert_eq!(ports.lend(64, Some), Some(65_534));
    }

    #[test]
    fn a_port_that_cannot_be_had_is_stepped_over() {
        let mut ports = Ports::new(&(5_000..=5_003));
        for _ in 0..3 {
            assert!(ports.lend(64, |port| (port != 5_001).then_some(port)).is_some());
        }
        assert_eq!(ports.lend(64, |port| (port != 5_001).then_some(port)), None);
    }

    #[test]
    fn ports_are_drawn_at_random() {
        let mut ports = Ports::new(&(10_000..=60_000));
        let drawn: Vec<u16> = (0..32).map(|_| ports.lend(64, Some).unwrap()).collect();
        assert!(drawn.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count() < 4, "{drawn:?}");
    }
}
