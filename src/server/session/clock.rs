//! What a session does because time has passed: idle clients, stalled data, late refusals, a server that stops.

use std::time::Instant;

use super::{Away, Channel, Session, Stage};
use crate::job::Failure;
use crate::reactor::Readiness;
use crate::server::context::{Context, Phase};
use crate::server::data::Data;

impl Session {
    /// Does what the time asks for.
    pub(super) fn expire(&mut self, ready: &mut Readiness, context: &mut Context) {
        let securing = matches!(self.data, Data::Securing { .. });
        if let Some(ended) = self.data.expire(ready, context) {
            let why = match ended.report.outcome {
                _ if securing => Some("the TLS handshake on the data connection took too long"),
                Err(Failure::TooSlow) => Some("a transfer was ended: slower than --min-rate"),
                Err(Failure::Stalled) => Some("a transfer was ended: nothing moved for --data-timeout"),
                _ => None,
            };
            if let Some(why) = why {
                log::warn!("{}: {why}", self.peer().ip());
            }
            // Mostly a firewall is to blame.
            if matches!(ended.report.outcome, Err(Failure::NoConnection(_))) {
                self.told.inform(self.peer().ip(), "a data connection was not opened in time");
            }
            self.finish(ended, context);
        }
        self.keeping.expire(context.now);
        if matches!(self.away, Away::Refusal(at) if at <= context.now) {
            self.refuse();
        }
        self.leave_if_banned(context);
        if self.idle_deadline(context).is_some_and(|deadline| deadline <= context.now) {
            self.end_silence();
        }
    }

    /// Who has been silent for too long is told so, and the log as well. That a login has to wait for others, and for
    /// its hash, is not its client's fault.
    fn end_silence(&mut self) {
        let peer = self.peer().ip();
        let text = match (self.interpreter.is_logged_in(), &self.away) {
            (true, _) => {
                log::info!("{peer}: was silent for the idle timeout");
                "Idle for too long; goodbye."
            }
            (false, Away::Login(..)) => {
                log::info!("{peer}: waited for its login until --login-timeout");
                "Login took too long; goodbye."
            }
            (false, _) => {
                log::warn!("{peer}: did not log in within --login-timeout");
                "Login took too long; goodbye."
            }
        };
        self.interpreter.farewell(text);
    }

    /// A server that stops lets transfers finish, and says goodbye to whoever has none.
    pub(super) fn stop(&mut self, context: &Context) {
        let Phase::Stopping(until) = context.phase else { return };
        if self.data.is_busy() {
            if context.now < until {
                return;
            }
            // What is lent comes back, or does not: nobody waits for it any more.
            if let Some(ended) = self.data.abort(Failure::Stopping) {
                self.finish(ended, context);
            }
        }
        self.interpreter.farewell("The server is stopping; goodbye.");
    }

    /// When the client has been silent for too long. The clock stands still while data moves or a helper works.
    fn idle_deadline(&self, context: &Context) -> Option<Instant> {
        let occupied = self.data.is_busy() || matches!(self.away, Away::Command);
        if occupied || self.stage != Stage::Open || matches!(self.channel, Channel::Handshake(_)) {
            return None;
        }
        if self.interpreter.is_logged_in() {
            return self.interpreter.idle_timeout().map(|timeout| self.active + timeout);
        }
        context.login_timeout.map(|timeout| self.began + timeout)
    }

    /// When this session must be looked at, whatever happens.
    pub(super) fn deadline(&self, context: &Context) -> Option<Instant> {
        let closing = match self.stage {
            Stage::Closing(until) => Some(until),
            Stage::Open => None,
        };
        let refusal = match self.away {
            Away::Refusal(at) => Some(at),
            _ => None,
        };
        let stopping = match context.phase {
            Phase::Stopping(until) if until > context.now => Some(until),
            _ => None,
        };
        let handshake = match self.channel {
            Channel::Handshake(until) => Some(until),
            Channel::Open | Channel::LastInClear => None,
        };
        let kept = self.keeping.until();
        let held = self.data.held_until().filter(|until| *until > context.now);
        let all = [
            self.paced_until(context),
            kept,
            held,
            closing,
            refusal,
            stopping,
            handshake,
            self.unlogged.as_ref().map(|last| last.until),
            self.data.deadline(context),
            self.idle_deadline(context),
        ];
        all.into_iter().flatten().min()
    }
}
