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

use disk::Disk;
use support::{Client, Server, Tree};

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
    let server = Server::start(tree.path(), &[&["--user", "u:secret", "--user", &slow], args].concat());
    Some((tree, server, disk))
}

fn login(server: &Server) -> Client {
    let mut client = Client::login(server.address(), "u", "secret");
    client.expect("TYPE I", 200);
    client
}
