//! A job from the moment that the interpreter asks for it to its report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fs::VirtualPath;
use crate::job::{Failure, Job, Report, Representation};
use crate::limits::{KERNEL_TLS_OCTETS_MAX, KERNEL_TLS_OCTETS_MIN, SEGMENT_OCTETS};
use crate::log::Direction;
use crate::net::tls::{Flow, Session as TlsSession};
use crate::net::{self};
use crate::reactor::Readiness;
use crate::transfer::Transfer;

/// A job whose data connection is not up yet.
#[derive(Debug)]
pub struct Order {
    pub job: Job,
    /// The TLS session that the data connection has to belong to; nothing for one in the clear.
    pub tls: Option<Arc<TlsSession>>,
    /// When it was asked for.
    pub since: Instant,
}

impl Order {
    /// Which way the octets will go.
    pub fn flow(&self) -> Flow {
        match self.job {
            Job::Receive(_) => Flow::Upload,
            Job::Send { .. } | Job::List { .. } => Flow::Download,
        }
    }

    /// Whether it is a file of more than one segment.
    pub fn is_large(&self) -> bool {
        match &self.job {
            Job::Send { source, offset, .. } => source.facts().size.saturating_sub(*offset) > SEGMENT_OCTETS,
            _ => false,
        }
    }

    /// Whether the kernel should encrypt: a file that goes as it is, not so small that handing the keys over costs more
    /// than encrypting it, and not so large that one key would be used too often.
    pub fn suits_kernel(&self) -> bool {
        match &self.job {
            Job::Send { source, offset, representation: Representation::Image, .. } => {
                let octets = source.facts().size.saturating_sub(*offset);
                (KERNEL_TLS_OCTETS_MIN..=KERNEL_TLS_OCTETS_MAX).contains(&octets)
            }
            _ => false,
        }
    }
}

/// A transfer, and what its end will be told with. While it is lent, the transfer itself is not here.
#[derive(Debug)]
pub struct Running {
    pub(super) transfer: Option<Box<Transfer>>,
    pub(super) subject: Option<Subject>,
    began: Instant,
    /// When octets last moved.
    pub(super) moved: Instant,
    pub(super) last_try: LastTry,
    pub(super) octets: u64,
}

/// Whether a transfer that seems to have stalled was tried once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastTry {
    NotYet,
    Made,
}

/// What the transfer log says of a transfer; a listing is not in it.
#[derive(Clone, Debug)]
pub struct Subject {
    pub path: VirtualPath,
    pub direction: Direction,
    pub representation: Representation,
}

/// A transfer that has ended.
#[derive(Debug)]
pub struct Ended {
    pub report: Report,
    pub subject: Option<Subject>,
    pub duration: Duration,
}

impl Ended {
    /// It ended before a data connection was up.
    pub fn before(failure: Failure) -> Ended {
        Ended { report: Report { outcome: Err(failure), octets: 0 }, subject: None, duration: Duration::ZERO }
    }
}

impl Running {
    pub(super) fn new(job: Job, now: Instant) -> Box<Running> {
        let subject = match &job {
            Job::Send { path, representation, .. } => Some((path, Direction::Out, *representation)),
            Job::Receive(job) => Some((&job.path, Direction::In, job.representation)),
            Job::List { .. } => None,
        };
        let subject =
            subject.map(|(path, direction, representation)| Subject { path: path.clone(), direction, representation });
        Box::new(Running {
            transfer: Some(Box::new(Transfer::new(job))),
            subject,
            began: now,
            moved: now,
            last_try: LastTry::NotYet,
            octets: 0,
        })
    }

    /// Whether its socket may do what it waits for.
    pub(super) fn can_step(&self, ready: Readiness) -> bool {
        let direction = match &self.subject {
            Some(Subject { direction: Direction::In, .. }) => net::Direction::In,
            _ => net::Direction::Out,
        };
        ready.has(readiness(direction))
    }

    pub(super) fn note(&mut self, transfer: &Transfer, now: Instant) {
        if transfer.octets() != self.octets {
            self.octets = transfer.octets();
            self.moved = now;
            self.last_try = LastTry::NotYet;
        }
    }

    pub(super) fn end_with(&mut self, failure: Failure) -> Ended {
        let report = Report { outcome: Err(failure), octets: self.octets };
        self.end(report)
    }

    pub(super) fn end(&mut self, report: Report) -> Ended {
        Ended { report, subject: self.subject.take(), duration: self.began.elapsed() }
    }

    /// What STAT says of it.
    pub(super) fn describe(&self) -> String {
        let what = match &self.subject {
            None => "Listing",
            Some(Subject { direction: Direction::In, .. }) => "Receiving",
            Some(_) => "Sending",
        };
        format!("{what}: {} octets so far", self.octets)
    }
}

/// What of a socket's readiness a direction needs.
pub(super) fn readiness(direction: net::Direction) -> Readiness {
    match direction {
        net::Direction::In => Readiness::READ,
        net::Direction::Out => Readiness::WRITE,
    }
}

pub(super) fn out_of_resources() -> super::Stepped {
    super::Stepped::Ended(Ended::before(Failure::NoConnection("Out of resources; try again.")))
}
