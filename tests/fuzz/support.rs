//! Of the tests' support, what the targets need: no socket, no server.

#![allow(dead_code)]

#[path = "../support/reply.rs"]
mod reply;
#[path = "../support/tree.rs"]
mod tree;

pub use reply::Reply;
pub use tree::Tree;
