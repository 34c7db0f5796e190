//! `tests/simulate/faults.rs`, alone in its process: it lowers limits of the whole process.
//!
//! `FERRYD_SEEDS=10000 cargo test --test simulate_faults` plays so many sessions; a failure says which seed it was.

#[path = "simulate/faults.rs"]
mod faults;
#[path = "simulate/random.rs"]
mod random;
#[path = "fuzz/support.rs"]
mod support;

use random::{Random, of_round, seed, seeds};

/// Says which seed to replay, if the simulation fails.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("-- replay with FERRYD_SEED={seed} FERRYD_SEEDS=1 cargo test --test simulate_faults --");
        }
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_said_that_is_not_so() {
    let mut machine = faults::Machine::new();
    for round in 0..seeds(faults::SESSIONS) {
        let replay = Replay(of_round(seed(), round));
        faults::session(&mut Random::new(replay.0, 0), &mut machine);
    }
}
