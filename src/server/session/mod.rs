//! One client: its control connection, its interpreter, its data connection. Carries out the interpreter's actions.
//!
//! Nothing else writes to a control connection, and what is written is the interpreter's to say.

mod clock;
mod finish;
mod input;
mod listening;
mod login;
mod secure;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::context::{Context, Phase};
use super::data::{Data, Keeping, Stepped, Turn};
use super::errand::{Errand, Return};
use super::rates::Allowance;
use crate::job::Failure;
use crate::limits::{CLOSE_TIMEOUT, COMMANDS_PER_TURN, OUTPUT_OCTETS_MAX};
use crate::log::Once;
use crate::net::Stream;
use crate::net::tls::{Connection, Session as TlsSession};
use crate::protocol::state::Protection;
use crate::protocol::{Action, Interpreter};
use crate::reactor::{Key, Part, Readiness};
use finish::Unlogged;
use input::Pace;

/// What the loop has to do with a session after its turn.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until something happens or this time comes.
    Wait(Option<Instant>),
    /// Another turn, after the others.
    Again,
    Gone,
}

/// What the control connection still gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    /// The client has closed its side; what it said before is still carried out.
    Ended,
    /// It was lost: nothing is read or written any more.
    Broken,
}

/// How far the session is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The last reply was given, and must be sent by then.
    Closing(Instant),
}

/// An answer that the interpreter waits for.
#[derive(Debug)]
enum Away {
    Nothing,
    /// Credentials are being checked, since then.
    Login(Instant, Vec<u8>),
    /// They were wrong, which is told then.
    Refusal(Instant),
    /// A command is with a helper.
    Command,
}

/// What may be written to the control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// Replies.
    Open,
    /// What is left to be said in the clear; then the TLS handshake begins.
    LastInClear,
    /// Nothing until the handshake is over, until then at most.
    Handshake(Instant),
}

/// One client.
#[derive(Debug)]
pub struct Session {
    stream: Stream,
    interpreter: Interpreter,
    data: Data,
    /// The listener of the last data connection, for one that follows at once.
    keeping: Keeping,
    /// How fast it may be, where there is a limit; from login on.
    allowance: Option<Box<Allowance>>,
    /// The last upload, while the logs wait for its client.
    unlogged: Option<Box<Unlogged>>,
    away: Away,
    input: Input,
    stage: Stage,
    began: Instant,
    /// When the client was last heard of.
    active: Instant,
    pace: Pace,
    /// What the log was told of it.
    told: Once,
    channel: Channel,
    /// The TLS of the control connection, to which data connections are bound.
    tls: Option<Arc<TlsSession>>,
}

impl Session {
    /// A session on a new control connection, with both its ends. One that is `Private` begins with
    /// [`Session::begin_tls`], and nothing is said before.
    pub fn new(stream: Stream, local: SocketAddr, peer: SocketAddr, control: Protection, context: &Context) -> Session {
        let now = context.now;
        let interpreter = Interpreter::new(context.settings.clone(), local, peer, control);
        Session {
            channel: Channel::Open,
            tls: None,
            stream,
            interpreter,
            data: Data::None,
            keeping: Keeping::new(now),
            allowance: None,
            unlogged: None,
            away: Away::Nothing,
            input: Input::Open,
            stage: Stage::Open,
            began: now,
            active: now,
            pace: Pace::new(now),
            told: Once::default(),
        }
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.interpreter.ends().1
    }

    /// Our end of the control connection.
    fn local(&self) -> SocketAddr {
        self.interpreter.ends().0
    }

    /// Registers the control connection with the reactor.
    pub fn register(&mut self, key: Key, context: &Context) -> io::Result<()> {
        self.stream.register(&context.registry, key.token(Part::First))
    }

    /// Goes on as far as it can without waiting, and as far as one turn goes.
    pub fn turn(&mut self, key: Key, ready: &mut [Readiness; 2], context: &mut Context) -> Next {
        let next = self.go_on(key, ready, context);
        if next == Next::Gone
            && let Some(ended) = self.data.abort(Failure::ConnectionLost).or_else(|| self.data.lost())
        {
            // The log tells of it, if nobody else does.
            self.finish(ended, context);
        }
        if next == Next::Gone {
            // Who has not ended it has broken it, if it was not us.
            if self.input == Input::Open {
                self.input = Input::Broken;
            }
            self.log_unlogged(context);
        }
        next
    }

    fn go_on(&mut self, key: Key, ready: &mut [Readiness; 2], context: &mut Context) -> Next {
        self.expire(&mut ready[1], context);
        match self.handshake(&mut ready[0], context) {
            Ok(true) => {}
            Ok(false) if context.phase == Phase::Serving => return Next::Wait(self.deadline(context)),
            // Whatever there is to say, it cannot be said in the clear.
            _ => return Next::Gone,
        }
        if let Err(error) = self.receive(&mut ready[0], context) {
            if error.kind() == io::ErrorKind::InvalidData {
                log::warn!("{}: TLS: {error}", self.peer().ip());
            }
            return Next::Gone;
        }
        let spent = self.work(key, &mut ready[1], context);
        self.log_when_known(context);
        self.stop(context);
        if self.flush(&mut ready[0], context).is_err() {
            return Next::Gone;
        }
        if self.channel == Channel::LastInClear && self.stage == Stage::Open && self.interpreter.output().is_empty() {
            if let Err(error) = self.begin_tls(context) {
                log::error!("{}: TLS cannot begin: {error}", self.peer().ip());
                return Next::Gone;
            }
            return Next::Again;
        }
        self.end_turn(ready[0], spent, context)
    }

    /// Takes back what was lent; a turn follows.
    pub fn returned(&mut self, key: Key, ready: &mut Readiness, returned: Return, context: &mut Context) {
        match returned {
            Return::Login(account) => self.checked(account, context),
            Return::Command(deferred) => {
                self.away = Away::Nothing;
                self.interpreter.returned(*deferred);
            }
            Return::Step(stream, transfer, progress) => {
                let turn = Turn::new(key, self.peer(), ready, &mut self.keeping, &mut self.allowance, &mut self.told);
                let stepped = self.data.returned(turn, stream, transfer, progress, context);
                self.stepped(stepped, ready, context);
            }
            Return::Lost => self.lost(context),
            Return::Resolved(_) | Return::Reloaded(_) | Return::Certificate(_) | Return::Discarded => {}
        }
    }

    /// A helper panicked over an errand of this session, which cannot go on: what it needs is gone.
    fn lost(&mut self, context: &Context) {
        log::error!("{}: an internal error ended this session", self.peer().ip());
        if let Some(ended) = self.data.lost() {
            self.finish(ended, context);
        }
        self.interpreter.farewell("Internal error; goodbye.");
    }

    /// Carries out commands and moves data until neither can go on, or the turn is over.
    fn work(&mut self, key: Key, ready: &mut Readiness, context: &mut Context) -> Spent {
        let mut commands = self.commands_free(context);
        let mut octets = context.turn_octets;
        let mut rounds = COMMANDS_PER_TURN * 2;
        while rounds > 0 {
            rounds -= 1;
            let before = self.interpreter.commands();
            let may = commands > 0 || self.interpreter.has_action();
            let acted = match may.then(|| self.interpreter.next_action()).flatten() {
                Some(action) => {
                    self.act(action, key, ready, context);
                    true
                }
                None => false,
            };
            let carried_out = (self.interpreter.commands() - before) as usize;
            if carried_out > 0 {
                // A client that drips octets, and never ends its line, is idle.
                self.active = context.now;
                self.spend_commands(carried_out, context);
            }
            commands = commands.saturating_sub(carried_out);
            let turn = Turn::new(key, self.peer(), ready, &mut self.keeping, &mut self.allowance, &mut self.told);
            let stepped = self.data.step(turn, &mut octets, context);
            let stepped = self.stepped(stepped, ready, context);
            if !acted && carried_out == 0 && !stepped {
                let turn = octets == 0 || (commands == 0 && self.paced_until(context).is_none());
                return if turn { Spent::Turn } else { Spent::Work };
            }
            if octets == 0 {
                return Spent::Turn;
            }
        }
        Spent::Turn
    }

    /// Whether a step has moved anything.
    fn stepped(&mut self, stepped: Stepped, ready: &mut Readiness, context: &Context) -> bool {
        match stepped {
            Stepped::Nothing => return false,
            Stepped::Moved => {}
            Stepped::Ended(ended) => self.finish(ended, context),
            Stepped::Whole if self.has_left_early() => {
                if let Some(ended) = self.data.abort(Failure::ConnectionLost) {
                    self.finish(ended, context);
                }
            }
            Stepped::Whole => {
                ready.add(Readiness::ALL);
                self.data.confirm();
            }
        }
        true
    }

    fn act(&mut self, action: Action, key: Key, ready: &mut Readiness, context: &mut Context) {
        match action {
            Action::Check(credentials) => self.check(credentials, key, context),
            Action::Defer(deferred) => {
                self.away = Away::Command;
                if let Err(Errand::Command(deferred)) = context.helpers.lend(key, Errand::Command(deferred)) {
                    self.away = Away::Nothing;
                    self.interpreter.returned(*deferred);
                }
            }
            Action::Listen(passive) => self.listen(passive, context),
            Action::Dial(address) => self.data = Data::Named(address),
            Action::Transfer(job) => {
                *ready = Readiness::ALL;
                let tls = self.data_tls();
                if let Some(ended) = self.data.begin(*job, tls, self.local(), context) {
                    self.finish(ended, context);
                }
            }
            Action::Abort => {
                if let Some(ended) = self.data.abort(Failure::Aborted) {
                    self.finish(ended, context);
                }
            }
            Action::CloseData => self.data = Data::None,
            Action::LogOut => {
                self.data = Data::None;
                self.allowance = None;
                self.began = context.now;
            }
            Action::Secure => {
                // What was sent behind AUTH in the clear counts for nothing.
                self.drop_input(context);
                self.channel = Channel::LastInClear;
            }
            Action::Status => self.interpreter.status(self.data.describe()),
            Action::Close => self.stage = Stage::Closing(context.now + CLOSE_TIMEOUT),
        }
    }

    /// Sends what there is to say.
    ///
    /// 150 waits for a handshake of the data connection that the client has begun without it: then the next ticket is
    /// sent before the first octet of an upload is, and a client that looks for it only once (curl) finds it. A client
    /// that waits for 150 before its handshake (Python's ftplib) gets it at once.
    fn flush(&mut self, ready: &mut Readiness, context: &Context) -> io::Result<()> {
        if self.data.held_until().is_some_and(|until| until > context.now) {
            return Ok(());
        }
        while ready.has(Readiness::WRITE) && !self.interpreter.output().is_empty() {
            match self.stream.write(self.interpreter.output()) {
                Ok(count) => self.interpreter.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear(Readiness::WRITE),
                Err(error) => return Err(error),
            }
        }
        match self.stream.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear(Readiness::WRITE),
            flushed => return flushed,
        }
        Ok(())
    }

    /// Whether everything that was said has been sent.
    fn all_sent(&self) -> bool {
        self.interpreter.output().is_empty() && !self.stream.tls().is_some_and(Connection::wants_write)
    }

    fn end_turn(&mut self, ready: Readiness, spent: Spent, context: &mut Context) -> Next {
        if let Stage::Closing(until) = self.stage {
            if self.all_sent() {
                self.discard(context);
                return Next::Gone;
            }
            if until > context.now {
                return Next::Wait(Some(until));
            }
            log::warn!("{}: did not read its replies", self.peer().ip());
            return Next::Gone;
        }
        let quiet = self.interpreter.is_idle() && !self.data.is_busy() && self.all_sent();
        if self.input == Input::Ended && (quiet || self.data.is_awaited()) {
            // TLS has an end of its own to say; any other error means that the client does not hear it.
            return match self.stream.end_output() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Next::Wait(self.deadline(context)),
                _ => Next::Gone,
            };
        }
        let paced = self.paced_until(context).is_some();
        let more = self.input == Input::Open && ready.has(Readiness::READ) && self.interpreter.wants_octets();
        let room = self.interpreter.output().len() < OUTPUT_OCTETS_MAX;
        if paced && (more || self.interpreter.has_work()) {
            self.tell_of_pace();
        }
        if spent == Spent::Turn || (!paced && (more || (room && self.interpreter.has_work()))) {
            return Next::Again;
        }
        Next::Wait(self.deadline(context))
    }
}

/// What a turn has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spent {
    /// All that there was to do.
    Work,
    /// The turn itself; there may be more to do.
    Turn,
}
