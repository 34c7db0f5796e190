//! Failed logins, and the ban that follows (`--ban-after`, `--ban-for`).

use std::io::Read;
use std::net::TcpStream;
use std::time::Instant;

use ferryd::limits::LOGIN_REFUSAL_STEP;

use super::{login, serve, wait_until};
use crate::support::{Client, Server, Tree, connect_from};

/// All that a new connection from 127.0.0.1 is told; the greeting alone where it gets in.
fn knock(server: &Server) -> String {
    let mut client = Client::connect_silently(server.address());
    let text = client.try_read_reply().map_or(String::new(), |reply| reply.text());
    assert!(text.starts_with("220 ") || client.closed(), "{text:?}, and it stays open");
    text
}

/// One wrong password.
fn fail(client: &mut Client) {
    client.expect("USER u", 331);
    client.expect("PASS wrong", 530);
}

#[test]
fn too_many_failed_logins_are_a_ban_for_a_time() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &["--ban-after", "4", "--ban-for", "8"]);
    let mut here = login(&server);
    let mut silent = Client::connect(server.address());
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(server.address())).collect();
    clients.iter_mut().for_each(|client| client.send(b"USER u\r\nPASS wrong\r\n"));
    for client in &mut clients {
        assert_eq!((client.read_reply().code, client.read_reply().code), (331, 530));
    }
    let (mut last, mut other) = (clients.pop().unwrap(), clients.pop().unwrap());
    assert!(knock(&server).starts_with("220 "), "three are not four");
    // The fourth is told as the others were, and then why it was the last.
    fail(&mut last);
    assert_eq!(last.read_reply().code, 421);
    assert!(last.closed());
    server.wait_for_log("127.0.0.1: banned for 8 s: 4 failed logins");
    // Those who have not logged in are sent away; who has is not.
    for client in [&mut silent, &mut other] {
        let reply = client.read_reply();
        assert!(reply.code == 421 && reply.text().contains("failed logins"), "{reply}");
        assert!(client.closed());
    }
    here.expect("NOOP", 200);
    assert_eq!(here.retrieve("f").0, b"x");
    // Nobody else gets in from there, with the right password or without; from elsewhere they do.
    let told = knock(&server);
    assert!(told.starts_with("421 Too many failed logins"), "{told}");
    let mut elsewhere = connect_from([127, 0, 0, 2], server.address());
    let mut greeting = [0; 4];
    elsewhere.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ");
    let log = server.wait_for_log("127.0.0.1: refused: 421 Too many failed logins");
    assert!(log.matches("login failed for u").count() == 4, "{log}");
    // And then it is over.
    server.wait_for_log("127.0.0.1: the ban has ended");
    assert!(knock(&server).starts_with("220 "));
    let mut again = Client::connect(server.address());
    fail(&mut again);
    again.expect("USER u", 331);
    again.expect("PASS secret", 230);
}

/// Else whoever has an account of his own could try those of others without an end.
#[test]
fn a_login_that_succeeds_makes_no_failure_undone() {
    let tree = Tree::new();
    let server = serve(&tree, &["--ban-after", "3", "--ban-for", "1h"]);
    for _ in 0..2 {
        fail(&mut Client::connect(server.address()));
        login(&server);
    }
    fail(&mut Client::connect(server.address()));
    server.wait_for_log("127.0.0.1: banned for 3600 s: 3 failed logins");
}

#[test]
fn who_has_the_right_password_and_no_directory_does_not_guess() {
    let tree = Tree::new();
    tree.directory("home");
    for helpers in ["2", "0"] {
        let home = tree.directory("home").at("home");
        let user = format!("v:secret:{}", home.display());
        let server = serve(&tree, &["--user", &user, "--ban-after", "2", "--ban-for", "1h", "--helpers", helpers]);
        std::fs::remove_dir(&home).unwrap();
        let try_both = |client: &mut Client| {
            for password in ["wrong", "secret"] {
                let begin = Instant::now();
                client.expect("USER v", 331);
                client.expect(format!("PASS {password}"), 530);
                // It is told as late as one that is wrong, and in the same words.
                assert!(begin.elapsed() >= LOGIN_REFUSAL_STEP, "{password}: {:?}", begin.elapsed());
            }
        };
        try_both(&mut Client::connect(server.address()));
        let mut client = Client::connect(server.address());
        client.expect("USER v", 331);
        client.expect("PASS secret", 530);
        let log = server.wait_for_log("of \"v\" cannot be opened");
        assert!(!log.contains("banned") && server.log().matches("login failed for").count() == 1, "{}", server.log());
        assert!(knock(&server).starts_with("220 "));
    }
}

#[test]
fn a_login_that_succeeds_forgives_nothing() {
    let tree = Tree::new();
    let server = serve(&tree, &["--ban-after", "3", "--ban-for", "1h"]);
    let mut client = Client::connect(server.address());
    for _ in 0..2 {
        fail(&mut client);
        login(&server);
    }
    fail(&mut client);
    server.wait_for_log("127.0.0.1: banned for 3600 s: 3 failed logins");
}

#[test]
fn passwords_tried_at_the_same_time_count_one_by_one() {
    let tree = Tree::new();
    let server = serve(&tree, &["--ban-after", "5", "--ban-for", "1h"]);
    let mut clients: Vec<Client> = (0..40).map(|_| Client::connect(server.address())).collect();
    for client in &mut clients {
        client.send(b"USER u\r\nPASS wrong\r\n");
    }
    let told: Vec<Vec<u16>> = clients
        .iter_mut()
        .map(|client| std::iter::from_fn(|| client.try_read_reply()).map(|reply| reply.code).collect())
        .collect();
    assert!(told.iter().all(|codes| codes.last() == Some(&421)), "{told:?}");
    let tried = told.iter().filter(|codes| codes.contains(&530)).count();
    assert_eq!(tried, 5, "{told:?}");
    assert_eq!(server.log().matches("login failed").count(), 5);
}

#[test]
fn without_the_option_nobody_is_banned() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut clients: Vec<Client> = (0..60).map(|_| Client::connect(server.address())).collect();
    for client in &mut clients {
        client.send(b"USER u\r\nPASS wrong\r\n");
    }
    for client in &mut clients {
        assert_eq!((client.read_reply().code, client.read_reply().code), (331, 530));
    }
    login(&server);
}

#[test]
fn no_name_forges_a_line_of_the_log() {
    let tree = Tree::new();
    let server = serve(&tree, &["--ban-after", "9", "--ban-for", "1h"]);
    let forged = "192.0.2.66: banned for 9 s";
    for name in [
        format!("u\r{forged}"),
        format!("x [WARN] {forged}"),
        format!("\u{2028}{forged}"),
        format!("2026-11-24T15:38:21Z [WARN] {forged}"),
    ] {
        let mut client = Client::connect(server.address());
        client.say(format!("USER {name}"));
        client.expect("PASS wrong", 530);
    }
    let log = server.log();
    let about = |line: &&str| line.contains("192.0.2.66");
    assert!(log.lines().filter(about).count() >= 3, "{log}");
    for line in log.lines().filter(about) {
        let (_, message) = line.split_once(' ').unwrap();
        assert!(message.starts_with("[WARN] 127.0.0.1: login failed for "), "{line}");
    }
    drop(TcpStream::connect(server.address()));
    wait_until("it goes on", || knock(&server).starts_with("220 "));
}
