//! STOR, APPE and STOU: octets come in and go to a file, through a pipe and uncopied where the kernel does it.
//!
//! The file is opened, made or emptied in the first step, when the data connection is up, and not before: a connection
//! that fails leaves no empty file and harms no old one.

use super::ascii::{self, Last};
use super::{Scratch, Step, Stop};
use crate::fs::{self, Errno, Patience, Target};
use crate::job::{self, Failure, Representation};
use crate::net::Stream;

#[derive(Debug)]
pub(super) struct Receive {
    job: job::Receive,
    target: Option<Target>,
    way: Way,
    end: End,
}

/// How far the end has come of a file that nobody sees before it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// Nothing more comes.
    Reached,
    /// It may be seen.
    Confirmed,
}

/// How the octets go.
#[derive(Debug)]
enum Way {
    Pipe,
    Copy,
    Ascii(Last),
}

/// Whether the client has said its last octet.
enum Came {
    Octets(usize),
    End,
}

impl Receive {
    pub(super) fn new(job: job::Receive) -> Receive {
        let way = match job.representation {
            Representation::Image => Way::Pipe,
            Representation::Ascii => Way::Ascii(Last::default()),
        };
        Receive { job, target: None, way, end: End::NotYet }
    }

    /// What came is all that was to come.
    pub(super) fn confirm(&mut self) {
        if self.end == End::Reached {
            self.end = End::Confirmed;
        }
    }

    pub(super) fn step(
        &mut self,
        stream: &mut Stream,
        budget: usize,
        scratch: &mut Scratch,
        patience: Patience,
        octets: &mut u64,
    ) -> Result<Step, Stop> {
        if matches!(self.way, Way::Pipe) && !stream.is_plain() {
            self.way = Way::Copy;
        }
        self.open(patience)?;
        if self.end != End::NotYet {
            return self.close(patience);
        }
        let mut left = budget;
        while left > 0 {
            let Some(target) = &mut self.target else { break };
            target.check(patience)?;
            let came = match &mut self.way {
                Way::Pipe => match through_pipe(target, stream, left, scratch, octets)? {
                    Some(came) => came,
                    None => {
                        self.way = Way::Copy;
                        continue;
                    }
                },
                Way::Copy => copy(target, stream, left, scratch.buffer(), octets)?,
                Way::Ascii(last) => translate(target, stream, left, scratch.buffer(), last, octets)?,
            };
            match came {
                Came::Octets(count) => left = left.saturating_sub(count),
                Came::End => return self.close(patience),
            }
        }
        Ok(Step::More)
    }

    fn open(&mut self, patience: Patience) -> Result<(), Stop> {
        if self.target.is_none() {
            self.job.root.set_patience(patience);
            let target = self.job.root.open_target(&self.job.path, self.job.placement, self.job.mode)?;
            if !target.takes_pipe() && matches!(self.way, Way::Pipe) {
                self.way = Way::Copy;
            }
            self.target = Some(target);
        }
        Ok(())
    }

    /// Closes the file. One that is hidden stops short of it, until somebody has confirmed that this is its end.
    fn close(&mut self, patience: Patience) -> Result<Step, Stop> {
        if let Some(target) = &mut self.target {
            if target.is_hidden() && self.end != End::Confirmed {
                self.end = End::Reached;
                return Ok(Step::Whole);
            }
            target.check_close(patience)?;
            if let Way::Ascii(last @ Last::Cr) = &mut self.way {
                target.write(b"\r")?;
                *last = Last::default();
            }
        }
        self.target.take().map_or(Ok(()), Target::close)?;
        Ok(Step::End)
    }
}

fn copy(
    target: &mut Target,
    stream: &mut Stream,
    budget: usize,
    buffer: &mut [u8],
    octets: &mut u64,
) -> Result<Came, Stop> {
    let length = budget.min(buffer.len());
    let count = stream.read(&mut buffer[..length])?;
    *octets += count as u64;
    if count == 0 {
        return Ok(Came::End);
    }
    target.write(&buffer[..count])?;
    Ok(Came::Octets(count))
}

fn translate(
    target: &mut Target,
    stream: &mut Stream,
    budget: usize,
    buffer: &mut [u8],
    last: &mut Last,
    octets: &mut u64,
) -> Result<Came, Stop> {
    let length = budget.min(buffer.len());
    let count = stream.read(&mut buffer[..length])?;
    *octets += count as u64;
    if count == 0 {
        return Ok(Came::End);
    }
    let mut text = Vec::with_capacity(count + 1);
    ascii::to_disk(last, &buffer[..count], &mut text);
    target.write(&text)?;
    Ok(Came::Octets(count))
}

/// Moves octets from the socket through the pipe into the file. The pipe is empty again afterwards, so that one pipe
/// serves every transfer. Nothing where this file or this machine cannot do it, with nothing lost.
fn through_pipe(
    target: &mut Target,
    stream: &mut Stream,
    budget: usize,
    scratch: &mut Scratch,
    octets: &mut u64,
) -> Result<Option<Came>, Stop> {
    let Some(pipe) = scratch.pipe() else { return Ok(None) };
    let moved = match stream.move_into(pipe, budget.min(pipe.octets())) {
        // The end, or urgent data, at which splice stops as well: reading tells them apart.
        Ok(0) => return copy(target, stream, budget, scratch.buffer(), octets).map(Some),
        Ok(moved) => moved,
        Err(Errno::AGAIN) => return Err(Stop::Blocked),
        Err(Errno::INTR) => return Ok(Some(Came::Octets(0))),
        Err(Errno::INVAL | Errno::NOSYS) => return Ok(None),
        Err(_) => return Err(Stop::Failed(Failure::ConnectionLost)),
    };
    *octets += moved as u64;
    let mut left = moved;
    while left > 0 {
        match target.take(pipe.output(), left) {
            Ok(taken) if taken > 0 => left -= taken,
            Err(Errno::INTR) => {}
            // This file system does not splice: what is in the pipe is written the common way.
            Err(Errno::INVAL | Errno::NOSYS) => {
                let written = drain(target, scratch, left);
                return written.map(|()| Some(Came::Octets(moved)));
            }
            Ok(_) => return Err(lost(scratch, Errno::NOSPC)),
            Err(errno) => return Err(lost(scratch, errno)),
        }
    }
    Ok(Some(Came::Octets(moved)))
}

fn drain(target: &mut Target, scratch: &mut Scratch, mut left: usize) -> Result<(), Stop> {
    let mut octets = vec![0; left];
    let mut at = 0;
    while left > 0 {
        let read = match scratch.pipe() {
            Some(pipe) => pipe.read(&mut octets[at..]),
            None => Err(Errno::IO),
        };
        match read {
            Ok(count) if count > 0 => {
                at += count;
                left -= count;
            }
            Err(Errno::INTR) => {}
            Ok(_) => return Err(lost(scratch, Errno::IO)),
            Err(errno) => return Err(lost(scratch, errno)),
        }
    }
    Ok(target.write(&octets)?)
}

/// What is left in the pipe belongs to nobody any more.
fn lost(scratch: &mut Scratch, errno: Errno) -> Stop {
    scratch.drop_pipe();
    Stop::Failed(Failure::File(fs::Error::Os(errno)))
}
