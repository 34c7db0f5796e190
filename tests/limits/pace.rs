//! How fast commands may come (`--commands-per-second`).

use std::time::{Duration, Instant};

use super::{login, serve};
use crate::support::Tree;

#[test]
fn commands_that_come_too_fast_wait_and_none_is_lost() {
    let tree = Tree::new();
    tree.sparse("big", 64 * 1024 * 1024);
    let server = serve(&tree, &["--commands-per-second", "40"]);
    let (mut client, mut other) = (login(&server), login(&server));
    let (begin, used) = (Instant::now(), server.processor_time());
    client.send(&b"NOOP\r\nSYST\r\n".repeat(100));
    client.send(b"\r\n");
    for round in 0..100 {
        assert_eq!((client.read_reply().code, client.read_reply().code), (200, 215), "round {round}");
        if round == 50 {
            // Another session has a rate of its own.
            let asked = Instant::now();
            other.expect("NOOP", 200);
            assert!(asked.elapsed() < Duration::from_secs(1), "it was held up");
        }
    }
    // 200 commands, 40 of them at once at most.
    let elapsed = begin.elapsed();
    assert!(elapsed >= Duration::from_millis(3_900), "200 commands in {elapsed:?}");
    assert!(elapsed < Duration::from_secs(15), "200 commands took {elapsed:?}");
    // It slept meanwhile.
    let used = server.processor_time() - used;
    assert!(used < elapsed / 4, "{used:?} of {elapsed:?}: it spins");
    let log = server.wait_for_log("127.0.0.1: sends commands faster than --commands-per-second; they wait");
    assert_eq!(log.matches("--commands-per-second").count(), 1, "{log}");
    // A transfer goes on whatever its session says meanwhile, and a farewell does not wait.
    let mut data = client.epsv();
    client.send(b"RETR big\r\n");
    client.send(&b"NOOP\r\n".repeat(60));
    assert_eq!(crate::support::read_all(&mut data).len(), 64 * 1024 * 1024);
    let codes: Vec<u16> = (0..62).map(|_| client.read_reply().code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 60, "{codes:?}");
    client.expect("QUIT", 221);
    assert!(client.closed());
}

#[test]
fn what_was_said_too_fast_does_not_hold_up_the_end() {
    let tree = Tree::new();
    let mut server = serve(&tree, &["--commands-per-second", "1"]);
    let mut client = crate::support::Client::connect(server.address());
    client.send(&b"NOOP\r\n".repeat(50));
    assert_eq!(client.read_reply().code, 200);
    server.signal(rustix::process::Signal::TERM);
    while client.read_reply().code != 421 {}
    assert!(client.closed());
    assert_eq!(server.wait().code(), Some(0));
}
