//! What comes over the control connection: how much of it is read, how fast it is carried out, and what is dropped.

use std::io;
use std::time::Instant;

use super::{Input, Session};
use crate::limits::{COMMANDS_PER_TURN, DISCARD_OCTETS_MAX, READ_OCTETS_PER_TURN};
use crate::reactor::Readiness;
use crate::server::context::Context;

/// How fast commands may come (`--commands-per-second`). Those beyond the rate wait, as ProFTPD has it: a client that
/// pipelines is slowed down, and none of its commands is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Until when those that were carried out are paid for; see [`crate::server::meter::Meter`].
    paid: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Pace {
        Pace { paid: now }
    }
}

impl Session {
    /// Reads one buffer of commands, if there is anything to read and room for it.
    pub(super) fn receive(&mut self, ready: &mut Readiness, context: &mut Context) -> io::Result<()> {
        let wanted =
            self.input == Input::Open && self.interpreter.wants_octets() && self.paced_until(context).is_none();
        if !wanted || !ready.has(Readiness::READ) {
            return Ok(());
        }
        let buffer = &mut context.scratch.buffer()[..READ_OCTETS_PER_TURN];
        let room = buffer.len();
        match self.stream.read(buffer) {
            Ok(0) => {
                self.input = Input::Ended;
                ready.clear(Readiness::READ);
            }
            Ok(count) => {
                self.interpreter.receive(&buffer[..count]);
                if count < room && self.stream.is_plain() && !ready.has(Readiness::UNUSUAL) {
                    ready.clear(Readiness::READ);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.clear(Readiness::READ);
                ready.clear(Readiness::UNUSUAL);
            }
            // No close_notify: whole lines that came before are as good as ever.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.input = Input::Ended;
                ready.clear(Readiness::READ);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// How many commands may be carried out in this turn.
    pub(super) fn commands_free(&self, context: &Context) -> usize {
        let free = context.commands.map_or(usize::MAX, |meter| meter.free(self.pace.paid, context.now));
        free.min(COMMANDS_PER_TURN)
    }

    /// So many were carried out.
    pub(super) fn spend_commands(&mut self, count: usize, context: &Context) {
        if let Some(meter) = context.commands {
            self.pace.paid = meter.spend(self.pace.paid, context.now, u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Where no further command may be carried out yet: when one may.
    pub(super) fn paced_until(&self, context: &Context) -> Option<Instant> {
        let meter = context.commands.filter(|meter| meter.free(self.pace.paid, context.now) == 0)?;
        Some(meter.next(self.pace.paid))
    }

    /// Commands wait that came too fast.
    pub(super) fn tell_of_pace(&mut self) {
        let peer = self.peer().ip();
        self.told.warn(peer, "sends commands faster than --commands-per-second; they wait");
    }

    /// Closing with unread octets would reset the connection, and the last reply might be lost with it.
    pub(super) fn discard(&mut self, context: &mut Context) {
        // An error here means that the client has left already.
        let _ = self.stream.end_output();
        self.drop_input(context);
    }

    pub(super) fn drop_input(&mut self, context: &mut Context) {
        let mut left = DISCARD_OCTETS_MAX;
        while left > 0 {
            match self.stream.read(&mut context.scratch.buffer()[..READ_OCTETS_PER_TURN]) {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                _ => return,
            }
        }
    }
}
