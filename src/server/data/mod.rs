//! The one data connection of a session: where it stands (RFC 959 section 3.2), and what each step makes of it.

mod closing;
mod ending;
mod keeping;
mod listening;
mod moving;
mod running;

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use super::context::Context;
use crate::job::{Failure, Job};
use crate::limits::REPLY_HELD;
use crate::log::Once;
use crate::net::tls::{Connection, HandshakeError, Session as TlsSession};
use crate::net::{self, DataListener, Stream, dial};
use crate::reactor::{Key, Part, Readiness};
use crate::server::rates::Allowance;
use closing::Closing;
pub use keeping::Keeping;
pub use listening::Listening;
pub use running::{Ended, Order, Running};
use running::{out_of_resources, readiness};

/// Where the data connection stands. Every state that can stall knows since when.
#[derive(Debug, Default)]
pub enum Data {
    /// No `PASV`, `EPSV`, `PORT` or `EPRT` since the last transfer.
    #[default]
    None,
    /// We told the client where to connect; nothing is to be moved yet.
    Listening(Listening),
    /// `PORT` or `EPRT` said where the client listens.
    Named(SocketAddr),
    /// There is a job, and the client has not connected yet.
    Accepting { listener: DataListener, come: Option<Stream>, order: Box<Order> },
    /// There is a job, and we are connecting.
    Dialing { stream: Stream, order: Box<Order> },
    /// The TLS handshake.
    Securing { stream: Stream, order: Box<Order> },
    /// Moving octets.
    Running { stream: Stream, running: Box<Running> },
    /// All seems to have come, and nobody sees it yet: a client that dies closes the control connection as well, and
    /// that is waited for a moment.
    Whole { stream: Stream, running: Box<Running>, until: Instant },
    /// Stream and transfer are with a helper.
    Lent { running: Box<Running>, ending: Option<Failure> },
    /// All was moved; the two ends of TLS say so to each other.
    Closing(Box<Closing>),
}

/// What a step came to.
#[derive(Debug)]
pub enum Stepped {
    /// Something else must happen first.
    Nothing,
    /// There is more to do at once.
    Moved,
    /// An upload is whole if the client is still there: [`Data::confirm`], or [`Data::abort`].
    Whole,
    Ended(Ended),
}

/// What a step needs of the session: its key, the client, and what the socket may do.
#[derive(Debug)]
pub struct Turn<'a> {
    key: Key,
    peer: SocketAddr,
    ready: &'a mut Readiness,
    /// Where a listener may be left for the next data connection.
    keeping: &'a mut Keeping,
    /// How fast the session may be, where there is a limit.
    allowance: Option<&'a mut Allowance>,
    /// What the log was told of the session.
    told: &'a mut Once,
}

impl<'a> Turn<'a> {
    /// What the fields of a session are to its data connection.
    pub fn new(
        key: Key,
        peer: SocketAddr,
        ready: &'a mut Readiness,
        keeping: &'a mut Keeping,
        allowance: &'a mut Option<Box<Allowance>>,
        told: &'a mut Once,
    ) -> Turn<'a> {
        Turn { key, peer, ready, keeping, allowance: allowance.as_deref_mut(), told }
    }

    /// The log hears of a stranger at the data port: he comes first in the line, because it is he who should be kept
    /// out, and it is one line a session, because he can come as often as he likes.
    fn tell_of_stranger(&mut self, stranger: IpAddr) {
        if self.told.is_first("a stranger at the data port") {
            log::warn!("{stranger}: dropped: a data connection to a port that was opened for {}", self.peer.ip());
        }
    }

    /// Registers a stream that has to wait.
    fn wait(&mut self, stream: &mut Stream, direction: net::Direction, context: &Context) -> io::Result<()> {
        self.ready.clear(readiness(direction));
        stream.register(&context.registry, self.key.token(Part::Second))
    }
}

impl Data {
    /// Whether a job is under way.
    pub fn is_busy(&self) -> bool {
        !matches!(self, Data::None | Data::Listening(_) | Data::Named(_))
    }

    /// Whether there is a job, and the data connection is not up yet. Once the control connection has ended, nobody
    /// will open it any more (RFC 959 section 3.2).
    pub fn is_awaited(&self) -> bool {
        matches!(self, Data::Accepting { .. } | Data::Dialing { .. } | Data::Securing { .. })
    }

    /// While the client is in the middle of its TLS handshake on the data connection: until when replies are held back
    /// for it.
    pub fn held_until(&self) -> Option<Instant> {
        match self {
            Data::Securing { stream, order } if stream.tls().and_then(Connection::resumed).is_some() => {
                Some(order.since + REPLY_HELD)
            }
            _ => None,
        }
    }

    /// Begins `job` over what PASV or PORT has prepared.
    pub fn begin(
        &mut self,
        job: Job,
        tls: Option<Arc<TlsSession>>,
        local: SocketAddr,
        context: &Context,
    ) -> Option<Ended> {
        let order = Box::new(Order { job, tls, since: context.now });
        let started = match mem::take(self) {
            Data::Listening(Listening { listener, come, .. }) => Ok(Data::Accepting { listener, come, order }),
            Data::Named(peer) => {
                let mut from = local;
                from.set_port(0);
                let port = local.port().saturating_sub(1);
                let dialed = dial(from, port, peer).map_err(|_| "Cannot connect to you.");
                dialed.map(|stream| Data::Dialing { stream, order })
            }
            _ => Err("There is no data connection."),
        };
        match started {
            Ok(state) => {
                *self = state;
                None
            }
            Err(reason) => Some(Ended::before(Failure::NoConnection(reason))),
        }
    }

    /// When it has stalled; nothing where it cannot. What is lent waits for a disk, which no timeout makes faster.
    pub fn deadline(&self, context: &Context) -> Option<Instant> {
        match self {
            Data::Accepting { order, .. } | Data::Dialing { order, .. } | Data::Securing { order, .. } => {
                context.opens(order.since)
            }
            Data::Running { running, .. } => match running.held_until() {
                Some(until) => Some(until),
                None => [running.stalls(context), context.floor.map(|floor| running.watch.until(floor))]
                    .into_iter()
                    .flatten()
                    .min(),
            },
            Data::Whole { until, .. } => Some(*until),
            Data::Closing(closing) => Some(closing.until),
            Data::Listening(listening) => listening.deadline(),
            Data::None | Data::Named(_) | Data::Lent { .. } => None,
        }
    }

    /// Ends what has stalled. A transfer is tried once more before: the kernel tells of room in its buffer only when a
    /// third of it is free, which takes a slow client longer than the timeout.
    pub fn expire(&mut self, ready: &mut Readiness, context: &Context) -> Option<Ended> {
        if matches!(self, Data::Whole { .. } | Data::Listening(_))
            || self.deadline(context).is_none_or(|deadline| deadline > context.now)
        {
            return None;
        }
        let failure = match self {
            Data::Running { running, .. } => running.expire(ready, context)?,
            Data::Securing { .. } => Failure::Handshake,
            Data::Dialing { .. } => Failure::NoConnection("You did not accept the data connection in time."),
            _ => Failure::NoConnection("You did not open the data connection in time."),
        };
        self.abort(failure)
    }

    /// Goes on as far as it can without waiting; moves at most `budget` octets.
    pub fn step(&mut self, mut turn: Turn<'_>, budget: &mut usize, context: &mut Context) -> Stepped {
        match mem::take(self) {
            Data::Listening(mut listening) => {
                let stepped = listening.step(&mut turn, context);
                *self = Data::Listening(listening);
                stepped
            }
            Data::Accepting { listener, come, order } if turn.ready.has(Readiness::READ) => {
                self.accept(&mut turn, listener, come, order, context)
            }
            Data::Dialing { stream, order } if turn.ready.has(Readiness::WRITE) => {
                self.connect(&mut turn, stream, order, context)
            }
            Data::Securing { stream, order } if turn.ready.has(Readiness::READ) && turn.ready.has(Readiness::WRITE) => {
                self.secure(&mut turn, stream, order, context)
            }
            Data::Running { stream, running } if running.can_step(*turn.ready) && *budget > 0 => {
                self.run(&mut turn, stream, running, budget, context)
            }
            Data::Whole { stream, running, until } if until <= context.now => {
                *self = Data::Whole { stream, running, until };
                Stepped::Whole
            }
            Data::Closing(closing) => self.close(&mut turn, closing, context),
            other => {
                *self = other;
                Stepped::Nothing
            }
        }
    }

    fn accept(
        &mut self,
        turn: &mut Turn<'_>,
        mut listener: DataListener,
        come: Option<Stream>,
        order: Box<Order>,
        context: &Context,
    ) -> Stepped {
        let taken = come.map_or_else(|| listener.accept(turn.peer.ip(), |who| turn.tell_of_stranger(who)), Ok);
        match taken {
            Ok(stream) => {
                turn.keeping.offer(listener, context.now);
                self.connected(turn, stream, order, context)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                turn.ready.clear(Readiness::READ);
                if listener.register(&context.registry, turn.key.token(Part::Second)).is_err() {
                    return out_of_resources();
                }
                *self = Data::Accepting { listener, come: None, order };
                Stepped::Nothing
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                *self = Data::Accepting { listener, come: None, order };
                Stepped::Moved
            }
            Err(_) => out_of_resources(),
        }
    }

    fn connect(&mut self, turn: &mut Turn<'_>, mut stream: Stream, order: Box<Order>, context: &Context) -> Stepped {
        match stream.connected() {
            Ok(()) => self.connected(turn, stream, order, context),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if turn.wait(&mut stream, net::Direction::Out, context).is_err() {
                    return out_of_resources();
                }
                *self = Data::Dialing { stream, order };
                Stepped::Nothing
            }
            Err(error) => {
                let reason = match error.kind() {
                    io::ErrorKind::ConnectionRefused => "You refused the data connection.",
                    io::ErrorKind::TimedOut => "You did not answer the data connection.",
                    _ => "Cannot connect to you.",
                };
                Stepped::Ended(Ended::before(Failure::NoConnection(reason)))
            }
        }
    }

    /// The data connection is up.
    fn connected(&mut self, turn: &mut Turn<'_>, mut stream: Stream, order: Box<Order>, context: &Context) -> Stepped {
        *turn.ready = Readiness::ALL;
        if order.is_large() || order.tls.is_some() {
            stream.uncork();
        }
        match order.tls.as_ref().map(|tls| tls.data(order.flow(), stream.begun())) {
            None => *self = Data::Running { stream, running: Running::new(order.job, context.now) },
            Some(Ok(connection)) => {
                stream.secure(connection);
                *self = Data::Securing { stream, order };
            }
            Some(Err(error)) => {
                log::error!("{}: TLS: {error}", turn.peer.ip());
                return Stepped::Ended(Ended::before(Failure::Handshake));
            }
        }
        Stepped::Moved
    }

    fn secure(&mut self, turn: &mut Turn<'_>, mut stream: Stream, order: Box<Order>, context: &Context) -> Stepped {
        match stream.handshake() {
            Ok(None) => {
                let resumed = stream.tls().and_then(Connection::resumed);
                if let Some(how) = order.tls.as_ref().and_then(|tls| tls.first_full(resumed)) {
                    log::warn!("{}: a data connection {how}", turn.peer.ip());
                }
                if let Some(tls) = order.tls.as_ref().filter(|_| order.suits_kernel())
                    && let Err(error) = stream.hand_over(tls.kernel())
                {
                    log::error!("{}: kernel TLS: {error}", turn.peer.ip());
                    return Stepped::Ended(Ended::before(Failure::Handshake));
                }
                *turn.ready = Readiness::ALL;
                *self = Data::Running { stream, running: Running::new(order.job, context.now) };
                Stepped::Moved
            }
            Ok(Some(direction)) => {
                if turn.wait(&mut stream, direction, context).is_err() {
                    return out_of_resources();
                }
                *self = Data::Securing { stream, order };
                Stepped::Nothing
            }
            Err(error) => {
                log::warn!("{}: TLS on the data connection: {error}", turn.peer.ip());
                Stepped::Ended(Ended::before(match error {
                    HandshakeError::NotReused => Failure::NotReused,
                    HandshakeError::Failed(_) => Failure::Handshake,
                }))
            }
        }
    }

    /// What STAT says of it.
    pub fn describe(&self) -> String {
        match self {
            Data::None => "No data connection".to_owned(),
            Data::Listening(Listening { listener, .. }) => {
                format!("Listening for a data connection at port {}", listener.port())
            }
            Data::Named(address) => format!("The next transfer connects to {address}"),
            Data::Accepting { .. } | Data::Dialing { .. } => "Waiting for the data connection".to_owned(),
            Data::Securing { .. } => "TLS handshake on the data connection".to_owned(),
            Data::Running { running, .. } | Data::Whole { running, .. } | Data::Lent { running, .. } => {
                running.describe()
            }
            Data::Closing(_) => "Closing the data connection".to_owned(),
        }
    }
}
