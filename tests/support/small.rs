//! A file system of a few mebibytes in memory, which is soon full.

use std::path::Path;
use std::process::{Command, Stdio};

/// One that is mounted; it goes when it is dropped.
pub struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// Mounts it with these options of tmpfs; nothing where this user may not mount.
    pub fn mount(at: &'a Path, options: &str) -> Option<Small<'a>> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "ferryd-test"]).arg(at);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then_some(Small(at))
    }

    /// Octets that are free.
    pub fn free(&self) -> u64 {
        let facts = rustix::fs::statvfs(self.0).unwrap();
        facts.f_bavail * facts.f_frsize
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
