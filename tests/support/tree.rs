//! A directory of the host that exists for the length of one test.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

/// A new directory with a name of its own; it goes with all that is in it when it is dropped.
#[derive(Debug)]
pub struct Tree {
    path: PathBuf,
}

impl Tree {
    /// Makes the directory.
    pub fn new() -> Tree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("ferryd-test-{}-{count}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Tree { path },
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
        self
    }

    /// Makes a file of `size` zeros that takes no room on the disk.
    pub fn sparse(&self, name: impl AsRef<[u8]>, size: u64) -> &Tree {
        let path = self.at(name);
        self.make_parent(&path);
        fs::File::create(path).and_then(|file| file.set_len(size)).unwrap();
        self
    }

    /// Makes a directory, and those above it.
    pub fn directory(&self, name: impl AsRef<[u8]>) -> &Tree {
        fs::create_dir_all(self.at(name)).unwrap();
        self
    }

    /// Makes a symbolic link.
    pub fn link(&self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &Tree {
        let path = self.at(name);
        self.make_parent(&path);
        std::os::unix::fs::symlink(OsStr::from_bytes(target.as_ref()), path).unwrap();
        self
    }

    /// Makes a FIFO, which nobody reads or writes.
    pub fn fifo(&self, name: impl AsRef<[u8]>) -> &Tree {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let path = self.at(name);
        self.make_parent(&path);
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
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
            fs::create_dir_all(parent).unwrap();
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // A test that fails already must not fail twice.
        let _ = fs::remove_dir_all(&self.path);
    }
}
