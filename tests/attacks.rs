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

use support::{Client, Server, Tree};

/// Serves `tree` to the user `u`, who may do everything.
fn serve(tree: &Tree, args: &[&str]) -> Server {
    Server::start(tree.path(), &[&["--user", "u:secret"], args].concat())
}

/// A session of `u`, in TYPE I.
fn log_in(server: &Server) -> Client {
    let mut client = Client::login(server.address(), "u", "secret");
    client.expect("TYPE I", 200);
    client
}
