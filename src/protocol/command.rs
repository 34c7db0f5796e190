//! A command: a row of the table, and the grammar and gate of its handler.

use std::net::SocketAddr;
use std::time::Duration;

use super::Interpreter;
use super::reply::{Refusal, Reply};
use super::state::{DataAddress, LoggedIn};
use crate::account::Right;
use crate::fs::VirtualPath;
use crate::job::Job;

/// One row: everything that dispatch, FEAT, HELP and the README's table need to know of a command.
#[derive(Debug)]
pub struct Command {
    /// Upper case.
    pub verb: &'static str,
    /// The argument's grammar, as RFC 959 section 5.3.1 writes it.
    pub syntax: &'static str,
    /// Where it is defined.
    pub spec: &'static str,
    /// The line that FEAT shows for it.
    pub feat: Option<&'static str>,
    /// Who may; none: everybody.
    pub right: Option<Right>,
    pub run: Run,
    pub during_transfer: DuringTransfer,
}

/// A row, as the tables in `commands` write it.
pub(super) const fn command(
    verb: &'static str,
    syntax: &'static str,
    spec: &'static str,
    feat: Option<&'static str>,
    right: Option<Right>,
    run: Run,
) -> Command {
    Command { verb, syntax, spec, feat, right, run, during_transfer: DuringTransfer::Waits }
}

impl Command {
    /// The same row, for a command that is answered while a transfer runs.
    pub(super) const fn answered_during_transfer(mut self) -> Command {
        self.during_transfer = DuringTransfer::Answered;
        self
    }

    /// Runs a handler behind its gate: right (550), data connection (425), argument (501).
    pub fn carry_out(&self, logged_in: &mut LoggedIn, argument: &[u8]) -> Answer {
        if let Some(right) = self.right {
            logged_in.need(right)?;
        }
        if self.run.is_transfer() && logged_in.parameters.data_address == DataAddress::None {
            return Err(Refusal::NoDataConnection);
        }
        let syntax =
            || Refusal::Argument(format!("Syntax: {} {}", self.verb, self.syntax).trim_end().to_owned().into());
        let blank = argument.trim_ascii().is_empty();
        match self.run {
            Run::Open(_) => Err(Refusal::Unknown),
            Run::Bare(run) if blank => run(logged_in),
            Run::Bare(_) => Err(syntax()),
            Run::Text(_) | Run::Path(_) | Run::TransferPath(_) if argument.is_empty() => Err(syntax()),
            Run::Text(run) => run(logged_in, argument),
            Run::Optional(run) | Run::TransferOptional(run) => run(logged_in, argument),
            Run::Path(run) | Run::TransferPath(run) => {
                let path = logged_in.path(argument)?;
                run(logged_in, &path)
            }
            Run::OptionalPath(run) | Run::TransferOptionalPath(run) => {
                let path = if blank { logged_in.directory.clone() } else { logged_in.path(argument)? };
                run(logged_in, &path)
            }
        }
    }
}

/// What becomes of a command that comes while a transfer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuringTransfer {
    Waits,
    Answered,
}

/// What a handler gives back.
pub type Answer = Result<Outcome, Refusal>;

/// The grammar of a command's argument and the gate before its handler.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// Before login too; with the argument as it came, perhaps empty.
    Open(fn(&mut Interpreter, &[u8]) -> Answer),
    /// After login, with no argument.
    Bare(fn(&mut LoggedIn) -> Answer),
    /// After login, with an argument that is not a pathname.
    Text(fn(&mut LoggedIn, &[u8]) -> Answer),
    /// After login, with an argument that may be missing.
    Optional(fn(&mut LoggedIn, &[u8]) -> Answer),
    /// After login, with a pathname.
    Path(fn(&mut LoggedIn, &VirtualPath) -> Answer),
    /// After login, with a pathname; where it is missing, the working directory's.
    OptionalPath(fn(&mut LoggedIn, &VirtualPath) -> Answer),
    /// As `Path`, and a data connection must have been named.
    TransferPath(fn(&mut LoggedIn, &VirtualPath) -> Answer),
    /// As `OptionalPath`, and a data connection must have been named.
    TransferOptionalPath(fn(&mut LoggedIn, &VirtualPath) -> Answer),
    /// As `Optional`, and a data connection must have been named.
    TransferOptional(fn(&mut LoggedIn, &[u8]) -> Answer),
}

impl Run {
    /// Whether the command begins a transfer.
    pub fn is_transfer(&self) -> bool {
        matches!(self, Run::TransferPath(_) | Run::TransferOptionalPath(_) | Run::TransferOptional(_))
    }
}

/// What follows from a command.
#[derive(Debug)]
pub enum Outcome {
    Reply(Reply),
    /// The preliminary reply, and what to do with the data connection.
    Transfer(Reply, Job),
    /// PASV and EPSV: listen, then say where.
    Listen(Passive),
    /// PORT and EPRT: where the client listens.
    Dial(SocketAddr, Reply),
    /// STAT without a pathname: what the session is doing is the server's to say.
    Status,
    /// ABOR: stop the transfer, or close what listens for one.
    Abort,
    /// SITE IDLE.
    Idle(Duration, Reply),
    /// PASS: who is it?
    Check,
    /// AUTH: the control connection goes on under TLS.
    Secure(Reply),
    /// REIN: nobody is logged in any more.
    Reinitialize(Reply),
    /// QUIT.
    Quit(Reply),
}

/// In which words the passive address is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passive {
    /// 227, with host and port.
    Pasv,
    /// 229, with the port alone.
    Epsv,
}

/// Short for the outcome of most handlers.
pub(super) fn reply(code: u16, text: &'static str) -> Answer {
    Ok(Outcome::Reply(Reply::new(code, text)))
}
