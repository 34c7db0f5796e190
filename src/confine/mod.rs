//! Least privilege: as whom the process works, which files it may touch, and which system calls it may use.
//!
//! `run_as` gives root up, and `suited` finds for whom, where nobody says it. What is done here is done once, at the start, and nothing undoes it.

mod run_as;
mod suited;

use std::fmt;

pub use run_as::{Chosen, Identity, Kept, RunAs, Wanted, become_user};
pub use suited::{Task, Use};

/// Why the process cannot be confined. All of these are the system's.
#[derive(Debug)]
pub enum Error {
    /// It cannot become the user that it should be.
    RunAs(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::RunAs(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}
