//! The one gate: from a line to its command, where it may be carried out now, and what that command ends.

use std::mem;

use super::command::{Command, DuringTransfer, Run};
use super::line::Line;
use super::reply::Refusal;
use super::state::Protection;
use super::{Action, Deferred, Interpreter, Login, Waiting, table};
use crate::log::Shown;

impl Interpreter {
    /// While a transfer runs, ABOR is found wherever it stands; the other lines keep their order.
    pub(super) fn line_during_transfer(&mut self) -> Option<Action> {
        if self.lines.take_out_of_turn(table::is_abort) {
            self.abort_asked();
            return self.next.take();
        }
        let answered = match self.lines.peek()? {
            Line::Text(text) => {
                let (verb, argument) = table::split(text);
                table::find(verb).is_some_and(|command| {
                    command.during_transfer == DuringTransfer::Answered && argument.trim_ascii().is_empty()
                })
            }
            Line::TooLong => false,
        };
        if !answered {
            return None;
        }
        let mut line = Vec::new();
        self.lines.take(&mut line)?;
        self.carry_out(line);
        self.next.take()
    }

    pub(super) fn carry_out(&mut self, line: Vec<u8>) {
        let first = self.commands == 0;
        self.commands += 1;
        let (verb, argument) = table::split(&line);
        if verb.is_empty() && argument.is_empty() {
            return;
        }
        // A password that was mistyped (a blank before PASS, a tab behind it) is one all the same.
        let start = line.trim_ascii_start();
        let secret = start.len() >= 4 && start[..4].eq_ignore_ascii_case(b"PASS");
        let shown = if secret { b"PASS (hidden)" } else { line.as_slice() };
        log::debug!("{}: > {}", self.peer.ip(), Shown(shown));
        if first && table::is_http(verb) {
            return self.close();
        }
        let Some(command) = table::find(verb) else {
            self.forget_rename("");
            self.forget_restart("");
            return self.refuse(&Refusal::Unknown);
        };
        self.forget_rename(command.verb);
        match command.run {
            Run::Open(run) => {
                let answer = run(self, argument);
                self.conclude(answer);
            }
            _ => self.carry_out_logged_in(command, argument.to_vec()),
        }
        self.forget_restart(command.verb);
    }

    fn carry_out_logged_in(&mut self, command: &'static Command, argument: Vec<u8>) {
        let clear =
            command.run.is_transfer() && self.settings.data_needs_tls() && self.security.data == Protection::Clear;
        let answer = match &mut self.login {
            Login::In(_) if clear => Err(Refusal::ClearData),
            Login::In(logged_in) => command.carry_out(logged_in, &argument),
            _ => Err(Refusal::NotLoggedIn),
        };
        if !matches!(answer, Err(Refusal::WouldWait)) {
            return self.conclude(answer);
        }
        match mem::replace(&mut self.login, Login::Lent) {
            Login::In(logged_in) => {
                self.waiting = Waiting::Return;
                self.next = Some(Action::Defer(Box::new(Deferred { logged_in, command, argument, answer })));
            }
            other => self.login = other,
        }
    }

    /// A first line of that length is the last one, as an HTTP request is: its URL may have been made so long that the
    /// lines behind it are taken for commands.
    pub(super) fn refuse_long_line(&mut self) {
        let first = self.commands == 0;
        self.commands += 1;
        self.forget_rename("");
        self.forget_restart("");
        self.told.warn(self.peer.ip(), "sent a line that is too long");
        self.refuse(&Refusal::LineTooLong);
        if first {
            self.close();
        }
    }

    /// RFC 3659 section 5.3: REST holds for the command that follows it immediately; but PASV and friends stand between
    /// REST and RETR in every client. What was no command counts as one.
    pub(super) fn forget_restart(&mut self, verb: &str) {
        if let Login::In(logged_in) = &mut self.login
            && !matches!(verb, "REST" | "PASV" | "EPSV" | "PORT" | "EPRT" | "TYPE")
        {
            logged_in.parameters.restart = 0;
        }
    }

    /// RFC 959 section 4.1.3: RNFR "must be immediately followed by" RNTO. Where it is not, a later RNTO, of a client
    /// that had given up or whose second RNFR was refused, must not rename what the first one named.
    fn forget_rename(&mut self, verb: &str) {
        if let Login::In(logged_in) = &mut self.login
            && verb != "RNTO"
        {
            logged_in.rename = None;
        }
    }
}
