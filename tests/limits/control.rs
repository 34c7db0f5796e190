//! Bounds of the control connection: lines, pipelines, replies that nobody reads.

use std::io::{ErrorKind, Write};

use ferryd::limits::{
    COMMANDS_PER_TURN, DISCARD_OCTETS_MAX, LINE_OCTETS_MAX, LOGIN_FAILURES_MAX, OUTPUT_OCTETS_MAX, PASSWORD_OCTETS_MAX,
    SITE_IDLE_MAX, USER_OCTETS_MAX, WAITING_OCTETS_MAX,
};

use super::{login, peak, resident, serve, wait_until};
use crate::support::{Client, Tree};

/// What memory may grow by where it must not grow with what the client does: allocators and stacks are not exact.
const FLAT: usize = 8 * 1024 * 1024;

/// How often in a row, a millisecond between, a client is not read from before nobody will read from it.
const PATIENT_TRIES: usize = 200;

/// As any other command that stands between REST and RETR.
#[test]
fn a_line_that_is_too_long_ends_rest() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    client.expect("REST 3", 350);
    client.expect(vec![b'x'; LINE_OCTETS_MAX + 1], 500);
    assert_eq!(client.retrieve("f").0, b"content");
    client.expect("REST 3", 350);
    assert_eq!(client.retrieve("f").0, b"tent");
}

#[test]
fn a_line_that_is_too_long_is_one_500() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let line = |length: usize| [b"SIZE ".as_slice(), &vec![b'n'; length - 5]].concat();
    let reply = client.say(line(LINE_OCTETS_MAX));
    assert!([550, 553].contains(&reply.code), "it is read, and no file has that name: {}", reply.code);
    for length in [LINE_OCTETS_MAX + 1, LINE_OCTETS_MAX * 3, 100_000] {
        client.expect(line(length), 500);
        client.expect("NOOP", 200);
    }
    server.wait_for_log("[WARN] 127.0.0.1: sent a line that is too long");
    assert_eq!(server.log().matches("too long").count(), 1, "once a session");
    // Also before its end has come, and however long it goes on.
    let before = resident(&server);
    let piece = vec![b'n'; 1024 * 1024];
    for _ in 0..64 {
        client.send(&piece);
    }
    client.send(b"\r\nNOOP\r\n");
    assert_eq!((client.read_reply().code, client.read_reply().code), (500, 200));
    let after = resident(&server);
    assert!(after < before + FLAT, "64 MiB without an end: {before} octets of memory became {after}");
}

/// The same with 1 GiB, before login and behind it. For by hand: `cargo test --test limits -- --ignored`.
#[test]
#[ignore = "takes a minute"]
fn a_gibibyte_without_an_end() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut other = login(&server);
    let clients = [(login(&server), true), (Client::connect(server.address()), false)];
    let before = resident(&server);
    for (mut client, logged_in) in clients {
        let begun = std::time::Instant::now();
        let piece = vec![b'n'; 1024 * 1024];
        let mut sent = 0u64;
        // Whoever has said nothing before is not heard any longer.
        while sent < 1 << 30 && client.stream().write_all(&piece).is_ok() {
            sent += piece.len() as u64;
            if sent.is_multiple_of(64 << 20) {
                other.expect("NOOP", 200);
            }
        }
        let after = peak(&server);
        println!("{sent} octets without an end: {:?}, {before} octets of memory became {after}", begun.elapsed());
        assert!(after < before + FLAT, "{before} octets of memory became {after}");
        assert_eq!(sent == 1 << 30, logged_in, "{sent} octets were taken");
        if logged_in {
            client.send(b"\r\nNOOP\r\n");
            assert_eq!((client.read_reply().code, client.read_reply().code), (500, 200));
        }
    }
}

/// As `a_client_that_reads_no_replies_is_not_read_from`, and in the end every reply is there. For by hand.
#[test]
#[ignore = "takes a minute"]
fn a_million_commands_before_the_first_reply_is_read() {
    const COMMANDS: usize = 1_000_000;
    let tree = Tree::new();
    let server = serve(&tree, &["--idle-timeout", "0"]);
    let (mut client, mut other) = (login(&server), login(&server));
    let before = resident(&server);
    let mut writer = client.stream().try_clone().unwrap();
    writer.set_write_timeout(None).unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&b"NOOP\r\n".repeat(COMMANDS)).unwrap());
    for _ in 0..200 {
        other.expect("NOOP", 200);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let after = peak(&server);
    println!("{before} octets of memory became {after}; all was taken by the kernels: {}", sender.is_finished());
    assert!(after < before + FLAT, "{before} octets of memory became {after}");
    (0..COMMANDS).for_each(|_| assert_eq!(client.read_reply().code, 200));
    sender.join().unwrap();
    client.expect("PWD", 257);
}

#[test]
fn empty_lines_and_noise_are_not_the_end() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    client.send(&b"\r\n\n\r\n\r".repeat(5_000));
    client.send(b"\n");
    client.send(&[255; 1_000]);
    client.send(b"\r\n\x80\xff\xff\r\n");
    client.send_line("SYST");
    while client.read_reply().code != 215 {}
    client.send(&[255, 253, 1].repeat(1_000));
    client.send_line("NOOP");
    while client.read_reply().code != 200 {}
}

#[test]
fn a_long_pipeline_is_answered_whole_and_holds_nobody_up() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let (mut client, mut other) = (login(&server), login(&server));
    let count = COMMANDS_PER_TURN * 100;
    let mut writer = client.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&b"NOOP\r\n".repeat(count)).unwrap());
    for number in 0..count {
        assert_eq!(client.read_reply().code, 200);
        if number % 500 == 0 {
            other.expect("PWD", 257);
        }
    }
    sender.join().unwrap();
    client.expect("PWD", 257);
}

#[test]
fn a_client_that_reads_no_replies_is_not_read_from() {
    let tree = Tree::new();
    for number in 0..500 {
        tree.file(format!("file{number}"), "");
    }
    let server = serve(&tree, &[]);
    let (mut other, descriptors) = (login(&server), server.descriptors());
    for line in ["NOOP\r\n", "HELP\r\n", "STAT /\r\n", "MLST\r\n"] {
        let mut client = login(&server);
        client.expect("SITE IDLE 1", 200);
        let before = peak(&server);
        client.stream().set_nonblocking(true).unwrap();
        // A client that pushes as hard as it can; the server stops it by not reading.
        let (octets, mut sent, mut refused) = (line.repeat(1_000), 0, 0);
        while refused < PATIENT_TRIES {
            assert!(sent < 64 * 1024 * 1024, "{line:?}: the server reads without end");
            match client.stream().write(octets.as_bytes()) {
                Ok(count) => (sent, refused) = (sent + count, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    refused += 1;
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                // It was closed: that is a bound as well.
                Err(_) => break,
            }
            other.expect("NOOP", 200);
        }
        let after = peak(&server);
        let bound = before + FLAT + 4 * (OUTPUT_OCTETS_MAX + WAITING_OCTETS_MAX);
        assert!(after < bound, "{line:?}: {before} octets of memory became {after} for {sent} octets");
        // In the end it is closed.
        wait_until("the client that reads nothing is gone", || server.descriptors() <= descriptors);
        server.wait_for_log("[WARN] 127.0.0.1: did not read its replies");
    }
}

#[test]
fn replies_that_waited_come_whole_and_in_order() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let rounds = 3_000;
    let mut writer = client.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&b"HELP\r\nSYST\r\n".repeat(rounds)).unwrap());
    for round in 0..rounds {
        assert_eq!((client.read_reply().code, client.read_reply().code), (214, 215), "round {round}");
    }
    sender.join().unwrap();
}

#[test]
fn lines_wait_for_a_transfer_up_to_a_bound() {
    let tree = Tree::new();
    tree.sparse("big", 64 * 1024 * 1024);
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let data = client.epsv();
    client.expect("RETR big", 150);
    client.stream().set_nonblocking(true).unwrap();
    let before = peak(&server);
    let (mut sent, mut refused) = (0, 0);
    while refused < PATIENT_TRIES {
        assert!(sent < 64 * 1024 * 1024, "the server reads without end while a transfer runs");
        match client.stream().write(&b"PWD\r\n".repeat(1_000)) {
            Ok(count) => (sent, refused) = (sent + count, 0),
            Err(_) => {
                refused += 1;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    }
    assert!(peak(&server) < before + FLAT);
    drop(data);
}

#[test]
fn the_third_wrong_password_ends_the_session() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = Client::connect(server.address());
    for _ in 0..LOGIN_FAILURES_MAX {
        client.expect("USER u", 331);
        client.expect("PASS wrong", 530);
    }
    assert!(client.closed());
    // REIN and new names do not start the count anew.
    let mut client = Client::connect(server.address());
    for number in 1..=LOGIN_FAILURES_MAX {
        client.expect(format!("USER u{number}"), 331);
        client.expect("PASS wrong", 530);
        if number < LOGIN_FAILURES_MAX {
            client.say("REIN");
        }
    }
    assert!(client.closed());
    // Neither does a login that succeeds.
    let mut client = Client::connect(server.address());
    for number in 1..=LOGIN_FAILURES_MAX {
        client.expect("USER u", 331);
        client.expect("PASS wrong", 530);
        if number < LOGIN_FAILURES_MAX {
            client.log_in("u", "secret");
            client.expect("REIN", 220);
        }
    }
    assert!(client.closed());
    login(&server);
}

#[test]
fn names_and_passwords_have_a_longest() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = Client::connect(server.address());
    client.expect(format!("USER {}", "u".repeat(USER_OCTETS_MAX)), 331);
    client.expect(format!("USER {}", "u".repeat(USER_OCTETS_MAX + 1)), 501);
    client.expect("USER u", 331);
    let reply = client.say(format!("PASS {}", "p".repeat(PASSWORD_OCTETS_MAX + 1)));
    assert!([501, 530].contains(&reply.code), "{reply}");
    client.expect("USER u", 331);
    client.expect("PASS secret", 230);
}

#[test]
fn site_idle_has_a_longest() {
    let tree = Tree::new();
    let server = serve(&tree, &["--idle-timeout", "0"]);
    let mut client = login(&server);
    let longest = SITE_IDLE_MAX.as_secs();
    client.expect(format!("SITE IDLE {longest}"), 200);
    assert!(client.expect("SITE IDLE", 200).text().contains(&longest.to_string()));
    for argument in [(longest + 1).to_string(), "0".into(), "-1".into(), "x".into(), "18446744073709551616".into()] {
        client.expect(format!("SITE IDLE {argument}"), 501);
    }
    assert!(client.expect("SITE IDLE", 200).text().contains(&longest.to_string()));
}

#[test]
fn the_last_reply_arrives_though_more_was_said() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    for _ in 0..20 {
        let mut client = login(&server);
        let more = b"NOOP\r\n".repeat(DISCARD_OCTETS_MAX / 2 / 6);
        client.send(&[b"QUIT\r\n".as_slice(), &more].concat());
        assert_eq!(client.read_reply().code, 221);
        assert!(client.closed());
    }
}
