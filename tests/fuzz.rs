//! The fuzzers' targets without a fuzzer: every input of `tests/fuzz/corpus` is played again, so that what was found
//! once stays found. How to fuzz is in `tests/fuzz/README.md`.

#[path = "simulate/interpreter.rs"]
mod interpreter;
#[path = "simulate/ledger.rs"]
mod ledger;
#[path = "simulate/lines.rs"]
mod lines;
#[path = "simulate/model.rs"]
mod model;
#[path = "simulate/random.rs"]
mod random;
#[path = "fuzz/support.rs"]
mod support;
#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use random::Random;
use targets::TARGETS;

/// What all corpora may take together.
const CORPUS_OCTETS_MAX: u64 = 200 * 1024;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).map(|entries| entries.map(|entry| entry.unwrap().path()).collect()).unwrap_or_default();
    files.sort();
    files
}

#[test]
fn every_input_of_the_corpus_still_holds() {
    for (name, target) in TARGETS {
        let inputs = files(&corpus().join(name));
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for input in inputs {
            let octets = fs::read(&input).unwrap();
            assert!(catch_unwind(|| target(&octets)).is_ok(), "{} fails", input.display());
        }
    }
}

#[test]
fn the_corpus_is_small_and_has_no_strangers() {
    let mut octets = 0;
    for directory in files(&corpus()) {
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        assert!(targets::find(&name).is_some(), "{name} is no target");
        octets += files(&directory).iter().map(|input| fs::metadata(input).unwrap().len()).sum::<u64>();
    }
    assert!(octets <= CORPUS_OCTETS_MAX, "{octets} octets; tests/fuzz/run minimizes");
}

/// A fuzzer for those who have none: inputs of the corpus with some octets changed.
#[test]
fn inputs_near_those_of_the_corpus_hold() {
    let seed = random::seed();
    for (name, target) in TARGETS {
        let inputs: Vec<Vec<u8>> = files(&corpus().join(name)).iter().map(|input| fs::read(input).unwrap()).collect();
        for round in 0..300 {
            let mut random = Random::new(seed, round);
            let mut octets = random.pick(&inputs).clone();
            for _ in 0..1 + random.below(8) {
                let at = random.below(octets.len() + 1);
                match random.below(3) {
                    0 => octets.insert(at, random.below(256) as u8),
                    1 if at < octets.len() => octets[at] = random.below(256) as u8,
                    _ => octets.truncate(octets.len().max(at + 1) - 1),
                }
            }
            let held = catch_unwind(|| target(&octets)).is_ok();
            assert!(held, "{name} fails in round {round} of FERRYD_SEED={seed}: {}", octets.escape_ascii());
        }
    }
}
