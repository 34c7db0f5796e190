//! What the benches share: a server of their own, a small client, directories, and how a number is said.
//!
//! Nothing here is taken from `tests/`, so that neither depends on the other. Not every bench uses all of it.
#![allow(dead_code, unused_imports)]

mod client;
mod directory;
mod server;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

pub use client::Client;
pub use directory::{Checker, Directory};
pub use server::Server;

pub const GIB: u64 = 1 << 30;

/// Whether `FERRYD_BENCH_QUICK` asks for a short run, which shows that the bench works and measures little.
pub fn quick() -> bool {
    std::env::var_os("FERRYD_BENCH_QUICK").is_some_and(|value| !value.is_empty() && value != "0")
}

/// `full`, or `short` in a short run.
pub fn unless_quick<T>(full: T, short: T) -> T {
    if quick() { short } else { full }
}

/// What one round took.
#[derive(Clone, Copy)]
pub struct Round {
    /// Seconds on the wall.
    pub seconds: f64,
    /// Seconds of the server's own CPU.
    pub cpu: f64,
}

/// Runs `work` and measures it.
pub fn round(server: &Server, work: impl FnOnce()) -> Round {
    let cpu = server.settled_cpu();
    let begun = Instant::now();
    work();
    let seconds = begun.elapsed().as_secs_f64();
    Round { seconds, cpu: server.settled_cpu() - cpu }
}

/// Runs `work` once unmeasured, so that caches are warm, and then `rounds` times.
pub fn measure(server: &Server, rounds: usize, mut work: impl FnMut()) -> Vec<Round> {
    work();
    (0..rounds).map(|_| round(server, &mut work)).collect()
}

/// Runs `work` on `count` threads, and lets all of them begin together.
pub fn together(count: usize, work: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        for number in 0..count {
            let (work, barrier) = (&work, &barrier);
            let begin = move || {
                barrier.wait();
                work(number);
            };
            thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, begin).expect("a thread more");
        }
    });
}

/// One number a line: `what: median unit (lowest to highest of n)`.
pub fn say(what: &str, unit: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (Some(lowest), Some(highest)) = (values.first(), values.last()) else { return };
    let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
    let spread = match values.len() {
        1 => String::new(),
        count => format!(" ({} to {} in {count} rounds)", shown(*lowest), shown(*highest)),
    };
    println!("{what}: {} {unit}{spread}", shown(median));
}

/// How much of one CPU the server had: near 100 % the server is what limits a row, far below it the clients are.
pub fn say_busy(what: &str, rounds: &[Round]) {
    let share = rounds.iter().map(|round| 100.0 * round.cpu / round.seconds).collect();
    say(&format!("{what}, server busy"), "% of one CPU", share);
}

/// Three or four significant digits.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Waits until `done`, but not for ever.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "still waiting: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
