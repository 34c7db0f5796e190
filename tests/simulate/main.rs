//! Sessions that nobody would write by hand: random commands, cut at random octets, with transfers that end in every
//! way there is. Run against the interpreter alone, then against the real server.
//!
//! Every choice comes from one seed. `FERRYD_SEED=… cargo test --test simulate` plays the same again; a failure says
//! which seed it was. `FERRYD_SEEDS=10000` plays so many sessions, where the sessions are not of a real server.

mod disk;
mod interpreter;
mod ledger;
mod lines;
mod model;
mod random;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use random::{Random, seed, seeds};

/// Says which seed to replay, if the simulation fails.
struct Replay {
    seed: u64,
    /// Sessions up to that one have to be played; one alone has a seed of its own.
    sessions: &'static str,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- replay with FERRYD_SEED={}{} cargo test --test simulate --", self.seed, self.sessions);
        }
    }
}

/// Plays `count` sessions, each with a seed of its own.
fn each_seed(count: u64, mut session: impl FnMut(&mut Random)) {
    let first = seed();
    for round in 0..seeds(count) {
        let replay = Replay { seed: random::of_round(first, round), sessions: " FERRYD_SEEDS=1" };
        session(&mut Random::new(replay.seed, 0));
    }
}

#[test]
fn the_interpreter_keeps_its_word() {
    let world = interpreter::World::new();
    each_seed(interpreter::SESSIONS, |random| interpreter::session(random, &world));
}

#[test]
fn every_command_is_simulated() {
    for command in ferryd::protocol::table::commands() {
        assert!(lines::verbs().any(|verb| verb == command.verb), "tests/simulate/lines.rs has no {}", command.verb);
    }
}

#[test]
fn the_server_keeps_its_word() {
    let replay = Replay { seed: seed(), sessions: "" };
    sessions::simulate(replay.seed);
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let replay = Replay { seed: seed(), sessions: "" };
    disk::full_disk(&mut Random::new(replay.seed, 0));
}
