//! What is not a regular file: refused at once, and never opened for its effects. And rights that are less than all.

use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;

use ferryd::account::{Right, Rights};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::commands::takers;
use super::escape::say;
use super::{login, serve, world};
use crate::support::{Client, Server};

#[test]
fn a_fifo_a_socket_and_a_device_are_refused_at_once() {
    let world = world();
    world.fifo("srv/fifo");
    let _socket = UnixListener::bind(world.at("srv/socket")).unwrap();
    let mut names = vec!["fifo", "socket"];
    // /dev/zero never ends.
    match mknodat(CWD, world.at("srv/zero"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, 5)) {
        Ok(()) => names.push("zero"),
        Err(errno) => {
            crate::support::did_not_run(format_args!("did not run with a device: this user may not make one ({errno})"))
        }
    }
    for helpers in ["2", "0"] {
        let server = serve(&world, &["--helpers", helpers]);
        let mut client = login(&server);
        for name in &names {
            for verb in ["RETR", "STOR", "APPE", "MLSD"] {
                client.expect("EPSV", 229);
                let reply = client.say(format!("{verb} {name}"));
                assert!([501, 550, 553].contains(&reply.code), "{verb} {name}: {reply}");
            }
            for line in
                [format!("SIZE {name}"), format!("SITE CHMOD 777 {name}"), format!("MFMT 20010101000000 {name}")]
            {
                client.expect(line, 550);
            }
            assert!(client.list(format!("LIST {name}")).0.ends_with(&format!(" {name}\r\n")));
            // Through a link it is the same.
            let link = format!("srv/link-to-{name}");
            if !world.at(&link).exists() {
                world.link(&link, name);
            }
            client.expect("EPSV", 229);
            client.expect(format!("RETR link-to-{name}"), 550);
        }
        client.expect("EPSV", 229);
        client.expect("RETR d", 550);
        client.expect("STOR d", 550);
    }
    assert!(std::fs::symlink_metadata(world.at("srv/fifo")).unwrap().file_type().is_fifo());
}

#[test]
fn a_drop_box_takes_new_files_and_shows_nothing() {
    let world = world();
    let root = world.at("srv");
    let server = Server::start(&root, &["--user", "drop:secret::upload"]);
    let mut client = Client::login(server.address(), "drop", "secret");
    client.expect("TYPE I", 200);
    assert_eq!(client.store("new", b"given").code, 226);
    assert_eq!(world.read("srv/new").unwrap(), b"given");
    for line in ["STOR new", "STOR f", "STOR d/f", "APPE f", "APPE other", "RETR f", "LIST", "NLST", "MLSD"] {
        client.expect("EPSV", 229);
        let reply = client.say(line);
        assert!([550, 553].contains(&reply.code), "{line}: {reply}");
    }
    for line in [
        "SIZE f",
        "MDTM f",
        "MLST f",
        "STAT f",
        "STAT /",
        "DELE new",
        "RMD d",
        "MKD m",
        "RNFR new",
        "RNTO newer",
        "SITE CHMOD 777 f",
        "MFMT 20010101000000 f",
        "MFF Modify=20010101000000; f",
        "SITE UTIME 20010101000000 f",
    ] {
        let reply = client.say(line);
        assert!([550, 553].contains(&reply.code), "{line}: {reply}");
    }
    // Not even with a restart position, and not in a way that tells whether a name is taken from its content.
    client.expect("REST 3", 350);
    client.expect("EPSV", 229);
    let reply = client.say("STOR f");
    assert!(reply.code >= 500, "{reply}");
    assert_eq!((world.read("srv/f").unwrap(), world.read("srv/new").unwrap()), (b"inside".to_vec(), b"given".to_vec()));
    let mut data = client.epsv();
    client.expect("STOU", 150);
    std::io::Write::write_all(&mut data, b"unique").unwrap();
    drop(data);
    assert_eq!(client.read_reply().code, 226);
    // Two who send the same name at once: the second one does not replace the first one's file.
    let mut second = Client::login(server.address(), "drop", "secret");
    let (mut one, mut two) = (client.epsv(), second.epsv());
    client.expect("STOR race", 150);
    second.send_line("STOR race");
    std::io::Write::write_all(&mut one, b"one").unwrap();
    std::io::Write::write_all(&mut two, b"two").ok();
    drop((one, two));
    let mut codes = vec![client.read_reply().code];
    codes.extend(std::iter::repeat_with(|| second.read_reply().code).find(|code| *code != 150));
    codes.sort_unstable();
    assert!(codes[0] == 226 && codes[1] >= 500, "{codes:?}");
}

/// Who may do little: each command that needs more is 550, whatever it names. Nothing is changed by what is allowed
/// either, be the right in its row the wrong one.
#[test]
fn rights_bound_every_command() {
    let world = world();
    world.directory("srv/empty");
    let users = ["ro:secret::ro", "drop:secret::upload", "look:secret::el"];
    let server = Server::start(&world.at("srv"), &users.iter().flat_map(|user| ["--user", *user]).collect::<Vec<_>>());
    let before = super::snapshot(world.path());
    for (user, rights) in [("ro", "ro"), ("drop", "upload"), ("look", "el")] {
        let rights = Rights::parse(rights).unwrap();
        let mut client = Client::login(server.address(), user, "secret");
        client.expect("TYPE I", 200);
        for taker in takers(&mut client) {
            // What says itself what it needs changes something; STAT lists.
            let allowed = match taker.right {
                Some(right) => rights.allow(right),
                None => taker.is("STAT") && rights.allow(Right::List),
            };
            for name in ["f", "d", "empty", "new", "d/f", "absent/f", "../out/secret"] {
                let line = taker.with(name);
                if !allowed {
                    client.expect("EPSV", 229);
                    let reply = client.expect(&line, 550).text();
                    assert!(reply.contains("this user may not"), "{user}: {} {name}: {reply}", taker.line);
                } else if !rights.allow(Right::StoreNew) {
                    say(&mut client, &line, taker.has_data);
                    client.expect("CWD /", 250);
                }
            }
        }
        if !rights.allow(Right::StoreNew) {
            client.expect("ALLO 10", 550);
        }
        if rights.allow(Right::Read) {
            assert_eq!(client.retrieve("f").1.code, 226);
        }
    }
    assert_eq!(super::snapshot(world.path()), before);
}
