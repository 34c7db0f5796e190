//! The passive range (`--passive-ports`), and strangers at the data port.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use ferryd::limits::{DATA_BACKLOG, LISTENER_KEPT_FROM, LISTENER_USES_MAX, STRANGERS_PER_TURN};

use super::{login, serve, wait_until};
use crate::support::{Client, PATIENCE, Server, Tree, connect_from, read_all};

/// A range of `count` ports that are free now. The kernel gives nobody a port from below its own range unasked.
fn free_range(count: u16) -> RangeInclusive<u16> {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 900) as u16 * 10;
    loop {
        let first = 15_000 + (start + NEXT.fetch_add(count, Ordering::Relaxed)) % 15_000;
        let range = first..=first + count - 1;
        if range.clone().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return range;
        }
    }
}

fn serve_range(tree: &Tree, range: &RangeInclusive<u16>, args: &[&str]) -> Server {
    let ports = format!("{}-{}", range.start(), range.end());
    serve(tree, &[&["--passive-ports", &ports], args].concat())
}

#[test]
fn a_full_range_is_425_and_never_another_port() {
    let tree = Tree::new();
    tree.file("f", "x");
    let range = free_range(3);
    let server = serve_range(&tree, &range, &[]);
    let mut clients: Vec<Client> = (0..3).map(|_| login(&server)).collect();
    let mut ports = HashSet::new();
    for client in &mut clients {
        let reply = client.expect("EPSV", 229);
        ports.insert(client.epsv_address(&reply).port());
    }
    assert_eq!(ports, range.clone().collect());
    let mut late = login(&server);
    for line in ["EPSV", "PASV"] {
        let reply = late.expect(line, 425);
        assert!(reply.text().len() > 10, "a reason: {reply}");
        late.expect("RETR f", 425);
    }
    // Who holds one may ask for another: his own comes back first.
    let reply = clients[0].expect("PASV", 227);
    assert!(range.contains(&Client::pasv_address(&reply).port()));
    // Each way in which a port is given back: ABOR, PORT, REIN, QUIT, and the end of the connection.
    let ways: [fn(&mut Client); 4] = [
        |client| drop(client.expect("ABOR", 226)),
        |client| drop(client.port_listener()),
        |client| drop(client.expect("REIN", 220)),
        |client| drop(client.expect("QUIT", 221)),
    ];
    for way in ways {
        late.expect("EPSV", 425);
        way(&mut clients[1]);
        wait_until("the port is free again", || late.say("EPSV").code == 229);
        assert_eq!(late.retrieve("f").0, b"x");
        clients[1] = login(&server);
        clients[1].expect("EPSV", 229);
    }
    late.expect("EPSV", 425);
    drop(clients.pop());
    wait_until("the port is free again", || late.say("EPSV").code == 229);
    assert_eq!(late.retrieve("f").0, b"x");
}

#[test]
fn a_range_of_one_serves_one_transfer_after_another() {
    let tree = Tree::new();
    tree.file("f", "x");
    let range = free_range(1);
    let server = serve_range(&tree, &range, &[]);
    let mut client = login(&server);
    for round in 0..50 {
        let reply = client.expect("EPSV", 229);
        assert!(range.contains(&client.epsv_address(&reply).port()));
        assert_eq!(client.retrieve("f").0, b"x", "round {round}");
        assert_eq!(client.store("up", b"y").code, 226, "round {round}");
        client.list("MLSD");
    }
    // A second session gets it as soon as the transfer is over: the data connection itself needs it no more.
    let mut other = login(&server);
    wait_until("the port is free again", || other.say("EPSV").code == 229);
    client.expect("EPSV", 425);
}

#[test]
fn a_port_that_somebody_else_has_is_stepped_over() {
    let tree = Tree::new();
    tree.file("f", "x");
    let range = free_range(2);
    let _other = TcpListener::bind(("127.0.0.1", *range.start())).unwrap();
    let server = serve_range(&tree, &range, &[]);
    let mut client = login(&server);
    for _ in 0..20 {
        let reply = client.expect("EPSV", 229);
        assert_eq!(client.epsv_address(&reply).port(), *range.end());
        client.expect("ABOR", 226);
    }
}

#[test]
fn a_session_holds_one_port_and_an_address_those_of_its_sessions() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &["--max-sessions-per-address", "3"]);
    let mut clients: Vec<Client> = (0..3).map(|_| login(&server)).collect();
    for client in &mut clients {
        client.expect("EPSV", 229);
    }
    let before = server.descriptors();
    for client in &mut clients {
        for line in ["EPSV", "PASV"].repeat(50) {
            assert!([227, 229].contains(&client.say(line).code));
        }
    }
    assert_eq!(server.descriptors(), before);
    // One that was asked for and never used is given back with the next command that names another.
    clients.iter_mut().for_each(|client| drop(client.expect("ABOR", 226)));
    assert_eq!(server.descriptors(), before - clients.len());
}

#[test]
fn ports_are_drawn_at_random() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let ports: Vec<u16> = (0..50)
        .map(|_| {
            let reply = client.expect("EPSV", 229);
            client.epsv_address(&reply).port()
        })
        .collect();
    let distinct = ports.iter().collect::<HashSet<_>>().len();
    let neighbours = ports.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 2).count();
    assert!(distinct > 40 && neighbours < 5, "{ports:?}");
}

/// Whether the other end closed `stream` without a word.
fn was_dropped(mut stream: TcpStream) -> bool {
    let mut octets = Vec::new();
    // A reset is also an end; that nothing happens is none.
    let ended = stream.read_to_end(&mut octets);
    octets.is_empty() && !ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn a_stranger_is_dropped_and_the_listener_goes_on() {
    let tree = Tree::new();
    tree.file("f", "for the client alone");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    for early in [0, 1, DATA_BACKLOG as usize / 2] {
        let reply = client.expect("EPSV", 229);
        let address = client.epsv_address(&reply);
        // Some are there before the command, and more come than one turn drops.
        let mut strangers: Vec<TcpStream> = (0..early).map(|_| connect_from([127, 0, 0, 2], address)).collect();
        client.expect("RETR f", 150);
        for _ in 0..STRANGERS_PER_TURN * 2 {
            strangers.push(connect_from([127, 0, 0, 3], address));
            assert!(was_dropped(strangers.pop().unwrap()), "a stranger was served");
        }
        let mut data = client.dial(address);
        assert_eq!(read_all(&mut data), b"for the client alone");
        assert_eq!(client.read_reply().code, 226);
        assert!(strangers.into_iter().all(was_dropped), "a stranger was served");
    }
    // The log has one line of it, which begins with the stranger.
    let told = "[WARN] 127.0.0.3: dropped: a data connection to a port that was opened for 127.0.0.1\n";
    server.wait_for_log(told);
    assert_eq!(server.log().matches("dropped").count(), 1, "{}", server.log());
    // For uploads as well: what a stranger sends is in no file.
    let reply = client.expect("EPSV", 229);
    let address = client.epsv_address(&reply);
    let mut stranger = connect_from([127, 0, 0, 2], address);
    let _ = stranger.write_all(b"forged");
    client.expect("STOR up", 150);
    let mut data = client.dial(address);
    data.write_all(b"genuine").unwrap();
    drop(data);
    assert_eq!(client.read_reply().code, 226);
    assert_eq!(tree.read("up").unwrap(), b"genuine");
}

/// A client may connect before its command, however many strangers come meanwhile.
#[test]
fn strangers_do_not_fill_the_port_of_a_client_that_connects_first() {
    let tree = Tree::new();
    tree.file("f", "for the client alone");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let reply = client.expect("EPSV", 229);
    let address = client.epsv_address(&reply);
    for _ in 0..DATA_BACKLOG * 2 {
        assert!(was_dropped(connect_from([127, 0, 0, 2], address)), "a stranger was served");
    }
    let mut data = client.dial(address);
    // He is met by then, and nobody else is.
    client.expect("NOOP", 200);
    let strangers: Vec<TcpStream> = (0..DATA_BACKLOG / 2).map(|_| connect_from([127, 0, 0, 3], address)).collect();
    client.expect("RETR f", 150);
    assert_eq!(read_all(&mut data), b"for the client alone");
    assert_eq!(client.read_reply().code, 226);
    assert!(strangers.into_iter().all(was_dropped), "a stranger was served");
}

#[test]
fn the_second_connection_of_the_client_is_not_served() {
    let tree = Tree::new();
    tree.file("f", "once");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let reply = client.expect("EPSV", 229);
    let address = client.epsv_address(&reply);
    let (mut one, two) = (client.dial(address), client.dial(address));
    client.expect("RETR f", 150);
    assert_eq!(read_all(&mut one), b"once");
    assert_eq!(client.read_reply().code, 226);
    assert!(was_dropped(two.into()));
}

#[test]
fn an_advertised_address_is_told_by_pasv_alone() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &["--passive-address", "192.0.2.7"]);
    let mut client = login(&server);
    // The client is on this machine: it keeps being told what it has reached.
    let reply = client.expect("PASV", 227);
    assert!(["127.0.0.1", "192.0.2.7"].contains(&Client::pasv_address(&reply).ip().to_string().as_str()), "{reply}");
    assert_eq!(client.retrieve("f").0, b"x");
    let listener = client.port_listener();
    client.expect("RETR f", 150);
    assert_eq!(read_all(&mut client.accept(&listener)), b"x");
    assert_eq!(client.read_reply().code, 226);
}

/// Fetches a small file; over which port.
fn fetch(client: &mut Client) -> SocketAddr {
    let reply = client.expect("EPSV", 229);
    let address = client.epsv_address(&reply);
    let mut data = client.dial(address);
    client.expect("RETR f", 150);
    assert_eq!(read_all(&mut data), b"small");
    assert_eq!(client.read_reply().code, 226);
    address
}

/// Fetches small files so fast that the listener is kept for the next one; where it listens.
fn kept(client: &mut Client) -> SocketAddr {
    let begin = Instant::now();
    let mut last = fetch(client);
    loop {
        let next = fetch(client);
        if next == last {
            return next;
        }
        last = next;
        assert!(begin.elapsed() < PATIENCE, "no listener is kept");
    }
}

#[test]
fn who_comes_to_a_listener_that_is_kept_is_not_served_later() {
    let tree = Tree::new();
    tree.file("f", "small");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let mut met = 0;
    while met < 5 {
        let address = kept(&mut client);
        // It may be closed by now.
        let Ok(early) = TcpStream::connect(address) else { continue };
        let again = fetch(&mut client) == address;
        assert!(was_dropped(early), "it was kept: {again}");
        met += usize::from(again);
    }
}

#[test]
fn a_listener_is_kept_for_so_many_connections_and_not_for_long() {
    let tree = Tree::new();
    tree.file("f", "small");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let ports: Vec<SocketAddr> = (0..4 * LISTENER_USES_MAX).map(|_| fetch(&mut client)).collect();
    let longest = ports.chunk_by(|one, other| one == other).map(<[_]>::len).max();
    assert!(longest <= Some(LISTENER_USES_MAX as usize), "{longest:?}");
    let address = kept(&mut client);
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let time = Duration::from_millis(100);
    wait_until("it is closed", || TcpStream::connect_timeout(&address, time).is_err_and(refused));
}

#[test]
fn no_listener_is_kept_where_ports_are_scarce() {
    let tree = Tree::new();
    tree.file("f", "small");
    let server = serve_range(&tree, &free_range(1), &[]);
    let (mut one, mut other) = (login(&server), login(&server));
    for _ in 0..3 * LISTENER_KEPT_FROM {
        fetch(&mut one);
    }
    fetch(&mut other);
}
