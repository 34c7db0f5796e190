//! System calls: those that a server of files needs, and no others, for every thread.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use ferryd::fs::Setting;
use nix::libc;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{Signal, Uid, getpid, kill_process};
use rustix::thread::set_thread_uid;

use super::files::landlock;
use super::{Grants, Names, Rights, Sandbox, Uploads, common_status, confine, confine_to, run_confined, status, text};
use crate::support::{Client, Server, Tree};

/// Confines this process as one that looks names up, which may have sockets of this machine, and calls another one.
fn call_another(name: &str) {
    let grants = Grants {
        files: vec![],
        logs: vec![],
        names: Names::LookedUp,
        uploads: Uploads::InPlace,
        setting: Setting::ByName,
        ports: None,
    };
    confine(Sandbox::Best, &grants, std::iter::empty(), Rights::READ_ONLY).unwrap();
    let called = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap());
    println!("called: {:?}", called.map(drop).map_err(|error| error.kind()));
}

/// Confines this process, and does what is not allowed.
pub fn confined(what: &str) {
    if let Some(name) = what.strip_prefix("call ") {
        return call_another(name);
    }
    let directory = std::env::temp_dir();
    // Another thread that is there already is confined as well.
    let (begin, wait) = std::sync::mpsc::channel::<()>();
    let earlier = std::thread::spawn(move || wait.recv().map(|()| attempts()));
    confine_to(&directory, "ro", Setting::ByName, Vec::new(), Vec::new());
    match what {
        "deny" => {
            let tell = |attempts: Vec<(&str, io::Result<()>)>| {
                for (what, outcome) in attempts {
                    let outcome = outcome.map_or_else(|error| error.to_string(), |()| "yes".to_owned());
                    println!("tried {what}: {outcome}");
                }
            };
            tell(attempts());
            begin.send(()).unwrap();
            tell(earlier.join().unwrap().unwrap());
            tell(std::thread::spawn(attempts).join().unwrap());
        }
        "execve" => panic!("{}", Command::new("/bin/true").exec()),
        "chroot" => panic!("{:?}", rustix::process::chroot("/")),
        "setuid" => panic!("{:?}", set_thread_uid(Uid::ROOT)),
        _ => panic!("{what}"),
    }
}

/// What is answered as if the kernel did not have it.
fn attempts() -> Vec<(&'static str, io::Result<()>)> {
    let socket = |family, kind| Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None).map(drop)?);
    vec![
        ("a process", Command::new("/bin/true").spawn().map(drop)),
        ("UDP", socket(AddressFamily::INET, SocketType::DGRAM)),
        ("a raw socket", socket(AddressFamily::INET, SocketType::RAW)),
        ("a socket of this machine", socket(AddressFamily::UNIX, SocketType::STREAM)),
        ("a socket of the kernel", socket(AddressFamily::NETLINK, SocketType::RAW)),
        ("a signal", Ok(()).and_then(|()| Ok(kill_process(getpid(), Signal::CONT)?))),
        ("a directory", Ok(()).and_then(|()| Ok(rustix::fs::mkdir("x", rustix::fs::Mode::empty())?))),
        ("a link", std::fs::hard_link("/etc/passwd", "x")),
        // And what is still there.
        ("TCP", socket(AddressFamily::INET, SocketType::STREAM)),
        ("TCP over IPv6", socket(AddressFamily::INET6, SocketType::STREAM)),
        ("a thread", std::thread::Builder::new().spawn(|| ()).map(drop)),
        ("a panic", std::panic::catch_unwind(|| panic!("on purpose")).map_err(|_| io::Error::other("caught"))),
    ]
}

#[test]
fn every_thread_of_the_server_is_filtered() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = Server::start(tree.path(), &["--user", "u:secret"]);
    Client::login(server.address(), "u", "secret");
    assert!(status(&server, "Seccomp").len() >= 2, "the loop and the log");
    assert_eq!(common_status(&server, "Seccomp"), "2");
    assert_eq!(common_status(&server, "NoNewPrivs"), "1");
    assert!(server.output().contains(", system calls by seccomp\n"), "{}", server.output());
    let server = Server::start(tree.path(), &["--user", "u:secret", "--sandbox", "off"]);
    assert_eq!(common_status(&server, "Seccomp"), "0");
}

#[test]
fn what_is_not_needed_is_not_there() {
    let output = run_confined("calls:deny");
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}{told}");
    let tried: Vec<(&str, &str)> =
        said.lines().filter_map(|line| line.strip_prefix("tried ")?.split_once(": ")).collect();
    assert_eq!(tried.len(), 3 * 12, "{said}{told}");
    for (what, outcome) in tried {
        let expected = match what {
            "TCP" | "TCP over IPv6" | "a thread" => "yes",
            "a panic" => "caught",
            _ => "Function not implemented (os error 38)",
        };
        assert_eq!(outcome, expected, "{what}");
    }
}

#[test]
fn what_only_an_intruder_tries_ends_the_process() {
    for what in ["execve", "chroot", "setuid"] {
        let output = run_confined(&format!("calls:{what}"));
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{what}: {output:?}");
    }
}

/// A name that is no file's (unix(7)) is not a matter of files: a desktop's or a container's daemon may have one.
#[test]
fn sockets_without_a_file_are_out_of_reach() {
    // Linux 6.12 is the first that keeps a process from them.
    if landlock("sockets_without_a_file_are_out_of_reach").is_none_or(|version| version < 6) {
        return;
    }
    let name = format!("ferryd-test-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let output = run_confined(&format!("calls:call {name}"));
    let said = text(&output.stdout);
    assert!(said.contains("called: Err(PermissionDenied)"), "{said}{}", text(&output.stderr));
}
