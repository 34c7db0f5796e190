//! A file system that takes 200 ms for each read and write (FUSE, `slow.py`).

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::servers::{Recipe, keep, output_file};
use crate::support::Directory;

const MOUNT_MAX: Duration = Duration::from_secs(5);

/// What is mounted; its keeper unmounts it when this is dropped, or when the bench is gone.
pub struct Slow {
    keeper: Child,
    /// What the daemon said.
    own: Directory,
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

impl Slow {
    /// Mounts it at `at`, a directory that is there.
    pub fn mount(at: &Path) -> Result<Slow, String> {
        File::open("/dev/fuse").map_err(|error| format!("/dev/fuse: {error}"))?;
        let python = python().ok_or("there is no python3 with fusepy")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/compare/slow.py");
        let at = at.display().to_string();
        let recipe = Recipe {
            program: python.into(),
            arguments: vec![script.to_owned(), at.clone()],
            environment: Vec::new(),
            binary: None,
        };
        let own = Directory::new("slow", None);
        let device = |path: &str| std::fs::metadata(path).map(|facts| facts.dev()).ok();
        let before = device(&at);
        let keeper = output_file(own.path()).and_then(|output| keep(1_024, &at, &recipe, output));
        let mut slow = Slow { keeper: keeper.map_err(|error| error.to_string())?, own };
        let begun = Instant::now();
        while device(&at) == before {
            if !matches!(slow.keeper.try_wait(), Ok(None)) || begun.elapsed() > MOUNT_MAX {
                let said = std::fs::read_to_string(slow.own.path().join("output")).unwrap_or_default();
                return Err(format!("cannot be mounted: {}", said.trim().lines().next_back().unwrap_or_default()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(slow)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
