//! The server's certificate: one that cannot be used stops the start, a new one is loaded while sessions go on, and the
//! one that it makes itself stays.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::Signal;

use super::pki::{Authority, Signed, path};
use super::{login, wait_for_log_lines};
use crate::support::{Client, Server, Tls, Tree, VERSIONS, Version};

/// Serves `tree` to `u` with the certificate in these files.
fn serve(tree: &Tree, files: &[String; 2], args: &[&str]) -> Server {
    let tls = ["--user", "u:secret", "--tls-cert", &files[0], "--tls-key", &files[1]];
    Server::start(tree.path(), &[&tls, args].concat())
}

/// Starts a server that must not start; what it says.
fn does_not_start(tree: &Tree, args: &[&str]) -> String {
    let output = Server::command(tree.path(), args).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?}: it said that it serves");
    text
}

/// The certificate that a new session is shown.
fn shown(server: &Server) -> Vec<u8> {
    Client::secured(server.address(), &Tls::new(Version::V13)).tls().certificate()
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start() {
    let (tree, home) = (Tree::new(), Tree::new());
    let authority = Authority::new("An authority");
    let [certificate, key] = authority.sign("localhost", 0, 100).write(&home, "good");
    let [_, other_key] = authority.sign("localhost", 0, 100).write(&home, "other");
    home.file("empty", "").file("garbage", super::noise(5_000)).directory("directory").sparse("large", 1 << 30);
    home.file("encrypted", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let cut = fs::read_to_string(&certificate).unwrap();
    home.file("cut", &cut[..cut.len() / 2]).fifo("fifo");
    home.file("not a certificate", cut.replace("MII", "MIJ"));
    let at = |name: &str| path(home.at(name));
    let bad_certificates = ["absent", "empty", "garbage", "directory", "large", "cut", "not a certificate"];
    for bad in bad_certificates.map(at).into_iter().chain([key.clone()]) {
        let text = does_not_start(&tree, &["--tls-cert", &bad, "--tls-key", &key]);
        assert!(text.contains("--tls-cert") && text.contains(&bad), "{text}");
    }
    let bad_keys = ["absent", "empty", "garbage", "directory", "large", "encrypted"];
    for bad in bad_keys.map(at).into_iter().chain([certificate.clone(), other_key]) {
        let text = does_not_start(&tree, &["--tls-cert", &certificate, "--tls-key", &bad]);
        assert!(text.contains("--tls-key") && text.contains(&bad), "{text}");
    }
    let encrypted = does_not_start(&tree, &["--tls-cert", &certificate, "--tls-key", &at("encrypted")]);
    assert!(encrypted.contains("encrypted") || encrypted.contains("passphrase"), "{encrypted}");
    for ca in ["absent", "empty", "garbage"] {
        let ca = at(ca);
        let text = does_not_start(&tree, &["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &ca]);
        assert!(text.contains("--tls-client-ca") && text.contains(&ca), "{text}");
    }
    let state = at("empty");
    let text = does_not_start(&tree, &["--tls", "self-signed", "--tls-state", &state]);
    assert!(text.contains(&state), "{text}");
}

#[test]
fn the_chain_is_shown_in_order_and_may_be_in_one_file_with_the_key() {
    let (tree, home) = (Tree::new(), Tree::new());
    let authority = Authority::new("An authority");
    let signed = authority.sign("localhost", 0, 100);
    home.file("all.pem", [signed.key(), signed.certificate(), authority.pem()].concat());
    let all = path(home.at("all.pem"));
    let server = serve(&tree, &[all.clone(), all], &[]);
    for version in VERSIONS {
        let mut client = login(&server, &Tls::new(version));
        assert_eq!(client.tls().chain(), [signed.der(), authority.der()]);
    }
}

#[test]
fn one_that_ends_soon_is_told_of() {
    let (tree, home) = (Tree::new(), Tree::new());
    let authority = Authority::new("An authority");
    for (days, told) in [(10, true), (60, false)] {
        let server = serve(&tree, &authority.sign("localhost", 0, days).write(&home, "soon"), &[]);
        login(&server, &Tls::new(Version::V13));
        if told {
            server.wait_for_log("the TLS certificate expires on");
        }
        let warned = server.log().lines().any(|line| line.contains("WARN") && line.contains("certificate"));
        assert_eq!(warned, told, "{days} days:\n{}", server.log());
    }
}

/// Replaces the files as certbot does: the new one is there whole, or the old one is.
fn replace(home: &Tree, name: &str, new: &Signed) {
    new.write(home, "new");
    for end in ["crt", "key"] {
        fs::rename(home.at(format!("new.{end}")), home.at(format!("{name}.{end}"))).unwrap();
    }
}

#[test]
fn sighup_loads_the_new_one_and_sessions_go_on() {
    let (tree, home) = (Tree::new(), Tree::new());
    tree.file("f", "content");
    let authority = Authority::new("An authority");
    let (old, new) = (authority.sign("old", 0, 100), authority.sign("new", 0, 100));
    for helpers in ["2", "0"] {
        let server = serve(&tree, &old.write(&home, "live"), &["--tls-reuse", "require", "--helpers", helpers]);
        for version in VERSIONS {
            replace(&home, "live", &old);
            let loaded = server.log().matches("loaded again").count();
            server.signal(Signal::HUP);
            wait_for_log_lines(&server, "loaded again", loaded + 1);
            let mut client = login(&server, &Tls::new(version));
            let mut without_tls = Client::connect(server.address());
            assert_eq!(client.tls().certificate(), old.der());
            replace(&home, "live", &new);
            assert_eq!(shown(&server), old.der(), "nobody has asked for it yet");
            server.signal(Signal::HUP);
            wait_for_log_lines(&server, "loaded again", loaded + 2);
            assert_eq!(shown(&server), new.der());
            // The session and its tickets are as good as before, with full handshakes too.
            for _ in 0..6 {
                assert_eq!(client.retrieve("f").0, b"content");
            }
            // Who has come before, and begins TLS now, gets the new one.
            without_tls.start_tls(&Tls::new(version));
            assert_eq!(without_tls.tls().certificate(), new.der());
        }
    }
}

#[test]
fn a_new_one_that_is_broken_leaves_the_old_one_in_use() {
    let (tree, home) = (Tree::new(), Tree::new());
    let authority = Authority::new("An authority");
    let (old, new) = (authority.sign("old", 0, 100), authority.sign("new", 0, 100));
    let server = serve(&tree, &old.write(&home, "live"), &[]);
    let write = |octets: &[u8]| fs::write(home.at("live.crt"), octets).unwrap();
    let breaks: [&dyn Fn(); 4] = [
        &|| write(b""),
        &|| write(new.certificate().as_bytes()),
        &|| fs::remove_file(home.at("live.key")).unwrap(),
        &|| write(&super::noise(1_000)),
    ];
    for (number, break_it) in breaks.into_iter().enumerate() {
        break_it();
        server.signal(Signal::HUP);
        wait_for_log_lines(&server, "stays in use", number + 1);
        assert!(server.log().contains(&path(home.at("live."))), "{}", server.log());
        assert_eq!(shown(&server), old.der());
    }
    new.write(&home, "live");
    server.signal(Signal::HUP);
    server.wait_for_log("loaded again");
    assert_eq!(shown(&server), new.der());
}

#[test]
#[ignore = "takes a minute: the files are looked at that often"]
fn a_file_that_changes_is_loaded_without_being_asked() {
    let (tree, home) = (Tree::new(), Tree::new());
    let authority = Authority::new("An authority");
    let (old, new) = (authority.sign("old", 0, 100), authority.sign("new", 0, 100));
    // As certbot has them: links, of which the target changes.
    old.write(&home, "old");
    new.write(&home, "new");
    let link = |to: &str| {
        for end in ["crt", "key"] {
            symlink(home.at(format!("{to}.{end}")), home.at("link")).unwrap();
            fs::rename(home.at("link"), home.at(format!("live.{end}"))).unwrap();
        }
    };
    link("old");
    let server = serve(&tree, &["crt", "key"].map(|end| path(home.at(format!("live.{end}")))), &[]);
    let mut client = login(&server, &Tls::new(Version::V13));
    link("new");
    for _ in 0..100 {
        if server.log().contains("loaded again") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    assert_eq!(shown(&server), new.der());
    client.expect("NOOP", 200);
}

/// SHA-256 as certificates are named by it.
fn fingerprint(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    digest.as_ref().iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(":")
}

#[test]
fn the_self_signed_one_stays() {
    let (tree, home) = (Tree::new(), Tree::new());
    let state = path(home.at("a/b/state"));
    let mut first = None;
    for _ in 0..3 {
        let server = Server::start(tree.path(), &["--tls", "self-signed", "--tls-state", &state]);
        let certificate = shown(&server);
        assert!(server.output().contains(&fingerprint(&certificate)), "{}", server.output());
        assert_eq!(*first.get_or_insert(certificate.clone()), certificate, "it was made anew");
        assert_eq!(server.stop().code(), Some(0));
    }
    // The key is for its owner alone, and nothing is left beside the two.
    let mut modes: Vec<(String, u32)> = fs::read_dir(&state)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().unwrap().permissions());
            (entry.file_name().into_string().unwrap(), mode & 0o777)
        })
        .collect();
    modes.sort();
    assert_eq!(modes.len(), 2, "{modes:?}");
    assert!(modes.iter().any(|(_, mode)| *mode == 0o600), "{modes:?}");
    // Two that start at once agree on one.
    let state = path(home.at("other"));
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let start = || Server::start(tree.path(), &["--tls", "self-signed", "--tls-state", &state]);
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let certificates: std::collections::HashSet<_> = servers.iter().map(shown).collect();
    assert_eq!(certificates.len(), 1);
}
