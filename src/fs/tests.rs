//! Whichever way a name is resolved (by who may wait, from the cache, in a directory in memory), it is one beneath the
//! root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Disks, Error, Patience, Placement, Root, Setting, Symlinks, Uploads, VirtualPath};

/// What stands outside, and how long that is.
const SECRET: &str = "what nobody may read";

/// A root `srv` and, beside it, `out`; it goes when it is dropped.
struct World(PathBuf);

impl World {
    fn new_in(place: &Path) -> World {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let world = place.canonicalize().unwrap().join(format!("ferryd-fs-{}-{count}", std::process::id()));
        for directory in ["srv/d", "out/d"] {
            fs::create_dir_all(world.join(directory)).unwrap();
        }
        fs::write(world.join("srv/f"), "inside").unwrap();
        fs::write(world.join("out/secret"), SECRET).unwrap();
        for (name, target) in
            [("absolute", world.join("out")), ("relative", "../out".into()), ("d/up", "../../out".into())]
        {
            symlink(target, world.join("srv").join(name)).unwrap();
        }
        symlink(world.join("out/secret"), world.join("srv/file")).unwrap();
        symlink("../out/secret", world.join("srv/relative-file")).unwrap();
        World(world)
    }

    /// Names that would be those of things outside, were the root not where they begin and end.
    fn outward(&self) -> Vec<String> {
        let out = self.0.join("out").display().to_string();
        // The absolute ones first: they tell most.
        let mut names: Vec<String> = Vec::new();
        for directory in [out.as_str(), "absolute", "relative", "d/up"] {
            names.extend(["/secret", "", "/", "/d", "/new"].map(|name| format!("{directory}{name}")));
        }
        names.extend(["file", "relative-file"].map(str::to_owned));
        names
    }

    /// All names outside, and what is in the file.
    fn outside(&self) -> (Vec<String>, String, u32) {
        use std::os::unix::fs::MetadataExt;
        let names = fs::read_dir(self.0.join("out")).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let secret = self.0.join("out/secret");
        (names, fs::read_to_string(&secret).unwrap(), fs::metadata(secret).unwrap().mode())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// On a disk, if the directory for temporary files is on one, and in memory, where there is such a place: the cache of
/// the kernel knows other things of each.
fn worlds() -> Vec<World> {
    let memory = Path::new("/dev/shm");
    let places = [Some(std::env::temp_dir()), memory.is_dir().then(|| memory.to_owned())];
    places.into_iter().flatten().map(|place| World::new_in(&place)).collect()
}

/// Every way of looking at what a name means, links followed; and whether there is something.
fn looks(root: &Root, path: &VirtualPath) -> Vec<(&'static str, Result<(), Error>)> {
    vec![
        ("facts", root.facts(path).map(drop)),
        ("enter", root.enter(path)),
        ("open", root.open_source(path).map(drop)),
        ("list", root.open_directory(path).map(drop)),
        ("free space", root.free_space(path).map(drop)),
        ("may it be written on", root.may_store(path, Placement::At(1))),
    ]
}

/// Every way of changing it; and whether it was changed.
///
/// Where the name itself is that of a link inside (`is_link`), that may be renamed, or replaced by an atomic upload.
fn changes(root: &Root, path: &VirtualPath, is_link: bool) -> Vec<(&'static str, Result<(), Error>)> {
    let inside = VirtualPath::root().join(b"f").unwrap();
    let mut all = vec![
        ("mode", root.set_mode(path, 0o600)),
        ("time", root.set_modified(path, 0, 0).map(drop)),
        ("append", root.open_target(path, Placement::Append, 0o600).map(drop)),
        ("write on", root.open_target(path, Placement::At(1), 0o600).map(drop)),
    ];
    if !is_link {
        all.extend([
            ("facts of a link", root.link_facts(path).map(drop)),
            ("may it be made", root.may_store(path, Placement::New)),
            ("write", root.open_target(path, Placement::Truncate, 0o600).map(drop)),
            ("make", root.open_target(path, Placement::New, 0o600).map(drop)),
            ("make a directory", root.make_directory(path, 0o700)),
            ("rename to", root.rename(&inside, path, true)),
            ("rename", root.rename(path, &inside, true)),
            ("remove", root.remove_file(path)),
            ("remove a directory", root.remove_directory(path)),
        ]);
    }
    all
}

/// Fails if anything came of trying every name. All are looked at before one is changed: were the root not where names
/// begin, the tests of root must not change this machine.
fn is_within(world: &World, root: &Root) {
    let names = world.outward();
    let path = |name: &String| VirtualPath::root().join(name.as_bytes()).unwrap();
    let looked = names.iter().map(|name| (name, looks(root, &path(name))));
    let changed = names.iter().map(|name| {
        let is_link = world.0.join("srv").join(name.trim_end_matches('/')).is_symlink();
        (name, changes(root, &path(name), is_link))
    });
    for (name, attempts) in looked.chain(changed) {
        for (what, done) in attempts {
            assert!(done.is_err(), "{what} {name}, {:?}: done", root.patience());
        }
    }
}

#[test]
fn no_way_of_looking_a_name_up_leads_out() {
    for world in worlds() {
        let before = world.outside();
        for symlinks in [Symlinks::Inside, Symlinks::None] {
            for (uploads, setting) in [(Uploads::InPlace, Setting::ByName), (Uploads::Atomic, Setting::ByDescriptor)] {
                let disks = Disks::probe(symlinks).unwrap().with_uploads(uploads).with_setting(setting);
                let disks = Arc::new(disks);
                // Opened where it may wait, so that the device is known on the loop as well.
                let mut root = Root::open(&world.0.join("srv"), &disks, Patience::MayWait).unwrap();
                // After who may wait has looked, the cache knows more.
                for patience in [Patience::CachedOnly, Patience::MayWait, Patience::CachedOnly] {
                    root.set_patience(patience);
                    is_within(&world, &root);
                }
                assert_eq!(world.outside(), before);
                // That nothing is found would prove little if nothing could be.
                let inside = VirtualPath::root().join(b"f").unwrap();
                assert!(root.facts(&inside).is_ok_and(|facts| facts.size == 6));
            }
        }
    }
}
