//! FTP service commands: RFC 959 section 4.1.3.

use super::extension;
use crate::account::Right;
use crate::fs::{self, Errno, Kind, Placement, VirtualPath};
use crate::job::{Job, Receive, Representation};
use crate::limits::UNIQUE_NAME_OCTETS;
use crate::listing::{self, Fill, Listing, Selection};
use crate::protocol::argument;
use crate::protocol::command::{Answer, Command, Outcome, Run, command, reply};
use crate::protocol::reply::{Refusal, Reply, quoted};
use crate::protocol::state::{DataAddress, LoggedIn};
use crate::protocol::{Interpreter, table};
use crate::sys;

#[rustfmt::skip]
pub const TABLE: &[Command] = &[
    //       verb    syntax                        spec             FEAT  right                       run
    command("RETR", "<SP> pathname",               "RFC 959 4.1.3", None, Some(Right::Read),          Run::TransferPath(retr)),
    command("STOR", "<SP> pathname",               "RFC 959 4.1.3", None, Some(Right::StoreNew),      Run::TransferPath(stor)),
    command("STOU", "[<SP> pathname]",             "RFC 959 4.1.3", None, Some(Right::StoreNew),      Run::TransferOptional(stou)),
    command("APPE", "<SP> pathname",               "RFC 959 4.1.3", None, Some(Right::Append),        Run::TransferPath(appe)),
    command("ALLO", "<SP> size [<SP> R <SP> size]", "RFC 959 4.1.3", None, Some(Right::StoreNew),      Run::Text(allo)),
    command("RNFR", "<SP> pathname",               "RFC 959 4.1.3", None, Some(Right::Rename),        Run::Path(rnfr)),
    command("RNTO", "<SP> pathname",               "RFC 959 4.1.3", None, Some(Right::Rename),        Run::Path(rnto)),
    command("ABOR", "",                            "RFC 959 4.1.3", None, None,                       Run::Bare(abor)).answered_during_transfer(),
    command("DELE", "<SP> pathname",               "RFC 959 4.1.3", None, Some(Right::Delete),        Run::Path(dele)),
    command("RMD",  "<SP> pathname",               "RFC 959 4.1.3", None, Some(Right::Delete),        Run::Path(rmd)),
    command("XRMD", "<SP> pathname",               "RFC 775",       None, Some(Right::Delete),        Run::Path(rmd)),
    command("MKD",  "<SP> pathname",               "RFC 959 4.1.3", None, Some(Right::MakeDirectory), Run::Path(mkd)),
    command("XMKD", "<SP> pathname",               "RFC 775",       None, Some(Right::MakeDirectory), Run::Path(mkd)),
    command("PWD",  "",                            "RFC 959 4.1.3", None, None,                       Run::Bare(pwd)),
    command("XPWD", "",                            "RFC 775",       None, None,                       Run::Bare(pwd)),
    command("LIST", "[<SP> -switches] [<SP> pathname]", "RFC 959 4.1.3", None, Some(Right::List),     Run::TransferOptional(list)),
    command("NLST", "[<SP> -switches] [<SP> pathname]", "RFC 959 4.1.3", None, Some(Right::List),     Run::TransferOptional(nlst)),
    command("SITE", "<SP> command",                "RFC 959 4.1.3", None, None,                       Run::Text(extension::site)),
    command("SYST", "",                            "RFC 959 4.1.3", None, None,                       Run::Open(syst)),
    command("STAT", "[<SP> pathname]",             "RFC 959 4.1.3", None, None,                       Run::Optional(stat)).answered_during_transfer(),
    command("HELP", "[<SP> command]",              "RFC 959 4.1.3", None, None,                       Run::Open(help)),
    command("NOOP", "",                            "RFC 959 4.1.3", None, None,                       Run::Open(noop)).answered_during_transfer(),
];

/// Sends a file, from the restart position on. All that can be refused is refused before 150.
fn retr(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    let source = session.root.open_source(path)?;
    let (size, offset) = (source.facts().size, session.parameters.restart);
    if offset > size {
        return Err(Refusal::RestartPosition);
    }
    let representation = session.parameters.representation;
    let opening = match representation {
        Representation::Image => format!("Opening data connection; {} octets follow.", size - offset),
        Representation::Ascii => "Opening data connection for ASCII text.".to_owned(),
    };
    Ok(Outcome::Transfer(Reply::new(150, opening), Job::Send { path: path.clone(), source, offset, representation }))
}

/// Stores a file, over an old one where the user may; with REST, from there on.
fn stor(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    let placement = match (session.parameters.restart, session.allows(Right::Store)) {
        (0, true) => Placement::Truncate,
        (0, false) => Placement::New,
        (offset, true) => Placement::At(offset),
        // There is no old file that this user may write to.
        (_, false) => return Err(Refusal::NotAllowed),
    };
    receive(session, path, placement, b"Ready to store.".to_vec())
}

/// Appends to a file, or makes it.
fn appe(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    if !session.allows(Right::StoreNew) {
        // This user may append to what is there, and make nothing.
        session.root.facts(path)?;
    }
    receive(session, path, Placement::Append, b"Ready to append.".to_vec())
}

/// RFC 1123 section 4.1.2.9: stores under a name that is free and says it as `FILE: name`.
fn stou(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    let mut name = if argument.is_empty() { b"ferryd".to_vec() } else { argument.to_vec() };
    name.push(b'.');
    name.extend_from_slice(sys::random_name(UNIQUE_NAME_OCTETS).as_bytes());
    let path = session.path(&name)?;
    receive(session, &path, Placement::New, [b"FILE: ".as_slice(), &name].concat())
}

fn receive(session: &mut LoggedIn, path: &VirtualPath, placement: Placement, opening: Vec<u8>) -> Answer {
    if let Err(error) = session.root.may_store(path, placement) {
        return Err(match (error, placement) {
            (fs::Error::Os(Errno::EXIST), Placement::New) => {
                Refusal::Unavailable("File exists; this user may not replace it.".into())
            }
            (error, _) => error.into(),
        });
    }
    let job = Receive {
        root: session.root.clone(),
        path: path.clone(),
        placement,
        mode: session.file_mode(),
        representation: session.parameters.representation,
    };
    Ok(Outcome::Transfer(Reply::octets(150, opening), Job::Receive(Box::new(job))))
}

/// RFC 959 section 4.1.3: asks whether there is room; the space itself is not reserved.
fn allo(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    let mut words = argument.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
    let size = words.next().and_then(argument::decimal);
    let record = match words.next() {
        None => Some(0),
        Some(r) if r.eq_ignore_ascii_case(b"R") => words.next().and_then(argument::decimal),
        Some(_) => None,
    };
    let (Some(size), Some(_), None) = (size, record, words.next()) else {
        return Err(Refusal::Argument("ALLO takes a size in octets, and perhaps R and a record size.".into()));
    };
    if session.root.free_space(&session.directory)? < size {
        return reply(452, "Not enough free space for that many octets.");
    }
    reply(200, "There is room.")
}

/// Names what to rename.
fn rnfr(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    session.root.link_facts(path)?;
    session.rename = Some(path.clone());
    reply(350, "Ready for RNTO.")
}

/// Renames. Without the right to store or delete, nothing that exists is replaced.
fn rnto(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    let from = session.rename.clone().ok_or(Refusal::Sequence("Send RNFR first."))?;
    let replace = session.allows(Right::Store) || session.allows(Right::Delete);
    let renamed = session.root.rename(&from, path, replace);
    if renamed != Err(fs::Error::WouldWait) {
        session.rename = None;
    }
    renamed?;
    reply(250, "Renamed.")
}

/// Stops the transfer that runs, or closes what listens for one.
fn abor(_session: &mut LoggedIn) -> Answer {
    Ok(Outcome::Abort)
}

/// Deletes a file or a link.
fn dele(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    session.root.remove_file(path)?;
    reply(250, "File deleted.")
}

/// Removes an empty directory.
fn rmd(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    session.root.remove_directory(path)?;
    reply(250, "Directory removed.")
}

/// Makes a directory; the reply names it in full, quotes doubled (RFC 959 appendix II).
fn mkd(session: &mut LoggedIn, path: &VirtualPath) -> Answer {
    session.root.make_directory(path, 0o777 & !session.umask)?;
    Ok(Outcome::Reply(Reply::octets(257, quoted(path.normalized().as_bytes(), " created."))))
}

/// Names the working directory.
fn pwd(session: &mut LoggedIn) -> Answer {
    Ok(Outcome::Reply(Reply::octets(257, quoted(session.directory.as_bytes(), " is the working directory."))))
}

/// Sends a listing for people, in the form of `ls -l`.
fn list(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    send_listing(session, argument, listing::Style::Long)
}

/// Sends the names alone.
fn nlst(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    send_listing(session, argument, listing::Style::Names)
}

fn send_listing(session: &mut LoggedIn, argument: &[u8], style: listing::Style) -> Answer {
    let selection = select_bounded(session, argument)?;
    let listing = Listing::new(&session.root, selection, style, session.settings.format.clone())?;
    let job = Job::List { listing: Box::new(listing) };
    Ok(Outcome::Transfer(Reply::new(150, "Here comes the listing."), job))
}

/// As `select`, but for a pattern that is longer than one may be.
fn select_bounded(session: &mut LoggedIn, argument: &[u8]) -> Result<Selection, Refusal> {
    let selection = select(session, argument)?;
    if selection.is_too_long() {
        session.told.warn(session.peer, "sent a pattern that is too long");
        return Err(Refusal::PatternTooLong);
    }
    Ok(selection)
}

/// Reads `[-switches] [pathname]`. Words that begin with `-` are switches, unless a file of that name exists.
fn select(session: &LoggedIn, argument: &[u8]) -> Result<Selection, Refusal> {
    let (switches, path) = listing::split_switches(argument);
    if !switches.is_empty() && exists(session, argument)? {
        return Ok(Selection::new(session.path(argument)?, argument, b""));
    }
    let path = path.strip_suffix(b"\r").unwrap_or(path);
    let target = if path.is_empty() { session.directory.clone() } else { session.path(path)? };
    Ok(Selection::new(target, path, &switches))
}

fn exists(session: &LoggedIn, argument: &[u8]) -> Result<bool, Refusal> {
    // What is too long to be a name here may be switches all the same.
    let Ok(path) = session.path(argument) else { return Ok(false) };
    match session.root.link_facts(&path) {
        Ok(_) => Ok(true),
        Err(fs::Error::WouldWait) => Err(Refusal::WouldWait),
        Err(_) => Ok(false),
    }
}

/// Names the operating system's kind, by which clients choose how to read a LIST.
fn syst(_session: &mut Interpreter, _argument: &[u8]) -> Answer {
    reply(215, "UNIX Type: L8")
}

/// Without a pathname, the state of the session; with one, a listing over the control connection.
fn stat(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    if argument.trim_ascii().is_empty() {
        return Ok(Outcome::Status);
    }
    session.need(Right::List)?;
    let selection = select_bounded(session, argument)?;
    let kind = session.root.facts(&selection.path).map(|facts| facts.kind);
    let code = if matches!(kind, Ok(Kind::Directory) | Err(_)) { 212 } else { 213 };
    let listing = Listing::new(&session.root, selection, listing::Style::Long, session.settings.format.clone())?;
    let (lines, filled) = listing.collect_bounded(session.root.patience())?;
    if filled != Fill::End {
        session.told.warn(session.peer, "a listing was cut: STAT shows no more in one reply");
    }
    Ok(Outcome::Reply(Reply::lines(code, "Status:", lines, "End of status.")))
}

/// The reply to STAT without a pathname; `data` says what the data connection does.
pub fn status(session: &Interpreter, data: String) -> Reply {
    let mut lines = vec![format!("Connected from {}", session.peer)];
    if let Some(logged_in) = session.logged_in() {
        lines.push(format!("Logged in as {} ({})", logged_in.account.name, logged_in.account.rights));
        let representation = match logged_in.parameters.representation {
            Representation::Ascii => "ASCII, Nonprint",
            Representation::Image => "Image",
        };
        lines.push(format!("TYPE: {representation}; STRUcture: File; MODE: Stream"));
        if logged_in.parameters.data_address == DataAddress::Active {
            lines.push("The next transfer connects to the client".to_owned());
        }
    }
    lines.push(data);
    let lines = lines.into_iter().map(|line| format!("     {line}").into_bytes()).collect();
    Reply::lines(211, "ferryd status:", lines, "End of status.")
}

/// Lists the commands, or shows the grammar of one.
fn help(_session: &mut Interpreter, argument: &[u8]) -> Answer {
    let verb = argument.trim_ascii();
    if verb.is_empty() {
        let verbs: Vec<&str> = table::commands().map(|command| command.verb).collect();
        let lines = verbs.chunks(8).map(|row| {
            let row: Vec<String> = row.iter().map(|verb| format!("{verb:<5}")).collect();
            format!(" {}", row.join(" ").trim_end()).into_bytes()
        });
        return Ok(Outcome::Reply(Reply::lines(
            214,
            "These commands are understood:",
            lines.collect(),
            "End of help.",
        )));
    }
    if let Some(rest) = verb.get(..4).filter(|word| word.eq_ignore_ascii_case(b"SITE")).and(verb.get(4..))
        && (rest.is_empty() || rest.starts_with(b" "))
    {
        return Ok(Outcome::Reply(extension::site_help()));
    }
    let command = table::find(verb).ok_or(Refusal::Argument("No such command; HELP lists those that are.".into()))?;
    Ok(Outcome::Reply(Reply::new(214, format!("Syntax: {} {} ({})", command.verb, command.syntax, command.spec))))
}

/// Does nothing, and says so.
fn noop(_session: &mut Interpreter, _argument: &[u8]) -> Answer {
    reply(200, "Nothing done.")
}
