//! `..`, links and look-alikes in every command that takes a pathname.

use std::fs;

use super::{CANARY, has_canary, login, serve, snapshot, world};
use crate::support::{Client, Reply, Server, Tree};

/// Every command that takes a pathname, with `*` where it stands. Those with a data connection are marked.
const COMMANDS: &[(&str, bool)] = &[
    ("CWD *", false),
    ("XCWD *", false),
    ("SIZE *", false),
    ("MDTM *", false),
    ("MLST *", false),
    ("STAT *", false),
    ("STAT -R *", false),
    ("SITE CHMOD 777 *", false),
    ("SITE UTIME 20010101000000 *", false),
    ("MFMT 20010101000000 *", false),
    ("MFF Modify=20010101000000;UNIX.mode=0777; *", false),
    ("RETR *", true),
    ("LIST *", true),
    ("LIST -R *", true),
    ("NLST *", true),
    ("MLSD *", true),
    ("STOR *", true),
    ("APPE *", true),
    ("STOU *", true),
    ("DELE *", false),
    ("RMD *", false),
    ("XRMD *", false),
    ("MKD *", false),
    ("XMKD *", false),
    ("RNFR *", false),
];

/// Pathnames of things outside, as people write them.
const OUTWARD: &[&str] = &[
    "../out/secret",
    "../out",
    "/../out/secret",
    "/../out",
    "d/../../out/secret",
    "./../out/d",
    "../srv_x/secret",
    "../srv_x",
    "../srv_x/d/f",
    "/..//..//out/secret",
    "....//out/secret",
    "..\\out\\secret",
    "%2e%2e/out/secret",
    "../../../../../../../../etc/passwd",
    "/../../../../../../../../etc",
    "../",
    "..",
    "/..",
    "../o*/secret",
    "../*",
];

/// Whether the test may try `command` on `pathname`: were the sandbox broken, the test must not break this machine. What
/// is not the test's own may be read, and no more.
fn is_safe(command: &str, pathname: &str) -> bool {
    const READING: [&str; 10] = ["CWD", "XCWD", "SIZE", "MDTM", "MLST", "STAT", "RETR", "LIST", "NLST", "MLSD"];
    let own = !pathname.contains("etc") && pathname.contains(|letter| !matches!(letter, '.' | '/'));
    own || READING.iter().any(|verb| command.starts_with(verb))
}

/// Sends `line`, with a data connection where it takes one; the replies, and what came over it.
fn say(client: &mut Client, line: &str, has_data: bool) -> (Reply, Vec<u8>) {
    if !has_data {
        return (client.say(line), Vec::new());
    }
    if line.starts_with("STO") || line.starts_with("APPE") {
        return (client.put(line.as_bytes(), b"intruder"), Vec::new());
    }
    let (text, reply) = client.list(line);
    (reply, text.into_bytes())
}

/// Says every command about every pathname; whatever it comes to, nothing outside is read or changed.
fn try_everything(world: &Tree, server: &Server, pathnames: &[String]) {
    let outside = ["out", "srv_x"].map(|name| snapshot(&world.at(name)));
    let mut client = login(server);
    for pathname in pathnames {
        for (command, has_data) in COMMANDS.iter().filter(|(command, _)| is_safe(command, pathname)) {
            let line = command.replace('*', pathname);
            let (reply, data) = say(&mut client, &line, *has_data);
            for octets in [reply.text().as_bytes(), &data] {
                assert!(!has_canary(octets) && !octets.windows(5).any(|part| part == b"root:"), "{line}: {reply}");
            }
            if line.starts_with("RNFR") && reply.code == 350 {
                client.say("RNTO stolen");
                client.say("RNFR stolen");
                client.say(format!("RNTO {pathname}"));
            }
            client.expect("CWD /", 250);
        }
        if !is_safe("RNTO", pathname) {
            continue;
        }
        // As the new name of something that is there.
        world.file("srv/mine", "mine");
        client.expect("RNFR mine", 350);
        client.say(format!("RNTO {pathname}"));
        assert_eq!(["out", "srv_x"].map(|name| snapshot(&world.at(name))), outside, "{pathname}");
    }
}

#[test]
fn dots_in_every_command() {
    for symlinks in ["inside", "none"] {
        let world = world();
        let server = serve(&world, &["--symlinks", symlinks]);
        try_everything(&world, &server, &OUTWARD.map_to_strings());
        let names = fs::read_dir(world.path()).unwrap().count();
        assert_eq!(names, 4, "something was made beside the root");
    }
}

trait MapToStrings {
    fn map_to_strings(&self) -> Vec<String>;
}

impl MapToStrings for [&str] {
    fn map_to_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
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
        ["abs", "rel", "file", "relfile", "chain", "d/up", "d/up/f", "sibling", "dangling"].map_to_strings();
    for link in ["abs", "rel", "chain", "sibling", "root/../out", "d/up/.."] {
        pathnames.extend(["secret", "d/f", "d", "new"].map(|name| format!("{link}/{name}")));
    }
    pathnames.push(format!("root{absolute}/secret"));
    pathnames.push(format!("proc{absolute}/secret"));
    pathnames
}

#[test]
fn links_that_lead_out() {
    for symlinks in ["inside", "none"] {
        let world = world();
        let mut pathnames = plant_links(&world);
        let server = serve(&world, &["--symlinks", symlinks]);
        // A link itself may be removed, so every round plants them again.
        while let Some(pathname) = pathnames.pop() {
            let _ = fs::remove_dir_all(world.at("srv"));
            world.file("srv/f", "inside").file("srv/d/f", "inside d");
            plant_links(&world);
            try_everything_once(&world, &server, &pathname);
        }
    }
}

/// As [`try_everything`], but the root is a new directory each time: the server must follow its own descriptor, so
/// each round has a session that logs in anew.
fn try_everything_once(world: &Tree, server: &Server, pathname: &str) {
    let outside = ["out", "srv_x"].map(|name| snapshot(&world.at(name)));
    let mut client = login(server);
    for (command, has_data) in COMMANDS {
        let line = command.replace('*', pathname);
        let (reply, data) = say(&mut client, &line, *has_data);
        assert!(!has_canary(reply.text().as_bytes()) && !has_canary(&data), "{line}: {reply}");
        client.expect("CWD /", 250);
    }
    assert_eq!(["out", "srv_x"].map(|name| snapshot(&world.at(name))), outside, "{pathname}");
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
