//! A server as a tree of processes: what CPU and memory /proc tells of all of it.
//!
//! The root is the keeper (`keeper.rs`), which adopts what its descendants leave behind: a session whose parent ended
//! first is still counted, while it lives and after. The keeper's own time and memory are not the server's.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::group;

/// A tick of /proc/PID/stat in seconds: USER_HZ is 100 on every machine that Linux runs on today.
const TICK: f64 = 0.01;

/// How long a server may go on working after its clients have their last reply.
const SETTLING_MAX: Duration = Duration::from_secs(3);

/// All processes below one.
#[derive(Clone, Copy)]
pub struct Tree {
    keeper: u32,
}

/// Memory of all processes together, in MiB. Shared pages are in `resident` once for each process that has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Anonymous pages; those that processes share after a fork count once (Pss_Anon).
    pub own: f64,
    /// VmRSS.
    pub resident: f64,
}

impl Memory {
    /// The higher of both, each for itself.
    pub fn peak(self, other: Memory) -> Memory {
        Memory { own: self.own.max(other.own), resident: self.resident.max(other.resident) }
    }
}

impl Tree {
    pub fn below(keeper: u32) -> Tree {
        Tree { keeper }
    }

    /// Every living descendant.
    pub fn members(self) -> Vec<u32> {
        let mut members = children(self.keeper);
        let mut at = 0;
        while let Some(&member) = members.get(at) {
            members.extend(children(member));
            at += 1;
        }
        members
    }

    /// Seconds of CPU in user space and in the kernel: of those that live, and of those that have ended.
    ///
    /// A control group tells microseconds of all of them. Without one, the processes that live tell nanoseconds, and
    /// those that were waited for only ticks, rounded down.
    pub fn cpu(self) -> f64 {
        group::cpu(self.keeper).unwrap_or_else(|| self.cpu_of_each())
    }

    fn cpu_of_each(self) -> f64 {
        let reaped = stat(self.keeper).map_or(0.0, |stat| stat.reaped);
        let members = self.members();
        reaped + members.into_iter().filter_map(|pid| Some((pid, stat(pid)?))).map(of_one).sum::<f64>()
    }

    /// The same once it has stopped growing: the end of a session is still work after the client has its last reply.
    pub fn settled_cpu(self) -> f64 {
        let begun = Instant::now();
        let mut before = self.cpu();
        loop {
            thread::sleep(Duration::from_millis(15));
            let now = self.cpu();
            // Less than that is an event loop's timer.
            if now - before < 0.000_5 || begun.elapsed() > SETTLING_MAX {
                return now;
            }
            before = now;
        }
    }

    pub fn memory(self) -> Memory {
        let mut sum = Memory::default();
        for pid in self.members() {
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
            let shares = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let mib = |text: &str, name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).map(|kib: f64| kib / 1024.0)
            };
            // Without the right to look closer, shared pages count for each process.
            sum.own += mib(&shares, "Pss_Anon:").or_else(|| mib(&text, "RssAnon:")).unwrap_or(0.0);
            sum.resident += mib(&text, "VmRSS:").unwrap_or(0.0);
        }
        sum
    }
}

/// The living children of each of its threads.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// What /proc/PID/stat says, in seconds.
struct Stat {
    own: f64,
    /// Of children that ended and were waited for.
    reaped: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may have spaces; utime is field 14.
    let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at - 3)?.parse::<f64>().ok();
    Some(Stat { own: (ticks(14)? + ticks(15)?) * TICK, reaped: (ticks(16)? + ticks(17)?) * TICK })
}

/// The clock of a process is exact, and is that of all its threads, also of those that have ended.
fn of_one((pid, stat): (u32, Stat)) -> f64 {
    let clock = clock_getcpuclockid(Pid::from_raw(pid as i32)).and_then(|clock| clock.now());
    clock.map_or(stat.own, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9) + stat.reaped
}
