//! Disks that are full, broken or slow: 452, 552 or 451 with a reason, and nobody else notices.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::atomic::temporaries;
use super::{HELPERS, login, noise, serve, wait_until};
use crate::disk::Disk;
use crate::support::{Client, Server, Small, Tree, of_the_tester, read_all};

/// A small file system of its own.
fn small<'a>(at: &'a Path, options: &str) -> Option<Small<'a>> {
    let mounted = Small::mount(at, options);
    if mounted.is_none() {
        super::cannot("this user may not mount a tmpfs");
    }
    mounted
}

#[test]
fn a_full_disk_harms_nobody_else_and_works_again_when_there_is_room() {
    let tree = Tree::new();
    let disk = tree.directory("disk").file("g", "at hand").at("disk");
    let Some(small) = small(&disk, "size=4m") else { return };
    for (helpers, atomic) in HELPERS.into_iter().flat_map(|helpers| [(helpers, false), (helpers, true)]) {
        let option: &[&str] = if atomic { &["--atomic-uploads"] } else { &[] };
        let server = serve(&tree, &[option, &["--helpers", helpers]].concat());
        tree.file("disk/ballast", vec![1; 2_000_000]).file("disk/f", "old");
        let free = small.free();
        let (mut client, mut reader, mut writer) = (login(&server), login(&server), login(&server));
        // Another one has begun, and needs no more than what is his already.
        tree.file("disk/other", vec![2; 100_000]);
        let mut download = reader.epsv();
        reader.expect("RETR disk/other", 150);
        for _ in 0..3 {
            let reply = client.store("disk/f", &noise(3_000_000, 1));
            assert!(reply.code == 452 && reply.text().contains("No space left"), "{reply}");
            client.expect("NOOP", 200);
            assert_eq!(writer.store("elsewhere", b"fine").code, 226);
        }
        assert_eq!(read_all(&mut download), vec![2; 100_000]);
        assert_eq!(reader.read_reply().code, 226);
        client.expect("DELE disk/other", 250);
        if atomic {
            assert_eq!(tree.read("disk/f").unwrap(), b"old");
            wait_until("all room is given back", || small.free() == free);
            assert!(temporaries(&tree, "disk").is_empty());
        } else {
            let part = tree.read("disk/f").unwrap();
            assert!(!part.is_empty() && noise(3_000_000, 1).starts_with(&part));
        }
        client.expect("DELE disk/ballast", 250);
        assert_eq!(client.store("disk/f", &noise(3_000_000, 1)).code, 226);
        assert!(tree.read("disk/f").unwrap() == noise(3_000_000, 1));
        client.expect("DELE disk/f", 250);
    }
}

#[test]
fn a_disk_without_room_for_names_is_452_too() {
    let tree = Tree::new();
    let disk = tree.directory("disk").at("disk");
    let Some(_small) = small(&disk, "size=4m,nr_inodes=8") else { return };
    let mut names = 0;
    while std::fs::write(disk.join(names.to_string()), "").is_ok() {
        names += 1;
    }
    for option in [&[][..], &["--atomic-uploads"]] {
        let server = serve(&tree, &[option, of_the_tester()].concat());
        let mut client = login(&server);
        for line in ["STOR disk/f", "STOR disk/0", "APPE disk/f"] {
            let in_place = option.is_empty() && line == "STOR disk/0";
            let reply = client.put(line.as_bytes(), b"x");
            assert_eq!(reply.code, if in_place { 226 } else { 452 }, "{line} {option:?}: {reply}");
        }
        client.expect("MKD disk/d", 452);
        client.expect("DELE disk/1", 250);
        assert_eq!(client.store("disk/1", b"x").code, 226);
    }
}

#[test]
fn a_file_that_grows_too_large_is_552() {
    for option in [&[][..], &["--atomic-uploads"]] {
        let tree = Tree::new();
        tree.file("f", "old");
        let server = serve(&tree, &[option, of_the_tester()].concat());
        let mut client = login(&server);
        let limit = Rlimit { current: Some(1_000_000), maximum: Some(1_000_000) };
        prlimit(Pid::from_raw(server.pid() as i32), Resource::Fsize, limit).unwrap();
        let reply = client.store("f", &noise(3_000_000, 1));
        assert_eq!(reply.code, 552, "{reply}");
        let left = tree.read("f").unwrap();
        assert!(if option.is_empty() { left.len() == 1_000_000 } else { left == b"old" }, "{} octets", left.len());
        assert_eq!(client.store("f", b"less").code, 226);
        // The CR that ends a text, and that might have been the first half of a line's end, is an octet too many.
        client.expect("TYPE A", 200);
        let text = [vec![b'x'; 1_000_000], b"\r".to_vec()].concat();
        let reply = client.store("text", &text);
        assert_eq!(reply.code, 552, "{reply}");
    }
}

/// A tree with a disk at `disk` that does as it is told, and a server over it.
fn broken(args: &[&str]) -> Option<(Tree, Server, Disk)> {
    let tree = Tree::new();
    tree.directory("disk").file("local", "at hand");
    let disk = Disk::mount(&tree.at("disk"))?;
    let server = serve(&tree, args);
    Some((tree, server, disk))
}

#[test]
fn an_error_of_the_disk_is_told_with_a_reason() {
    for helpers in HELPERS {
        let Some((_tree, server, mut disk)) = broken(&["--helpers", helpers]) else { return };
        let (mut client, mut other) = (login(&server), login(&server));
        #[rustfmt::skip]
        let cases: [(&str, &str, &str, u16, &str); 16] = [
            ("getattr", "EIO",     "SIZE disk/f",               451, "nput/output error"),
            ("getattr", "EIO",     "CWD disk",                  451, "nput/output error"),
            ("getattr", "EACCES",  "MDTM disk/f",               550, "ermission denied"),
            ("mkdir",   "ENOSPC",  "MKD disk/d",                452, "No space left"),
            ("mkdir",   "EDQUOT",  "MKD disk/d",                452, "No space left"),
            ("mkdir",   "EROFS",   "MKD disk/d",                550, "Read-only"),
            ("unlink",  "EIO",     "DELE disk/g",               451, "nput/output error"),
            ("unlink",  "EBUSY",   "DELE disk/g",               450, "busy"),
            ("chmod",   "EIO",     "SITE CHMOD 600 disk/f",     451, "nput/output error"),
            ("open",    "EIO",     "RETR disk/f",               451, "nput/output error"),
            ("open",    "ENOMEM",  "RETR disk/f",               451, "Out of resources"),
            ("open",    "EMFILE",  "RETR disk/f",               451, "Out of resources"),
            ("read",    "EIO",     "RETR disk/f",               451, "nput/output error"),
            ("opendir", "EIO",     "LIST disk",                 451, "nput/output error"),
            ("readdir", "EIO",     "MLSD disk",                 451, "nput/output error"),
            ("readdir", "ENOMEM",  "NLST disk",                 451, "Out of resources"),
        ];
        for (operation, errno, line, code, reason) in cases {
            disk.fail(operation, errno);
            let transfer = ["RETR", "LIST", "MLSD", "NLST"].contains(&&line[..4]);
            let reply = if transfer { client.list(line).1 } else { client.say(line) };
            assert!(reply.code == code && reply.text().contains(reason), "{operation} {errno}, {line}: {reply}");
            other.expect("NOOP", 200);
            assert_eq!(other.retrieve("local").0, b"at hand");
            disk.free();
        }
        assert_eq!(client.retrieve("disk/f").1.code, 226);
        assert!(client.list("LIST disk").0.lines().count() == 2);
    }
}

#[test]
fn an_upload_that_meets_an_error_is_not_said_to_be_there() {
    #[rustfmt::skip]
    let cases = [
        ("create", "EIO", 451), ("create", "ENOSPC", 452), ("write", "EIO", 451), ("write", "ENOSPC", 452),
        ("write", "EDQUOT", 452), ("write", "EFBIG", 552), ("fsync", "EIO", 451), ("fsync", "EDQUOT", 452),
    ];
    for (helpers, atomic) in HELPERS.into_iter().flat_map(|helpers| [(helpers, false), (helpers, true)]) {
        let option: &[&str] = if atomic { &["--atomic-uploads"] } else { &[] };
        let Some((tree, server, mut disk)) = broken(&[option, &["--helpers", helpers]].concat()) else { return };
        let mut client = login(&server);
        assert_eq!(client.store("disk/old", b"old").code, 226);
        let renaming: &[(&str, &str, u16)] =
            if atomic { &[("rename", "EIO", 451), ("rename", "EACCES", 550)] } else { &[] };
        for (operation, errno, code) in cases.iter().chain(renaming) {
            let name = if *operation == "create" && !atomic { "disk/new" } else { "disk/old" };
            disk.fail(operation, errno);
            let reply = client.store(name, &noise(400_000, 3));
            assert_eq!(reply.code, *code, "{operation} {errno}, {option:?}: {reply}");
            disk.free();
            if atomic {
                assert_eq!(client.retrieve("disk/old").0, b"old", "{operation} {errno}");
                wait_until("nothing is left of it", || temporaries(&tree, "disk").is_empty());
            }
        }
        assert_eq!(client.store("disk/old", b"new").code, 226);
        assert_eq!(client.store("disk/new", b"new").code, 226);
        assert_eq!(client.retrieve("disk/old").0, b"new");
    }
}

/// FUSE has no O_TMPFILE and this one no RENAME_NOREPLACE.
#[test]
fn atomic_uploads_need_nothing_special_of_a_file_system() {
    for helpers in HELPERS {
        let Some((tree, server, _disk)) = broken(&["--atomic-uploads", "--helpers", helpers]) else { return };
        let mut client = login(&server);
        let content = noise(500_000, 4);
        assert_eq!(client.store("disk/f", &content).code, 226);
        assert!(client.retrieve("disk/f").0 == content);
        let mut data = client.epsv();
        client.expect("CWD disk", 250);
        let opening = client.expect("STOU", 150).text();
        data.write_all(b"unique").unwrap();
        data.finish().unwrap();
        assert_eq!(client.read_reply().code, 226);
        assert_eq!(client.retrieve(opening.strip_prefix("150 FILE: ").unwrap()).0, b"unique");
        assert!(temporaries(&tree, "disk").is_empty());
    }
}

#[test]
fn an_upload_that_is_cut_off_on_a_disk_that_stands_still_is_removed_by_nobody_who_is_needed() {
    let Some((tree, server, mut disk)) = broken(&["--atomic-uploads"]) else { return };
    let (mut client, mut other) = (login(&server), login(&server));
    assert_eq!(client.store("disk/f", b"old").code, 226);
    other.retrieve("local");
    let mut data = client.epsv();
    client.expect("STOR disk/f", 150);
    data.write_all(b"new").unwrap();
    wait_until("it has begun", || !temporaries(&tree, "disk").is_empty());
    disk.hold("unlink");
    client.expect("ABOR", 426);
    assert_eq!(client.read_reply().code, 226);
    disk.wait_until_held("unlink");
    for _ in 0..20 {
        client.expect("NOOP", 200);
        other.expect("SIZE /local", 213);
        assert_eq!(other.retrieve("/local").0, b"at hand");
    }
    disk.free();
    wait_until("it is removed", || temporaries(&tree, "disk").is_empty());
    assert_eq!(client.retrieve("disk/f").0, b"old");
}

/// Asks for what needs no slow disk; how long the slowest answer took.
fn ask(other: &mut Client) -> Duration {
    let begin = Instant::now();
    other.expect("NOOP", 200);
    other.expect("SIZE /local", 213);
    assert_eq!(other.retrieve("/local").0, b"at hand");
    begin.elapsed()
}

/// Ten seconds, as a disk that spins up or a server that restarts takes them.
#[test]
fn a_disk_that_stands_still_for_ten_seconds() {
    let Some((_tree, server, mut disk)) = broken(&["--helpers", "1"]) else { return };
    let (mut reader, mut writer, mut other) = (login(&server), login(&server), login(&server));
    other.retrieve("local");
    disk.hold("write");
    disk.hold("read");
    let mut download = reader.epsv();
    reader.expect("RETR disk/f", 150);
    disk.wait_until_held("read");
    let mut upload = writer.epsv();
    writer.expect("STOR disk/up", 150);
    upload.write_all(b"content").unwrap();
    upload.finish().unwrap();
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    while begin.elapsed() < Duration::from_secs(10) {
        slowest = slowest.max(ask(&mut other));
        reader.expect("NOOP", 200);
        // A new name is an errand, and the only helper is held: another one works in its place.
        assert_eq!(other.store("/new", b"x").code, 226);
        std::thread::sleep(Duration::from_millis(50));
    }
    // A loop that had waited for the disk would have waited for all of it.
    assert!(slowest < Duration::from_secs(2), "the others waited {slowest:?}");
    assert!(writer.silent_for(Duration::from_millis(10)), "a reply while the disk stands still");
    disk.free();
    let mut octets = Vec::new();
    download.read_to_end(&mut octets).unwrap();
    assert_eq!((octets.len(), reader.read_reply().code, writer.read_reply().code), (256 * 1200, 226, 226));
    assert_eq!(writer.retrieve("disk/up").0, b"content");
}

/// Its client was still there when all had come, and the disk is what took its time.
#[test]
fn an_upload_that_is_shown_is_complete_though_its_client_has_left_meanwhile() {
    let tree = Tree::new();
    let at = tree.directory("disk").at("disk");
    let Some(mut disk) = Disk::mount(&at) else { return };
    let server = serve(&tree, &[&["--atomic-uploads"], of_the_tester()].concat());
    let mut client = login(&server);
    let mut data = client.epsv();
    client.expect("STOR disk/f", 150);
    disk.hold("fsync");
    data.write_all(b"whole").unwrap();
    data.finish().unwrap();
    disk.wait_until_held("fsync");
    drop(client);
    disk.free();
    let log = server.wait_for_log("stored /disk/f, 5 octets");
    assert!(!log.contains("incomplete"), "{log}");
    assert_eq!(tree.read("disk/f").unwrap(), b"whole");
}
