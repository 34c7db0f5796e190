//! A control group (cgroups(7), version 2) for each server: the kernel counts there, in microseconds, the CPU time of
//! all its processes and threads, those that have ended too.
//!
//! It takes root, or a group that was given to the user, and a kernel that has one mounted. No controller is turned on
//! in it, so it changes nothing for who is in it. Where there is none, `tree.rs` asks each process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Makes the group of `keeper`, who is the caller, and enters it: what he starts from now on is in it. Without a
/// group, nothing.
pub fn enter(keeper: u32) {
    if let Some(group) = of(keeper)
        && fs::create_dir(&group).is_ok()
        && !go_to(&group)
    {
        let _ = fs::remove_dir(group);
    }
}

/// Goes back to where the caller came from: his own time is not his server's.
pub fn leave() {
    if let Some(home) = home() {
        go_to(home);
    }
}

/// Removes the group of `keeper`, in which nobody lives any more.
pub fn remove(keeper: u32) {
    if let Some(group) = of(keeper) {
        let _ = fs::remove_dir(group);
    }
}

/// Seconds of CPU that the group of `keeper` has had, if there is one.
pub fn cpu(keeper: u32) -> Option<f64> {
    let text = fs::read_to_string(of(keeper)?.join("cpu.stat")).ok()?;
    let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    microseconds.trim().parse::<f64>().ok().map(|microseconds| microseconds / 1e6)
}

/// 0 is whoever writes it.
fn go_to(group: &Path) -> bool {
    fs::write(group.join("cgroup.procs"), "0").is_ok()
}

fn of(keeper: u32) -> Option<PathBuf> {
    home().map(|home| home.join(format!("ferryd-bench-{keeper}")))
}

/// The group in which this process began.
fn home() -> Option<&'static Path> {
    static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        let fields: Vec<&str> = mount.split(' ').collect();
        let (root, at) = (fields.get(3)?, fields.get(4)?);
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let below = Path::new(own).strip_prefix(root).ok()?;
        Some(Path::new(at).join(below))
    };
    HOME.get_or_init(find).as_deref()
}
