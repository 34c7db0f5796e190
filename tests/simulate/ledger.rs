//! The account of a control connection: which commands were sent, and that each gets its replies, once and in order.

use std::collections::VecDeque;

use crate::support::Reply;

/// A command that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub verb: &'static str,
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
const TRANSFER_ENDS: &[u16] = &[226, 250, 425, 426, 450, 451, 452, 550, 551, 552, 553, 554];

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
    pub fn received(&mut self, reply: &Reply) {
        self.tell(format!("< {}", reply.lines[0].escape_ascii()));
        if PRELIMINARY.contains(&reply.code) {
            assert!(self.running.is_none(), "two transfers at once\n{}", self.conversation());
            let sent = self.pending.pop_front().unwrap_or_else(|| panic!("150 for nothing\n{}", self.conversation()));
            assert!(is_transfer(sent.verb), "150 for {}\n{}", sent.verb, self.conversation());
            self.running = Some(sent);
            return;
        }
        if self.running.is_some() {
            if TRANSFER_ENDS.contains(&reply.code) {
                self.running = None;
                return;
            }
            let answered = self.pending.front().is_some_and(|sent| matches!(sent.verb, "NOOP" | "STAT" | "QUIT"));
            assert!(answered, "{reply}: not of the transfer that runs\n{}", self.conversation());
        }
        let head = self.pending.front().is_some_and(|sent| sent.codes.contains(&reply.code));
        if head {
            let sent = self.pending.pop_front();
            self.tell(format!("  for {}", sent.map_or("", |sent| sent.verb)));
            return;
        }
        // ABOR overtakes the lines that waited while the transfer ran.
        let overtaking = self.pending.iter().position(|sent| sent.verb == "ABOR" && reply.code == 226);
        let at = overtaking.unwrap_or_else(|| panic!("{reply}: nobody is owed that\n{}", self.conversation()));
        self.pending.remove(at);
    }

    fn tell(&mut self, line: String) {
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
