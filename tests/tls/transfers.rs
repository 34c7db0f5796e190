//! What arrives under TLS is what was sent, however large, with however many at once; and what it costs.

use std::io::{Read, Write};
use std::thread;

use super::{login, login_any, login_implicit, noise, serve};
use crate::support::{Client, Server, Tls, Tree, VERSIONS, read_all};

const MIB: usize = 1024 * 1024;

/// About the edges of records (2^14) and of buffers.
const SIZES: [usize; 11] = [0, 1, 2, 4_096, 16_383, 16_384, 16_385, 32_768, 65_536, 5 * MIB, 5 * MIB + 1];

#[test]
fn every_size_goes_both_ways() {
    let tree = Tree::new();
    for helpers in ["2", "0"] {
        let server = serve(&tree, &["--helpers", helpers, "--tls-listen", "127.0.0.1:0", "--tls-reuse", "require"]);
        for version in VERSIONS {
            let tls = Tls::new(version);
            for mut client in [login(&server, &tls), login_implicit(&server, &tls.with_a_memory_of_its_own())] {
                for size in SIZES {
                    let content = noise(size);
                    let what = format!("{size} octets, {version:?}, {helpers} helpers");
                    assert_eq!(client.store("up", &content).code, 226, "STOR of {what}");
                    assert!(tree.read("up").unwrap() == content, "STOR of {what}");
                    let (octets, reply) = client.retrieve("up");
                    assert_eq!(reply.code, 226, "RETR of {what}: {reply}");
                    assert!(octets == content, "RETR of {what} brought {}", octets.len());
                    client.expect("DELE up", 250);
                }
            }
        }
    }
}

#[test]
fn text_and_positions_are_as_without_tls() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let text: String = (0..30_000).map(|number| format!("line {number}\n")).collect();
    tree.file("text", &text);
    for version in VERSIONS {
        let mut client = login(&server, &Tls::new(version));
        client.expect("TYPE A", 200);
        assert!(client.retrieve("text").0 == text.replace('\n', "\r\n").as_bytes());
        assert_eq!(client.store("up", text.replace('\n', "\r\n").as_bytes()).code, 226);
        assert!(tree.read("up").unwrap() == text.as_bytes());
        client.expect("TYPE I", 200);
        for position in [0, 1, 16_384, text.len() - 1, text.len()] {
            client.expect(format!("REST {position}"), 350);
            assert!(client.retrieve("text").0 == text.as_bytes()[position..], "from {position} on");
        }
        client.expect("REST 10", 350);
        assert_eq!(client.store("up", b"XYZ").code, 226);
        assert_eq!(client.put(b"APPE up", b"end").code, 226);
        let up = tree.read("up").unwrap();
        assert!(up[..10] == text.as_bytes()[..10] && &up[10..13] == b"XYZ" && up.ends_with(b"end"));
    }
}

#[test]
fn a_long_listing_arrives_whole() {
    let tree = Tree::new();
    for number in 0..20_000 {
        tree.file(format!("d/{}{number:05}", "n".repeat(60)), "");
    }
    for helpers in ["2", "0"] {
        let server = serve(&tree, &["--helpers", helpers]);
        for version in VERSIONS {
            let mut client = login(&server, &Tls::new(version));
            for verb in ["LIST", "NLST", "MLSD"] {
                let (text, reply) = client.list(format!("{verb} d"));
                let names = text.lines().filter(|line| line.contains("nnn")).count();
                assert_eq!((reply.code, names), (226, 20_000), "{verb}, {version:?}, {helpers} helpers");
            }
        }
    }
}

#[test]
fn records_are_full() {
    let tree = Tree::new();
    tree.file("f", noise(5 * MIB));
    for name in 0..5_000 {
        tree.file(format!("d/{name}"), "");
    }
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        let mut client = login(&server, &Tls::new(version));
        let mut count = |line: &str| {
            let mut data = client.epsv();
            client.expect(line, 150);
            let octets = read_all(&mut data).len();
            let records = data.stream().records().iter().filter(|(kind, length)| *kind == 23 && *length > 500).count();
            drop(data);
            assert_eq!(client.read_reply().code, 226);
            (octets, records)
        };
        let (octets, records) = count("RETR f");
        assert!(records <= octets.div_ceil(16_384) + 2, "{records} records for {octets} octets");
        // A listing is made in pieces of 32 KiB.
        let (octets, records) = count("LIST d");
        assert!(records <= octets.div_ceil(10_000) + 2, "{records} records for {octets} octets");
    }
}

#[test]
fn fifty_sessions_at_once() {
    let tree = Tree::new();
    let content = noise(MIB);
    tree.file("f", &content);
    for helpers in ["2", "0"] {
        let server = serve(&tree, &["--tls-reuse", "require", "--helpers", helpers]);
        let mut clients: Vec<Client> = (0..50).map(|number| login(&server, &Tls::new(VERSIONS[number % 2]))).collect();
        thread::scope(|scope| {
            for (number, client) in clients.iter_mut().enumerate() {
                let (tree, content) = (&tree, &content);
                scope.spawn(move || {
                    let name = format!("up{number}");
                    assert_eq!(client.store(&name, content).code, 226);
                    assert!(tree.read(&name).unwrap() == *content, "{name}");
                    assert!(client.retrieve(&name).0 == *content, "{name}");
                    assert!(client.list("NLST").0.contains(&name));
                    client.expect(format!("DELE {name}"), 250);
                });
            }
        });
        drop(clients);
    }
}

#[test]
fn a_slow_reader_holds_nobody_up() {
    let tree = Tree::new();
    let size = 32 * MIB;
    let content = noise(size);
    tree.file("big", &content).file("small", "x");
    for helpers in ["2", "0"] {
        let server = serve(&tree, &["--helpers", helpers]);
        for version in VERSIONS {
            let mut slow = login(&server, &Tls::new(version));
            let mut data = slow.epsv();
            slow.expect("RETR big", 150);
            let mut got = vec![0; 100_000];
            data.read_exact(&mut got).unwrap();
            let mut other = login(&server, &Tls::new(version));
            for _ in 0..20 {
                assert_eq!(other.retrieve("small").0, b"x");
                let mut piece = [0; 1_000];
                data.read_exact(&mut piece).unwrap();
                got.extend_from_slice(&piece);
                slow.expect("NOOP", 200);
            }
            got.append(&mut read_all(&mut data));
            drop(data);
            assert_eq!(slow.read_reply().code, 226);
            assert!(got == content, "{} octets", got.len());
            // A slow writer, with records that come in pieces.
            let mut data = slow.epsv();
            slow.expect("STOR up", 150);
            for piece in content[..50_000].chunks(1_000) {
                data.write_all(piece).unwrap();
                other.expect("NOOP", 200);
            }
            drop(data);
            assert_eq!(slow.read_reply().code, 226);
            assert!(tree.read("up").unwrap() == content[..50_000]);
        }
    }
}

#[test]
fn a_pipeline_of_commands_under_tls_is_answered_whole() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        // One record with many lines, and one line in many records.
        let mut client = Client::secured(server.address(), &Tls::new(version));
        client.send(b"USER u\r\nPASS secret\r\nPWD\r\nNOOP\r\nSYST\r\n");
        let codes: Vec<u16> = (0..5).map(|_| client.read_reply().code).collect();
        assert_eq!(codes, [331, 230, 257, 200, 215]);
        for octet in b"PWD\r\n" {
            client.send(&[*octet]);
        }
        assert_eq!(client.read_reply().code, 257);
        client.send(&b"NOOP\r\n".repeat(1_000));
        (0..1_000).for_each(|_| assert_eq!(client.read_reply().code, 200));
        // As much as TLS holds at once, and the end with it.
        client.send(&[b"NOOP\r\n".repeat(2_000), b"QUIT\r\n".to_vec()].concat());
        (0..2_000).for_each(|_| assert_eq!(client.read_reply().code, 200));
        assert_eq!(client.read_reply().code, 221);
        assert!(client.closed());
    }
}

#[test]
fn replies_that_nobody_reads_are_bounded_under_tls() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login_any(&server);
    client.stream().set_write_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
    let before = resident(&server);
    let lines = b"HELP\r\n".repeat(2_500);
    // Until the server reads no more.
    while client.tls().write_all(&lines).is_ok() {}
    let after = resident(&server);
    assert!(after < before + 4 * MIB, "{before} octets of memory became {after}");
    login_any(&server).expect("NOOP", 200);
}

/// Memory of its own that the server has in use, in octets.
fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn an_idle_session_is_small() {
    const SESSIONS: usize = 200;
    let tree = Tree::new();
    tree.file("f", noise(MIB)).directory("d");
    for version in VERSIONS {
        let server = serve(&tree, &[]);
        // What the first ones leave behind is everybody's.
        drop((0..20).map(|_| login(&server, &Tls::new(version))).collect::<Vec<_>>());
        let before = resident(&server);
        let mut clients: Vec<Client> = (0..SESSIONS).map(|_| login(&server, &Tls::new(version))).collect();
        let idle = resident(&server).saturating_sub(before) / SESSIONS;
        // What a transfer needed is given back.
        for client in &mut clients {
            assert_eq!(client.retrieve("f").1.code, 226);
            assert_eq!(client.store("d/up", &noise(100_000)).code, 226);
        }
        let used = resident(&server).saturating_sub(before) / SESSIONS;
        println!("{version:?}: {idle} octets for each idle session, {used} after a transfer");
        assert!(idle < 32 * 1024 && used < 32 * 1024, "{version:?}: {idle} octets, {used} after a transfer");
    }
}
