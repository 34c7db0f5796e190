//! Slow loris: clients that hold something and do nothing, at every state of a session. Each is ended by its own clock,
//! and others are served meanwhile. What stalls in a TLS handshake is in `tests/tls/handshakes.rs`.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::{login, serve, wait_until};
use crate::support::{Client, Data, Server, Tree};

/// More than the socket buffers of both ends hold.
const MORE_THAN_BUFFERS: u64 = 64 * 1024 * 1024;

/// A client that waits for its end, what it holds, and what it should be told until then.
struct Waiting {
    state: &'static str,
    client: Client,
    told: &'static [u16],
    holds: Vec<TcpStream>,
    listener: Option<TcpListener>,
}

fn waiting(state: &'static str, client: Client, told: &'static [u16]) -> Waiting {
    Waiting { state, client, told, holds: Vec::new(), listener: None }
}

impl Waiting {
    fn holding(mut self, data: Data) -> Waiting {
        self.holds.push(data.into());
        self
    }

    /// Every code until the server closes.
    fn end(mut self) {
        let mut codes = Vec::new();
        while let Some(reply) = self.client.try_read_reply() {
            codes.push(reply.code);
        }
        // Who sends until the very end may lose the last reply to a reset.
        let drips = self.state.starts_with("drip");
        assert!(codes == self.told || (drips && codes.is_empty()), "{}: {codes:?}, not {:?}", self.state, self.told);
    }
}

/// A place that a connection never comes through to: its backlog is full.
fn full_backlog() -> (TcpListener, Vec<TcpStream>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        held.push(stream);
    }
    (listener, held)
}

fn before_login(server: &Server) -> Vec<Waiting> {
    let connect = || Client::connect(server.address());
    let named = || {
        let mut client = connect();
        client.expect("USER u", 331);
        client
    };
    let half_closed = |client: Client| {
        client.stream().shutdown(Shutdown::Write).unwrap();
        client
    };
    vec![
        waiting("silent", connect(), &[421]),
        waiting("silent, and reads not even the greeting", Client::connect_silently(server.address()), &[220, 421]),
        waiting("drips a USER that never ends", connect(), &[421]),
        waiting("drips empty lines", connect(), &[421]),
        waiting("drips Telnet's NOP", connect(), &[421]),
        waiting("after USER", named(), &[421]),
        waiting("drips a PASS that never ends", named(), &[421]),
        waiting("half-closed", half_closed(connect()), &[]),
        waiting("half-closed after USER", half_closed(named()), &[]),
    ]
}

fn after_login(server: &Server) -> Vec<Waiting> {
    let login = || login(server);
    let with = |line: &str, code| {
        let mut client = login();
        client.expect(line, code);
        client
    };
    // With a data connection, and what it is for.
    let begun = |state, line: &str, told| {
        let mut client = login();
        let data = client.epsv();
        client.expect(line, 150);
        waiting(state, client, told).holding(data)
    };
    let unopened = |state, line: &str| {
        let mut client = with("EPSV", 229);
        client.expect(line, 150);
        waiting(state, client, &[425, 421])
    };
    let mut all = vec![
        waiting("logged in and silent", login(), &[421]),
        waiting("drips a line that never ends", login(), &[421]),
        waiting("drips behind a line that is too long", with(&"x".repeat(6_000), 500), &[421]),
        waiting("holds a passive port", with("PASV", 227), &[421]),
        waiting("named what to rename", with("RNFR f", 350), &[421]),
        waiting("said where to go on", with("REST 5", 350), &[421]),
        unopened("never opens for a download", "RETR f"),
        unopened("never opens for an upload", "STOR up1"),
        unopened("never opens for a listing", "MLSD"),
        begun("never reads", "RETR big", &[426, 421]),
        begun("never writes", "STOR up2", &[426, 421]),
        begun("never writes behind the end", "APPE up3", &[426, 421]),
    ];
    let mut client = login();
    let data = client.epsv();
    all.push(waiting("opens and asks for nothing", client, &[421]).holding(data));

    let mut client = login();
    let data = client.epsv();
    client.expect("RETR big", 150);
    client.expect("QUIT", 221);
    all.push(waiting("leaves and never reads", client, &[426]).holding(data));

    let mut client = login();
    let data = client.epsv();
    client.expect("RETR big", 150);
    client.stream().shutdown(Shutdown::Write).unwrap();
    all.push(waiting("half-closed in a download that it never reads", client, &[426]).holding(data));

    let mut client = with("EPSV", 229);
    client.expect("RETR big", 150);
    client.stream().shutdown(Shutdown::Write).unwrap();
    all.push(waiting("half-closed before a download", client, &[]));

    let mut client = login();
    let listener = client.port_listener();
    client.expect("RETR big", 150);
    let mut connected = waiting("lets itself be called, and never accepts", client, &[426, 421]);
    connected.listener = Some(listener);
    all.push(connected);

    let mut client = login();
    let (listener, held) = full_backlog();
    let port = listener.local_addr().unwrap().port();
    client.expect(format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255), 200);
    client.expect("RETR f", 150);
    all.push(Waiting { holds: held, listener: Some(listener), ..waiting("is not reached", client, &[425, 421]) });
    all
}

#[test]
fn each_state_has_its_clock() {
    let tree = Tree::new();
    tree.file("f", "content").sparse("big", MORE_THAN_BUFFERS);
    let clocks = ["--login-timeout", "1", "--idle-timeout", "1", "--data-timeout", "1"];
    for helpers in ["2", "0"] {
        let server = serve(&tree, &[&clocks[..], &["--helpers", helpers]].concat());
        let mut first = login(&server);
        assert_eq!(first.retrieve("f").0, b"content");
        first.expect("QUIT", 221);
        assert!(first.closed());
        let before = server.descriptors();
        let mut all = before_login(&server);
        all.extend(after_login(&server));
        let drips = |all: &[Waiting], octets: &[u8], state: &str| {
            let found = all.iter().find(|waiting| waiting.state == state).unwrap();
            (found.client.stream().try_clone().unwrap(), octets.to_vec())
        };
        let mut dripping = [
            drips(&all, b"U", "drips a USER that never ends"),
            drips(&all, b"\r\n", "drips empty lines"),
            drips(&all, b"\xff\xf1", "drips Telnet's NOP"),
            drips(&all, b"P", "drips a PASS that never ends"),
            drips(&all, b"N", "drips a line that never ends"),
            drips(&all, b"N", "drips behind a line that is too long"),
        ];
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // Who is closed takes no more.
                    dripping.iter_mut().for_each(|(stream, octets)| drop(stream.write_all(octets)));
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            // Somebody else has what he wants all the while.
            let other = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut client = login(&server);
                    assert_eq!(client.retrieve("f").0, b"content");
                }
            });
            let ends = std::thread::Builder::new().spawn_scoped(scope, || all.into_iter().for_each(Waiting::end));
            let ended = ends.unwrap().join();
            over.store(true, Ordering::Relaxed);
            assert!(other.join().is_ok() && ended.is_ok(), "see above");
        });
        // The pipe that uploads go through is made once, for all of them.
        wait_until("all descriptors are given back", || server.descriptors() <= before + 2);
        assert!(!tree.at("up1").exists());
    }
}
