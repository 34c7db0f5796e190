//! The data connection itself: who may be connected to, what happens where nobody connects, and that a file is not
//! touched before it is up.

use std::net::{TcpListener, TcpStream};

use super::{login, serve};
use crate::support::{Client, Server, Tree, read_all};

/// A port of 127.0.0.1 where nobody listens.
fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// STOR, APPE and STOU over a connection that does not come up, prepared by `prepare`.
fn nothing_is_touched(client: &mut Client, tree: &Tree, mut prepare: impl FnMut(&mut Client)) {
    tree.file("old", "precious");
    for line in ["STOR old", "STOR new", "APPE old", "APPE new", "STOU"] {
        prepare(client);
        client.expect(line, 150);
        let reply = client.read_reply();
        assert_eq!(reply.code, 425, "{line}: {reply}");
        assert_eq!(tree.read("old").unwrap(), b"precious", "{line}");
        let names: Vec<_> = std::fs::read_dir(tree.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["old"], "{line}");
    }
    client.expect("NOOP", 200);
}

#[test]
fn a_refused_active_connection_touches_no_file() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    nothing_is_touched(&mut client, &tree, |client| {
        let port = dead_port();
        client.expect(format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255), 200);
    });
}

#[test]
fn a_passive_connection_that_nobody_opens_touches_no_file() {
    let tree = Tree::new();
    let server = serve(&tree, &["--data-timeout", "1"]);
    let mut client = login(&server);
    nothing_is_touched(&mut client, &tree, |client| drop(client.expect("EPSV", 229)));
}

#[test]
fn without_a_data_connection_there_is_no_transfer() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    for line in ["RETR f", "STOR f", "APPE f", "STOU", "LIST", "NLST", "MLSD"] {
        client.expect(line, 425);
    }
    // One data connection serves one transfer.
    assert_eq!(client.retrieve("f").1.code, 226);
    client.expect("RETR f", 425);
    assert_eq!(tree.read("f").unwrap(), b"x");
}

#[test]
fn a_foreign_address_or_a_low_port_is_refused() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &[]);
    let victim = TcpListener::bind("127.0.0.2:0").unwrap();
    victim.set_nonblocking(true).unwrap();
    let (high, low) = (victim.local_addr().unwrap().port() >> 8, victim.local_addr().unwrap().port() & 255);
    let port = victim.local_addr().unwrap().port();
    let mut client = login(&server);
    for line in [
        format!("PORT 127,0,0,2,{high},{low}"),
        format!("EPRT |1|127.0.0.2|{port}|"),
        format!("EPRT |2|::ffff:127.0.0.2|{port}|"),
        format!("EPRT |2|::ffff:127.0.0.1|{port}|"),
        format!("EPRT |2|::1|{port}|"),
        format!("PORT 0,0,0,0,{high},{low}"),
        format!("PORT 224,0,0,1,{high},{low}"),
        format!("PORT 255,255,255,255,{high},{low}"),
        "PORT 127,0,0,1,0,25".into(),
        "PORT 127,0,0,1,3,255".into(),
        "PORT 127,0,0,1,0,0".into(),
        "EPRT |1|127.0.0.1|1023|".into(),
        "EPRT |1|127.0.0.1|0|".into(),
        "EPRT |1|127.0.0.1|65536|".into(),
        "EPRT |3|127.0.0.1|5000|".into(),
        "EPRT |1|127.0.0.1|5000".into(),
        "PORT 127,0,0,1,256,1".into(),
        "PORT 127,0,0,1,-1,1".into(),
        "PORT 1,2,3".into(),
        format!("PORT {}", "1,".repeat(2000)),
        "PORT".into(),
    ] {
        let reply = client.say(&line);
        assert!([500, 501, 504, 522].contains(&reply.code), "{line}: {reply}");
        client.expect("RETR f", 425);
    }
    assert!(victim.accept().is_err(), "the server connected to a third host");
    // What was refused leaves no trace: the next good one works.
    let listener = client.port_listener();
    client.expect("RETR f", 150);
    assert_eq!(read_all(&mut client.accept(&listener)), b"x");
    assert_eq!(client.read_reply().code, 226);
}

#[test]
fn epsv_all_is_obeyed_for_the_rest_of_the_session() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    client.expect("EPSV ALL", 200);
    for line in ["PASV", "PORT 127,0,0,1,200,1", "EPRT |1|127.0.0.1|50000|"] {
        client.expect(line, 503);
    }
    assert_eq!(client.retrieve("f").0, b"x");
    // ProFTPD forgot it after an aborted transfer.
    client.expect("EPSV", 229);
    client.expect("RETR f", 150);
    client.expect("ABOR", 426);
    assert_eq!(client.read_reply().code, 226);
    client.expect("PASV", 503);
    assert_eq!(client.retrieve("f").0, b"x");
}

#[test]
fn epsv_names_its_network_protocol() {
    let tree = Tree::new();
    for (listen, own, foreign) in [("127.0.0.1:0", "1", "2"), ("[::1]:0", "2", "1")] {
        let server = serve(&tree, &["--listen", listen]);
        let mut client = login(&server);
        client.expect(format!("EPSV {own}"), 229);
        let refusal = client.expect(format!("EPSV {foreign}"), 522);
        assert!(refusal.text().contains(&format!("({own})")), "{refusal}");
        client.expect("EPSV 3", 522);
        client.expect("EPSV x", 501);
    }
}

#[test]
fn pasv_over_ipv6_is_refused_with_a_hint() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &["--listen", "[::1]:0"]);
    let mut client = login(&server);
    for line in ["PASV", "PORT 127,0,0,1,200,1"] {
        let reply = client.say(line);
        assert!(reply.code >= 400 && reply.text().contains("EP"), "{line}: {reply}");
    }
    let listener = client.port_listener();
    client.expect("RETR f", 150);
    assert_eq!(read_all(&mut client.accept(&listener)), b"x");
    assert_eq!(client.read_reply().code, 226);
}

#[test]
fn one_listener_serves_both_families() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = Server::start(tree.path(), &["--listen", ":0"]);
    let port = server.address().port();
    for host in ["127.0.0.1", "::1"] {
        let mut client = Client::anonymous((host.parse::<std::net::IpAddr>().unwrap(), port).into());
        assert_eq!(client.retrieve("f").0, b"x", "{host}");
        let listener = client.port_listener();
        client.expect("RETR f", 150);
        assert_eq!(read_all(&mut client.accept(&listener)), b"x", "{host}");
        assert_eq!(client.read_reply().code, 226);
        if host == "127.0.0.1" {
            // A v4-mapped control connection is an IPv4 one to its client.
            let reply = client.expect("PASV", 227);
            assert!(reply.text().contains("(127,0,0,1,"), "{reply}");
        }
    }
}

#[test]
fn active_connections_come_from_the_port_below() {
    // Where passive ports are named, the sandbox knows which ones may be bound.
    [&[][..], &["--passive-ports", "47120-47129"]].into_iter().for_each(come_from_the_port_below);
}

fn come_from_the_port_below(args: &[&str]) {
    let tree = Tree::new();
    tree.file("f", "x");
    let mut server = serve(&tree, args);
    // The kernel chose the port; the one below must be free as well.
    while TcpListener::bind(("127.0.0.1", server.address().port() - 1)).is_err() {
        server = serve(&tree, args);
    }
    let mut client = login(&server);
    let mut retrieve = || {
        let listener = client.port_listener();
        client.expect("RETR f", 150);
        let mut data = client.accept(&listener);
        let from = data.peer_addr().unwrap().port();
        assert_eq!(read_all(&mut data), b"x");
        assert_eq!(client.read_reply().code, 226);
        from
    };
    assert_eq!(retrieve(), server.address().port() - 1);
    // The port may be in use now, or in TIME_WAIT: transfers go on all the same.
    for _ in 0..5 {
        retrieve();
    }
}

#[test]
fn a_new_pasv_closes_the_old_port() {
    let tree = Tree::new();
    tree.file("f", "x");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let old = client.expect("EPSV", 229);
    let new = client.expect("EPSV", 229);
    let old = client.epsv_address(&old);
    if old != client.epsv_address(&new) {
        assert!(TcpStream::connect(old).is_err(), "the old port still listens");
    }
    // PORT after EPSV: the last one counts.
    let listener = client.port_listener();
    assert!(TcpStream::connect(client.epsv_address(&new)).is_err(), "the passive port still listens");
    client.expect("RETR f", 150);
    assert_eq!(read_all(&mut client.accept(&listener)), b"x");
    assert_eq!(client.read_reply().code, 226);
}
