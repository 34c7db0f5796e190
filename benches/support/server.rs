//! The real server, as cargo built it for the bench: a process of its own, whose time and memory /proc tells.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Passive ports outside the range from which `connect` takes its own: thousands of them are in TIME_WAIT after a bench,
/// and a port that was bound is one that no client on this machine gets for a minute.
const PASSIVE_PORTS: &str = "10000-29999";

/// A tick of /proc/PID/stat in seconds: USER_HZ is 100 on every machine that Linux runs on today.
const TICK: f64 = 0.01;

/// A running ferryd; killed when dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Serves `directory` to the user `bench`, who may do everything, on a loopback port that is free.
    pub fn start(directory: &Path) -> Server {
        Server::start_with(directory, &[])
    }

    /// The same, with more options.
    pub fn start_with(directory: &Path, options: &[&str]) -> Server {
        let mut user = std::ffi::OsString::from("bench:bench:");
        user.push(directory);
        let mut child = Command::new(env!("CARGO_BIN_EXE_ferryd"))
            .args(["--listen", "127.0.0.1:0", "--passive-ports", PASSIVE_PORTS, "--idle-timeout", "0", "--user"])
            .arg(user)
            .args(options)
            .arg(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ferryd starts");
        let mut first = String::new();
        let output = child.stdout.as_mut().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut first).expect("ferryd says where it listens");
        let address = first.split("ftp://").nth(1).and_then(|rest| rest.split('/').next()).map(str::parse);
        let Some(Ok(address)) = address else { panic!("no address in {first:?}") };
        Server { child, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).expect("the server runs")
    }

    /// Seconds of CPU, in user space and in the kernel, of all its threads so far.
    pub fn cpu(&self) -> f64 {
        let text = self.proc("stat");
        // The name, in brackets, may have spaces; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields[at - 3].parse::<f64>().expect("a number");
        (ticks(14) + ticks(15)) * TICK
    }

    /// The same once it has stopped growing: the end of a session is still work after the client has its last reply.
    pub fn settled_cpu(&self) -> f64 {
        let mut before = self.cpu();
        loop {
            thread::sleep(Duration::from_millis(20));
            let now = self.cpu();
            if now == before {
                return now;
            }
            before = now;
        }
    }

    /// Its own memory (RssAnon) in KiB: neither shared libraries, nor what the kernel holds for its sockets.
    pub fn memory_kib(&self) -> f64 {
        self.status("RssAnon:")
    }

    /// All of its pages (VmRSS) in KiB, those of the program itself too.
    pub fn resident_kib(&self) -> f64 {
        self.status("VmRSS:")
    }

    fn status(&self, name: &str) -> f64 {
        let text = self.proc("status");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line of /proc/PID/status");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
