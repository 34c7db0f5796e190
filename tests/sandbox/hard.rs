//! Hard cases of the tree: what cannot be read, what leads nowhere, the longest names, the deepest directories. Each is
//! answered, by every command, and holds nobody up.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Instant;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat, unlinkat};

use super::commands::{Taker, takers};
use super::escape::say;
use super::{login, serve, snapshot, world};
use crate::support::{PATIENCE, Server, Tree};

/// The longest path that Linux takes.
const PATH_OCTETS_MAX: usize = 4_095;

#[test]
fn every_command_about_everything_that_is_no_file() {
    for helpers in ["2", "0"] {
        let world = world();
        world.fifo("srv/fifo").link("srv/nowhere", "absent").link("srv/self", "self").link("srv/round", "round2");
        world.link("srv/round2", "round").link("srv/long", "x/".repeat(2_047)).link("srv/through", "f/x");
        world.link("srv/to-fifo", "fifo").link("srv/empty", " ");
        let _socket = UnixListener::bind(world.at("srv/socket")).unwrap();
        // /dev/zero never ends, /dev/full takes nothing, and opening the disk that is not there waits for it.
        for (name, kind, major, minor) in [
            ("zero", FileType::CharacterDevice, 1, 5),
            ("full", FileType::CharacterDevice, 1, 7),
            ("tty", FileType::CharacterDevice, 5, 0),
            ("disk", FileType::BlockDevice, 7, 255),
        ] {
            let _ =
                mknodat(CWD, world.at(format!("srv/{name}")), kind, Mode::from_raw_mode(0o666), makedev(major, minor));
        }
        let server = serve(&world, &["--helpers", helpers]);
        let (mut client, mut other) = (login(&server), login(&server));
        let outside = ["out", "srv_x"].map(|name| snapshot(&world.at(name)));
        let odd: Vec<String> = fs::read_dir(world.at("srv"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !["f", "d"].contains(&name.as_str()))
            .flat_map(|name| ["", "/", "/.", "/x"].map(|end| format!("{name}{end}")))
            .collect();
        assert!(odd.len() >= 9 * 4);
        // What removes a thing, or makes another of its name, comes after all else.
        let changes = |taker: &Taker| ["DELE", "RMD", "XRMD", "RNTO", "MKD", "XMKD"].iter().any(|verb| taker.is(verb));
        let (last, first): (Vec<_>, Vec<_>) = takers(&mut client).into_iter().partition(changes);
        for (takers, name) in [first, last].iter().flat_map(|takers| odd.iter().map(move |name| (takers, name))) {
            for taker in takers {
                let line = taker.with(name);
                let begun = Instant::now();
                let (reply, data) = say(&mut client, &line, taker.has_data);
                assert!(begun.elapsed() < PATIENCE / 2, "{}: it took {:?}", line.escape_ascii(), begun.elapsed());
                let sends = ["RETR", "STOR", "APPE"].iter().any(|verb| taker.is(verb));
                assert!(!sends || reply.code >= 500, "{}: {reply}", line.escape_ascii());
                assert!(data.len() < 64 * 1024, "{}: {} octets", line.escape_ascii(), data.len());
                client.expect("CWD /", 250);
            }
            other.expect("NOOP", 200);
            assert_eq!(other.retrieve("d/f").0, b"inside d");
        }
        assert_eq!(["out", "srv_x"].map(|name| snapshot(&world.at(name))), outside);
    }
}

#[test]
fn a_dangling_link_is_a_link_and_makes_no_file() {
    let world = world();
    world.link("srv/dangling", "d/new").link("srv/loop", "loop");
    world.link("srv/out", world.at("out/new").display().to_string());
    let server = serve(&world, &[]);
    let mut client = login(&server);
    for name in ["dangling", "out", "loop"] {
        for verb in ["RETR", "MLSD"] {
            client.expect("EPSV", 229);
            client.expect(format!("{verb} {name}"), 550);
        }
        for verb in ["STOR", "APPE"] {
            assert_eq!(client.put(format!("{verb} {name}").as_bytes(), b"x").code, 550, "{verb} {name}");
        }
        for verb in ["SIZE", "MDTM", "CWD", "MKD", "RMD"] {
            client.expect(format!("{verb} {name}"), 550);
        }
        // The link itself is there.
        assert!(client.expect(format!("MLST {name}"), 250).text().contains("slink:"));
        assert!(client.list("LIST").0.contains(&format!(" {name} -> ")));
        client.expect(format!("RNFR {name}"), 350);
        client.expect("RNTO other", 250);
        client.expect("DELE other", 250);
    }
    assert!(!world.at("srv/d/new").exists() && !world.at("out/new").exists());
}

#[test]
fn what_may_not_be_read_is_refused() {
    let world = world();
    world.file("srv/secret", "for its owner").file("srv/closed/f", "x").file("srv/listed/f", "x");
    world.file("srv/passed/f", "seen by its name");
    // What a tree makes is the server's own where root runs the tests; here it must not be.
    for path in
        [&b"srv"[..], b"srv/f", b"srv/d", b"srv/d/f", b"srv/secret", b"srv/closed", b"srv/listed", b"srv/passed"]
    {
        let _ = std::os::unix::fs::chown(world.at(path), Some(rustix::process::geteuid().as_raw()), None);
    }
    let server = Server::start_as_nobody(&world.at("srv"), &["--user", "u:secret"]);
    let Some(server) = server else {
        return crate::support::did_not_run(format_args!("did not run: no server of another user can be started here"));
    };
    for (name, mode) in [("secret", 0o000), ("closed", 0o000), ("listed", 0o444), ("passed", 0o711)] {
        fs::set_permissions(world.at(format!("srv/{name}")), fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = snapshot(&world.at("srv/d"));
    let mut client = login(&server);
    for line in ["RETR secret", "STOR secret", "APPE secret", "LIST closed", "MLSD closed", "NLST closed"] {
        client.expect("EPSV", 229);
        client.expect(line, 550);
    }
    for line in [
        "CWD closed",
        "CWD listed",
        "SIZE closed/f",
        "SIZE listed/f",
        "STAT closed",
        "DELE f",
        "MKD new",
        "RNFR closed/f",
        "SITE CHMOD 777 secret",
        "MFMT 20010101000000 secret",
        "SITE CHMOD 777 closed",
    ] {
        client.expect(line, 550);
    }
    client.expect("EPSV", 229);
    client.expect("STOR new", 550);
    // What can be seen is shown, and the rest of the tree with it; the perm fact promises nothing that is refused.
    assert_eq!(client.expect("SIZE secret", 213).text(), "213 13");
    let (text, reply) = client.list("LIST -R");
    assert_eq!(reply.code, 226);
    assert!(text.contains("---------- ") && text.contains("d:\r\n") && !text.contains("closed:"), "{text}");
    let facts = client.expect("MLST secret", 250).text();
    assert!(facts.contains("perm=;"), "{facts}");
    client.expect("CWD passed", 250);
    assert_eq!(client.retrieve("f").0, b"seen by its name");
    client.expect("EPSV", 229);
    client.expect("LIST", 550);
    client.expect("CWD /", 250);
    assert_eq!(snapshot(&world.at("srv/d")), before);
}

#[test]
fn names_of_255_octets_of_every_kind() {
    let world = world();
    let server = serve(&world, &[]);
    let mut client = login(&server);
    for octet in (1..=255u8).filter(|octet| !matches!(octet, b'/' | b'\r' | b'\n')) {
        let name = vec![octet; 255];
        // RFC 854: 255 is said twice.
        let said = if octet == 255 { vec![octet; 510] } else { name.clone() };
        let on_disk = [b"srv/", name.as_slice()].concat();
        assert_eq!(client.store(&said, b"content").code, 226, "{octet:#x}");
        assert_eq!(world.read(&on_disk).as_deref(), Some(&b"content"[..]), "{octet:#x}");
        assert_eq!(client.retrieve(&said).0, b"content", "{octet:#x}");
        let told = [b" ", name.as_slice(), b"\r\n"].concat();
        for line in ["MLSD", "LIST -a", "NLST -a"] {
            let (text, reply) = client.fetch(line.as_bytes());
            assert_eq!(reply.code, 226);
            let told = if line.starts_with("NLST") { &told[1..] } else { &told };
            assert!(text.windows(told.len()).any(|part| part == told), "{line} does not tell {octet:#x}");
        }
        client.expect([b"RNFR ", said.as_slice()].concat(), 350);
        client.expect("RNTO other", 250);
        client.expect("RNFR other", 350);
        client.expect([b"RNTO ", said.as_slice()].concat(), 250);
        client.expect([b"SITE CHMOD 600 ", said.as_slice()].concat(), 200);
        client.expect([b"DELE ", said.as_slice()].concat(), 250);
        // One more is one too many, wherever it stands.
        let longer = [said.as_slice(), b"x"].concat();
        for verb in ["MKD ", "SIZE ", "CWD ", "RNFR ", "DELE ", "MFMT 20010101000000 "] {
            let reply = client.say([verb.as_bytes(), &longer].concat());
            assert!([550, 553].contains(&reply.code), "{verb} of 256 times {octet:#x}: {reply}");
        }
    }
}

#[test]
fn the_longest_path_and_one_octet_more() {
    let world = world();
    let server = serve(&world, &[]);
    let mut client = login(&server);
    // 15 directories of 255 octets, and what is left for one more name: "/" before each.
    let directory = "d".repeat(255);
    for _ in 0..15 {
        client.expect(format!("MKD {directory}"), 257);
        client.expect(format!("CWD {directory}"), 250);
    }
    let parent = format!("/{directory}").repeat(15);
    let last = "f".repeat(PATH_OCTETS_MAX - parent.len() - 1);
    let path = format!("{parent}/{last}");
    assert_eq!(path.len(), PATH_OCTETS_MAX);
    assert_eq!(client.store(&path, b"content").code, 226);
    assert_eq!(client.retrieve(&path).0, b"content");
    assert_eq!(client.retrieve(&last).0, b"content");
    client.expect(format!("SIZE {path}"), 213);
    client.expect(format!("DELE {path}"), 250);
    client.expect(format!("MKD {last}"), 257);
    client.expect(format!("CWD {last}"), 250);
    assert_eq!(client.expect("PWD", 257).text(), format!("257 \"{path}\" is the working directory."));
    assert_eq!((client.list("LIST").1.code, client.list("MLSD").1.code), (226, 226));
    // Nothing fits in there, but there is a way out.
    for name in ["x", &format!("{path}x"), &format!("{path}/x")] {
        for taker in takers(&mut client) {
            let line = taker.with(name);
            let (reply, _) = say(&mut client, &line, taker.has_data);
            let code = if taker.is("RNTO") { 503 } else { 553 };
            assert!([code, 553].contains(&reply.code), "{}: {reply}", taker.line);
        }
    }
    client.expect("CDUP", 250);
    client.expect(format!("RMD {last}"), 250);
    client.expect("CWD /", 250);
    // Much that comes to little is not long.
    client.expect(format!("SIZE {}f", "./".repeat(2_000)), 213);
    client.expect(format!("SIZE {}f", "d/../".repeat(1_000)), 213);
}

/// Goes `levels` deep below `directory`, by a descriptor: no path is that long.
fn dig(directory: &Path, levels: usize) {
    let mut at = open(directory);
    for _ in 0..levels {
        mkdirat(&at, "d", Mode::from_raw_mode(0o755)).unwrap();
        at = openat(&at, "d", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    }
}

fn open(directory: &Path) -> OwnedFd {
    openat(CWD, directory, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// Removes what [`dig`] made: who goes down with a descriptor for each level has not enough of them.
fn fill_up(directory: &Path) {
    let mut at = open(directory);
    while let Ok(below) = openat(&at, "d", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        at = below;
    }
    while let Ok(above) = openat(&at, "..", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        && unlinkat(&above, "d", AtFlags::REMOVEDIR).is_ok()
    {
        at = above;
    }
}

#[test]
fn five_thousand_levels() {
    const LEVELS: usize = 5_000;
    let world = Tree::new_in_memory();
    dig(&world.directory("srv/deep").at("srv/deep"), LEVELS);
    let server = serve(&world, &[]);
    let (mut client, mut other) = (login(&server), login(&server));
    for line in ["LIST -R deep", "NLST -R deep", "LIST -R"] {
        assert_eq!(client.list(line).1.code, 451, "{line}");
    }
    client.expect("STAT -R deep", 212);
    client.expect("CWD deep", 250);
    let mut depth = 0;
    while client.say("CWD d").code == 250 {
        depth += 1;
        if depth % 100 == 0 {
            other.expect("NOOP", 200);
        }
    }
    // As deep as a path of 4,095 octets goes.
    assert_eq!(depth, (PATH_OCTETS_MAX - "/deep".len()) / "/d".len());
    client.expect("CWD d", 553);
    assert_eq!((client.list("LIST -la").1.code, client.list("MLSD").1.code), (226, 226));
    // What is below the next level cannot be named: what can be shown is, and then that is said.
    let (text, reply) = client.list("LIST -R");
    assert!(text.contains(" d\r\n") && reply.code == 553, "{text}{reply}");
    for line in ["SIZE d", "RMD d", "DELE d", "MKD new", "RNFR d", "MLST d", "STAT d"] {
        client.expect(line, 553);
    }
    client.expect("CDUP", 250);
    client.expect("RMD /deep", 550);
    client.expect("RNFR /deep", 350);
    client.expect("RNTO /moved", 250);
    // Where it was is nothing now.
    let reply = client.say("CWD d");
    assert!([550, 553].contains(&reply.code), "{reply}");
    other.expect("RNFR /moved", 350);
    other.expect("RNTO /deep", 250);
    fill_up(&world.at("srv/deep"));
    assert!(fs::read_dir(world.at("srv/deep")).unwrap().next().is_none(), "something of it is left");
    client.expect("NOOP", 200);
}

#[test]
fn facts_at_their_edges() {
    use rustix::fs::{Timespec, Timestamps, UTIME_OMIT, utimensat};
    let world = world();
    let mut count = 0;
    for seconds in [-62_167_219_201i64, -62_167_219_200, -2_147_483_648, -1, 0, 4_294_967_296, 253_402_300_800, 1 << 40]
    {
        world.file(format!("srv/x/{count:02}"), "");
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: seconds, tv_nsec: 999_999_999 },
        };
        utimensat(CWD, world.at(format!("srv/x/{count:02}")), &times, AtFlags::empty()).unwrap();
        count += 1;
    }
    world.link("srv/x/link", "l".repeat(PATH_OCTETS_MAX)).file("srv/x/mode", "").file("srv/x/owner", "");
    fs::set_permissions(world.at("srv/x/mode"), fs::Permissions::from_mode(0o7777)).unwrap();
    // Whoever may not give a file away leaves it as it is.
    let _ = std::os::unix::fs::chown(world.at("srv/x/owner"), Some(u32::MAX - 1), Some(u32::MAX - 1));
    let large = fs::File::create(world.at("srv/x/large")).unwrap();
    assert!([1u64 << 62, 1 << 43].into_iter().any(|size| large.set_len(size).is_ok()), "no large file can be made");
    count += 4;
    let server = serve(&world, &[]);
    let mut client = login(&server);
    for line in ["LIST x", "LIST -t x", "LIST -S x", "LIST -r x", "NLST x", "MLSD x"] {
        let (text, reply) = client.list(line);
        let lines = text.split_terminator("\r\n").filter(|line| !line.contains("dir;")).count();
        assert_eq!((reply.code, lines), (226, count), "{line}:\n{text}");
    }
    assert_eq!(client.expect("STAT x", 212).lines.len(), count + 2);
    for name in fs::read_dir(world.at("srv/x")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        let line = client.expect(format!("MLST x/{name}"), 250).text();
        let time = line.split("modify=").nth(1).and_then(|rest| rest.split(';').next()).unwrap().to_owned();
        assert!(time.len() == 14 && time.bytes().all(|octet| octet.is_ascii_digit()), "{line}");
        if name != "link" {
            assert_eq!(client.expect(format!("MDTM x/{name}"), 213).text(), format!("213 {time}"));
        }
    }
}
