//! A passive listener that is kept for the next data connection, for a client that fetches many small files.
//!
//! Each data connection gets a new port, drawn at random: one that is known can be taken. But a session that opens
//! dozens of them a second would cost five calls for each, and leave all of their ports in TIME_WAIT, until other
//! programs on the machine find none to connect from. Such a session keeps its listener for some dozens of connections,
//! and never for long.

use std::time::{Duration, Instant};

use crate::limits::{LISTENER_KEPT, LISTENER_KEPT_FROM, LISTENER_USES_MAX};
use crate::net::DataListener;

/// The listener, if one is kept, and how fast the session goes.
#[derive(Debug)]
pub struct Keeping {
    kept: Option<(DataListener, Instant)>,
    /// How often the kept listener was used.
    uses: u32,
    /// Data connections since then, which is a second ago at most.
    recent: u32,
    since: Instant,
}

impl Keeping {
    pub fn new(now: Instant) -> Keeping {
        Keeping { kept: None, uses: 0, recent: 0, since: now }
    }

    /// Keeps a listener that has done its work, if that is worth while.
    pub fn offer(&mut self, listener: DataListener, now: Instant) {
        if now > self.since + Duration::from_secs(1) {
            (self.since, self.recent) = (now, 0);
        }
        self.recent += 1;
        self.uses += 1;
        if self.recent > LISTENER_KEPT_FROM && self.uses < LISTENER_USES_MAX {
            self.kept = listener.keep().map(|listener| (listener, now + LISTENER_KEPT));
        }
    }

    /// The listener that is kept, without what has come to it unasked.
    pub fn take(&mut self) -> Option<DataListener> {
        let kept = self.kept.take().and_then(|(listener, _)| listener.emptied());
        if kept.is_none() {
            self.uses = 0;
        }
        kept
    }

    /// Closes a listener that was kept for nothing: an open port that nobody waits at is one that others could find.
    pub fn expire(&mut self, now: Instant) {
        if self.until().is_some_and(|until| until <= now) {
            self.kept = None;
        }
    }

    /// Until when one is kept.
    pub fn until(&self) -> Option<Instant> {
        self.kept.as_ref().map(|(_, until)| *until)
    }
}
