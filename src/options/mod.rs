//! Command line and environment to [`Options`]: plain data that is known to be right.
//!
//! `arguments` defines each option once, `value` reads what they say; here is what they mean together.

mod abuse;
mod arguments;
mod describe;
mod tls;
mod value;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};
use log::LevelFilter;

pub use self::abuse::{Abuse, Banning, Rates};
use self::arguments::{Arguments, Command};
pub use self::tls::{ClientLogin, TlsOptions};
use self::value::{Anonymous, User};
use crate::account::{Account, Rights};
use crate::auth::{Accounts, Named, Users};
use crate::confine::{RunAs, Sandbox};
use crate::fs::{Symlinks, Uploads};
use crate::log::{Settings, Shown};
use crate::sys::ProcessIds;

/// Where the server listens if nobody says: the first of these that it may.
pub const DEFAULT_PORTS: [u16; 2] = [21, 2121];

/// What to serve, to whom and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory that is served: an absolute path (not canonical) that was a directory.
    pub directory: PathBuf,
    /// Where to listen; empty: all addresses at the first of [`DEFAULT_PORTS`] that is allowed. No duplicates; port 0
    /// leaves the choice to the kernel.
    pub listen: Vec<SocketAddr>,
    /// Where users come from, to load them again.
    pub accounts: Accounts,
    /// The users as they were loaded at the start; not empty.
    pub users: Users,
    /// What the log should be told about users and the certificate.
    pub warnings: Vec<String>,
    /// The ports for passive data connections; nothing: the kernel chooses. Never 0, none of `listen`.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// What clients are told to connect to.
    pub passive_address: PassiveAddress,
    /// TLS; nothing: there is none.
    pub tls: Option<TlsOptions>,
    /// As whom to serve.
    pub run_as: RunAs,
    /// How far the process is to be confined.
    pub sandbox: Sandbox,
    /// Sessions at once; nothing: as many as descriptors allow.
    pub max_sessions: Option<usize>,
    /// Sessions at once from one address; nothing: no limit.
    pub max_sessions_per_address: Option<usize>,
    /// What clients may not do.
    pub abuse: Abuse,
    /// How long a session may be idle; nothing: for ever.
    pub idle_timeout: Option<Duration>,
    /// How long logging in may take; nothing: for ever.
    pub login_timeout: Option<Duration>,
    /// How long a data connection may stall; nothing: for ever.
    pub data_timeout: Option<Duration>,
    /// How long transfers may go on after SIGTERM.
    pub grace: Duration,
    /// Mode bits that new files do not get, at most 0o777.
    pub umask: u32,
    /// Symbolic links that are followed.
    pub symlinks: Symlinks,
    /// When uploads can be seen.
    pub uploads: Uploads,
    /// Threads for what may wait, at most [`crate::limits::HELPERS_MAX`].
    pub helpers: usize,
    /// Messages to log.
    pub log_level: LevelFilter,
    /// Where to log; nothing: standard error.
    pub log_file: Option<PathBuf>,
    /// Where to log transfers; nothing: nowhere.
    pub transfer_log: Option<PathBuf>,
    /// Only say what would be done.
    pub check: bool,
}

impl Options {
    /// What the log has to know.
    pub fn log(&self) -> Settings<'_> {
        Settings {
            level: self.log_level,
            file: self.log_file.as_deref(),
            transfers: self.transfer_log.as_deref(),
            check: self.check,
        }
    }
}

/// The address that passive clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassiveAddress {
    /// The local address of the control connection.
    Local,
    /// This one.
    Fixed(IpAddr),
    /// Whatever this name resolves to (looked up again now and then).
    Host(String),
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// To serve, or to check what would be.
    Serve(Box<Options>),
    /// To make a hash (`auth::ask`).
    HashPassword,
    /// To show this text on standard output: the help or the version.
    Show(String),
}

/// Why the command line cannot be followed.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// It is wrong; the text names the option, the value and what would be right.
    Configuration(String),
    /// It is right, and the system does not have what it asks for.
    System(String),
}

impl Error {
    /// What the program exits with: 1 for the system's faults, 2 for those of the configuration.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::System(_) => 1,
            Error::Configuration(_) => 2,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Configuration(text) | Error::System(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

/// Reads the command line, whose first word is the program's name, and the environment. Looks at the directories and
/// reads the users file and the certificate.
///
/// # Errors
/// See [`Error`]; none shows a password.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, Error> {
    let parsed = command().try_get_matches_from(args);
    let arguments = match parsed.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => return Ok(Request::Show(error.render().to_string())),
        Err(error) => return Err(Error::Configuration(explain(error))),
    };
    match arguments.command {
        Some(Command::HashPassword) => Ok(Request::HashPassword),
        None => {
            let mut options = assemble(arguments)?;
            options.warnings.extend(unknown_variables());
            Ok(Request::Serve(Box::new(options)))
        }
    }
}

/// A misspelt variable has no effect, which somebody should be told.
fn unknown_variables() -> Vec<String> {
    let command = Arguments::command();
    let known = |name: &OsStr| command.get_arguments().any(|arg| arg.get_env() == Some(name));
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_bytes().starts_with(b"FERRYD_"));
    let unknown = ours.filter(|name| !known(name)).map(|name| Shown(name.as_bytes()).to_string());
    unknown.map(|name| format!("the variable {name} means nothing to ferryd; --help has those that do")).collect()
}

/// clap's command with our rules for the environment: values are not shown in the help (passwords), and an empty
/// variable is as good as none.
fn command() -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    Arguments::command().mut_args(|arg| {
        let empty = arg.get_env().is_some_and(is_empty);
        let arg = arg.hide_env_values(true);
        if empty { arg.env(None::<&str>) } else { arg }
    })
}

/// clap's text without its "error: ", which the caller has in his own words. A stray word gets a text of ours: clap
/// takes it for a subcommand, and it may hold a password.
fn explain(error: clap::Error) -> String {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => Some(ContextKind::InvalidArg),
        ErrorKind::ArgumentConflict | ErrorKind::InvalidSubcommand => Some(ContextKind::InvalidSubcommand),
        _ => None,
    };
    if let Some(ContextValue::String(word)) = kind.and_then(|kind| error.get(kind))
        && !word.starts_with('-')
    {
        let word = if word.contains(':') { "...:..." } else { word };
        return format!("unexpected argument '{word}': name one DIR, or hash-password alone; try '--help'");
    }
    let text = error.render().to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

fn assemble(arguments: Arguments) -> Result<Options, Error> {
    check_ports(&arguments.listen, arguments.passive_ports.as_ref())?;
    let run_as = RunAs::decide(arguments.run_as.as_ref(), &ProcessIds::current())
        .map_err(|error| Error::System(error.to_string()))?;
    let directory = existing(&arguments.directory).map_err(|why| {
        Error::System(format!("cannot serve {}: {why}", Shown(arguments.directory.as_os_str().as_bytes())))
    })?;
    let accounts = accounts(&arguments, &directory)?;
    let (users, mut warnings) = accounts.load().map_err(|error| match error.exit_code() {
        1 => Error::System(format!("--users: {error}")),
        _ => Error::Configuration(format!("--users: {error:#}")),
    })?;
    if users.is_empty() {
        let why = "--anonymous is off and no user is named or all are locked, so nobody could log in";
        return Err(Error::Configuration(format!("{why}: use --user, --users or --anonymous RIGHTS")));
    }
    let run_as = run_as.suited(&users.roots());
    let abuse = abuse::assemble(&arguments.abuse)?;
    let tls = tls::assemble(arguments.tls, &arguments.listen, arguments.passive_ports.as_ref(), arguments.check)?;
    warnings.extend(tls.as_ref().and_then(TlsOptions::warning));
    let root = "ferryd keeps root's rights for as long as it runs: whoever finds a hole in it has the machine";
    warnings.extend((run_as == RunAs::Root).then(|| format!("--run-as root: {root}")));
    let unless_zero = |time: Duration| Some(time).filter(|time| !time.is_zero());
    Ok(Options {
        directory,
        listen: arguments.listen,
        accounts,
        users,
        warnings,
        passive_ports: arguments.passive_ports,
        passive_address: arguments.passive_address.unwrap_or(PassiveAddress::Local),
        tls,
        run_as,
        sandbox: arguments.sandbox,
        max_sessions: Some(arguments.max_sessions).filter(|&count| count > 0),
        max_sessions_per_address: Some(arguments.max_sessions_per_address).filter(|&count| count > 0),
        abuse,
        idle_timeout: unless_zero(arguments.idle_timeout),
        login_timeout: unless_zero(arguments.login_timeout),
        data_timeout: unless_zero(arguments.data_timeout),
        grace: arguments.grace,
        umask: arguments.umask,
        symlinks: arguments.symlinks,
        uploads: if arguments.atomic_uploads { Uploads::Atomic } else { Uploads::InPlace },
        helpers: arguments.helpers,
        log_level: arguments.log_level,
        log_file: arguments.log_file,
        transfer_log: arguments.transfer_log,
        check: arguments.check,
    })
}

/// An address twice cannot be bound; a port that is listened on cannot be lent to a session.
fn check_ports(listen: &[SocketAddr], passive: Option<&RangeInclusive<u16>>) -> Result<(), Error> {
    for (at, address) in listen.iter().enumerate() {
        if address.port() != 0 && listen[..at].contains(address) {
            return Err(Error::Configuration(format!("--listen '{address}': it is named twice; name it once")));
        }
    }
    let Some(passive) = passive else { return Ok(()) };
    let ports: Vec<u16> = match listen {
        [] => DEFAULT_PORTS.to_vec(),
        _ => listen.iter().map(SocketAddr::port).collect(),
    };
    match ports.iter().find(|port| passive.contains(port)) {
        None => Ok(()),
        Some(port) => {
            let range = format!("'{}-{}'", passive.start(), passive.end());
            let source = if listen.is_empty() { "the default of --listen" } else { "--listen" };
            Err(Error::Configuration(format!(
                "--passive-ports {range}: port {port} is also that of {source}; use ports without it"
            )))
        }
    }
}

/// The absolute form of a path to a directory that is there.
fn existing(directory: &Path) -> Result<PathBuf, String> {
    match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => std::path::absolute(directory).map_err(|error| error.to_string()),
        Ok(_) => Err("it is not a directory".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn accounts(arguments: &Arguments, directory: &Path) -> Result<Accounts, Error> {
    let mut named: Vec<Named> = Vec::new();
    // The variable may end with a line end, and its lines may be indented.
    let lines = arguments.user.iter().map(|line| OsStr::from_bytes(line.as_bytes().trim_ascii_start()));
    for line in lines.filter(|line| !line.is_empty()) {
        let user = User::parse(line).map_err(Error::Configuration)?;
        if named.iter().any(|other| other.account.name == user.name) {
            let why = "the user is named twice; name him once";
            return Err(Error::Configuration(format!("--user '{}:...': {why}", user.name)));
        }
        named.push(name(user, directory)?);
    }
    let anonymous = match arguments.anonymous {
        Some(Anonymous::Off) => None,
        Some(Anonymous::May(rights)) => Some(rights),
        None => Some(Rights::READ_ONLY).filter(|_| named.is_empty() && arguments.users.is_none()),
    };
    // Absolute, so that it is the same file when it is read again.
    let absolute =
        |path: &PathBuf| std::path::absolute(path).map_err(|error| Error::System(format!("--users: {error}")));
    let file = arguments.users.as_ref().map(absolute).transpose()?;
    Ok(Accounts { directory: directory.to_owned(), anonymous, named, file })
}

fn name(user: User, served: &Path) -> Result<Named, Error> {
    let User { name, password, directory, rights } = user;
    let root = match directory {
        None => served.to_owned(),
        Some(directory) => existing(&directory).map_err(|why| {
            let octets = directory.as_os_str().as_bytes();
            // Otherwise it may be the tail of a password with a ':' in it.
            let shown = octets.starts_with(b"/") || octets.starts_with(b".");
            let what = if shown { format!("directory {}", Shown(octets)) } else { "directory (third field)".into() };
            let hint = if shown { "" } else { " (a password with a ':' needs --users)" };
            Error::System(format!("--user '{name}:...': {what}: {why}{hint}"))
        })?,
    };
    Ok(Named { account: Account { name, rights, root, rate: None, anonymous: false }, password })
}

#[cfg(test)]
mod tests;
