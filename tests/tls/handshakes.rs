//! Handshakes that are not as they should be: other protocols (ALPN), none at all, octet by octet, and those that stop.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ferryd::limits::TLS_HANDSHAKE_TIMEOUT;

use super::{login, login_any, login_implicit, noise, serve, wait_for_log_lines, wait_until};
use crate::support::{Client, Data, PATIENCE, Tls, Tree, VERSIONS, Version, read_all, reset};

/// What comes from `stream` until its end.
fn rest(stream: &mut TcpStream, patience: Duration) -> Vec<u8> {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut octets = Vec::new();
    match stream.read_to_end(&mut octets) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("it is not closed: {error}"),
        _ => octets,
    }
}

#[test]
fn the_protocols_are_ftp_and_ftp_data() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &["--tls-listen", "127.0.0.1:0", "--tls-reuse", "off"]);
    for version in VERSIONS {
        for offered in [&["ftp"][..], &["h2", "ftp"], &[]] {
            let tls = Tls::offering(version, offered);
            for mut client in [login(&server, &tls), login_implicit(&server, &tls)] {
                let expected = (!offered.is_empty()).then_some(&b"ftp"[..]);
                assert_eq!(client.tls().protocol(), expected);
                // Some clients offer the same on both connections.
                for (offered, expected) in
                    [(&["ftp-data"][..], Some(&b"ftp-data"[..])), (&["ftp"], Some(b"ftp")), (&[], None)]
                {
                    client.open_data_with(Some(&Tls::offering(version, offered)));
                    let mut data = client.epsv();
                    client.expect("RETR f", 150);
                    assert_eq!(read_all(&mut data), b"content");
                    assert_eq!(data.stream().protocol(), expected);
                    drop(data);
                    assert_eq!(client.read_reply().code, 226);
                }
            }
        }
    }
}

#[test]
fn another_protocol_gets_the_alert() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &["--tls-listen", "127.0.0.1:0", "--tls-reuse", "off"]);
    for version in VERSIONS {
        for offered in [&["http/1.1"][..], &["h2", "http/1.1"], &["imap"]] {
            let web = Tls::offering(version, offered);
            let mut client = Client::connect(server.address());
            client.expect("AUTH TLS", 234);
            let error = client.upgrade(&web).unwrap_err();
            assert!(error.to_string().contains("NoApplicationProtocol"), "{offered:?}: {error}");

            let mut stream = web.over(TcpStream::connect(server.implicit_address()).unwrap());
            let error = stream.handshake().unwrap_err();
            assert!(error.to_string().contains("NoApplicationProtocol"), "{offered:?}: {error}");

            let mut client = login(&server, &Tls::new(version));
            client.open_data_with(Some(&web));
            for line in ["RETR f", "STOR f"] {
                let mut data = client.epsv();
                client.send_line(line);
                let error = data.try_begin().unwrap_err();
                assert!(error.to_string().contains("NoApplicationProtocol"), "{offered:?}: {error}");
                let mut reply = client.read_reply();
                if reply.code == 150 {
                    reply = client.read_reply();
                }
                assert_eq!(reply.code, 425, "{line}: {reply}");
            }
        }
    }
    assert_eq!(tree.read("f").unwrap(), b"content");
}

#[test]
fn plain_ftp_at_the_implicit_port_is_closed_and_logged() {
    let tree = Tree::new();
    let server = serve(&tree, &["--tls-listen", "127.0.0.1:0"]);
    let said = [&b"USER u\r\n"[..], b"USER anonymous\r\nPASS test@\r\n", b"QUIT\r\n", b"GET / HTTP/1.1\r\n\r\n"];
    for (number, line) in said.into_iter().enumerate() {
        let mut stream = TcpStream::connect(server.implicit_address()).unwrap();
        stream.write_all(line).unwrap();
        let octets = rest(&mut stream, PATIENCE);
        assert!(octets.is_empty() || octets[0] == 21, "neither nothing nor an alert: {:?}", octets);
        wait_for_log_lines(&server, "what came is not TLS", number + 1);
    }
    login_implicit(&server, &Tls::new(Version::V13)).expect("NOOP", 200);
}

#[test]
fn garbage_is_one_line_in_the_log() {
    let tree = Tree::new();
    tree.file("f", "content");
    let mut server = serve(&tree, &["--tls-listen", "127.0.0.1:0"]);
    let hello = Tls::new(Version::V13).over(TcpStream::connect(server.address()).unwrap()).hello();
    let mut broken = hello.clone();
    // The length of the handshake message.
    broken[6] ^= 0xff;
    let garbage: [&[u8]; 7] = [
        &noise(10_000),
        &[0; 5_000],
        &[255; 5_000],
        &[22, 3, 1, 255, 255, 1],
        &[22, 3, 3, 0, 0, 22, 3, 3, 0, 0],
        &broken,
        &[&hello[..], &noise(100)].concat(),
    ];
    for (number, octets) in garbage.into_iter().enumerate() {
        let mut implicit = TcpStream::connect(server.implicit_address()).unwrap();
        let _ = implicit.write_all(octets);
        rest(&mut implicit, PATIENCE * 2);
        let mut explicit = Client::connect(server.address());
        explicit.expect("AUTH TLS", 234);
        let _ = explicit.stream().write_all(octets);
        rest(&mut explicit.stream().try_clone().unwrap(), PATIENCE * 2);
        wait_for_log_lines(&server, "the TLS handshake ", 2 * number + 2);
    }
    let lines = server.log().lines().filter(|line| line.contains("127.0.0.1: ")).count();
    assert_eq!(lines, 2 * garbage.len(), "more than a line each:\n{}", server.log());
    // Later, too: a record that is none ends the session.
    let mut client = login_any(&server);
    let _ = client.stream().write_all(b"NOOP\r\n");
    assert!(client.await_reply().is_err(), "it was heard in the clear");
    // And TLS where it is not spoken yet is a line that is not understood.
    let mut client = Client::connect(server.address());
    let _ = client.stream().write_all(&[&hello[..], b"\r\n"].concat());
    assert_eq!(client.read_reply().code, 500);
    assert!(server.is_alive());
    login_any(&server).expect("NOOP", 200);
}

#[test]
fn whoever_leaves_in_the_middle_leaves_nothing_behind() {
    let tree = Tree::new();
    let server = serve(&tree, &["--tls-listen", "127.0.0.1:0"]);
    login_any(&server).expect("NOOP", 200);
    let before = server.descriptors();
    let hello = Tls::new(Version::V13).over(TcpStream::connect(server.address()).unwrap()).hello();
    for cut in [0, 1, 5, 6, hello.len() / 2, hello.len()] {
        for implicit in [true, false] {
            let mut stream = match implicit {
                true => TcpStream::connect(server.implicit_address()).unwrap(),
                false => {
                    let mut client = Client::connect(server.address());
                    client.expect("AUTH TLS", 234);
                    client.stream().try_clone().unwrap()
                }
            };
            stream.write_all(&hello[..cut]).unwrap();
            if cut % 2 == 0 {
                reset(stream);
            }
        }
    }
    login_any(&server).expect("NOOP", 200);
    wait_until("all descriptors are given back", || server.descriptors() <= before + 1);
}

#[test]
fn one_octet_at_a_time_comes_to_the_same() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &["--tls-listen", "127.0.0.1:0"]);
    for version in VERSIONS {
        for implicit in [true, false] {
            let tls = Tls::new(version);
            let stream = match implicit {
                true => TcpStream::connect(server.implicit_address()).unwrap(),
                false => {
                    let mut client = Client::connect(server.address());
                    client.expect("AUTH TLS", 234);
                    client.stream().try_clone().unwrap()
                }
            };
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut stream = tls.over(stream).in_pieces_of(1);
            stream.write_all(b"NOOP\r\nQUIT\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert!(text.contains("200 ") && text.contains("221 "), "{text}");
        }
        let tls = Tls::new(version);
        let mut client = login(&server, &tls);
        let reply = client.expect("EPSV", 229);
        let socket = client.dial(client.epsv_address(&reply)).into_socket();
        client.send_line("STOR up");
        let mut data = Data::tls(tls.over(socket).in_pieces_of(1));
        data.write_all(b"octet by octet").unwrap();
        drop(data);
        assert_eq!((client.read_reply().code, client.read_reply().code), (150, 226));
        assert_eq!(tree.read("up").unwrap(), b"octet by octet");
    }
}

#[test]
fn a_handshake_that_stalls_on_a_data_connection_is_425() {
    let tree = Tree::new();
    tree.file("f", "content");
    for helpers in ["2", "0"] {
        let server = serve(&tree, &["--data-timeout", "1", "--helpers", helpers]);
        let mut stalled = 0;
        for version in VERSIONS {
            let tls = Tls::new(version);
            let mut client = login(&server, &tls);
            for line in ["RETR f", "STOR f", "STOR up", "LIST"] {
                for cut in [0, 1, 100] {
                    let mut data = client.epsv();
                    client.expect(line, 150);
                    let hello = data.stream().hello();
                    let mut socket = data.into_socket();
                    socket.write_all(&hello[..cut]).unwrap();
                    assert_eq!(client.read_reply().code, 425, "{line}");
                    stalled += 1;
                    wait_for_log_lines(&server, "on the data connection took too long", stalled);
                    rest(&mut socket, PATIENCE);
                    if cut == 1 && line != "RETR f" {
                        break;
                    }
                }
                client.expect("NOOP", 200);
            }
            // What was not begun has touched nothing; and the session has lost nothing. The tickets that were shown are
            // gone, so this may be a full handshake.
            assert!(!tree.at("up").exists() && tree.read("f").unwrap() == b"content");
            assert_eq!(client.retrieve("f").0, b"content");
        }
    }
}

/// 150 waits for a handshake that has begun; whoever goes no further gets his answers all the same.
#[test]
fn half_a_handshake_holds_no_replies_back_for_long() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        let mut client = login(&server, &Tls::new(version));
        let mut data = client.epsv();
        let hello = data.stream().hello();
        let mut socket = data.into_socket();
        socket.write_all(&hello).unwrap();
        client.expect("RETR f", 150);
        client.expect("NOOP", 200);
        drop(socket);
        assert_eq!(client.read_reply().code, 425);
    }
}

#[test]
fn garbage_on_a_control_connection_that_is_up_is_one_line() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let client = login(&server, &Tls::new(version));
        client.stream().write_all(b"NOOP\r\nNOOP\r\n").unwrap();
        rest(&mut client.stream().try_clone().unwrap(), PATIENCE);
        wait_for_log_lines(&server, ": TLS: ", number + 1);
    }
}

#[test]
fn garbage_on_a_data_connection_is_425_and_one_line() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    let mut client = login_any(&server);
    for (number, line) in ["RETR f", "STOR f", "LIST"].into_iter().enumerate() {
        for (turn, octets) in [&b"content in the clear"[..], b"\x16\x03\x01\xff\xff"].into_iter().enumerate() {
            let mut socket = client.epsv().into_socket();
            client.expect(line, 150);
            socket.write_all(octets).unwrap();
            assert_eq!(client.read_reply().code, 425, "{line}");
            let octets = rest(&mut socket, PATIENCE);
            assert!(octets.is_empty() || octets[0] == 21, "neither nothing nor an alert: {octets:?}");
            wait_for_log_lines(&server, "TLS on the data connection", number * 4 + turn + 1);
        }
        // An end, and a reset.
        for turn in 0..2 {
            let socket = client.epsv().into_socket();
            client.expect(line, 150);
            if turn == 0 {
                socket.shutdown(std::net::Shutdown::Write).unwrap();
            } else {
                reset(socket);
            }
            assert_eq!(client.read_reply().code, 425, "{line}");
        }
    }
    assert_eq!(tree.read("f").unwrap(), b"content");
    assert_eq!(client.retrieve("f").0, b"content");
}

#[test]
fn a_handshake_that_stalls_on_a_control_connection_is_ended() {
    let tree = Tree::new();
    let server = serve(&tree, &["--tls-listen", "127.0.0.1:0", "--idle-timeout", "0", "--login-timeout", "0"]);
    let hello = Tls::new(Version::V12).over(TcpStream::connect(server.address()).unwrap()).hello();
    let mut stalled = Vec::new();
    for cut in [0, 1, 100, hello.len()] {
        let mut implicit = TcpStream::connect(server.implicit_address()).unwrap();
        implicit.write_all(&hello[..cut]).unwrap();
        stalled.push(implicit);
        let mut explicit = Client::connect(server.address());
        explicit.expect("AUTH TLS", 234);
        explicit.stream().write_all(&hello[..cut]).unwrap();
        stalled.push(explicit.stream().try_clone().unwrap());
    }
    // Others are served meanwhile.
    login_any(&server).expect("NOOP", 200);
    let count = stalled.len();
    for mut stream in stalled {
        rest(&mut stream, TLS_HANDSHAKE_TIMEOUT + PATIENCE);
    }
    wait_for_log_lines(&server, "the TLS handshake took too long", count);
    // A client that drips does not get more time than one that waits.
    login_any(&server).expect("NOOP", 200);
}

#[test]
fn the_time_for_logging_in_is_also_that_of_the_handshake() {
    let tree = Tree::new();
    let server = serve(&tree, &["--tls-listen", "127.0.0.1:0", "--login-timeout", "1"]);
    let mut implicit = TcpStream::connect(server.implicit_address()).unwrap();
    let mut explicit = Client::connect(server.address());
    explicit.expect("AUTH TLS", 234);
    // Others come later, and go for the same reason, each in turn: long after 1 s, and long before 20.
    for _ in 0..3 {
        let mut client = Client::secured(server.address(), &Tls::new(Version::V13));
        assert_eq!(client.read_reply().code, 421);
    }
    for stream in [&mut implicit, &mut explicit.stream().try_clone().unwrap()] {
        stream.set_nonblocking(true).unwrap();
        let read = stream.read(&mut [0; 1]);
        assert!(!matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock), "it is still there");
    }
}

/// Whoever takes his time with AUTH, the handshake or REIN has no more of it for logging in.
#[test]
fn neither_auth_nor_a_handshake_nor_rein_begins_the_time_for_logging_in_anew() {
    let tree = Tree::new();
    let server = serve(&tree, &["--login-timeout", "3"]);
    let mut early = ["stalls", "shakes hands", "says REIN"].map(|what| (what, Client::connect(server.address())));
    std::thread::sleep(Duration::from_millis(1500));
    let mut late = Client::connect(server.address());
    std::thread::sleep(Duration::from_millis(300));
    for (what, client) in &mut early {
        // On a machine so slow that time is over by now there is no answer but the farewell.
        let says = |client: &mut Client, line: &str, code: u16| {
            client.send_line(line);
            client.try_read_reply().is_some_and(|reply| reply.code == code)
        };
        if says(client, "AUTH TLS", 234) && *what != "stalls" && client.upgrade(&Tls::new(Version::V13)).is_ok() {
            // Its answer comes behind the tickets, which are read with it.
            says(
                client,
                if *what == "says REIN" { "REIN" } else { "NOOP" },
                if *what == "says REIN" { 220 } else { 200 },
            );
        }
    }
    // They came before him, so they are gone when he is, and when the server has found the time for somebody else.
    assert_eq!(late.read_reply().code, 421);
    Client::connect(server.address());
    for (what, client) in &early {
        client.stream().set_nonblocking(true).unwrap();
        let there = client.stream().peek(&mut [0; 1]);
        assert!(!matches!(&there, Err(error) if error.kind() == ErrorKind::WouldBlock), "who {what} is still there");
    }
}
