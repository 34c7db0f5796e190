//! The account of a control connection: which commands were sent, and that each gets its replies, once and in order.

// The simulation and the fuzzers each use another part of this.
#![allow(dead_code)]

use std::collections::VecDeque;

use crate::support::Reply;

/// A command that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub verb: &'static str,
    /// What stood behind it.
    pub argument: Vec<u8>,
    /// The codes that may end it.
    pub codes: &'static [u16],
}

/// Commands without a last reply, in the order in which they were sent.
#[derive(Debug, Default)]
pub struct Ledger {
    pending: VecDeque<Sent>,
    /// The transfer whose preliminary reply has come.
    running: Option<Sent>,
    /// The last lines of the conversation, to be shown when something is wrong.
    told: VecDeque<String>,
}

const PRELIMINARY: &[u16] = &[125, 150];
/// How a transfer ends once it has begun (RFC 959 section 5.4).
const TRANSFER_ENDS: &[u16] = &[226, 250, 425, 426, 450, 451, 452, 522, 550, 551, 552, 553, 554];

/// What a reply was.
#[derive(Debug)]
pub enum Heard {
    /// The only reply of a command.
    Answer(Sent),
    /// A transfer has begun.
    Begins(Sent),
    /// It has ended.
    Ends,
}

impl Ledger {
    /// A command was sent.
    pub fn sent(&mut self, sent: Sent) {
        self.pending.push_back(sent);
    }

    /// Whether every command has had its last reply.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.running.is_none()
    }

    /// Whether a transfer has begun and not ended.
    pub fn is_transferring(&self) -> bool {
        self.running.is_some()
    }

    /// What was sent first of all that has had no reply.
    pub fn next(&self) -> Option<&Sent> {
        self.pending.front()
    }

    /// Forgets what was sent and will not be heard: it stood behind AUTH, in the clear.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// Forgets what was not answered: the connection is closed, or QUIT was said.
    pub fn close(&mut self) {
        self.pending.clear();
        self.running = None;
    }

    /// What was said last.
    pub fn conversation(&self) -> String {
        let told: Vec<&str> = self.told.iter().map(String::as_str).collect();
        format!("{}\npending: {:?}\nrunning: {:?}", told.join("\n"), self.pending, self.running)
    }

    /// A reply came.
    ///
    /// # Panics
    /// Where no command that was sent is owed this reply now.
    pub fn received(&mut self, reply: &Reply) -> Heard {
        self.tell(format!("< {}", reply.lines[0].escape_ascii()));
        if PRELIMINARY.contains(&reply.code) {
            assert!(self.running.is_none(), "two transfers at once\n{}", self.conversation());
            let sent = self.pending.pop_front().unwrap_or_else(|| panic!("150 for nothing\n{}", self.conversation()));
            assert!(is_transfer(sent.verb), "150 for {}\n{}", sent.verb, self.conversation());
            self.tell(format!("  for {}", sent.verb));
            self.running = Some(sent.clone());
            return Heard::Begins(sent);
        }
        if self.running.is_some() {
            if TRANSFER_ENDS.contains(&reply.code) {
                self.running = None;
                return Heard::Ends;
            }
            let answered = self.pending.front().is_some_and(|sent| matches!(sent.verb, "NOOP" | "STAT" | "QUIT"));
            assert!(answered, "{reply}: not of the transfer that runs\n{}", self.conversation());
        }
        let head = self.pending.front().is_some_and(|sent| sent.codes.contains(&reply.code));
        // ABOR overtakes the lines that waited while the transfer ran.
        let overtaking = || self.pending.iter().position(|sent| sent.verb == "ABOR" && reply.code == 226);
        let at = if head { Some(0) } else { overtaking() };
        let sent = at.and_then(|at| self.pending.remove(at));
        let sent = sent.unwrap_or_else(|| panic!("{reply}: nobody is owed that\n{}", self.conversation()));
        self.tell(format!("  for {} {}", sent.verb, sent.argument.escape_ascii()));
        Heard::Answer(sent)
    }

    /// Remembers a line of the conversation.
    pub fn tell(&mut self, line: String) {
        self.told.push_back(line);
        if self.told.len() > 60 {
            self.told.pop_front();
        }
    }
}

/// Whether a verb begins a transfer.
pub fn is_transfer(verb: &str) -> bool {
    matches!(verb, "RETR" | "STOR" | "APPE" | "STOU" | "LIST" | "NLST" | "MLSD")
}
