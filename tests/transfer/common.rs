//! What the tests of transfers share, in the clear and under TLS.

use std::io::Write;

pub use crate::support::noise;
use crate::support::{Client, Data, PATIENCE, Tree};

/// More than the socket buffers of both ends hold (tcp_wmem and tcp_rmem end at 4 and 6 MiB), so that a client that
/// does not read keeps the transfer running.
pub const MORE_THAN_BUFFERS: u64 = 64 * 1024 * 1024;

/// The numbers of helpers with which everything here must go the same way.
pub const HELPERS: [&str; 2] = ["2", "0"];

/// Begins a RETR that cannot end before its client reads.
pub fn stalled_retr(client: &mut Client, name: &str) -> Data {
    let mut data = client.epsv();
    client.expect(format!("RETR {name}"), 150);
    data.await_octets();
    data
}

/// Begins a STOR, sends `begin`, and leaves it there.
pub fn stalled_stor(client: &mut Client, name: &str, begin: &[u8]) -> Data {
    let mut data = client.epsv();
    client.expect(format!("STOR {name}"), 150);
    data.write_all(begin).unwrap();
    data
}

/// Waits until the file has `length` octets: the server has them, and holds the file open.
pub fn wait_for_length(tree: &Tree, name: &str, length: u64) {
    let found = || std::fs::metadata(tree.at(name)).is_ok_and(|facts| facts.len() == length);
    wait_until(&format!("{name} has {length} octets"), found);
}

/// Waits until `is_so`; fails after [`PATIENCE`].
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it does not come: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
