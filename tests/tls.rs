//! TLS (RFC 4217) from outside: what a client may say before and after the handshake, to whom a data connection belongs,
//! how both connections end, and what happens to those who do not speak TLS, or stop in the middle of it.
//!
//! The client here ([`support::Tls`]) fails a test for every octet that the server sends in the clear inside TLS, and
//! takes no end of a connection for one that was not announced (close_notify).

#[path = "tls/binding.rs"]
mod binding;
#[path = "tls/certificates.rs"]
mod certificates;
#[path = "tls/client_certificates.rs"]
mod client_certificates;
#[path = "tls/commands.rs"]
mod commands;
#[path = "tls/endings.rs"]
mod endings;
#[path = "tls/handshakes.rs"]
mod handshakes;
#[path = "tls/pki.rs"]
mod pki;
mod support;
#[path = "tls/transfers.rs"]
mod transfers;

use std::time::{Duration, Instant};

use support::{Client, PATIENCE, Server, Tls, Tree, Version};

/// Serves `tree` to the user `u`, who may do everything, with a certificate of its own.
fn serve(tree: &Tree, args: &[&str]) -> Server {
    Server::start_tls(tree.path(), &[&["--user", "u:secret"], args].concat())
}

/// A session of `u` under TLS, data and all, in TYPE I.
fn login(server: &Server, tls: &Tls) -> Client {
    let mut client = Client::secured(server.address(), tls);
    client.log_in("u", "secret");
    client.protect_data(tls);
    client.expect("TYPE I", 200);
    client
}

/// The same over implicit TLS.
fn login_implicit(server: &Server, tls: &Tls) -> Client {
    let mut client = Client::implicit(server.implicit_address(), tls);
    client.log_in("u", "secret");
    client.open_data_with(Some(tls));
    client.expect("TYPE I", 200);
    client
}

/// A session with TLS 1.3, for what does not depend on the version.
fn login_any(server: &Server) -> Client {
    login(server, &Tls::new(Version::V13))
}

/// Octets that look like nothing, the same for the same length.
fn noise(length: usize) -> Vec<u8> {
    support::noise(length, length as u64)
}

/// Waits until the log has `count` lines with `text`; fails where there are more.
fn wait_for_log_lines(server: &Server, text: &str, count: usize) {
    wait_until(&format!("{count} times {text:?} in the log"), || server.log().matches(text).count() >= count);
    assert_eq!(server.log().matches(text).count(), count, "{text:?}: {}", server.log());
}

/// Waits until `is_so`; fails after [`PATIENCE`].
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
