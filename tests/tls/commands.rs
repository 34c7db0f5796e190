//! AUTH, PBSZ, PROT, CCC and REIN (RFC 4217 sections 4 to 10), and `--require-tls`.

use super::{login, login_any, login_implicit, serve};
use crate::support::{Client, Server, Tls, Tree, VERSIONS, Version};

#[test]
fn what_was_pipelined_behind_auth_is_not_heard() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        for forged in ["USER u\r\nPASS secret\r\nMKD forged\r\n", "NOOP\r\nNOOP\r\nUSER u\r\n", "USER"] {
            let mut client = Client::connect(server.address());
            client.send(format!("AUTH TLS\r\n{forged}").as_bytes());
            assert_eq!(client.read_reply().code, 234);
            client.upgrade(&Tls::new(version)).unwrap();
            // Half a line would become this one.
            client.expect(" u", 500);
            client.expect("PASS secret", 503);
            client.expect("PWD", 530);
            client.log_in("u", "secret");
            client.expect("PWD", 257);
        }
    }
    // More than is read at once.
    let mut client = Client::connect(server.address());
    client.send(&[b"AUTH TLS\r\n".to_vec(), b"MKD forged\r\n".repeat(4_000)].concat());
    assert_eq!(client.read_reply().code, 234);
    client.upgrade(&Tls::new(Version::V13)).unwrap();
    client.log_in("u", "secret");
    // More than anybody drops: there is no handshake then, but nobody hears it.
    let mut client = Client::connect(server.address());
    let forged = "USER u\r\nPASS secret\r\nMKD forged\r\n".repeat(5_000);
    client.send(format!("AUTH TLS\r\n{forged}").as_bytes());
    assert_eq!(client.read_reply().code, 234);
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut client.stream(), &mut rest);
    assert!(!rest.windows(3).any(|octets| octets == b"331"), "{:?}", rest.escape_ascii().to_string());
    assert!(!tree.at("forged").exists());
}

#[test]
fn what_was_said_before_auth_is_forgotten() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        let mut client = Client::connect(server.address());
        client.expect("USER u", 331);
        client.start_tls(&Tls::new(version));
        client.expect("PASS secret", 503);
        client.log_in("u", "secret");
    }
}

#[test]
fn auth_has_three_names_and_one_time() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let tls = Tls::new(Version::V13);
    for line in ["AUTH TLS", "auth tls", "AUTH SSL", "AUTH TLS-C"] {
        let mut client = Client::connect(server.address());
        for (line, code) in [("AUTH", 501), ("AUTH GSSAPI", 504), ("AUTH TLS-P", 504), ("AUTH TLS x", 504)] {
            client.expect(line, code);
        }
        client.expect(line, 234);
        client.upgrade(&tls).unwrap();
        client.expect("AUTH TLS", 503);
        client.log_in("u", "secret");
        client.expect("AUTH TLS", 503);
        client.expect("NOOP", 200);
    }
    let mut client = Client::login(server.address(), "u", "secret");
    client.expect("AUTH TLS", 503);
    client.expect("REIN", 220);
    client.start_tls(&tls);
    client.log_in("u", "secret");
}

#[test]
fn feat_tells_of_tls_where_there_is_some() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let features = Client::connect(server.address()).expect("FEAT", 211).text();
    for line in ["\n AUTH TLS", "\n PBSZ", "\n PROT"] {
        assert!(features.contains(line), "{features}");
    }
    let plain = Server::start(tree.path(), &["--user", "u:secret"]);
    let mut client = Client::connect(plain.address());
    let features = client.expect("FEAT", 211).text();
    assert!(!features.contains("AUTH") && !features.contains("PROT"), "{features}");
    assert!(client.say("AUTH TLS").code >= 500);
}

#[test]
fn pbsz_and_prot_have_their_order_and_their_values() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = Client::connect(server.address());
    for line in ["PBSZ 0", "PROT P", "PROT C", "CCC"] {
        client.expect(line, 503);
    }
    client.start_tls(&Tls::new(Version::V13));
    for (line, code) in [
        ("PROT P", 503),
        ("PROT C", 503),
        ("PBSZ", 501),
        ("PBSZ x", 501),
        ("PBSZ -1", 501),
        ("PBSZ 4294967296", 501),
        ("PROT P", 503),
        ("PBSZ 0", 200),
        ("PROT S", 536),
        ("PROT E", 536),
        ("PROT X", 504),
        ("PROT", 501),
        ("prot p", 200),
        ("PROT C", 200),
        ("PBSZ 4294967295", 200),
        ("PROT P", 200),
        ("CCC", 534),
    ] {
        client.expect(line, code);
    }
    // RFC 4217 section 8: whatever was asked for, the size is 0.
    let reply = client.expect("PBSZ 1000", 200);
    assert!(reply.text().contains("PBSZ=0"), "{reply}");
    client.log_in("u", "secret");
    client.expect("PBSZ 0", 200);
    client.expect("PROT P", 200);
    client.expect("CCC", 534);
    client.expect("NOOP", 200);
}

#[test]
fn prot_says_how_data_goes() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    for version in VERSIONS {
        let tls = Tls::new(version);
        let mut client = Client::secured(server.address(), &tls);
        client.log_in("u", "secret");
        client.expect("TYPE I", 200);
        // RFC 4217 section 9: C is what it begins with.
        assert_eq!(client.retrieve("f").0, b"content");
        client.protect_data(&tls);
        assert_eq!(client.retrieve("f").0, b"content");
        // Whoever sends in the clear then is refused, and touches nothing.
        client.open_data_with(None);
        assert_eq!(client.store("new", b"in the clear").code, 425);
        assert_eq!(client.store("f", b"in the clear").code, 425);
        assert!(!tree.at("new").exists() && tree.read("f").unwrap() == b"content");
        client.expect("PROT C", 200);
        assert_eq!(client.store("new", b"in the clear").code, 226);
        client.expect("DELE new", 250);
        client.open_data_with(Some(&tls));
        client.expect("PROT P", 200);
        assert_eq!(client.store("new", b"under TLS").code, 226);
        assert_eq!(client.list("NLST").0.lines().count(), 2);
        client.expect("DELE new", 250);
    }
}

#[test]
fn rein_keeps_the_control_connection_under_tls_and_forgets_prot() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &["--tls-listen", "127.0.0.1:0"]);
    for version in VERSIONS {
        let tls = Tls::new(version);
        let mut client = login(&server, &tls);
        assert_eq!(client.retrieve("f").0, b"content");
        client.expect("REIN", 220);
        client.expect("PWD", 530);
        client.expect("PROT P", 503);
        client.expect("AUTH TLS", 503);
        client.log_in("u", "secret");
        client.expect("TYPE I", 200);
        client.open_data_with(None);
        assert_eq!(client.retrieve("f").0, b"content");
        client.protect_data(&tls);
        assert_eq!(client.retrieve("f").0, b"content");

        // Where all began under TLS, data does so again.
        let mut client = login_implicit(&server, &tls);
        client.expect("PBSZ 0", 200);
        client.expect("PROT C", 200);
        client.expect("REIN", 220);
        client.log_in("u", "secret");
        client.expect("TYPE I", 200);
        assert_eq!(client.retrieve("f").0, b"content");
    }
}

#[test]
fn implicit_tls_protects_data_from_the_start() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &["--tls-listen", "127.0.0.1:0", "--require-tls", "all"]);
    for version in VERSIONS {
        let mut client = login_implicit(&server, &Tls::new(version));
        client.expect("AUTH TLS", 503);
        assert_eq!(client.retrieve("f").0, b"content");
        assert_eq!(client.store("up", b"x").code, 226);
        assert_eq!(client.list("NLST").0, "f\r\nup\r\n");
        client.expect("PBSZ 0", 200);
        client.expect("PROT C", 534);
        client.expect("PROT P", 200);
        assert_eq!(client.retrieve("f").0, b"content");
        client.expect("DELE up", 250);
    }
}

#[test]
fn a_login_in_the_clear_is_refused_before_the_password() {
    let tree = Tree::new();
    tree.file("f", "content");
    for what in ["login", "all"] {
        let server = serve(&tree, &["--require-tls", what, "--anonymous", "ro"]);
        let mut client = Client::connect(server.address());
        for user in ["u", "anonymous", "ftp", "nobody"] {
            let reply = client.expect(format!("USER {user}"), 530);
            assert!(reply.text().contains("AUTH TLS"), "{reply}");
            let reply = client.say("PASS secret");
            assert!([503, 530].contains(&reply.code), "{reply}");
            client.expect("PWD", 530);
        }
        // What needs no login goes on, and so does TLS.
        client.expect("NOOP", 200);
        client.expect("FEAT", 211);
        client.start_tls(&Tls::new(Version::V13));
        client.log_in("u", "secret");
        let mut client = Client::secured(server.address(), &Tls::new(Version::V12));
        client.log_in("anonymous", "test@");
    }
}

#[test]
fn data_in_the_clear_is_refused_where_all_must_be_protected() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &["--require-tls", "all"]);
    let tls = Tls::new(Version::V13);
    let mut client = Client::secured(server.address(), &tls);
    client.log_in("u", "secret");
    for line in ["RETR f", "STOR f", "STOR up", "APPE f", "STOU", "LIST", "NLST", "MLSD"] {
        client.expect("EPSV", 229);
        let reply = client.expect(line, 521);
        assert!(reply.text().contains("PROT P"), "{reply}");
    }
    client.expect("PBSZ 0", 200);
    client.expect("PROT C", 534);
    client.expect("EPSV", 229);
    client.expect("RETR f", 521);
    client.protect_data(&tls);
    client.expect("TYPE I", 200);
    assert_eq!(client.retrieve("f").0, b"content");
    client.expect("PROT C", 534);
    assert_eq!(client.retrieve("f").0, b"content");
    assert_eq!(std::fs::read_dir(tree.path()).unwrap().count(), 1);

    let server = serve(&tree, &["--require-tls", "login"]);
    let mut client = login_any(&server);
    client.open_data_with(None);
    client.expect("PROT C", 200);
    assert_eq!(client.retrieve("f").0, b"content");
}
