//! Files: what is not a user's, a log or a certificate does not exist for the process, whatever the modes say.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use ferryd::fs::Setting;
use nix::libc;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::process::Signal;

use super::{confine_to, refused, run_confined, text, without};
use crate::support::{Client, Server, Tree, did_not_run};

/// What the process tries that [`confined_process`] is, and how it went.
fn attempts(tree: &Path) -> Vec<(&'static str, io::Result<()>)> {
    let at = |name: &str| tree.join(name);
    let open = |options: &OpenOptions, name: &str| options.open(at(name)).map(drop);
    let (read, mut write, mut new) = (OpenOptions::new().read(true).clone(), OpenOptions::new(), OpenOptions::new());
    write.write(true);
    new.write(true).create_new(true);
    vec![
        ("read", open(&read, "srv/f")),
        ("list", fs::read_dir(at("srv")).map(drop)),
        ("write", open(&write, "srv/f")),
        ("truncate", open(write.clone().truncate(true), "srv/f")),
        ("make", open(&new, "srv/new")),
        ("make a directory", make_directory(&at("srv/d"), 0o755)),
        ("rename", rename(&at("srv/a"), &at("srv/below/b"))),
        ("remove", remove(&at("srv/g"))),
        ("set a mode", set_mode(&at("srv/f"), 0o640)),
        ("set a mode outside", set_mode(&at("out/f"), 0o640)),
        ("set a time", set_time(&at("srv/f"))),
        ("set a time outside", set_time(&at("out/f"))),
        ("set through a descriptor", set_open(&at("srv/f"))),
        ("set through a descriptor outside", set_open(&at("out/f"))),
        ("set setuid", set_mode(&at("srv/f"), 0o4755)),
        ("set setgid", set_mode(&at("srv/below"), 0o2755)),
        ("make a file with setuid", make_with(&at("srv/suid"), 0o4755)),
        ("make a directory with setgid", make_directory(&at("srv/sgid"), 0o2755)),
        ("read outside", open(&read, "out/f")),
        ("list outside", fs::read_dir(at("out")).map(drop)),
        ("write outside", open(&write, "out/f")),
        ("make outside", open(&new, "out/new")),
        ("make a directory outside", make_directory(&at("out/d"), 0o755)),
        ("remove outside", remove(&at("out/g"))),
        ("rename out", rename(&at("srv/h"), &at("out/h"))),
        ("read by a link", open(&read, "srv/link")),
        ("read again", open(&read, "etc/users")),
        ("write what is read again", open(&write, "etc/users")),
        ("list beside it", fs::read_dir(at("etc")).map(drop)),
        ("open a log", open(OpenOptions::new().append(true).create(true), "log/new")),
        ("read a log", open(&read, "log/old")),
        ("remove a log", remove(&at("log/old"))),
        ("read /etc/passwd", File::open("/etc/passwd").map(drop)),
        ("bind any port", TcpListener::bind("127.0.0.1:0").map(drop)),
        ("bind a certain port", TcpListener::bind("127.77.20.21:47109").map(drop)),
    ]
}

// With the calls that ferryd makes: the others do not exist any more.

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(mode))?)
}

fn make_with(path: &Path, mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(mode)).map(drop)?)
}

fn set_time(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::utimensat(CWD, path, &times(), AtFlags::empty())?)
}

/// Sets the mode and the time of what can be opened, one way or the other.
fn set_open(path: &Path) -> io::Result<()> {
    let file = File::open(path).or_else(|_| OpenOptions::new().write(true).open(path))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o600))?;
    Ok(rustix::fs::futimens(&file, &times())?)
}

fn times() -> Timestamps {
    let time = Timespec { tv_sec: 1, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())?)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

fn remove(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(CWD, path, AtFlags::empty())?)
}

/// What the test [`a_process_has_what_its_users_have`] starts: confines itself and says what it could still do.
pub fn confined(argument: &str) {
    let [rights, setting, tree] = argument.splitn(3, ':').collect::<Vec<_>>().try_into().unwrap();
    let setting = if setting == "name" { Setting::ByName } else { Setting::ByDescriptor };
    let tree = Path::new(tree);
    confine_to(&tree.join("srv"), rights, setting, vec![tree.join("etc/users")], vec![tree.join("log/old")]);
    for (what, outcome) in attempts(tree) {
        let outcome = outcome.map_or_else(|error| error.to_string(), |()| "yes".to_owned());
        println!("tried to {what}: {outcome}");
    }
}

/// What a process with these rights could do that sets modes by `setting`.
fn could(rights: &str, setting: &str) -> Vec<String> {
    let tree = Tree::new();
    for name in ["f", "g", "h", "a", "below/f"] {
        tree.file(format!("srv/{name}"), "content");
    }
    tree.file("out/f", "x").file("out/g", "x").file("etc/users", "x").file("log/old", "x").link("srv/link", "../out/f");
    let output = run_confined(&format!("files:{rights}:{setting}:{}", tree.path().display()));
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let told: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("tried to ")).collect();
    assert!(told.len() > 20, "{said}");
    // What was not done was denied, and did not fail for another reason.
    let denied = ["yes", "Permission denied", "Invalid cross-device link", "Function not implemented"];
    for line in &told {
        let (_, outcome) = line.split_once(": ").unwrap();
        assert!(denied.iter().any(|why| outcome.starts_with(why)), "{line}");
    }
    told.iter().filter_map(|line| line.strip_suffix(": yes")).map(str::to_owned).collect()
}

/// The version of Landlock that this kernel has, if it has all that matters; where not, says that `test` did not run.
pub fn landlock(test: &str) -> Option<u32> {
    let tree = Tree::new();
    let output = Server::command(tree.path(), &["--check", "--sandbox", "require"]).output().unwrap();
    if !output.status.success() {
        did_not_run(format_args!("{test} did not run: {}", text(&output.stderr).trim()));
    }
    let said = text(&output.stdout);
    let version = said.split("Landlock (version ").nth(1).and_then(|rest| rest.split(')').next());
    version.map(|version| version.parse().unwrap())
}

#[test]
fn a_process_has_what_its_users_have() {
    let Some(version) = landlock("a_process_has_what_its_users_have") else { return };
    let mut always = vec!["read again", "open a log", "bind any port"];
    // Linux 6.7 is the first that knows of ports.
    always.extend((version < 4).then_some("bind a certain port"));
    let everything = ["read", "list", "write", "truncate", "make", "make a directory", "rename", "remove"];
    for (rights, may) in [
        ("ro", &["read", "list"][..]),
        ("upload", &["write", "make"]),
        ("el", &["list"]),
        ("ea", &["write", "make"]),
        ("ew", &["write", "truncate", "make"]),
        ("ed", &["remove"]),
        ("em", &["make a directory"]),
        ("rw", &everything),
    ] {
        for setting in ["name", "descriptor"] {
            let may_open = ["read", "write"].iter().any(|way| may.contains(way));
            // To seccomp there is only one right, that to change something or other; and Landlock has none for modes.
            let settings: &[&str] = match setting {
                _ if rights == "ro" || rights == "el" => &[],
                "name" => &["set a mode", "set a mode outside", "set a time", "set a time outside"],
                _ if may_open => &["set through a descriptor"],
                _ => &[],
            };
            let mut could = could(rights, setting);
            let mut expected: Vec<&str> = may.iter().chain(settings).chain(&always).copied().collect();
            could.sort();
            expected.sort();
            assert_eq!(could, expected, "{rights}, by {setting}");
        }
    }
}

/// A users file with these lines: name, directory, rights. The password of all is `secret`.
fn users(tree: &Tree, lines: &[(&str, &str, &str)]) {
    let hash = hash();
    let line = |(name, home, rights): &(&str, &str, &str)| {
        format!("{name}:{hash}::::{}::rights={rights}\n", tree.at(home).display())
    };
    tree.file("etc/users.new", lines.iter().map(line).collect::<String>());
    // As editors and tools do it: another file takes its place.
    fs::rename(tree.at("etc/users.new"), tree.at("etc/users")).unwrap();
}

/// A hash of `secret`, as ferryd makes it.
fn hash() -> String {
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let made = HASH.get_or_init(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferryd"));
        command.arg("hash-password").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        io::Write::write_all(&mut child.stdin.take().unwrap(), b"secret\n").unwrap();
        text(&child.wait_with_output().unwrap().stdout).trim().to_owned()
    });
    made.clone()
}

/// Whether somebody can log in.
fn log_in(server: &Server, user: &str) -> Option<Client> {
    let mut client = Client::connect(server.address());
    client.expect(format!("USER {user}"), 331);
    (client.say("PASS secret").code == 230).then_some(client)
}

/// The bounds are those of the start: a reload says what it cannot serve, and serves the rest.
#[test]
fn a_reload_says_what_is_outside() {
    if landlock("a_reload_says_what_is_outside").is_none() {
        return;
    }
    let tree = Tree::new();
    tree.file("srv/a/f", "a's").file("srv/b/f", "b's").file("later/f", "later's").file("ro/f", "x");
    users(&tree, &[("a", "srv", "rw"), ("r", "ro", "ro")]);
    let file = tree.at("etc/users");
    let server = Server::start(&tree.at("srv"), &["--users", file.to_str().unwrap()]);
    users(&tree, &[("a", "srv", "rw"), ("b", "srv/b", "rw"), ("later", "later", "rw"), ("r", "ro", "rw")]);
    server.signal(Signal::HUP);
    let log = server.wait_for_log("reloaded: 4 users");
    let outside = format!("{} is outside of the sandbox", tree.at("later").display());
    assert!(log.contains(&outside), "{log}");
    let part = format!("in {} users may now do more than at the start", tree.at("ro").display());
    assert!(log.contains(&part), "{log}");
    assert!(!log.contains("srv/b is outside") && !log.contains("srv/b users"), "{log}");

    // Beneath what was served at the start, all is well.
    let mut b = log_in(&server, "b").expect("b is inside");
    assert_eq!(b.retrieve("f").0, b"b's");
    assert_eq!(b.store("new", b"x").code, 226);
    let mut r = log_in(&server, "r").expect("r may read");
    assert_eq!(r.retrieve("f").0, b"x");
    assert_eq!(r.store("new", b"x").code, 550);
    assert!(log_in(&server, "later").is_none());
    server.wait_for_log("\"later\" cannot log in: ");
    drop(server);
    let server = Server::start(&tree.at("srv"), &["--users", file.to_str().unwrap()]);
    assert!(log_in(&server, "later").is_some());
    // Whoever wants no bounds has none.
    let server = Server::start(&tree.at("srv"), &["--users", file.to_str().unwrap(), "--sandbox", "off"]);
    assert!(server.output().contains("; sandbox: off\n"), "{}", server.output());
    users(&tree, &[("x", "out", "rw")]);
    tree.file("out/f", "out's");
    server.signal(Signal::HUP);
    server.wait_for_log("reloaded: 1 user");
    assert_eq!(log_in(&server, "x").expect("x is nowhere forbidden").retrieve("f").0, b"out's");
}

/// A server that could only read lacks the system calls as well: what it cannot do is 550 with a reason.
#[test]
fn a_reload_that_lets_write_changes_nothing_until_the_restart() {
    if landlock("a_reload_that_lets_write_changes_nothing_until_the_restart").is_none() {
        return;
    }
    let tree = Tree::new();
    tree.file("srv/f", "x");
    users(&tree, &[("r", "srv", "ro")]);
    let file = tree.at("etc/users");
    let server = Server::start(&tree.at("srv"), &["--users", file.to_str().unwrap()]);
    users(&tree, &[("r", "srv", "rw")]);
    server.signal(Signal::HUP);
    server.wait_for_log("restart ferryd");
    let mut r = log_in(&server, "r").expect("r may read");
    for command in ["MKD d", "DELE f", "MFMT 20200101000000 f", "SITE CHMOD 600 f"] {
        let reply = r.say(command);
        let reason = ["sandbox", "Permission denied"].iter().any(|reason| reply.text().contains(reason));
        assert!(reply.code == 550 && reason, "{command}: {reply:?}");
    }
    r.expect("RNFR f", 350);
    r.expect("RNTO g", 550);
    assert_eq!(r.store("new", b"x").code, 550);
    assert_eq!(r.retrieve("f").0, b"x");
}

/// A directory that takes the place of a root, and one that comes late, are outside: better no login than one that can
/// do nothing.
#[test]
fn a_root_that_was_replaced_is_outside() {
    if landlock("a_root_that_was_replaced_is_outside").is_none() {
        return;
    }
    let tree = Tree::new();
    tree.file("srv/f", "old").directory("other");
    users(&tree, &[("a", "srv", "rw"), ("late", "late", "ro")]);
    let file = tree.at("etc/users");
    let server = Server::start(&tree.at("other"), &["--users", file.to_str().unwrap(), "--helpers", "0"]);
    let mut before = log_in(&server, "a").expect("it is there");
    fs::rename(tree.at("srv"), tree.at("old")).unwrap();
    tree.file("srv/f", "new").file("late/f", "late");
    assert!(log_in(&server, "a").is_none() && log_in(&server, "late").is_none());
    let log = server.wait_for_log("\"late\" cannot log in: ");
    assert!(log.contains(&format!("{} is outside of the sandbox", tree.at("srv").display())), "{log}");
    // Their passwords were right.
    assert!(!server.log().contains("login failed"), "{log}");
    // Who was in it stays in it.
    assert_eq!(before.retrieve("f").0, b"old");
}

/// Who may only store new files still has them renamed when they are whole, and what was left behind removed.
#[test]
fn a_drop_box_takes_whole_uploads() {
    let tree = Tree::new();
    let left = ".ferryd-upload-abcdefghijklmno7~";
    tree.file(left, "of long ago").modified(left, 1_000_000_000);
    let server = Server::start(tree.path(), &["--user", "u:secret::upload", "--atomic-uploads"]);
    let mut client = Client::login(server.address(), "u", "secret");
    assert_eq!(client.store("f", b"content").code, 226);
    assert_eq!(client.put(b"STOU", b"content").code, 226);
    assert_eq!(client.store("f", b"again").code, 550);
    assert_eq!(tree.read("f").unwrap(), b"content");
    assert_eq!(tree.read(left), None);
    assert_eq!(fs::read_dir(tree.path()).unwrap().count(), 2);
}

/// A name is looked up by what /etc/nsswitch.conf names, and that is still there.
#[test]
fn host_names_are_still_looked_up() {
    let tree = Tree::new();
    let server = Server::start(tree.path(), &["--passive-address", "localhost"]);
    server.wait_for_log("--passive-address localhost: clients are told 127.0.0.1");
}

/// Ports that may be bound can be listed where passive ones are.
#[test]
fn passive_ports_work_where_they_are_fenced() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = Server::start(tree.path(), &["--passive-ports", "47110-47119"]);
    let mut client = Client::anonymous(server.address());
    client.expect("TYPE I", 200);
    assert_eq!(client.retrieve("f").0, b"content");
    // An active data connection comes from a port that the kernel gives, if not from the one below the control port:
    // somebody else has that one, now at the latest.
    let _taken = TcpListener::bind((server.address().ip(), server.address().port() - 1));
    let listener = client.port_listener();
    client.expect("RETR f", 150);
    assert_eq!(crate::support::read_all(&mut client.accept(&listener)), b"content");
    assert_eq!(client.read_reply().code, 226);
}

/// A kernel without Landlock: `best` goes on and says so, `require` does not begin.
#[test]
fn what_the_kernel_lacks_is_told() {
    let tree = Tree::new();
    let lacking = |args: &[&str]| without(&[libc::SYS_landlock_create_ruleset], Server::command(tree.path(), args));
    let (code, _, stderr) = lacking(&["--check", "--sandbox", "require"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("--sandbox require: files cannot be fenced in: this kernel has no Landlock"), "{stderr}");
    for args in [&["--check"][..], &["--check", "--sandbox", "best"]] {
        let (code, stdout, stderr) = lacking(args);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.contains("sandbox: files not fenced in (this kernel has no Landlock"), "{stdout}");
        assert!(stdout.contains("), system calls by seccomp\n"), "{stdout}");
    }
    let lacking = |args: &[&str]| without(&[libc::SYS_seccomp], Server::command(tree.path(), args));
    let (code, _, stderr) = lacking(&["--check", "--sandbox", "require"]);
    assert!(code == Some(1) && stderr.contains("--sandbox require: system calls cannot be filtered: "), "{stderr}");
    let (_, stdout, _) = lacking(&["--check"]);
    assert!(stdout.contains(", system calls not filtered (this kernel takes no filter of system calls: "), "{stdout}");
    let (_, stdout, _) = without(&[], Server::command(tree.path(), &["--check", "--sandbox", "off"]));
    assert!(stdout.contains("; sandbox: off\n"), "{stdout}");
    let (code, said) = refused(tree.path(), &["--sandbox", "perhaps"]);
    assert!(code == Some(2) && said.contains("use best, require or off"), "{said}");
}
