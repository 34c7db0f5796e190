//! To whom a data connection belongs: `--tls-reuse`. What resumes is the session of its own control connection, not just
//! some session.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use super::{login, serve};
use crate::support::{Client, Data, Memory, Reply, Server, Tls, Tree, VERSIONS, Version, read_all};

/// The ways in which clients resume.
const WAYS: [(Version, Memory); 3] =
    [(Version::V13, Memory::Tickets), (Version::V12, Memory::Tickets), (Version::V12, Memory::Ids)];

/// Opens a data connection with `tls` and begins `line`; its handshake, which may fail, and the last reply.
fn attempt(client: &mut Client, tls: &Tls, line: &str) -> (Data, io::Result<()>, Reply) {
    let own = tls.clone();
    client.open_data_with(Some(&own));
    let mut data = client.epsv();
    client.send_line(line);
    let handshake = data.try_begin();
    // The end of the handshake is not always the server's consent.
    let outcome = handshake.and_then(|()| match line.starts_with("STOR") {
        true => data.shutdown(Shutdown::Write),
        false => data.read_to_end(&mut Vec::new()).map(drop),
    });
    let mut reply = client.read_reply();
    if !reply.is_final() {
        reply = client.read_reply();
    }
    (data, outcome, reply)
}

fn refused(client: &mut Client, stranger: &Tls, line: &str) {
    let given = stranger.given();
    let (mut data, outcome, reply) = attempt(client, stranger, line);
    assert_eq!(reply.code, 522, "{line}: {reply}");
    assert!(reply.text().contains("--tls-reuse"), "{reply}");
    assert!(outcome.is_err() && !data.stream().is_up(), "{line}: the handshake came to its end");
    assert_eq!(stranger.given(), given, "a stranger was given a session");
    let kinds: Vec<u8> = data.stream().records().iter().map(|(kind, _)| *kind).collect();
    assert!(!kinds.contains(&23), "a stranger was sent data: {kinds:?}");
}

#[test]
fn a_full_handshake_is_refused_under_way_where_reuse_is_required() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &["--tls-reuse", "require"]);
    for version in VERSIONS {
        let tls = Tls::new(version);
        let mut client = login(&server, &tls);
        let stranger = tls.with_a_memory_of_its_own();
        // What little it may have learned does not help it the second time.
        for line in ["RETR f", "RETR f", "LIST", "STOR up", "STOR f", "RETR f"] {
            refused(&mut client, &stranger, line);
        }
        assert!(!tree.at("up").exists() && tree.read("f").unwrap() == b"content");
        client.open_data_with(Some(&tls));
        assert_eq!(client.retrieve("f").0, b"content");
    }
}

#[test]
fn a_session_of_another_control_connection_is_refused() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &["--tls-reuse", "require"]);
    for (version, memory) in WAYS {
        let (mine, other) = (Tls::remembering(version, memory), Tls::remembering(version, memory));
        let mut client = login(&server, &mine);
        let mut thief = login(&server, &other);
        for line in ["RETR f", "STOR up", "LIST"] {
            refused(&mut client, &other, line);
        }
        assert!(!tree.at("up").exists(), "{version:?} {memory:?}");
        // The true one is none the worse for it, and neither is the other.
        client.open_data_with(Some(&mine));
        assert_eq!(client.retrieve("f").0, b"content");
        let fresh = other.with_a_memory_of_its_own();
        let mut again = login(&server, &fresh);
        assert_eq!(again.retrieve("f").0, b"content");
        thief.expect("NOOP", 200);
    }
}

/// Anybody may come with a full handshake there: clients that share one memory among their connections come too.
#[test]
fn prefer_makes_a_full_handshake_of_a_session_of_another_control_connection() {
    let tree = Tree::new();
    tree.file("f", "content").file("up", "");
    let server = serve(&tree, &["--tls-reuse", "prefer"]);
    for (number, (version, memory)) in WAYS.into_iter().enumerate() {
        let (mine, other) = (Tls::remembering(version, memory), Tls::remembering(version, memory));
        let mut client = login(&server, &mine);
        let _sibling = login(&server, &other);
        let (mut data, outcome, reply) = attempt(&mut client, &other, "STOR up");
        assert!(outcome.is_ok() && reply.code == 226, "{version:?} {memory:?}: {reply}");
        assert!(!data.stream().resumed(), "{version:?} {memory:?}: the session of another was resumed");
        // Its own still resumes, however many others there were.
        for _ in 0..6 {
            client.open_data_with(Some(&Tls::remembering(version, Memory::Nothing)));
            assert_eq!(client.retrieve("f").0, b"content");
        }
        let (mut data, _, reply) = attempt(&mut client, &mine, "RETR f");
        assert!(data.stream().resumed() && reply.code == 226, "{version:?} {memory:?}: {reply}");
        super::wait_for_log_lines(&server, "not its control connection's", number + 1);
    }
}

/// A download, an upload and a listing; which of them resumed.
fn round(client: &mut Client, what: &str) -> [bool; 3] {
    let mut data = client.epsv();
    client.expect("RETR f", 150);
    assert_eq!(read_all(&mut data), b"content", "{what}");
    let retr = data.stream().resumed();
    drop(data);
    assert_eq!(client.read_reply().code, 226);
    let mut data = client.epsv();
    client.expect("STOR up", 150);
    data.write_all(b"new").unwrap();
    let stor = data.stream().resumed();
    drop(data);
    assert_eq!(client.read_reply().code, 226);
    let mut data = client.epsv();
    client.expect("NLST", 150);
    assert_eq!(read_all(&mut data), b"f\r\nup\r\n", "{what}");
    let nlst = data.stream().resumed();
    drop(data);
    assert_eq!(client.read_reply().code, 226);
    [retr, stor, nlst]
}

#[test]
fn the_own_session_resumes_as_often_as_there_are_transfers() {
    let tree = Tree::new();
    tree.file("f", "content");
    for reuse in ["require", "prefer"] {
        let server = serve(&tree, &["--tls-reuse", reuse, "--tls-listen", "127.0.0.1:0"]);
        for (version, memory) in WAYS {
            let tls = Tls::remembering(version, memory);
            for mut client in [login(&server, &tls), super::login_implicit(&server, &tls.with_a_memory_of_its_own())] {
                for number in 0..12 {
                    let what = format!("{reuse} {version:?} {memory:?} round {number}");
                    let resumed = round(&mut client, &what);
                    // A ticket of TLS 1.3 is used once, and uploads give none where reuse is only preferred.
                    let runs_out = reuse == "prefer" && version == Version::V13 && number >= 3;
                    assert!(runs_out || resumed == [true; 3], "{what}: {resumed:?}");
                }
            }
        }
        assert!(reuse == "prefer" || !server.log().contains("did not resume"), "{}", server.log());
    }
}

#[test]
fn tickets_that_are_used_once_last_for_one_direction_alone() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &["--tls-reuse", "require"]);
    let mut client = login(&server, &Tls::new(Version::V13));
    for _ in 0..15 {
        assert_eq!(client.store("up", b"x").code, 226);
    }
    for _ in 0..15 {
        assert_eq!(client.retrieve("f").0, b"content");
    }
    for _ in 0..15 {
        assert_eq!(client.store("up", b"").code, 226);
    }
}

#[test]
fn prefer_accepts_a_full_handshake_and_says_so_once_a_session() {
    let tree = Tree::new();
    tree.file("f", "content").file("up", "");
    let server = serve(&tree, &["--tls-reuse", "prefer"]);
    let lines = |server: &Server| server.log().matches("did not resume").count();
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let mut client = login(&server, &Tls::remembering(version, Memory::Nothing));
        for _ in 0..4 {
            assert_eq!(round(&mut client, "prefer"), [false; 3]);
        }
        client.expect("QUIT", 221);
        server.wait_for_log("did not resume");
        assert_eq!(lines(&server), number + 1, "{}", server.log());
    }
}

#[test]
fn off_asks_for_nothing_and_gives_nothing() {
    let tree = Tree::new();
    tree.file("f", "content").file("up", "");
    let server = serve(&tree, &["--tls-reuse", "off"]);
    for version in VERSIONS {
        let tls = Tls::remembering(version, Memory::Nothing);
        let mut client = login(&server, &tls);
        assert_eq!(round(&mut client, "off"), [false; 3]);
        // Not even what another session has given matters.
        let other = Tls::new(version);
        let _other = login(&server, &other);
        assert_eq!(attempt(&mut client, &other, "RETR f").2.code, 226);
    }
    let tls = Tls::new(Version::V13);
    let mut client = login(&server, &tls);
    assert_eq!(round(&mut client, "off"), [false; 3]);
    assert_eq!(tls.given(), 0);
    assert!(!server.log().contains("did not resume"), "{}", server.log());
}

#[test]
fn a_control_connection_may_come_with_any_session() {
    let tree = Tree::new();
    tree.file("f", "content").file("up", "");
    let server = serve(&tree, &["--tls-reuse", "require"]);
    for (version, memory) in WAYS {
        let tls = Tls::remembering(version, memory);
        // The second one shows what the first one was given, which is nobody's now.
        for _ in 0..2 {
            let mut client = login(&server, &tls);
            assert!(!client.tls().resumed());
            // TLS 1.3 has tickets of the first left, and shows them first; the others have one session, the last.
            if version == Version::V12 {
                assert_eq!(round(&mut client, "again"), [true; 3]);
            }
        }
    }
}
