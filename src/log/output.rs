//! Where log lines end: standard error or a file. Here it may wait; who must not wait goes through `queue`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::queue::Batch;
use super::text::Message;
use crate::time::CivilTime;

/// Whether a file was there before it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Made,
    Found,
}

/// One open log.
#[derive(Debug)]
pub(super) struct Output {
    /// Nothing: standard error, which is neither opened nor opened again.
    file: Option<(PathBuf, File)>,
    origin: Origin,
    /// The last write ended within a line: the next one ends that line first.
    torn: bool,
    /// Lines lost since writing began to fail; nothing where the last write went well.
    lost: Option<u64>,
}

impl Output {
    /// Opens the file at `path` for appending, or takes standard error.
    ///
    /// # Errors
    /// As open(2).
    pub(super) fn open(path: Option<&Path>) -> io::Result<Output> {
        let (file, origin) = match path {
            Some(path) => {
                let (file, origin) = append_to(path)?;
                (Some((path.to_owned(), file)), origin)
            }
            None => (None, Origin::Found),
        };
        Ok(Output { file, origin, torn: false, lost: None })
    }

    /// Gives the file to `uid` if it was made just now; says what hindered it.
    fn hand_over(&self, uid: u32) -> Option<String> {
        let (Some((path, file)), Origin::Made) = (&self.file, self.origin) else { return None };
        let given = fchown(file, Some(uid), None);
        given.err().map(|error| format!("{} cannot be given to uid {uid}: {error}", path.display()))
    }

    /// Opens the file anew, because the old one was renamed away. Where that fails the old one stays in use.
    fn reopen(&mut self) -> Result<(), String> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        *file = append_to(path).map_err(|error| format!("cannot open {} again: {error}", path.display()))?.0;
        self.torn = false;
        Ok(())
    }

    /// Writes whole lines, in one call where the kernel takes them. Says what somebody should know: that it began to
    /// fail, or that it ceased to.
    fn write(&mut self, lines: &[u8]) -> Result<(), String> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut written = 0;
        let result = self.write_from(lines, &mut written);
        if written > 0 {
            self.torn = lines[written - 1] != b'\n';
        }
        let name = self.file.as_ref().map_or("standard error".into(), |(path, _)| path.display().to_string());
        let lost = |octets: &[u8]| octets.iter().filter(|&&octet| octet == b'\n').count() as u64;
        match (result, self.lost) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(lines)) => {
                self.lost = None;
                Err(format!("{name} can be written again; {lines} lines were lost"))
            }
            (Err(_), Some(before)) => {
                self.lost = Some(before + lost(&lines[written..]));
                Ok(())
            }
            (Err(error), None) => {
                self.lost = Some(lost(&lines[written..]));
                Err(format!("cannot write {name}: {error}"))
            }
        }
    }

    fn write_from(&mut self, lines: &[u8], written: &mut usize) -> io::Result<()> {
        let mut stderr = io::stderr();
        let sink: &mut dyn Write = match &mut self.file {
            Some((_, file)) => file,
            None => &mut stderr,
        };
        if self.torn {
            sink.write_all(b"\n")?;
            self.torn = false;
        }
        while *written < lines.len() {
            match sink.write(&lines[*written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(octets) => *written += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A log may name users and files: others do not read it. `O_APPEND`, so that it survives a rotation that truncates.
fn append_to(path: &Path) -> io::Result<(File, Origin)> {
    let mut options = OpenOptions::new();
    options.append(true).mode(0o640);
    match options.clone().create_new(true).open(path) {
        Ok(file) => Ok((file, Origin::Made)),
        // Also a link that leads nowhere yet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok((options.create(true).open(path)?, Origin::Found))
        }
        Err(error) => Err(error),
    }
}

/// Both logs.
#[derive(Debug)]
pub(super) struct Outputs {
    /// Messages.
    pub(super) messages: Output,
    /// The transfer log, where there is one.
    pub(super) transfers: Option<Output>,
}

impl Outputs {
    /// Gives files that were made just now to `uid`; says what hindered it.
    pub(super) fn hand_over(&self, uid: u32) -> Vec<String> {
        let outputs = [Some(&self.messages), self.transfers.as_ref()];
        outputs.into_iter().flatten().filter_map(|output| output.hand_over(uid)).collect()
    }

    /// Writes what waited, then opens the files again where that was asked. What fails is told in the other log:
    /// for the transfer log that is the messages, for these standard error.
    pub(super) fn carry_out(&mut self, mut batch: Batch) {
        let mut told = Vec::new();
        if let Some(transfers) = &mut self.transfers {
            told.extend(transfers.write(&batch.transfers).err());
        }
        if batch.transfers_dropped > 0 {
            told.push(format!("{} lines of the transfer log were dropped", batch.transfers_dropped));
        }
        if batch.messages_dropped > 0 {
            told.push(format!("{} lines were dropped", batch.messages_dropped));
        }
        if batch.reopen {
            told.extend(self.transfers.as_mut().and_then(|transfers| transfers.reopen().err()));
        }
        told.iter().for_each(|text| batch.messages.extend(notice(text)));
        let mut failed = Vec::new();
        failed.extend(self.messages.write(&batch.messages).err());
        if batch.reopen {
            failed.extend(self.messages.reopen().err());
        }
        if self.messages.file.is_some() {
            // Standard error is the last resort; there is nobody to tell that it failed too.
            failed.iter().for_each(|text| drop(io::stderr().write_all(&notice(text))));
        }
    }
}

/// A line of the log about the log itself, in the form of the others. It does not go through `log`, which is being
/// written right now.
fn notice(text: &str) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let t = CivilTime::from_unix(now.as_secs().try_into().unwrap_or(i64::MAX / 2));
    let date = format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", t.year, t.month, t.day, t.hour, t.minute, t.second);
    format!("{date}.{:03}Z [ERROR] {}\n", now.subsec_millis(), Message(text)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ferryd-output-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn outputs(messages: &Path, transfers: Option<&Path>) -> Outputs {
        let transfers = transfers.map(|path| Output::open(Some(path)).unwrap());
        Outputs { messages: Output::open(Some(messages)).unwrap(), transfers }
    }

    #[test]
    fn a_batch_goes_where_it_belongs() {
        let directory = scratch("batch");
        let (messages, transfers) = (directory.join("messages"), directory.join("transfers"));
        let mut outputs = outputs(&messages, Some(&transfers));
        outputs.carry_out(Batch { messages: b"one\n".to_vec(), transfers: b"file\n".to_vec(), ..Batch::default() });
        outputs.carry_out(Batch { messages_dropped: 3, transfers_dropped: 4, ..Batch::default() });
        assert_eq!(std::fs::read(&transfers).unwrap(), b"file\n");
        let text = std::fs::read_to_string(&messages).unwrap();
        assert!(text.starts_with("one\n"), "{text}");
        assert!(text.contains("Z [ERROR] 3 lines were dropped\n"), "{text}");
        assert!(text.contains("Z [ERROR] 4 lines of the transfer log were dropped\n"), "{text}");
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&messages).unwrap().permissions().mode() & 0o137, 0);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn reopening_follows_a_rotation() {
        let directory = scratch("reopen");
        let (messages, transfers) = (directory.join("messages"), directory.join("transfers"));
        let mut outputs = outputs(&messages, Some(&transfers));
        std::fs::rename(&messages, directory.join("messages.1")).unwrap();
        std::fs::rename(&transfers, directory.join("transfers.1")).unwrap();
        std::fs::create_dir(&transfers).unwrap();
        outputs.carry_out(Batch { messages: b"old\n".to_vec(), reopen: true, ..Batch::default() });
        outputs.carry_out(Batch { messages: b"new\n".to_vec(), transfers: b"f\n".to_vec(), ..Batch::default() });
        let old = std::fs::read_to_string(directory.join("messages.1")).unwrap();
        assert!(old.starts_with("old\n") && old.contains("transfers again: "), "{old}");
        assert_eq!(std::fs::read(&messages).unwrap(), b"new\n");
        // What cannot be opened again stays where it was.
        assert_eq!(std::fs::read(directory.join("transfers.1")).unwrap(), b"f\n");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_full_disk_is_told_once() {
        let mut output = Output::open(Some(Path::new("/dev/full"))).unwrap();
        assert!(output.write(b"one\n").unwrap_err().starts_with("cannot write /dev/full: "));
        assert_eq!(output.write(b"two\nthree\n"), Ok(()));
        output.file = Some(("/dev/null".into(), append_to(Path::new("/dev/null")).unwrap().0));
        assert_eq!(output.write(b"four\n"), Err("/dev/null can be written again; 3 lines were lost".into()));
        assert_eq!(output.write(b"five\n"), Ok(()));
    }

    #[test]
    fn a_torn_line_is_ended() {
        let directory = scratch("torn");
        let path = directory.join("log");
        let mut output = Output::open(Some(&path)).unwrap();
        output.torn = true;
        output.write(b"whole\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"\nwhole\n");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
