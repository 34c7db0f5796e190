//! The clients that people have, against the real server: what they send and fetch is compared with what is on disk.
//!
//! A client that is not installed is not tested, and its tests say so; with CI=true in the environment they fail
//! instead (`.ci/run` installs them all).

#[path = "clients/curl.rs"]
mod curl;
#[path = "clients/lftp.rs"]
mod lftp;
#[path = "clients/others.rs"]
mod others;
#[path = "clients/python.rs"]
mod python;
mod support;
#[path = "clients/tls.rs"]
mod tls;
#[path = "clients/tls_openssl.rs"]
mod tls_openssl;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::{Server, Tree};

/// How long a client may take, in seconds.
const CLIENT_SECONDS: &str = "60";

/// The command `program`; nothing where it is not installed, which the test says. It is killed if it hangs.
fn client(program: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|directory| directory.join(program).is_file()) {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", CLIENT_SECONDS, program]).env("LC_ALL", "C.UTF-8").env("HOME", "/nonexistent");
        command.stdin(Stdio::null());
        return Some(command);
    }
    support::cannot(&format!("{program} is not installed"));
    None
}

/// Runs a client, which must succeed; what it wrote to standard output.
fn run(command: &mut Command) -> Vec<u8> {
    let output = run_any(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, shown(&output));
    output.stdout
}

/// Runs a client to its end, whatever that is.
fn run_any(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Serves `tree` to the user `u`, who may do everything.
fn serve(tree: &Tree, listen: &str) -> Server {
    Server::start(tree.path(), &["--user", "u:secret", "--listen", listen])
}

/// Octets that look like nothing.
fn noise(length: usize) -> Vec<u8> {
    support::noise(length, length as u64)
}

/// Every file and directory beneath `root` with its content.
fn contents(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                found.insert(name, None);
                pending.push(path);
            } else {
                found.insert(name, Some(fs::read(&path).unwrap()));
            }
        }
    }
    found
}

/// Fails with the names in which two trees differ.
fn assert_same(one: &Path, other: &Path, what: &str) {
    let (one, other) = (contents(one), contents(other));
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differing: Vec<_> = names.into_iter().filter(|name| one.get(*name) != other.get(*name)).collect();
    assert!(differing.is_empty(), "{what}: the trees differ in {differing:?}");
}

/// Names that people have, and that servers and clients stumble over.
const ODD_NAMES: &[&str] = &[
    "plain",
    "with space",
    " leading",
    "[brackets]",
    "{braces}",
    "star*and?",
    "per%20cent",
    "hash#tag",
    "Gr\u{fc}\u{df}e",
    "\u{65e5}\u{672c}\u{8a9e}",
    "quo'te",
    "dou\"ble",
    "back\\slash",
    "semi;colon",
    "am&persand",
    "-dash",
    "~tilde",
    ".hidden",
    "plus+equals=",
];

/// Fills `directory` of `tree` with a file under each odd name, empty and large ones, and directories of them.
fn fill(tree: &Tree, directory: &str) {
    for (number, name) in ODD_NAMES.iter().enumerate() {
        tree.file(format!("{directory}/{name}"), noise(number * 1_000));
        tree.file(format!("{directory}/in {name}/{name}"), name.as_bytes());
    }
    tree.file(format!("{directory}/empty"), "").file(format!("{directory}/large"), noise(3_000_000));
    tree.directory(format!("{directory}/deep/deeper/deepest"));
}
