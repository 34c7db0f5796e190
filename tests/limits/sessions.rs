//! How many sessions there may be, and what the next one is told.

use std::io::Read;
use std::net::TcpStream;
use std::time::Instant;

use ferryd::limits::ACCEPTS_PER_TURN;

use super::{login, serve, wait_until};
use crate::support::{Client, Server, Tree, connect_from};

/// All that a new connection says until it ends.
fn refusal(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // It may end with a reset; what it said before counts.
    let _ = stream.read_to_string(&mut text);
    text
}

/// Connects until there is room again.
fn wait_for_room(server: &Server) -> Client {
    let mut found = None;
    wait_until("there is room for a session again", || {
        let mut client = Client::connect_silently(server.address());
        let admitted = client.try_read_reply().is_some_and(|reply| reply.code == 220);
        found = admitted.then_some(client);
        admitted
    });
    found.unwrap()
}

#[test]
fn one_session_too_many_is_told_421() {
    let tree = Tree::new();
    let server = serve(&tree, &["--max-sessions", "3"]);
    let mut sessions: Vec<Client> = (0..3).map(|_| login(&server)).collect();
    let begin = Instant::now();
    for _ in 0..50 {
        let text = refusal(TcpStream::connect(server.address()).unwrap());
        assert!(text.starts_with("421 ") && text.ends_with("\r\n") && text.lines().count() == 1, "{text:?}");
    }
    let most = 1 + begin.elapsed().as_secs() as usize;
    let log = server.wait_for_log("127.0.0.1: refused: 421 Too many sessions; try again later.");
    assert!(log.matches("refused").count() <= most && most < 25, "more than {most} lines:\n{log}");
    for client in &mut sessions {
        client.expect("NOOP", 200);
    }
    sessions.pop().unwrap().expect("QUIT", 221);
    // Who is not logged in counts as well.
    let silent = wait_for_room(&server);
    assert!(refusal(TcpStream::connect(server.address()).unwrap()).starts_with("421 "));
    drop(silent);
    wait_for_room(&server);
}

#[test]
fn one_address_has_its_own_limit() {
    let tree = Tree::new();
    let server = serve(&tree, &["--max-sessions-per-address", "2"]);
    let _two = [login(&server), login(&server)];
    let begin = Instant::now();
    for _ in 0..50 {
        assert!(refusal(TcpStream::connect(server.address()).unwrap()).starts_with("421 "));
    }
    let most = 1 + begin.elapsed().as_secs() as usize;
    let log = server.wait_for_log("127.0.0.1: refused: 421 Too many sessions from your address.");
    assert!(log.matches("refused").count() <= most && most < 25, "more than {most} lines:\n{log}");
    // Another address is not concerned.
    let mut others: Vec<TcpStream> = (0..2).map(|_| connect_from([127, 0, 0, 2], server.address())).collect();
    for stream in &mut others {
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"220 ");
    }
    assert!(refusal(connect_from([127, 0, 0, 2], server.address())).starts_with("421 "));
    // It is told of all the same, however much there was to tell of the first.
    server.wait_for_log("127.0.0.2: refused: 421 Too many sessions from your address.");
    drop(others.pop());
    wait_until("the other address has room again", || {
        let mut stream = connect_from([127, 0, 0, 2], server.address());
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).is_ok() && &greeting == b"220 "
    });
}

#[test]
fn new_connections_have_a_rate() {
    let tree = Tree::new();
    let server = serve(&tree, &["--connections-per-second", "5"]);
    let begin = std::time::Instant::now();
    let mut answers: Vec<String> = Vec::new();
    for _ in 0..40 {
        answers.push(refusal_or_greeting(connect_from([127, 0, 0, 9], server.address())));
    }
    let seconds = begin.elapsed().as_secs() as usize;
    let admitted = answers.iter().filter(|answer| answer.starts_with("220 ")).count();
    assert!((5..=5 + 5 * (seconds + 1)).contains(&admitted), "{admitted} in {seconds} s");
    for answer in answers.iter().filter(|answer| !answer.starts_with("220 ")) {
        assert!(answer.starts_with("421 Too many connections") && answer.ends_with("\r\n"), "{answer:?}");
    }
    // The log is told, and not forty times; another address is not concerned; a second later there is room again.
    let log = server.wait_for_log("127.0.0.9: refused: 421 Too many connections");
    let told = log.lines().filter(|line| line.contains("refused")).count();
    assert!(told <= seconds + 1, "{told} lines in {seconds} s:\n{log}");
    login(&server);
    wait_until("there is room again", || {
        refusal_or_greeting(connect_from([127, 0, 0, 9], server.address())).starts_with("220 ")
    });
}

/// The first line that a new connection says.
fn refusal_or_greeting(mut stream: TcpStream) -> String {
    let (mut text, mut octet) = (String::new(), [0; 1]);
    while !text.ends_with('\n') && matches!(stream.read(&mut octet), Ok(1)) {
        text.push(char::from(octet[0]));
    }
    text
}

#[test]
fn more_connections_than_one_turn_accepts() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let clients: Vec<Client> = (0..ACCEPTS_PER_TURN * 4).map(|_| Client::connect_silently(server.address())).collect();
    for mut client in clients {
        assert_eq!(client.read_reply().code, 220);
    }
}

#[test]
fn sessions_that_come_and_go_leave_nothing() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &[]);
    login(&server).retrieve("f");
    let before = server.descriptors();
    for round in 0..1_500 {
        match round % 5 {
            0 => drop(TcpStream::connect(server.address()).unwrap()),
            1 => crate::support::reset(TcpStream::connect(server.address()).unwrap()),
            2 => drop(Client::connect(server.address())),
            3 => {
                let mut client = login(&server);
                client.expect("EPSV", 229);
            }
            _ => {
                let mut client = login(&server);
                client.expect("EPSV", 229);
                client.send_line("RETR f");
            }
        }
    }
    wait_until("all descriptors are given back", || server.descriptors() <= before);
}
