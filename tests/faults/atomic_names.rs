//! `--atomic-uploads`: the name of a temporary file is nobody's, and names change around an upload.

use std::fs;

use super::atomic::{begin_stor, temporaries};
use super::{HELPERS, login, serve, wait_until};
use crate::support::Tree;

#[test]
fn the_temporary_file_cannot_be_reached() {
    for helpers in HELPERS {
        let tree = Tree::new();
        tree.file("f", "old").directory("d");
        let server = serve(&tree, &["--atomic-uploads", "--helpers", helpers]);
        let (mut client, mut other) = (login(&server), login(&server));
        let (data, temporary) = begin_stor(&tree, &mut client, "f", b"secret");
        let name = temporary.file_name().unwrap().to_str().unwrap().to_owned();
        // A link that somebody else has made leads nowhere as well.
        for name in [name.clone(), format!("/{name}"), format!("d/../{name}"), name.to_uppercase()] {
            for verb in
                ["SIZE", "MDTM", "MLST", "RNFR", "DELE", "RMD", "CWD", "MKD", "SITE CHMOD 777", "MFMT 20200101000000"]
            {
                let reply = other.say(format!("{verb} {name}"));
                assert_eq!(reply.code, 550, "{verb} {name}: {reply}");
            }
            for verb in ["RETR", "STOR", "APPE", "MLSD"] {
                other.epsv();
                let reply = other.say(format!("{verb} {name}"));
                assert_eq!(reply.code, 550, "{verb} {name}: {reply}");
            }
            for verb in ["LIST", "NLST", "STAT"] {
                let text = match verb {
                    "STAT" => other.say(format!("STAT {name}")).text(),
                    _ => other.list(format!("{verb} {name}")).0,
                };
                assert!(!text.contains("rw-"), "{verb} {name}: {text}");
            }
        }
        other.expect("RNFR f", 350);
        other.expect(format!("RNTO {name}"), 550);
        assert_eq!(fs::read(&temporary).unwrap(), b"secret");
        data.finish().unwrap();
        assert_eq!(client.read_reply().code, 226);
        assert_eq!(tree.read("f").unwrap(), b"secret");
    }
}

#[test]
fn without_the_option_such_a_name_is_like_any_other() {
    let tree = Tree::new();
    let name = ".ferryd-upload-abcdefghijklmnop~";
    tree.file(name, "mine").modified(name, 1_000_000_000);
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    assert!(client.list("LIST -a").0.contains(name));
    assert_eq!(client.retrieve(name).0, b"mine");
    assert_eq!(client.store("f", b"x").code, 226);
    assert_eq!(client.store(name, b"new").code, 226);
    assert_eq!(tree.read(name).unwrap(), b"new");
}

#[test]
fn the_target_may_be_deleted_and_renamed_meanwhile() {
    let tree = Tree::new();
    tree.file("f", "old").file("g", "old g");
    let server = serve(&tree, &["--atomic-uploads"]);
    let (mut client, mut other) = (login(&server), login(&server));
    let (data, _) = begin_stor(&tree, &mut client, "f", b"new");
    other.expect("DELE f", 250);
    assert!(tree.read("f").is_none());
    data.finish().unwrap();
    assert_eq!(client.read_reply().code, 226);
    assert_eq!(tree.read("f").unwrap(), b"new");

    let (data, _) = begin_stor(&tree, &mut client, "g", b"new g");
    other.expect("RNFR g", 350);
    other.expect("RNTO h", 250);
    data.finish().unwrap();
    assert_eq!(client.read_reply().code, 226);
    assert_eq!((tree.read("g").unwrap(), tree.read("h").unwrap()), (b"new g".to_vec(), b"old g".to_vec()));
}

#[test]
fn the_directory_may_be_renamed_and_not_removed_meanwhile() {
    let tree = Tree::new();
    tree.directory("d");
    let server = serve(&tree, &["--atomic-uploads"]);
    let (mut client, mut other) = (login(&server), login(&server));
    let mut begin = |name: &str| {
        let data = super::stalled_stor(&mut client, name, b"new");
        wait_until("the temporary file is there", || {
            temporaries(&tree, name.split('/').next().unwrap())
                .first()
                .is_some_and(|path| fs::metadata(path).is_ok_and(|facts| facts.len() == 3))
        });
        data
    };
    let data = begin("d/f");
    other.expect("RMD d", 550);
    other.expect("RNFR d", 350);
    other.expect("RNTO e", 250);
    data.finish().unwrap();
    wait_until("the file is there", || tree.read("e/f").is_some_and(|content| content == b"new"));
    assert!(temporaries(&tree, "e").is_empty());
    assert_eq!(client.read_reply().code, 226);

    // Somebody else removes it with all that is in it.
    tree.directory("d");
    let mut data = super::stalled_stor(&mut client, "d/f", b"new");
    wait_until("the temporary file is there", || !temporaries(&tree, "d").is_empty());
    fs::remove_dir_all(tree.at("d")).unwrap();
    std::io::Write::write_all(&mut data, b"er").unwrap();
    data.finish().unwrap();
    assert_eq!(client.read_reply().code, 550);
    client.expect("NOOP", 200);
}
