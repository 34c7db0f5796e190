//! Who gets in: the limits of sessions, and what happens when descriptors run out.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use mio::net::TcpStream;

use super::Door;
use crate::fs::Errno;
use crate::net::canonical;
use crate::protocol::state::Protection;

/// What came of accepting once.
#[derive(Debug)]
pub enum Accepted {
    Session(TcpStream, SocketAddr),
    /// Somebody was told 421.
    Refused,
    /// Nobody waits.
    Nobody,
    /// Accepting must pause.
    OutOfDescriptors,
}

/// Counts sessions, and keeps a descriptor for bad times.
#[derive(Debug)]
pub struct Admission {
    sessions: usize,
    by_address: HashMap<IpAddr, usize>,
    sessions_max: usize,
    per_address_max: usize,
    /// Given up when descriptors have run out, so that one caller can be told so instead of being left waiting.
    spare: Option<File>,
}

impl Admission {
    /// Limits; `usize::MAX` for none.
    pub fn new(sessions_max: usize, per_address_max: usize) -> Admission {
        Admission { sessions: 0, by_address: HashMap::new(), sessions_max, per_address_max, spare: spare() }
    }

    /// Accepts the next connection, if it is within the limits.
    pub fn accept(&mut self, door: &Door) -> Accepted {
        match door.listener.accept() {
            Ok((stream, peer)) => self.admit(stream, peer, door.control),
            Err(error) => self.failed(&error, door),
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, control: Protection) -> Accepted {
        if self.sessions >= self.sessions_max {
            return refuse(stream, peer, control, "421 Too many sessions; try again later.\r\n");
        }
        let of_address = self.by_address.entry(canonical(peer).ip()).or_default();
        if *of_address >= self.per_address_max {
            return refuse(stream, peer, control, "421 Too many sessions from your address.\r\n");
        }
        *of_address += 1;
        self.sessions += 1;
        Accepted::Session(stream, peer)
    }

    fn failed(&mut self, error: &io::Error, door: &Door) -> Accepted {
        let errno = Errno::from_io_error(error);
        match errno {
            Some(Errno::AGAIN) => Accepted::Nobody,
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                log::error!("cannot accept: {error}");
                self.spare = None;
                if let Ok((stream, peer)) = door.listener.accept() {
                    refuse(stream, peer, door.control, "421 Out of resources; try again later.\r\n");
                }
                self.spare = spare();
                Accepted::OutOfDescriptors
            }
            // Accept is also told of what has befallen the connection itself: the next one may be well.
            _ => Accepted::Refused,
        }
    }

    /// A session of `address` has ended.
    pub fn leave(&mut self, address: IpAddr) {
        self.sessions = self.sessions.saturating_sub(1);
        if let Some(of_address) = self.by_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                self.by_address.remove(&address);
            }
        }
        if self.spare.is_none() {
            self.spare = spare();
        }
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Says why, where that can be said: who comes to begin with TLS is told nothing in the clear.
fn refuse(mut stream: TcpStream, peer: SocketAddr, control: Protection, reply: &str) -> Accepted {
    log::warn!("{}: refused: {}", canonical(peer).ip(), reply.trim_end());
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
        let mut admission = Admission::new(3, 2);
        let mut clients = Vec::new();
        let mut knock = |admission: &mut Admission| {
            clients.push(std::net::TcpStream::connect(address).unwrap());
            loop {
                match admission.accept(&door) {
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
        assert!(matches!(admission.accept(&door), Accepted::Nobody));
    }
}
