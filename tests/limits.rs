//! The bounds of `src/limits.rs` that can be seen from outside, and those of the options: each has a test that goes
//! beyond it. What a bound is worth is written in `limits.rs`, and is read from there.

#[path = "limits/control.rs"]
mod control;
#[path = "limits/descriptors.rs"]
mod descriptors;
#[path = "limits/listings.rs"]
mod listings;
#[path = "limits/passive.rs"]
mod passive;
#[path = "limits/sessions.rs"]
mod sessions;
mod support;
#[path = "limits/timeouts.rs"]
mod timeouts;

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use support::{Client, PATIENCE, Server, Tree};

/// Serves `tree` to the user `u`, who may do everything.
fn serve(tree: &Tree, args: &[&str]) -> Server {
    Server::start(tree.path(), &[&["--user", "u:secret"], args].concat())
}

fn login(server: &Server) -> Client {
    let mut client = Client::login(server.address(), "u", "secret");
    client.expect("TYPE I", 200);
    client
}

/// A connection from another address of this machine: all of 127.0.0.0/8 is its own.
fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((IpAddr::from(source), 0)).into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect_timeout(&to.into(), PATIENCE).unwrap();
    socket.into()
}

/// Octets of memory that the server uses now.
fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Waits until `is_so`; fails after [`PATIENCE`].
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
