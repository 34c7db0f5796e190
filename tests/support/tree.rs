//! A directory of the host that exists for the length of one test.
//!
//! Where root runs the tests, the servers become nobody (`--run-as`), and everything that a tree makes is nobody's: so
//! they find what an operator's server finds. What a test makes by itself is root's, unless it says [`give_to_server`].

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use ferryd::confine::{Identity, RunAs};
use ferryd::sys::ProcessIds;

/// Gives `path`, which may be a link, to the user as whom a server works that root starts.
pub fn give_to_server(path: &Path) {
    static USER: OnceLock<Option<Identity>> = OnceLock::new();
    let user = USER.get_or_init(|| RunAs::decide(None, &ProcessIds::current()).unwrap().other().cloned());
    if let Some(user) = user {
        lchown(path, Some(user.uid), Some(user.gid)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// A new directory with a name of its own; it goes with all that is in it when it is dropped.
#[derive(Debug)]
pub struct Tree {
    path: PathBuf,
}

impl Tree {
    /// Makes the directory.
    pub fn new() -> Tree {
        Tree::new_in(&std::env::temp_dir())
    }

    /// Makes it in memory, where there is such a place: for what a disk takes long to make.
    pub fn new_in_memory() -> Tree {
        let memory = Path::new("/dev/shm");
        let usable = rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
        if usable { Tree::new_in(memory) } else { Tree::new() }
    }

    fn new_in(place: &Path) -> Tree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = place.join(format!("ferryd-test-{}-{count}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    give_to_server(&path);
                    return Tree { path };
                }
                // A process of the same number was killed before it could clean up.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path on the host of `name`, which is octets.
    pub fn at(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.as_ref()))
    }

    /// Writes a file; the directories above it are made where they are missing.
    pub fn file(&self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> &Tree {
        let path = self.at(name);
        self.make_parent(&path);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        give_to_server(&path);
        self
    }

    /// Makes a file of `size` zeros that takes no room on the disk.
    pub fn sparse(&self, name: impl AsRef<[u8]>, size: u64) -> &Tree {
        let path = self.at(name);
        self.make_parent(&path);
        fs::File::create(&path).and_then(|file| file.set_len(size)).unwrap();
        give_to_server(&path);
        self
    }

    /// Makes a directory, and those above it.
    pub fn directory(&self, name: impl AsRef<[u8]>) -> &Tree {
        self.make(&self.at(name));
        self
    }

    /// Makes a symbolic link.
    pub fn link(&self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &Tree {
        let path = self.at(name);
        self.make_parent(&path);
        std::os::unix::fs::symlink(OsStr::from_bytes(target.as_ref()), &path).unwrap();
        give_to_server(&path);
        self
    }

    /// Makes a FIFO, which nobody reads or writes.
    pub fn fifo(&self, name: impl AsRef<[u8]>) -> &Tree {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let path = self.at(name);
        self.make_parent(&path);
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        give_to_server(&path);
        self
    }

    /// Sets when a file was changed, in seconds since 1970.
    pub fn modified(&self, name: impl AsRef<[u8]>, seconds: u64) -> &Tree {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::open(self.at(name)).and_then(|file| file.set_modified(time)).unwrap();
        self
    }

    /// What is in a file; nothing where there is none.
    pub fn read(&self, name: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        fs::read(self.at(name)).ok()
    }

    fn make_parent(&self, path: &Path) {
        if let Some(parent) = path.parent() {
            self.make(parent);
        }
    }

    /// Makes the directories down to `path` that are missing.
    fn make(&self, path: &Path) {
        let missing: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
        for directory in missing.into_iter().rev() {
            match fs::create_dir(directory) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => made.unwrap_or_else(|error| panic!("{}: {error}", directory.display())),
            }
            give_to_server(directory);
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // A test that fails already must not fail twice.
        let _ = fs::remove_dir_all(&self.path);
    }
}
