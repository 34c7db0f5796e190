//! What follows the end of a transfer: the reply at once, and the lines of the logs.
//!
//! In plain FTP the end of an upload is the end of a connection, and a client that is killed makes the same: the
//! kernel ends both its connections, in any order. So whoever is found gone at the end of his upload is not told that
//! it is complete; and what the logs say waits for the client's next word, and not for long. One that is gone by then
//! may have read its reply and closed, as many do that never say QUIT. But if it had not read it, the kernel has
//! answered the reply with a reset.

use std::net::IpAddr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{Input, Session};
use crate::job::{Failure, Representation};
use crate::limits::UPLOAD_LOGGED_AFTER;
use crate::listing::Cut;
use crate::log::{Direction, Shown, Transfer};
use crate::server::context::Context;
use crate::server::data::Ended;

/// An upload that is not in the logs yet.
#[derive(Debug)]
pub(super) struct Unlogged {
    ended: Ended,
    /// Who stored it: the session may be another user's by then, or nobody's (REIN).
    user: String,
    anonymous: bool,
    /// When it ended, in seconds since 1970.
    time: i64,
    /// How many commands its session had carried out then.
    commands: u64,
    pub(super) until: Instant,
}

impl Session {
    /// Tells the client and the logs how a transfer has ended.
    pub(super) fn finish(&mut self, mut ended: Ended, context: &Context) {
        self.active = context.now;
        if let Some(allowance) = &mut self.allowance {
            allowance.leave();
        }
        self.log_unlogged(context);
        if ended.seems_whole() && self.has_left_early() {
            ended.report.outcome = Err(Failure::ConnectionLost);
        }
        self.interpreter.finished(&ended.report);
        if let Err(Failure::Cut(cut)) = ended.report.outcome {
            let text = match cut {
                Cut::Depth => "a listing was cut: LIST -R goes no deeper",
                Cut::Entries => "a listing was cut: LIST -R shows no more entries",
            };
            self.told.warn(self.peer().ip(), text);
        }
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        let Some(account) = self.interpreter.logged_in().map(|logged_in| &logged_in.account) else { return };
        if !ended.seems_whole() {
            return log_transfer(self.peer().ip(), (&account.name, account.anonymous), &ended, time, context);
        }
        let (user, anonymous) = (account.name.clone(), account.anonymous);
        let (commands, until) = (self.interpreter.commands(), context.now + UPLOAD_LOGGED_AFTER);
        self.unlogged = Some(Box::new(Unlogged { ended, user, anonymous, time, commands, until }));
    }

    /// Whether the client has closed the control connection, or its half of it, without a farewell.
    pub(super) fn has_left_early(&self) -> bool {
        self.interpreter.is_cut_off() && (self.input != Input::Open || self.stream.has_ended())
    }

    /// The same, and it has not read all that it was told.
    fn has_not_read(&self) -> bool {
        let unread = match self.input {
            Input::Open => false,
            Input::Ended => self.stream.was_reset(),
            Input::Broken => true,
        };
        unread && self.interpreter.is_cut_off()
    }

    /// Logs the last upload, if all is known of it that will be.
    pub(super) fn log_when_known(&mut self, context: &Context) {
        let known = |last: &Unlogged| {
            self.input != Input::Open || last.commands != self.interpreter.commands() || last.until <= context.now
        };
        if self.unlogged.as_deref().is_some_and(known) {
            self.log_unlogged(context);
        }
    }

    /// Logs the last upload with what is known.
    pub(super) fn log_unlogged(&mut self, context: &Context) {
        let Some(mut last) = self.unlogged.take() else { return };
        // A command that came since is a sign of life.
        if last.commands == self.interpreter.commands() && self.has_not_read() {
            last.ended.report.outcome = Err(Failure::ConnectionLost);
        }
        log_transfer(self.peer().ip(), (&last.user, last.anonymous), &last.ended, last.time, context);
    }
}

/// A listing, and what was not begun, is in no log.
fn log_transfer(peer: IpAddr, (user, anonymous): (&str, bool), ended: &Ended, time: i64, context: &Context) {
    let Some(subject) = &ended.subject else { return };
    let path = subject.path.normalized();
    context.log.transfer(&Transfer {
        time,
        duration: ended.duration,
        peer,
        octets: ended.report.octets,
        path: path.as_bytes(),
        ascii: subject.representation == Representation::Ascii,
        direction: subject.direction,
        anonymous,
        user: user.as_bytes(),
        complete: ended.report.outcome.is_ok(),
    });
    log::info!(
        "{peer}: {} {} {}, {} octets in {:.3} s{}",
        Shown(user.as_bytes()),
        if subject.direction == Direction::In { "stored" } else { "retrieved" },
        Shown(path.as_bytes()),
        ended.report.octets,
        ended.duration.as_secs_f64(),
        ended.report.outcome.as_ref().map_or_else(reason, |()| String::new()),
    );
}

/// Why a transfer is not complete, for the log.
fn reason(failure: &Failure) -> String {
    let reason = match failure {
        Failure::Aborted => "the client has said ABOR",
        Failure::ConnectionLost => "a connection was lost",
        Failure::Stalled => "nothing moved for too long",
        Failure::TooSlow => "it was slower than --min-rate",
        Failure::Shrunk => "the file became shorter",
        Failure::Cut(_) => "it was longer than one may be",
        Failure::Stopping => "the server is stopping",
        Failure::Truncated => "the end was not announced",
        Failure::NoConnection(_) | Failure::NotReused | Failure::Handshake => "there was no data connection",
        Failure::File(error) => return format!(", incomplete: {error}"),
    };
    format!(", incomplete: {reason}")
}
