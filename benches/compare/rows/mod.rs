//! The rows of the comparison.

pub mod downloads;
pub mod latency;
pub mod listings;
pub mod names;
pub mod sessions;
pub mod start;
pub mod tls;
pub mod uploads;

use std::time::{Duration, Instant};

use crate::engine::Outcome;
use crate::race::Clients;
use crate::support::{GIB, unless_quick};
use crate::table::{CPU_PER_FILE, CPU_PER_GIB, FAIRNESS, FILES, Metric, THROUGHPUT};

/// Until when a round of small work goes on.
pub fn round_end() -> Instant {
    Instant::now() + Duration::from_secs_f64(unless_quick(0.3, 0.1))
}

/// Numbers of a round that moved large files.
pub fn of_octets(outcome: &Outcome, cpu: f64) -> Vec<(Metric, f64)> {
    let octets = outcome.octets() as f64;
    vec![(THROUGHPUT, octets / outcome.seconds / 1e9), (CPU_PER_GIB, cpu * GIB as f64 / octets)]
}

/// The same of several at once.
pub fn of_many(outcome: &Outcome, cpu: f64) -> Vec<(Metric, f64)> {
    let mut told = of_octets(outcome, cpu);
    told.push((FAIRNESS, outcome.fairness()));
    told
}

/// Numbers of a round of small files.
pub fn of_files(outcome: &Outcome, cpu: f64) -> Vec<(Metric, f64)> {
    let count = outcome.done.len() as f64;
    vec![(FILES, count / outcome.seconds), (CPU_PER_FILE, 1e6 * cpu / count)]
}

/// Every session receives `name` once, and it must have `size` octets.
pub fn receive_once(clients: &mut Clients, name: &str, size: u64) -> Outcome {
    let Clients { engine, bare } = clients;
    let mut outcome = engine.all(usize::MAX, || Clients::receive(*bare, name));
    outcome.expect_octets(size);
    outcome
}

/// Every session receives `name` again and again.
pub fn receive_often(clients: &mut Clients, name: &str, size: u64) -> Outcome {
    let end = round_end();
    let Clients { engine, bare } = clients;
    let mut outcome = engine.run(|_| (Instant::now() < end).then(|| Clients::receive(*bare, name)));
    outcome.expect_octets(size);
    outcome
}
