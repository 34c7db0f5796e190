//! Who gets in: the limits of sessions, the rate of new ones, bans, and what happens when descriptors run out.
//!
//! Where an address counts, it is its [`Network`].

mod arrivals;
mod bans;
mod table;

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::Door;
use crate::fs::Errno;
use crate::limits::REFUSALS_TOLD_EVERY;
use crate::net::{Network, canonical};
use crate::options::Options;
use crate::protocol::state::Protection;
use crate::sys::spare_descriptor;
use arrivals::Arrivals;
pub use bans::{Bans, Verdict};

/// What came of accepting once.
#[derive(Debug)]
pub enum Accepted {
    Session(TcpStream, SocketAddr),
    /// Somebody was told 421.
    Refused,
    /// Nobody waits.
    Nobody,
    /// The connection that was next is none any more, or accepting itself fails: many of these, and it must pause.
    Failed,
    /// Accepting must pause.
    OutOfDescriptors,
}

/// Whether the log should hear of something that may happen a thousand times a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    Now,
    Never,
}

impl Tell {
    /// Once in `pause`; `told` is when it last was.
    pub fn once_in_a_while(told: &mut Option<Instant>, now: Instant, pause: Duration) -> Tell {
        if told.is_some_and(|told| now < told + pause) {
            return Tell::Never;
        }
        *told = Some(now);
        Tell::Now
    }
}

/// Counts sessions, and keeps a descriptor for bad times.
#[derive(Debug)]
pub struct Admission {
    sessions: usize,
    by_network: HashMap<Network, Present>,
    sessions_max: usize,
    per_address_max: usize,
    /// `--connections-per-second`.
    arrivals: Option<Arrivals>,
    /// Given up when descriptors have run out, so that one caller can be told so instead of being left waiting.
    spare: Option<OwnedFd>,
    /// When the log was last told that there are none.
    shortage_told: Option<Instant>,
    /// When the log was last told that somebody was refused because there are too many sessions.
    full_told: Option<Instant>,
}

/// Who is here from one network: it is forgotten with its last session.
#[derive(Debug, Default)]
struct Present {
    sessions: usize,
    /// When the log was last told that there may be no more of them.
    told: Option<Instant>,
}

impl Admission {
    /// What `options` say; at most `possible` sessions where they do not.
    pub fn new(options: &Options, possible: usize) -> Admission {
        Admission {
            arrivals: options.abuse.connections_per_second.map(|most| Arrivals::new(most.get())),
            ..Admission::limited(
                options.max_sessions.unwrap_or(possible),
                options.max_sessions_per_address.unwrap_or(usize::MAX),
            )
        }
    }

    fn limited(sessions_max: usize, per_address_max: usize) -> Admission {
        Admission {
            sessions: 0,
            by_network: HashMap::new(),
            sessions_max,
            per_address_max,
            arrivals: None,
            spare: spare_descriptor(),
            shortage_told: None,
            full_told: None,
        }
    }

    /// Accepts the next connection, if it is within the limits.
    pub fn accept(&mut self, door: &Door, bans: &mut Bans, now: Instant) -> Accepted {
        match door.listener.accept() {
            Ok((stream, peer)) => self.admit(stream, peer, door.control, bans, now),
            Err(error) => self.failed(&error, door, now),
        }
    }

    fn admit(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        control: Protection,
        bans: &mut Bans,
        now: Instant,
    ) -> Accepted {
        let address = canonical(peer).ip();
        if let Some((reply, tell)) = self.refusal(address, bans, now) {
            return refuse(stream, peer, control, reply, tell);
        }
        self.by_network.entry(Network::of(address)).or_default().sessions += 1;
        self.sessions += 1;
        Accepted::Session(stream, peer)
    }

    /// Why `address` does not get in, if so.
    fn refusal(&mut self, address: IpAddr, bans: &mut Bans, now: Instant) -> Option<(&'static str, Tell)> {
        if let Some(tell) = bans.refuse(address, now) {
            return Some(("421 Too many failed logins from your address; try again later.\r\n", tell));
        }
        if let Some(Err(tell)) = self.arrivals.as_mut().map(|arrivals| arrivals.count(address, now)) {
            return Some(("421 Too many connections in a second from your address; try again.\r\n", tell));
        }
        if self.sessions >= self.sessions_max {
            let tell = Tell::once_in_a_while(&mut self.full_told, now, REFUSALS_TOLD_EVERY);
            return Some(("421 Too many sessions; try again later.\r\n", tell));
        }
        let present = self.by_network.get_mut(&Network::of(address))?;
        if present.sessions < self.per_address_max {
            return None;
        }
        let tell = Tell::once_in_a_while(&mut present.told, now, REFUSALS_TOLD_EVERY);
        Some(("421 Too many sessions from your address.\r\n", tell))
    }

    fn failed(&mut self, error: &io::Error, door: &Door, now: Instant) -> Accepted {
        let errno = Errno::from_io_error(error);
        match errno {
            Some(Errno::AGAIN) => Accepted::Nobody,
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                let tell = Tell::once_in_a_while(&mut self.shortage_told, now, REFUSALS_TOLD_EVERY);
                if tell == Tell::Now {
                    log::error!("cannot accept: {error}");
                }
                self.spare = None;
                if let Ok((stream, peer)) = door.listener.accept() {
                    refuse(stream, peer, door.control, "421 Out of resources; try again later.\r\n", tell);
                }
                self.spare = spare_descriptor();
                Accepted::OutOfDescriptors
            }
            // Accept is also told of what has befallen the connection itself: the next one may be well.
            _ => {
                log::debug!("cannot accept: {error}");
                Accepted::Failed
            }
        }
    }

    /// A session of `address` has ended.
    pub fn leave(&mut self, address: IpAddr) {
        self.sessions = self.sessions.saturating_sub(1);
        let network = Network::of(address);
        if let Some(present) = self.by_network.get_mut(&network) {
            present.sessions -= 1;
            if present.sessions == 0 {
                self.by_network.remove(&network);
            }
        }
        if self.spare.is_none() {
            self.spare = spare_descriptor();
        }
    }
}

/// Says why, where that can be said: who comes to begin with TLS is told nothing in the clear.
fn refuse(mut stream: TcpStream, peer: SocketAddr, control: Protection, reply: &str, tell: Tell) -> Accepted {
    if tell == Tell::Now {
        log::warn!("{}: refused: {}", canonical(peer).ip(), reply.trim_end());
    }
    if control == Protection::Clear {
        // A new connection has room for one line; where it has not, its client does not listen.
        let _ = stream.write(reply.as_bytes());
    }
    Accepted::Refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::net::TcpListener;

    #[test]
    fn limits_count_who_is_here() {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door { listener, control: Protection::Clear };
        let mut admission = Admission::limited(3, 2);
        let (mut bans, now) = (Bans::new(None), Instant::now());
        let mut clients = Vec::new();
        let mut knock = |admission: &mut Admission| {
            clients.push(std::net::TcpStream::connect(address).unwrap());
            loop {
                match admission.accept(&door, &mut bans, now) {
                    Accepted::Nobody => {}
                    other => return other,
                }
            }
        };
        for admitted in [true, true, false] {
            assert_eq!(matches!(knock(&mut admission), Accepted::Session(..)), admitted);
        }
        admission.leave("127.0.0.1".parse().unwrap());
        assert!(matches!(knock(&mut admission), Accepted::Session(..)));
        assert!(matches!(admission.accept(&door, &mut Bans::new(None), now), Accepted::Nobody));
        // Of whom nobody is here any more, nothing is kept.
        (0..2).for_each(|_| admission.leave("127.0.0.1".parse().unwrap()));
        assert!(admission.sessions == 0 && admission.by_network.is_empty(), "{admission:?}");
    }
}
