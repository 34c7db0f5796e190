//! Sessions that nobody would write by hand: random commands, cut at random octets, with transfers that end in every
//! way there is. Run against the interpreter alone, then against the real server.
//!
//! Every choice comes from one seed. `FERRYD_SEED=… cargo test --test simulate` plays the same again; a failure says
//! which seed it was.

mod disk;
#[path = "../support/inside.rs"]
mod inside;
mod interpreter;
mod ledger;
mod lines;
mod random;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use random::{Random, seed};

/// Says which seed to replay, if the simulation fails.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- replay with FERRYD_SEED={} cargo test --test simulate --", self.0);
        }
    }
}

#[test]
fn the_interpreter_keeps_its_word() {
    let replay = Replay(seed());
    for round in 0..interpreter::SESSIONS {
        interpreter::session(&mut Random::new(replay.0, round), round);
    }
}

#[test]
fn the_server_keeps_its_word() {
    let replay = Replay(seed());
    sessions::simulate(replay.0);
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let replay = Replay(seed());
    disk::full_disk(&mut Random::new(replay.0, 0));
}
