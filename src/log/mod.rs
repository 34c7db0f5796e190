//! The log and the transfer log: set-up, and lines that never make the caller wait.
//!
//! Messages come through the `log` crate's macros and get their form from simplelog: time in UTC (RFC 3339), level,
//! text. They end on standard error or in `--log-file`. Lines of the transfer log come through [`Log::transfer`].
//! `text` has what may be shown of octets from strangers, `queue` the way to the disk, `output` the files.

mod once;
mod output;
mod queue;
mod text;

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::{LevelFilter, Record};
use simplelog::{ConfigBuilder, WriteLogger};

pub use self::once::Once;
use self::output::{Output, Outputs};
use self::queue::Queue;
pub use self::text::{Direction, Shown, Transfer};
use crate::limits;

/// A log that cannot be written: always the system's fault.
#[derive(Debug)]
pub struct Error {
    what: String,
    source: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for Error {}

/// What to log, and where.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Messages to log.
    pub level: LevelFilter,
    /// Where to log; nothing: standard error.
    pub file: Option<&'a Path>,
    /// Where to log transfers; nothing: nowhere.
    pub transfers: Option<&'a Path>,
    /// Only see whether the files could be written.
    pub check: bool,
}

/// The handle on both logs; clones are the same logs.
#[derive(Clone, Debug)]
pub struct Log {
    queue: Arc<Queue>,
    transfers: bool,
}

/// Opens the logs and makes the `log` macros write to them; once in a process. With [`Settings::check`] the files
/// are only looked at, because one that root creates now could not be written by the server's own user later.
/// Whoever logs also writes, and waits, until [`Log::start_thread`].
///
/// # Errors
/// A file cannot be opened.
pub fn start(settings: &Settings<'_>) -> Result<Log, Error> {
    let (mut messages, mut transfers) = (settings.file, settings.transfers);
    if settings.check {
        messages.map_or(Ok(()), |path| check("--log-file", path))?;
        transfers.map_or(Ok(()), |path| check("--transfer-log", path))?;
        (messages, transfers) = (None, None);
    }
    let open = |option: &str, path: Option<&Path>| {
        Output::open(path).map_err(|source| cannot_write(option, path.unwrap_or(Path::new("")), source))
    };
    let outputs = Outputs {
        messages: open("--log-file", messages)?,
        transfers: transfers.map(|path| open("--transfer-log", Some(path))).transpose()?,
    };
    let queue = Queue::new(outputs);
    let logger = Logger::new(settings.level, Arc::clone(&queue));
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(settings.level);
    }
    Ok(Log { queue, transfers: transfers.is_some() })
}

fn cannot_write(option: &str, path: &Path, source: io::Error) -> Error {
    Error { what: format!("{option}: cannot write {}", path.display()), source }
}

/// Whether `path` could be opened for appending, without creating it.
fn check(option: &str, path: &Path) -> Result<(), Error> {
    let writable = match OpenOptions::new().append(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = match path.parent() {
                Some(parent) if parent != Path::new("") => parent.to_owned(),
                _ => PathBuf::from("."),
            };
            rustix::fs::access(&directory, rustix::fs::Access::WRITE_OK).map_err(io::Error::from)
        }
        Err(error) => Err(error),
    };
    writable.map_err(|source| cannot_write(option, path, source))
}

impl Log {
    /// Writes a line of the transfer log, if there is one.
    pub fn transfer(&self, transfer: &Transfer<'_>) {
        if self.transfers {
            self.queue.push_transfer(&transfer.line());
        }
    }

    /// Gives files that were made just now to another user, as whom they will be opened again (SIGHUP). Files that were
    /// there before belong to whom they belong.
    pub fn hand_over(&self, uid: u32) {
        self.queue.hand_over(uid).iter().for_each(|text| log::warn!("{text}"));
    }

    /// Lets a thread of its own write from here on.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_thread(&self) -> io::Result<()> {
        self.queue.start_thread()
    }

    /// Opens the files again (SIGHUP): what was logged before goes to the old ones. A file that cannot be opened is
    /// told in the other log, and the old one stays in use.
    pub fn reopen(&self) {
        self.queue.reopen();
    }

    /// Waits until all lines are written, at most [`limits::LOG_FLUSH`]. For the end of the program.
    pub fn flush(&self) {
        self.queue.flush(limits::LOG_FLUSH);
    }
}

/// simplelog's logger, told only messages of one line each.
struct Logger {
    inner: Box<WriteLogger<Lines>>,
}

impl Logger {
    fn new(level: LevelFilter, queue: Arc<Queue>) -> Logger {
        let config = ConfigBuilder::new()
            .set_time_format_rfc3339()
            .set_target_level(LevelFilter::Off)
            .set_thread_level(LevelFilter::Off)
            .set_location_level(LevelFilter::Off)
            .build();
        Logger { inner: WriteLogger::new(level, config, Lines { queue, line: Vec::new() }) }
    }
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // Names are escaped where they are logged (`Shown`); this catches what slipped through, such as the text
            // of an error that quotes a name.
            let message = record.args().to_string();
            let args = format_args!("{}", text::Message(&message));
            self.inner.log(&Record::builder().metadata(record.metadata().clone()).args(args).build());
        }
    }

    fn flush(&self) {}
}

/// Puts the pieces that simplelog writes together to lines.
struct Lines {
    queue: Arc<Queue>,
    line: Vec<u8>,
}

impl Write for Lines {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(piece);
        if piece.ends_with(b"\n") {
            self.queue.push_message(&self.line);
            self.line.clear();
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::Log as _;

    use super::*;

    #[test]
    fn messages_are_one_line_each_and_without_noise() {
        let path = std::env::temp_dir().join(format!("ferryd-log-{}", std::process::id()));
        let outputs = Outputs { messages: Output::open(Some(&path)).unwrap(), transfers: None };
        let logger = Logger::new(LevelFilter::Info, Queue::new(outputs));
        for (level, text) in [
            (log::Level::Info, "alice logged in"),
            (log::Level::Debug, "too fine"),
            (log::Level::Warn, "a\n2026 [INFO] forged"),
        ] {
            logger.log(&Record::builder().level(level).target("ferryd::x").args(format_args!("{text}")).build());
        }
        let written = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines.len(), 2, "{written}");
        let (time, rest) = lines[0].split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T' && time.as_bytes()[13] == b':', "{time}");
        assert_eq!(rest, "[INFO] alice logged in");
        assert!(lines[1].ends_with(r" [WARN] a\n2026 [INFO] forged"), "{}", lines[1]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn checking_creates_nothing() {
        let path = std::env::temp_dir().join(format!("ferryd-check-{}", std::process::id()));
        assert!(check("--log-file", &path).is_ok());
        assert!(!path.exists());
        let error = check("--log-file", Path::new("/nonexistent/log")).unwrap_err().to_string();
        assert!(error.starts_with("--log-file: cannot write /nonexistent/log: "), "{error}");
        assert!(check("--log-file", Path::new("/")).is_err());
    }
}
