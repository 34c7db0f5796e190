//! Where the floors meet: the loop. It takes turns, accepts, hands turns to sessions, and stops cleanly.

mod admission;
mod certificate;
mod context;
mod data;
mod errand;
mod exposed;
mod ground;
mod logins;
mod meter;
mod passive;
mod privilege;
mod rates;
mod session;
mod start;

use std::io::{self, IsTerminal};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook_mio::v1_0::Signals;

use crate::auth::{self, Accounts, Users};
use crate::fs::Unwanted;
use crate::limits::{ACCEPT_PAUSE, ACCEPTS_PER_TURN, TRANSFER_OCTETS_PER_TURN, TRANSFER_OCTETS_PER_TURN_ALONE};
use crate::net::{Network, Stream, canonical};
use crate::options::Options;
use crate::protocol::state::Protection;
use crate::reactor::{Key, Part, Reactor, Readiness};
use crate::transfer::Scratch;
use admission::{Accepted, Admission};
use certificate::Certificate;
use context::{Context, Phase};
use errand::{Errand, Return};
use passive::PassiveHost;
use session::{Next, Session};

pub use start::Error;

/// The bells of the reactor; listeners come behind them.
const HELPER_BELL: usize = 0;
const SIGNAL_BELL: usize = 1;
const LISTENER_BELL: usize = 2;

/// Serves until it is told to stop.
///
/// # Errors
/// It cannot begin: a port is in use, a directory is not there, the kernel has no `openat2`.
pub fn run(options: Options, log: crate::log::Log) -> Result<(), Error> {
    match start::start(options, log)? {
        Some(mut server) => server.serve().map_err(Error::Loop),
        None => Ok(()),
    }
}

/// Where clients come in: in the clear, or at once under TLS.
#[derive(Debug)]
struct Door {
    listener: TcpListener,
    control: Protection,
}

/// Whether the server was started from a terminal, which may go away: then SIGHUP means what it meant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terminal {
    None,
    Here,
}

impl Terminal {
    fn find() -> Terminal {
        if io::stdin().is_terminal() { Terminal::Here } else { Terminal::None }
    }

    fn is_gone(self) -> bool {
        self == Terminal::Here && Terminal::find() == Terminal::None
    }
}

struct Server {
    reactor: Reactor<Session>,
    context: Context,
    doors: Vec<Door>,
    admission: Admission,
    signals: Signals,
    accounts: Accounts,
    passive: PassiveHost,
    certificate: Option<Certificate>,
    grace: Duration,
    terminal: Terminal,
    /// Descriptors were short: accepting pauses until then, or until a session closes.
    paused: Option<Instant>,
    /// Bells that have rung, and listeners that may have more.
    rang: Vec<usize>,
}

impl Server {
    fn serve(&mut self) -> io::Result<()> {
        loop {
            let next = [self.next_look(), self.context.helpers.relieve(self.context.now)].into_iter().flatten().min();
            let rang = &mut self.rang;
            self.reactor.wait(next, |number| rang.push(number))?;
            self.context.now = self.reactor.now();
            self.answer_bells();
            while let Some(key) = self.reactor.next_turn() {
                self.turn(key);
            }
            self.turn_out_banned();
            for key in self.context.rates.take_woken() {
                self.reactor.queue_soon(key);
            }
            self.remove_unwanted();
            if let Phase::Stopping(until) = self.context.phase
                && (self.reactor.is_empty() || self.context.now >= until + Duration::from_secs(1))
            {
                self.leave_nothing();
                log::info!("stopped");
                return Ok(());
            }
        }
    }

    /// Lends what uploads have left to be removed. At the end nobody would wait for the helper: `leave_nothing` does
    /// it.
    fn remove_unwanted(&mut self) {
        if self.context.phase != Phase::Serving {
            return;
        }
        let unwanted = self.context.ground.disks.take_unwanted();
        if !unwanted.is_empty() {
            self.lend_nobodys(Errand::Remove(unwanted));
        }
    }

    /// Ends the sessions that are left, and removes what they had not finished; here nothing else waits for that.
    fn leave_nothing(&mut self) {
        for key in self.reactor.keys() {
            self.part(key);
        }
        self.context.ground.disks.take_unwanted().into_iter().for_each(Unwanted::remove);
    }

    /// When the server itself has something to do, though nothing happens.
    fn next_look(&self) -> Option<Instant> {
        let stop = match self.context.phase {
            Phase::Stopping(until) => Some(until + Duration::from_secs(1)),
            Phase::Serving => None,
        };
        let more = (!self.rang.is_empty()).then_some(self.context.now);
        let certificate = self.certificate.as_ref().and_then(Certificate::next_look);
        [stop, more, certificate, self.paused, self.passive.next_look(), self.context.bans.next_end()]
            .into_iter()
            .flatten()
            .min()
    }

    fn answer_bells(&mut self) {
        if self.paused.is_some_and(|until| until <= self.context.now) {
            self.resume_accepting();
        }
        if let Some(host) = self.passive.due(self.context.now) {
            self.lend_nobodys(Errand::Resolve(host));
        }
        if let Some(errand) = self.certificate.as_mut().and_then(|certificate| certificate.due(Some(self.context.now)))
        {
            self.lend_nobodys(errand);
        }
        let now = self.context.now;
        self.context.bans.end(now, |network| log::info!("{network}: the ban has ended"));
        for number in std::mem::take(&mut self.rang) {
            match number {
                HELPER_BELL => self.take_back(),
                SIGNAL_BELL => self.answer_signals(),
                number => self.accept(number - LISTENER_BELL),
            }
        }
    }

    fn turn(&mut self, key: Key) {
        self.context.turn_octets = match self.reactor.is_alone() {
            true => TRANSFER_OCTETS_PER_TURN_ALONE,
            false => TRANSFER_OCTETS_PER_TURN,
        };
        let Some(slot) = self.reactor.get_mut(key) else { return };
        let (session, ready, context) = (&mut slot.value, &mut slot.ready, &mut self.context);
        let next = catch_unwind(AssertUnwindSafe(|| session.turn(key, ready, context)));
        match next {
            Ok(Next::Wait(deadline)) => self.reactor.arm(key, deadline),
            Ok(Next::Again) => self.reactor.queue(key),
            Ok(Next::Gone) => self.part(key),
            Err(_) => {
                log::error!("an internal error ended a session; the others go on");
                // What is left in the pipe belongs to nobody any more.
                self.context.scratch = Scratch::default();
                self.part(key);
            }
        }
    }

    fn part(&mut self, key: Key) {
        if let Some(session) = self.reactor.remove(key) {
            self.admission.leave(session.peer().ip());
            log::debug!("{}: disconnected", session.peer().ip());
            drop(session);
            self.resume_accepting();
        }
    }

    /// Who is here from an address that was just banned gets a turn, in which he is told so.
    fn turn_out_banned(&mut self) {
        let banned = self.context.bans.take_fresh();
        if banned.is_empty() {
            return;
        }
        for key in self.reactor.keys() {
            let session = self.reactor.get_mut(key).map(|slot| Network::of(slot.value.peer().ip()));
            if session.is_some_and(|network| banned.contains(&network)) {
                self.reactor.queue(key);
            }
        }
    }

    /// What helpers bring back goes to the sessions that lent it, if they are still there.
    fn take_back(&mut self) {
        for (key, returned) in self.context.helpers.returned() {
            let Some(returned) = self.keep_own(returned) else { continue };
            let Some(slot) = self.reactor.get_mut(key) else {
                if !matches!(returned, Return::Discarded | Return::Login(_) | Return::Lost) {
                    self.lend_nobodys(Errand::Discard(Box::new(returned)));
                }
                continue;
            };
            let (session, ready, context) =
                (&mut slot.value, &mut slot.ready[Part::Second as usize], &mut self.context);
            if catch_unwind(AssertUnwindSafe(|| session.returned(key, ready, returned, context))).is_err() {
                log::error!("an internal error ended a session; the others go on");
                self.part(key);
                continue;
            }
            self.reactor.queue_soon(key);
        }
    }

    /// Takes what the server itself had asked for.
    fn keep_own(&mut self, returned: Return) -> Option<Return> {
        match returned {
            Return::Resolved(found) => self.context.passive_address = self.passive.resolved(found, self.context.now),
            Return::Reloaded(loaded) => self.reloaded(loaded),
            Return::Certificate(look) => {
                let now = self.context.now;
                if let Some(authority) = self.certificate.as_mut().and_then(|it| it.looked(look, now)) {
                    self.context.tls = Some(authority);
                }
            }
            returned => return Some(returned),
        }
        None
    }

    /// An errand of the server's own: its key is one that nobody has.
    fn lend_nobodys(&mut self, errand: Errand) {
        if self.context.helpers.lend(Key::NOBODY, errand).is_err() {
            log::error!("too many errands wait; what the server itself asked for was not done");
        }
    }

    fn accept(&mut self, number: usize) {
        if self.paused.is_some() || self.context.phase != Phase::Serving {
            return;
        }
        let Some(door) = self.doors.get(number) else { return };
        let mut failed = 0;
        for _ in 0..ACCEPTS_PER_TURN {
            match self.admission.accept(door, &mut self.context.bans, self.context.now) {
                Accepted::Session(stream, peer) => {
                    let (stream, peer) = (Stream::new(stream), canonical(peer));
                    match stream.local_address() {
                        Ok(local) => {
                            let session = Session::new(stream, canonical(local), peer, door.control, &self.context);
                            admit(&mut self.reactor, &mut self.admission, session, door.control, &self.context);
                        }
                        Err(_) => self.admission.leave(peer.ip()),
                    }
                }
                Accepted::Refused => {}
                Accepted::Failed => failed += 1,
                Accepted::Nobody => return,
                Accepted::OutOfDescriptors => {
                    self.paused = Some(self.context.now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
        if failed == ACCEPTS_PER_TURN {
            log::error!("cannot accept: {failed} connections in a row have failed");
            self.paused = Some(self.context.now + ACCEPT_PAUSE);
            return;
        }
        // There may be more of them, and no further event will say so.
        self.rang.push(LISTENER_BELL + number);
    }

    /// Edge-triggered: no event comes for those who queued while accepting paused.
    fn resume_accepting(&mut self) {
        if self.paused.take().is_some() {
            self.rang.extend((0..self.doors.len()).map(|number| LISTENER_BELL + number));
        }
    }

    fn answer_signals(&mut self) {
        let signals: Vec<i32> = self.signals.pending().collect();
        for signal in signals {
            match signal {
                SIGHUP if self.terminal.is_gone() => self.stop(),
                SIGHUP => self.reload(),
                SIGTERM | SIGINT => self.stop(),
                // SIGXFSZ is only caught so that a write beyond the limit of file sizes fails and does not kill.
                _ => {}
            }
        }
    }

    /// SIGHUP: reads the users file again and opens the logs again; sessions go on as they are.
    fn reload(&mut self) {
        self.context.log.reopen();
        self.context.ground.disks.forget();
        self.lend_nobodys(Errand::Reload(self.accounts.clone(), self.context.ground.clone()));
        if let Some(errand) = self.certificate.as_mut().and_then(|certificate| certificate.due(None)) {
            self.lend_nobodys(errand);
        }
    }

    fn reloaded(&mut self, loaded: Result<(Users, Vec<String>), auth::Error>) {
        match loaded {
            Ok((users, warnings)) => {
                warnings.iter().for_each(|warning| log::warn!("{warning}"));
                log::info!("reloaded: {}", users.summary());
                self.context.users = Arc::new(users);
            }
            Err(error) => log::error!("the users stay as they were: {error}"),
        }
    }

    /// SIGTERM and SIGINT: accepts nobody any more and lets transfers finish; the second one ends them too.
    fn stop(&mut self) {
        let until = match self.context.phase {
            Phase::Serving => self.context.now + self.grace,
            Phase::Stopping(_) => self.context.now,
        };
        log::info!("stopping: {} sessions, at most {} s for their transfers", self.reactor.len(), self.grace.as_secs());
        self.context.phase = Phase::Stopping(until);
        self.doors.clear();
        for key in self.reactor.keys() {
            self.reactor.queue(key);
        }
    }
}

/// Gives a new session its slot.
fn admit(
    reactor: &mut Reactor<Session>,
    admission: &mut Admission,
    mut session: Session,
    control: Protection,
    context: &Context,
) {
    let peer = session.peer().ip();
    if control == Protection::Private
        && let Err(error) = session.begin_tls(context)
    {
        log::error!("{peer}: TLS cannot begin: {error}");
        return admission.leave(peer);
    }
    let key = reactor.insert(session);
    let registered = reactor.get_mut(key).map(|slot| {
        // The greeting can be written; whether there is something to read, the first event will say.
        slot.ready = [Readiness::WRITE, Readiness::ALL];
        slot.value.register(key, context)
    });
    if !matches!(registered, Some(Ok(()))) {
        reactor.remove(key);
        admission.leave(peer);
        return;
    }
    log::debug!("{peer}: connected");
}

/// The signals that are caught.
fn signals() -> io::Result<Signals> {
    Signals::new([SIGHUP, SIGINT, SIGTERM, SIGXFSZ])
}
