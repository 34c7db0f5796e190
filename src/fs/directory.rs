//! A directory that is being read: names in slices, and the facts of each.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, RawDir, readlinkat};
use rustix::io::Errno;

use super::root::facts_at;
use super::unfinished::{is_temporary, sweep};
use super::{Disks, Error, Facts, Patience};
use crate::limits::DIRECTORY_OCTETS;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    file: OwnedFd,
    facts: Facts,
    /// Where unfinished uploads are hidden.
    hiding: Option<Arc<Disks>>,
}

impl Directory {
    pub(super) fn new(file: OwnedFd, facts: Facts, hiding: Option<Arc<Disks>>) -> Directory {
        Directory { file, facts, hiding }
    }

    /// Whether it may be read now: on a helper alone. The kernel cannot say whether a directory is in its cache, and
    /// the facts of an entry may be those of another file system, mounted there, even where the directory is in memory.
    pub fn check(&self, patience: Patience) -> Result<(), Error> {
        match patience {
            Patience::MayWait => Ok(()),
            Patience::CachedOnly => Err(Error::WouldWait),
        }
    }

    /// Hands the next names to `each`, without `.` and `..`, and without unfinished uploads, of which those that were
    /// left behind are removed; says whether there may be more.
    pub fn read(&self, patience: Patience, mut each: impl FnMut(&[u8])) -> Result<bool, Error> {
        self.check(patience)?;
        let mut buffer = [MaybeUninit::uninit(); DIRECTORY_OCTETS];
        let mut names = RawDir::new(&self.file, &mut buffer);
        let mut first = true;
        while first || !names.is_buffer_empty() {
            first = false;
            match names.next() {
                None => return Ok(false),
                // Removed while it was read: that was all.
                Some(Err(Errno::NOENT)) => return Ok(false),
                Some(entry) => {
                    let entry = entry?;
                    let name = entry.file_name().to_bytes();
                    match &self.hiding {
                        _ if name == b"." || name == b".." => {}
                        Some(disks) if is_temporary(name) => sweep(&self.file, name, disks),
                        _ => each(name),
                    }
                }
            }
        }
        Ok(true)
    }

    /// The facts of one of its entries, a link or not.
    pub fn facts(&self, name: &[u8]) -> Result<Facts, Error> {
        Ok(facts_at(&self.file, name, AtFlags::empty())?)
    }

    /// Where one of its links leads.
    pub fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(readlinkat(&self.file, name, Vec::new())?.into_bytes())
    }

    /// Its own facts, as they were when it was opened.
    pub fn own_facts(&self) -> &Facts {
        &self.facts
    }
}
