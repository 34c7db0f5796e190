//! The interpreter alone, with a driver whose every answer is chosen: late, early, good, bad. Beside it runs a model of
//! the session's state, and an account of what is owed to whom. The choices are those of a seed, or of a fuzzer.

// The simulation and the fuzzers each use another part of this.
#![allow(dead_code)]

#[path = "interpreter_debts.rs"]
mod debts;
#[path = "interpreter_world.rs"]
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferryd::account::{Account, Credentials, Proof, RequireTls, Rights};
use ferryd::fs::{Disks, Errno, Error, Owners, Patience, ProcessIds, Root, Symlinks};
use ferryd::job::{Failure, Job, Report};
use ferryd::limits::{LINE_OCTETS_MAX, OUTPUT_OCTETS_MAX, READ_OCTETS_PER_TURN, STAT_OCTETS_MAX, WAITING_OCTETS_MAX};
use ferryd::listing::Format;
use ferryd::protocol::state::{Protection, Settings};
use ferryd::protocol::{Action, Deferred, Interpreter};

use crate::ledger::{Heard, Ledger};
use crate::lines::{self, Line};
use crate::model::Model;
use crate::random::Random;
use crate::support::{Reply, Tree};
pub use world::World;

/// How many sessions are simulated, unless `FERRYD_SEEDS` says it.
pub const SESSIONS: u64 = 2_000;
/// Commands that change what is on the disk.
const CHANGES: &[&str] = &["DELE", "RMD", "XRMD", "MKD", "XMKD", "RNTO", "MFMT", "MFF", "SITE"];
const STEPS_MAX: usize = 300;
const UNSENT_OCTETS_MAX: usize = 40_000;

/// What the driver owes to the interpreter.
#[derive(Debug)]
enum Owed {
    Nothing,
    Verdict(Credentials),
    Return(Box<Deferred>),
    Listening,
    Handshake,
}

/// Whether the server has closed the control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Open,
    Closed,
}

struct Driver<'a> {
    random: &'a mut Random,
    world: &'a World,
    interpreter: Interpreter,
    ledger: Ledger,
    model: Model,
    owed: Owed,
    job: Option<Job>,
    /// ABOR was said to the transfer that runs.
    aborting: bool,
    connection: Connection,
    /// What the client has said and the network not brought.
    unsent: Vec<u8>,
    /// How much of the output was read here; the client may have read less.
    heard: usize,
    received: Vec<u8>,
    /// Whether something may have changed on the disk.
    touched: bool,
}

/// One session, all of which is chosen.
pub fn session(random: &mut Random, world: &World) {
    let tls = *random.pick(&[None, Some(RequireTls::No), Some(RequireTls::Login), Some(RequireTls::All)]);
    let ipv6 = random.once_in(4);
    let control = if tls.is_some() && random.once_in(3) { Protection::Private } else { Protection::Clear };
    Driver::begin(random, world, tls, control, ipv6).play(|driver| {
        driver.choose_first();
        for _ in 0..STEPS_MAX {
            if driver.connection == Connection::Closed || driver.random.is_spent() {
                break;
            }
            driver.step();
            driver.check();
        }
    });
}

/// One session of lines that somebody has written. Each is carried out before the next is sent; but a line that begins
/// with a control character is none: its octets choose what happens next, while the line before is under way, and the
/// line behind it does not wait either.
pub fn script(octets: &[u8], world: &World) {
    let mut random = Random::from_octets(b"");
    Driver::begin(&mut random, world, Some(RequireTls::No), Protection::Clear, false).play(|driver| {
        let mut under_way = false;
        for text in octets.split(|octet| *octet == b'\n').take(STEPS_MAX) {
            if driver.connection == Connection::Closed {
                break;
            }
            let event = matches!(text.first(), Some(0..0x20));
            if event {
                *driver.random = Random::from_octets(&text[1..]);
                driver.feed(usize::MAX);
                driver.step();
                *driver.random = Random::from_octets(b"");
            } else {
                if !under_way {
                    driver.settle();
                }
                driver.say(lines::written(text));
            }
            under_way = event;
            driver.check();
        }
    });
}

impl<'a> Driver<'a> {
    fn begin(
        random: &'a mut Random,
        world: &'a World,
        tls: Option<RequireTls>,
        control: Protection,
        ipv6: bool,
    ) -> Driver<'a> {
        let (local, peer) = if ipv6 { ("[::1]:21", "[::1]:50000") } else { ("127.0.0.1:21", "127.0.0.1:50000") };
        let idle_timeout = Some(Duration::from_secs(300));
        let settings = Settings { umask: 0o022, idle_timeout, format: world.format.clone(), tls };
        Driver {
            random,
            world,
            interpreter: Interpreter::new(Arc::new(settings), local.parse().unwrap(), peer.parse().unwrap(), control),
            ledger: Ledger::default(),
            model: Model::new(tls, control, ipv6),
            owed: Owed::Nothing,
            job: None,
            aborting: false,
            connection: Connection::Open,
            unsent: Vec::new(),
            heard: 0,
            received: Vec::new(),
            touched: false,
        }
    }

    /// Plays a session to its end.
    fn play(mut self, steps: impl FnOnce(&mut Driver<'a>)) {
        assert_eq!(self.next_reply().map(|reply| reply.code), Some(220));
        steps(&mut self);
        self.settle();
        if self.connection == Connection::Open {
            assert!(self.ledger.is_settled(), "commands were not answered\n{}", self.ledger.conversation());
            assert!(self.interpreter.is_idle(), "it waits for something\n{}", self.ledger.conversation());
            if self.random.once_in(2) {
                self.leave();
            }
        }
        if self.touched {
            self.world.renew();
        }
    }

    /// The first lines: mostly a login, sometimes under TLS.
    fn choose_first(&mut self) {
        match self.random.below(8) {
            7 if self.random.once_in(4) => self.say(lines::http()),
            7 => {
                let line = lines::command(self.random);
                self.say(line);
            }
            6 => {
                self.say(lines::line("AUTH", b"TLS"));
                self.log_in();
            }
            _ => self.log_in(),
        }
    }

    fn log_in(&mut self) {
        let user = *self.random.pick(&["rw", "rw", "rw", "ro", "upload"]);
        self.say(lines::line("USER", user.as_bytes()));
        self.say(lines::line("PASS", b"secret"));
    }

    /// One of the things that can happen.
    fn step(&mut self) {
        match self.random.below(32) {
            0..=4 => {
                let line = lines::command(self.random);
                self.say(line);
            }
            5..=8 => {
                let line = lines::near(self.random);
                self.say(line);
            }
            9..=11 => {
                let verb = *self.random.pick(&["EPSV", "PASV"]);
                self.say(lines::line(verb, b""));
                let line = lines::transfer(self.random);
                self.say(line);
            }
            12..=17 => {
                let count = *self.random.pick(&[usize::MAX, 1, 5, 30, 300]);
                self.feed(count);
            }
            18..=23 => drop(self.act()),
            24..=26 => drop(self.pay()),
            27..=28 => drop(self.end_transfer()),
            29 => {
                let count = 1 + self.random.below(200);
                self.read(count);
            }
            30 => self.world.disks.forget(),
            _ => match self.random.below(16) {
                0 => self.say(lines::quit()),
                1 => self.leave(),
                2 => self.say(lines::http()),
                3 => self.say(lines::line("EPSV", b"ALL")),
                _ => self.settle(),
            },
        }
    }

    fn say(&mut self, line: Line) {
        if self.unsent.len() > UNSENT_OCTETS_MAX {
            return;
        }
        self.unsent.extend_from_slice(&line.octets);
        if let Some(sent) = line.sent {
            self.ledger.tell(format!("> {} {}", sent.verb, sent.argument.escape_ascii()));
            self.ledger.sent(sent);
        }
    }

    /// Gives octets to the interpreter as a server does: when it wants them, and a bounded number at once.
    fn feed(&mut self, count: usize) -> bool {
        let count = count.min(self.unsent.len()).min(READ_OCTETS_PER_TURN);
        // While the handshake goes on, what comes is TLS's own.
        if count == 0 || !self.interpreter.wants_octets() || matches!(self.owed, Owed::Handshake) {
            return false;
        }
        let piece: Vec<u8> = self.unsent.drain(..count).collect();
        self.interpreter.receive(&piece);
        self.hear();
        true
    }

    /// Goes on until nothing happens any more.
    fn settle(&mut self) {
        let mut patience = 100_000;
        while self.connection == Connection::Open {
            self.read(usize::MAX);
            let happened = self.act() || self.pay() || self.end_transfer() || self.feed(usize::MAX);
            if !happened {
                return;
            }
            patience -= 1;
            assert!(patience > 0, "it never comes to rest\n{}", self.ledger.conversation());
        }
    }

    /// What must hold after each step.
    fn check(&mut self) {
        let output = self.interpreter.output().len();
        // One reply may be as long as a STAT's, and Telnet's refusals of one read come on top.
        let bound = OUTPUT_OCTETS_MAX + 2 * STAT_OCTETS_MAX + WAITING_OCTETS_MAX + READ_OCTETS_PER_TURN;
        assert!(output <= bound, "{output} octets of output wait");
        if self.connection == Connection::Closed {
            return;
        }
        if matches!(self.owed, Owed::Nothing) {
            self.model.compare(&self.interpreter);
        }
    }

    /// Lets the interpreter carry out a line, and does what it asks for; says whether anything happened.
    fn act(&mut self) -> bool {
        let (has_work, commands) = (self.interpreter.has_work(), self.interpreter.commands());
        let heard = self.heard;
        let action = self.interpreter.next_action();
        self.hear();
        let happened = action.is_some() || self.interpreter.commands() > commands || self.heard > heard;
        assert!(happened || !has_work, "it has work and does not do it\n{}", self.ledger.conversation());
        if let Some(action) = action {
            self.perform(action);
        }
        happened
    }

    /// Lets the client read some of the output.
    fn read(&mut self, count: usize) {
        let count = count.min(self.interpreter.output().len());
        self.interpreter.sent(count);
        self.heard -= count;
    }

    /// Looks at what was written since the last look, and gives each reply to whom it is owed.
    fn hear(&mut self) {
        while let Some(reply) = self.next_reply() {
            match self.ledger.received(&reply) {
                Heard::Answer(sent) => {
                    self.touched |= (200..300).contains(&reply.code) && CHANGES.contains(&sent.verb);
                    self.model.answered(&sent, &reply);
                }
                Heard::Begins(sent) => self.model.began(&sent),
                Heard::Ends => self.model.ended(),
            }
        }
        let rest = self.received.escape_ascii().to_string();
        assert!(self.received.is_empty(), "half a reply: {rest}\n{}", self.ledger.conversation());
    }

    fn next_reply(&mut self) -> Option<Reply> {
        let output = self.interpreter.output();
        self.received.extend_from_slice(&output[self.heard..]);
        self.heard = output.len();
        while let [255, 252 | 254, _, ..] = self.received.as_slice() {
            self.received.drain(..3);
        }
        let before = self.received.clone();
        let reply = Reply::take(&mut self.received)?;
        check_form(&before[..before.len() - self.received.len()], &reply);
        Some(reply)
    }

    /// The server closes: after QUIT, after the third wrong password, or because an HTTP client has called.
    fn close(&mut self) {
        let http = self.ledger.next().is_some_and(|sent| sent.verb == "HTTP") && self.interpreter.commands() == 1;
        assert!(http || self.model.may_close(), "closed for no reason\n{}", self.ledger.conversation());
        self.end();
    }

    /// The server says farewell at any moment; what was lent comes back later, and nothing more is said or done.
    fn leave(&mut self) {
        if self.connection == Connection::Closed {
            return;
        }
        self.interpreter.farewell("Good night.");
        let said = self.next_reply().map(|reply| reply.code);
        // The third wrong password has perhaps ended it already, and its reply was the last one.
        let ended = said.is_none() && self.model.may_close();
        assert!(said == Some(421) || ended, "{said:?}\n{}", self.ledger.conversation());
        let action = self.interpreter.next_action();
        assert!(matches!(action, Some(Action::Close)), "{action:?} after farewell\n{}", self.ledger.conversation());
        self.end();
    }

    fn end(&mut self) {
        self.connection = Connection::Closed;
        self.ledger.close();
        self.interpreter.receive(b"NOOP\r\n");
        match std::mem::replace(&mut self.owed, Owed::Nothing) {
            Owed::Nothing | Owed::Handshake => {}
            Owed::Verdict(credentials) => self.interpreter.verdict(self.world.account(&credentials)),
            Owed::Return(mut deferred) => {
                deferred.run();
                self.touched = true;
                self.interpreter.returned(*deferred);
            }
            Owed::Listening => self.interpreter.listening(Ok(SocketAddr::from(([127, 0, 0, 1], 40_000)))),
        }
        if self.job.take().is_some() {
            self.interpreter.finished(&Report { outcome: Err(Failure::Stopping), octets: 0 });
        }
        let action = self.interpreter.next_action();
        assert!(
            matches!(action, None | Some(Action::Close)),
            "{action:?} after the end\n{}",
            self.ledger.conversation()
        );
        let late = self.interpreter.output()[self.heard..].escape_ascii().to_string();
        assert!(late.is_empty(), "said after the end: {late}\n{}", self.ledger.conversation());
    }
}

/// RFC 959 section 4.2: how a reply looks on the wire. A 255 inside is Telnet's, and doubled (RFC 854).
fn check_form(octets: &[u8], reply: &Reply) {
    let shown = || octets.escape_ascii().to_string();
    assert!(matches!(reply.code, 100..=599) && reply.code / 10 % 10 <= 5, "{}", shown());
    assert!(octets.ends_with(b"\r\n") && !octets.contains(&0), "{}", shown());
    let bare = |pair: &[u8]| (pair[0] == b'\r') != (pair[1] == b'\n');
    assert!(!octets.windows(2).any(bare), "a CR or an LF alone: {}", shown());
    let runs = octets.chunk_by(|one, other| (*one == 255) == (*other == 255));
    assert!(runs.filter(|run| run[0] == 255).all(|run| run.len() % 2 == 0), "a 255 alone: {}", shown());
    let first = reply.lines.first().expect("a reply has a line");
    let many = first[3] == b'-';
    assert_eq!(many, reply.lines.len() > 1, "{}", shown());
    assert!(first.len() > 4, "a reply without text: {}", shown());
    if let [_, between @ .., _] = reply.lines.as_slice() {
        assert!(between.iter().all(|line| !line.first().is_some_and(u8::is_ascii_digit)), "{}", shown());
    }
    assert!(octets.len() <= STAT_OCTETS_MAX + 4 * LINE_OCTETS_MAX, "{} octets", octets.len());
}
