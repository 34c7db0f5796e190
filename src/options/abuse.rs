//! The options that protect the server from clients that take too much: how often, how many, how slow.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use super::{Error, value};

/// What clients may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abuse {
    /// New connections in a second from one address; nothing: no limit.
    pub connections_per_second: Option<NonZeroU32>,
    /// Commands of a session in a second; nothing: no limit.
    pub commands_per_second: Option<NonZeroU32>,
    /// Failed logins, and the ban for them; nothing: nobody is banned.
    pub banning: Option<Banning>,
}

/// When an address is banned, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banning {
    /// The failed login that brings the ban, 1 at least; all of them are forgotten in `time`.
    pub failures: u32,
    /// How long the ban lasts.
    pub time: Duration,
}

/// The options as they are given.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct AbuseArguments {
    /// New connections in a second from one address (of IPv6: from one /64), and
    /// as many at once; 0: no limit
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "N", env = "FERRYD_CONNECTIONS_PER_SECOND", default_value = "0")]
    #[arg(value_parser = value::number)]
    connections_per_second: u32,

    /// Commands of one session in a second, and as many at once; those beyond wait.
    /// Clients that pipeline send thousands; 0: no limit
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "N", env = "FERRYD_COMMANDS_PER_SECOND", default_value = "0")]
    #[arg(value_parser = value::number)]
    commands_per_second: u32,

    /// Failed logins within --ban-for after which an address (of IPv6: its /64) is
    /// banned; 0: nobody is. Clients behind one NAT or proxy have one address
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "N", env = "FERRYD_BAN_AFTER", default_value = "0", value_parser = value::number)]
    ban_after: u32,

    /// How long a ban lasts, in seconds (or 90s, 15m, 1h)
    #[arg(long, value_name = "TIME", env = "FERRYD_BAN_FOR", default_value = "10m", value_parser = value::period)]
    ban_for: Duration,
}

/// What the options mean together.
pub(super) fn assemble(arguments: &AbuseArguments) -> Result<Abuse, Error> {
    if arguments.ban_after > 0 && arguments.ban_for.is_zero() {
        let why = "a ban of no time is none: use a time, for example 10m, or --ban-after 0";
        return Err(Error::Configuration(format!("--ban-for '0': {why}")));
    }
    let banning = Banning { failures: arguments.ban_after, time: arguments.ban_for };
    Ok(Abuse {
        connections_per_second: NonZeroU32::new(arguments.connections_per_second),
        commands_per_second: NonZeroU32::new(arguments.commands_per_second),
        banning: Some(banning).filter(|banning| banning.failures > 0),
    })
}

impl Abuse {
    /// A line for each thing that is in force; none where nothing is.
    pub(super) fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(most) = self.connections_per_second {
            lines.push(format!("new connections: {most} a second from one address"));
        }
        if let Some(most) = self.commands_per_second {
            lines.push(format!("commands: {most} a second in one session; those beyond wait"));
        }
        if let Some(Banning { failures, time }) = self.banning {
            lines.push(format!("bans: {} s after {failures} failed logins from one address", time.as_secs()));
        }
        lines
    }
}
