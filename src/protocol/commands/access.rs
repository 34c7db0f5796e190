//! Access control commands: RFC 959 section 4.1.1.

use crate::account::{Proof, Right, Secret};
use crate::fs::VirtualPath;
use crate::limits::USER_OCTETS_MAX;
use crate::protocol::command::{Answer, Command, Outcome, Run, command, reply};
use crate::protocol::reply::{Refusal, Reply};
use crate::protocol::state::{DataCommands, LoggedIn, Protection};
use crate::protocol::{Interpreter, Login};

#[rustfmt::skip]
pub const TABLE: &[Command] = &[
    //       verb    syntax             spec             FEAT  right               run
    command("USER", "<SP> username",    "RFC 959 4.1.1", None, None,               Run::Open(user)),
    command("PASS", "<SP> password",    "RFC 959 4.1.1", None, None,               Run::Open(pass)),
    command("ACCT", "<SP> account",     "RFC 959 4.1.1", None, None,               Run::Open(acct)),
    command("REIN", "",                 "RFC 959 4.1.1", None, None,               Run::Open(rein)),
    command("QUIT", "",                 "RFC 959 4.1.1", None, None,               Run::Open(quit)).answered_during_transfer(),
    command("CWD",  "<SP> pathname",    "RFC 959 4.1.1", None, Some(Right::Enter), Run::Path(cwd)),
    command("XCWD", "<SP> pathname",    "RFC 775",       None, Some(Right::Enter), Run::Path(cwd)),
    command("CDUP", "",                 "RFC 959 4.1.1", None, Some(Right::Enter), Run::Bare(cdup)),
    command("XCUP", "",                 "RFC 775",       None, Some(Right::Enter), Run::Bare(cdup)),
];

/// Names a user. The reply is the same for every name, so that it does not tell which exist (RFC 2577 section 7).
fn user(session: &mut Interpreter, argument: &[u8]) -> Answer {
    if argument.is_empty() {
        return Err(Refusal::Argument("Syntax: USER <SP> username".into()));
    }
    if argument.len() > USER_OCTETS_MAX || argument.contains(&0) {
        return Err(Refusal::Argument("Not a user name.".into()));
    }
    if session.is_logged_in() {
        return Err(Refusal::Sequence("Already logged in; REIN or QUIT first."));
    }
    if session.settings.login_needs_tls() && session.security.control == Protection::Clear {
        return Err(Refusal::ClearLogin);
    }
    session.login = Login::Named(argument.to_vec());
    if session.security.certified.as_deref() == Some(argument) {
        return session.check(Proof::Certificate);
    }
    reply(331, "Password required.")
}

/// Gives the password; the verdict comes when it is known.
fn pass(session: &mut Interpreter, argument: &[u8]) -> Answer {
    session.check(Proof::Password(Secret::new(argument.to_vec())))
}

/// RFC 959 section 5.4: 202 where permission was granted by USER and PASS already.
fn acct(session: &mut Interpreter, argument: &[u8]) -> Answer {
    if argument.is_empty() {
        return Err(Refusal::Argument("Syntax: ACCT <SP> account".into()));
    }
    match session.is_logged_in() {
        true => reply(202, "No account is needed."),
        false => Err(Refusal::Sequence("Send USER and PASS.")),
    }
}

/// Logs the user out; the control connection stays, as if it had just been opened.
fn rein(_session: &mut Interpreter, argument: &[u8]) -> Answer {
    if !argument.trim_ascii().is_empty() {
        return Err(Refusal::Argument("Syntax: REIN".into()));
    }
    Ok(Outcome::Reinitialize(Reply::new(220, "Ready for a new user.")))
}

/// Ends the session; a transfer that runs is let finish.
fn quit(_session: &mut Interpreter, _argument: &[u8]) -> Answer {
    Ok(Outcome::Quit(Reply::new(221, "Goodbye.")))
}

/// Changes the working directory. Its name is kept without `.` and `..`; the kernel has resolved that very name.
fn cwd(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    let path = path.normalized();
    session.root.enter(&path)?;
    session.directory = path;
    reply(250, "Directory changed.")
}

/// RFC 959 section 4.1.1: as CWD to the parent; the root is its own.
fn cdup(session: &mut LoggedIn) -> Answer {
    let parent = session.path(b"..")?;
    cwd(session, &parent)
}

/// RFC 2428 section 4: after EPSV ALL, whatever else sets up a data connection is refused.
pub(super) fn need_data_commands(session: &LoggedIn) -> Result<(), Refusal> {
    match session.parameters.data_commands {
        DataCommands::All => Ok(()),
        DataCommands::OnlyEpsv => Err(Refusal::Sequence("EPSV ALL was said: only EPSV sets up data connections now.")),
    }
}
