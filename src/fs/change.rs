//! Changes beneath the root of a user: files made, names given and taken, modes and times.
//!
//! `openat2` resolves the directory; the last name is then used alone, and never `.` or `..`. Each change is one call,
//! and the last thing that is done, so that what answers `WouldWait` can be run again from its beginning.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    Access, AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT, accessat, chmodat, fchmod,
    ftruncate, futimens, mkdirat, openat, renameat_with, unlinkat, utimensat,
};

use super::root::{Place, Root, facts_at, proc_path, regular};
use super::{Errno, Error, Facts, Kind, Patience, Placement, Setting, Target, Uploads, VirtualPath, Waits};
use crate::limits::QUICK_TO_FREE_OCTETS;

impl Root {
    /// Checks whether STOR, APPE or STOU would find its place, and makes nothing.
    ///
    /// # Errors
    /// What [`Root::open_target`] would say, as far as it can be told.
    pub fn may_store(&self, path: &VirtualPath, placement: Placement) -> Result<(), Error> {
        let (parent, leaf) = self.find_parent(path)?;
        if path.means_directory() {
            return Err(Error::IsDirectory);
        }
        let found = self.find_in(&parent, leaf).unwrap_or_else(|| self.find(path, OFlags::empty()));
        let found = if_there(found)?;
        match (found, placement) {
            (Some(_), Placement::New) => Err(Error::Os(Errno::EXIST)),
            (Some(place), _) => {
                regular(&place.facts)?;
                if !self.disks.process.can_write(&place.facts) {
                    return Err(Error::Os(Errno::ACCESS));
                }
                match placement {
                    Placement::At(offset) if offset > place.facts.size => Err(Error::BeyondEnd),
                    _ => Ok(()),
                }
            }
            (None, Placement::At(_)) => Err(Error::BeyondEnd),
            (None, _) => Ok(accessat(&parent.at, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?),
        }
    }

    /// Opens, makes or empties the file that receives.
    pub fn open_target(&self, path: &VirtualPath, placement: Placement, mode: u32) -> Result<Target, Error> {
        let write = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        if let Placement::At(_) = placement {
            return match if_there(self.find(path, OFlags::empty()))? {
                Some(place) => self.open_old(path, write, placement, &place.facts),
                None => Err(Error::BeyondEnd),
            };
        }
        if self.disks.uploads == Uploads::Atomic && placement != Placement::Append {
            return self.open_unfinished(path, placement, mode);
        }
        let (parent, leaf) = self.find_parent(path)?;
        self.may_change(&parent)?;
        // On the loop, whether the name is there must be in the cache; elsewhere making the file tells it.
        if self.patience == Patience::CachedOnly
            && parent.waits != Waits::Never
            && let Some(place) = if_there(self.find(path, OFlags::empty()))?
            && placement != Placement::New
        {
            return self.open_old(path, write, placement, &place.facts);
        }
        match self.create(&parent, leaf, placement, mode) {
            Err(Error::Os(Errno::EXIST)) if placement != Placement::New => {
                match if_there(self.find(path, OFlags::empty()))? {
                    Some(place) => self.open_old(path, write, placement, &place.facts),
                    // A link that leads nowhere.
                    None => Err(Error::Os(Errno::EXIST)),
                }
            }
            created => created,
        }
    }

    fn create(&self, parent: &Place, leaf: &[u8], placement: Placement, mode: u32) -> Result<Target, Error> {
        let append = if placement == Placement::Append { OFlags::APPEND } else { OFlags::empty() };
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | append;
        let device = parent.facts.device;
        let file = self.disks.timed(device, || openat(&parent.at, leaf, create, Mode::from_raw_mode(mode)))?;
        Ok(Target::new(file, device, 0, placement, self.disks.clone()))
    }

    fn open_old(&self, path: &VirtualPath, write: OFlags, placement: Placement, seen: &Facts) -> Result<Target, Error> {
        regular(seen)?;
        self.may_free(seen)?;
        let append = if placement == Placement::Append { OFlags::APPEND } else { OFlags::empty() };
        let place = self.place(self.open_at(path, write | append)?)?;
        regular(&place.facts)?;
        let Place { at: file, facts, .. } = place;
        let position = match placement {
            Placement::At(offset) if offset > facts.size => return Err(Error::BeyondEnd),
            Placement::At(offset) => offset,
            Placement::Append => facts.size,
            Placement::New | Placement::Truncate => {
                if facts.size > 0 {
                    self.disks.timed(facts.device, || ftruncate(&file, 0))?;
                }
                0
            }
        };
        Ok(Target::new(file, facts.device, position, placement, self.disks.clone()))
    }

    /// Renames; an old entry of the new name is replaced only where `replace` says so.
    pub fn rename(&self, from: &VirtualPath, to: &VirtualPath, replace: bool) -> Result<(), Error> {
        if (from.means_directory() || to.means_directory()) && self.link_facts(from)?.kind != Kind::Directory {
            return Err(Error::Os(Errno::NOTDIR));
        }
        let (old_parent, old) = self.find_changeable(from)?;
        let (parent, new) = self.find_changeable(to)?;
        let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        Ok(self.disks.timed(parent.facts.device, || renameat_with(&old_parent.at, old, &parent.at, new, flags))?)
    }

    /// Removes a name that is not a directory's.
    pub fn remove_file(&self, path: &VirtualPath) -> Result<(), Error> {
        if path.means_directory() {
            return Err(Error::Os(Errno::NOTDIR));
        }
        let (parent, leaf) = self.find_changeable(path)?;
        Ok(self.disks.timed(parent.facts.device, || unlinkat(&parent.at, leaf, AtFlags::empty()))?)
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, path: &VirtualPath) -> Result<(), Error> {
        let (parent, leaf) = self.find_changeable(path)?;
        Ok(self.disks.timed(parent.facts.device, || unlinkat(&parent.at, leaf, AtFlags::REMOVEDIR))?)
    }

    /// Makes a directory.
    pub fn make_directory(&self, path: &VirtualPath, mode: u32) -> Result<(), Error> {
        let (parent, leaf) = self.find_changeable(path)?;
        Ok(self.disks.timed(parent.facts.device, || mkdirat(&parent.at, leaf, Mode::from_raw_mode(mode)))?)
    }

    /// Sets the mode of a file or a directory.
    pub fn set_mode(&self, path: &VirtualPath, mode: u32) -> Result<(), Error> {
        let place = self.find_settable(path)?;
        let mode = Mode::from_raw_mode(mode);
        let change = || match self.disks.setting {
            Setting::ByName => chmodat(CWD, proc_path(place.at.as_fd()), mode, AtFlags::empty()),
            Setting::ByDescriptor => fchmod(&place.at, mode),
        };
        Ok(self.disks.timed(place.facts.device, change)?)
    }

    /// Sets when a file or a directory was modified, in seconds since 1970 and nanoseconds. Gives the seconds that are
    /// kept: a file system may not know every century.
    pub fn set_modified(&self, path: &VirtualPath, seconds: i64, nanos: u32) -> Result<i64, Error> {
        let place = self.find_settable(path)?;
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: seconds, tv_nsec: nanos.into() },
        };
        let change = || match self.disks.setting {
            Setting::ByName => utimensat(CWD, proc_path(place.at.as_fd()), &times, AtFlags::empty()),
            Setting::ByDescriptor => futimens(&place.at, &times),
        };
        self.disks.timed(place.facts.device, change)?;
        Ok(facts_at(&place.at, b"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC)?.modified)
    }

    /// The place of what is to be set, which is a file or a directory.
    fn find_settable(&self, path: &VirtualPath) -> Result<Place, Error> {
        let mut place = self.find(path, OFlags::empty())?;
        settable(&place.facts)?;
        if self.disks.setting == Setting::ByDescriptor {
            // The name may mean something else by now: what counts is what is open.
            place = self.place(self.open_to_set(path)?)?;
            settable(&place.facts)?;
        }
        self.may_change(&place)?;
        Ok(place)
    }

    /// Opens what is to be set, in whichever way its mode allows.
    fn open_to_set(&self, path: &VirtualPath) -> Result<OwnedFd, Error> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        match self.open_at(path, OFlags::RDONLY | flags) {
            Err(denied @ Error::Os(Errno::ACCESS)) => match self.open_at(path, OFlags::WRONLY | flags) {
                // A directory is only read.
                Err(Error::Os(_)) => Err(denied),
                opened => opened,
            },
            opened => opened,
        }
    }

    /// The directory and the last name of what is to be made or removed. On the loop both must be in the cache, the
    /// absence of the name as well, and what is there must be quick to free.
    fn find_changeable<'a>(&self, path: &'a VirtualPath) -> Result<(Place, &'a [u8]), Error> {
        let (parent, leaf) = self.find_parent(path)?;
        self.may_change(&parent)?;
        if self.patience == Patience::CachedOnly {
            match self.link_facts(path) {
                Ok(facts) => self.may_free(&facts)?,
                Err(Error::WouldWait) => return Err(Error::WouldWait),
                // The change itself will say it.
                Err(_) => {}
            }
        }
        Ok((parent, leaf))
    }

    /// On the loop, nothing is changed where a change was seen to wait.
    pub(super) fn may_change(&self, place: &Place) -> Result<(), Error> {
        match self.patience {
            Patience::CachedOnly if self.disks.change_waits(place.facts.device) => Err(Error::WouldWait),
            _ => Ok(()),
        }
    }

    /// On the loop, no large file is emptied or removed: freeing its blocks takes the longer the larger it is.
    fn may_free(&self, facts: &Facts) -> Result<(), Error> {
        match self.patience {
            Patience::CachedOnly if facts.size > QUICK_TO_FREE_OCTETS || self.disks.change_waits(facts.device) => {
                Err(Error::WouldWait)
            }
            _ => Ok(()),
        }
    }
}

/// Refuses what is neither a file nor a directory.
fn settable(facts: &Facts) -> Result<(), Error> {
    match facts.kind {
        Kind::File | Kind::Directory => Ok(()),
        Kind::Link | Kind::Other => Err(Error::NotRegular),
    }
}

/// Nothing where there is no such name.
pub(super) fn if_there(found: Result<Place, Error>) -> Result<Option<Place>, Error> {
    match found {
        Ok(place) => Ok(Some(place)),
        Err(Error::Os(Errno::NOENT)) => Ok(None),
        Err(error) => Err(error),
    }
}
