//! The steps of a transfer: made here as far as its rate allows, or lent to a helper where the disk would be waited
//! for.

use std::mem;

use super::closing::Closing;
use super::running::{Lent, Running};
use super::{Data, Stepped, Turn};
use crate::fs::{self, Patience};
use crate::job::Failure;
use crate::limits::{FAREWELL, READ_OCTETS_PER_TURN, TLS_CLOSE_TIMEOUT, TRANSFER_OCTETS_PER_ERRAND};
use crate::net::Stream;
use crate::reactor::{Part, Readiness};
use crate::server::context::Context;
use crate::server::errand::Errand;
use crate::server::rates::Step;
use crate::transfer::{Progress, Transfer};

impl Turn<'_> {
    /// Tells the allowance what became of the step that it granted.
    fn settle(&mut self, running: &Running, moved: usize) {
        if let Some(allowance) = &mut self.allowance {
            allowance.settle(running.direction(), moved);
        }
    }
}

impl Data {
    /// Makes a step, as far as the rate allows it.
    pub(super) fn run(
        &mut self,
        turn: &mut Turn<'_>,
        mut stream: Stream,
        mut running: Box<Running>,
        budget: &mut usize,
        context: &mut Context,
    ) -> Stepped {
        running.release(context.now);
        let (key, direction) = (turn.key, running.direction());
        let step = turn.allowance.as_mut().and_then(|allowance| allowance.step(direction, key, context.now));
        let limit = match step {
            Some(Step::Wait(until)) => {
                running.hold(context.now, until);
                *self = Data::Running { stream, running };
                return Stepped::Nothing;
            }
            Some(Step::Go(octets)) => Some(octets),
            None => None,
        };
        let Some(mut transfer) = running.transfer.take() else {
            return Stepped::Ended(running.end_with(Failure::ConnectionLost));
        };
        let granted = limit.map_or(*budget, |octets| octets.min(*budget));
        let before = transfer.octets();
        let progress = transfer.step(&mut stream, granted, &mut context.scratch, Patience::CachedOnly);
        let moved = (transfer.octets() - before) as usize;
        *budget = budget.saturating_sub(moved);
        running.note(&transfer, context.now);
        if let Progress::WouldWait = progress {
            // The rest of what was granted goes with the errand, and is settled when it comes back.
            running.lent = Lent { since: context.now, moved };
            let rest = limit.map_or(TRANSFER_OCTETS_PER_ERRAND, |_| granted.saturating_sub(moved).max(1));
            return self.lend(turn, stream, transfer, running, rest, context);
        }
        turn.settle(&running, moved);
        running.transfer = Some(transfer);
        self.go_on(turn, stream, running, progress, context)
    }

    /// Lends a step of `budget` octets to a helper. Whatever the socket says while it is away is news.
    fn lend(
        &mut self,
        turn: &mut Turn<'_>,
        stream: Stream,
        transfer: Box<Transfer>,
        mut running: Box<Running>,
        budget: usize,
        context: &mut Context,
    ) -> Stepped {
        *turn.ready = Readiness::NONE;
        match context.helpers.lend(turn.key, Errand::Step(stream, transfer, budget)) {
            Ok(()) => {
                *self = Data::Lent { running, ending: None };
                Stepped::Nothing
            }
            Err(_) => Stepped::Ended(running.end_with(Failure::File(fs::Error::WouldWait))),
        }
    }

    /// What a helper brings back.
    pub fn returned(
        &mut self,
        mut turn: Turn<'_>,
        mut stream: Stream,
        transfer: Box<Transfer>,
        progress: Progress,
        context: &Context,
    ) -> Stepped {
        let Data::Lent { mut running, ending } = mem::take(self) else { return Stepped::Nothing };
        let moved = running.lent.moved + (transfer.octets() - running.octets) as usize;
        turn.settle(&running, moved);
        running.excuse(running.lent.since, context.now);
        running.note(&transfer, context.now);
        running.transfer = Some(transfer);
        match (ending, progress) {
            (Some(_), Progress::Done(report)) => Stepped::Ended(running.end(report)),
            (Some(failure), _) => Stepped::Ended(running.end_with(failure)),
            (None, Progress::Blocked(_)) => {
                // Readiness was cleared when it was lent: what it says now has come since.
                if stream.register(&context.registry, turn.key.token(Part::Second)).is_err() {
                    return Stepped::Ended(running.end_with(Failure::ConnectionLost));
                }
                *self = Data::Running { stream, running };
                Stepped::Nothing
            }
            (None, progress) => {
                turn.ready.add(Readiness::ALL);
                self.go_on(&mut turn, stream, running, progress, context)
            }
        }
    }

    fn go_on(
        &mut self,
        turn: &mut Turn<'_>,
        mut stream: Stream,
        mut running: Box<Running>,
        progress: Progress,
        context: &Context,
    ) -> Stepped {
        match progress {
            Progress::Blocked(direction) => {
                if turn.wait(&mut stream, direction, context).is_err() {
                    return Stepped::Ended(running.end_with(Failure::ConnectionLost));
                }
                *self = Data::Running { stream, running };
                Stepped::Nothing
            }
            Progress::Again | Progress::WouldWait => {
                *self = Data::Running { stream, running };
                Stepped::Moved
            }
            Progress::Whole => {
                let signed = !stream.is_plain();
                *self = Data::Whole { stream, running, until: context.now + FAREWELL };
                if signed {
                    // Nobody who dies says close_notify.
                    self.confirm();
                    turn.ready.add(Readiness::ALL);
                    return Stepped::Moved;
                }
                Stepped::Nothing
            }
            // A listing that was cut has all the same been sent as far as it goes, and ends as one that was not.
            Progress::Done(report) if stream.is_plain() || !matches!(report.outcome, Ok(()) | Err(Failure::Cut(_))) => {
                // The stream is closed before the reply says that all is done.
                drop(stream);
                Stepped::Ended(running.end(report))
            }
            Progress::Done(report) => {
                // An upload that TLS has not signed is an error.
                running.end_is_certain();
                *turn.ready = Readiness::ALL;
                let until = context.now + TLS_CLOSE_TIMEOUT;
                *self = Data::Closing(Box::new(Closing::new(stream, running.end(report), until)));
                Stepped::Moved
            }
        }
    }

    pub(super) fn close(&mut self, turn: &mut Turn<'_>, mut closing: Box<Closing>, context: &mut Context) -> Stepped {
        let buffer = &mut context.scratch.buffer()[..READ_OCTETS_PER_TURN];
        match closing.step(buffer) {
            Some(direction) if turn.wait(&mut closing.stream, direction, context).is_ok() => {
                *self = Data::Closing(closing);
                Stepped::Nothing
            }
            _ => Stepped::Ended(closing.ended),
        }
    }
}
