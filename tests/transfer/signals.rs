//! SIGTERM, SIGINT and SIGHUP while sessions are busy.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{MORE_THAN_BUFFERS, login, serve, stalled_retr, stalled_stor, wait_until};
use crate::support::{Client, Server, Tree, read_all};

#[test]
fn sigterm_lets_transfers_finish_and_exits_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let tree = Tree::new();
        tree.sparse("big", MORE_THAN_BUFFERS);
        let mut server = serve(&tree, &[]);
        let mut idle = login(&server);
        let mut down = login(&server);
        let mut down_data = stalled_retr(&mut down, "big");
        let mut up = login(&server);
        let mut up_data = stalled_stor(&mut up, "up", b"some");
        server.signal(signal);
        assert_eq!(idle.read_reply().code, 421);
        assert!(idle.closed());
        assert!(TcpStream::connect(server.address()).is_err(), "it still accepts");
        // A session with a transfer is still served.
        down.expect("NOOP", 200);
        assert_eq!(read_all(&mut down_data).len() as u64, MORE_THAN_BUFFERS);
        assert_eq!(down.read_reply().code, 226);
        up_data.write_all(b" more").unwrap();
        drop(up_data);
        assert_eq!(up.read_reply().code, 226);
        assert_eq!(tree.read("up").unwrap(), b"some more");
        for client in [&mut down, &mut up] {
            assert!(client.try_read_reply().is_none_or(|reply| reply.code == 421));
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_second_sigterm_ends_transfers() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS);
    let mut server = serve(&tree, &["--grace", "1h"]);
    let mut idle = login(&server);
    let mut client = login(&server);
    let _data = stalled_retr(&mut client, "big");
    server.signal(Signal::TERM);
    assert_eq!(idle.read_reply().code, 421);
    client.expect("NOOP", 200);
    server.signal(Signal::TERM);
    let codes: Vec<u16> = std::iter::from_fn(|| client.try_read_reply()).map(|reply| reply.code).collect();
    // RFC 959 section 5.4: 421 may be the reply to any command, so also to the one that was ended.
    assert!(matches!(codes[..], [426, 421] | [421]), "{codes:?}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_grace_ends() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS);
    let mut server = serve(&tree, &["--grace", "1"]);
    let mut client = login(&server);
    let _data = stalled_retr(&mut client, "big");
    server.signal(Signal::TERM);
    let codes: Vec<u16> = std::iter::from_fn(|| client.try_read_reply()).map(|reply| reply.code).collect();
    // RFC 959 section 5.4: 421 may be the reply to any command, so also to the one that was ended.
    assert!(matches!(codes[..], [426, 421] | [421]), "{codes:?}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn sigterm_without_sessions_and_during_login() {
    let tree = Tree::new();
    assert_eq!(serve(&tree, &[]).stop().code(), Some(0));
    let server = serve(&tree, &[]);
    let mut client = Client::connect(server.address());
    client.send(b"USER u\r\n");
    assert_eq!(client.read_reply().code, 331);
    // The refusal of this one is held back for a second; the end does not wait for it.
    let mut refused = Client::connect(server.address());
    refused.send(b"USER u\r\nPASS wrong\r\n");
    assert_eq!(refused.read_reply().code, 331);
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(client.read_reply().code, 421);
    let codes: Vec<u16> = std::iter::from_fn(|| refused.try_read_reply()).map(|reply| reply.code).collect();
    assert_eq!(codes.last(), Some(&421), "{codes:?}");
}

/// A line of a users file.
fn user_line(name: &str, password: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferryd"));
    command.arg("hash-password").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    format!("{name}:{}\n", String::from_utf8(output.stdout).unwrap().trim())
}

/// Writes a users file that only its owner may read.
fn write_users(tree: &Tree, text: &str) {
    tree.file("etc/users", text);
    fs::set_permissions(tree.at("etc/users"), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn sighup_reads_the_users_again_and_leaves_sessions_alone() {
    let tree = Tree::new();
    tree.directory("srv").sparse("srv/big", MORE_THAN_BUFFERS);
    let (a, b) = (user_line("a", "secret a"), user_line("b", "secret b"));
    write_users(&tree, &a);
    let file = tree.at("etc/users");
    let server = Server::start(&tree.at("srv"), &["--users", file.to_str().unwrap()]);
    let mut client = Client::login(server.address(), "a", "secret a");
    let mut stranger = Client::connect(server.address());
    stranger.expect("USER b", 331);
    stranger.expect("PASS secret b", 530);
    let mut data = stalled_retr(&mut client, "big");

    write_users(&tree, &b);
    server.signal(Signal::HUP);
    server.wait_for_log("reloaded");
    stranger.expect("USER b", 331);
    stranger.expect("PASS secret b", 230);
    // The user is gone from the file, and his session goes on.
    client.expect("NOOP", 200);
    assert_eq!(read_all(&mut data).len() as u64, MORE_THAN_BUFFERS);
    assert_eq!(client.read_reply().code, 226);
    client.expect("MKD d", 257);
    let mut gone = Client::connect(server.address());
    gone.expect("USER a", 331);
    gone.expect("PASS secret a", 530);

    // A file with an error changes nothing.
    write_users(&tree, "b:not a hash\n");
    server.signal(Signal::HUP);
    server.wait_for_log("stay as they were");
    Client::login(server.address(), "b", "secret b");
}

#[test]
fn sighup_opens_the_logs_again() {
    // Each in a directory of its own: what the sandbox grants for one would do for the other.
    let tree = Tree::new();
    tree.file("srv/first", "1").file("srv/second", "22").directory("log").directory("xfer");
    let path = |name: &str| tree.at(name).to_str().unwrap().to_owned();
    let (log, transfers) = (path("log/ferryd"), path("xfer/log"));
    let server = Server::start(&tree.at("srv"), &["--log-file", &log, "--transfer-log", &transfers]);
    let mut client = Client::anonymous(server.address());
    client.expect("TYPE I", 200);
    let holds = |name: &str, text: &str| String::from_utf8_lossy(&tree.read(name).unwrap_or_default()).contains(text);
    assert_eq!(client.retrieve("first").1.code, 226);
    wait_until("the first transfer is in both logs", || holds("log/ferryd", "/first") && holds("xfer/log", "/first"));
    for name in ["log/ferryd", "xfer/log"] {
        fs::rename(tree.at(name), tree.at(format!("{name}.1"))).unwrap();
    }
    server.signal(Signal::HUP);
    wait_until("new logs are made", || tree.at("log/ferryd").exists() && tree.at("xfer/log").exists());
    assert_eq!(client.retrieve("second").1.code, 226);
    wait_until("the second transfer is in both", || holds("log/ferryd", "/second") && holds("xfer/log", "/second"));
    assert!(!holds("log/ferryd.1", "/second") && !holds("xfer/log.1", "/second"));
    assert!(!holds("xfer/log", "/first"));
    let line = String::from_utf8(tree.read("xfer/log").unwrap()).unwrap();
    assert!(line.contains(" 127.0.0.1 2 /second b _ o a ") && line.ends_with(" c\n"), "{line:?}");
}
