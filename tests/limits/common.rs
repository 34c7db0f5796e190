//! What the tests of limits share, in the clear and under TLS.

use std::time::Instant;

use crate::support::{PATIENCE, Server};

/// Octets of memory that the server uses now.
pub fn resident(server: &Server) -> usize {
    memory(server, "VmRSS:")
}

/// The most octets of memory that it ever used.
pub fn peak(server: &Server) -> usize {
    memory(server, "VmHWM:")
}

fn memory(server: &Server, what: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Waits until `is_so`; fails after [`PATIENCE`].
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
