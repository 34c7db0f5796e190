//! Timeouts, waited for by what they say: 421 for a session, 425 and 426 for a data connection.

use std::io::Write;
use std::time::Duration;

use super::{login, serve};
use crate::support::{Client, Server, Tree, read_all};

/// More than the socket buffers of both ends hold.
const MORE_THAN_BUFFERS: u64 = 64 * 1024 * 1024;

/// Waits until the server has closed a session that does nothing.
fn wait_for_idle_end(server: &Server) {
    let mut client = login(server);
    assert_eq!(client.read_reply().code, 421);
    assert!(client.closed());
}

#[test]
fn an_idle_session_is_told_421_and_closed() {
    let tree = Tree::new();
    let server = serve(&tree, &["--idle-timeout", "1"]);
    wait_for_idle_end(&server);
    // One that holds a passive port is no better; half a line is not a command.
    let mut client = login(&server);
    client.expect("EPSV", 229);
    assert_eq!(client.read_reply().code, 421);
    server.wait_for_log("[INFO] 127.0.0.1: was silent for the idle timeout");
}

#[test]
fn site_idle_is_for_one_session_and_never_longer_than_the_option() {
    let tree = Tree::new();
    let server = serve(&tree, &["--idle-timeout", "15m"]);
    let (mut hasty, mut patient) = (login(&server), login(&server));
    hasty.expect("SITE IDLE 1", 200);
    for longer in ["901", "7200"] {
        let reply = patient.expect(format!("SITE IDLE {longer}"), 501);
        assert!(reply.text().contains("from 1 to 900"), "{reply}");
    }
    assert!(patient.expect("SITE IDLE", 200).text().contains(" 900 "));
    patient.expect("SITE IDLE 900", 200);
    assert_eq!(hasty.read_reply().code, 421);
    patient.expect("NOOP", 200);
    // An operator may be more patient than the bound that holds without him.
    login(&serve(&tree, &["--idle-timeout", "3h"])).expect("SITE IDLE 10800", 200);
}

#[test]
fn the_idle_clock_stands_still_while_a_transfer_runs() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS);
    let server = serve(&tree, &["--idle-timeout", "1", "--data-timeout", "0"]);
    let mut down = login(&server);
    let mut down_data = down.epsv();
    down.expect("RETR big", 150);
    let mut up = login(&server);
    let mut up_data = up.epsv();
    up.expect("STOR up", 150);
    // Three idle sessions come to their end, one after the other, and these two do not.
    (0..3).for_each(|_| wait_for_idle_end(&server));
    assert_eq!(read_all(&mut down_data).len() as u64, MORE_THAN_BUFFERS);
    assert_eq!(down.read_reply().code, 226);
    up_data.write_all(b"late").unwrap();
    drop(up_data);
    assert_eq!(up.read_reply().code, 226);
    assert_eq!(tree.read("up").unwrap(), b"late");
    // Afterwards it runs again.
    assert_eq!((down.read_reply().code, up.read_reply().code), (421, 421));
}

#[test]
fn a_login_that_takes_too_long_is_told_421() {
    let tree = Tree::new();
    let server = serve(&tree, &["--login-timeout", "1", "--idle-timeout", "2h"]);
    let mut silent = Client::connect(server.address());
    let mut named = Client::connect(server.address());
    named.expect("USER u", 331);
    let mut logged_in = login(&server);
    assert_eq!((silent.read_reply().code, named.read_reply().code), (421, 421));
    assert!(silent.closed() && named.closed());
    server.wait_for_log("[WARN] 127.0.0.1: did not log in within --login-timeout");
    // Who keeps talking without logging in is not better off.
    let mut talker = Client::connect(server.address());
    talker.stream().set_nodelay(true).unwrap();
    let mut answered = 0u64;
    let last = loop {
        talker.send_line("NOOP");
        match talker.read_reply().code {
            200 => answered += 1,
            code => break code,
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert_eq!(last, 421, "after {answered} NOOPs");
    logged_in.expect("NOOP", 200);
}

/// REIN begins a session anew (RFC 959 section 4.1.1), but not the time for logging in of somebody who has not; who has
/// been logged in has all of it again.
#[test]
fn rein_gives_no_more_time_for_logging_in() {
    let tree = Tree::new();
    let server = serve(&tree, &["--login-timeout", "1", "--idle-timeout", "2h"]);
    let mut logged_in = login(&server);
    let mut talker = Client::connect(server.address());
    talker.stream().set_nodelay(true).unwrap();
    std::thread::scope(|scope| {
        // Two who come after him, one after the other, are given their whole time.
        let others =
            scope.spawn(|| (0..2).for_each(|_| assert!(Client::connect(server.address()).read_reply().code == 421)));
        let mut answered = 0u64;
        loop {
            let is_late = others.is_finished();
            talker.send_line("REIN");
            match talker.read_reply().code {
                220 if !is_late => answered += 1,
                220 => panic!("he is still there after {answered} times REIN"),
                code => break assert_eq!(code, 421, "after {answered} times REIN"),
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    logged_in.expect("REIN", 220);
    logged_in.log_in("u", "secret");
    logged_in.expect("REIN", 220);
    assert_eq!(logged_in.read_reply().code, 421);
}

#[test]
fn a_data_connection_that_nobody_opens_is_425() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &["--data-timeout", "1"]);
    let mut client = login(&server);
    for line in ["RETR f", "STOR up", "LIST", "MLSD"] {
        client.expect("EPSV", 229);
        client.expect(line, 150);
        assert_eq!(client.read_reply().code, 425, "{line}");
    }
    assert!(!tree.at("up").exists());
    server.wait_for_log("[INFO] 127.0.0.1: a data connection was not opened in time");
    assert_eq!(server.log().matches("was not opened").count(), 1, "once a session");
    // Where nobody answers (192.0.2.0/24 is nobody's) the client cannot even be named; this one does not accept.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    client.expect(format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255), 200);
    drop(listener);
    client.expect("RETR f", 150);
    assert_eq!(client.read_reply().code, 425);
    assert_eq!(client.retrieve("f").0, b"x");
}

#[test]
fn a_data_connection_that_moves_nothing_is_426() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS).file("f", "x");
    for helpers in ["2", "0"] {
        let server = serve(&tree, &["--data-timeout", "1", "--helpers", helpers]);
        let mut client = login(&server);
        let mut data = client.epsv();
        client.expect("RETR big", 150);
        data.begin();
        assert_eq!(client.read_reply().code, 426);
        drop(data);
        let mut data = client.epsv();
        client.expect("STOR up", 150);
        data.write_all(b"some").unwrap();
        assert_eq!(client.read_reply().code, 426);
        drop(data);
        // What came stays.
        assert_eq!(tree.read("up").unwrap(), b"some");
        assert_eq!(client.retrieve("f").0, b"x");
    }
}

#[test]
fn a_slow_transfer_is_not_a_stalled_one() {
    let tree = Tree::new();
    let server = serve(&tree, &["--data-timeout", "2", "--idle-timeout", "1"]);
    let mut client = login(&server);
    let mut data = client.epsv();
    client.expect("STOR up", 150);
    // Each pause is as long as an idle session lives: together more than the timeout, each less.
    for _ in 0..3 {
        data.write_all(b"x").unwrap();
        wait_for_idle_end(&server);
    }
    drop(data);
    assert_eq!(client.read_reply().code, 226);
    assert_eq!(tree.read("up").unwrap(), b"xxx");
}

#[test]
fn who_logs_out_has_time_to_log_in_again() {
    let tree = Tree::new();
    let server = serve(&tree, &["--login-timeout", "2"]);
    let mut client = login(&server);
    std::thread::sleep(Duration::from_millis(2_200));
    client.expect("REIN", 220);
    client.log_in("u", "secret");
    // And no more of it than at the beginning.
    client.expect("REIN", 220);
    assert_eq!(client.read_reply().code, 421);
}
