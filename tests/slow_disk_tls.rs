//! The tests of `slow_disk.rs` again, with both connections under TLS, which is lent to a helper with its stream.

#[path = "slow_disk/cases.rs"]
mod cases;
#[path = "slow_disk/disk.rs"]
mod disk;
mod support;

use std::path::Path;

use support::{Client, Server};

fn start(root: &Path, args: &[&str]) -> Server {
    Server::start_tls(root, args)
}

/// A session of `u`, in TYPE I.
fn login(server: &Server) -> Client {
    Client::login_private(server.address(), "u", "secret")
}
