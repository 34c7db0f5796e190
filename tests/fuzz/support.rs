//! Of the tests' support, what the targets need: no socket, no server.

#![allow(dead_code)]

#[path = "../support/reply.rs"]
mod reply;
#[path = "translated.rs"]
mod translated;
#[path = "../support/tree.rs"]
mod tree;

pub use reply::Reply;
pub use translated::{on_the_disk, on_the_wire};
pub use tree::Tree;
