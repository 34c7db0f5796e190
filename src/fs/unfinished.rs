//! Uploads that nobody sees before they are whole (`--atomic-uploads`): a temporary file beside the target, and one
//! rename at the end.
//!
//! The temporary file is a name in the directory of the target, and no nameless one (O_TMPFILE): that takes a second
//! name and a rename all the same where it has to replace a file, and FUSE, NFS and many others have none. It is locked
//! (flock) for as long as it is written to, so that what the end of a server has left behind can be told from what
//! another server, or another thread of this one, still works on.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid, fchown, flock, linkat, openat, renameat_with,
    unlinkat,
};

use super::change::if_there;
use super::root::{Place, Root, facts_at, regular};
use super::{Directory, Disks, Errno, Error, Facts, Kind, Patience, Placement, Target, Uploads, VirtualPath, Waits};
use crate::limits::{
    LEFT_OVER_AFTER, QUICK_TO_FREE_OCTETS, SWEEP_ENTRIES_MAX, SWEEP_EVERY, SWEPT_DIRECTORIES_MAX, UNIQUE_NAME_OCTETS,
};
use crate::sys;

/// How the name of a temporary file begins and ends; between stand `UNIQUE_NAME_OCTETS` random signs.
const BEGIN: &[u8] = b".ferryd-upload-";
const END: &[u8] = b"~";

/// Whether `name` is that of a temporary file. A file system may take `A` for `a`.
pub(super) fn is_temporary(name: &[u8]) -> bool {
    name.len() == BEGIN.len() + UNIQUE_NAME_OCTETS + END.len()
        && name[..BEGIN.len()].eq_ignore_ascii_case(BEGIN)
        && name.ends_with(END)
        && name[BEGIN.len()..name.len() - END.len()].iter().all(u8::is_ascii_alphanumeric)
}

impl Disks {
    /// Whether clients must not learn of `path`, which leads to or through a temporary file.
    pub(super) fn hides(&self, path: &VirtualPath) -> bool {
        self.uploads == Uploads::Atomic && path.as_bytes().split(|octet| *octet == b'/').any(is_temporary)
    }

    /// Whether somebody should look for left-overs in a directory; who is told so does it.
    fn sweep_is_due(&self, directory: &Facts, patience: Patience) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, now) = ((directory.device, directory.inode), Instant::now());
        if swept.get(&key).is_some_and(|at| now.duration_since(*at) < SWEEP_EVERY) {
            return false;
        }
        if patience == Patience::MayWait {
            if swept.len() >= SWEPT_DIRECTORIES_MAX {
                swept.clear();
            }
            swept.insert(key, now);
        }
        true
    }

    /// Temporary files of uploads that have broken off, and that take too long to be removed on the loop.
    pub fn take_unwanted(&self) -> Vec<Unwanted> {
        std::mem::take(&mut self.unwanted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A temporary file that is of no use any more.
#[derive(Debug)]
pub struct Unwanted {
    directory: OwnedFd,
    name: String,
}

impl Unwanted {
    /// Removes it, which may wait.
    pub fn remove(self) {
        // Where it cannot be removed now, it will be swept as a left-over.
        let _ = unlinkat(&self.directory, self.name, AtFlags::empty());
    }
}

/// What an upload will be once it is whole. Dropped before, it leaves nothing.
#[derive(Debug)]
pub(super) struct Unfinished {
    /// Nothing once it is visible.
    temporary: Option<Unwanted>,
    device: u64,
    leaf: Vec<u8>,
    placement: Placement,
    /// Whose the old file is, if the new one is not his already.
    owner: Option<(u32, u32)>,
    disks: Arc<Disks>,
}

impl Unfinished {
    /// Whether the file is to be on the disk before its name is: after a power cut the name must not stand for an
    /// empty file in place of the old one. What lives in memory has no such trouble.
    pub(super) fn wants_sync(&self) -> bool {
        self.disks.waits(self.device) != Some(Waits::Never)
    }

    /// Gives the new file, which is whole, the owner and the group of the old one. Who may not has the new file for his
    /// own: its content is what he was sent. Until then it is the server's, by which what it leaves behind is known.
    pub(super) fn give_away(&self, file: &OwnedFd) {
        let Some((uid, gid)) = self.owner else { return };
        if fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).is_err() {
            let _ = fchown(file, None, Some(Gid::from_raw(gid)));
        }
    }

    /// Makes it visible under its name.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        let Unwanted { directory, name } = temporary;
        let flags = if self.placement == Placement::New { RenameFlags::NOREPLACE } else { RenameFlags::empty() };
        match renameat_with(directory, name, directory, &self.leaf, flags) {
            // This file system cannot rename so (NFS); a link replaces nothing either.
            Err(Errno::INVAL | Errno::NOSYS) if self.placement == Placement::New => {
                linkat(directory, name, directory, &self.leaf, AtFlags::empty())?;
            }
            renamed => {
                renamed?;
                self.temporary = None;
            }
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(temporary) = self.temporary.take() else { return };
        let facts = || facts_at(&temporary.directory, temporary.name.as_bytes(), AtFlags::empty());
        // Asking may wait where changing does.
        if !self.disks.change_waits(self.device) && facts().is_ok_and(|facts| facts.size <= QUICK_TO_FREE_OCTETS) {
            temporary.remove();
        } else {
            self.disks.unwanted.lock().unwrap_or_else(PoisonError::into_inner).push(temporary);
        }
    }
}

impl Root {
    /// Opens a temporary file that becomes `path` when it is whole.
    ///
    /// An old file keeps its content until then, and its mode and, as far as this process may set it, its owner beyond.
    pub(super) fn open_unfinished(&self, path: &VirtualPath, placement: Placement, mode: u32) -> Result<Target, Error> {
        match self.find_beneath(path)? {
            (_, _, Some(old)) if placement == Placement::New => Err(exists(&old)),
            // What is behind the link is replaced, and not the link: so it is where files are written in place.
            (_, _, Some(old)) if old.facts.kind == Kind::Link => {
                let path = self.behind_link(path)?;
                match self.find_beneath(&path)? {
                    (_, _, Some(old)) if old.facts.kind == Kind::Link => Err(Error::Os(Errno::LOOP)),
                    (parent, leaf, old) => self.create_unfinished(parent, leaf, old, placement, mode),
                }
            }
            (parent, leaf, old) => self.create_unfinished(parent, leaf, old, placement, mode),
        }
    }

    /// The directory, the last name, and what is there, a link or not.
    fn find_beneath<'a>(&self, path: &'a VirtualPath) -> Result<(Place, &'a [u8], Option<Place>), Error> {
        let (parent, leaf) = self.find_parent(path)?;
        self.may_change(&parent)?;
        let old = self.find_in(&parent, leaf).unwrap_or_else(|| self.find(path, OFlags::NOFOLLOW));
        Ok((parent, leaf, if_there(old)?))
    }

    fn create_unfinished(
        &self,
        parent: Place,
        leaf: &[u8],
        old: Option<Place>,
        placement: Placement,
        mode: u32,
    ) -> Result<Target, Error> {
        let old = old.map(|old| old.facts);
        if let Some(old) = &old {
            regular(old)?;
            if !self.disks.process.can_write(old) {
                return Err(Error::Os(Errno::ACCESS));
            }
        }
        if self.disks.sweep_is_due(&parent.facts, self.patience) {
            if self.patience == Patience::CachedOnly {
                return Err(Error::WouldWait);
            }
            self.sweep(&parent);
        }
        let mode = old.map_or(mode, |old| old.mode & 0o777);
        let name = [BEGIN, sys::random_name(UNIQUE_NAME_OCTETS).as_bytes(), END].concat();
        let name = String::from_utf8_lossy(&name).into_owned();
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let device = parent.facts.device;
        let file = self.disks.timed(device, || openat(&parent.at, &name, create, Mode::from_raw_mode(mode)))?;
        // A file system without locks is never swept.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        let owner = old.and_then(|old| self.other_owner(&old, &parent.facts));
        let temporary = Some(Unwanted { directory: parent.at, name });
        let disks = self.disks.clone();
        let unfinished = Unfinished { temporary, device, leaf: leaf.to_vec(), placement, owner, disks: disks.clone() };
        Ok(Target::new(file, device, 0, placement, disks).hidden(unfinished))
    }

    /// The owner and the group of the old file, where a new one in this directory has others.
    fn other_owner(&self, old: &Facts, parent: &Facts) -> Option<(u32, u32)> {
        let gid = if parent.mode & 0o2000 != 0 { parent.gid } else { self.disks.process.gid };
        ((old.uid, old.gid) != (self.disks.process.uid, gid)).then_some((old.uid, old.gid))
    }

    /// Removes what was left in a directory, unless that has too many entries to be read through for it.
    fn sweep(&self, parent: &Place) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(at) = openat(&parent.at, ".", flags, Mode::empty()) else { return };
        // Reading it is what sweeps it.
        let directory = Directory::new(at, parent.facts, Some(self.disks.clone()));
        let mut entries = 0;
        while entries < SWEEP_ENTRIES_MAX {
            match directory.read(Patience::MayWait, |_| entries += 1) {
                Ok(true) => {}
                Ok(false) | Err(_) => return,
            }
        }
    }
}

fn exists(old: &Place) -> Error {
    match old.facts.kind {
        Kind::Directory => Error::IsDirectory,
        _ => Error::Os(Errno::EXIST),
    }
}

/// Removes the temporary file `name` if it is a left-over: one of this user's, that nobody has written to for a while
/// and nobody holds locked.
pub(super) fn sweep(directory: impl AsFd, name: &[u8], disks: &Disks) {
    let Ok(facts) = facts_at(&directory, name, AtFlags::empty()) else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let age = now.as_secs().abs_diff(u64::try_from(facts.modified).unwrap_or(0));
    let own = facts.kind == Kind::File && facts.uid == disks.process.uid;
    if !own || Duration::from_secs(age) < LEFT_OVER_AFTER {
        return;
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // A lock needs one of the two, whichever the mode allows.
    let file = openat(&directory, name, flags | OFlags::WRONLY, Mode::empty())
        .or_else(|_| openat(&directory, name, flags | OFlags::RDONLY, Mode::empty()));
    if file.is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok())
        && unlinkat(&directory, name, AtFlags::empty()).is_ok()
    {
        let name = String::from_utf8_lossy(name);
        log::info!("removed {name}, {} octets: an upload that the end of a server has cut off", facts.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_temporary_files() {
        for name in [".ferryd-upload-abcdefghijklmno7~", ".FERRYD-Upload-ABCDEFGHIJKLMNO7~"] {
            assert!(is_temporary(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            ".ferryd-upload-~",
            "ferryd-upload-abcdefghijklmno7~",
            ".ferryd-upload-abcdefghijklmno7",
            ".ferryd-upload-abcdefghijklmno77~",
            ".ferryd-upload-abcdefghijklmn.7~",
            ".ferryd-upload-abcdefghijklmno7~x",
        ] {
            assert!(!is_temporary(name.as_bytes()), "{name}");
        }
    }
}
