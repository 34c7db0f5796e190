//! Certificates of clients: `--tls-client-ca` and the three meanings of `--tls-client-login`.

use rustix::process::Signal;

use super::pki::{Authority, Signed, path};
use crate::support::{Client, Server, Tls, Tree, VERSIONS, Version};

/// A server that knows an authority, and what its clients have.
struct World {
    server: Server,
    /// A certificate of `u`, who is a user.
    mine: Signed,
    /// One of somebody who is none.
    nobody: Signed,
    /// One of `u` by an authority that is not known.
    forged: Signed,
    /// One of `u` that has ended.
    ended: Signed,
    /// One of `u` that has not begun.
    unborn: Signed,
    home: Tree,
}

fn world(tree: &Tree, login: &[&str]) -> World {
    let home = Tree::new();
    let authority = Authority::new("An authority");
    home.file("ca.pem", [Authority::new("Another").pem(), authority.pem()].concat());
    let ca = path(home.at("ca.pem"));
    let args =
        ["--user", "u:secret", "--user", "w:secret", "--anonymous", "ro", "--tls-client-ca", &ca, "--tls-listen"];
    World {
        server: Server::start_tls(tree.path(), &[&args, &["127.0.0.1:0"][..], login].concat()),
        mine: authority.sign("u", 0, 100),
        nobody: authority.sign("nobody", 0, 100),
        forged: Authority::new("An authority").sign("u", 0, 100),
        ended: authority.sign("u", -100, -50),
        unborn: authority.sign("u", 50, 100),
        home,
    }
}

fn with(version: Version, signed: &Signed) -> Tls {
    Tls::certified(version, &signed.der(), &signed.key_der())
}

/// Fails unless the handshake does. With TLS 1.3 the client learns of it only when it reads.
fn no_handshake(world: &World, tls: &Tls, what: &str) {
    let mut client = Client::connect(world.server.address());
    client.expect("AUTH TLS", 234);
    if client.upgrade(tls).is_ok() {
        assert!(client.await_reply().is_err(), "{what}: there was a handshake");
    }
    let mut stream = tls.over(std::net::TcpStream::connect(world.server.implicit_address()).unwrap());
    assert!(std::io::Read::read(&mut stream, &mut [0; 1]).is_err(), "{what}: there was a handshake");
}

/// No certificate but a good one is ever taken.
fn bad_ones_are_refused(world: &World, version: Version) {
    no_handshake(world, &with(version, &world.forged), "forged");
    no_handshake(world, &with(version, &world.ended), "ended");
    no_handshake(world, &with(version, &world.unborn), "not begun");
}

#[test]
fn both_wants_a_certificate_and_the_password() {
    let tree = Tree::new();
    tree.file("f", "content");
    for args in [&[][..], &["--tls-client-login", "both"]] {
        let world = world(&tree, args);
        for version in VERSIONS {
            no_handshake(&world, &Tls::new(version), "none");
            bad_ones_are_refused(&world, version);
            // Whose it is does not matter, as long as it is good.
            for signed in [&world.mine, &world.nobody] {
                let tls = with(version, signed);
                let mut client = Client::secured(world.server.address(), &tls);
                client.expect("USER u", 331);
                client.expect("PASS wrong", 530);
                client.log_in("u", "secret");
                client.protect_data(&tls);
                client.expect("TYPE I", 200);
                assert_eq!(client.retrieve("f").0, b"content");
                // A data connection without one, where it does not resume.
                client.open_data_with(Some(&Tls::new(version)));
                let reply = client.store("up", b"x");
                assert_eq!(reply.code, 425, "{reply}");
                assert!(!tree.at("up").exists());
                // A full handshake with one.
                client.open_data_with(Some(&tls.with_a_memory_of_its_own()));
                assert_eq!(client.retrieve("f").0, b"content");
            }
        }
    }
}

#[test]
fn either_takes_a_certificate_of_the_name_or_the_password() {
    let tree = Tree::new();
    let world = world(&tree, &["--tls-client-login", "either"]);
    for version in VERSIONS {
        bad_ones_are_refused(&world, version);
        let mut client = Client::secured(world.server.address(), &Tls::new(version));
        client.log_in("u", "secret");
        let mut client = Client::secured(world.server.address(), &with(version, &world.mine));
        // It says who it is all the same, and is not somebody else without that one's password.
        client.expect("PWD", 530);
        client.expect("USER w", 331);
        client.expect("PASS wrong", 530);
        client.expect("USER U", 331);
        client.expect("USER u", 230);
        client.expect("PWD", 257);
        client.expect("REIN", 220);
        client.expect("PWD", 530);
        client.log_in("w", "secret");
        client.expect("REIN", 220);
        client.expect("USER u", 230);
        // A name that is no user's opens nothing.
        let mut client = Client::secured(world.server.address(), &with(version, &world.nobody));
        let reply = client.say("USER nobody");
        assert!([331, 530].contains(&reply.code), "{reply}");
        client.expect("USER u", 331);
        client.expect("PASS secret", 230);
    }
    // In the clear, nothing is certified.
    let mut client = Client::connect(world.server.address());
    client.expect("USER u", 331);
    client.expect("PASS wrong", 530);
}

#[test]
fn certificate_takes_nothing_else() {
    let tree = Tree::new();
    let world = world(&tree, &["--tls-client-login", "certificate"]);
    for version in VERSIONS {
        no_handshake(&world, &Tls::new(version), "none");
        bad_ones_are_refused(&world, version);
        let mut client = Client::secured(world.server.address(), &with(version, &world.mine));
        for user in ["w", "anonymous"] {
            let reply = client.say(format!("USER {user}"));
            assert!([331, 530].contains(&reply.code), "{reply}");
            if reply.code == 331 {
                client.expect("PASS secret", 530);
            }
        }
        client.expect("USER u", 230);
        client.expect("PWD", 257);
    }
    // Without TLS there is no certificate.
    let mut client = Client::connect(world.server.address());
    let reply = client.say("USER u");
    if reply.code == 331 {
        client.expect("PASS secret", 530);
    } else {
        assert_eq!(reply.code, 530, "{reply}");
    }
}

#[test]
fn a_certificate_of_an_anonymous_name_opens_nothing_new() {
    let (tree, home) = (Tree::new(), Tree::new());
    let authority = Authority::new("An authority");
    home.file("ca.pem", authority.pem());
    let ca = path(home.at("ca.pem"));
    let args = ["--user", "u:secret", "--tls-client-ca", &ca, "--tls-client-login", "either"];
    let server = Server::start_tls(tree.path(), &args);
    let signed = authority.sign("anonymous", 0, 100);
    let mut client = Client::secured(server.address(), &with(Version::V13, &signed));
    let reply = client.say("USER anonymous");
    assert!(reply.code != 230, "{reply}");
    client.expect("PWD", 530);
}

#[test]
fn sighup_reads_again_who_signs() {
    let tree = Tree::new();
    let world = world(&tree, &[]);
    let newer = Authority::new("A newer authority");
    let signed = newer.sign("u", 0, 100);
    world.home.file("ca.pem", newer.pem());
    world.server.signal(Signal::HUP);
    let log = world.server.wait_for_log("TLS certificate ");
    assert!(log.contains("the TLS certificate was loaded again"), "{log}");
    for version in VERSIONS {
        Client::secured(world.server.address(), &with(version, &signed)).expect("NOOP", 200);
        no_handshake(&world, &with(version, &world.mine), "signed by the one before");
    }
}
