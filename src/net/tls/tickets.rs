//! Session tickets that one control connection gives and nobody else can read (RFC 5077, RFC 8446 section 4.6.1).
//!
//! Clients of TLS 1.2 that take no tickets (curl) resume by a session id; what belongs to it is kept here as well.
//!
//! The key lives as long as the control connection and is never changed: a ticket is good for as long as the session.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::{ProducesTickets, StoresServerSessions};

/// RFC 8446 section 4.6.1: at most seven days. The session seldom lasts so long.
const LIFETIME_SECONDS: u32 = 7 * 24 * 3600;

/// Sessions with an id that are kept: the control connection's, and the last ones.
const SESSIONS_MAX: usize = 4;

/// The key of one session.
pub(super) struct Tickets {
    key: LessSafeKey,
    /// Sessions with an id, the oldest first.
    sessions: Mutex<VecDeque<(Vec<u8>, Vec<u8>)>>,
    /// The nonce of the ticket that was shown last, and how many times it was another one than before.
    shown: Mutex<([u8; NONCE_LEN], usize)>,
    /// Whether a ticket or an id was shown that is not one of these.
    foreign: AtomicBool,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl Tickets {
    /// With a new random key; nothing where there are no random octets.
    pub(super) fn new() -> Option<Tickets> {
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key).ok()?;
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).ok()?);
        Some(Tickets { key, sessions: Mutex::default(), shown: Mutex::default(), foreign: AtomicBool::new(false) })
    }

    /// Whether a ticket or an id of some other session was shown since [`Tickets::forget_foreign`].
    pub(super) fn saw_foreign(&self) -> bool {
        self.foreign.load(Ordering::Relaxed)
    }

    pub(super) fn forget_foreign(&self) {
        self.foreign.store(false, Ordering::Relaxed);
    }

    /// How many different tickets were shown: a client that uses each only once shows ever new ones.
    pub(super) fn used(&self) -> usize {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn note_shown(&self, ticket: &[u8]) {
        let Some(nonce) = ticket.first_chunk::<NONCE_LEN>() else { return };
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.0 != *nonce {
            *shown = (*nonce, shown.1 + 1);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, VecDeque<(Vec<u8>, Vec<u8>)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = ticket.split_at_checked(NONCE_LEN)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.key.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut ticket = nonce.to_vec();
        let mut sealed = plain.to_vec();
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).ok()?;
        ticket.append(&mut sealed);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let plain = self.open(ticket);
        match &plain {
            Some(_) => self.note_shown(ticket),
            None => self.foreign.store(true, Ordering::Relaxed),
        }
        plain
    }
}

impl StoresServerSessions for Tickets {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        let mut sessions = self.sessions();
        sessions.retain(|(other, _)| *other != id);
        if sessions.len() == SESSIONS_MAX {
            // The first one is the control connection's, and stays.
            sessions.remove(1);
        }
        sessions.push_back((id, session));
        true
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        let found = self.sessions().iter().find(|(other, _)| other == id).map(|(_, session)| session.clone());
        if found.is_none() && !id.is_empty() {
            self.foreign.store(true, Ordering::Relaxed);
        }
        found
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.get(id)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_ids_are_known() {
        let tickets = Tickets::new().unwrap();
        for id in 0..9u8 {
            assert!(tickets.put(vec![id], vec![id, id]));
        }
        assert_eq!(tickets.get(&[8]).as_deref(), Some(&[8, 8][..]));
        assert_eq!(tickets.get(&[0]).as_deref(), Some(&[0, 0][..]));
        assert!(tickets.get(&[]).is_none() && !tickets.saw_foreign());
        assert!(tickets.get(&[1]).is_none() && tickets.saw_foreign());
        assert_eq!(tickets.sessions().len(), SESSIONS_MAX);
    }

    #[test]
    fn only_its_own_tickets_open() {
        let (mine, other) = (Tickets::new().unwrap(), Tickets::new().unwrap());
        let ticket = mine.encrypt(b"state").unwrap();
        assert_ne!(ticket, mine.encrypt(b"state").unwrap());
        assert_eq!(mine.decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        assert!(!mine.saw_foreign());
        assert!(mine.decrypt(&ticket).is_some());
        assert_eq!(mine.used(), 1);
        assert!(mine.decrypt(&mine.encrypt(b"state").unwrap()).is_some());
        assert_eq!(mine.used(), 2);
        assert_eq!(other.decrypt(&ticket), None);
        assert!(other.saw_foreign());
        for cut in 0..ticket.len() {
            assert_eq!(mine.decrypt(&ticket[..cut]), None);
        }
    }
}
