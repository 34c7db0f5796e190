//! A disk that does not answer: whoever uses it waits, and nobody else notices.
//!
//! The disk is a FUSE file system (`slow_disk/held.py`) that holds an operation for as long as the test wants. While
//! it is held, other sessions are asked many things, and all of it must be answered; there is no clock in it. Where
//! Python, fusepy or /dev/fuse is missing the tests say that they did not run; with CI=true they fail instead.

#[path = "slow_disk/cases.rs"]
mod cases;
#[path = "slow_disk/disk.rs"]
mod disk;
mod support;

use std::path::Path;

use support::{Server, login};

fn start(root: &Path, args: &[&str]) -> Server {
    Server::start(root, args)
}
