//! What arrives is what was sent: every size, both directions, both representations, from any position.

use std::io::{Read, Write};
use std::net::Shutdown;

use super::{HELPERS, login, noise, serve};
use crate::support::{Client, Data, Tree, read_all};

const MIB: usize = 1024 * 1024;

#[test]
fn every_size_arrives_whole_in_both_directions() {
    for helpers in HELPERS {
        let tree = Tree::new();
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        for size in [0, 1, 4_096, MIB + 1, 50 * MIB] {
            let content = noise(size, size as u64 + 1);
            tree.file("down", &content);
            let (octets, reply) = client.retrieve("down");
            assert_eq!(reply.code, 226, "{size}: {reply}");
            assert!(octets == content, "RETR of {size} octets with {helpers} helpers brought {}", octets.len());

            let reply = client.store("up", &content);
            // At once, not later: 226 says that all is in the file.
            let stored = tree.read("up").unwrap();
            assert_eq!(reply.code, 226, "{size}: {reply}");
            assert!(stored == content, "STOR of {size} octets with {helpers} helpers left {}", stored.len());
            client.expect("DELE up", 250);
        }
    }
}

#[test]
fn passive_and_active_connections_carry_the_same() {
    let tree = Tree::new();
    let content = noise(300_000, 1);
    tree.file("down", &content);
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let server = serve(&tree, &["--listen", listen]);
        let mut client = login(&server);
        type Open = fn(&mut Client, &str) -> Data;
        let epsv: Open = |client, line| {
            let data = client.epsv();
            client.expect(line, 150);
            data
        };
        let pasv: Open = |client, line| {
            let data = client.pasv();
            client.expect(line, 150);
            data
        };
        // The client may connect after the command as well as before it.
        let late: Open = |client, line| {
            let reply = client.expect("EPSV", 229);
            client.expect(line, 150);
            client.dial(client.epsv_address(&reply))
        };
        let active: Open = |client, line| {
            let listener = client.port_listener();
            client.expect(line, 150);
            client.accept(&listener)
        };
        let ways: &[Open] = if listen.starts_with('[') { &[epsv, late, active] } else { &[epsv, pasv, late, active] };
        for (number, open) in ways.iter().enumerate() {
            let mut data = open(&mut client, "RETR down");
            assert!(read_all(&mut data) == content, "{listen}, way {number}");
            assert_eq!(client.read_reply().code, 226);
            let mut data = open(&mut client, "STOR up");
            data.write_all(&content).unwrap();
            drop(data);
            assert_eq!(client.read_reply().code, 226);
            assert!(tree.read("up").unwrap() == content, "{listen}, way {number}");
            client.expect("DELE up", 250);
        }
    }
}

#[test]
fn two_hundred_transfers_at_once() {
    let tree = Tree::new();
    let down = noise(2 * MIB, 5);
    tree.file("down", &down);
    let server = serve(&tree, &[]);
    let before = server.descriptors();
    let mut sessions: Vec<(Client, Data)> = (0..200)
        .map(|number| {
            let mut client = login(&server);
            let data = client.epsv();
            let line = if number % 2 == 0 { "RETR down".to_owned() } else { format!("STOR up{number}") };
            client.expect(line, 150);
            (client, data)
        })
        .collect();
    // All uploads are under way at the same time: piece by piece, in turns.
    let up = noise(256 * 1024, 6);
    for piece in up.chunks(32 * 1024) {
        for (_, data) in sessions.iter_mut().skip(1).step_by(2) {
            data.write_all(piece).unwrap();
        }
    }
    for (number, (client, data)) in sessions.iter_mut().enumerate() {
        if number % 2 == 0 {
            assert!(read_all(data) == down, "download {number}");
        } else {
            data.shutdown(Shutdown::Write).unwrap();
        }
        let reply = client.read_reply();
        assert_eq!(reply.code, 226, "{number}: {reply}");
    }
    for number in (1..200).step_by(2) {
        assert!(tree.read(format!("up{number}")).unwrap() == up, "upload {number}");
    }
    drop(sessions);
    super::wait_until("all descriptors are given back", || server.descriptors() <= before + 8);
}

#[test]
fn ascii_lines_end_with_crlf_on_the_wire_and_lf_on_disk() {
    let tree = Tree::new();
    tree.file("text", "one\ntwo\r\n\nthree");
    let long: String = (0..40_000).map(|number| format!("line {number}\n")).collect();
    tree.file("long", &long);
    for helpers in HELPERS {
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        client.expect("TYPE A", 200);
        assert_eq!(client.retrieve("text").0, b"one\r\ntwo\r\n\r\nthree");
        assert!(client.retrieve("long").0 == long.replace('\n', "\r\n").as_bytes());
        assert_eq!(client.store("up", b"one\r\n\r\nbare\rcr\ntwo\r").code, 226);
        assert_eq!(tree.read("up").unwrap(), b"one\n\nbare\rcr\ntwo\r");
        assert_eq!(client.store("up", long.replace('\n', "\r\n").as_bytes()).code, 226);
        assert!(tree.read("up").unwrap() == long.as_bytes());
        client.expect("SIZE text", 550);
        client.expect("TYPE I", 200);
        assert_eq!(client.expect("SIZE text", 213).text(), "213 15");
        client.expect("DELE up", 250);
    }
}

/// The server changes its way of sending with the client's pace; one pipe serves all downloads, and what a client did
/// not take must not reach another.
#[test]
fn clients_that_change_their_pace_get_their_own_octets() {
    let tree = Tree::new();
    let contents: Vec<Vec<u8>> = (0..4).map(|number| noise(40 * MIB + 12_345, 70 + number)).collect();
    for (number, content) in contents.iter().enumerate() {
        tree.file(format!("down{number}"), content);
    }
    let server = serve(&tree, &[]);
    let download = |number: usize| {
        let (mut client, rest) = (login(&server), number * 1_001);
        client.expect(format!("REST {rest}"), 350);
        let mut data = client.epsv();
        client.expect(format!("RETR down{number}"), 150);
        let mut octets = Vec::new();
        let mut piece = vec![0; MIB];
        while let count @ 1.. = data.read(&mut piece).unwrap() {
            octets.extend_from_slice(&piece[..count]);
            // Fast, and now and then so slow that the server has to wait.
            if octets.len() / (9 * MIB) != (octets.len() - count) / (9 * MIB) {
                std::thread::sleep(std::time::Duration::from_millis(30));
            }
        }
        assert_eq!(client.read_reply().code, 226);
        assert!(
            octets == contents[number][rest..],
            "download {number}: {} octets, or not the right ones",
            octets.len()
        );
    };
    std::thread::scope(|scope| (0..4).for_each(|number| drop(scope.spawn(move || download(number)))));
}

#[test]
fn a_transfer_begins_where_rest_says() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    tree.file("f", "0123456789");
    for (position, rest) in [(0, "0123456789"), (4, "456789"), (9, "9"), (10, "")] {
        client.expect(format!("REST {position}"), 350);
        let (octets, reply) = client.retrieve("f");
        assert_eq!((reply.code, octets.as_slice()), (226, rest.as_bytes()), "{position}");
    }
    for (line, codes) in [
        ("REST -1", [501, 501]),
        ("REST x", [501, 501]),
        ("REST", [501, 501]),
        ("REST 0x10", [501, 501]),
        ("REST 1 2", [501, 501]),
        ("REST 18446744073709551616", [501, 501]),
        ("REST 9223372036854775808", [501, 554]),
    ] {
        let code = client.say(line).code;
        assert!(codes.contains(&code), "{line}: {code}");
    }
    // Beyond the end: refused, for both directions, and the file stays.
    for line in ["RETR f", "STOR f"] {
        client.expect("REST 11", 350);
        client.expect("EPSV", 229);
        let reply = client.say(line);
        assert!([501, 554].contains(&reply.code), "{line}: {reply}");
    }
    assert_eq!(tree.read("f").unwrap(), b"0123456789");
    // Any command that is not part of a transfer forgets it; what prepares one does not.
    client.expect("REST 4", 350);
    client.expect("NOOP", 200);
    assert_eq!(client.retrieve("f").0, b"0123456789");
    client.expect("REST 4", 350);
    client.expect("TYPE I", 200);
    assert_eq!(client.retrieve("f").0, b"456789");
    assert_eq!(client.retrieve("f").0, b"0123456789");
    // A refused RETR uses it up.
    client.expect("REST 4", 350);
    client.expect("EPSV", 229);
    client.expect("RETR absent", 550);
    assert_eq!(client.retrieve("f").0, b"0123456789");

    client.expect("REST 4", 350);
    assert_eq!(client.store("f", b"ab").code, 226);
    assert_eq!(tree.read("f").unwrap(), b"0123ab6789");
    client.expect("REST 10", 350);
    assert_eq!(client.store("f", b"!").code, 226);
    assert_eq!(tree.read("f").unwrap(), b"0123ab6789!");
}

#[test]
fn appe_adds_and_stou_never_replaces() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    for (content, whole) in [("one", "one"), (" two", "one two"), ("", "one two")] {
        assert_eq!(client.put(b"APPE log", content.as_bytes()).code, 226);
        assert_eq!(tree.read("log").unwrap(), whole.as_bytes());
    }
    let big = noise(3 * MIB, 9);
    assert_eq!(client.put(b"APPE log", &big).code, 226);
    assert!(tree.read("log").unwrap()[7..] == big);
    tree.file("name", "old");
    let mut names = Vec::new();
    for line in ["STOU", "STOU", "STOU name", "STOU name"] {
        let mut data = client.epsv();
        let reply = client.expect(line, 150);
        // RFC 1123 section 4.1.2.9: 150 FILE: pppp.
        let name = reply.text().strip_prefix("150 FILE: ").unwrap_or_else(|| panic!("{reply}")).to_owned();
        data.write_all(name.as_bytes()).unwrap();
        drop(data);
        assert_eq!(client.read_reply().code, 226);
        assert_eq!(tree.read(&name).unwrap(), name.as_bytes());
        names.push(name);
    }
    names.sort();
    names.dedup();
    assert_eq!((names.len(), tree.read("name").unwrap().as_slice()), (4, &b"old"[..]));
}

#[test]
fn a_shorter_file_replaces_a_longer_one_whole() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    // Longer than what the loop itself empties, and shorter.
    for old in [20 * MIB, 100] {
        tree.file("f", vec![b'x'; old]);
        assert_eq!(client.store("f", b"new").code, 226);
        assert_eq!(tree.read("f").unwrap(), b"new");
    }
}
