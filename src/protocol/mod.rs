//! The protocol interpreter (RFC 959 section 2.3), sans-IO: octets and events in, replies and actions out.
//!
//! It names no socket, no clock and no thread. The server feeds it ([`Interpreter::receive`]), asks what to do
//! ([`Interpreter::next_action`]), says what came of it (the other methods), and sends what [`Interpreter::output`]
//! holds. Lines are carried out strictly in order; while one is not finished, the next waits.

pub mod argument;
pub mod command;
mod commands;
mod event;
mod gate;
pub mod line;
pub mod reply;
pub mod state;
pub mod table;

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::account::{Credentials, Proof};
use crate::fs::Patience;
use crate::job::Job;
use crate::limits::{OUTPUT_OCTETS_MAX, WAITING_OCTETS_MAX};
use crate::log::Once;
use command::{Answer, Command, Outcome, Passive};
use line::{Lines, Taken};
use reply::{Refusal, Reply};
use state::{DataAddress, LoggedIn, Protection, Security, Settings};

/// What the server has to do for the interpreter.
#[derive(Debug)]
pub enum Action {
    /// Find out whose these credentials are; then [`Interpreter::verdict`].
    Check(Credentials),
    /// Run a command where it may wait; then [`Interpreter::returned`].
    Defer(Box<Deferred>),
    /// Open a passive port; then [`Interpreter::listening`].
    Listen(Passive),
    /// Remember where the client listens. Nothing comes back.
    Dial(SocketAddr),
    /// Move data; then [`Interpreter::finished`].
    Transfer(Box<Job>),
    /// Stop the transfer that runs ([`Interpreter::finished`] follows).
    Abort,
    /// Close the data connection, or what listens for it, if there is one.
    CloseData,
    /// The user has left, and another may come: close the data connection, and give time for a new login.
    LogOut,
    /// Say what the data connection does; then [`Interpreter::status`].
    Status,
    /// Send what there is to send, then begin the TLS handshake; then [`Interpreter::secured`].
    Secure,
    /// Send what there is to send, and close.
    Close,
}

/// Who is at the other end.
#[derive(Debug)]
enum Login {
    Nobody,
    /// USER was said, PASS was not.
    Named(Vec<u8>),
    /// PASS was said; the verdict is not known.
    Checking,
    In(Box<LoggedIn>),
    /// Logged in, and lent to a helper.
    Lent,
}

/// What must come before the next line is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Verdict,
    Return,
    Listener(Passive),
    /// The TLS handshake of the control connection.
    Handshake,
    Transfer,
    /// ABOR was said to the transfer: its own reply comes after the transfer's, however that ends.
    AbortedTransfer,
    /// QUIT was answered while a transfer ran; it is let finish.
    LastTransfer,
    /// Nothing comes any more.
    Closed,
}

/// The interpreter of one control connection.
#[derive(Debug)]
pub struct Interpreter {
    settings: Arc<Settings>,
    local: SocketAddr,
    peer: SocketAddr,
    lines: Lines,
    output: Vec<u8>,
    login: Login,
    security: Security,
    waiting: Waiting,
    /// What to do after the reply that was just written.
    next: Option<Action>,
    login_failures: u32,
    /// What the log was told of it.
    told: Once,
    /// How many commands were carried out; the first line alone may be an HTTP request.
    commands: u64,
}

/// A command that could not be carried out without waiting, with all that it needs.
#[derive(Debug)]
pub struct Deferred {
    logged_in: Box<LoggedIn>,
    command: &'static Command,
    argument: Vec<u8>,
    answer: Answer,
}

impl Deferred {
    /// Carries the command out, from its beginning, and waits where it must.
    pub fn run(&mut self) {
        self.logged_in.root.set_patience(Patience::MayWait);
        self.answer = self.command.carry_out(&mut self.logged_in, &self.argument);
        self.logged_in.root.set_patience(Patience::CachedOnly);
    }
}

impl Interpreter {
    /// A new interpreter; `local` and `peer` are the ends of its control connection. Its output holds the greeting.
    /// A control connection that is `Private` has begun under TLS (implicit FTPS).
    pub fn new(settings: Arc<Settings>, local: SocketAddr, peer: SocketAddr, control: Protection) -> Interpreter {
        let mut interpreter = Interpreter {
            security: Security::new(control),
            settings,
            local,
            peer,
            lines: Lines::default(),
            output: Vec::new(),
            login: Login::Nobody,
            waiting: Waiting::Nothing,
            next: None,
            login_failures: 0,
            told: Once::default(),
            commands: 0,
        };
        interpreter.say(&Reply::new(220, "ferryd ready."));
        interpreter
    }

    /// Takes octets from the control connection.
    pub fn receive(&mut self, octets: &[u8]) {
        if !matches!(self.waiting, Waiting::Closed | Waiting::Handshake) {
            self.lines.receive(octets, &mut self.output);
        }
    }

    /// Whether there is room for more octets; while there is none, the control connection is not read.
    pub fn wants_octets(&self) -> bool {
        self.lines.held() < WAITING_OCTETS_MAX && self.output.len() < OUTPUT_OCTETS_MAX && !self.is_leaving()
    }

    /// Whether QUIT, or something worse, was the last word.
    fn is_leaving(&self) -> bool {
        matches!(self.waiting, Waiting::LastTransfer | Waiting::Closed)
    }

    /// Whether a whole line could be carried out now.
    pub fn has_work(&self) -> bool {
        self.next.is_some()
            || (self.waiting == Waiting::Nothing
                && self.output.len() < OUTPUT_OCTETS_MAX
                && self.lines.peek().is_some())
    }

    /// How many lines were carried out so far.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// The two ends of the control connection: ours, and the client's.
    pub fn ends(&self) -> (SocketAddr, SocketAddr) {
        (self.local, self.peer)
    }

    /// Whether nothing is going on and no line waits.
    pub fn is_idle(&self) -> bool {
        self.waiting == Waiting::Nothing && !self.has_work()
    }

    /// The octets to send on the control connection.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Forgets the first `count` octets of the output: they were sent.
    pub fn sent(&mut self, count: usize) {
        if count >= self.output.len() {
            self.output = Vec::new();
        } else {
            self.output.drain(..count);
        }
    }

    /// The user who is logged in; nothing while he is lent to a helper.
    pub fn logged_in(&self) -> Option<&LoggedIn> {
        match &self.login {
            Login::In(logged_in) => Some(logged_in),
            _ => None,
        }
    }

    /// Whether somebody is logged in.
    pub fn is_logged_in(&self) -> bool {
        matches!(self.login, Login::In(_) | Login::Lent)
    }

    /// Carries out at most one line; gives what the server has to do for it, or nothing where there is no whole line,
    /// or where the last one is not finished, or the output is full.
    pub fn next_action(&mut self) -> Option<Action> {
        if let Some(action) = self.next.take() {
            return Some(action);
        }
        if self.output.len() >= OUTPUT_OCTETS_MAX {
            return None;
        }
        match self.waiting {
            Waiting::Nothing => {}
            Waiting::Transfer => return self.line_during_transfer(),
            _ => return None,
        }
        let mut line = Vec::new();
        match self.lines.take(&mut line)? {
            Taken::Text => self.carry_out(line),
            Taken::TooLong => self.refuse_long_line(),
        }
        self.next.take()
    }

    fn conclude(&mut self, answer: Answer) {
        match answer {
            Ok(outcome) => self.follow(outcome),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn follow(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Reply(reply) => self.say(&reply),
            Outcome::Transfer(reply, job) => {
                self.say(&reply);
                self.waiting = Waiting::Transfer;
                self.next = Some(Action::Transfer(Box::new(job)));
            }
            Outcome::Listen(passive) => {
                self.waiting = Waiting::Listener(passive);
                self.next = Some(Action::Listen(passive));
            }
            Outcome::Dial(address, reply) => {
                self.set_data_address(DataAddress::Active);
                self.say(&reply);
                self.next = Some(Action::Dial(address));
            }
            Outcome::Status => self.next = Some(Action::Status),
            Outcome::Abort => self.abort_asked(),
            Outcome::Idle(timeout, reply) => {
                if let Login::In(logged_in) = &mut self.login {
                    logged_in.idle_timeout = Some(timeout);
                }
                self.say(&reply);
            }
            Outcome::Check => {}
            Outcome::Secure(reply) => {
                // RFC 4217 section 4, and CVE-2011-0411: what was sent in the clear behind AUTH was perhaps not sent by
                // the one who is about to log in. It is not heard.
                self.lines.clear();
                self.login = Login::Nobody;
                self.say(&reply);
                self.waiting = Waiting::Handshake;
                self.next = Some(Action::Secure);
            }
            Outcome::Reinitialize(reply) => {
                let was_logged_in = self.is_logged_in();
                self.login = Login::Nobody;
                self.security.reinitialize();
                self.say(&reply);
                self.next = was_logged_in.then_some(Action::LogOut);
            }
            Outcome::Quit(reply) => {
                self.say(&reply);
                match self.waiting {
                    Waiting::Transfer => self.waiting = Waiting::LastTransfer,
                    _ => self.close(),
                }
            }
        }
    }

    /// RFC 959 section 4.1.3, ABOR: 426 for the transfer (when it has stopped), then 226 for the ABOR itself.
    fn abort_asked(&mut self) {
        if self.waiting == Waiting::Transfer {
            self.waiting = Waiting::AbortedTransfer;
            self.next = Some(Action::Abort);
        } else {
            self.set_data_address(DataAddress::None);
            self.say(&Reply::new(226, "No transfer to abort; data connection closed."));
            self.next = Some(Action::CloseData);
        }
    }

    /// PASS, or a certificate: the server is asked who it is, once USER has named somebody.
    fn check(&mut self, proof: Proof) -> Answer {
        match mem::replace(&mut self.login, Login::Checking) {
            Login::Named(user) => {
                self.waiting = Waiting::Verdict;
                self.next = Some(Action::Check(Credentials { user, proof }));
                Ok(Outcome::Check)
            }
            Login::In(logged_in) => {
                self.login = Login::In(logged_in);
                Err(Refusal::Sequence("Already logged in."))
            }
            other => {
                self.login = other;
                Err(Refusal::Sequence("Send USER first."))
            }
        }
    }

    /// How data connections are protected.
    pub fn data_protection(&self) -> Protection {
        self.security.data
    }

    /// How long this session may be silent.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.logged_in().map_or(self.settings.idle_timeout, |logged_in| logged_in.idle_timeout)
    }

    fn close(&mut self) {
        self.waiting = Waiting::Closed;
        self.lines.clear();
        self.next = Some(Action::Close);
    }

    fn set_data_address(&mut self, address: DataAddress) {
        if let Login::In(logged_in) = &mut self.login {
            logged_in.parameters.data_address = address;
        }
    }

    fn say(&mut self, reply: &Reply) {
        log::debug!("{}: < {}", self.peer.ip(), reply.code());
        reply.write(&mut self.output);
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.say(&refusal.reply());
    }
}
