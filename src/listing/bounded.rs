//! A listing that is one reply: STAT's (RFC 959 section 4.1.3), which has bounds of its own.

use super::{Fill, Listing};
use crate::fs::{self, Patience};
use crate::limits::{STAT_ENTRIES_MAX, STAT_OCTETS_MAX, STAT_STEPS_MAX};

impl Listing {
    /// The listing as lines, for STAT, and whether it is whole; cut where it is too long for one reply.
    pub fn collect_bounded(mut self, patience: Patience) -> Result<(Vec<Vec<u8>>, Fill), fs::Error> {
        self.entries_left = self.entries_left.min(STAT_ENTRIES_MAX);
        let mut text = Vec::new();
        let (mut filled, mut steps) = (Fill::More, 0);
        while filled == Fill::More && text.len() <= STAT_OCTETS_MAX && steps < STAT_STEPS_MAX {
            let mut piece = Vec::new();
            filled = self.fill(&mut piece, patience)?;
            text.append(&mut piece);
            steps += 1;
        }
        if filled != Fill::End {
            text.extend_from_slice(b"(There may be more: this reply ends here. LIST shows more.)\r\n");
        }
        let lines = text.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
        Ok((lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect(), filled))
    }
}
