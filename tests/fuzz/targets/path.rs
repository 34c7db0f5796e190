//! Pathnames: `directory NUL name`. What they resolve to has no `..`, and the kernel finds nothing outside the root.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ferryd::fs::{Disks, Patience, Root, Symlinks, VirtualPath};

use super::{shown, two};
use crate::support::Tree;

const OCTETS_MAX: usize = 4_095;

pub fn run(octets: &[u8]) {
    let (directory, name) = two(octets);
    let base = VirtualPath::root().join(directory).unwrap_or(VirtualPath::root()).normalized();
    let Ok(path) = base.join(name) else {
        let too_long = name.len() + 1 + base.as_bytes().len() > OCTETS_MAX;
        assert!(name.is_empty() || name.contains(&0) || too_long, "refused: {}", shown(octets));
        return;
    };
    assert!(!name.is_empty() && !name.contains(&0), "taken: {}", shown(octets));
    check(&path);
    check(&base);
    let whole = if name.starts_with(b"/") { name.to_vec() } else { [base.as_bytes(), b"/", name].concat() };
    assert_eq!(path.normalized().as_bytes(), lexical(&whole), "{}", shown(octets));
    assert_eq!(VirtualPath::root().join(path.as_bytes()).as_ref(), Ok(&path), "resolved twice");
    stays_inside(&path);
}

fn check(path: &VirtualPath) {
    let octets = path.as_bytes();
    let (inner, shown) = (octets.strip_prefix(b"/").expect("it begins with a slash"), shown(octets));
    assert!(octets.len() <= OCTETS_MAX && !octets.contains(&0), "{shown}");
    let inner = inner.strip_suffix(b"/").unwrap_or(inner);
    let good = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    assert!(inner.is_empty() || inner.split(|octet| *octet == b'/').all(good), "{shown}");
    let normalized = path.normalized();
    assert!(normalized.as_bytes() == b"/" || !normalized.means_directory(), "{shown}");
    match path.split() {
        None => assert_eq!(octets, b"/"),
        Some((parent, leaf)) => {
            assert!(parent.means_directory() && !leaf.contains(&b'/') && good(leaf), "{shown}");
            assert_eq!(parent.child(leaf), normalized, "{shown}");
        }
    }
}

/// `..` taken out by name, with the names in a list.
fn lexical(octets: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in octets.split(|octet| *octet == b'/') {
        if name == b".." {
            names.pop();
        } else if !name.is_empty() && name != b"." {
            names.push(name);
        }
    }
    [b"/", names.join(&b'/').as_slice()].concat()
}

/// A root with all that leads out of one, and the inodes in it.
struct World {
    tree: Tree,
    root: Root,
    inside: BTreeSet<u64>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let tree = Tree::new();
        tree.file("secret", "out").file("outside/canary", "out").file("root-2/x", "out");
        tree.file("root/a", "in").file("root/d/e/f", "in").directory("root/d/g");
        tree.link("root/up", "..").link("root/d/up", "../../..").link("root/out", "../outside").link("root/self", ".");
        tree.link("root/abs", "/").link("root/etc", "/etc").link("root/loop", "loop").link("root/d/in", "../a");
        let disks = Arc::new(Disks::probe(Symlinks::Inside).expect("the kernel has openat2"));
        let root = Root::open(&tree.at("root"), &disks, Patience::MayWait).expect("the root is there");
        let mut inside = BTreeSet::new();
        gather(&tree.at("root"), &mut inside);
        World { tree, root, inside }
    })
}

fn gather(path: &Path, inodes: &mut BTreeSet<u64>) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    inodes.insert(metadata.ino());
    if metadata.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| gather(&entry.unwrap().path(), inodes));
    }
}

fn stays_inside(path: &VirtualPath) {
    let World { tree, root, inside } = world();
    assert!(tree.at("secret").exists());
    let mut root = root.clone();
    for patience in [Patience::CachedOnly, Patience::MayWait] {
        root.set_patience(patience);
        let source = root.open_source(path).map(|source| source.facts().inode);
        let directory = root.open_directory(path).map(|directory| directory.own_facts().inode);
        let followed = root.facts(path).map(|facts| facts.inode);
        let link = root.link_facts(path).map(|facts| facts.inode);
        for found in [source, directory, followed, link].into_iter().flatten() {
            assert!(inside.contains(&found), "{} leads out of the root", shown(path.as_bytes()));
        }
    }
}
