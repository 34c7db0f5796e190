//! Which file systems may wait, and which of them were seen to.
//!
//! The kernel tells in advance whether a name or a page is in its cache, but not whether a write, an unlink or the
//! reading of a directory will wait. There the type of the file system decides, and what was measured.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, openat2};
use rustix::io::Errno;

use super::{Setting, Symlinks, Unwanted, Uploads};
use crate::limits::{SLOW_DISK_AFTER, SLOW_DISK_FOR};
use crate::sys::ProcessIds;

/// Whether a file system may keep a system call waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It lives in memory: tmpfs, ramfs.
    Never,
    /// For a disk, where something is not in the cache.
    Cold,
    /// For a daemon or a network, at any call: FUSE, NFS, CIFS, 9p and the like.
    Always,
}

/// Whether many octets at once are given room on the disk before they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// ext4: a third less work than reserving each page by itself. Room is made for what comes, and no
    /// more: what is taken ahead would have to be given back, and others would miss it meanwhile.
    First,
    /// The others do it themselves (XFS), have no use for it (tmpfs), or lose by it (compression on btrfs).
    AsItComes,
}

/// One file system that was met.
#[derive(Debug)]
struct Disk {
    device: u64,
    waits: Waits,
    room: Room,
    /// Until when it counts as slow for writes, in milliseconds since the start; 0: it was never seen to wait.
    slow_until: AtomicU64,
}

/// What is known of the file systems beneath all roots, and how names are resolved there.
#[derive(Debug)]
pub struct Disks {
    known: RwLock<Vec<Disk>>,
    /// The roots that are open, by device and inode: one descriptor serves all sessions of a directory.
    roots: Mutex<HashMap<(u64, u64), Weak<OwnedFd>>>,
    start: Instant,
    pub(super) process: ProcessIds,
    pub(super) symlinks: Symlinks,
    pub(super) uploads: Uploads,
    pub(super) setting: Setting,
    /// When directories were swept, by device and inode.
    pub(super) swept: Mutex<HashMap<(u64, u64), Instant>>,
    pub(super) unwanted: Mutex<Vec<Unwanted>>,
    /// Whether the kernel knows RESOLVE_CACHED (Linux 5.12); else every name is an errand.
    pub(super) says_cached: bool,
}

impl Disks {
    /// Asks the kernel what it can do.
    ///
    /// # Errors
    /// It has no `openat2` (before Linux 5.6), or a filter forbids it: there is no sandbox without.
    pub fn probe(symlinks: Symlinks) -> Result<Disks, Errno> {
        let open = |resolve| openat2(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
        open(ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)?;
        Ok(Disks {
            known: RwLock::default(),
            roots: Mutex::default(),
            start: Instant::now(),
            process: ProcessIds::current(),
            symlinks,
            uploads: Uploads::InPlace,
            setting: Setting::ByName,
            swept: Mutex::default(),
            unwanted: Mutex::default(),
            says_cached: open(ResolveFlags::CACHED).is_ok(),
        })
    }

    /// The same, with uploads to be seen then.
    pub fn with_uploads(self, uploads: Uploads) -> Disks {
        Disks { uploads, ..self }
    }

    /// The same, with modes and times to be set so.
    pub fn with_setting(self, setting: Setting) -> Disks {
        Disks { setting, ..self }
    }

    /// Whether `device` may wait; nothing where it was not met yet.
    pub fn waits(&self, device: u64) -> Option<Waits> {
        self.find(device, |disk| disk.waits)
    }

    /// Meets the file system of `file`, which may wait.
    pub(super) fn learn(&self, file: impl AsFd, device: u64) -> Waits {
        if let Some(waits) = self.waits(device) {
            return waits;
        }
        let (waits, room) = fstatfs(file).map_or((Waits::Always, Room::AsItComes), |facts| {
            (waits_of(facts.f_type as u64), room_of(facts.f_type as u64))
        });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.push(Disk { device, waits, room, slow_until: AtomicU64::new(0) });
        waits
    }

    /// How files on `device` grow best.
    pub(super) fn room(&self, device: u64) -> Room {
        self.find(device, |disk| disk.room).unwrap_or(Room::AsItComes)
    }

    /// The descriptor of a root that was just opened, or the one that is open for the same directory already.
    pub(super) fn share_root(&self, root: OwnedFd, device: u64, inode: u64) -> Arc<OwnedFd> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = roots.get(&(device, inode)).and_then(Weak::upgrade) {
            return open;
        }
        if roots.len() == roots.capacity() {
            roots.retain(|_, root| root.strong_count() > 0);
        }
        let root = Arc::new(root);
        roots.insert((device, inode), Arc::downgrade(&root));
        root
    }

    /// Forgets all of them: what is mounted may have changed.
    pub fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether a write to `device`, or a change of its names, is expected to wait.
    pub(super) fn change_waits(&self, device: u64) -> bool {
        let slow = |disk: &Disk| match disk.waits {
            Waits::Never => false,
            Waits::Cold => disk.slow_until.load(Ordering::Relaxed) > self.elapsed(Duration::ZERO),
            Waits::Always => true,
        };
        self.find(device, slow).unwrap_or(true)
    }

    /// Carries out a write or a change of names, and remembers where it took long.
    pub(super) fn timed<T>(&self, device: u64, change: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let done = change();
        if begin.elapsed() >= SLOW_DISK_AFTER {
            let until = self.elapsed(SLOW_DISK_FOR);
            self.find(device, |disk| disk.slow_until.store(until, Ordering::Relaxed));
        }
        done
    }

    fn elapsed(&self, further: Duration) -> u64 {
        u64::try_from((self.start.elapsed() + further).as_millis()).unwrap_or(u64::MAX)
    }

    fn find<T>(&self, device: u64, then: impl FnOnce(&Disk) -> T) -> Option<T> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|disk| disk.device == device).map(then)
    }
}

/// By statfs(2)'s type; what is not known counts as a local disk, for which the kernel is asked.
fn waits_of(magic: u64) -> Waits {
    const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    const REMOTE: [u64; 13] = [
        0x6573_5546, // FUSE
        0x6969,      // NFS
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x517b,      // SMB
        0x0102_1997, // 9p
        0x00c3_6400, // Ceph
        0x5346_414f, // AFS
        0x6b41_4653, // AFS in the kernel
        0x7375_7245, // Coda
        0x7461_636f, // OCFS2
        0x0116_1970, // GFS2
        0x0187,      // autofs
    ];
    let magic = magic & 0xffff_ffff;
    match () {
        () if MEMORY.contains(&magic) => Waits::Never,
        () if REMOTE.contains(&magic) => Waits::Always,
        () => Waits::Cold,
    }
}

/// By statfs(2)'s type, which ext2, ext3 and ext4 share; the older two answer EOPNOTSUPP.
fn room_of(magic: u64) -> Room {
    if magic & 0xffff_ffff == 0xef53 { Room::First } else { Room::AsItComes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_waited_is_slow_for_a_while() {
        let disks = Disks::probe(Symlinks::Inside).unwrap();
        assert!(disks.change_waits(1) && disks.waits(1).is_none());
        let disk = |device, waits| Disk { device, waits, room: Room::AsItComes, slow_until: AtomicU64::new(0) };
        disks.known.write().unwrap().extend([disk(1, Waits::Cold), disk(2, Waits::Never), disk(3, Waits::Always)]);
        assert!(!disks.change_waits(1) && !disks.change_waits(2) && disks.change_waits(3));
        disks.timed(1, || ());
        assert!(!disks.change_waits(1));
        for device in [1, 2] {
            disks.timed(device, || std::thread::sleep(SLOW_DISK_AFTER));
        }
        assert!(disks.change_waits(1) && !disks.change_waits(2));
        disks.forget();
        assert!(disks.waits(1).is_none());
    }

    #[test]
    fn types_of_file_systems() {
        assert_eq!(
            (waits_of(0x0102_1994), waits_of(0x6969), waits_of(0xef53)),
            (Waits::Never, Waits::Always, Waits::Cold)
        );
    }
}
