//! libFuzzer around the targets; `FERRYD_FUZZ_TARGET` says which one. See README.md.

#![no_main]

#[path = "../simulate/interpreter.rs"]
mod interpreter;
#[path = "../simulate/ledger.rs"]
mod ledger;
#[path = "../simulate/lines.rs"]
mod lines;
#[path = "../simulate/model.rs"]
mod model;
#[path = "../simulate/random.rs"]
#[allow(dead_code)]
mod random;
mod support;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use targets::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("FERRYD_FUZZ_TARGET").unwrap_or_default();
        let target = targets::find(&name).unwrap_or_else(|| panic!("FERRYD_FUZZ_TARGET={name}: no such target"));
        TARGET.get_or_init(|| target);
    },
    |octets: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(octets);
        }
    }
);
