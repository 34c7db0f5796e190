//! Room on the disk ahead of an upload, which costs less than a reservation for each page as it comes.
//!
//! The size of the file stays what has come. What was not needed is given back when the upload ends, however it ends;
//! where the server itself is killed, the file keeps it until it is next emptied or removed.

use std::os::fd::AsFd;

use rustix::fs::{FallocateFlags, fallocate, fstat, ftruncate};

use super::device::Room;
use crate::limits::{ROOM_OCTETS_MAX, ROOM_OCTETS_MIN};

/// How far there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    /// None was asked for: the file may stay a small one.
    None,
    /// This file system does not give it, or has none left: writing will say so.
    Never,
    Until(u64),
    /// The same, and there is no more to be had.
    Last(u64),
}

impl Ahead {
    /// Makes room for `count` octets at `position`, if it is time.
    pub fn cover(&mut self, file: impl AsFd, position: u64, count: usize, room: impl FnOnce() -> Room) {
        let end = position.saturating_add(count as u64);
        match *self {
            Ahead::Never | Ahead::Last(_) => return,
            Ahead::None if position < ROOM_OCTETS_MIN => return,
            Ahead::None if room() == Room::AsItComes => {
                *self = Ahead::Never;
                return;
            }
            Ahead::Until(until) if end <= until => return,
            Ahead::None | Ahead::Until(_) => {}
        }
        let wanted = position.clamp(ROOM_OCTETS_MIN, ROOM_OCTETS_MAX).max(count as u64);
        // It fails for want of space, of quota or of the call itself. None of these ends the upload, yet.
        *self = match (fallocate(file, FallocateFlags::KEEP_SIZE, position, wanted), *self) {
            (Ok(()), _) => Ahead::Until(position.saturating_add(wanted)),
            (Err(_), Ahead::Until(until)) => Ahead::Last(until),
            (Err(_), _) => Ahead::Never,
        };
    }

    /// Gives back what lies behind the end of the file.
    pub fn give_back(&mut self, file: impl AsFd, position: u64) {
        let (Ahead::Until(until) | Ahead::Last(until)) = *self else { return };
        *self = Ahead::Never;
        // Cutting a file at its end frees what it has behind it.
        if until > position
            && let Ok(facts) = fstat(&file)
        {
            let _ = ftruncate(&file, u64::try_from(facts.st_size).unwrap_or(position));
        }
    }
}
