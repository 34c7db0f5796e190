//! Transfers against the real server, over real connections: what arrives, what is left behind when it does not, and
//! what a session may say meanwhile (RFC 959 sections 3.2 and 4.1.3, RFC 2428, RFC 3659 section 5).
//!
//! No test here measures time. A transfer "runs" for as long as the test wants because its client does not read, or
//! does not send, the rest.

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

use std::io::Write;
use std::net::TcpStream;

use support::{Client, Server, Tree};

/// More than the socket buffers of both ends hold (tcp_wmem and tcp_rmem end at 4 and 6 MiB), so that a client that
/// does not read keeps the transfer running.
const MORE_THAN_BUFFERS: u64 = 64 * 1024 * 1024;

/// The numbers of helpers with which everything here must go the same way.
const HELPERS: [&str; 2] = ["2", "0"];

/// Serves `tree` to the user `u`, who may do everything.
fn serve(tree: &Tree, args: &[&str]) -> Server {
    Server::start(tree.path(), &[&["--user", "u:secret"], args].concat())
}

/// A session of `u`, in TYPE I.
fn login(server: &Server) -> Client {
    let mut client = Client::login(server.address(), "u", "secret");
    client.expect("TYPE I", 200);
    client
}

/// Octets that look like nothing, the same for the same seed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

/// Begins a RETR that cannot end before its client reads.
fn stalled_retr(client: &mut Client, name: &str) -> TcpStream {
    let data = client.epsv();
    client.expect(format!("RETR {name}"), 150);
    data
}

/// Begins a STOR, sends `begin`, and leaves it there.
fn stalled_stor(client: &mut Client, name: &str, begin: &[u8]) -> TcpStream {
    let mut data = client.epsv();
    client.expect(format!("STOR {name}"), 150);
    data.write_all(begin).unwrap();
    data
}

/// Waits until the file has `length` octets: the server has them, and holds the file open.
fn wait_for_length(tree: &Tree, name: &str, length: u64) {
    let found = || std::fs::metadata(tree.at(name)).is_ok_and(|facts| facts.len() == length);
    wait_until(&format!("{name} has {length} octets"), found);
}

/// Waits until `is_so`; fails after [`support::PATIENCE`].
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it does not come: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
