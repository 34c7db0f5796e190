//! The parent of one server: it starts it, adopts its orphans, and ends all of it when the bench goes away.
//!
//! It is this program again, with a hidden argument. Some servers leave a session to init when its parent ends first
//! (pure-ftpd does); here the keeper is their init (`PR_SET_CHILD_SUBREAPER`), so that their CPU time is found. It
//! reads standard input, and when that ends, also because the bench was killed, it kills every process below it.

use std::io::Read;
use std::process::{Command, Stdio, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getrlimit, kill_process, setrlimit, wait};

use crate::group;
use crate::tree::Tree;

/// Whether the bench has gone away.
static ENDING: AtomicBool = AtomicBool::new(false);

/// The first argument that makes this program a keeper.
pub const ARGUMENT: &str = "--keeper";

/// `DESCRIPTORS MOUNT PROGRAM ARGUMENTS`; MOUNT is unmounted at the end, unless it is empty.
pub fn run(arguments: &[String]) -> ! {
    let [descriptors, mount, program, arguments @ ..] = arguments else { panic!("the bench calls it otherwise") };
    rustix::process::set_child_subreaper(Some(getpid())).expect("a subreaper");
    limit_descriptors(descriptors.parse().expect("a number"));
    group::enter(std::process::id());
    let started = Command::new(program).args(arguments).stdin(standard_output()).spawn();
    group::leave();
    if let Err(error) = started {
        group::remove(std::process::id());
        println!("{program}: {error}");
        exit(1);
    }
    let mount = mount.clone();
    thread::spawn(move || {
        // Nothing is ever written: this waits for the end.
        let _ = std::io::stdin().read(&mut [0]);
        end_all(&mount);
    });
    while let Ok(_) | Err(rustix::io::Errno::INTR) = wait(WaitOptions::empty()) {}
    // No child is left. Where the bench asked for that, the other thread has the rest to do.
    while ENDING.load(Ordering::Relaxed) {
        thread::park();
    }
    group::remove(std::process::id());
    exit(1);
}

/// vsftpd and pure-ftpd tell their complaints to descriptor 0.
fn standard_output() -> Stdio {
    use std::os::fd::AsFd;
    std::io::stdout().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from)
}

fn limit_descriptors(descriptors: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum.map_or(descriptors, |maximum| maximum.min(descriptors));
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum });
}

fn end_all(mount: &str) -> ! {
    ENDING.store(true, Ordering::Relaxed);
    let tree = Tree::below(std::process::id());
    loop {
        let members = tree.members();
        if members.is_empty() {
            break;
        }
        for pid in members.into_iter().filter_map(|pid| Pid::from_raw(pid as i32)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(5));
    }
    group::remove(std::process::id());
    if !mount.is_empty() {
        let _ = Command::new("umount").args(["-l", mount]).stdin(Stdio::null()).status();
    }
    exit(0);
}
