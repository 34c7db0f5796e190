//! The targets: each takes octets, makes something of them and checks what must hold whatever they are. A fuzzer
//! (`../engine.rs`) and the test suite (`../../fuzz.rs`) run the same functions.

mod argument;
mod ascii;
mod certificate;
mod glob;
mod interpreter;
mod line;
mod options;
mod path;
mod users;

use std::fs;
use std::path::PathBuf;

/// Takes an input, and panics where something does not hold.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("argument", argument::run),
    ("ascii", ascii::run),
    ("certificate", certificate::run),
    ("commands", interpreter::commands),
    ("glob", glob::run),
    ("interpreter", interpreter::choices),
    ("line", line::run),
    ("options", options::run),
    ("path", path::run),
    ("users", users::run),
];

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// `octets` as text that a failure can show.
fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

/// Cuts an input at its first NUL; where there is none, the second part is empty.
fn two(octets: &[u8]) -> (&[u8], &[u8]) {
    match octets.iter().position(|octet| *octet == 0) {
        Some(at) => (&octets[..at], &octets[at + 1..]),
        None => (octets, b""),
    }
}

/// A file with this content for as long as `then` runs. One name a thread: the next input overwrites it.
fn with_file<T>(name: &str, octets: &[u8], then: impl FnOnce(&PathBuf) -> T) -> T {
    let number = format!("{:?}", std::thread::current().id()).replace(|c: char| !c.is_ascii_digit(), "");
    let path = std::env::temp_dir().join(format!("ferryd-fuzz-{}-{number}-{name}", std::process::id()));
    fs::write(&path, octets).expect("the temporary directory can be written");
    let done = then(&path);
    let _ = fs::remove_file(&path);
    done
}
