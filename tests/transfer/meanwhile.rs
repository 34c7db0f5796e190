//! What is said while a transfer runs: NOOP, STAT, ABOR and QUIT are answered, the rest keeps its place in the line.

use std::io::Read;
use std::net::Shutdown;

use super::{HELPERS, MORE_THAN_BUFFERS, login, serve, stalled_retr, stalled_stor, wait_for_length};
use crate::support::{Client, Tree, read_all};

/// What it is called, and how it is done.
type Way = (&'static str, fn(&mut Client));

/// Ways in which clients say ABOR. Urgent data ends with the octet that is marked.
const ABORTS: [Way; 5] = [
    ("plain", |client| client.send(b"ABOR\r\n")),
    ("lower case, LF", |client| client.send(b"abor\n")),
    ("IP and Synch", |client| {
        client.send_urgent(b"\xff\xf4\xff");
        client.send(b"\xf2ABOR\r\n");
    }),
    ("IP first, the data mark itself is urgent", |client| {
        client.send(b"\xff\xf4");
        client.send_urgent(b"\xff\xf2");
        client.send(b"ABOR\r\n");
    }),
    ("all of it is urgent, as from Python", |client| client.send_urgent(b"ABOR\r\n")),
];

#[test]
fn abor_ends_retr_with_426_and_then_226() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS);
    tree.file("small", "x");
    for helpers in HELPERS {
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        for (way, abort) in ABORTS {
            let data = stalled_retr(&mut client, "big");
            abort(&mut client);
            assert_eq!((client.read_reply().code, client.read_reply().code), (426, 226), "{way}");
            drop(data);
            client.expect("NOOP", 200);
            assert_eq!(client.retrieve("small").0, b"x", "{way}");
        }
    }
}

#[test]
fn abor_ends_stor_and_what_came_stays() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    for (way, abort) in ABORTS {
        let data = stalled_stor(&mut client, "part", b"half of it");
        wait_for_length(&tree, "part", 10);
        abort(&mut client);
        assert_eq!((client.read_reply().code, client.read_reply().code), (426, 226), "{way}");
        drop(data);
        assert_eq!(tree.read("part").unwrap(), b"half of it", "{way}");
        assert_eq!(client.store("whole", b"x").code, 226, "{way}");
        client.expect("DELE part", 250);
    }
}

#[test]
fn abor_without_a_transfer_is_one_226() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    for (way, abort) in ABORTS {
        abort(&mut client);
        assert_eq!(client.read_reply().code, 226, "{way}");
        // It takes the data connection with it, and nothing else is said.
        client.expect("EPSV", 229);
        abort(&mut client);
        assert_eq!(client.read_reply().code, 226, "{way}");
        client.expect("RETR f", 425);
        assert_eq!(client.retrieve("f").0, b"x", "{way}");
    }
    // Before the client has connected, there is a transfer already.
    client.expect("EPSV", 229);
    client.expect("RETR f", 150);
    client.expect("ABOR", 426);
    assert_eq!(client.read_reply().code, 226);
}

#[test]
fn noop_and_stat_are_answered_at_once() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS);
    for helpers in HELPERS {
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        let mut data = stalled_retr(&mut client, "big");
        for _ in 0..10 {
            client.expect("NOOP", 200);
            let status = client.expect("STAT", 211);
            assert!(status.text().contains("octets so far"), "{status}");
        }
        let octets = read_all(&mut data);
        assert_eq!(octets.len() as u64, MORE_THAN_BUFFERS);
        assert_eq!(client.read_reply().code, 226);
        let mut data = stalled_stor(&mut client, "up", b"some");
        client.expect("NOOP", 200);
        client.expect("STAT", 211);
        drop(std::io::Write::write_all(&mut data, b" more"));
        drop(data);
        assert_eq!(client.read_reply().code, 226);
        assert_eq!(tree.read("up").unwrap(), b"some more");
        client.expect("DELE up", 250);
    }
}

#[test]
fn quit_lets_the_transfer_finish() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS);
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let mut data = stalled_retr(&mut client, "big");
    client.expect("QUIT", 221);
    // Nothing behind QUIT is carried out.
    client.send_line("MKD later");
    assert_eq!(read_all(&mut data).len() as u64, MORE_THAN_BUFFERS);
    assert_eq!(client.try_read_reply().map(|reply| reply.code), Some(226));
    assert!(client.closed());
    assert!(!tree.at("later").exists());

    let mut client = login(&server);
    let mut data = stalled_stor(&mut client, "up", b"some");
    client.expect("QUIT", 221);
    std::io::Write::write_all(&mut data, b" more").unwrap();
    data.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.try_read_reply().map(|reply| reply.code), Some(226));
    assert_eq!(tree.read("up").unwrap(), b"some more");
}

#[test]
fn other_lines_wait_their_turn_in_order() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS).directory("d").file("d/f", "x");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let mut data = stalled_retr(&mut client, "big");
    // NOOP stands behind PWD and must not overtake it.
    client.send(b"NOOP\r\nPWD\r\nNOOP\r\nCWD d\r\nPWD\r\nSIZE f\r\n");
    assert_eq!(client.read_reply().code, 200);
    assert!(client.silent_for(std::time::Duration::from_millis(50)), "something overtook the transfer");
    read_all(&mut data);
    let replies: Vec<String> = (0..6).map(|_| client.read_reply().text()).collect();
    let begins = ["226 ", "257 \"/\"", "200 ", "250 ", "257 \"/d\"", "213 1"];
    for (reply, begin) in replies.iter().zip(begins) {
        assert!(reply.starts_with(begin), "{replies:?}");
    }
    // ABOR is found behind them all the same.
    client.expect("CDUP", 250);
    let data = stalled_retr(&mut client, "big");
    client.send(b"PWD\r\nABOR\r\nSYST\r\n");
    let codes: Vec<u16> = (0..4).map(|_| client.read_reply().code).collect();
    assert_eq!(codes, [426, 226, 257, 215]);
    drop(data);
}

#[test]
fn a_session_in_one_segment() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = Client::connect(server.address());
    client.send(b"USER u\r\nPASS secret\r\nMKD a\r\nCWD a\r\nPWD\r\nTYPE I\r\nEPSV\r\nNOOP\r\nQUIT\r\n");
    let codes: Vec<u16> = std::iter::from_fn(|| client.try_read_reply()).map(|reply| reply.code).collect();
    assert_eq!(codes, [331, 230, 257, 250, 257, 200, 229, 200, 221]);
    assert!(tree.at("a").is_dir());
    // One octet at a time comes to the same.
    let mut client = Client::connect(server.address());
    for octet in b"USER u\r\nPASS secret\r\nPWD\r\nQUIT\r\n" {
        client.send(&[*octet]);
    }
    let codes: Vec<u16> = std::iter::from_fn(|| client.try_read_reply()).map(|reply| reply.code).collect();
    assert_eq!(codes, [331, 230, 257, 221]);
}

#[test]
fn a_listing_is_a_transfer_too() {
    let tree = Tree::new();
    // Seven MiB of text, which is more than the socket buffers take before anybody reads.
    for number in 0..10_000 {
        tree.file(format!("d{}/{}{number:05}", number % 10, "n".repeat(240)), "");
    }
    // What the helper does not bring back at once, and what the loop does alone.
    for helpers in HELPERS {
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        let mut data = client.epsv();
        client.expect("LIST -lR", 150);
        client.expect("NOOP", 200);
        data.read_exact(&mut [0; 1]).unwrap();
        client.send_line("ABOR");
        // It may have been over before ABOR came: then ABOR had nothing to end.
        let codes = [client.read_reply().code, client.read_reply().code];
        assert!(matches!(codes, [426, 226] | [226, 226]), "{codes:?}");
        drop(data);
        let (text, reply) = client.list("LIST d1");
        assert_eq!((text.lines().count(), reply.code), (1_000, 226));
    }
}
