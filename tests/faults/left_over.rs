//! `--atomic-uploads`: what the end of a server leaves behind is removed, and nothing else is.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::atomic::{begin_stor, temporaries};
use super::{HELPERS, login, serve, wait_until};
use crate::support::{Tree, of_the_tester};

/// Makes a file look as if nobody had written to it for a minute.
fn age(path: &Path) {
    let time = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().write(true).open(path).and_then(|file| file.set_modified(time)).unwrap();
}

#[test]
fn what_a_killed_server_leaves_is_swept() {
    for (helpers, line) in HELPERS.into_iter().flat_map(|helpers| ["LIST", "MLSD", "STOR"].map(|line| (helpers, line)))
    {
        let tree = Tree::new();
        tree.file("f", "old");
        let inode = fs::metadata(tree.at("f")).unwrap().ino();
        let mut server = serve(&tree, &["--atomic-uploads", "--helpers", helpers]);
        let mut client = login(&server);
        let (_data, temporary) = begin_stor(&tree, &mut client, "f", b"half of the n");
        server.signal(Signal::KILL);
        server.wait();
        assert_eq!(fs::read(&temporary).unwrap(), b"half of the n");
        assert_eq!((tree.read("f").unwrap(), fs::metadata(tree.at("f")).unwrap().ino()), (b"old".to_vec(), inode));

        let server = serve(&tree, &["--atomic-uploads", "--helpers", helpers]);
        let mut client = login(&server);
        // A young one may be somebody's who has not locked it yet.
        assert!(!client.list("NLST -a").0.contains("upload"));
        assert!(temporary.exists());
        age(&temporary);
        match line {
            "STOR" => assert_eq!(client.store("g", b"x").code, 226),
            line => assert!(!client.list(line).0.contains("upload")),
        }
        wait_until("the left-over goes", || !temporary.exists());
        server.wait_for_log("removed .ferryd-upload-");
        assert_eq!(tree.read("f").unwrap(), b"old");
    }
}

/// The new file is the old one's owner's only when it is whole: who was killed before still finds it.
#[test]
fn what_would_have_been_another_users_is_swept() {
    if !rustix::process::geteuid().is_root() {
        return super::cannot("only root may give files away");
    }
    let tree = Tree::new();
    tree.file("f", "old");
    chown(tree.at("f"), Some(1234), Some(5678)).unwrap();
    let options = [&["--atomic-uploads"], of_the_tester()].concat();
    let mut server = serve(&tree, &options);
    let (_data, temporary) = begin_stor(&tree, &mut login(&server), "f", b"half of the n");
    server.signal(Signal::KILL);
    server.wait();
    age(&temporary);
    let server = serve(&tree, &options);
    login(&server).list("LIST");
    wait_until("the left-over goes", || !temporary.exists());
}

#[test]
fn what_another_server_works_on_is_not_swept() {
    let tree = Tree::new();
    tree.file("f", "old");
    let (one, two) = (serve(&tree, &["--atomic-uploads"]), serve(&tree, &["--atomic-uploads"]));
    let (mut client, mut other) = (login(&one), login(&two));
    let (data, temporary) = begin_stor(&tree, &mut client, "f", b"new");
    age(&temporary);
    for line in ["LIST", "MLSD"] {
        assert!(!other.list(line).0.contains("upload"));
    }
    assert_eq!(other.store("g", b"x").code, 226);
    // Neither does the server that works on it itself.
    let mut third = login(&one);
    third.list("LIST");
    assert!(temporary.exists());
    data.finish().unwrap();
    assert_eq!(client.read_reply().code, 226);
    assert_eq!(tree.read("f").unwrap(), b"new");
}

#[test]
fn what_is_not_of_this_server_is_not_swept() {
    let tree = Tree::new();
    let others = [
        ".ferryd-upload-short~",
        ".ferryd-upload-abcdefghijklmnop",
        ".ferryd-upload-abcdefghijklmn.p~",
        "ferryd-upload-abcdefghijklmnop~",
        ".ferryd-upload-abcdefghijklmnopq~",
    ];
    for name in others {
        tree.file(name, "mine").modified(name, 1_000_000_000);
    }
    let directory = ".ferryd-upload-directoryyyyyyyy~";
    let link = ".ferryd-upload-linklinklinklink~";
    let foreign = ".ferryd-upload-foreignforeign77~";
    tree.directory(directory).link(link, others[0]);
    tree.file(foreign, "theirs").modified(foreign, 1_000_000_000);
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(tree.at(foreign), Some(1234), None).unwrap();
    }
    let server = serve(&tree, &["--atomic-uploads"]);
    let mut client = login(&server);
    assert_eq!(client.store("f", b"x").code, 226);
    let listed = client.list("NLST -a").0;
    for name in others {
        assert!(listed.contains(name) && tree.at(name).exists(), "{name}: {listed}");
        assert_eq!(client.retrieve(name).0, b"mine");
    }
    assert!(tree.at(directory).exists() && tree.at(link).is_symlink());
    assert_eq!(tree.at(foreign).exists(), is_root, "it is another user's only where root could give it away");
    assert!(temporaries(&tree, ".").len() >= 4);
}
