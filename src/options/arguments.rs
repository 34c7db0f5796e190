//! The definition of each option: name, environment variable, unit, default and help. One place, read by clap.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};
use log::LevelFilter;

use super::PassiveAddress;
use super::abuse::AbuseArguments;
use super::tls::TlsArguments;
use super::value::{self, Anonymous};
use crate::confine::{Sandbox, Wanted};
use crate::fs::Symlinks;

const AFTER_HELP: &str = "\
Each option can be given in the environment, under the name in brackets; the
command line goes first, and an empty variable counts as not set. FERRYD_CHECK
and FERRYD_ATOMIC_UPLOADS are true for anything but 0, false, no and off.

RIGHTS are ro (read-only), rw (everything), upload (a drop box: may store new
files, may not read, list or overwrite), or letters of elradfmwMT: e enter
directories, l list, r read, a append, d delete, f rename, m make directories,
w store, M change modes, T change times.

Signals: SIGTERM and SIGINT stop; SIGHUP reads the users file and opens the
logs again. A directory called hash-password is served as ./hash-password.";

/// An FTP server: serves a directory, by default to anonymous users and read-only
#[derive(Debug, Parser)]
#[command(name = "ferryd", version, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true, next_line_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    /// The directory to serve
    #[arg(value_name = "DIR", env = "FERRYD_DIR", default_value = ".")]
    pub(super) directory: PathBuf,

    /// Listen here; repeatable, or several separated by commas. ":PORT" is all
    /// addresses, IPv6 and IPv4; port 0 is any free one
    /// [default: :21, or :2121 where port 21 is not allowed]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "ADDR:PORT", env = "FERRYD_LISTEN", value_delimiter = ',', value_parser = value::listen)]
    #[arg(help_heading = "Serving")]
    pub(super) listen: Vec<SocketAddr>,

    /// Symbolic links to follow: inside (those that stay beneath the user's
    /// root) or none
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "WHICH", env = "FERRYD_SYMLINKS", default_value = "inside")]
    #[arg(value_parser = value::symlinks, help_heading = "Serving")]
    pub(super) symlinks: Symlinks,

    /// Mode bits that new files and directories do not get, in octal
    #[arg(long, value_name = "BITS", env = "FERRYD_UMASK", default_value = "022", value_parser = value::umask)]
    #[arg(help_heading = "Serving")]
    pub(super) umask: u32,

    /// Show an upload (STOR, STOU) once it is whole, in one rename, and leave the
    /// old file as it is until then; REST with STOR and APPE change it in place
    #[arg(verbatim_doc_comment)]
    #[arg(long, env = "FERRYD_ATOMIC_UPLOADS", value_parser = FalseyValueParser::new())]
    #[arg(help_heading = "Serving")]
    pub(super) atomic_uploads: bool,

    /// Validate everything, say what would be served, and exit
    #[arg(long, env = "FERRYD_CHECK", value_parser = FalseyValueParser::new())]
    #[arg(help_heading = "Serving")]
    pub(super) check: bool,

    /// A user; repeatable, or several on lines of their own. The password may
    /// have anything but ':', and whoever sees the process list sees it: --users
    /// is better. DIR is the user's root, a relative one beginning at the current
    /// directory [default: the served one]; RIGHTS: see below [default: rw]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "NAME:PASSWORD[:DIR[:RIGHTS]]", env = "FERRYD_USER", value_delimiter = '\n')]
    #[arg(help_heading = "Users")]
    pub(super) user: Vec<OsString>,

    /// A file of users, one a line: name:hash, or in passwd(5) layout
    /// name:hash:uid:gid:gecos:home:shell, and an eighth field of key=value
    /// separated by spaces (rights=RIGHTS, and rate=RATE as in --rate user=).
    /// Files of htpasswd -B, ftpasswd and pure-pw read as they are;
    /// "ferryd hash-password" makes a hash. Without home: the served directory;
    /// without rights: rw [default: none]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "FILE", env = "FERRYD_USERS")]
    #[arg(help_heading = "Users")]
    pub(super) users: Option<PathBuf>,

    /// What anonymous users may do: RIGHTS or off
    /// [default: ro, or off where users are named]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "RIGHTS|off", env = "FERRYD_ANONYMOUS", value_parser = value::anonymous)]
    #[arg(help_heading = "Users")]
    pub(super) anonymous: Option<Anonymous>,

    /// Ports for passive data connections, and no others
    /// [default: any free port]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "FIRST-LAST", env = "FERRYD_PASSIVE_PORTS", value_parser = value::passive_ports)]
    #[arg(help_heading = "Data connections")]
    pub(super) passive_ports: Option<RangeInclusive<u16>>,

    /// Address or host name that clients are told to connect to, behind NAT
    /// [default: the local address of their control connection, which clients in
    /// the same private network always get]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "ADDR", env = "FERRYD_PASSIVE_ADDRESS", value_parser = value::passive_address)]
    #[arg(help_heading = "Data connections")]
    pub(super) passive_address: Option<PassiveAddress>,

    /// Time after which a data connection that moves nothing is closed, in
    /// seconds (or 90s, 15m, 1h); 0: never
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "TIME", env = "FERRYD_DATA_TIMEOUT", default_value = "300", value_parser = value::period)]
    #[arg(help_heading = "Data connections")]
    pub(super) data_timeout: Duration,

    #[command(flatten)]
    pub(super) tls: TlsArguments,

    /// The user to become once the ports and logs are open, where root starts
    /// ferryd; names or numbers. root: stay root
    /// [default: nobody where root starts ferryd, else whoever starts it]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "USER[:GROUP]", env = "FERRYD_RUN_AS", value_parser = Wanted::parse)]
    #[arg(help_heading = "Privileges")]
    pub(super) run_as: Option<Wanted>,

    /// How the process is kept to the directories of its users, its logs and its
    /// certificates (Landlock), and to the system calls that it needs (seccomp):
    /// best (as far as this kernel can), require (wholly, or ferryd does not
    /// start), or off
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "HOW", env = "FERRYD_SANDBOX", default_value = "best", value_parser = value::sandbox)]
    #[arg(help_heading = "Privileges")]
    pub(super) sandbox: Sandbox,

    /// Sessions at once; 0: as many as descriptors allow
    #[arg(long, value_name = "N", env = "FERRYD_MAX_SESSIONS", default_value = "0", value_parser = value::count)]
    #[arg(help_heading = "Limits")]
    pub(super) max_sessions: usize,

    /// Sessions at once from one address (of IPv6: from one /64); 0: no limit
    #[arg(long, value_name = "N", env = "FERRYD_MAX_SESSIONS_PER_ADDRESS", default_value = "0")]
    #[arg(value_parser = value::count, help_heading = "Limits")]
    pub(super) max_sessions_per_address: usize,

    #[command(flatten)]
    pub(super) abuse: AbuseArguments,

    /// Time after which a session without a command or transfer is closed, in
    /// seconds (or 90s, 15m, 1h), and the longest that SITE IDLE may ask for;
    /// 0: never, unless a client asks for it
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "TIME", env = "FERRYD_IDLE_TIMEOUT", default_value = "300", value_parser = value::period)]
    #[arg(help_heading = "Limits")]
    pub(super) idle_timeout: Duration,

    /// Time that logging in may take, in seconds (or 90s, 15m, 1h); 0: for ever
    #[arg(long, value_name = "TIME", env = "FERRYD_LOGIN_TIMEOUT", default_value = "60", value_parser = value::period)]
    #[arg(help_heading = "Limits")]
    pub(super) login_timeout: Duration,

    /// Time that running transfers get to finish when the server stops, in
    /// seconds (or 90s, 15m, 1h); 0: none
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "TIME", env = "FERRYD_GRACE", default_value = "30", value_parser = value::period)]
    #[arg(help_heading = "Limits")]
    pub(super) grace: Duration,

    /// Threads for what may wait (cold disks, password hashes), beside one for
    /// the log; 0: no thread at all, and one session may hold up the others
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "N", env = "FERRYD_HELPERS", default_value = "2", value_parser = value::helpers)]
    #[arg(help_heading = "Limits")]
    pub(super) helpers: usize,

    /// How much to log: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", env = "FERRYD_LOG_LEVEL", default_value = "info")]
    #[arg(value_parser = value::log_level, help_heading = "Log")]
    pub(super) log_level: LevelFilter,

    /// Log into this file [default: standard error]
    #[arg(long, value_name = "FILE", env = "FERRYD_LOG_FILE")]
    #[arg(help_heading = "Log")]
    pub(super) log_file: Option<PathBuf>,

    /// Log each transfer into this file, in xferlog format [default: none]
    #[arg(long, value_name = "FILE", env = "FERRYD_TRANSFER_LOG")]
    #[arg(help_heading = "Log")]
    pub(super) transfer_log: Option<PathBuf>,
}

/// What ferryd does beside serving.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read a password from the terminal or standard input, and print its hash for a users file
    HashPassword,
}
