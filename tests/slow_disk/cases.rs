//! What must go on while a disk is held, and what must come when it is let go; in the clear and under TLS.

use std::io::{Read, Write};

use rustix::process::Signal;

use super::login;
use crate::disk::Disk;
use crate::support::{Client, PATIENCE, Server, Tree, read_all};

/// How often the others are asked while an operation is held.
const QUESTIONS: usize = 20;

/// A tree with a slow disk at `slow`, and a server over it with `u`, whose root is the tree, and `s`, whose root is on
/// the disk.
///
/// They must be dropped from right to left, which is the order for variables: a directory cannot be removed through a
/// disk that does not answer.
fn slow_tree(args: &[&str]) -> Option<(Tree, Server, Disk)> {
    let tree = Tree::new();
    tree.directory("slow").file("local", "at hand").directory("d");
    let disk = Disk::mount(&tree.at("slow"))?;
    let slow = format!("s:secret:{}", tree.at("slow").display());
    let server = super::start(tree.path(), &[&["--user", "u:secret", "--user", &slow], args].concat());
    Some((tree, server, disk))
}

/// Asks another session, and new ones, for what needs no slow disk.
fn others_go_on(server: &Server, other: &mut Client) {
    for _ in 0..QUESTIONS {
        other.expect("NOOP", 200);
        other.expect("SIZE /local", 213);
    }
    assert_eq!(other.retrieve("/local").0, b"at hand");
    other.expect("MKD made", 257);
    other.expect("RMD made", 250);
    login(server).expect("PWD", 257);
}

/// What `f` holds on the disk.
fn content() -> Vec<u8> {
    (0..=255u8).cycle().take(256 * 1200).collect()
}

#[test]
fn a_slow_read_holds_up_nobody_else() {
    let Some((_tree, server, mut disk)) = slow_tree(&[]) else { return };
    let (mut client, mut other) = (login(&server), login(&server));
    other.retrieve("local");
    disk.hold("read");
    let mut data = client.epsv();
    client.expect("RETR slow/f", 150);
    data.begin();
    disk.wait_until_held("read");
    others_go_on(&server, &mut other);
    // The session itself is still there to talk to.
    for _ in 0..QUESTIONS {
        client.expect("NOOP", 200);
        client.expect("STAT", 211);
    }
    disk.free();
    assert!(read_all(&mut data) == content());
    assert_eq!(client.read_reply().code, 226);
}

#[test]
fn slow_names_and_listings_hold_up_nobody_else() {
    let Some((_tree, server, mut disk)) = slow_tree(&[]) else { return };
    let (mut client, mut other) = (login(&server), login(&server));
    other.retrieve("local");
    for (operation, line, codes) in [
        ("getattr", "SIZE slow/f", &[213][..]),
        ("getattr", "CWD slow", &[250]),
        ("getattr", "CWD /", &[250]),
        ("getattr", "STAT slow", &[212]),
        ("readdir", "STAT slow", &[212]),
        ("mkdir", "MKD slow/new", &[257]),
        ("getattr", "RNFR slow/new", &[350]),
        ("rename", "RNTO slow/newer", &[250]),
        ("rmdir", "RMD slow/newer", &[250]),
        ("getattr", "MFMT 20200101000000 slow/f", &[213]),
        ("chmod", "SITE CHMOD 600 slow/f", &[200]),
        ("statfs", "ALLO 10", &[200]),
    ] {
        // CWD / asks the slow disk for nothing, and ALLO asks the one of the working directory.
        let asks_the_disk = !matches!(line, "CWD /" | "ALLO 10");
        disk.hold(operation);
        client.send_line(line);
        if asks_the_disk {
            disk.wait_until_held(operation);
            others_go_on(&server, &mut other);
        }
        disk.free();
        let reply = client.read_reply();
        assert!(codes.contains(&reply.code), "{line}: {reply}");
    }
    for (operation, line) in
        [("readdir", "LIST slow"), ("readdir", "MLSD slow"), ("getattr", "LIST -l slow"), ("opendir", "NLST slow")]
    {
        disk.hold(operation);
        let mut data = client.epsv();
        client.send_line(line);
        let opening = std::thread::spawn(move || {
            data.begin();
            data
        });
        disk.wait_until_held(operation);
        others_go_on(&server, &mut other);
        disk.free();
        let mut data = opening.join().unwrap();
        assert_eq!(client.read_reply().code, 150, "{line}");
        let text = String::from_utf8(read_all(&mut data)).unwrap();
        assert!(text.trim_end().ends_with('g'), "{line}: {text:?}");
        assert_eq!(client.read_reply().code, 226, "{line}");
    }
}

#[test]
fn slow_uploads_hold_up_nobody_else() {
    let Some((_tree, server, mut disk)) = slow_tree(&[]) else { return };
    let (mut client, mut other) = (login(&server), login(&server));
    other.retrieve("local");
    let octets = vec![b'x'; 600_000];
    for (operation, line) in [
        ("create", "STOR slow/created"),
        ("write", "STOR slow/written"),
        ("truncate", "STOR slow/written"),
        ("open", "APPE slow/written"),
        ("flush", "STOR slow/flushed"),
        ("fsync", "STOR slow/synced"),
        ("unlink", "DELE slow/written"),
    ] {
        disk.hold(operation);
        if line.starts_with("DELE") {
            client.send_line(line);
            disk.wait_until_held(operation);
            others_go_on(&server, &mut other);
            disk.free();
            assert_eq!(client.read_reply().code, 250);
            continue;
        }
        let mut data = client.epsv();
        client.expect(line, 150);
        let sender = std::thread::spawn({
            let octets = octets.clone();
            move || data.write_all(&octets)
        });
        disk.wait_until_held(operation);
        others_go_on(&server, &mut other);
        assert!(
            client.silent_for(std::time::Duration::from_millis(30)),
            "{line}: a reply while {operation} is not done"
        );
        disk.free();
        sender.join().unwrap().unwrap();
        assert_eq!(client.read_reply().code, 226, "{line}");
    }
    client.expect("SIZE slow/created", 213);
    assert!(client.retrieve("slow/synced").0 == octets);
}

#[test]
fn an_error_that_comes_late_is_told() {
    let Some((_tree, server, mut disk)) = slow_tree(&[]) else { return };
    let mut client = login(&server);
    for (operation, errno, codes) in [
        ("write", "ENOSPC", &[452, 552][..]),
        ("fsync", "ENOSPC", &[452, 552]),
        ("fsync", "EIO", &[451, 452, 550, 552]),
        ("write", "EDQUOT", &[452, 552]),
    ] {
        disk.fail(operation, errno);
        let reply = client.store("slow/up", b"not kept");
        assert!(codes.contains(&reply.code), "{operation} with {errno}: {reply}");
        disk.free();
        assert_eq!(client.store("slow/up", b"kept").code, 226);
    }
    disk.fail("read", "EIO");
    let mut data = client.epsv();
    client.expect("RETR slow/f", 150);
    // Under TLS the end is not announced then.
    let _ = data.read_to_end(&mut Vec::new());
    let reply = client.read_reply();
    assert!([426, 451, 550].contains(&reply.code), "{reply}");
    disk.free();
    assert!(client.retrieve("slow/f").0 == content());
}

#[test]
fn a_login_to_a_slow_root_holds_up_nobody_else() {
    let Some((_tree, server, mut disk)) = slow_tree(&[]) else { return };
    let mut other = login(&server);
    other.retrieve("local");
    disk.hold("getattr");
    let mut client = Client::connect(server.address());
    client.expect("USER s", 331);
    client.send_line("PASS secret");
    disk.wait_until_held("getattr");
    others_go_on(&server, &mut other);
    disk.free();
    assert_eq!(client.read_reply().code, 230);
    client.expect("TYPE I", 200);
    assert!(client.retrieve("f").0 == content());
}

#[test]
fn abor_and_the_end_of_a_client_while_the_disk_is_slow() {
    let Some((_tree, server, mut disk)) = slow_tree(&[]) else { return };
    let (mut client, mut other) = (login(&server), login(&server));
    other.retrieve("local");
    let before = server.descriptors();
    disk.hold("read");
    let mut data = client.epsv();
    client.expect("RETR slow/f", 150);
    data.begin();
    disk.wait_until_held("read");
    client.send_line("ABOR");
    others_go_on(&server, &mut other);
    disk.free();
    // What the helper had begun it may have finished: then ABOR came too late, and has its reply all the same.
    let codes = [client.read_reply().code, client.read_reply().code];
    assert!(matches!(codes, [426 | 226, 226]), "{codes:?}");
    drop(data);
    client.expect("NOOP", 200);

    // Another file: the octets of the first are in the page cache now.
    disk.hold("read");
    let mut data = client.epsv();
    client.expect("RETR slow/g", 150);
    data.begin();
    disk.wait_until_held("read");
    drop((client, data));
    others_go_on(&server, &mut other);
    disk.free();
    let deadline = std::time::Instant::now() + PATIENCE;
    while server.descriptors() > before {
        assert!(std::time::Instant::now() < deadline, "{} descriptors, {before} before", server.descriptors());
        other.expect("NOOP", 200);
    }
}

/// More sessions than there are helpers, all of which wait for a daemon that does not run.
fn stuck(server: &Server, disk: &Disk) -> Vec<Client> {
    let mut stuck: Vec<Client> = (0..4).map(|_| login(server)).collect();
    disk.signal(Signal::STOP);
    for (number, client) in stuck.iter_mut().enumerate() {
        client.send_line(if number % 2 == 0 { "SIZE slow/f" } else { "CWD slow" });
    }
    stuck
}

#[test]
fn a_disk_that_hangs_and_dies_does_not_stop_the_loop() {
    let Some((_tree, server, disk)) = slow_tree(&["--grace", "1"]) else { return };
    let mut other = login(&server);
    other.retrieve("local");
    let mut stuck = stuck(&server, &disk);
    for _ in 0..QUESTIONS {
        other.expect("NOOP", 200);
        other.expect("SIZE /local", 213);
        assert_eq!(other.retrieve("/local").0, b"at hand");
        login(&server).expect("PWD", 257);
    }
    // Its death ends the wait: each is told something.
    disk.signal(Signal::KILL);
    for client in &mut stuck {
        let reply = client.read_reply();
        // For a second the kernel still knows what the disk said of its files before it died.
        assert!((400..600).contains(&reply.code) || reply.code == 213, "{reply}");
        client.expect("NOOP", 200);
    }
    others_go_on(&server, &mut other);
    for line in ["CWD slow", "SIZE slow/f", "MKD slow/x", "DELE slow/f"] {
        let reply = other.say(line);
        let remembered = ["SIZE slow/f", "CWD slow"].contains(&line) && reply.code < 300;
        assert!(reply.code >= 400 || remembered, "{line}: {reply}");
    }
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_disk_that_hangs_takes_not_every_helper() {
    let Some((_tree, server, disk)) = slow_tree(&[]) else { return };
    let mut other = login(&server);
    other.retrieve("local");
    let _stuck = stuck(&server, &disk);
    // A name that is not in the cache is an errand, on a disk that is well.
    assert_eq!(other.store("new", b"x").code, 226);
    others_go_on(&server, &mut other);
}

#[test]
fn a_server_stops_though_its_disk_hangs() {
    let Some((_tree, server, mut disk)) = slow_tree(&["--grace", "1"]) else { return };
    let mut client = login(&server);
    disk.hold("read");
    let mut data = client.epsv();
    client.expect("RETR slow/f", 150);
    data.begin();
    disk.wait_until_held("read");
    assert_eq!(server.stop().code(), Some(0));
    disk.free();
}

#[test]
fn without_helpers_it_all_works_too() {
    let Some((_tree, server, _disk)) = slow_tree(&["--helpers", "0"]) else { return };
    let mut client = login(&server);
    assert!(client.retrieve("slow/f").0 == content());
    assert_eq!(client.store("slow/up", b"x").code, 226);
    assert!(client.list("LIST slow").0.contains(" up\r\n"));
    for (line, code) in [("RNFR slow/up", 350), ("RNTO slow/moved", 250), ("DELE slow/moved", 250), ("MKD slow/d", 257)]
    {
        client.expect(line, code);
    }
}
