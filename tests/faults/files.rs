//! Files and directories that change under those who use them: what is said of them is true.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};

use super::{HELPERS, MORE_THAN_BUFFERS, login, noise, serve, stalled_retr};
use crate::support::{Client, Server, Tree, read_all};

/// The number of octets that 150 promises.
fn promised(reply: &crate::support::Reply) -> u64 {
    let text = reply.text();
    text.split("; ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|number| number.parse().ok()).unwrap()
}

#[test]
fn a_file_that_is_truncated_during_retr_is_not_said_to_be_complete() {
    for helpers in HELPERS {
        // What is left of it: nothing, less than was sent, more than was sent.
        for left in [0, 1_000, MORE_THAN_BUFFERS - 1] {
            let tree = Tree::new();
            tree.sparse("f", MORE_THAN_BUFFERS).file("small", "x");
            let server = serve(&tree, &["--helpers", helpers]);
            let mut client = login(&server);
            let mut data = client.epsv();
            let opening = client.expect("RETR f", 150);
            assert_eq!(promised(&opening), MORE_THAN_BUFFERS);
            data.await_octets();
            OpenOptions::new().write(true).open(tree.at("f")).unwrap().set_len(left).unwrap();
            let octets = read_all(&mut data).len() as u64;
            let reply = client.read_reply();
            assert!(octets < MORE_THAN_BUFFERS, "{octets} octets came of a file that ends at {left}");
            assert!(reply.code == 451 && reply.text().contains("shorter"), "{octets} octets, and then {reply}");
            assert!(server.wait_for_log("retrieved /f, ").contains(&format!("/f, {octets} octets")));
            assert!(server.log().contains(", incomplete"));
            assert_eq!(client.retrieve("small").0, b"x");
        }
    }
}

#[test]
fn a_file_that_is_deleted_or_replaced_during_retr_is_sent_as_it_was() {
    type Change = fn(&Tree, &mut Client);
    #[rustfmt::skip]
    let changes: [(&str, Change); 5] = [
        ("deleted", |tree, _| fs::remove_file(tree.at("f")).unwrap()),
        ("deleted by another session", |_, other| drop(other.expect("DELE f", 250))),
        ("replaced by a rename", |tree, _| {
            tree.file("g", "new");
            fs::rename(tree.at("g"), tree.at("f")).unwrap();
        }),
        ("replaced by a directory", |tree, _| {
            fs::remove_file(tree.at("f")).unwrap();
            tree.directory("f");
        }),
        ("renamed by another session", |_, other| {
            other.expect("RNFR f", 350);
            other.expect("RNTO h", 250);
        }),
    ];
    let content = noise(30_000_000, 9);
    for helpers in HELPERS {
        for (what, change) in changes {
            let tree = Tree::new();
            tree.file("f", &content);
            let server = serve(&tree, &["--helpers", helpers]);
            let (mut client, mut other) = (login(&server), login(&server));
            let mut data = stalled_retr(&mut client, "f");
            change(&tree, &mut other);
            assert!(read_all(&mut data) == content, "{what}");
            assert_eq!(client.read_reply().code, 226, "{what}");
        }
    }
}

#[test]
fn a_file_that_is_deleted_before_the_data_connection_is_there_is_sent_all_the_same() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let reply = client.expect("EPSV", 229);
    client.expect("RETR f", 150);
    fs::remove_file(tree.at("f")).unwrap();
    let mut data = client.dial(client.epsv_address(&reply));
    assert_eq!(read_all(&mut data), b"content");
    assert_eq!(client.read_reply().code, 226);
}

#[test]
fn an_upload_whose_name_is_deleted_meanwhile_goes_on() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let mut data = super::stalled_stor(&mut client, "f", b"some");
    super::wait_for_length(&tree, "f", 4);
    let mut file = fs::File::open(tree.at("f")).unwrap();
    fs::remove_file(tree.at("f")).unwrap();
    data.write_all(b" more").unwrap();
    data.finish().unwrap();
    // All octets are in the file, which has no name any more: that is the deed of whoever deleted it.
    assert_eq!(client.read_reply().code, 226);
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert_eq!(content, b"some more");
}

#[test]
fn a_directory_that_is_removed_under_a_session() {
    for helpers in HELPERS {
        let tree = Tree::new();
        tree.file("d/e/f", "x").file("g", "y");
        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        client.expect("CWD d/e", 250);
        fs::remove_dir_all(tree.at("d")).unwrap();
        // The name is what it was; there is nothing behind it.
        assert_eq!(client.expect("PWD", 257).text(), "257 \"/d/e\" is the working directory.");
        for line in ["CWD .", "CWD f", "SIZE f", "MDTM f", "MLST", "DELE f", "MKD x", "RMD x", "RNFR f", "ALLO 1"] {
            let reply = client.say(line);
            assert!(reply.code == 550 && reply.text().contains("No such file or directory"), "{line}: {reply}");
        }
        for line in ["LIST", "NLST", "MLSD", "RETR f", "STOR f", "APPE f", "STOU"] {
            client.expect("EPSV", 229);
            let reply = client.say(line);
            assert!(reply.code == 550 && reply.text().contains("No such file or directory"), "{line}: {reply}");
        }
        let reply = client.say("STAT .");
        assert!(reply.code == 550 || reply.text().contains("No such"), "{reply}");
        // Out of it by name: its parent is gone as well, and the next one is there.
        assert_eq!(client.say("CDUP").code, 550);
        client.expect("CWD /", 250);
        assert_eq!(client.retrieve("g").0, b"y");
        // Another one of that name is as good as any.
        client.expect("MKD d", 257);
        client.expect("CWD d", 250);
        assert_eq!(client.store("f", b"z").code, 226);
        assert_eq!(tree.read("d/f").unwrap(), b"z");
    }
}

#[test]
fn a_directory_that_is_removed_while_it_is_listed() {
    let tree = Tree::new();
    for number in 0..20_000 {
        tree.file(format!("d/a name that takes some room in a listing, so that it does not end at once {number}"), "");
    }
    let server = serve(&tree, &[]);
    let (mut client, mut other) = (login(&server), login(&server));
    for line in ["LIST d", "MLSD d"] {
        let mut data = client.epsv();
        client.expect(line, 150);
        data.await_octets();
        if line.starts_with("MLSD") {
            fs::remove_dir_all(tree.at("d")).unwrap();
        }
        other.expect("NOOP", 200);
        let text = String::from_utf8(read_all(&mut data)).unwrap();
        assert!(
            text.ends_with("\r\n")
                && text.lines().all(|line| line.contains("a name that takes") || line.contains("dir;"))
        );
        assert_eq!(client.read_reply().code, 226, "{line}");
    }
}

#[test]
fn a_root_that_is_removed_or_moved_under_a_session() {
    for helpers in HELPERS {
        let tree = Tree::new();
        tree.file("root/f", "x");
        let user = format!("r:secret:{}", tree.at("root").display());
        let args = ["--user", "u:secret", "--user", &user, "--helpers", helpers];
        let server = Server::start(tree.path(), &args);
        let login = || {
            let mut client = Client::connect(server.address());
            client.expect("USER r", 331);
            let verdict = client.say("PASS secret");
            (client, verdict)
        };
        let (mut client, verdict) = login();
        assert_eq!(verdict.code, 230);
        client.expect("TYPE I", 200);
        fs::rename(tree.at("root"), tree.at("moved")).unwrap();
        assert_eq!(client.retrieve("f").0, b"x", "the root is a directory, and no name");
        // Whoever comes now is not let in anywhere else.
        let (_, verdict) = login();
        assert_eq!(verdict.code, 530);
        server.wait_for_log("cannot be opened");
        fs::remove_dir_all(tree.at("moved")).unwrap();
        for line in ["SIZE f", "MKD d", "DELE f"] {
            client.expect(line, 550);
        }
        assert_eq!(client.store("f", b"x").code, 550);
        let (text, reply) = client.list("LIST");
        assert!(text.is_empty() && [226, 550].contains(&reply.code), "{text:?} {reply}");
        client.expect("NOOP", 200);
        tree.file("root/f", "new");
        let (mut client, verdict) = login();
        assert_eq!(verdict.code, 230);
        client.expect("TYPE I", 200);
        assert_eq!(client.retrieve("f").0, b"new");
    }
}
