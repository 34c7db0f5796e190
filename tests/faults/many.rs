//! Very many of the same: what is not given back shows. The bounded runs are for every day; the long ones are ignored, and
//! run by hand: `cargo test --release --test faults -- --ignored --nocapture many`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use rustix::process::{Resource, getrlimit, setrlimit};

use super::wait_until;
use crate::support::{PATIENCE, Server, Tree, reset};

/// Octets of memory that the server uses now.
fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}

/// Reads replies of one line until one begins with `code`.
fn read_until(client: &mut BufReader<TcpStream>, code: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(client.read_line(&mut line).unwrap() > 0, "the connection ends before {code}");
        if line.starts_with(code) {
            return line;
        }
        assert!(line.starts_with('2') || line.starts_with('3'), "{line:?}");
    }
}

/// A client that logs in, asks for a port, perhaps connects to it, perhaps begins a transfer, and is gone by a reset.
fn cycle(address: SocketAddr, number: usize) {
    let mut client = connect(address);
    client.get_mut().write_all(b"USER anonymous\r\nPASS x\r\nEPSV\r\n").unwrap();
    let reply = read_until(&mut client, "229");
    let port: u16 = reply.split("|||").nth(1).unwrap().split('|').next().unwrap().parse().unwrap();
    let data = matches!(number % 3, 1 | 2).then(|| TcpStream::connect((address.ip(), port)).unwrap());
    if number % 3 == 2 {
        client.get_mut().write_all(b"RETR f\r\n").unwrap();
    }
    reset(client.into_inner());
    data.into_iter().for_each(reset);
}

/// Descriptors and memory are flat over `count` cycles.
fn cycles(count: usize) {
    let tree = Tree::new();
    tree.sparse("f", 1_000_000);
    let mut server = Server::start(tree.path(), &["--log-level", "error"]);
    (0..300).for_each(|number| cycle(server.address(), number));
    wait_until("the first have left", || server.descriptors() < 20);
    let (descriptors, memory, begin) = (server.descriptors(), resident(&server), Instant::now());
    (0..count).for_each(|number| cycle(server.address(), number));
    wait_until("descriptors are given back", || server.descriptors() <= descriptors);
    let grown = resident(&server).saturating_sub(memory);
    println!(
        "{count} cycles in {:.1} s: {descriptors} descriptors before, {} after; {memory} octets of memory before, {grown} more after",
        begin.elapsed().as_secs_f64(),
        server.descriptors()
    );
    assert!(grown < 1024 * 1024, "{grown} octets more than before");
    assert!(server.is_alive());
}

#[test]
fn connect_pasv_reset() {
    cycles(5_000);
}

#[test]
#[ignore = "it takes a minute: --ignored runs it"]
fn connect_pasv_reset_100_000_times() {
    cycles(100_000);
}

/// `count` sessions are there at once, and each is served.
fn sessions(count: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    if limit.maximum.is_some_and(|most| most < count as u64 + 1_000) {
        return super::cannot(&format!("{count} sessions need more descriptors than {:?}", limit.maximum));
    }
    let tree = Tree::new();
    tree.file("f", "content");
    let mut server = Server::start(tree.path(), &["--log-level", "error", "--max-sessions", &count.to_string()]);
    let (descriptors, memory, begin) = (server.descriptors(), resident(&server), Instant::now());
    let mut clients: Vec<_> = (0..count).map(|_| connect(server.address())).collect();
    for client in &mut clients {
        client.get_mut().write_all(b"USER anonymous\r\nPASS x\r\n").unwrap();
    }
    clients.iter_mut().for_each(|client| drop(read_until(client, "230")));
    let taken = (resident(&server) - memory) / count;
    println!("{count} sessions logged in after {:.1} s: {taken} octets each", begin.elapsed().as_secs_f64());
    // One more is too many, and is told so.
    let mut line = String::new();
    connect(server.address()).read_line(&mut line).unwrap();
    assert!(line.starts_with("421 "), "{line:?}");
    let round = Instant::now();
    for client in &mut clients {
        client.get_mut().write_all(b"TYPE I\r\nSIZE f\r\nNOOP\r\n").unwrap();
    }
    for client in &mut clients {
        assert_eq!(read_until(client, "213").trim_end(), "213 7");
        read_until(client, "200");
    }
    println!("each asked SIZE and NOOP in {:.2} s", round.elapsed().as_secs_f64());
    assert!(taken < 16 * 1024, "{taken} octets for each");
    drop(clients);
    wait_until("all have left", || server.descriptors() <= descriptors + 1);
    let mut client = connect(server.address());
    read_until(&mut client, "220");
    assert!(server.is_alive());
}

#[test]
fn a_thousand_sessions_at_once() {
    sessions(1_000);
}

#[test]
#[ignore = "it takes 20,000 descriptors: --ignored runs it"]
fn ten_thousand_sessions_at_once() {
    sessions(10_000);
}
