//! The one data connection of a session: where it stands (RFC 959 section 3.2), and what each step makes of it.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::context::Context;
use super::errand::Errand;
use crate::fs::{Patience, VirtualPath};
use crate::job::{Failure, Job, Report, Representation};
use crate::log::Direction;
use crate::net::{DataListener, Stream, dial};
use crate::reactor::{Key, Part, Readiness};
use crate::transfer::{self, Progress, Transfer};

/// Where the data connection stands. Every state that can stall knows since when.
#[derive(Debug, Default)]
pub enum Data {
    /// No `PASV`, `EPSV`, `PORT` or `EPRT` since the last transfer.
    #[default]
    None,
    /// We told the client where to connect; nothing is to be moved yet.
    Listening(DataListener),
    /// `PORT` or `EPRT` said where the client listens.
    Named(SocketAddr),
    /// There is a job, and the client has not connected yet.
    Accepting { listener: DataListener, job: Box<Job>, since: Instant },
    /// There is a job, and we are connecting.
    Dialing { stream: Stream, job: Box<Job>, since: Instant },
    /// Moving octets.
    Running { stream: Stream, running: Box<Running> },
    /// Stream and transfer are with a helper.
    Lent { running: Box<Running>, ending: Option<Failure> },
}

/// A transfer, and what its end will be told with. While it is lent, the transfer itself is not here.
#[derive(Debug)]
pub struct Running {
    transfer: Option<Box<Transfer>>,
    subject: Option<Subject>,
    began: Instant,
    moved: Instant,
    octets: u64,
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

/// What a step came to.
#[derive(Debug)]
pub enum Stepped {
    /// Something else must happen first.
    Nothing,
    /// There is more to do at once.
    Moved,
    Ended(Ended),
}

impl Data {
    /// Whether a job is under way.
    pub fn is_busy(&self) -> bool {
        !matches!(self, Data::None | Data::Listening(_) | Data::Named(_))
    }

    /// Whether there is a job, and the data connection is not up yet. Once the control connection has ended, nobody will
    /// open it any more (RFC 959 section 3.2).
    pub fn is_awaited(&self) -> bool {
        matches!(self, Data::Accepting { .. } | Data::Dialing { .. })
    }

    /// Begins `job` over what PASV or PORT has prepared.
    pub fn begin(&mut self, job: Job, local: SocketAddr, context: &Context) -> Option<Ended> {
        let (job, since) = (Box::new(job), context.now);
        let started = match mem::take(self) {
            Data::Listening(listener) => Ok(Data::Accepting { listener, job, since }),
            Data::Named(peer) => {
                let mut from = local;
                from.set_port(0);
                let port = local.port().saturating_sub(1);
                dial(from, port, peer)
                    .map(|stream| Data::Dialing { stream, job, since })
                    .map_err(|_| "Cannot connect to you.")
            }
            _ => Err("There is no data connection."),
        };
        match started {
            Ok(state) => {
                *self = state;
                None
            }
            Err(reason) => Some(ended_before(Failure::NoConnection(reason))),
        }
    }

    /// Ends the job, or what was prepared for one. Nothing where there was no job, or where it is lent: then it ends
    /// when it comes back.
    pub fn abort(&mut self, failure: Failure) -> Option<Ended> {
        match mem::take(self) {
            Data::None | Data::Listening(_) | Data::Named(_) => None,
            Data::Accepting { .. } | Data::Dialing { .. } => Some(ended_before(failure)),
            Data::Running { mut running, .. } => Some(running.end_with(failure)),
            Data::Lent { running, .. } => {
                *self = Data::Lent { running, ending: Some(failure) };
                None
            }
        }
    }

    /// When it has stalled; nothing where it cannot. What is lent waits for a disk, which no timeout makes faster.
    pub fn deadline(&self, context: &Context) -> Option<Instant> {
        match self {
            Data::Accepting { since, .. } | Data::Dialing { since, .. } => context.stalls(*since),
            Data::Running { running, .. } => context.stalls(running.moved),
            Data::None | Data::Listening(_) | Data::Named(_) | Data::Lent { .. } => None,
        }
    }

    /// Ends what has stalled.
    pub fn expire(&mut self, context: &Context) -> Option<Ended> {
        if self.deadline(context).is_none_or(|deadline| deadline > context.now) {
            return None;
        }
        let failure = match self {
            Data::Running { .. } => Failure::Stalled,
            Data::Dialing { .. } => Failure::NoConnection("You did not accept the data connection in time."),
            _ => Failure::NoConnection("You did not open the data connection in time."),
        };
        self.abort(failure)
    }

    /// Goes on as far as it can without waiting; moves at most `budget` octets.
    pub fn step(
        &mut self,
        key: Key,
        peer: SocketAddr,
        ready: &mut Readiness,
        budget: &mut usize,
        context: &mut Context,
    ) -> Stepped {
        match mem::take(self) {
            Data::Accepting { listener, job, since } if ready.has(Readiness::READ) => {
                self.accept(key, peer, ready, listener, job, since, context)
            }
            Data::Dialing { stream, job, since } if ready.has(Readiness::WRITE) => {
                self.connect(key, ready, stream, job, since, context)
            }
            Data::Running { stream, running } if running.can_step(*ready) && *budget > 0 => {
                self.run(key, ready, stream, running, budget, context)
            }
            other => {
                *self = other;
                Stepped::Nothing
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn accept(
        &mut self,
        key: Key,
        peer: SocketAddr,
        ready: &mut Readiness,
        mut listener: DataListener,
        job: Box<Job>,
        since: Instant,
        context: &Context,
    ) -> Stepped {
        match listener.accept(peer.ip()) {
            Ok(stream) => {
                *ready = Readiness::ALL;
                *self = Data::Running { stream, running: Running::new(*job, context.now) };
                Stepped::Moved
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.clear(Readiness::READ);
                if listener.register(&context.registry, key.token(Part::Second)).is_err() {
                    return Stepped::Ended(ended_before(Failure::NoConnection("Out of resources; try again.")));
                }
                *self = Data::Accepting { listener, job, since };
                Stepped::Nothing
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                *self = Data::Accepting { listener, job, since };
                Stepped::Moved
            }
            Err(_) => Stepped::Ended(ended_before(Failure::NoConnection("Out of resources; try again."))),
        }
    }

    fn connect(
        &mut self,
        key: Key,
        ready: &mut Readiness,
        mut stream: Stream,
        job: Box<Job>,
        since: Instant,
        context: &Context,
    ) -> Stepped {
        match stream.connected() {
            Ok(()) => {
                *ready = Readiness::ALL;
                *self = Data::Running { stream, running: Running::new(*job, context.now) };
                Stepped::Moved
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.clear(Readiness::WRITE);
                if stream.register(&context.registry, key.token(Part::Second)).is_err() {
                    return Stepped::Ended(ended_before(Failure::NoConnection("Out of resources; try again.")));
                }
                *self = Data::Dialing { stream, job, since };
                Stepped::Nothing
            }
            Err(error) => {
                let reason = match error.kind() {
                    io::ErrorKind::ConnectionRefused => "You refused the data connection.",
                    io::ErrorKind::TimedOut => "You did not answer the data connection.",
                    _ => "Cannot connect to you.",
                };
                Stepped::Ended(ended_before(Failure::NoConnection(reason)))
            }
        }
    }

    fn run(
        &mut self,
        key: Key,
        ready: &mut Readiness,
        mut stream: Stream,
        mut running: Box<Running>,
        budget: &mut usize,
        context: &mut Context,
    ) -> Stepped {
        let Some(mut transfer) = running.transfer.take() else {
            return Stepped::Ended(running.end_with(Failure::ConnectionLost));
        };
        let before = transfer.octets();
        let progress = transfer.step(&mut stream, *budget, &mut context.scratch, Patience::CachedOnly);
        *budget = budget.saturating_sub((transfer.octets() - before) as usize);
        if let Progress::WouldWait = progress {
            return self.lend(key, ready, stream, transfer, running, context);
        }
        running.note(&transfer, context.now);
        running.transfer = Some(transfer);
        self.go_on(key, ready, stream, running, progress, context)
    }

    /// Lends a step to a helper. Whatever the socket says while it is away is news.
    fn lend(
        &mut self,
        key: Key,
        ready: &mut Readiness,
        stream: Stream,
        transfer: Box<Transfer>,
        mut running: Box<Running>,
        context: &mut Context,
    ) -> Stepped {
        *ready = Readiness::NONE;
        match context.helpers.lend(key, Errand::Step(stream, transfer)) {
            Ok(()) => {
                *self = Data::Lent { running, ending: None };
                Stepped::Nothing
            }
            Err(_) => Stepped::Ended(running.end_with(Failure::File(crate::fs::Error::WouldWait))),
        }
    }

    /// What a helper brings back.
    pub fn returned(
        &mut self,
        key: Key,
        ready: &mut Readiness,
        stream: Stream,
        transfer: Box<Transfer>,
        progress: Progress,
        context: &Context,
    ) -> Stepped {
        let Data::Lent { mut running, ending } = mem::take(self) else { return Stepped::Nothing };
        running.note(&transfer, context.now);
        running.transfer = Some(transfer);
        match (ending, progress) {
            (Some(_), Progress::Done(report)) => Stepped::Ended(running.end(report)),
            (Some(failure), _) => Stepped::Ended(running.end_with(failure)),
            (None, Progress::Blocked(_)) => self.wait_for_network(key, stream, running, context),
            (None, progress) => {
                ready.add(Readiness::ALL);
                self.go_on(key, ready, stream, running, progress, context)
            }
        }
    }

    /// A helper was lost, and the transfer with it.
    pub fn lost(&mut self) -> Option<Ended> {
        match mem::take(self) {
            Data::Lent { mut running, .. } => Some(running.end_with(Failure::ConnectionLost)),
            other => {
                *self = other;
                None
            }
        }
    }

    fn go_on(
        &mut self,
        key: Key,
        ready: &mut Readiness,
        stream: Stream,
        mut running: Box<Running>,
        progress: Progress,
        context: &Context,
    ) -> Stepped {
        match progress {
            Progress::Blocked(direction) => {
                ready.clear(direction_readiness(direction));
                self.wait_for_network(key, stream, running, context)
            }
            Progress::Again | Progress::WouldWait => {
                *self = Data::Running { stream, running };
                Stepped::Moved
            }
            Progress::Done(report) => {
                // The stream is closed before the reply says that all is done.
                drop(stream);
                Stepped::Ended(running.end(report))
            }
        }
    }

    fn wait_for_network(
        &mut self,
        key: Key,
        mut stream: Stream,
        mut running: Box<Running>,
        context: &Context,
    ) -> Stepped {
        if stream.register(&context.registry, key.token(Part::Second)).is_err() {
            return Stepped::Ended(running.end_with(Failure::ConnectionLost));
        }
        *self = Data::Running { stream, running };
        Stepped::Nothing
    }

    /// What STAT says of it.
    pub fn describe(&self) -> String {
        match self {
            Data::None => "No data connection".to_owned(),
            Data::Listening(listener) => format!("Listening for a data connection at port {}", listener.port()),
            Data::Named(address) => format!("The next transfer connects to {address}"),
            Data::Accepting { .. } | Data::Dialing { .. } => "Waiting for the data connection".to_owned(),
            Data::Running { running, .. } | Data::Lent { running, .. } => {
                let what = match &running.subject {
                    None => "Listing",
                    Some(Subject { direction: Direction::In, .. }) => "Receiving",
                    Some(_) => "Sending",
                };
                format!("{what}: {} octets so far", running.octets)
            }
        }
    }
}

fn direction_readiness(direction: transfer::Direction) -> Readiness {
    match direction {
        transfer::Direction::In => Readiness::READ,
        transfer::Direction::Out => Readiness::WRITE,
    }
}

fn ended_before(failure: Failure) -> Ended {
    Ended { report: Report { outcome: Err(failure), octets: 0 }, subject: None, duration: Duration::ZERO }
}

impl Running {
    fn new(job: Job, now: Instant) -> Box<Running> {
        let subject = match &job {
            Job::Send { path, representation, .. } => {
                Some(Subject { path: path.clone(), direction: Direction::Out, representation: *representation })
            }
            Job::Receive(job) => {
                Some(Subject { path: job.path.clone(), direction: Direction::In, representation: job.representation })
            }
            Job::List { .. } => None,
        };
        Box::new(Running { transfer: Some(Box::new(Transfer::new(job))), subject, began: now, moved: now, octets: 0 })
    }

    fn can_step(&self, ready: Readiness) -> bool {
        let direction = match &self.subject {
            Some(Subject { direction: Direction::In, .. }) => transfer::Direction::In,
            _ => transfer::Direction::Out,
        };
        ready.has(direction_readiness(direction))
    }

    fn note(&mut self, transfer: &Transfer, now: Instant) {
        if transfer.octets() != self.octets {
            self.octets = transfer.octets();
            self.moved = now;
        }
    }

    fn end_with(&mut self, failure: Failure) -> Ended {
        let report = Report { outcome: Err(failure), octets: self.octets };
        self.end(report)
    }

    fn end(&mut self, report: Report) -> Ended {
        Ended { report, subject: self.subject.take(), duration: self.began.elapsed() }
    }
}
