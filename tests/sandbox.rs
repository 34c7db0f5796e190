//! The sandbox, from outside: no command, link, race or name leads out of a user's root, and what is not a regular file
//! is not touched. Whatever a test could reach by mistake holds the canary.

#[path = "sandbox/absolute.rs"]
mod absolute;
#[path = "sandbox/commands.rs"]
mod commands;
#[path = "sandbox/escape.rs"]
mod escape;
#[path = "sandbox/gate.rs"]
mod gate;
#[path = "sandbox/hard.rs"]
mod hard;
#[path = "sandbox/names.rs"]
mod names;
#[path = "sandbox/race.rs"]
mod race;
#[path = "sandbox/special.rs"]
mod special;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use support::{Server, Tree, login};

/// What stands in every file that nobody may read.
const CANARY: &str = "canary-5c1d0f";
/// A name that is only found outside.
const MARK: &str = "mark-77e2a9";
/// When everything outside was modified, in seconds since 1970, and how large its files are: what SIZE, MDTM, MLST and
/// the listings would tell of it.
const MARK_TIME: u64 = 1_000_000_000;
const MARK_OCTETS: usize = 54_321;
/// What these look like in a fact, a reply, and a line of a listing.
const MARK_FACTS: &[&str] = &["20010909014640", "Sep  9  2001", "213 54321", "ize=54321;", " 54321 "];

/// Every policy for links, each with the sandbox that the kernel has and without: what resolves names must hold by
/// itself, and Landlock must not hide that it does not.
const POLICIES: [[&str; 4]; 4] = [
    ["--symlinks", "inside", "--sandbox", "off"],
    ["--symlinks", "none", "--sandbox", "off"],
    ["--symlinks", "inside", "--sandbox", "best"],
    ["--symlinks", "none", "--sandbox", "best"],
];

/// A root with a world around it: `srv` is served; `out`, and the sibling `srv_x` whose name begins alike, are not.
fn world() -> Tree {
    let tree = Tree::new();
    tree.file("srv/f", "inside").file("srv/d/f", "inside d");
    let secret = CANARY.repeat(MARK_OCTETS.div_ceil(CANARY.len()));
    let secret = &secret[..MARK_OCTETS];
    tree.file(MARK, secret).modified(MARK, MARK_TIME);
    for outside in ["out", "srv_x"] {
        let files = [MARK, "secret", "d/f"].map(|name| format!("{outside}/{name}"));
        let marked = format!("{outside}/d/{MARK}");
        for name in files.iter().chain([&marked]) {
            tree.file(name, secret).modified(name, MARK_TIME);
        }
        tree.modified(format!("{outside}/d"), MARK_TIME).modified(outside, MARK_TIME);
    }
    tree
}

/// Serves `srv` of `world` to the user `u`, who may do everything. Unless `args` want one, there is no fence around the
/// process, which would hide what leads out of a root: that is tested in `tests/confinement.rs`.
fn serve(world: &Tree, args: &[&str]) -> Server {
    let fence: &[&str] = if args.contains(&"--sandbox") { &[] } else { &["--sandbox", "off"] };
    Server::start(&world.at("srv"), &[&["--user", "u:secret"], fence, args].concat())
}

/// All that a command could have changed: names, kinds, modes, sizes, times and contents of a tree.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let facts = fs::symlink_metadata(&path).unwrap();
            let content = if facts.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            if facts.is_dir() {
                pending.push(path.clone());
            }
            // What stands in a directory decides its size, and reading changes no modification time.
            let size = if facts.is_dir() { 0 } else { facts.size() };
            found.insert(path, (facts.mode(), size, facts.mtime(), content));
        }
    }
    found
}

/// Whether `octets` hold anything that only stands outside, or that is only so there.
fn has_canary(octets: &[u8]) -> bool {
    let mut words = [CANARY, MARK].iter().chain(MARK_FACTS);
    words.any(|word| octets.windows(word.len()).any(|window| window == word.as_bytes()))
}
