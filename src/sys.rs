//! The kernel: what needs no file, no socket and no FTP word. Random octets, limits, and who this process is.

use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use rustix::process::{Resource, getegid, geteuid, getgroups, getrlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::thread::{CapabilitySet, capabilities};

/// As whom this process asks the kernel; root passes every check of modes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIds {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub modes: Modes,
}

/// Whether the modes of files bind a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modes {
    Bind,
    /// Not one that has CAP_DAC_OVERRIDE, as root mostly does.
    Overridden,
}

impl ProcessIds {
    /// The effective ids of this process, now.
    pub fn current() -> ProcessIds {
        let groups = getgroups().unwrap_or_default();
        let overrides = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::DAC_OVERRIDE));
        ProcessIds {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            groups: groups.into_iter().map(|group| group.as_raw()).collect(),
            modes: if overrides { Modes::Overridden } else { Modes::Bind },
        }
    }

    /// Which of a mode's three digits is about this process, for a file of that owner and group.
    fn digit(&self, mode: u32, uid: u32, gid: u32) -> u32 {
        if self.uid == uid {
            mode >> 6
        } else if self.gid == gid || self.groups.contains(&gid) {
            mode >> 3
        } else {
            mode
        }
    }

    /// Whether the modes allow all of `bits` (4 read, 2 write, 1 execute) to this process.
    pub fn allowed(&self, bits: u32, mode: u32, uid: u32, gid: u32) -> bool {
        self.modes == Modes::Overridden || self.digit(mode, uid, gid) & bits == bits
    }
}

/// A random number that nobody can guess (passive ports, unique names).
pub fn random() -> u64 {
    let mut octets = [0u8; 8];
    // getrandom(2) fails for no request of 256 octets and less once the pool is up, which it is before any server is.
    let _ = getrandom(&mut octets[..], GetRandomFlags::empty());
    u64::from_ne_bytes(octets)
}

/// `length` random letters and digits, lower case.
pub fn random_name(length: usize) -> String {
    const SIGNS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut name = String::with_capacity(length);
    while name.len() < length {
        let mut bits = random();
        for _ in 0..12.min(length - name.len()) {
            name.push(char::from(SIGNS[(bits & 31) as usize]));
            bits >>= 5;
        }
    }
    name
}

/// Raises the limit of open descriptors as far as this process may, and says what it is.
pub fn raise_descriptor_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let mut raised = limit;
        raised.current = limit.maximum;
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    limit.current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1 << 20)
}

/// A descriptor that is of no use but to be given up; nothing where there is none left. It names the host's root and
/// can read nothing of it: that is within any sandbox.
pub fn spare_descriptor() -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open("/", flags, rustix::fs::Mode::empty()).ok()
}

/// Clears the umask of the process: new files get the mode that the session's own umask leaves (SITE UMASK).
pub fn clear_umask() {
    rustix::process::umask(rustix::fs::Mode::empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_random_and_as_long_as_asked() {
        for length in [0, 1, 12, 13, 40] {
            assert_eq!(random_name(length).len(), length);
        }
        assert_ne!(random_name(16), random_name(16));
        assert!(random_name(64).bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit()));
    }

    #[test]
    fn modes_are_asked_as_the_kernel_asks_them() {
        let ids = ProcessIds { uid: 7, gid: 8, groups: vec![9], modes: Modes::Bind };
        assert!(ids.allowed(4, 0o400, 7, 0) && !ids.allowed(2, 0o477, 7, 0));
        assert!(ids.allowed(2, 0o020, 0, 8) && ids.allowed(2, 0o020, 0, 9) && !ids.allowed(2, 0o707, 0, 9));
        assert!(ids.allowed(1, 0o001, 0, 0) && !ids.allowed(1, 0o776, 0, 0));
        let root = ProcessIds { uid: 0, gid: 0, groups: Vec::new(), modes: Modes::Bind };
        assert!(!root.allowed(2, 0o755, 1, 1) && root.allowed(2, 0o755, 0, 0), "root without its powers");
        assert!(ProcessIds { modes: Modes::Overridden, ..ids }.allowed(7, 0, 1, 1));
    }
}
