//! The sandbox: names, files and directories beneath the root of a user.
//!
//! The kernel resolves every name (`openat2`, `RESOLVE_IN_ROOT`), so that `..`, links and races cannot lead out of the
//! root. And the kernel says whether it would wait (`RESOLVE_CACHED`): with [`Patience::CachedOnly`] nothing here
//! waits for a disk, a network or a daemon, but answers [`Error::WouldWait`] before anything has changed.

mod change;
mod device;
mod directory;
mod file;
pub mod glob;
mod owners;
mod path;
mod root;
mod unfinished;

use std::fmt;

pub use device::{Disks, Waits};
pub use directory::Directory;
pub use file::{Source, Target};
pub use owners::{Owner, Owners};
pub use path::{PathError, VirtualPath};
pub use root::{Need, Root};
pub use rustix::io::Errno;
pub use unfinished::Unwanted;

pub use crate::sys::ProcessIds;

impl ProcessIds {
    /// Whether the modes let this process read a file or list a directory.
    pub fn can_read(&self, facts: &Facts) -> bool {
        self.allowed(4, facts.mode, facts.uid, facts.gid)
    }

    /// Whether they let it write a file, or make and remove names in a directory.
    pub fn can_write(&self, facts: &Facts) -> bool {
        self.allowed(2, facts.mode, facts.uid, facts.gid)
    }

    /// Whether they let it go through a directory.
    pub fn can_execute(&self, facts: &Facts) -> bool {
        self.allowed(1, facts.mode, facts.uid, facts.gid)
    }
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The kernel would wait, and the caller may not. Nothing has changed.
    WouldWait,
    /// A FIFO, a device, a socket.
    NotRegular,
    IsDirectory,
    /// The name ends with `.` or `..`, or is the root itself.
    Leaf,
    /// A position behind the end of the file.
    BeyondEnd,
    /// What the kernel said.
    Os(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::WouldWait => f.write_str("would wait for the disk"),
            Error::NotRegular => f.write_str("not a regular file"),
            Error::IsDirectory => f.write_str("is a directory"),
            Error::Leaf => f.write_str("not a name of an entry"),
            Error::BeyondEnd => f.write_str("position beyond the end of the file"),
            Error::Os(errno) => errno.fmt(f),
        }
    }
}

impl Error {
    /// What may be missing: nothing where it is, but an error where only the wait for it is missing.
    pub fn optional<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(Error::WouldWait) => Err(Error::WouldWait),
            Err(_) => Ok(None),
        }
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Error {
        Error::Os(errno)
    }
}

/// Whether the caller may wait for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// On the loop: what is in the cache, and nothing else.
    CachedOnly,
    /// On a helper.
    MayWait,
}

/// `--symlinks`: which symbolic links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symlinks {
    /// Those that stay beneath the root; the root is also where absolute ones begin.
    Inside,
    /// None.
    None,
}

/// `--atomic-uploads`: when an upload can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploads {
    /// As it comes in.
    InPlace,
    /// Once it is whole.
    Atomic,
}

/// How modes and times are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// By name: the owner of a file may, whatever its mode.
    ByName,
    /// Through a descriptor that can read or write: within a fence that knows what may be opened, and no modes.
    ByDescriptor,
}

/// What kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Link,
    /// A FIFO, a device, a socket.
    Other,
}

/// What is known of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub kind: Kind,
    /// In octets.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    pub modified_nanos: u32,
    /// The lower twelve bits of the mode.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    pub device: u64,
    pub inode: u64,
    /// The type bits of the mode, for the letter that `ls` shows.
    format: u32,
}

impl Facts {
    /// The first letter of a line of `ls -l`.
    pub fn kind_letter(&self) -> u8 {
        match self.format {
            0o040_000 => b'd',
            0o120_000 => b'l',
            0o020_000 => b'c',
            0o060_000 => b'b',
            0o010_000 => b'p',
            0o140_000 => b's',
            _ => b'-',
        }
    }
}

/// Where STOR, APPE and STOU put what they receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Into a new file; an old one of that name stays as it is.
    New,
    /// Into a new file, or an old one that is emptied.
    Truncate,
    /// Into an old file, from this position on.
    At(u64),
    /// Behind the end of an old file, or into a new one.
    Append,
}

#[cfg(test)]
mod tests;
