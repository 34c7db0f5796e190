//! The tests of `transfer.rs` again, with both connections under TLS: the same files, the same expectations. Each of
//! them runs with TLS 1.3 and 1.2 in turns, and against a server that lets no data connection in that does not resume.

#[path = "transfer/common.rs"]
mod common;
#[path = "transfer/connection.rs"]
mod connection;
#[path = "transfer/content.rs"]
mod content;
#[path = "transfer/interrupted.rs"]
mod interrupted;
#[path = "transfer/meanwhile.rs"]
mod meanwhile;
#[path = "transfer/signals.rs"]
mod signals;
mod support;

use common::*;
use support::{Client, Server, Tree};

/// Serves `tree` to the user `u`, who may do everything.
fn serve(tree: &Tree, args: &[&str]) -> Server {
    let tls = ["--user", "u:secret", "--tls-reuse", "require"];
    Server::start_tls(tree.path(), &[&tls, args].concat())
}

/// A session of `u`, in TYPE I.
fn login(server: &Server) -> Client {
    Client::login_private(server.address(), "u", "secret")
}
