//! Files that are sent and files that receive: octets from and to the page cache.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate, fsync, sendfile};
use rustix::io::{Errno, IoSliceMut, ReadWriteFlags, pread, preadv2, pwrite, write};
use rustix::pipe::{SpliceFlags, splice};

use super::device::Room;
use super::unfinished::Unfinished;
use super::{Disks, Error, Facts, Patience, Placement, Waits};
use crate::limits::{COLD_OCTETS, COLD_PROBE_OCTETS, ROOM_OCTETS_MIN};

/// A file that is sent.
#[derive(Debug)]
pub struct Source {
    file: OwnedFd,
    facts: Facts,
    waits: Waits,
    /// Up to here the file is taken for cold: something before it was not in the cache.
    cold_until: u64,
}

impl Source {
    pub(super) fn new(file: OwnedFd, facts: Facts, waits: Waits) -> Source {
        Source { file, facts, waits, cold_until: 0 }
    }

    /// Its facts, as they were when it was opened.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether `length` octets from `offset` on can be read now: the kernel is asked for the first and the last, and
    /// where the file was found cold, for some between them: what is read ahead comes in pieces.
    pub fn check(&mut self, offset: u64, length: u64, patience: Patience) -> Result<(), Error> {
        match (patience, self.waits) {
            (Patience::MayWait, _) | (_, Waits::Never) => Ok(()),
            (Patience::CachedOnly, Waits::Always) => Err(Error::WouldWait),
            (Patience::CachedOnly, Waits::Cold) => {
                let checked = self.check_range(offset, length);
                if checked.is_err() {
                    self.cold_until = offset + COLD_OCTETS;
                }
                checked
            }
        }
    }

    fn check_range(&self, offset: u64, length: u64) -> Result<(), Error> {
        let last = offset + length.saturating_sub(1);
        if offset < self.cold_until {
            (offset..last).step_by(COLD_PROBE_OCTETS).try_for_each(|at| self.check_octet(at))?;
        } else {
            self.check_octet(offset)?;
        }
        // Octets of one page are in the cache together.
        if last / 4096 == offset / 4096 { Ok(()) } else { self.check_octet(last) }
    }

    fn check_octet(&self, offset: u64) -> Result<(), Error> {
        let mut octet = [0u8];
        match preadv2(&self.file, &mut [IoSliceMut::new(&mut octet)], offset, ReadWriteFlags::NOWAIT) {
            // A file system that cannot say it (EOPNOTSUPP) may wait.
            Err(Errno::AGAIN | Errno::OPNOTSUPP) => Err(Error::WouldWait),
            // Whatever else is wrong, the read itself will say it.
            _ => Ok(()),
        }
    }

    /// Sends up to `count` octets from `offset` on to a socket, without copying them.
    pub fn send(&self, to: impl AsFd, mut offset: u64, count: usize) -> Result<usize, Errno> {
        sendfile(to, &self.file, Some(&mut offset), count)
    }

    /// Puts up to `count` octets from `offset` on into a pipe, without copying them.
    pub fn put(&self, pipe: BorrowedFd<'_>, mut offset: u64, count: usize) -> Result<usize, Errno> {
        splice(&self.file, Some(&mut offset), pipe, None, count, SpliceFlags::NONBLOCK)
    }

    /// Reads from `offset` on.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        Ok(pread(&self.file, buffer, offset)?)
    }
}

/// A file that receives.
#[derive(Debug)]
pub struct Target {
    file: OwnedFd,
    device: u64,
    position: u64,
    placement: Placement,
    disks: Arc<Disks>,
    unfinished: Option<Unfinished>,
}

impl Target {
    pub(super) fn new(file: OwnedFd, device: u64, position: u64, placement: Placement, disks: Arc<Disks>) -> Target {
        Target { file, device, position, placement, disks, unfinished: None }
    }

    /// One that nobody sees before it is whole.
    pub(super) fn hidden(mut self, unfinished: Unfinished) -> Target {
        self.unfinished = Some(unfinished);
        self
    }

    /// Whether nobody sees it before it is closed.
    pub fn is_hidden(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Whether it can be closed now: what was hidden has to be on the disk before, and that is waited for.
    pub fn check_close(&self, patience: Patience) -> Result<(), Error> {
        match (&self.unfinished, patience) {
            (Some(unfinished), Patience::CachedOnly) if unfinished.wants_sync() => Err(Error::WouldWait),
            (Some(_), _) => self.check(patience),
            (None, _) => Ok(()),
        }
    }

    /// Whether it can be written now.
    pub fn check(&self, patience: Patience) -> Result<(), Error> {
        match patience {
            Patience::CachedOnly if self.disks.change_waits(self.device) => Err(Error::WouldWait),
            _ => Ok(()),
        }
    }

    /// Writes all of `octets`.
    ///
    /// # Errors
    /// What was written before stays, and the position is behind it.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        let disks = self.disks.clone();
        disks.timed(self.device, || self.write_all(octets))
    }

    fn write_all(&mut self, mut octets: &[u8]) -> Result<(), Error> {
        while !octets.is_empty() {
            let written = match self.placement {
                // Others may append at the same time: the kernel finds the end.
                Placement::Append => write(&self.file, octets),
                _ => pwrite(&self.file, octets, self.position),
            };
            match written {
                Ok(0) => return Err(Error::Os(Errno::NOSPC)),
                Ok(count) => {
                    self.position += count as u64;
                    octets = &octets[count..];
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::Os(errno)),
            }
        }
        Ok(())
    }

    /// Whether octets can come through a pipe, without being copied; the kernel does not append so.
    pub fn takes_pipe(&self) -> bool {
        self.placement != Placement::Append
    }

    /// Takes up to `count` octets out of a pipe, without copying them.
    pub fn take(&mut self, pipe: BorrowedFd<'_>, count: usize) -> Result<usize, Errno> {
        let disks = self.disks.clone();
        let position = &mut self.position;
        disks.timed(self.device, || {
            if count >= ROOM_OCTETS_MIN && disks.room(self.device) == Room::First {
                // Where there is no room for all of them, splice says so.
                let _ = fallocate(&self.file, FallocateFlags::KEEP_SIZE, *position, count as u64);
            }
            splice(pipe, None, &self.file, Some(position), count, SpliceFlags::MOVE)
        })
    }

    /// Closes it; what was hidden can be seen then. A file system that keeps errors until then is asked for them first.
    pub fn close(mut self) -> Result<(), Error> {
        let disks = self.disks.clone();
        let remote = disks.waits(self.device) == Some(Waits::Always);
        let must_sync = remote || self.unfinished.as_ref().is_some_and(Unfinished::wants_sync);
        disks.timed(self.device, move || {
            if let Some(unfinished) = &self.unfinished {
                unfinished.give_away(&self.file);
            }
            if must_sync
                && let Err(errno) = fsync(&self.file)
                && errno != Errno::INVAL
            {
                return Err(Error::Os(errno));
            }
            // A hidden file stays locked until it has its name.
            self.unfinished.take().map_or(Ok(()), Unfinished::finish)?;
            drop(self);
            Ok(())
        })
    }
}
