//! How connections end under TLS: close_notify on both, whatever the reason; and what an end without it means.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustix::process::Signal;

use super::{login, login_any, login_implicit, noise, serve};
use crate::support::{Client, PATIENCE, Server, Tls, Tree, VERSIONS, Version, read_all, reset};

/// More than the socket buffers of both ends hold.
const MORE_THAN_BUFFERS: u64 = 64 * 1024 * 1024;

/// The last reply, and that nothing but the announced end follows.
fn last_reply(client: &mut Client, code: u16) {
    let reply = client.read_reply();
    assert_eq!(reply.code, code, "{reply}");
    assert!(client.closed(), "the end was not announced");
}

#[test]
fn the_control_connection_says_its_end_with_221_and_421() {
    let tree = Tree::new();
    let args = ["--idle-timeout", "1", "--login-timeout", "2", "--tls-listen", "127.0.0.1:0"];
    let server = serve(&tree, &args);
    for version in VERSIONS {
        let tls = Tls::new(version);
        for mut client in [login(&server, &tls), login_implicit(&server, &tls)] {
            client.send_line("QUIT");
            last_reply(&mut client, 221);
        }
        // Idle; a login that takes too long; and both again where TLS began at once.
        let mut idle = [login(&server, &tls), login_implicit(&server, &tls)];
        let mut silent = [Client::secured(server.address(), &tls), Client::implicit(server.implicit_address(), &tls)];
        idle.iter_mut().chain(&mut silent).for_each(|client| last_reply(client, 421));
        // The third wrong password.
        let mut client = Client::secured(server.address(), &tls);
        client.send(&b"USER u\r\nPASS wrong\r\n".repeat(3));
        while client.try_read_reply().is_some() {}
        assert!(client.closed());
    }
}

#[test]
fn sigterm_says_goodbye_under_tls() {
    for version in VERSIONS {
        let tree = Tree::new();
        tree.sparse("big", MORE_THAN_BUFFERS);
        let mut server = serve(&tree, &["--tls-listen", "127.0.0.1:0"]);
        let tls = Tls::new(version);
        let mut idle = [login(&server, &tls), login_implicit(&server, &tls)];
        let mut new = Client::secured(server.address(), &tls);
        let mut busy = login(&server, &Tls::new(version));
        let mut data = busy.epsv();
        busy.expect("RETR big", 150);
        data.await_octets();
        // In the middle of a handshake there is nothing to be said, and nothing is said in the clear.
        let mut between = Client::connect(server.address());
        between.expect("AUTH TLS", 234);
        let mut silent = TcpStream::connect(server.implicit_address()).unwrap();
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        server.signal(Signal::TERM);
        idle.iter_mut().for_each(|client| last_reply(client, 421));
        last_reply(&mut new, 421);
        assert!(between.closed());
        let mut octets = Vec::new();
        let _ = silent.read_to_end(&mut octets);
        assert!(octets.is_empty(), "{:?}", octets.escape_ascii().to_string());
        assert_eq!(read_all(&mut data).len() as u64, MORE_THAN_BUFFERS);
        drop(data);
        assert_eq!(busy.read_reply().code, 226);
        while busy.try_read_reply().is_some() {}
        assert!(busy.closed());
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_control_connection_that_the_client_ends_is_ended() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        // With close_notify the server has its own; without, it has nothing to say, and does not stay.
        let mut client = login(&server, &Tls::new(version));
        client.tls().end_output().unwrap();
        assert!(client.closed(), "the end was not announced");
        let client = login(&server, &Tls::new(version));
        client.stream().shutdown(Shutdown::Write).unwrap();
        let _ = client.stream().read_to_end(&mut Vec::new());
    }
    login_any(&server).expect("NOOP", 200);
}

/// Replies that wait for the client to read are not forgotten because it has nothing more to say.
#[test]
fn a_client_that_ends_its_half_gets_every_reply_and_the_end() {
    let tree = Tree::new();
    tree.directory("d");
    for number in 0..600 {
        tree.file(format!("d/{number:0>40}"), "");
    }
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        for count in [10, 20, 40, 41, 42, 43, 60] {
            let mut client = login(&server, &Tls::new(version));
            socket2::SockRef::from(client.stream()).set_recv_buffer_size(32 * 1024).unwrap();
            client.send(&b"STAT d\r\n".repeat(count));
            client.tls().end_output().unwrap();
            for number in 0..count {
                let reply = client.try_read_reply().unwrap_or_else(|| panic!("only {number} of {count} replies"));
                assert_eq!((reply.code, reply.text().matches("000").count() >= 600), (212, true));
            }
            assert!(client.closed(), "{count}: the end was not announced");
        }
    }
}

#[test]
fn an_upload_outlives_the_control_connection_as_it_does_in_the_clear() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        let mut client = login(&server, &Tls::new(version));
        let mut data = client.epsv();
        client.expect("STOR up", 150);
        data.write_all(b"half").unwrap();
        client.stream().shutdown(Shutdown::Write).unwrap();
        data.write_all(b" and half").unwrap();
        data.shutdown(Shutdown::Write).unwrap();
        let _ = data.read_to_end(&mut Vec::new());
        server.wait_for_log("stored /up, 13 octets");
        assert_eq!(tree.read("up").unwrap(), b"half and half");
    }
}

#[test]
fn an_upload_that_ends_without_close_notify_is_426_and_its_part_stays() {
    let tree = Tree::new();
    for helpers in ["2", "0"] {
        let server = serve(&tree, &["--helpers", helpers]);
        for version in VERSIONS {
            let mut client = login(&server, &Tls::new(version));
            let content = noise(100_000);
            let mut data = client.epsv();
            client.expect("STOR part", 150);
            data.write_all(&content).unwrap();
            let socket = data.into_socket();
            socket.shutdown(Shutdown::Write).unwrap();
            let reply = client.read_reply();
            assert_eq!(reply.code, 426, "{reply}");
            assert!(reply.text().contains("close_notify"), "{reply}");
            assert!(tree.read("part").unwrap() == content);
            // It goes on from there.
            client.expect("REST 100000", 350);
            assert_eq!(client.store("part", b"the rest").code, 226);
            assert_eq!(&tree.read("part").unwrap()[100_000..], b"the rest");
            client.expect("DELE part", 250);

            // In the middle of a record.
            let mut data = client.epsv();
            client.expect("STOR part", 150);
            data.write_all(b"whole record").unwrap();
            let mut socket = data.into_socket();
            socket.write_all(&[23, 3, 3, 1, 0, 7, 7, 7]).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.read_reply().code, 426);
            assert_eq!(tree.read("part").unwrap(), b"whole record");
            client.expect("DELE part", 250);

            // And of no octets: nobody said that there are none.
            let mut data = client.epsv();
            client.expect("STOR part", 150);
            data.begin();
            let socket = data.into_socket();
            socket.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.read_reply().code, 426);
            client.expect("NOOP", 200);
        }
    }
}

#[test]
fn an_upload_that_was_changed_on_its_way_is_not_complete() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        let mut client = login(&server, &Tls::new(version));
        let mut data = client.epsv();
        client.expect("STOR part", 150);
        data.write_all(b"genuine").unwrap();
        let mut socket = data.into_socket();
        socket.write_all(&[&[23, 3, 3, 0, 30][..], &[7; 30]].concat()).unwrap();
        assert_eq!(client.read_reply().code, 426);
        let part = tree.read("part").unwrap();
        assert!(b"genuine".starts_with(&part), "{:?}", part.escape_ascii().to_string());
        // The alert says that the record was bad.
        let mut octets = Vec::new();
        let _ = socket.read_to_end(&mut octets);
        client.expect("DELE part", 250);
    }
}

#[test]
fn a_file_of_no_octets_goes_both_ways() {
    let tree = Tree::new();
    tree.file("empty", "").directory("d");
    for reuse in ["require", "prefer", "off"] {
        let server = serve(&tree, &["--tls-reuse", reuse]);
        for version in VERSIONS {
            let mut client = login(&server, &Tls::new(version));
            assert_eq!(client.store("up", b"").code, 226);
            assert_eq!(tree.read("up").unwrap(), b"");
            assert_eq!(client.retrieve("empty").0, b"");
            assert_eq!(client.list("LIST d").0, "");
            assert_eq!(client.list("NLST d").0, "");
            client.expect("DELE up", 250);
        }
    }
}

#[test]
fn a_client_that_never_closes_its_half_is_not_waited_for_for_ever() {
    let tree = Tree::new();
    let content = noise(300_000);
    tree.file("f", &content);
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        let mut client = login(&server, &Tls::new(version));
        let mut data = client.epsv();
        client.expect("RETR f", 150);
        let mut octets = Vec::new();
        data.stream().read_to_end(&mut octets).expect("the end is announced at once");
        assert!(octets == content);
        client.expect("NOOP", 200);
        assert_eq!(client.read_reply().code, 226);
        drop(data);
        assert_eq!(client.retrieve("f").1.code, 226);
        // One that goes on sending is not read for ever either.
        let mut data = client.epsv();
        client.expect("RETR f", 150);
        let mut octets = Vec::new();
        data.stream().read_to_end(&mut octets).unwrap();
        while data.stream().write_all(&[0; 16_384]).is_ok() {}
        assert_eq!(client.read_reply().code, 226);
    }
}

#[test]
fn a_client_that_resets_after_the_end_has_its_file() {
    let tree = Tree::new();
    tree.file("f", noise(300_000));
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        let mut client = login(&server, &Tls::new(version));
        let mut data = client.epsv();
        client.expect("RETR f", 150);
        data.stream().read_to_end(&mut Vec::new()).unwrap();
        reset(data);
        assert_eq!(client.read_reply().code, 226);
        client.expect("NOOP", 200);
    }
}

#[test]
fn an_aborted_download_is_not_ended_as_if_it_were_whole() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS);
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        let mut client = login(&server, &Tls::new(version));
        let mut data = client.epsv();
        client.expect("RETR big", 150);
        data.await_octets();
        client.expect("ABOR", 426);
        assert_eq!(client.read_reply().code, 226);
        let mut octets = Vec::new();
        let end = data.stream().read_to_end(&mut octets);
        assert!(end.is_err() && (octets.len() as u64) < MORE_THAN_BUFFERS, "{} octets, {end:?}", octets.len());
    }
}

/// What a client that says nothing is sent at `address`, until its end.
fn told(address: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets);
    octets
}

#[test]
fn whoever_is_turned_away_from_the_implicit_port_is_told_nothing_in_the_clear() {
    let tree = Tree::new();
    for args in [&["--max-sessions", "1"][..], &["--max-sessions-per-address", "1"]] {
        let server: Server = serve(&tree, &[&["--tls-listen", "127.0.0.1:0"], args].concat());
        let _only = login_implicit(&server, &Tls::new(Version::V13));
        let octets = told(server.implicit_address());
        assert!(octets.is_empty(), "{args:?}: {:?}", octets.escape_ascii().to_string());
        assert!(told(server.address()).starts_with(b"421 "));
    }
}
