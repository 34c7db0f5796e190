//! Attacks on the protocol itself: whatever others were broken with, each against the real server. `attacks/classes.rs`
//! is the table of all classes of bugs that are tested for, with the tests of each.

#[path = "attacks/bounce.rs"]
mod bounce;
#[path = "attacks/classes.rs"]
mod classes;
#[path = "attacks/foreign.rs"]
mod foreign;
#[path = "attacks/integers.rs"]
mod integers;
#[path = "attacks/login.rs"]
mod login;
mod support;

use support::{login as log_in, serve};
