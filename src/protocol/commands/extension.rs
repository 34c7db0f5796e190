//! Extensions: RFC 2389 (FEAT, OPTS), RFC 2640 (UTF8), RFC 3659 (SIZE, MDTM, MLST, MLSD), the MFxx draft, SITE, CLNT.

use std::time::Duration;

use crate::account::Right;
use crate::fs::{Kind, VirtualPath};
use crate::job::{Job, Representation};
use crate::limits::SITE_IDLE_MAX;
use crate::listing::{FactSet, Listing, Selection, Style};
use crate::protocol::argument;
use crate::protocol::command::{Answer, Command, Outcome, Run, command, reply};
use crate::protocol::reply::{Refusal, Reply};
use crate::protocol::state::LoggedIn;
use crate::protocol::{Interpreter, Login, table};
use crate::time::TimeVal;

#[rustfmt::skip]
pub const TABLE: &[Command] = &[
    //       verb    syntax                      spec            FEAT                      right                    run
    command("FEAT", "",                          "RFC 2389 3",   None,                     None,                    Run::Open(feat)),
    command("OPTS", "<SP> UTF8 ON | MLST facts", "RFC 2389 4",   None,                     None,                    Run::Open(opts)),
    command("CLNT", "<SP> name",                 "FEAT list of clients", Some("CLNT"),     None,                    Run::Open(clnt)),
    command("SIZE", "<SP> pathname",             "RFC 3659 4",   Some("SIZE"),             Some(Right::List),       Run::Path(size)),
    command("MDTM", "<SP> pathname",             "RFC 3659 3",   Some("MDTM"),             Some(Right::List),       Run::Path(mdtm)),
    command("MLST", "[<SP> pathname]",           "RFC 3659 7",   None,                     Some(Right::List),       Run::OptionalPath(mlst)),
    command("MLSD", "[<SP> pathname]",           "RFC 3659 7",   None,                     Some(Right::List),       Run::TransferOptionalPath(mlsd)),
    command("MFMT", "<SP> time-val <SP> pathname", "draft-somers-ftp-mfxx 3", Some("MFMT"), Some(Right::ChangeTime), Run::Text(mfmt)),
    command("MFF",  "<SP> facts <SP> pathname",  "draft-somers-ftp-mfxx 5", None,          None,                    Run::Text(mff)),
];

/// RFC 2389 section 3.2: what this session may use, one feature a line, each behind one space.
fn feat(session: &mut Interpreter, argument: &[u8]) -> Answer {
    if !argument.trim_ascii().is_empty() {
        return Err(Refusal::Argument("Syntax: FEAT".into()));
    }
    let logged_in = session.logged_in();
    let may = |right: Option<Right>| match (logged_in, right) {
        (Some(logged_in), Some(right)) => logged_in.allows(right),
        _ => true,
    };
    let tls = session.settings.tls.is_some();
    let restarts = may(Some(Right::Read)) || may(Some(Right::Store));
    let usable = |command: &&Command| {
        may(command.right) && (tls || !table::is_security(command)) && (restarts || command.verb != "REST")
    };
    let mut features: Vec<String> =
        table::commands().filter(usable).filter_map(|command| command.feat.map(str::to_owned)).collect();
    if may(Some(Right::List)) {
        let chosen = logged_in.map_or_else(FactSet::default, |logged_in| logged_in.facts);
        features.push(format!("MLST {}", chosen.feature()));
    }
    let changes: Vec<&str> = [(Right::ChangeTime, "Modify;"), (Right::ChangeMode, "UNIX.mode;")]
        .into_iter()
        .filter_map(|(right, fact)| may(Some(right)).then_some(fact))
        .collect();
    if !changes.is_empty() {
        features.push(format!("MFF {}", changes.concat()));
    }
    features.extend(["TVFS", "UTF8"].map(str::to_owned));
    features.sort_unstable();
    let lines = features.into_iter().map(|feature| format!(" {feature}").into_bytes()).collect();
    Ok(Outcome::Reply(Reply::lines(211, "Features:", lines, "End")))
}

/// RFC 2389 section 4: options of a command. UTF8 is always on, before login too, because clients ask so early.
fn opts(session: &mut Interpreter, argument: &[u8]) -> Answer {
    let (name, option) = table::split(argument);
    match name.to_ascii_uppercase().as_slice() {
        b"" => Err(Refusal::Argument("Syntax: OPTS <SP> command [<SP> options]".into())),
        b"UTF8" | b"UTF-8" => match option.trim_ascii().to_ascii_uppercase().as_slice() {
            b"" | b"ON" | b"NLST" => reply(200, "UTF8 is on."),
            _ => Err(Refusal::Parameter("UTF8 cannot be turned off: names are octets, as the disk has them.".into())),
        },
        b"MLST" => match &mut session.login {
            Login::In(logged_in) => {
                logged_in.facts = FactSet::chosen(option);
                Ok(Outcome::Reply(Reply::new(200, format!("MLST OPTS {}", logged_in.facts).trim_end().to_owned())))
            }
            _ => Err(Refusal::NotLoggedIn),
        },
        _ => Err(Refusal::Argument("OPTS knows UTF8 and MLST.".into())),
    }
}

/// The client says what it is; nothing follows from it.
fn clnt(_session: &mut Interpreter, argument: &[u8]) -> Answer {
    if argument.is_empty() { Err(Refusal::Argument("Syntax: CLNT <SP> name".into())) } else { reply(200, "Noted.") }
}

/// RFC 3659 section 4: the octets that RETR would send, which nobody knows in TYPE A before it was sent.
fn size(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    if session.parameters.representation == Representation::Ascii {
        return Err(Refusal::Unavailable("SIZE is not known in TYPE A; send TYPE I first.".into()));
    }
    let facts = session.root.facts(path)?;
    if facts.kind != Kind::File {
        return Err(Refusal::Unavailable("Not a regular file.".into()));
    }
    Ok(Outcome::Reply(Reply::new(213, facts.size.to_string())))
}

/// Replies with a file's last modification time.
fn mdtm(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    let facts = session.root.facts(path)?;
    Ok(Outcome::Reply(Reply::new(213, TimeVal(facts.modified).to_string())))
}

/// RFC 3659 section 7.2: the facts of one name, over the control connection.
fn mlst(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    let line = session.settings.format.single_facts(&session.root, path, session.facts, session.account.rights)?;
    Ok(Outcome::Reply(Reply::lines(250, "Facts:", vec![line], "End")))
}

/// RFC 3659 section 7.3: the facts of every name in a directory, which is taken literally.
fn mlsd(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    if session.root.facts(path)?.kind != Kind::Directory {
        return Err(Refusal::Argument("MLSD lists directories; send MLST for a file.".into()));
    }
    let style = Style::Facts(session.facts, session.account.rights);
    let selection = Selection::literal(path.clone());
    let listing = Listing::new(&session.root, selection, style, session.settings.format.clone())?;
    Ok(Outcome::Transfer(Reply::new(150, "Here come the facts."), Job::List { listing: Box::new(listing) }))
}

/// Sets a file's modification time.
fn mfmt(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    let syntax = || Refusal::Argument("Syntax: MFMT <SP> YYYYMMDDHHMMSS <SP> pathname".into());
    let (time, name) = argument::word_and_rest(argument).ok_or_else(syntax)?;
    let (seconds, nanos) = argument::time_val(time).ok_or_else(syntax)?;
    let modified = session.root.set_modified(&session.path(name)?, seconds, nanos)?;
    let mut text = format!("Modify={}; ", TimeVal(modified)).into_bytes();
    text.extend_from_slice(name);
    Ok(Outcome::Reply(Reply::octets(213, text)))
}

/// Sets facts of a file: Modify and UNIX.mode; either all or none, as far as can be told before.
fn mff(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    let syntax = || Refusal::Argument("Syntax: MFF <SP> Modify=YYYYMMDDHHMMSS;UNIX.mode=0644; <SP> pathname".into());
    let (facts, name) = argument::word_and_rest(argument).ok_or_else(syntax)?;
    let facts = facts.strip_suffix(b";").ok_or_else(syntax)?;
    let (mut modified, mut mode) = (None, None);
    for fact in facts.split(|octet| *octet == b';') {
        let equals = fact.iter().position(|octet| *octet == b'=').ok_or_else(syntax)?;
        let (fact, value) = (fact[..equals].to_ascii_lowercase(), &fact[equals + 1..]);
        match fact.as_slice() {
            b"modify" => modified = Some(argument::time_val(value).ok_or_else(syntax)?),
            b"unix.mode" => mode = Some(argument::octal_mode(value).ok_or_else(syntax)?),
            _ => return Err(Refusal::Parameter("MFF changes Modify and UNIX.mode alone.".into())),
        }
    }
    let path = session.path(name)?;
    if modified.is_some() {
        session.need(Right::ChangeTime)?;
    }
    if mode.is_some() {
        session.need(Right::ChangeMode)?;
    }
    if mode.is_some_and(|mode| mode > 0o777) {
        return Err(Refusal::Parameter("Modes up to 777: no setuid, setgid or sticky bit.".into()));
    }
    let mut text = Vec::new();
    // The mode last: the new one may not let the file be opened, which setting its time may take.
    let set = |(seconds, nanos)| session.root.set_modified(&path, seconds, nanos);
    let modified = modified.map(set).transpose()?;
    if let Some(mode) = mode {
        session.root.set_mode(&path, mode)?;
        text.extend_from_slice(format!("UNIX.mode={mode:04o};").as_bytes());
    }
    if let Some(modified) = modified {
        text.extend_from_slice(format!("Modify={};", TimeVal(modified)).as_bytes());
    }
    text.push(b' ');
    text.extend_from_slice(name);
    Ok(Outcome::Reply(Reply::octets(213, text)))
}

/// SITE's own commands.
const SITE: &[(&str, &str)] = &[
    ("HELP", "SITE HELP"),
    ("CHMOD", "SITE CHMOD <SP> mode <SP> pathname"),
    ("UTIME", "SITE UTIME <SP> YYYYMMDDHHMM[SS] <SP> pathname"),
    ("UMASK", "SITE UMASK [<SP> mode]"),
    ("IDLE", "SITE IDLE [<SP> seconds]"),
];

/// The reply to SITE HELP.
pub fn site_help() -> Reply {
    let lines = SITE.iter().map(|(_, syntax)| format!(" {syntax}").into_bytes()).collect();
    Reply::lines(214, "These SITE commands are understood:", lines, "End of help.")
}

/// Services that are this server's own (RFC 959 section 4.1.3, SITE).
pub fn site(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    let (verb, rest) = table::split(argument);
    match verb.to_ascii_uppercase().as_slice() {
        b"HELP" => Ok(Outcome::Reply(site_help())),
        b"CHMOD" => site_chmod(session, rest),
        b"UTIME" => site_utime(session, rest),
        b"UMASK" => site_umask(session, rest.trim_ascii()),
        b"IDLE" => site_idle(session, rest.trim_ascii()),
        _ => Err(Refusal::Parameter("No such SITE command; SITE HELP lists those that are.".into())),
    }
}

/// Changes a mode; setuid, setgid and sticky bits are not to be had.
fn site_chmod(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    session.need(Right::ChangeMode)?;
    let syntax = || Refusal::Argument("Syntax: SITE CHMOD <SP> octal mode <SP> pathname".into());
    let (mode, name) = argument::word_and_rest(argument).ok_or_else(syntax)?;
    let mode = argument::octal_mode(mode).ok_or_else(syntax)?;
    if mode > 0o777 {
        return Err(Refusal::Parameter("Modes up to 777: no setuid, setgid or sticky bit.".into()));
    }
    session.root.set_mode(&session.path(name)?, mode)?;
    reply(200, "Mode changed.")
}

/// `SITE UTIME time path`, and the older `SITE UTIME path atime mtime ctime UTC`.
fn site_utime(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    session.need(Right::ChangeTime)?;
    let syntax = || Refusal::Argument("Syntax: SITE UTIME <SP> YYYYMMDDHHMM[SS] <SP> pathname".into());
    let (time, name) = match argument.strip_suffix(b" UTC") {
        Some(old) => {
            let mut words = old.rsplitn(4, |octet| *octet == b' ');
            let (_ctime, modified, _atime) = (words.next(), words.next(), words.next());
            (modified.ok_or_else(syntax)?, words.next().ok_or_else(syntax)?)
        }
        None => argument::word_and_rest(argument).ok_or_else(syntax)?,
    };
    let mut time = time.to_vec();
    if time.len() == 12 {
        time.extend_from_slice(b"00");
    }
    let (seconds, nanos) = argument::time_val(&time).ok_or_else(syntax)?;
    session.root.set_modified(&session.path(name)?, seconds, nanos)?;
    reply(200, "Time changed.")
}

/// Shows or sets the bits that new files do not get, for this session.
fn site_umask(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    if argument.is_empty() {
        return Ok(Outcome::Reply(Reply::new(200, format!("The umask is {:03o}.", session.umask))));
    }
    let umask = argument::octal_mode(argument).filter(|umask| *umask <= 0o777);
    session.umask = umask.ok_or(Refusal::Argument("SITE UMASK takes an octal mode from 000 to 777.".into()))?;
    Ok(Outcome::Reply(Reply::new(200, format!("The umask is {:03o} now.", session.umask))))
}

/// Shows or sets how long this session may be silent: no longer than the operator has it.
fn site_idle(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    if argument.is_empty() {
        let text = match session.idle_timeout {
            Some(timeout) => format!("Idle sessions are closed after {} seconds.", timeout.as_secs()),
            None => "Idle sessions are not closed.".to_owned(),
        };
        return Ok(Outcome::Reply(Reply::new(200, text)));
    }
    let longest = session.settings.idle_timeout.unwrap_or(SITE_IDLE_MAX).as_secs();
    let seconds = argument::decimal(argument).filter(|seconds| (1..=longest).contains(seconds));
    let seconds =
        seconds.ok_or_else(|| Refusal::Argument(format!("SITE IDLE takes seconds from 1 to {longest}.").into()))?;
    Ok(Outcome::Idle(Duration::from_secs(seconds), Reply::new(200, format!("Idle time is {seconds} seconds now."))))
}
