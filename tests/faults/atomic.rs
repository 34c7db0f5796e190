//! `--atomic-uploads`: a file is seen when it is whole; until then, and where it never is, the old one stays as it is.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use rustix::process::Signal;

use super::{HELPERS, login, noise, serve, stalled_stor, wait_until};
use crate::support::{Client, Data, Server, Tree, of_the_tester, read_all, reset};

/// What the name of a temporary file begins with.
pub const BEGIN: &str = ".ferryd-upload-";

/// The temporary files in a directory of `tree`.
pub fn temporaries(tree: &Tree, directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(tree.at(directory)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(BEGIN)).collect()
}

/// Begins a STOR of `name` in the tree's root and waits until all of `begin` is in its temporary file.
pub fn begin_stor(tree: &Tree, client: &mut Client, name: &str, begin: &[u8]) -> (Data, PathBuf) {
    let before = temporaries(tree, ".");
    let data = stalled_stor(client, name, begin);
    let mut found = None;
    wait_until("the temporary file has what was sent", || {
        found = temporaries(tree, ".").into_iter().find(|path| !before.contains(path));
        found.as_ref().is_some_and(|path| fs::metadata(path).is_ok_and(|facts| facts.len() == begin.len() as u64))
    });
    (data, found.unwrap())
}

/// What must not change of an old file.
#[derive(Debug, PartialEq, Eq)]
struct State {
    content: Vec<u8>,
    inode: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

fn state(tree: &Tree, name: &str) -> State {
    let facts = fs::metadata(tree.at(name)).unwrap();
    State {
        content: tree.read(name).unwrap(),
        inode: facts.ino(),
        mode: facts.mode(),
        modified: (facts.mtime(), facts.mtime_nsec()),
        changed: (facts.ctime(), facts.ctime_nsec()),
    }
}

fn old_file() -> Tree {
    let tree = Tree::new();
    tree.file("f", "old").modified("f", 1_000_000_000);
    fs::set_permissions(tree.at("f"), fs::Permissions::from_mode(0o640)).unwrap();
    tree
}

#[test]
fn a_file_is_seen_when_it_is_whole() {
    for helpers in HELPERS {
        let tree = old_file();
        let before = state(&tree, "f");
        let server = serve(&tree, &["--atomic-uploads", "--helpers", helpers]);
        let (mut client, mut other) = (login(&server), login(&server));
        let (mut data, temporary) = begin_stor(&tree, &mut client, "f", b"new ");
        assert_eq!(state(&tree, "f"), before);
        assert_eq!(other.retrieve("f").0, b"old");
        for line in ["LIST -a", "NLST -a", "MLSD", "NLST *", "LIST .*"] {
            let text = other.list(line).0;
            assert!(!text.contains("ferryd-upload"), "{line}: {text}");
        }
        for line in ["STAT .", "STAT -a .", "STAT .*"] {
            assert!(!other.say(line).text().contains("ferryd-upload"), "{line}");
        }
        assert_eq!(other.list("NLST -a").0.matches("\r\n").count(), 3, "f, and . and .. alone");
        data.write_all(b"content").unwrap();
        assert!(client.silent_for(std::time::Duration::from_millis(30)));
        assert_eq!(state(&tree, "f"), before);
        data.finish().unwrap();
        assert_eq!(client.read_reply().code, 226);
        let after = state(&tree, "f");
        assert_eq!((after.content.as_slice(), after.mode), (&b"new content"[..], before.mode));
        assert_ne!(after.inode, before.inode);
        assert!(!temporary.exists() && temporaries(&tree, ".").is_empty());
        // A new one has the mode that the umask leaves.
        assert_eq!(client.store("g", b"").code, 226);
        assert_eq!(fs::metadata(tree.at("g")).unwrap().mode() & 0o7777, 0o644);
    }
}

#[test]
fn large_and_translated_files_arrive_whole() {
    let tree = old_file();
    let server = serve(&tree, &["--atomic-uploads"]);
    let mut client = login(&server);
    let content = noise(20_000_000, 1);
    assert_eq!(client.store("f", &content).code, 226);
    assert!(tree.read("f").unwrap() == content);
    client.expect("TYPE A", 200);
    // The last CR belongs to no CRLF, which only the end shows.
    assert_eq!(client.store("f", b"a\r\nb\r").code, 226);
    assert_eq!(tree.read("f").unwrap(), b"a\nb\r");
    assert!(temporaries(&tree, ".").is_empty());
}

/// Ends an upload before its end.
type Cut = fn(&Server, &mut Client, Data);

#[rustfmt::skip]
const CUTS: &[(&str, Cut)] = &[
    ("ABOR", |_, client, data| {
        client.expect("ABOR", 426);
        assert_eq!(client.read_reply().code, 226);
        drop(data);
    }),
    ("the data connection is reset", |_, client, data| {
        reset(data);
        assert_eq!(client.read_reply().code, 426);
    }),
    ("the control connection is reset", |_, client, data| {
        reset(client.stream().try_clone().unwrap());
        client.stream().shutdown(Shutdown::Both).unwrap();
        drop(data);
    }),
    // What the kernel does for a process that is killed: an end on both, the one that was opened first first.
    ("both connections end", |_, client, data| {
        client.stream().shutdown(Shutdown::Both).unwrap();
        drop(data);
    }),
    ("nothing moves for too long", |_, client, data| {
        assert_eq!(client.read_reply().code, 426);
        drop(data);
    }),
    ("the server is told to stop, twice", |server, client, data| {
        server.signal(Signal::TERM);
        wait_until("it stops", || server.log().contains("stopping"));
        server.signal(Signal::TERM);
        while client.try_read_reply().is_some() {}
        drop(data);
    }),
];

#[test]
fn one_that_is_cut_off_leaves_the_old_file_and_nothing_else() {
    for helpers in HELPERS {
        for (what, cut) in CUTS {
            for size in [4, 12_000_000] {
                let tree = old_file();
                let before = state(&tree, "f");
                let data_timeout = if what.contains("too long") { "1" } else { "1h" };
                let args = ["--atomic-uploads", "--helpers", helpers, "--data-timeout", data_timeout, "--grace", "1h"];
                let server = serve(&tree, &args);
                let mut client = login(&server);
                let (data, _) = begin_stor(&tree, &mut client, "f", &noise(size, 1));
                cut(&server, &mut client, data);
                wait_until(&format!("{what}: the temporary file goes"), || temporaries(&tree, ".").is_empty());
                server.wait_for_log(&format!("stored /f, {size} octets"));
                let log = server.log();
                assert!(log.contains(", incomplete"), "{what}, {helpers} helpers: {log}");
                assert_eq!(state(&tree, "f"), before, "{what}");
                if !what.contains("told to stop") {
                    assert_eq!(login(&server).store("f", b"new").code, 226);
                    assert_eq!(tree.read("f").unwrap(), b"new");
                }
            }
        }
    }
}

/// A server whose users may only store has to rename and to remove all the same, within its sandbox.
#[test]
fn who_may_store_and_do_nothing_else() {
    for rights in ["upload", "elw", "elraw"] {
        let tree = Tree::new();
        let user = format!("u:secret:{}:{rights}", tree.path().display());
        let server = Server::start(tree.path(), &["--user", &user, "--atomic-uploads"]);
        let mut client = Client::login(server.address(), "u", "secret");
        client.expect("TYPE I", 200);
        assert_eq!(client.store("f", b"whole").code, 226, "{rights}");
        assert_eq!(tree.read("f").unwrap(), b"whole");
        let mut data = client.epsv();
        client.expect("STOR g", 150);
        data.write_all(b"half").unwrap();
        wait_until("it is under way", || !temporaries(&tree, ".").is_empty());
        reset(data);
        assert_eq!(client.read_reply().code, 426, "{rights}");
        wait_until(&format!("{rights}: the temporary file goes"), || temporaries(&tree, ".").is_empty());
        assert!(tree.read("g").is_none(), "{rights}");
    }
}

#[test]
fn under_tls_only_an_end_that_was_said_makes_it_visible() {
    for helpers in HELPERS {
        let tree = old_file();
        let server = Server::start_tls(tree.path(), &["--user", "u:secret", "--atomic-uploads", "--helpers", helpers]);
        let before = state(&tree, "f");
        let mut client = Client::login_private(server.address(), "u", "secret");
        let (data, _) = begin_stor(&tree, &mut client, "f", b"new");
        // The connection ends as the one below does, less close_notify.
        drop(data.into_socket());
        assert_eq!(client.read_reply().code, 426);
        assert_eq!(state(&tree, "f"), before);
        wait_until("the temporary file goes", || temporaries(&tree, ".").is_empty());
        let (data, _) = begin_stor(&tree, &mut client, "f", b"new");
        data.finish().unwrap();
        assert_eq!(client.read_reply().code, 226);
        assert_eq!(tree.read("f").unwrap(), b"new");
    }
}

/// RFC 959 section 4.1.1: QUIT during a transfer waits for its end. That is a farewell, and no fault.
#[test]
fn a_client_that_says_quit_and_leaves_has_its_file() {
    let tree = old_file();
    let server = serve(&tree, &["--atomic-uploads"]);
    let mut client = login(&server);
    let (data, _) = begin_stor(&tree, &mut client, "f", b"new");
    client.expect("QUIT", 221);
    client.stream().shutdown(Shutdown::Write).unwrap();
    data.finish().unwrap();
    assert_eq!(client.read_reply().code, 226);
    assert_eq!(tree.read("f").unwrap(), b"new");
}

#[test]
fn what_came_meanwhile_is_not_replaced_where_only_new_files_may_be_made() {
    for helpers in HELPERS {
        let tree = Tree::new();
        let drop_box = format!("box:secret:{}:upload", tree.path().display());
        let server = serve(&tree, &["--user", &drop_box, "--atomic-uploads", "--helpers", helpers]);
        let mut client = Client::login(server.address(), "box", "secret");
        client.expect("TYPE I", 200);
        let (data, _) = begin_stor(&tree, &mut client, "f", b"mine");
        tree.file("f", "theirs");
        data.finish().unwrap();
        let reply = client.read_reply();
        assert!(reply.code == 550 && reply.text().contains("exists"), "{reply}");
        assert_eq!(tree.read("f").unwrap(), b"theirs");
        wait_until("the temporary file goes", || temporaries(&tree, ".").is_empty());
        assert_eq!(client.store("f", b"mine").code, 550);
        assert_eq!(client.store("g", b"mine").code, 226);

        let mut data = client.epsv();
        let opening = client.expect("STOU", 150).text();
        data.write_all(b"unique").unwrap();
        data.finish().unwrap();
        assert_eq!(client.read_reply().code, 226);
        assert_eq!(tree.read(opening.strip_prefix("150 FILE: ").unwrap()).unwrap(), b"unique");
    }
}

#[test]
fn of_two_at_once_the_last_one_stays_and_both_are_whole() {
    let tree = old_file();
    let server = serve(&tree, &["--atomic-uploads"]);
    let (mut one, mut two) = (login(&server), login(&server));
    let (contents_one, contents_two) = (noise(300_000, 1), noise(200_000, 2));
    let (mut data_one, _) = begin_stor(&tree, &mut one, "f", &contents_one[..1_000]);
    let (mut data_two, _) = begin_stor(&tree, &mut two, "f", &contents_two[..1_000]);
    for (data, client, contents) in [(&mut data_two, &mut two, &contents_two), (&mut data_one, &mut one, &contents_one)]
    {
        data.write_all(&contents[1_000..]).unwrap();
        data.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read_reply().code, 226);
        assert!(tree.read("f").unwrap() == *contents);
    }
    assert!(temporaries(&tree, ".").is_empty());
}

#[test]
fn rest_and_appe_go_on_in_place() {
    let tree = old_file();
    let inode = state(&tree, "f").inode;
    let server = serve(&tree, &["--atomic-uploads"]);
    let mut client = login(&server);
    client.expect("REST 3", 350);
    assert_eq!(client.store("f", b"er").code, 226);
    assert_eq!(client.put(b"APPE f", b" and older").code, 226);
    let after = state(&tree, "f");
    assert_eq!((after.content.as_slice(), after.inode), (&b"older and older"[..], inode));
    assert_eq!(client.put(b"APPE new", b"x").code, 226);
    assert_eq!(tree.read("new").unwrap(), b"x");
    // What was cut off is not there to be resumed: SIZE is that of the old file.
    let (data, _) = begin_stor(&tree, &mut client, "f", &noise(100_000, 1));
    client.expect("ABOR", 426);
    client.read_reply();
    drop(data);
    assert_eq!(client.expect("SIZE f", 213).text(), "213 15");
}

#[test]
fn what_is_refused_in_place_is_refused() {
    let tree = old_file();
    tree.directory("d").fifo("fifo").link("nowhere", "absent").link("loop", "loop");
    let server = serve(&tree, &["--atomic-uploads"]);
    let mut client = login(&server);
    for (name, code) in [("d", 550), ("fifo", 550), ("nowhere", 550), ("loop", 550), ("absent/f", 550), ("f/", 550)] {
        assert_eq!(client.store(name, b"x").code, code, "{name}");
    }
    assert!(tree.at("nowhere").is_symlink() && !tree.at("absent").exists() && temporaries(&tree, ".").is_empty());
    // A directory that comes in the way only shows at the end.
    let (data, _) = begin_stor(&tree, &mut client, "late", b"x");
    client.stream();
    tree.directory("late");
    data.finish().unwrap();
    assert_eq!(client.read_reply().code, 550);
    wait_until("the temporary file goes", || temporaries(&tree, ".").is_empty());
}

#[test]
fn a_link_stays_one_and_what_is_behind_it_is_replaced() {
    // In memory, names are looked up in another way.
    let places = [Tree::new as fn() -> Tree, Tree::new_in_memory];
    for (helpers, place) in HELPERS.into_iter().flat_map(|helpers| places.map(|place| (helpers, place))) {
        let tree = place();
        tree.file("d/real", "old").link("link", "d/real").link("d/absolute", "/d/real").link("two", "link");
        for target in ["link", "d/absolute", "two"] {
            let server = serve(&tree, &["--atomic-uploads", "--helpers", helpers]);
            let inode = state(&tree, "d/real").inode;
            assert_eq!(login(&server).store(target, target.as_bytes()).code, 226);
            assert!(tree.at("link").is_symlink() && tree.at("two").is_symlink() && tree.at("d/absolute").is_symlink());
            let after = state(&tree, "d/real");
            assert_eq!(after.content, target.as_bytes());
            assert_ne!(after.inode, inode);
        }
        let server = serve(&tree, &["--atomic-uploads", "--symlinks", "none", "--helpers", helpers]);
        assert_eq!(login(&server).store("link", b"x").code, 550);
    }
}

#[test]
fn the_owner_and_the_group_of_the_old_file_are_kept() {
    if !rustix::process::geteuid().is_root() {
        return super::cannot("only root may give files away");
    }
    let tree = old_file();
    chown(tree.at("f"), Some(1234), Some(5678)).unwrap();
    let server = serve(&tree, &[&["--atomic-uploads"], of_the_tester()].concat());
    assert_eq!(login(&server).store("f", b"new").code, 226);
    let facts = fs::metadata(tree.at("f")).unwrap();
    assert_eq!((facts.uid(), facts.gid(), facts.mode() & 0o7777), (1234, 5678, 0o640));
}

/// What was trusted to run as somebody else was the old content.
#[test]
fn no_setuid_bit_is_handed_on() {
    let tree = old_file();
    let server = serve(&tree, &[&["--atomic-uploads"], of_the_tester()].concat());
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    chown(tree.at("f"), Some(uid), Some(gid)).unwrap();
    fs::set_permissions(tree.at("f"), fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(login(&server).store("f", b"new").code, 226);
    assert_eq!(fs::metadata(tree.at("f")).unwrap().mode() & 0o7777, 0o755);
}

/// Who may not give files away still gives them to his own group.
#[test]
fn the_group_of_the_old_file_is_kept_where_its_owner_cannot_be() {
    if !rustix::process::geteuid().is_root() {
        return super::cannot("only root makes files of others");
    }
    let tree = old_file();
    let own = fs::metadata(tree.path()).unwrap();
    // What is made here gets the group of the directory.
    chown(tree.path(), None, Some(5678)).unwrap();
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o2777)).unwrap();
    let server = serve(&tree, &["--atomic-uploads"]);
    for uid in [1234, own.uid()] {
        chown(tree.at("f"), Some(uid), Some(own.gid())).unwrap();
        fs::set_permissions(tree.at("f"), fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(login(&server).store("f", b"new").code, 226);
        let facts = fs::metadata(tree.at("f")).unwrap();
        assert_eq!((facts.uid(), facts.gid()), (own.uid(), own.gid()), "of {uid}");
    }
}

#[test]
fn a_download_goes_on_with_the_file_that_was_replaced() {
    let tree = Tree::new();
    let old = noise(30_000_000, 7);
    tree.file("f", &old);
    let server = serve(&tree, &["--atomic-uploads"]);
    let (mut client, mut other) = (login(&server), login(&server));
    let mut data = super::stalled_retr(&mut other, "f");
    assert_eq!(client.store("f", b"new").code, 226);
    assert!(read_all(&mut data) == old);
    assert_eq!(other.read_reply().code, 226);
    assert_eq!(other.retrieve("f").0, b"new");
}
