//! What the tests share: a server that runs, a client that sees every octet, and a tree of files to serve.
//!
//! Everything here waits for events and gives up after [`PATIENCE`], so that a test fails instead of hanging.

// Each test is a crate of its own and uses another part of this.
#![allow(dead_code, unused_imports)]

mod client;
mod data;
mod reply;
mod server;
mod small;
mod tls;
mod tree;
mod user;

use std::time::Duration;

pub use client::{Client, accept, connect_from, read_all, reset};
pub use data::Data;
pub use reply::Reply;
pub use server::{Server, of_the_tester};
pub use small::Small;
pub use tls::{Memory, Tls, TlsStream, VERSIONS, Version};
pub use tree::{Tree, give_to_server};
pub use user::{login, noise, serve};

/// How long a test waits for what must come; longer than any delay that the server makes on purpose.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Says that a test, or a part of it, did not run. The harness keeps what a passing test prints to itself; this goes
/// past it.
pub fn did_not_run(why: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{why}");
}

/// Says that a test did not run for want of something, or fails where everything must be there (CI=true).
pub fn cannot(what: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!in_ci, "{what}, and CI=true wants these tests");
    did_not_run(format_args!("did not run: {what}"));
}
