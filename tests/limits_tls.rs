//! The tests of `limits.rs` that are about data connections again, with both connections under TLS.

#[path = "limits/common.rs"]
mod common;
#[path = "limits/listings.rs"]
mod listings;
#[path = "limits/passive.rs"]
mod passive;
#[path = "limits/rates.rs"]
mod rates;
mod support;
#[path = "limits/timeouts.rs"]
mod timeouts;

use common::*;
use support::{Client, Server, Tree};

/// Serves `tree` to the user `u`, who may do everything.
fn serve(tree: &Tree, args: &[&str]) -> Server {
    Server::start_tls(tree.path(), &[&["--user", "u:secret"], args].concat())
}

/// A session of `u`, in TYPE I.
fn login(server: &Server) -> Client {
    Client::login_private(server.address(), "u", "secret")
}
