//! A job from the moment that the interpreter asks for it to its report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fs::VirtualPath;
use crate::job::{Failure, Job, Report, Representation};
use crate::limits::{KERNEL_TLS_OCTETS_MAX, KERNEL_TLS_OCTETS_MIN, LAST_TRY, SEGMENT_OCTETS};
use crate::log::Direction;
use crate::net::tls::{Flow, Session as TlsSession};
use crate::net::{self};
use crate::reactor::Readiness;
use crate::server::context::{Context, Floor};
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
    /// Since when it waits for its rate, and until when.
    held: Option<(Instant, Instant)>,
    /// Of the last errand.
    pub(super) lent: Lent,
    pub(super) watch: Watch,
    end: End,
}

/// Whether the end of an upload, which in plain FTP is that of a connection, may be that of its client alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    AsItSeems,
    /// TLS has said so, or the client was still there afterwards.
    Certain,
}

/// A step that a helper makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lent {
    pub(super) since: Instant,
    /// What the loop had moved of it before.
    pub(super) moved: usize,
}

/// Whether a transfer that seems to have stalled was tried once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastTry {
    NotYet,
    Made,
}

/// Whether a transfer is fast enough (`--min-rate`): what it has moved since then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    since: Instant,
    octets: u64,
    last_try: LastTry,
}

impl Watch {
    fn new(now: Instant) -> Watch {
        Watch { since: now, octets: 0, last_try: LastTry::NotYet }
    }

    /// When it is to be judged.
    pub(super) fn until(&self, floor: Floor) -> Instant {
        match self.last_try {
            LastTry::NotYet => self.since + floor.window,
            LastTry::Made => self.since + floor.window + LAST_TRY,
        }
    }

    /// Judges a transfer that has moved `octets` so far.
    pub(super) fn judge(&mut self, octets: u64, floor: Floor, now: Instant) -> Pace {
        if self.until(floor) > now {
            return Pace::Enough;
        }
        if octets - self.octets >= floor.octets {
            *self = Watch { since: now, octets, last_try: LastTry::NotYet };
            return Pace::Enough;
        }
        match self.last_try {
            LastTry::NotYet => {
                self.last_try = LastTry::Made;
                Pace::TryOnce
            }
            LastTry::Made => Pace::TooSlow,
        }
    }
}

/// What a [`Watch`] has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Enough,
    /// Too little, as it seems: it is tried once more.
    TryOnce,
    TooSlow,
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
    end: End,
}

impl Ended {
    /// It ended before a data connection was up.
    pub fn before(failure: Failure) -> Ended {
        let report = Report { outcome: Err(failure), octets: 0 };
        Ended { report, subject: None, duration: Duration::ZERO, end: End::Certain }
    }

    /// Whether it was an upload, and no more than seems to be whole.
    pub fn seems_whole(&self) -> bool {
        let is_upload = matches!(self.subject, Some(Subject { direction: Direction::In, .. }));
        is_upload && self.report.outcome.is_ok() && self.end == End::AsItSeems
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
        Box::new(Running { transfer: Some(Box::new(Transfer::new(job))), ..Running::of(subject, now) })
    }

    fn of(subject: Option<Subject>, now: Instant) -> Running {
        Running {
            transfer: None,
            subject,
            began: now,
            moved: now,
            last_try: LastTry::NotYet,
            octets: 0,
            held: None,
            lent: Lent { since: now, moved: 0 },
            watch: Watch::new(now),
            end: End::AsItSeems,
        }
    }

    /// Its end, once there is one, is the end of what the client had to send.
    pub(super) fn end_is_certain(&mut self) {
        self.end = End::Certain;
    }

    /// Which way its octets go.
    pub(super) fn direction(&self) -> net::Direction {
        match &self.subject {
            Some(Subject { direction: Direction::In, .. }) => net::Direction::In,
            _ => net::Direction::Out,
        }
    }

    /// Whether its socket may do what it waits for.
    pub(super) fn can_step(&self, ready: Readiness) -> bool {
        ready.has(readiness(self.direction()))
    }

    /// Until when it waits for its rate.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held.map(|(_, until)| until)
    }

    /// It has to wait for its rate.
    pub(super) fn hold(&mut self, now: Instant, until: Instant) {
        self.held = Some((now, until));
        if let Some(transfer) = &mut self.transfer {
            transfer.pause();
        }
    }

    /// It has to wait for its rate no longer.
    pub(super) fn release(&mut self, now: Instant) {
        if let Some((since, _)) = self.held.take() {
            self.excuse(since, now);
        }
    }

    /// When it has stalled, or was last tried for nothing.
    pub(super) fn stalls(&self, context: &Context) -> Option<Instant> {
        let deadline = context.stalls(self.moved);
        match self.last_try {
            LastTry::NotYet => deadline,
            LastTry::Made => deadline.map(|deadline| deadline + LAST_TRY),
        }
    }

    /// What ends it because of the time, if anything does. It is tried once more before.
    pub(super) fn expire(&mut self, ready: &mut Readiness, context: &Context) -> Option<Failure> {
        if self.held.is_some() {
            return None;
        }
        if self.stalls(context).is_some_and(|deadline| deadline <= context.now) {
            match self.last_try {
                LastTry::Made => return Some(Failure::Stalled),
                LastTry::NotYet => self.last_try = LastTry::Made,
            }
            ready.add(Readiness::ALL);
        }
        match self.watch.judge(self.octets, context.floor?, context.now) {
            Pace::Enough => None,
            Pace::TryOnce => {
                ready.add(Readiness::ALL);
                None
            }
            Pace::TooSlow => Some(Failure::TooSlow),
        }
    }

    /// What it did not move since then was not for the client to move: it waited for its rate, or for a disk.
    pub(super) fn excuse(&mut self, since: Instant, now: Instant) {
        let time = now.saturating_duration_since(since);
        self.moved += time;
        self.watch.since += time;
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
        Ended { report, subject: self.subject.take(), duration: self.began.elapsed(), end: self.end }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_clocks_stand_still_while_it_waits_for_its_rate() {
        let begin = Instant::now();
        let floor = Floor { window: 30 * SECOND, octets: 1 };
        let mut running = Running::of(None, begin);
        assert!(running.can_step(Readiness::WRITE) && !running.can_step(Readiness::READ));
        running.hold(begin + SECOND, begin + 11 * SECOND);
        assert_eq!(running.held_until(), Some(begin + 11 * SECOND));
        running.release(begin + 11 * SECOND);
        assert_eq!(running.held_until(), None);
        assert_eq!((running.moved, running.watch.until(floor)), (begin + 10 * SECOND, begin + 40 * SECOND));
    }

    #[test]
    fn what_is_too_slow_is_tried_once_more_and_then_told() {
        let begin = Instant::now();
        let floor = Floor { window: 30 * SECOND, octets: 3_000 };
        let mut watch = Watch::new(begin);
        assert_eq!(watch.judge(0, floor, begin + 29 * SECOND), Pace::Enough);
        assert_eq!(watch.judge(3_000, floor, begin + 30 * SECOND), Pace::Enough);
        // What was moved before does not count again.
        assert_eq!(watch.judge(5_999, floor, begin + 60 * SECOND), Pace::TryOnce);
        assert_eq!(watch.judge(5_999, floor, begin + 60 * SECOND), Pace::Enough);
        let (mut other, last) = (watch, begin + 60 * SECOND + LAST_TRY);
        assert_eq!(other.judge(6_000, floor, last), Pace::Enough, "the last try has moved enough");
        assert_eq!(watch.judge(5_999, floor, last), Pace::TooSlow);
    }
}
