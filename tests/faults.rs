//! Faults that are really made, and what must hold through each: nothing is lost that was said to be there, nothing is
//! said that is not so, and the other sessions do not notice.
//!
//! What a machine cannot do (mount, make a namespace, trace a process), its tests say that they did not do; with
//! CI=true they fail instead.

#[path = "faults/atomic.rs"]
mod atomic;
#[path = "faults/atomic_names.rs"]
mod atomic_names;
#[path = "faults/careful.rs"]
mod careful;
#[path = "faults/clock.rs"]
mod clock;
#[path = "transfer/common.rs"]
#[allow(dead_code)]
mod common;
#[path = "faults/descriptors.rs"]
mod descriptors;
#[path = "slow_disk/disk.rs"]
#[allow(dead_code)]
mod disk;
#[path = "faults/disks.rs"]
mod disks;
#[path = "faults/files.rs"]
mod files;
#[path = "faults/injected.rs"]
mod injected;
#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/left_over.rs"]
mod left_over;
#[path = "faults/many.rs"]
mod many;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/quota.rs"]
mod quota;
#[path = "faults/stopped.rs"]
mod stopped;
mod support;

use common::*;
use support::{Server, cannot, login, serve};

/// The processor's time that the server has used so far, to a hundredth of a second.
fn processor_time(server: &Server) -> std::time::Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    // The name in parentheses may hold anything; what follows is the third field and further ones (proc(5)).
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    std::time::Duration::from_millis(ticks * 10)
}
