//! Least privilege, from outside: as whom the server works, what it may touch, and what it may ask of the kernel.

#[path = "confinement/calls.rs"]
mod calls;
#[path = "confinement/exposed.rs"]
mod exposed;
#[path = "confinement/files.rs"]
mod files;
#[path = "confinement/run_as.rs"]
mod run_as;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferryd::account::Rights;
use ferryd::confine::{Grants, Names, Sandbox, confine};
use ferryd::fs::{Disks, Patience, Root, Setting, Symlinks, Uploads};
use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use support::{PATIENCE, Server, did_not_run};

/// Whether root runs the tests; where not, says that `test` did not run.
fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        did_not_run(format_args!("{test} did not run: it takes root"));
    }
    root
}

/// A line of /proc/PID/status of every thread of the server.
fn status(server: &Server, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("the server runs");
    let line = |path: &Path| {
        let text = fs::read_to_string(path.join("status")).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Some(value.unwrap_or_else(|| panic!("no {name} in {text}")).split_whitespace().collect::<Vec<_>>().join(" "))
    };
    // A helper may have left in between.
    tasks.filter_map(|task| line(&task.unwrap().path())).collect()
}

/// The same, for what all of them must have alike.
fn common_status(server: &Server, name: &str) -> String {
    let mut values = status(server, name);
    values.dedup();
    assert_eq!(values.len(), 1, "{name} differs among threads: {values:?}");
    values.remove(0)
}

/// Waits for what must come.
fn wait_until(what: &str, come: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !come() {
        assert!(Instant::now() < deadline, "it does not come: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Text that a program wrote.
fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// Runs the server to its end, which comes before it serves.
fn refused(directory: &Path, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Server::command(directory, args).output().unwrap();
    (status.code(), text(&stderr))
}

/// The variable that tells a process of this test, run once more, what to do.
const PART: &str = "FERRYD_TEST_CONFINED";

/// Runs this program again, to do what `part` says in a process of its own, which may confine itself and die.
fn run_confined(part: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "confined", "--ignored", "--nocapture", "--test-threads=1"]).env(PART, part);
    command.output().unwrap()
}

/// Not a test, but what [`run_confined`] runs.
#[test]
#[ignore = "other tests run it, in a process of its own"]
fn confined() {
    let Ok(part) = std::env::var(PART) else { return };
    // The harness has begun a line.
    println!();
    match part.split_once(':') {
        Some(("files", argument)) => files::confined(argument),
        Some(("calls", argument)) => calls::confined(argument),
        _ => panic!("{part}"),
    }
}

/// Confines this process as a server is that serves one directory, with these rights.
fn confine_to(directory: &Path, rights: &str, setting: Setting, files: Vec<PathBuf>, logs: Vec<PathBuf>) {
    let rights = Rights::parse(rights).unwrap();
    let disks = Arc::new(Disks::probe(Symlinks::Inside).unwrap());
    let root = Root::open(directory, &disks, Patience::MayWait).unwrap();
    let grants = Grants { files, logs, names: Names::Never, uploads: Uploads::InPlace, setting, ports: Some(vec![0]) };
    confine(Sandbox::Best, &grants, [(root, rights)].into_iter(), rights).unwrap();
}

/// Runs a program on a kernel that seems to lack some system calls: its exit code, and what it wrote.
fn without(calls: &[i64], mut command: Command) -> (Option<i32>, String, String) {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let lacking = SeccompAction::Errno(libc::ENOSYS as u32);
    let machine = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, lacking, machine).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    // A filter is a thread's, and of the programs that it starts.
    let run = move || {
        seccompiler::apply_filter(&filter).unwrap();
        command.output().unwrap()
    };
    let Output { status, stdout, stderr } = std::thread::spawn(run).join().unwrap();
    (status.code(), text(&stdout), text(&stderr))
}
