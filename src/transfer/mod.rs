//! The data transfer process (RFC 959 section 2.3): moves the octets of one job over one data connection, step by step.
//!
//! A step moves at most a budget of octets and never waits for the network. Whether it may wait for the disk is the
//! caller's to say: on the loop it may not, and answers [`Progress::WouldWait`] with nothing lost; the same step is
//! then made by a helper.

pub mod ascii;
mod list;
mod receive;
mod send;

use std::io;

use crate::fs::{self, Patience};
use crate::job::{Failure, Job, Report};
use crate::limits::{PIPE_OCTETS, SCRATCH_OCTETS};
use crate::net::{Direction, Pipe, Stream};
use list::List;
use receive::Receive;
use send::Send;

/// What one thread needs to move octets, whoever's they are: nothing stays in it between two steps.
#[derive(Debug, Default)]
pub struct Scratch {
    buffer: Vec<u8>,
    pipe: Option<Pipe>,
}

impl Scratch {
    /// A buffer of `SCRATCH_OCTETS`, made when it is first needed.
    pub fn buffer(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = vec![0; SCRATCH_OCTETS];
        }
        &mut self.buffer
    }

    /// An empty pipe; nothing where there is no descriptor left for one.
    fn pipe(&mut self) -> Option<&Pipe> {
        if self.pipe.is_none() {
            self.pipe = Pipe::new(PIPE_OCTETS).ok();
        }
        self.pipe.as_ref()
    }

    /// The same, but only a whole one: where the kernel gives this user a smaller one, `sendfile` is as good.
    fn large_pipe(&mut self) -> Option<&Pipe> {
        self.pipe().filter(|pipe| pipe.octets() >= PIPE_OCTETS)
    }

    /// Gives up the pipe with what is left in it.
    fn drop_pipe(&mut self) {
        self.pipe = None;
    }
}

/// What came of a step.
#[derive(Debug)]
pub enum Progress {
    /// The network has to move first.
    Blocked(Direction),
    /// The budget is spent.
    Again,
    /// The disk would have to be waited for. Nothing was lost.
    WouldWait,
    /// All came, and nobody sees it yet: [`Transfer::confirm`] is next, or the end of the transfer.
    Whole,
    Done(Report),
}

/// How a step ends early.
enum Stop {
    Blocked,
    WouldWait,
    Failed(Failure),
}

impl From<fs::Error> for Stop {
    fn from(error: fs::Error) -> Stop {
        match error {
            fs::Error::WouldWait => Stop::WouldWait,
            error => Stop::Failed(Failure::File(error)),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::WouldBlock => Stop::Blocked,
            // TLS alone tells an end that was not announced.
            io::ErrorKind::UnexpectedEof => Stop::Failed(Failure::Truncated),
            _ => Stop::Failed(Failure::ConnectionLost),
        }
    }
}

/// Whether a step came to the end of its transfer.
enum Step {
    More,
    Whole,
    End,
}

/// One transfer.
#[derive(Debug)]
pub struct Transfer {
    work: Work,
    /// Octets that went over the data connection.
    octets: u64,
}

#[derive(Debug)]
enum Work {
    Send(Box<Send>),
    Receive(Box<Receive>),
    List(Box<List>),
}

impl Transfer {
    /// Begins `job`; the data connection is up.
    pub fn new(job: Job) -> Transfer {
        let work = match job {
            Job::Send { source, offset, representation, .. } => {
                Work::Send(Box::new(Send::new(source, offset, representation)))
            }
            Job::Receive(job) => Work::Receive(Box::new(Receive::new(*job))),
            Job::List { listing } => Work::List(Box::new(List::new(listing))),
        };
        Transfer { work, octets: 0 }
    }

    /// Moves at most about `budget` octets.
    pub fn step(&mut self, stream: &mut Stream, budget: usize, scratch: &mut Scratch, patience: Patience) -> Progress {
        let octets = &mut self.octets;
        let (stepped, direction) = match &mut self.work {
            Work::Send(send) => (send.step(stream, budget, scratch, patience, octets), Direction::Out),
            Work::Receive(receive) => (receive.step(stream, budget, scratch, patience, octets), Direction::In),
            Work::List(list) => (list.step(stream, patience, octets), Direction::Out),
        };
        match stepped {
            Ok(Step::More) => Progress::Again,
            Ok(Step::Whole) => Progress::Whole,
            Ok(Step::End) => Progress::Done(self.report(Ok(()))),
            Err(Stop::Blocked) => Progress::Blocked(direction),
            Err(Stop::WouldWait) => Progress::WouldWait,
            Err(Stop::Failed(failure)) => Progress::Done(self.report(Err(failure))),
        }
    }

    /// A client that is still there has closed the data connection: what came is all, and further steps show it.
    pub fn confirm(&mut self) {
        if let Work::Receive(receive) = &mut self.work {
            receive.confirm();
        }
    }

    /// It is about to rest, though the network would take more.
    pub fn pause(&mut self) {
        if let Work::Send(send) = &mut self.work {
            send.pause();
        }
    }

    /// What is to be told of the transfer if it ends now, so.
    pub fn report(&self, outcome: Result<(), Failure>) -> Report {
        Report { outcome, octets: self.octets }
    }

    /// Octets that went over the data connection so far.
    pub fn octets(&self) -> u64 {
        self.octets
    }
}
