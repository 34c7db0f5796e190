//! The interpreter alone, with a driver whose every answer is chosen at random: late, early, good, bad.

use std::net::SocketAddr;

use ferryd::account::Credentials;
use ferryd::fs::{Errno, Error};
use ferryd::job::{Failure, Job, Report};
use ferryd::limits::{OUTPUT_OCTETS_MAX, READ_OCTETS_PER_TURN, STAT_OCTETS_MAX, WAITING_OCTETS_MAX};
use ferryd::protocol::state::Protection;
use ferryd::protocol::{Action, Deferred, Interpreter};

use crate::inside;
use crate::ledger::Ledger;
use crate::lines;
use crate::random::Random;
use crate::support::{Reply, Tree};

/// How many sessions are simulated.
pub const SESSIONS: u64 = 600;
const LINES_MAX: usize = 60;

/// What the driver owes to the interpreter.
#[derive(Debug)]
enum Owed {
    Nothing,
    Verdict(Credentials),
    Return(Box<Deferred>),
    Listening,
}

struct Driver<'a> {
    random: &'a mut Random,
    tree: &'a Tree,
    interpreter: Interpreter,
    ledger: Ledger,
    owed: Owed,
    job: Option<Job>,
    /// ABOR was said to the transfer that runs.
    aborting: bool,
    closed: bool,
    received: Vec<u8>,
}

/// One session.
pub fn session(random: &mut Random, round: u64) {
    let tree = Tree::new();
    tree.file("a.txt", "hello").directory("d").file("d/x", "x").file("c\rd", "").link("out", "../outside");
    let local: SocketAddr = "127.0.0.1:21".parse().unwrap();
    let interpreter =
        Interpreter::new(inside::settings(), local, "127.0.0.1:50000".parse().unwrap(), Protection::Clear);
    let mut driver = Driver {
        random,
        tree: &tree,
        interpreter,
        ledger: Ledger::default(),
        owed: Owed::Nothing,
        job: None,
        aborting: false,
        closed: false,
        received: Vec::new(),
    };
    assert_eq!(driver.read_reply().map(|reply| reply.code), Some(220), "round {round}");
    driver.run();
}

impl Driver<'_> {
    fn run(&mut self) {
        let count = self.random.below(LINES_MAX);
        let mut octets = Vec::new();
        let mut quits = false;
        if self.random.below(5) > 0 {
            self.add(lines::line("USER", b"rw"), &mut octets);
            self.add(lines::line("PASS", b"secret"), &mut octets);
        }
        for _ in 0..count {
            let line = match self.random.below(60) {
                0 if !quits => {
                    quits = true;
                    lines::quit()
                }
                1..=15 => {
                    self.add(lines::line("EPSV", b""), &mut octets);
                    lines::transfer(self.random)
                }
                _ => lines::command(self.random),
            };
            self.add(line, &mut octets);
        }
        let leaves_at = if self.random.once_in(6) { self.random.below(octets.len().max(1)) } else { usize::MAX };
        let mut fed = 0;
        for piece in self.random.cut(&octets) {
            fed += piece.len();
            self.feed(&piece);
            if self.closed {
                return;
            }
            if fed > leaves_at {
                return self.leave();
            }
        }
        self.settle();
        if self.closed {
            return;
        }
        assert!(self.ledger.is_settled(), "commands were not answered\n{}", self.ledger.conversation());
        assert!(self.interpreter.is_idle(), "it waits for something\n{}", self.ledger.conversation());
    }

    fn add(&mut self, line: lines::Line, octets: &mut Vec<u8>) {
        octets.extend_from_slice(&line.octets);
        if let Some(sent) = line.sent {
            self.ledger.sent(sent);
        }
    }

    /// Gives octets to the interpreter as a server does: when it wants them, and a bounded number at once.
    fn feed(&mut self, octets: &[u8]) {
        for piece in octets.chunks(READ_OCTETS_PER_TURN) {
            let mut patience = 10_000;
            while !self.interpreter.wants_octets() && !self.closed {
                self.turn();
                patience -= 1;
                assert!(patience > 0, "it never wants octets again\n{}", self.ledger.conversation());
            }
            self.interpreter.receive(piece);
            if self.random.once_in(2) {
                self.turn();
            }
        }
    }

    /// Goes on until nothing happens any more.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 250 && !self.closed {
            quiet = if self.turn() { 0 } else { quiet + 1 };
        }
    }

    /// One turn: an action, an event, a read, each or none of them; says whether anything happened.
    fn turn(&mut self) -> bool {
        let mut happened = false;
        if self.random.below(3) > 0
            && let Some(action) = self.interpreter.next_action()
        {
            self.perform(action);
            happened = true;
        }
        if self.random.once_in(2) {
            happened |= self.pay();
        }
        if self.random.once_in(2) {
            happened |= self.end_transfer();
        }
        if self.random.below(3) > 0 {
            happened |= self.read();
        }
        self.check_bounds();
        happened
    }

    fn check_bounds(&self) {
        let output = self.interpreter.output().len();
        // One reply may be as long as a STAT's, and Telnet's refusals of one read come on top.
        let bound = OUTPUT_OCTETS_MAX + 2 * STAT_OCTETS_MAX + WAITING_OCTETS_MAX + READ_OCTETS_PER_TURN;
        assert!(output <= bound, "{output} octets of output wait");
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Check(credentials) => self.owed = Owed::Verdict(credentials),
            Action::Defer(deferred) => self.owed = Owed::Return(deferred),
            Action::Listen(_) => self.owed = Owed::Listening,
            Action::Transfer(job) => {
                assert!(self.job.is_none(), "two transfers at once\n{}", self.ledger.conversation());
                (self.job, self.aborting) = (Some(job), false);
            }
            Action::Abort => self.aborting = true,
            Action::Status => self.interpreter.status("No data connection".to_owned()),
            Action::Secure => self.interpreter.secured(None),
            Action::Dial(_) | Action::CloseData | Action::LogOut => {}
            Action::Close => self.close(),
        }
    }

    /// Pays what is owed to the interpreter.
    fn pay(&mut self) -> bool {
        match std::mem::replace(&mut self.owed, Owed::Nothing) {
            Owed::Nothing => return false,
            Owed::Verdict(credentials) => {
                let account =
                    if self.random.once_in(8) { None } else { inside::account(self.tree.path(), &credentials) };
                self.interpreter.verdict(account);
            }
            Owed::Return(mut deferred) => {
                deferred.run();
                self.interpreter.returned(*deferred);
            }
            Owed::Listening if self.random.once_in(6) => self.interpreter.listening(Err("No passive port is free.")),
            Owed::Listening => self.interpreter.listening(Ok(SocketAddr::from(([127, 0, 0, 1], 40_000)))),
        }
        true
    }

    fn end_transfer(&mut self) -> bool {
        if self.job.is_none() || (!self.aborting && self.random.below(3) > 0) {
            return false;
        }
        let outcome = match (self.aborting, self.random.below(12)) {
            // The last octet had gone when ABOR came; or a late error of the disk comes with the end.
            (true, 0) => Ok(()),
            (true, 1) => Err(Failure::File(Error::Os(Errno::NOSPC))),
            (true, _) => Err(Failure::Aborted),
            (false, 0) => Err(Failure::NoConnection("Nobody connected.")),
            (false, 1) => Err(Failure::ConnectionLost),
            (false, 2) => Err(Failure::Stalled),
            (false, 3) => Err(Failure::Shrunk),
            (false, 4) => Err(Failure::File(Error::Os(Errno::NOSPC))),
            (false, _) => Ok(()),
        };
        (self.job, self.aborting) = (None, false);
        self.interpreter.finished(&Report { outcome, octets: 0 });
        true
    }

    /// Reads some of the output, as a slow client does.
    fn read(&mut self) -> bool {
        let output = self.interpreter.output();
        let count = (1 + self.random.below(200)).min(output.len());
        self.received.extend_from_slice(&output[..count]);
        self.interpreter.sent(count);
        while let Some(reply) = self.take_reply() {
            self.ledger.received(&reply);
        }
        count > 0
    }

    fn take_reply(&mut self) -> Option<Reply> {
        while let [255, 252 | 254, _, ..] = self.received.as_slice() {
            self.received.drain(..3);
        }
        Reply::take(&mut self.received)
    }

    fn read_reply(&mut self) -> Option<Reply> {
        let output = self.interpreter.output().to_vec();
        self.received.extend_from_slice(&output);
        self.interpreter.sent(output.len());
        self.take_reply()
    }

    /// Everything that was written before the end are whole replies that were owed.
    fn close(&mut self) {
        while let Some(reply) = self.read_reply() {
            if reply.code != 421 {
                self.ledger.received(&reply);
            }
        }
        assert!(self.received.is_empty(), "half a reply at the end: {:?}", self.received.escape_ascii().to_string());
        self.closed = true;
        self.ledger.close();
    }

    /// The server says farewell at any moment; what was lent comes back later, and nothing more is said or done.
    fn leave(&mut self) {
        self.interpreter.farewell("Good night.");
        let action = self.interpreter.next_action();
        assert!(matches!(action, Some(Action::Close)), "{action:?} after farewell\n{}", self.ledger.conversation());
        self.close();
        self.interpreter.receive(b"NOOP\r\n");
        self.pay();
        if self.job.take().is_some() {
            self.interpreter.finished(&Report { outcome: Err(Failure::Stopping), octets: 0 });
        }
        let action = self.interpreter.next_action();
        assert!(
            matches!(action, None | Some(Action::Close)),
            "{action:?} after the end\n{}",
            self.ledger.conversation()
        );
        let late = self.interpreter.output().escape_ascii().to_string();
        assert!(late.is_empty(), "said after the end: {late}\n{}", self.ledger.conversation());
    }
}
