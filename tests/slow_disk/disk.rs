//! The mounted disk, and the daemon behind it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::PATIENCE;

/// A file system whose operations can be held. It is unmounted when it is dropped.
pub struct Disk {
    daemon: Child,
    orders: ChildStdin,
    told: Receiver<String>,
    at: PathBuf,
}

/// A Python that has fusepy (which Debian calls `fusepy`, and everybody else `fuse`).
fn python() -> Option<&'static str> {
    let has_fuse = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "try:\n import fuse\nexcept ImportError:\n import fusepy"]);
        command.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(has_fuse)
}

impl Disk {
    /// Mounts it; nothing where this machine cannot, which the test says.
    pub fn mount(at: &Path) -> Option<Disk> {
        match Disk::try_mount(at) {
            Ok(disk) => Some(disk),
            Err(missing) => {
                crate::support::cannot(&missing);
                None
            }
        }
    }

    fn try_mount(at: &Path) -> Result<Disk, String> {
        std::fs::File::open("/dev/fuse").map_err(|error| format!("/dev/fuse: {error}"))?;
        let python = python().ok_or("there is no python3 with fusepy")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slow_disk/held.py");
        let mut daemon = Command::new(python)
            .arg(script)
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{python}: {error}"))?;
        let (sender, told) = channel();
        let stdout = BufReader::new(daemon.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let orders = daemon.stdin.take().unwrap();
        let disk = Disk { daemon, orders, told, at: at.to_owned() };
        match disk.told.recv_timeout(PATIENCE) {
            Ok(line) if line == "ready" => Ok(disk),
            other => Err(format!("the file system cannot be mounted: {other:?}")),
        }
    }

    /// Holds every `operation` from now on.
    pub fn hold(&mut self, operation: &str) {
        self.order(&format!("hold {operation}"));
    }

    /// Lets every `operation` fail with `errno` from now on.
    pub fn fail(&mut self, operation: &str, errno: &str) {
        self.order(&format!("fail {operation} {errno}"));
    }

    /// Lets everything go on and succeed.
    pub fn free(&mut self) {
        self.order("free");
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
        self.wait_until_told(&format!("done {order}"));
    }

    /// Waits until an `operation` is being held.
    pub fn wait_until_held(&self, operation: &str) {
        self.wait_until_told(&format!("held {operation} "));
    }

    fn wait_until_told(&self, begin: &str) {
        loop {
            match self.told.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with(begin) => return,
                Ok(_) => {}
                Err(error) => panic!("the disk does not say {begin:?}: {error}"),
            }
        }
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.daemon), signal).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A stopped daemon dies of it as well, and whoever waits for it gets an error.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        for unmount in [&["umount", "-l"][..], &["fusermount3", "-uz"], &["fusermount", "-uz"]] {
            let mut command = Command::new(unmount[0]);
            command.args(&unmount[1..]).arg(&self.at).stderr(Stdio::null());
            if command.status().is_ok_and(|status| status.success()) {
                return;
            }
        }
    }
}
