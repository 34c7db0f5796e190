//! The tests of `slow_disk.rs` again, with both connections under TLS, which is lent to a helper with its stream.

#[path = "slow_disk/cases.rs"]
mod cases;
#[path = "slow_disk/disk.rs"]
mod disk;
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use disk::Disk;
use support::{Client, Server, Tls, Tree, VERSIONS};

/// A tree with a slow disk at `slow`, and a server over it with `u`, whose root is the tree, and `s`, whose root is on
/// the disk.
///
/// They must be dropped from right to left, which is the order for variables: a directory cannot be removed through a
/// disk that does not answer.
fn slow_tree(args: &[&str]) -> Option<(Tree, Server, Disk)> {
    let tree = Tree::new();
    tree.directory("slow").file("local", "at hand").directory("d");
    let disk = Disk::mount(&tree.at("slow"))?;
    let slow = format!("s:secret:{}", tree.at("slow").display());
    let server = Server::start_tls(tree.path(), &[&["--user", "u:secret", "--user", &slow], args].concat());
    Some((tree, server, disk))
}

/// A session of `u`, in TYPE I, with TLS 1.3 and 1.2 in turns.
fn login(server: &Server) -> Client {
    static SESSIONS: AtomicUsize = AtomicUsize::new(0);
    let tls = Tls::new(VERSIONS[SESSIONS.fetch_add(1, Ordering::Relaxed) % 2]);
    let mut client = Client::secured(server.address(), &tls);
    client.log_in("u", "secret");
    client.protect_data(&tls);
    client.expect("TYPE I", 200);
    client
}
