//! The root of a user, and what is read beneath it. Changes are in `change`.
//!
//! Each name is resolved by `openat2` with `RESOLVE_IN_ROOT`: `..` stops at the root, and absolute links begin there.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    Access, AtFlags, CWD, Mode, OFlags, ResolveFlags, Statx, StatxFlags, accessat, openat, openat2, readlinkat, statx,
};

use rustix::io::retry_on_intr;

use super::{Directory, Disks, Errno, Error, Facts, Kind, Patience, Source, Symlinks, Uploads, VirtualPath, Waits};

/// How often a name is resolved again where a rename crossed it.
const RESOLVE_TRIES: usize = 64;

/// The directory of the host that is a user's `/`.
#[derive(Clone, Debug)]
pub struct Root {
    directory: Arc<OwnedFd>,
    device: u64,
    inode: u64,
    pub(super) disks: Arc<Disks>,
    pub(super) patience: Patience,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// What a user's rights need of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Enter,
    List,
    /// Names made and removed.
    Write,
}

impl Need {
    /// As in a mode: 4 read, 2 write, 1 execute.
    pub fn bits(self) -> u32 {
        match self {
            Need::Enter => 1,
            Need::List => 5,
            Need::Write => 3,
        }
    }
}

/// What `O_PATH` gives: a place in the tree, and nothing that could be read or written.
pub(super) struct Place {
    pub(super) at: OwnedFd,
    pub(super) facts: Facts,
    pub(super) waits: Waits,
}

impl Root {
    /// Opens the root at `path`, an absolute path of the host.
    ///
    /// # Errors
    /// `WouldWait`, or there is no such directory: a root that is gone never becomes another one.
    pub fn open(path: &Path, disks: &Arc<Disks>, patience: Patience) -> Result<Root, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = match patience {
            Patience::CachedOnly if !disks.says_cached => return Err(Error::WouldWait),
            Patience::CachedOnly => ResolveFlags::CACHED,
            Patience::MayWait => ResolveFlags::empty(),
        };
        let directory = openat2(CWD, path, flags, Mode::empty(), resolve).map_err(|errno| match errno {
            Errno::AGAIN => Error::WouldWait,
            errno => Error::Os(errno),
        })?;
        let Facts { device, inode, .. } = facts_of(&directory, disks, patience)?.0;
        let directory = disks.share_root(directory, device, inode);
        Ok(Root { directory, device, inode, disks: disks.clone(), patience })
    }

    /// Checks whether this process may do so in the root itself, by its modes and by how it is mounted.
    pub fn may(&self, need: Need) -> Result<(), Error> {
        // access(2) has the bits of modes.
        Ok(accessat(&self.directory, ".", Access::from_bits_retain(need.bits()), AtFlags::EACCESS)?)
    }

    /// Device and inode: what it is, whatever its name.
    pub fn inode(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Device and inode of this directory and of those above it, up to the host's root. May wait.
    pub fn ancestry(&self) -> Result<Vec<(u64, u64)>, Error> {
        let mut ancestry = vec![self.inode()];
        let mut at = openat(&self.directory, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        loop {
            at = openat(&at, "..", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let facts = facts_at(&at, b"", AtFlags::EMPTY_PATH)?;
            if ancestry.last() == Some(&(facts.device, facts.inode)) {
                return Ok(ancestry);
            }
            ancestry.push((facts.device, facts.inode));
        }
    }

    /// The same root, for the loop or for a helper.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Whether its user may wait.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// The facts of what `path` leads to, links followed.
    pub fn facts(&self, path: &VirtualPath) -> Result<Facts, Error> {
        Ok(self.find(path, OFlags::empty())?.facts)
    }

    /// The facts of the entry itself, a link or not.
    pub fn link_facts(&self, path: &VirtualPath) -> Result<Facts, Error> {
        Ok(self.find(path, OFlags::NOFOLLOW)?.facts)
    }

    /// Where a link leads, as it is written there.
    pub fn read_link(&self, path: &VirtualPath) -> Result<Vec<u8>, Error> {
        let place = self.find(path, OFlags::NOFOLLOW)?;
        // A long one stands in a block of its own, and the kernel cannot say whether that is in its cache.
        if self.patience == Patience::CachedOnly && place.waits != Waits::Never {
            return Err(Error::WouldWait);
        }
        Ok(readlinkat(&place.at, "", Vec::new())?.into_bytes())
    }

    /// Checks that `path` is a directory that may be entered.
    pub fn enter(&self, path: &VirtualPath) -> Result<(), Error> {
        let place = self.find(path, OFlags::DIRECTORY)?;
        Ok(accessat(&place.at, ".", Access::EXEC_OK, AtFlags::EACCESS)?)
    }

    /// Opens a file to be sent.
    ///
    /// # Errors
    /// Whatever is not a regular file is refused before it is opened: opening a device or a FIFO has effects.
    pub fn open_source(&self, path: &VirtualPath) -> Result<Source, Error> {
        regular(&self.find(path, OFlags::empty())?.facts)?;
        // The name may mean another file by now: what counts are the facts of the one that is read.
        let place = self.place(self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?)?;
        regular(&place.facts)?;
        Ok(Source::new(place.at, place.facts, place.waits))
    }

    /// Opens a directory to be listed.
    pub fn open_directory(&self, path: &VirtualPath) -> Result<Directory, Error> {
        let place = self.place(self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?)?;
        let disks = (self.disks.uploads == Uploads::Atomic).then(|| self.disks.clone());
        Ok(Directory::new(place.at, place.facts, disks))
    }

    /// Octets that a user of the file system below `path` may still write.
    pub fn free_space(&self, path: &VirtualPath) -> Result<u64, Error> {
        let place = self.find(path, OFlags::DIRECTORY)?;
        if self.patience == Patience::CachedOnly && place.waits == Waits::Always {
            return Err(Error::WouldWait);
        }
        let facts = rustix::fs::fstatvfs(&place.at)?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }

    /// Where the file behind the link `path` really is: a pathname without links. It is resolved like any other.
    pub(super) fn behind_link(&self, path: &VirtualPath) -> Result<VirtualPath, Error> {
        let place = match self.find(path, OFlags::empty()) {
            // A link that leads nowhere.
            Err(Error::Os(Errno::NOENT)) => return Err(Error::Os(Errno::EXIST)),
            place => place?,
        };
        let name_of = |place: BorrowedFd<'_>| readlinkat(CWD, proc_path(place), Vec::new());
        let (root, found) = (name_of(self.directory.as_fd())?, name_of(place.at.as_fd())?);
        let root = root.to_bytes().strip_suffix(b"/").unwrap_or(root.to_bytes());
        let beneath = found.to_bytes().strip_prefix(root).filter(|rest| rest.starts_with(b"/"));
        VirtualPath::root().join(beneath.unwrap_or_default()).map_err(|_| Error::Os(Errno::EXIST))
    }

    /// The place of `path`; with `NOFOLLOW` that of a link itself.
    pub(super) fn find(&self, path: &VirtualPath, flags: OFlags) -> Result<Place, Error> {
        self.place(self.open_at(path, OFlags::PATH | flags)?)
    }

    /// The place of the directory that holds the last name of `path`, and that name.
    pub(super) fn find_parent<'a>(&self, path: &'a VirtualPath) -> Result<(Place, &'a [u8]), Error> {
        let (parent, leaf) = path.split().ok_or(Error::Leaf)?;
        if self.disks.hides(path) {
            return Err(Error::Leaf);
        }
        Ok((self.find(&parent, OFlags::DIRECTORY)?, leaf))
    }

    /// The place of the last name in a directory that lives in memory, where it is no link; nothing where that is not
    /// known so, and the whole path has to be resolved.
    pub(super) fn find_in(&self, parent: &Place, leaf: &[u8]) -> Option<Result<Place, Error>> {
        if parent.waits != Waits::Never {
            return None;
        }
        match open_beside(&parent.at, leaf, OFlags::PATH | OFlags::CLOEXEC) {
            Ok(at) => Some(self.place(at)),
            Err(Errno::NOENT) => Some(Err(Error::Os(Errno::NOENT))),
            Err(_) => None,
        }
    }

    /// Opens what is at `path`; makes nothing.
    pub(super) fn open_at(&self, path: &VirtualPath, flags: OFlags) -> Result<OwnedFd, Error> {
        if self.disks.hides(path) {
            return Err(Error::Os(Errno::NOENT));
        }
        let flags = flags | OFlags::CLOEXEC;
        if self.patience == Patience::MayWait {
            return resolve(&self.directory, path.as_bytes(), flags, self.resolve_flags());
        }
        if !self.disks.says_cached {
            return Err(Error::WouldWait);
        }
        match resolve_once(&self.directory, path.as_bytes(), flags, self.resolve_flags() | ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => self.open_in_memory(path, flags),
            opened => Ok(opened?),
        }
    }

    /// A name that is not in the cache can still be looked up at once where the file system lives in memory: the
    /// cache holds no absent names of tmpfs.
    fn open_in_memory(&self, path: &VirtualPath, flags: OFlags) -> Result<OwnedFd, Error> {
        let (parent, leaf) = path.split().ok_or(Error::WouldWait)?;
        let cached = self.resolve_flags() | ResolveFlags::CACHED;
        let parent = resolve_once(&self.directory, parent.as_bytes(), OFlags::PATH | OFlags::CLOEXEC, cached)
            .map_err(|_| Error::WouldWait)?;
        if self.facts_of(&parent)?.1 != Waits::Never {
            return Err(Error::WouldWait);
        }
        match open_beside(&parent, leaf, flags) {
            Err(Errno::LOOP | Errno::XDEV | Errno::AGAIN) => Err(Error::WouldWait),
            opened => Ok(opened?),
        }
    }

    fn resolve_flags(&self) -> ResolveFlags {
        let links = match self.disks.symlinks {
            Symlinks::Inside => ResolveFlags::empty(),
            Symlinks::None => ResolveFlags::NO_SYMLINKS,
        };
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | links
    }

    pub(super) fn place(&self, at: OwnedFd) -> Result<Place, Error> {
        let (facts, waits) = self.facts_of(&at)?;
        Ok(Place { at, facts, waits })
    }

    fn facts_of(&self, at: impl AsFd + Copy) -> Result<(Facts, Waits), Error> {
        facts_of(at, &self.disks, self.patience)
    }
}

/// The facts of what is open. On the loop they are those in the cache, and only where the device may be asked.
fn facts_of(at: impl AsFd + Copy, disks: &Disks, patience: Patience) -> Result<(Facts, Waits), Error> {
    let sync = match patience {
        Patience::CachedOnly => AtFlags::STATX_DONT_SYNC,
        Patience::MayWait => AtFlags::empty(),
    };
    let facts = facts_at(at, b"", AtFlags::EMPTY_PATH | sync)?;
    let waits = match (disks.waits(facts.device), patience) {
        (None | Some(Waits::Always), Patience::CachedOnly) => return Err(Error::WouldWait),
        (Some(waits), _) => waits,
        (None, Patience::MayWait) => disks.learn(at, facts.device),
    };
    Ok((facts, waits))
}

/// Refuses what is no file.
pub(super) fn regular(facts: &Facts) -> Result<(), Error> {
    match facts.kind {
        Kind::File => Ok(()),
        Kind::Directory => Err(Error::IsDirectory),
        Kind::Link | Kind::Other => Err(Error::NotRegular),
    }
}

fn resolve(at: impl AsFd + Copy, path: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Error> {
    for _ in 1..RESOLVE_TRIES {
        match resolve_once(at, path, flags, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return Ok(opened?),
        }
    }
    Ok(resolve_once(at, path, flags, resolve)?)
}

/// Opens a name in a directory. Neither a link nor a mount may lead from there to where it would wait.
fn open_beside(directory: impl AsFd, leaf: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let stay = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    resolve_once(directory, leaf, flags, stay)
}

fn resolve_once(at: impl AsFd, path: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    openat2(at, path, flags, Mode::empty(), resolve)
}

/// The facts of `name` in the directory `at`, or of `at` itself where `flags` has `EMPTY_PATH`.
pub(super) fn facts_at(at: impl AsFd, name: &[u8], flags: AtFlags) -> Result<Facts, Errno> {
    let flags = flags | AtFlags::SYMLINK_NOFOLLOW;
    Ok(facts(&retry_on_intr(|| statx(&at, name, flags, StatxFlags::BASIC_STATS))?))
}

fn facts(statx: &Statx) -> Facts {
    let mode = u32::from(statx.stx_mode);
    let format = mode & 0o170_000;
    let kind = match format {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Directory,
        0o120_000 => Kind::Link,
        _ => Kind::Other,
    };
    Facts {
        kind,
        size: statx.stx_size,
        modified: statx.stx_mtime.tv_sec,
        modified_nanos: statx.stx_mtime.tv_nsec,
        mode: mode & 0o7777,
        uid: statx.stx_uid,
        gid: statx.stx_gid,
        links: statx.stx_nlink,
        device: u64::from(statx.stx_dev_major) << 32 | u64::from(statx.stx_dev_minor),
        inode: statx.stx_ino,
        format,
    }
}

/// The file behind a descriptor of `O_PATH`, by a name. The kernels that are still about set modes and times through no
/// such descriptor itself, and one that could be read cannot always be had: the owner of a file of mode 000 may change
/// it, and may not open it.
pub(super) fn proc_path(place: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", place.as_raw_fd())
}
