//! LIST, NLST and MLSD: lines go out as they are made, a buffer of them at a time.

use super::{Step, Stop};
use crate::fs::Patience;
use crate::job::Failure;
use crate::listing::{Fill, Listing};
use crate::net::Stream;

#[derive(Debug)]
pub(super) struct List {
    listing: Box<Listing>,
    pending: Vec<u8>,
    /// How much of `pending` was sent.
    sent: usize,
    rest: Fill,
}

impl List {
    pub(super) fn new(listing: Box<Listing>) -> List {
        List { listing, pending: Vec::new(), sent: 0, rest: Fill::More }
    }

    /// One buffer of lines: it is the budget.
    pub(super) fn step(&mut self, stream: &mut Stream, patience: Patience, octets: &mut u64) -> Result<Step, Stop> {
        if self.sent == self.pending.len() {
            self.pending.clear();
            self.sent = 0;
            self.rest = self.listing.fill(&mut self.pending, patience)?;
        }
        while self.sent < self.pending.len() {
            let count = stream.write(&self.pending[self.sent..])?;
            self.sent += count;
            *octets += count as u64;
        }
        match self.rest {
            Fill::More => Ok(Step::More),
            Fill::End => Ok(Step::End),
            Fill::Cut(cut) => Err(Stop::Failed(Failure::Cut(cut))),
        }
    }
}
