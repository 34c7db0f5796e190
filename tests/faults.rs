//! Faults that are really made, and what must hold through each: nothing is lost that was said to be there, nothing is
//! said that is not so, and the other sessions do not notice.
//!
//! What a machine cannot do (mount, make a namespace, trace a process), its tests say that they did not do; with
//! CI=true they fail instead.

#[path = "faults/atomic.rs"]
mod atomic;
#[path = "faults/atomic_names.rs"]
mod atomic_names;
#[path = "transfer/common.rs"]
#[allow(dead_code)]
mod common;
#[path = "slow_disk/disk.rs"]
#[allow(dead_code)]
mod disk;
#[path = "faults/disks.rs"]
mod disks;
#[path = "faults/files.rs"]
mod files;
#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/left_over.rs"]
mod left_over;
mod support;

use common::*;
use support::{Client, Server, Tree};

/// Serves `tree` to the user `u`, who may do everything.
fn serve(tree: &Tree, args: &[&str]) -> Server {
    Server::start(tree.path(), &[&["--user", "u:secret"], args].concat())
}

/// A session of `u`, in TYPE I.
fn login(server: &Server) -> Client {
    let mut client = Client::login(server.address(), "u", "secret");
    client.expect("TYPE I", 200);
    client
}

/// Says that a test did not run, or fails where everything must be there.
fn cannot(what: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!in_ci, "{what}, and CI=true wants these tests");
    support::did_not_run(format_args!("did not run: {what}"));
}
