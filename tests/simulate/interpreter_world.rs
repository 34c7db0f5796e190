//! The tree and the users of a simulated session.

use super::*;

/// What sessions are played on: it serves one after the other, and is made anew where one has changed it.
pub struct World {
    pub(super) tree: Tree,
    pub(super) disks: Arc<Disks>,
    pub(super) format: Arc<Format>,
}

impl World {
    pub fn new() -> World {
        let disks = Arc::new(Disks::probe(Symlinks::Inside).expect("the kernel has openat2"));
        let format = Arc::new(Format { owners: Owners::load(), process: ProcessIds::current() });
        let world = World { tree: Tree::new(), disks, format };
        world.tree.file("canary", "alive").file("outside/canary", "alive");
        world.grow();
        world
    }

    fn grow(&self) {
        let tree = &self.tree;
        tree.file("root/a.txt", "hello").directory("root/d").file("root/d/x", "x").file("root/c\rd", "");
        tree.link("root/out", "../outside").file(b"root/n\xffm", "").file("root/big", [b'b'; 100]);
    }

    pub(super) fn renew(&self) {
        std::fs::remove_dir_all(self.tree.at("root")).unwrap();
        self.grow();
        self.assert_untouched();
    }

    /// What no session may reach.
    pub(super) fn assert_untouched(&self) {
        for canary in ["canary", "outside/canary"] {
            assert_eq!(self.tree.read(canary).as_deref(), Some(&b"alive"[..]), "{canary}");
        }
        let count = |name: &str| std::fs::read_dir(self.tree.at(name)).unwrap().count();
        assert_eq!((count(""), count("outside")), (3, 1), "something was made outside the root");
    }

    pub(super) fn root(&self) -> Root {
        let mut root = Root::open(&self.tree.at("root"), &self.disks, Patience::MayWait).expect("the root is there");
        root.set_patience(Patience::CachedOnly);
        root
    }

    pub(super) fn account(&self, credentials: &Credentials) -> Option<(Account, Root)> {
        let name = String::from_utf8(credentials.user.clone()).ok()?;
        let right = matches!(&credentials.proof, Proof::Password(password) if password.expose() == b"secret");
        let rights = Rights::parse(Some(name.as_str()).filter(|name| ["rw", "ro", "upload"].contains(name))?).ok()?;
        let root = self.tree.at("root");
        right.then(|| (Account { name, rights, root, anonymous: false, rate: None }, self.root()))
    }
}
