//! The tests of `limits.rs` that are about data connections again, with both connections under TLS.

#[path = "limits/listings.rs"]
mod listings;
#[path = "limits/passive.rs"]
mod passive;
mod support;
#[path = "limits/timeouts.rs"]
mod timeouts;

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use support::{Client, PATIENCE, Server, Tls, Tree, VERSIONS};

/// Serves `tree` to the user `u`, who may do everything.
fn serve(tree: &Tree, args: &[&str]) -> Server {
    Server::start_tls(tree.path(), &[&["--user", "u:secret"], args].concat())
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
