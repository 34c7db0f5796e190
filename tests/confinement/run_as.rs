//! `--run-as`: what becomes of root.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Output;

use rustix::process::{Gid, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_thread_groups};

use super::{common_status, is_root, refused, status, text, wait_until};
use crate::support::{Client, Server, Tree, did_not_run, of_the_tester, read_all};

/// Numbers that nobody has.
const UID: u32 = 4_000_000;
const GID: u32 = 4_000_001;

/// A directory that is root's own.
fn roots_own(tree: &Tree, name: &str, mode: u32) {
    let path = tree.directory(name).at(name);
    chown(&path, Some(0), Some(0)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

/// A file that is root's own, and nobody else's to read.
fn roots_file(tree: &Tree, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = tree.file(name, content).at(name);
    chown(&path, Some(0), Some(0)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Makes the server start its helpers: every thread that it can have is there.
fn use_helpers(server: &Server) {
    let mut client = Client::connect(server.address());
    client.expect("USER somebody", 331);
    client.expect("PASS wrong", 530);
}

#[test]
fn root_becomes_nobody() {
    if !is_root("root_becomes_nobody") {
        return;
    }
    let tree = Tree::new();
    tree.file("etc/users", format!("somebody:{HASH}\n")).directory("srv");
    let users = tree.at("etc/users");
    // Whoever starts it has groups of his own, as root mostly has.
    let start = || {
        set_thread_groups(&[Gid::from_raw(4), Gid::from_raw(27)]).unwrap();
        Server::start(&tree.at("srv"), &["--users", users.to_str().unwrap()])
    };
    let server = std::thread::scope(|scope| scope.spawn(start).join().unwrap());
    use_helpers(&server);
    assert!(status(&server, "Uid").len() >= 3, "the loop, the log and a helper: {:?}", status(&server, "Uid"));
    assert_eq!(common_status(&server, "Uid"), "65534 65534 65534 65534");
    assert_eq!(common_status(&server, "Gid"), "65534 65534 65534 65534");
    assert_eq!(common_status(&server, "Groups"), "");
    assert_eq!(common_status(&server, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(common_status(&server, set), "0000000000000000", "{set}");
    }
    assert!(server.output().contains("runs as nobody (65534:65534), since root has started it"), "{}", server.output());
}

/// What root gives up is gone without a sandbox as well, which sees to some of it for its own sake.
#[test]
fn root_gives_up_as_much_without_a_sandbox() {
    if !is_root("root_gives_up_as_much_without_a_sandbox") {
        return;
    }
    let tree = Tree::new();
    let server = Server::start(tree.path(), &["--sandbox", "off"]);
    assert_eq!(common_status(&server, "Seccomp"), "0");
    assert_eq!(common_status(&server, "NoNewPrivs"), "1");
    assert_eq!(common_status(&server, "Groups"), "");
    assert_eq!(common_status(&server, "CapBnd"), "0000000000000000");
}

/// Root that stays root without its powers is one user among others, whose processes do not look into this one.
#[test]
fn other_processes_of_its_user_do_not_look_into_it() {
    if !is_root("other_processes_of_its_user_do_not_look_into_it") {
        return;
    }
    let tree = Tree::new();
    roots_own(&tree, "roots", 0o755);
    let server = Server::start(&tree.at("roots"), &["--user", "u:x::rw"]);
    assert_eq!(common_status(&server, "Uid"), "0 0 0 0");
    let program = format!("/proc/{}/exe", server.pid());
    let look = || {
        // With its powers root looks into everything.
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
        fs::read_link(&program)
    };
    let seen = std::thread::scope(|scope| scope.spawn(look).join().unwrap());
    assert_eq!(seen.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
}

/// Of "wrong, but nobody knows".
const HASH: &str = "$5$abcdefgh$ruMep1ijHnJPZbETDNiumskxcX3kN4lzZd5VlsqE7eB";

#[test]
fn root_becomes_whom_it_is_told() {
    if !is_root("root_becomes_whom_it_is_told") {
        return;
    }
    let tree = Tree::new();
    tree.directory("srv");
    chown(tree.at("srv"), Some(UID), Some(GID)).unwrap();
    let args = ["--user", "u:secret", "--run-as", &format!("{UID}:{GID}")];
    let server = Server::start(&tree.at("srv"), &args);
    assert_eq!(common_status(&server, "Uid"), [UID; 4].map(|id| id.to_string()).join(" "));
    assert_eq!(common_status(&server, "Gid"), [GID; 4].map(|id| id.to_string()).join(" "));
    let mut client = Client::login(server.address(), "u", "secret");
    assert_eq!(client.store("f", b"x").code, 226);
    let facts = fs::metadata(tree.at("srv/f")).unwrap();
    assert_eq!((facts.uid(), facts.gid()), (UID, GID));
    // It can still set modes and times, which goes by way of /proc.
    client.expect("SITE CHMOD 600 f", 200);
    client.expect("MFMT 20200101000000 f", 213);
    assert_eq!(fs::metadata(tree.at("srv/f")).unwrap().mode() & 0o777, 0o600);
    // Its environment is another way to say so.
    let output =
        Server::command(&tree.at("srv"), &["--check"]).env("FERRYD_RUN_AS", "4000000:4000001").output().unwrap();
    assert!(text(&output.stdout).contains("runs as 4000000 (4000000:4000001);"), "{output:?}");
}

#[test]
fn root_stays_where_it_is_told_to() {
    if !is_root("root_stays_where_it_is_told_to") {
        return;
    }
    let tree = Tree::new();
    let server = Server::start(tree.path(), of_the_tester());
    assert_eq!(common_status(&server, "Uid"), "0 0 0 0");
    assert!(server.output().contains("runs as root;"), "{}", server.output());
    server.wait_for_log("--run-as root: ferryd keeps root's rights");
}

/// Nobody is no use where nobody may do nothing: a new user's own directory, or root's.
#[test]
fn root_becomes_who_can_do_the_work() {
    if !is_root("root_becomes_who_can_do_the_work") {
        return;
    }
    let tree = Tree::new();
    roots_own(&tree, "roots", 0o755);
    roots_own(&tree, "temporary", 0o700);
    roots_own(&tree, "everybodys", 0o1777);
    roots_own(&tree, "box", 0o1733);
    roots_own(&tree, "users", 0o750);
    chown(tree.at("users"), Some(UID), Some(GID)).unwrap();
    let users = format!("{UID} {UID} {UID} {UID}");
    for (name, rights, uids) in [
        ("roots", "ro", "65534 65534 65534 65534"),
        ("roots", "rw", "0 0 0 0"),
        ("temporary", "ro", "0 0 0 0"),
        ("everybodys", "rw", "65534 65534 65534 65534"),
        ("box", "upload", "65534 65534 65534 65534"),
        ("box", "rw", "0 0 0 0"),
        ("users", "ro", &users),
        ("users", "rw", &users),
    ] {
        let server = Server::start(&tree.at(name), &["--user", &format!("u:x::{rights}")]);
        assert_eq!(common_status(&server, "Uid"), uids, "{name}, {rights}");
        for set in ["CapEff", "CapPrm", "CapInh", "CapBnd"] {
            assert_eq!(common_status(&server, set), "0000000000000000", "{name}, {rights}: {set}");
        }
        let mut client = Client::login(server.address(), "u", "x");
        client.expect("CWD /", 250);
        let stored = client.store("f", b"new").code;
        assert_eq!(stored, if rights == "ro" { 550 } else { 226 }, "{name}, {rights}");
        if stored == 226 {
            fs::remove_file(tree.at(format!("{name}/f"))).unwrap();
        }
        assert_eq!(server.output().contains("without its powers"), uids == "0 0 0 0", "{}", server.output());
    }
    // Where each user has a directory of his own, the one that the server was started in is nobody's; and one that is
    // not there is nobody's task.
    let list = roots_file(
        &tree,
        "list",
        format!("u:{HASH}::::{}\nv:{HASH}::::{}\n", tree.at("users").display(), tree.at("gone").display()),
    );
    let server = Server::start(&tree.at("temporary"), &["--users", &list]);
    assert_eq!(common_status(&server, "Uid"), format!("{UID} {UID} {UID} {UID}"));
    // It still owns root's files, from which only the fence keeps it.
    for sandbox in ["best", "off"] {
        let args = ["--check", "--user", "u:x::rw", "--sandbox", sandbox];
        let output = Server::command(&tree.at("roots"), &args).output().unwrap();
        let said = text(&output.stdout);
        let unfenced = said.contains("sandbox: off") || said.contains("files not fenced in");
        assert_eq!(said.contains("warning: ferryd works under root's number"), unfenced, "{said}");
    }
    // Nobody else may do all of it either: who is told what.
    let both = ["roots", "users"].map(|name| format!("{name}:x:{}:rw", tree.at(name).display()));
    let server = Server::start(&tree.at("roots"), &["--user", &both[0], "--user", &both[1]]);
    assert_eq!(common_status(&server, "Uid"), "65534 65534 65534 65534");
    server.wait_for_log("nobody may not");
}

/// Root without its powers owns root's files, of which no fence knows the modes: so it sets those of what it can open.
#[test]
fn root_without_its_powers_sets_what_it_can_open() {
    if !is_root("root_without_its_powers_sets_what_it_can_open") {
        return;
    }
    let tree = Tree::new();
    roots_own(&tree, "srv", 0o755);
    for name in ["f", "g", "closed", "unread"] {
        roots_file(&tree, &format!("srv/{name}"), "content");
    }
    roots_own(&tree, "srv/d", 0o700);
    let mode = |name: &str| fs::metadata(tree.at(format!("srv/{name}"))).unwrap().mode() & 0o7777;
    let modified = |name: &str| fs::metadata(tree.at(format!("srv/{name}"))).unwrap().mtime();
    let close = |name: &str, mode| fs::set_permissions(tree.at(name), Permissions::from_mode(mode)).unwrap();
    close("srv/unread", 0o200);
    tree.fifo("srv/pipe");
    for (sandbox, closed, code) in [("best", 0o000, 550), ("off", 0o640, 200)] {
        for helpers in ["2", "0"] {
            close("srv/closed", 0o000);
            let args = ["--user", "u:secret", "--sandbox", sandbox, "--helpers", helpers];
            let server = Server::start(&tree.at("srv"), &args);
            assert!(server.output().contains("without its powers"), "{}", server.output());
            let mut client = Client::login(server.address(), "u", "secret");
            client.expect("SITE CHMOD 640 f", 200);
            client.expect("SITE CHMOD 751 d", 200);
            // Who may not read it may still write it.
            client.expect("SITE CHMOD 222 unread", 200);
            client.expect("MFMT 20200101000000 unread", 213);
            client.expect("MFMT 20200101000000 d", 213);
            // The time first, for the mode closes it.
            close("srv/g", 0o644);
            client.expect("MFF UNIX.mode=0000;Modify=20200101000000; g", 213);
            assert_eq!(["f", "d", "unread", "g"].map(mode), [0o640, 0o751, 0o222, 0o000]);
            assert_eq!(["d", "unread", "g"].map(modified), [1_577_836_800; 3]);
            // It owns this one as well, and its mode lets nobody open it.
            client.expect("SITE CHMOD 640 closed", code);
            assert_eq!(mode("closed"), closed, "--sandbox {sandbox}");
            for line in ["SITE CHMOD 666 pipe", "MFMT 20200101000000 pipe", "SITE CHMOD 666 absent"] {
                client.expect(line, 550);
            }
            close("srv/d", 0o700);
        }
    }
}

/// RFC 959 section 3.3: active data connections come from the port below the control port. Only for that a capability
/// is kept.
#[test]
fn active_data_connections_come_from_port_20() {
    if !is_root("active_data_connections_come_from_port_20") {
        return;
    }
    let tree = Tree::new();
    tree.file("f", "content");
    // Another server of this machine may be at port 21.
    let ip = Ipv4Addr::new(127, 77, 20, 21);
    let places = [21, 621, 721, 821].map(|port| SocketAddr::from((ip, port)));
    let Some(place) = places.into_iter().find(|place| TcpListener::bind(place).is_ok()) else {
        return did_not_run(format_args!("the test of port 20 did not run: no port is free below 1024"));
    };
    let server = Server::start(tree.path(), &["--listen", &place.to_string()]);
    assert_eq!(common_status(&server, "CapEff"), "0000000000000400");
    assert_eq!(common_status(&server, "CapPrm"), "0000000000000400");
    assert_eq!(common_status(&server, "CapBnd"), "0000000000000400");
    assert_eq!(common_status(&server, "CapInh"), "0000000000000000");
    assert_eq!(common_status(&server, "Uid"), "65534 65534 65534 65534");
    let mut client = Client::anonymous(place);
    // The second one, too: the first is in TIME_WAIT.
    for _ in 0..2 {
        let listener = client.port_listener();
        client.expect("RETR f", 150);
        let (mut data, from) = listener.accept().unwrap();
        assert_eq!(from, SocketAddr::from((ip, place.port() - 1)));
        assert_eq!(read_all(&mut data), b"content");
        assert_eq!(client.read_reply().code, 226);
    }
    // Passive ports below 1024 need it as well.
    let server = Server::start(tree.path(), &["--passive-ports", "700-720"]);
    assert_eq!(common_status(&server, "CapEff"), "0000000000000400");
    assert_eq!(Client::anonymous(server.address()).retrieve("f").0, b"content");
}

#[test]
fn who_may_not_enter_the_directory_is_told_so() {
    if !is_root("who_may_not_enter_the_directory_is_told_so") {
        return;
    }
    let tree = Tree::new();
    roots_own(&tree, "closed", 0o700);
    tree.directory("closed/below");
    for name in ["closed", "closed/below"] {
        for args in [&["--run-as", "nobody"][..], &["--run-as", "nobody", "--check"]] {
            let (code, said) = refused(&tree.at(name), args);
            assert_eq!(code, Some(1), "{said}");
            let why = "Permission denied";
            assert!(said.contains(why) && said.contains("then becomes nobody (65534:65534)"), "{said}");
            assert!(said.contains("chmod o+x") && said.contains("--run-as"), "{said}");
        }
    }
    Server::start(&tree.at("closed"), of_the_tester());
}

/// What root could do, and the server will not, is told at the start, with what to do about it.
#[test]
fn what_will_not_work_is_told_at_the_start() {
    if !is_root("what_will_not_work_is_told_at_the_start") {
        return;
    }
    let tree = Tree::new();
    tree.directory("srv").directory("closed");
    roots_own(&tree, "readable", 0o755);
    roots_own(&tree, "listless", 0o711);
    roots_own(&tree, "closed/a", 0o755);
    roots_own(&tree, "closed", 0o700);
    let at = |name: &str| tree.at(name).to_str().unwrap().to_owned();
    let users = roots_file(&tree, "users", format!("file:{HASH}\n"));
    let (log, transfers) = (roots_file(&tree, "log", ""), at("xfer"));
    let directories =
        ["readable", "listless", "closed/a"].map(|name| format!("{0}:x:{1}:rw", name.replace('/', ""), at(name)));
    let mut args = vec!["--run-as", "nobody", "--users", &users, "--log-file", &log, "--transfer-log", &transfers];
    args.extend(directories.iter().flat_map(|user| ["--user", user.as_str()]));
    let server = Server::start(&tree.at("srv"), &args);
    // The log is still root's, and open.
    let logged = |text: &str| {
        wait_until(text, || fs::read_to_string(&log).unwrap().contains(text));
        fs::read_to_string(&log).unwrap()
    };
    let said = logged("SIGHUP");
    for expected in [
        format!("nobody may not write in {}, which", at("readable")),
        format!("nobody may not list {}, which", at("listless")),
        format!("nobody may not enter the directories above {}", at("closed/a")),
        format!("nobody may not read the users file {users}"),
        format!("--log-file: nobody may not open {log} again after a rotation (SIGHUP): chown nobody {log}"),
    ] {
        assert!(said.contains(&expected), "no {expected:?} in {said}");
    }
    assert!(!said.contains(&format!("write in {}", at("srv"))) && !said.contains(&transfers), "{said}");
    // A log that root makes for it is the server's own.
    assert_eq!(fs::metadata(&transfers).unwrap().uid(), 65_534);
    // And so it is: the old users stay, and the server says why.
    fs::write(&users, "another:*\n").unwrap();
    server.signal(Signal::HUP);
    let said = logged("the users stay as they were");
    assert!(said.contains("Permission denied"), "{said}");
    // The check says the same.
    let output = Server::command(&tree.at("srv"), &[&args[..], &["--check"]].concat()).output().unwrap();
    let checked = text(&output.stdout);
    assert!(checked.contains("warning: nobody may not list") && checked.contains("warning: --log-file: "), "{checked}");
}

/// Where only root may make files, logrotate's `create` makes the new log: it gets the owner of the old one, and so it
/// can be opened.
#[test]
fn a_log_that_was_made_for_the_server_rotates() {
    if !is_root("a_log_that_was_made_for_the_server_rotates") {
        return;
    }
    let tree = Tree::new();
    tree.file("srv/f", "x");
    roots_own(&tree, "log", 0o755);
    let log = tree.at("log/xfer");
    let server = Server::start(&tree.at("srv"), &["--transfer-log", log.to_str().unwrap()]);
    let old = fs::metadata(&log).unwrap();
    fs::rename(&log, tree.at("log/xfer.1")).unwrap();
    fs::write(&log, "").unwrap();
    chown(&log, Some(old.uid()), Some(old.gid())).unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log("reloaded");
    let mut client = Client::anonymous(server.address());
    client.expect("TYPE I", 200);
    assert_eq!(client.retrieve("f").1.code, 226);
    server.wait_for_log("/f");
    wait_until("the new log has the transfer", || !fs::read(&log).unwrap().is_empty());
    assert_eq!(tree.read("log/xfer.1").unwrap(), b"");
}

/// A key that only root may read serves until the restart; a certificate of the server's own making as well.
#[test]
fn certificates_that_only_root_may_read() {
    if !is_root("certificates_that_only_root_may_read") {
        return;
    }
    let tree = Tree::new();
    tree.directory("srv");
    roots_own(&tree, "state", 0o700);
    let state = tree.at("state").to_str().unwrap().to_owned();
    let server = Server::start(&tree.at("srv"), &["--tls", "self-signed", "--tls-state", &state]);
    assert_eq!(fs::metadata(tree.at("state/self-signed.key")).unwrap().uid(), 0);
    server.signal(Signal::HUP);
    let log = server.wait_for_log("the TLS certificate was loaded again");
    assert!(!log.contains("[ERROR]") && !log.contains("may not read"), "{log}");
    drop(server);

    let (certificate, key) = (tree.at("state/self-signed.crt"), tree.at("state/self-signed.key"));
    let files = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let server = Server::start(&tree.at("srv"), &files);
    server.wait_for_log("stays in use until ferryd is restarted");
    server.signal(Signal::HUP);
    let log = server.wait_for_log("the old TLS certificate stays in use");
    assert!(log.contains("Permission denied"), "{log}");
    let tls = crate::support::Tls::new(crate::support::VERSIONS[0]);
    Client::secured(server.address(), &tls).expect("NOOP", 200);
}

/// An ordinary user serves as himself, and cannot become another one.
#[test]
fn an_ordinary_user_stays_who_he_is() {
    let tree = Tree::new();
    tree.file("f", "content");
    let root = rustix::process::geteuid().is_root();
    let command = |args: &[&str]| {
        let mut command = Server::command(tree.path(), args);
        if root {
            command.uid(UID).gid(GID);
        }
        command
    };
    let uid = if root { UID } else { rustix::process::geteuid().as_raw() };
    let Ok(Output { stdout, .. }) = command(&["--check"]).output() else {
        return did_not_run(format_args!("another user may not run the program where it is"));
    };
    assert!(text(&stdout).contains(&format!("runs as uid {uid};")), "{}", text(&stdout));
    let refused = command(&["--run-as", "root"]).output().unwrap();
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("--run-as root: only root can become another user"), "{said}");
    for (wrong, code, why) in
        [("no-such-user-x", 1, "there is no user no-such-user-x"), ("a:b:c", 2, "use USER or USER:GROUP")]
    {
        let refused = command(&["--run-as", wrong]).output().unwrap();
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(code) && said.contains(why), "{wrong}: {said}");
    }
    let own = format!("{uid}:{}", if root { GID } else { rustix::process::getegid().as_raw() });
    let output = command(&["--check", "--run-as", &own]).output().unwrap();
    assert!(output.status.success() && text(&output.stdout).contains(&format!("runs as uid {uid};")), "{output:?}");
}
