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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_could_not_be_ended_is_not_complete() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for (steps, complete) in [(0, false), (1, true)] {
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, _) = listener.accept().unwrap();
            socket.set_nonblocking(true).unwrap();
            let stream = Stream::new(mio::net::TcpStream::from_std(socket));
            let mut ended = Ended::before(Failure::Stalled);
            ended.report.outcome = Ok(());
            let mut closing = Closing::new(stream, ended, Instant::now());
            // The client does not say its own end, and need not.
            (0..steps).for_each(|_| assert_eq!(closing.step(&mut [0; 16]), Some(Direction::In)));
            assert_eq!(closing.give_up().report.outcome.is_ok(), complete, "after {steps} steps");
            drop(client);
        }
    }
}
