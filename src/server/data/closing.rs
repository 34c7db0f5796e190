//! The end of a data connection under TLS: our close_notify, our half of the connection closed, and the client's end
//! waited for. A connection that is closed with octets unread is reset, and the tail of a download may be lost with it.

use std::io;
use std::time::Instant;

use super::Ended;
use crate::job::Failure;
use crate::limits::DISCARD_OCTETS_MAX;
use crate::net::{Direction, Stream};

/// Whether our own end was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    NotYet,
    Yes,
}

/// A data connection on which all was moved.
#[derive(Debug)]
pub struct Closing {
    pub stream: Stream,
    pub ended: Ended,
    /// How long the client's end is waited for.
    pub until: Instant,
    said: Said,
    left: usize,
}

impl Closing {
    pub fn new(stream: Stream, ended: Ended, until: Instant) -> Closing {
        Closing { stream, ended, until, said: Said::NotYet, left: DISCARD_OCTETS_MAX }
    }

    /// Goes on; says for what it waits, and nothing where it is closed.
    pub fn step(&mut self, buffer: &mut [u8]) -> Option<Direction> {
        if self.said == Said::NotYet {
            match self.stream.end_output() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(Direction::Out),
                // The client has left without waiting for it.
                Err(_) => return None,
                Ok(()) => self.said = Said::Yes,
            }
        }
        while self.left > 0 {
            match self.stream.read(buffer) {
                Ok(count) if count > 0 => self.left = self.left.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(Direction::In),
                _ => return None,
            }
        }
        None
    }

    /// The time is over. Where not even our own end could be sent, the last octets never left.
    pub fn give_up(mut self) -> Ended {
        if self.said == Said::NotYet {
            self.ended.report.outcome = Err(Failure::Stalled);
        }
        self.ended
    }
}
