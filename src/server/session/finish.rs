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
use crate::log::{Direction, Shown, Transfer};
use crate::server::context::Context;
use crate::server::data::Ended;

/// A transfer that is not in the logs yet.
#[derive(Debug)]
pub(super) struct Unlogged {
    ended: Ended,
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
        self.log_unlogged(context);
        if ended.is_whole_upload() && self.interpreter.is_cut_off() && self.has_left() {
            ended.report.outcome = Err(Failure::ConnectionLost);
        }
        self.interpreter.finished(&ended.report);
        let Some(logged_in) = self.interpreter.logged_in().filter(|_| ended.subject.is_some()) else { return };
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        self.unlogged = Some(Box::new(Unlogged {
            user: logged_in.account.name.clone(),
            anonymous: logged_in.account.anonymous,
            time: i64::try_from(time).unwrap_or(i64::MAX),
            commands: self.interpreter.commands(),
            until: context.now + UPLOAD_LOGGED_AFTER,
            ended,
        }));
        self.log_when_known(context);
    }

    /// Whether the client has closed the control connection, or its half of it.
    fn has_left(&self) -> bool {
        self.input != Input::Open || self.stream.has_ended()
    }

    /// Whether the client has left without a farewell, and without having read all that it was told.
    fn is_cut_off(&self) -> bool {
        let unread = match self.input {
            Input::Open => false,
            Input::Ended => self.stream.was_reset(),
            Input::Broken => true,
        };
        unread && self.interpreter.is_cut_off()
    }

    /// Logs the last transfer, unless it is an upload of which nothing further is known.
    pub(super) fn log_when_known(&mut self, context: &Context) {
        let commands = self.interpreter.commands();
        let known = |last: &Unlogged| {
            !last.ended.is_whole_upload()
                || self.input != Input::Open
                || last.commands != commands
                || last.until <= context.now
        };
        if self.unlogged.as_deref().is_some_and(known) {
            self.log_unlogged(context);
        }
    }

    /// Logs the last transfer with what is known.
    pub(super) fn log_unlogged(&mut self, context: &Context) {
        let Some(mut last) = self.unlogged.take() else { return };
        // A command that came since is a sign of life.
        if last.ended.is_whole_upload() && last.commands == self.interpreter.commands() && self.is_cut_off() {
            last.ended.report.outcome = Err(Failure::ConnectionLost);
        }
        last.log(self.peer().ip(), context);
    }
}

impl Unlogged {
    fn log(&self, peer: IpAddr, context: &Context) {
        let Some(subject) = &self.ended.subject else { return };
        let complete = self.ended.report.outcome.is_ok();
        context.log.transfer(&Transfer {
            time: self.time,
            duration: self.ended.duration,
            peer,
            octets: self.ended.report.octets,
            path: subject.path.normalized().as_bytes(),
            ascii: subject.representation == Representation::Ascii,
            direction: subject.direction,
            anonymous: self.anonymous,
            user: self.user.as_bytes(),
            complete,
        });
        log::info!(
            "{peer}: {} {} {}, {} octets in {:.3} s{}",
            Shown(self.user.as_bytes()),
            if subject.direction == Direction::In { "stored" } else { "retrieved" },
            Shown(subject.path.normalized().as_bytes()),
            self.ended.report.octets,
            self.ended.duration.as_secs_f64(),
            self.ended.report.outcome.as_ref().map_or_else(reason, |()| String::new()),
        );
    }
}

/// Why a transfer is not complete, for the log.
fn reason(failure: &Failure) -> String {
    let reason = match failure {
        Failure::Aborted => "the client has said ABOR",
        Failure::ConnectionLost => "a connection was lost",
        Failure::Stalled => "nothing moved for too long",
        Failure::TooSlow => "it was slower than --min-rate",
        Failure::Shrunk => "the file became shorter",
        Failure::Stopping => "the server is stopping",
        Failure::Truncated => "the end was not announced",
        Failure::NoConnection(_) | Failure::NotReused | Failure::Handshake => "there was no data connection",
        Failure::File(error) => return format!(", incomplete: {error}"),
    };
    format!(", incomplete: {reason}")
}
