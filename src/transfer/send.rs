//! RETR: a file goes out, from the page cache to the socket by `sendfile`, or through a large pipe where the client
//! keeps up; in TYPE A through one small buffer.

use std::ops::Range;

use super::ascii::{self, Last};
use super::{Scratch, Step, Stop};
use crate::fs::{self, Errno, Patience, Source};
use crate::job::{Failure, Representation};
use crate::limits::{ASCII_OCTETS, COPY_OCTETS, PIPE_FROM_OCTETS};
use crate::net::{Pipe, Stream};

#[derive(Debug)]
pub(super) struct Send {
    source: Source,
    /// The next octet of the file.
    offset: u64,
    /// The size that the file had when it was opened; what is appended later is not sent.
    end: u64,
    way: Way,
}

/// How the octets go.
#[derive(Debug)]
enum Way {
    /// `sendfile`; and once so many octets have gone without a pause, `splice` through a pipe: `sendfile` has one of
    /// its own, of 64 KiB, and a larger one costs less. What the socket does not take would be left in it, so a
    /// client that makes us wait gets `sendfile`.
    Kernel { unpaused: u64 },
    /// Through the scratch buffer: a file system without `sendfile`, or a stream under TLS.
    Copy,
    /// Translated; what was not yet sent of it.
    Ascii { last: Last, pending: Vec<u8>, sent: usize },
}

impl Send {
    pub(super) fn new(source: Source, offset: u64, representation: Representation) -> Send {
        let end = source.facts().size;
        let way = match representation {
            Representation::Image => Way::Kernel { unpaused: 0 },
            Representation::Ascii => Way::Ascii { last: Last::default(), pending: Vec::new(), sent: 0 },
        };
        Send { source, offset, end, way }
    }

    pub(super) fn step(
        &mut self,
        stream: &mut Stream,
        budget: usize,
        scratch: &mut Scratch,
        patience: Patience,
        octets: &mut u64,
    ) -> Result<Step, Stop> {
        if matches!(self.way, Way::Kernel { .. }) && !stream.sends_files() {
            self.way = Way::Copy;
        }
        let mut left = budget;
        while left > 0 && !self.is_done() {
            let sent = match self.way {
                Way::Kernel { .. } => self.send(stream, left, scratch, patience)?,
                Way::Copy => self.copy(stream, left, scratch.buffer(), patience)?,
                Way::Ascii { .. } => self.send_ascii(stream, left, scratch.buffer(), patience)?,
            };
            *octets += sent as u64;
            left = left.saturating_sub(sent);
        }
        Ok(if self.is_done() { Step::End } else { Step::More })
    }

    /// What went without a pause so far, counts no longer: small pieces go best by `sendfile`.
    pub(super) fn pause(&mut self) {
        if let Way::Kernel { unpaused } = &mut self.way {
            *unpaused = 0;
        }
    }

    fn is_done(&self) -> bool {
        self.offset >= self.end && !matches!(&self.way, Way::Ascii { pending, .. } if !pending.is_empty())
    }

    fn send(
        &mut self,
        stream: &Stream,
        budget: usize,
        scratch: &mut Scratch,
        patience: Patience,
    ) -> Result<usize, Stop> {
        let Way::Kernel { unpaused } = self.way else { return Ok(0) };
        let length = (self.end - self.offset).min(budget as u64);
        self.source.check(self.offset, length, patience)?;
        let pipe = if unpaused >= PIPE_FROM_OCTETS && stream.is_plain() { scratch.large_pipe() } else { None };
        let (sent, left) = match pipe {
            Some(pipe) => through_pipe(&self.source, self.offset, length as usize, pipe, stream),
            None => (self.source.send(stream, self.offset, length as usize), 0),
        };
        if left > 0 {
            scratch.drop_pipe();
        }
        match sent {
            Ok(0) => Err(Stop::Failed(Failure::Shrunk)),
            Ok(sent) => {
                self.offset += sent as u64;
                self.way = Way::Kernel { unpaused: if left > 0 { 0 } else { unpaused + sent as u64 } };
                Ok(sent)
            }
            Err(Errno::AGAIN) => {
                self.way = Way::Kernel { unpaused: 0 };
                Err(Stop::Blocked)
            }
            Err(Errno::INTR) => Ok(0),
            Err(Errno::INVAL | Errno::NOSYS) => {
                self.way = Way::Copy;
                Ok(0)
            }
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN | Errno::TIMEDOUT | Errno::HOSTUNREACH) => {
                Err(Stop::Failed(Failure::ConnectionLost))
            }
            Err(errno) => Err(Stop::Failed(Failure::File(fs::Error::Os(errno)))),
        }
    }

    fn copy(
        &mut self,
        stream: &mut Stream,
        budget: usize,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<usize, Stop> {
        // What TLS still holds goes first: where there is no room for it, reading would be in vain.
        stream.flush()?;
        let count = read(&mut self.source, self.offset..self.end, budget.min(COPY_OCTETS), buffer, patience)?;
        let sent = stream.write(&buffer[..count])?;
        self.offset += sent as u64;
        Ok(sent)
    }

    fn send_ascii(
        &mut self,
        stream: &mut Stream,
        budget: usize,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<usize, Stop> {
        let Way::Ascii { last, pending, sent } = &mut self.way else { return Ok(0) };
        if pending.is_empty() {
            let count = read(&mut self.source, self.offset..self.end, ASCII_OCTETS, buffer, patience)?;
            ascii::to_wire(last, &buffer[..count], pending);
            self.offset += count as u64;
        }
        let end = pending.len().min(*sent + budget);
        let count = stream.write(&pending[*sent..end])?;
        *sent += count;
        if *sent == pending.len() {
            pending.clear();
            *sent = 0;
        }
        Ok(count)
    }
}

/// Reads at most `most` octets of what is left of the file, and one at least.
fn read(
    source: &mut Source,
    left: Range<u64>,
    most: usize,
    buffer: &mut [u8],
    patience: Patience,
) -> Result<usize, Stop> {
    let length = (left.end - left.start).min(most as u64);
    source.check(left.start, length, patience)?;
    match source.read(&mut buffer[..length as usize], left.start)? {
        0 => Err(Stop::Failed(Failure::Shrunk)),
        count => Ok(count),
    }
}

/// Sends through the pipe; how much was sent, and how much is left in the pipe.
fn through_pipe(
    source: &Source,
    offset: u64,
    length: usize,
    pipe: &Pipe,
    stream: &Stream,
) -> (Result<usize, Errno>, usize) {
    match source.put(pipe.input(), offset, length) {
        Ok(put) if put > 0 => {
            let sent = stream.take_from(pipe, put);
            let left = put - sent.unwrap_or(0);
            (sent, left)
        }
        nothing => (nothing, 0),
    }
}
