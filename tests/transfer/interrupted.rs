//! Transfers that do not come to their end: connections that break, files that shrink, disks that are full.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;

use super::{HELPERS, MORE_THAN_BUFFERS, login, noise, serve, stalled_retr, stalled_stor, wait_for_length, wait_until};
use crate::support::{Small, Tree, read_all, reset};

#[test]
fn a_reset_data_connection_is_426_and_the_session_goes_on() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS).file("small", "x");
    for helpers in HELPERS {
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        assert_eq!(client.retrieve("small").1.code, 226);
        let before = server.descriptors();
        for _ in 0..4 {
            reset(stalled_retr(&mut client, "big"));
            assert_eq!(client.read_reply().code, 426);

            let data = stalled_stor(&mut client, "part", b"half");
            wait_for_length(&tree, "part", 4);
            reset(data);
            let reply = client.read_reply();
            assert_eq!(reply.code, 426, "an upload that broke off is not complete: {reply}");
            // It stays, so that the client can go on from there.
            assert_eq!(tree.read("part").unwrap(), b"half");
            client.expect("DELE part", 250);
        }
        assert_eq!(client.retrieve("small").0, b"x");
        assert!(server.descriptors() <= before + 2, "{before} descriptors became {}", server.descriptors());
    }
}

/// Room is made for a large upload before it is written, where the file system has it to give (ext4).
#[test]
fn an_upload_keeps_no_more_of_the_disk_than_its_octets() {
    let tree = Tree::new();
    let kept = |name: &str| std::fs::metadata(tree.at(name)).map(|facts| (facts.blocks() * 512, facts.len())).unwrap();
    let content = noise(5_000_000, 7);
    for helpers in HELPERS {
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        assert_eq!(client.store("whole", &content).code, 226);
        assert!(tree.read("whole").unwrap() == content);
        let data = stalled_stor(&mut client, "part", &content);
        wait_for_length(&tree, "part", content.len() as u64);
        reset(data);
        assert_eq!(client.read_reply().code, 426);
        for name in ["whole", "part"] {
            let (blocks, length) = kept(name);
            assert!(blocks <= length + 64 * 1024, "{name} of {length} octets keeps {blocks} of the disk");
        }
        client.expect("DELE part", 250);
        client.expect("DELE whole", 250);
    }
}

#[test]
fn a_client_that_only_half_closes_still_gets_its_file() {
    let tree = Tree::new();
    let content = noise(3_000_000, 3);
    tree.file("f", &content);
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let mut data = client.epsv();
    if !data.is_tls() {
        data.shutdown(Shutdown::Write).unwrap();
    }
    client.expect("RETR f", 150);
    // TLS has no end before it has begun.
    if data.is_tls() {
        data.shutdown(Shutdown::Write).unwrap();
    }
    assert!(read_all(&mut data) == content);
    assert_eq!(client.read_reply().code, 226);
}

#[test]
fn a_control_connection_that_breaks_frees_everything() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS);
    let server = serve(&tree, &[]);
    let first = login(&server);
    let before = server.descriptors();
    for round in 0..3 {
        let mut client = login(&server);
        let retr = stalled_retr(&mut client, "big");
        reset(client.stream().try_clone().unwrap());
        drop(client);
        drop(retr);
        let mut client = login(&server);
        let stor = stalled_stor(&mut client, "part", b"half");
        wait_for_length(&tree, "part", 4);
        drop(client);
        drop(stor);
        let mut client = login(&server);
        client.expect("EPSV", 229);
        drop(client);
        wait_until(&format!("round {round} gives its descriptors back"), || server.descriptors() <= before + 2);
    }
    drop(first);
}

#[test]
fn a_client_that_vanishes_is_told_of_in_both_logs() {
    let tree = Tree::new();
    for helpers in HELPERS {
        let transfers = tree.at(format!("transfers-{helpers}"));
        let server = serve(&tree, &["--helpers", helpers, "--transfer-log", transfers.to_str().unwrap()]);
        let mut client = login(&server);
        let name = format!("part-{helpers}");
        let stor = stalled_stor(&mut client, &name, b"half");
        wait_for_length(&tree, &name, 4);
        reset(client.stream().try_clone().unwrap());
        drop(client);
        server.wait_for_log(&format!("stored /{name}, 4 octets"));
        drop(stor);
        wait_until("the transfer log has it", || {
            let lines = std::fs::read_to_string(&transfers).unwrap();
            lines.contains(&format!("/{name} b _ i r u ftp 0 * i"))
        });
    }
}

#[test]
fn a_file_that_shrinks_is_not_complete() {
    for helpers in HELPERS {
        let tree = Tree::new();
        tree.sparse("big", MORE_THAN_BUFFERS).file("small", "x");
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        let mut data = stalled_retr(&mut client, "big");
        client.expect("NOOP", 200);
        OpenOptions::new().write(true).open(tree.at("big")).unwrap().set_len(1_000).unwrap();
        let mut octets = Vec::new();
        let end = data.read_to_end(&mut octets);
        assert_eq!(end.is_err(), data.is_tls(), "under TLS the end of half a file is not announced: {end:?}");
        let reply = client.read_reply();
        assert!([426, 451].contains(&reply.code), "{} octets and then {reply}", octets.len());
        assert_eq!(client.retrieve("small").0, b"x");
    }
}

#[test]
fn a_file_that_grows_is_sent_as_it_was() {
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS);
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let mut data = stalled_retr(&mut client, "big");
    OpenOptions::new().append(true).open(tree.at("big")).unwrap().write_all(&[1; 5_000]).unwrap();
    let octets = read_all(&mut data);
    assert_eq!((octets.len() as u64, client.read_reply().code), (MORE_THAN_BUFFERS, 226));
}

#[test]
fn a_full_disk_is_452_and_the_part_can_be_resumed() {
    let tree = Tree::new();
    let disk = tree.directory("disk").at("disk");
    let Some(_mounted) = Small::mount(&disk, "size=2m") else {
        crate::support::did_not_run(format_args!("did not run: this user may not mount a tmpfs"));
        return;
    };
    for (helpers, kind) in [("2", "I"), ("0", "I"), ("2", "A")] {
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        client.expect("CWD disk", 250);
        tree.file("disk/ballast", vec![1; 1_000_000]);
        // No CR and no LF: TYPE A changes nothing in it.
        let content: Vec<u8> = noise(1_800_000, 4).iter().map(|octet| octet | 0x40).collect();
        let allo = client.say("ALLO 1800000");
        assert_eq!(allo.code, 452, "{allo}");
        client.expect(format!("TYPE {kind}"), 200);
        let reply = client.store("up", &content);
        assert_eq!(reply.code, 452, "{helpers} helpers, TYPE {kind}: {reply}");
        let part = tree.read("disk/up").unwrap();
        assert!(!part.is_empty() && content.starts_with(&part), "{} octets are left of it", part.len());
        // The session is well, and what is left can be read.
        client.expect("TYPE I", 200);
        assert!(client.retrieve("up").0 == part);

        client.expect("DELE ballast", 250);
        let size: usize = client.expect("SIZE up", 213).text()[4..].parse().unwrap();
        assert_eq!(size, part.len());
        client.expect(format!("REST {size}"), 350);
        assert_eq!(client.store("up", &content[size..]).code, 226);
        assert!(tree.read("disk/up").unwrap() == content);
        client.expect("DELE up", 250);
    }
}
