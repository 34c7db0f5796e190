//! How a transfer ends otherwise than by itself: told to, lost with its helper, or found to be whole.

use std::mem;

use super::{Data, Ended};
use crate::job::Failure;

impl Data {
    /// Ends the job, or what was prepared for one. Nothing where there was no job, or where it is lent: then it ends
    /// when it comes back.
    pub fn abort(&mut self, failure: Failure) -> Option<Ended> {
        match mem::take(self) {
            Data::None | Data::Listening(_) | Data::Named(_) => None,
            Data::Accepting { .. } | Data::Dialing { .. } | Data::Securing { .. } => Some(Ended::before(failure)),
            Data::Running { mut running, .. } | Data::Whole { mut running, .. } => Some(running.end_with(failure)),
            // All was moved already.
            Data::Closing(closing) => Some(closing.give_up()),
            Data::Lent { running, .. } => {
                *self = Data::Lent { running, ending: Some(failure) };
                None
            }
        }
    }

    /// What was uploaded is whole, and the next step shows it.
    pub fn confirm(&mut self) {
        match mem::take(self) {
            Data::Whole { stream, mut running, .. } => {
                if let Some(transfer) = &mut running.transfer {
                    transfer.confirm();
                }
                running.end_is_certain();
                *self = Data::Running { stream, running };
            }
            other => *self = other,
        }
    }

    /// A helper was lost, and the transfer with it.
    pub fn lost(&mut self) -> Option<Ended> {
        match mem::take(self) {
            Data::Lent { mut running, .. } => Some(running.end_with(Failure::ConnectionLost)),
            other => {
                *self = other;
                None
            }
        }
    }
}
