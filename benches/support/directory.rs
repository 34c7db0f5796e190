//! Temporary directories with files whose content is known.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Those that are there now.
static THERE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A directory that goes away with its value.
pub struct Directory(PathBuf);

impl Directory {
    /// A new one in `parent`, or where temporary files belong (`TMPDIR`).
    pub fn new(name: &str, parent: Option<&Path>) -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("ferryd-bench-{name}-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Where root runs the bench the server becomes nobody, who has to write there; anybody else stays who he is.
        let _ = std::os::unix::fs::chown(&path, Some(65_534), Some(65_534));
        there().push(path.clone());
        Directory(path)
    }

    /// Removes all of them, because the bench is about to end without dropping any.
    pub fn remove_all() {
        for path in there().drain(..) {
            // Somebody may still be making files in it.
            for _ in 0..100 {
                if fs::remove_dir_all(&path).is_ok() || !path.exists() {
                    break;
                }
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a file of `size` octets, the same for the same size.
    pub fn file(&self, name: &str, size: u64) -> PathBuf {
        let path = self.0.join(name);
        let written = File::create(&path).and_then(|mut file| io::copy(&mut Pattern::new(size), &mut file));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.0.join(name));
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        there().retain(|path| *path != self.0);
    }
}

fn there() -> MutexGuard<'static, Vec<PathBuf>> {
    THERE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `size` octets in which every eight tell where they are, so that nothing can be lost, twice or in the wrong place.
pub struct Pattern {
    at: u64,
    size: u64,
}

impl Pattern {
    pub fn new(size: u64) -> Pattern {
        Pattern { at: 0, size }
    }
}

impl Read for Pattern {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && self.at < self.size {
            let word = (self.at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            let word = &word[(self.at % 8) as usize..];
            let count = word.len().min(buffer.len() - filled).min((self.size - self.at) as usize);
            buffer[filled..filled + count].copy_from_slice(&word[..count]);
            filled += count;
            self.at += count as u64;
        }
        Ok(filled)
    }
}

/// Where the pattern that a file of `size` octets has is received; wrong octets end the bench.
pub struct Checker {
    expected: Pattern,
    buffer: Vec<u8>,
}

impl Checker {
    pub fn new(size: u64) -> Checker {
        Checker { expected: Pattern::new(size), buffer: vec![0; 256 * 1024] }
    }

    /// Whether all octets came.
    pub fn finish(self) {
        assert_eq!(self.expected.at, self.expected.size, "some octets did not come");
    }

    /// Compares some of `octets` with those that come next; how many.
    ///
    /// # Errors
    /// Where they are others, or more.
    pub fn compare(&mut self, octets: &[u8]) -> io::Result<usize> {
        let count = octets.len().min(self.buffer.len());
        self.expected.read_exact(&mut self.buffer[..count])?;
        let same = self.buffer[..count] == octets[..count];
        if same { Ok(count) } else { Err(io::Error::other(format!("wrong octets before {}", self.expected.at))) }
    }
}

impl Write for Checker {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Ok(self.compare(octets).unwrap_or_else(|error| panic!("{error}")))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
