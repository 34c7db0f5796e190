//! `..`, links and look-alikes in every command that takes a pathname.

use std::fs;

use super::commands::{Taker, takers};
use super::{CANARY, POLICIES, has_canary, login, serve, snapshot, world};
use crate::support::{Client, Reply, Server, Tree};

/// Pathnames of things outside, as people write them.
const OUTWARD: &[&[u8]] = &[
    b"../out/secret",
    b"../out",
    b"/../out/secret",
    b"/../out",
    b"d/../../out/secret",
    b"./../out/d",
    b"../srv_x/secret",
    b"../srv_x",
    b"../srv_x/d/f",
    b"/..//..//out/secret",
    b"....//out/secret",
    b"..././out/secret",
    b"..\\out\\secret",
    b"\\..\\out\\secret",
    b"%2e%2e/out/secret",
    b"..%2fout%2fsecret",
    b"%252e%252e/out/secret",
    b"..;/out/secret",
    // Dots that are longer than they need to be, or wider.
    b"\xc0\xae\xc0\xae/out/secret",
    b"\xef\xbc\x8e\xef\xbc\x8e/out/secret",
    b"..\xc0\xafout\xc0\xafsecret",
    // What a NUL ends for the kernel, and what a CR does not end.
    b"../out/secret\0",
    b"f\0/../../out/secret",
    b"../out\0.txt",
    b"\0../out/secret",
    b"..\r/out/secret",
    b" ../out/secret",
    b"../out/secret/..",
    b"../out/d/..",
    b"../out/",
    b"../out/.",
    b"~/../out/secret",
    b"~root/.profile",
    b"../../../../../../../../etc/passwd",
    b"/../../../../../../../../etc",
    b"../",
    b"..",
    b"/..",
    b"../o*/secret",
    b"../*",
    b"{../out/secret,f}",
    b"-la ../out",
    b"-R ..",
];

/// Whether the test may try `taker` on `pathname`: were the sandbox broken, the test must not break this machine. What
/// is not the test's own may be read, and no more.
pub fn is_safe(taker: &Taker, pathname: &[u8]) -> bool {
    const READING: [&str; 10] = ["CWD", "XCWD", "SIZE", "MDTM", "MLST", "STAT", "RETR", "LIST", "NLST", "MLSD"];
    let own = [&b"out"[..], b"srv_x"].iter().any(|name| pathname.windows(name.len()).any(|part| part == *name));
    own || READING.iter().any(|verb| taker.is(verb))
}

/// Sends `line`, with a data connection where it takes one; the replies, and what came over it.
pub fn say(client: &mut Client, line: &[u8], has_data: bool) -> (Reply, Vec<u8>) {
    if !has_data {
        return (client.say(line), Vec::new());
    }
    if line.starts_with(b"STO") || line.starts_with(b"APPE") {
        return (client.put(line, b"intruder"), Vec::new());
    }
    let (octets, reply) = client.fetch(line);
    (reply, octets)
}

/// Fails where a reply or data tell of what is outside.
pub fn tells_nothing(line: &[u8], reply: &Reply, data: &[u8]) {
    let shown = line.escape_ascii();
    for octets in [&reply.lines.concat(), data] {
        assert!(!has_canary(octets), "{shown}: {reply}");
        assert!(!octets.windows(5).any(|part| part == b"root:"), "{shown}: {reply}");
    }
}

/// Says every command about every pathname, from the root and from below; whatever it comes to, nothing outside is read
/// or changed.
#[test]
fn dots_in_every_command() {
    for policy in &POLICIES {
        let world = world();
        let server = serve(&world, policy);
        let outside = ["out", "srv_x"].map(|name| snapshot(&world.at(name)));
        let mut client = login(&server);
        let takers = takers(&mut client);
        // From below, too, where that makes a difference.
        let below = OUTWARD.iter().filter(|pathname| pathname.starts_with(b"../")).map(|pathname| (*pathname, "/d"));
        for (pathname, from) in OUTWARD.iter().map(|pathname| (*pathname, "/")).chain(below) {
            let shown = pathname.escape_ascii();
            for taker in takers.iter().filter(|taker| is_safe(taker, pathname)) {
                world.file("srv/d/f", "inside d");
                client.expect(format!("CWD {from}"), 250);
                let line = taker.with(pathname);
                let (reply, data) = say(&mut client, &line, taker.has_data);
                tells_nothing(&line, &reply, &data);
                if taker.is("RNFR") && reply.code == 350 {
                    client.say("RNTO stolen");
                    client.say("RNFR stolen");
                    client.say([b"RNTO ", pathname].concat());
                }
            }
            // As the new name of something that is there.
            if takers.iter().any(|taker| taker.is("RNTO") && is_safe(taker, pathname)) {
                world.file("srv/mine", "mine");
                client.expect("RNFR /mine", 350);
                client.say([b"RNTO ", pathname].concat());
            }
            assert_eq!(["out", "srv_x"].map(|name| snapshot(&world.at(name))), outside, "{shown}");
        }
        let names = fs::read_dir(world.path()).unwrap().count();
        assert_eq!(names, 4, "something was made beside the root");
        assert!(fs::read(world.at(super::MARK)).unwrap().starts_with(CANARY.as_bytes()));
    }
}

/// Links that lead out, absolute and relative, first, last and in the middle of a pathname.
fn plant_links(world: &Tree) -> Vec<String> {
    let absolute = world.at("out").display().to_string();
    world.link("srv/abs", &absolute).link("srv/rel", "../out").link("srv/d/up", "../../out/d");
    world.link("srv/file", format!("{absolute}/secret")).link("srv/relfile", "../out/secret");
    world.link("srv/chain", "rel").link("srv/root", "/").link("srv/proc", "/proc/self/root");
    world.link("srv/sibling", "../srv_x").link("srv/dangling", "../out/new");
    let mut pathnames =
        ["abs", "rel", "file", "relfile", "chain", "d/up", "d/up/f", "sibling", "dangling"].map(str::to_owned).to_vec();
    for link in ["abs", "rel", "chain", "sibling", "root/../out", "d/up/.."] {
        pathnames.extend(["secret", "d/f", "d", "new"].map(|name| format!("{link}/{name}")));
    }
    pathnames.push(format!("root{absolute}/secret"));
    pathnames.push(format!("proc{absolute}/secret"));
    pathnames
}

/// Makes the root as it was at first: commands remove and replace links.
fn plant_again(world: &Tree) {
    for entry in fs::read_dir(world.at("srv")).unwrap() {
        let path = entry.unwrap().path();
        let removed =
            if path.is_symlink() || !path.is_dir() { fs::remove_file(path) } else { fs::remove_dir_all(path) };
        removed.unwrap();
    }
    world.file("srv/f", "inside").file("srv/d/f", "inside d").file("srv/mine", "mine");
    plant_links(world);
}

#[test]
fn links_that_lead_out() {
    for policy in &POLICIES {
        let world = world();
        let pathnames = plant_links(&world);
        let server = serve(&world, policy);
        let outside = ["out", "srv_x"].map(|name| snapshot(&world.at(name)));
        let mut client = login(&server);
        let takers = takers(&mut client);
        for pathname in &pathnames {
            for taker in &takers {
                plant_again(&world);
                client.expect("CWD /", 250);
                let line = taker.with(pathname);
                if taker.is("RNTO") {
                    client.expect("RNFR mine", 350);
                }
                let (reply, data) = say(&mut client, &line, taker.has_data);
                tells_nothing(&line, &reply, &data);
                // Who got in goes on from there.
                if taker.is("CWD") && reply.code == 250 {
                    for line in ["LIST", "RETR secret", "RETR f", "RETR d/f", "MLSD"] {
                        let (octets, reply) = client.fetch(line.as_bytes());
                        tells_nothing(line.as_bytes(), &reply, &octets);
                    }
                    client.store("planted", b"intruder");
                }
            }
            assert_eq!(["out", "srv_x"].map(|name| snapshot(&world.at(name))), outside, "{pathname}");
        }
    }
}

#[test]
fn links_that_stay_inside_are_followed_unless_none_are() {
    let world = world();
    world.link("srv/to-file", "d/f").link("srv/to-d", "d").link("srv/from-root", "/d/f").link("srv/d/back", "../f");
    for (symlinks, follows) in [("inside", true), ("none", false)] {
        let server = serve(&world, &["--symlinks", symlinks]);
        let mut client = login(&server);
        for (name, content) in
            [("to-file", "inside d"), ("to-d/f", "inside d"), ("from-root", "inside d"), ("d/back", "inside")]
        {
            let (octets, reply) = client.retrieve(name);
            match follows {
                true => assert_eq!((reply.code, octets.as_slice()), (226, content.as_bytes()), "{name}"),
                false => assert_eq!((reply.code, octets.as_slice()), (550, &b""[..]), "{name}: {reply}"),
            }
        }
        let code = if follows { 250 } else { 550 };
        client.expect("CWD to-d", code);
        client.expect("CWD /", 250);
        // A link's own name can be seen and removed either way.
        assert!(client.list("LIST").0.contains("to-d -> d"), "{symlinks}");
    }
    // Even where links are not followed they can be renamed and deleted, and nothing happens to what they lead to.
    let server = serve(&world, &["--symlinks", "none"]);
    let mut client = login(&server);
    client.expect("RNFR to-file", 350);
    client.expect("RNTO renamed", 250);
    client.expect("DELE renamed", 250);
    assert_eq!(world.read("srv/d/f").unwrap(), b"inside d");
    assert!(fs::symlink_metadata(world.at("srv/renamed")).is_err());
}

#[test]
fn magic_links_lead_nowhere() {
    // The links of /proc/PID are no paths: the kernel jumps. A root that holds them must not let it.
    let server = Server::start("/proc".as_ref(), &[]);
    let mut client = Client::anonymous(server.address());
    let own = std::process::id();
    for of in ["self".to_owned(), own.to_string(), server.pid().to_string()] {
        for name in ["root/etc/passwd", "cwd/Cargo.toml", "exe"] {
            let (octets, reply) = client.retrieve(format!("{of}/{name}"));
            assert_eq!((octets.len(), reply.code), (0, 550), "{of}/{name}: {reply}");
        }
        for line in ["CWD", "MLSD", "LIST"] {
            client.expect("EPSV", 229);
            let reply = client.say(format!("{line} {of}/root"));
            match line {
                // LIST may show the link itself.
                "LIST" if reply.code == 150 => {
                    let last = client.expect("ABOR", 426);
                    assert_eq!((last.code, client.read_reply().code), (426, 226));
                }
                _ => assert!(reply.code >= 500, "{line} {of}/root: {reply}"),
            }
        }
    }
}

#[test]
fn a_writable_root_is_fine_and_cannot_be_removed() {
    let world = world();
    let server = serve(&world, &[]);
    let mut client = login(&server);
    assert_eq!(client.store("new", b"x").code, 226);
    for line in ["RMD /", "RMD .", "RMD ..", "RMD d/..", "DELE /", "RNFR /", "MKD /", "STOR /", "RETR /"] {
        client.expect("EPSV", 229);
        let reply = client.say(line);
        if line.starts_with("RNFR") && reply.code == 350 {
            assert!(client.say("RNTO moved").code >= 500);
            continue;
        }
        assert!(reply.code >= 500, "{line}: {reply}");
    }
    assert_eq!(world.read("srv/f").unwrap(), b"inside");
    client.expect("CDUP", 250);
    assert!(client.expect("PWD", 257).text().contains("\"/\""));
}

#[test]
fn a_root_that_disappeared_refuses_the_login() {
    let world = world();
    world.file("srv/home/f", CANARY);
    let home = world.at("srv/home");
    let server = Server::start(&world.at("srv"), &["--user", &format!("h:secret:{}", home.display())]);
    let mut early = Client::login(server.address(), "h", "secret");
    fs::remove_dir_all(&home).unwrap();
    let refused = |text: &str| {
        let mut client = Client::connect(server.address());
        client.expect("USER h", 331);
        client.expect("PASS secret", 530);
        for line in ["PWD", "CWD /", "STAT /", "SIZE f", "MKD x"] {
            client.expect(line, 530);
        }
        assert!(server.log().contains("home"), "{text}: the log does not say which directory");
    };
    refused("it is gone");
    // A file, and a link to somewhere that is not a directory, are no roots either.
    fs::write(&home, "a file").unwrap();
    refused("it is a file");
    // Who was in it stays in it: it is empty for ever, and no other directory.
    for line in ["SIZE f", "MKD x", "CWD d"] {
        assert!(early.say(line).code >= 500, "{line}");
    }
    assert_eq!(early.retrieve("f").1.code, 550);
    assert_eq!(early.store("x", b"x").code / 100, 5);
}

/// What lives in memory is looked up in another way where a name is not in the kernel's cache.
#[test]
fn names_of_the_host_lead_nowhere_in_memory() {
    let tree = Tree::new_in_memory();
    tree.file("outside/f", "secret").file("root/f", "mine").directory("root/d").directory("outside/empty");
    let outside = tree.at("outside").into_os_string().into_string().unwrap();
    tree.link("root/absolute", &outside).link("root/up", "../outside");
    let server = Server::start(&tree.at("root"), &["--user", "u:secret", "--sandbox", "off"]);
    let mut client = login(&server);
    for from in [outside.as_str(), "../outside", "d/../../outside", "absolute", "up"] {
        for line in ["SIZE", "MDTM", "MLST", "RNFR", "DELE", "SITE CHMOD 666", "MFMT 20200101000000"] {
            let reply = client.say(format!("{line} {from}/f"));
            assert_eq!(reply.code, 550, "{line} {from}/f: {reply}");
        }
        assert_eq!(client.retrieve(format!("{from}/f")).1.code, 550, "{from}");
        for line in ["CWD", "CWD empty", "RMD empty", "MKD new"] {
            let (verb, name) = line.split_once(' ').unwrap_or((line, ""));
            let line = format!("{verb} {from}/{name}");
            assert_eq!(client.say(&line).code, 550, "{line}");
        }
        for name in ["f", "new"] {
            assert_ne!(client.store(format!("{from}/{name}"), b"x").code, 226, "{from}/{name}");
        }
        client.expect("RNFR f", 350);
        client.expect(format!("RNTO {from}/new"), 550);
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 2);
    assert_eq!(tree.read("outside/f").unwrap(), b"secret");
}

#[test]
fn a_rename_replaces_a_link_and_not_what_is_behind_it() {
    let world = world();
    world.link("srv/to-file", "d/f").file("srv/mine", "mine");
    let server = serve(&world, &[]);
    let mut client = login(&server);
    client.expect("RNFR mine", 350);
    client.expect("RNTO to-file", 250);
    assert!(world.at("srv/to-file").symlink_metadata().unwrap().is_file());
    assert_eq!(world.read("srv/to-file").unwrap(), b"mine");
    assert_eq!(world.read("srv/d/f").unwrap(), b"inside d");
}
