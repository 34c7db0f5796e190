//! The options that protect the server from clients that take too much: how often, how many, how slow.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use clap::Args;

use super::{Error, value};
use crate::account::{self, Rate};

/// What clients may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abuse {
    /// New connections in a second from one address; nothing: no limit.
    pub connections_per_second: Option<NonZeroU32>,
    /// Commands of a session in a second; nothing: no limit.
    pub commands_per_second: Option<NonZeroU32>,
    /// Failed logins, and the ban for them; nothing: nobody is banned.
    pub banning: Option<Banning>,
    /// How fast data may go.
    pub rates: Rates,
    /// Octets a second below which a transfer is ended; nothing: it may be as slow as it likes.
    pub min_rate: Option<NonZeroU64>,
}

/// How fast data may go; each is a bound of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rates {
    /// All sessions together.
    pub server: Rate,
    /// All sessions of one user together, where his line in the users file says nothing else.
    pub user: Rate,
    /// One session.
    pub session: Rate,
}

/// Whose rate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Server,
    User,
    Session,
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

    /// Octets of data in a second, with K, M or G for 1024, 1024K or 1024M; RATE is
    /// for both ways, or DOWN/UP. Without WHOSE for the whole server; session=RATE
    /// is for each session, user=RATE for all sessions of one user (rate=RATE in
    /// the users file goes before it). Repeatable, or several separated by commas
    /// [default: no limit]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "[WHOSE=]RATE", env = "FERRYD_RATE", value_delimiter = ',', value_parser = rate)]
    rate: Vec<(Scope, Rate)>,

    /// End a transfer that moves fewer octets a second (with K, M or G), measured
    /// over 30 s, or over --data-timeout where that is shorter; 0: none
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "OCTETS", env = "FERRYD_MIN_RATE", default_value = "0", value_parser = min_rate)]
    min_rate: MinRate,

    /// Failed logins after which an address (of IPv6: its /64) is banned; 0: nobody
    /// is. They are forgotten one by one, so many of them in --ban-for. Clients
    /// behind one NAT or proxy have one address
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "N", env = "FERRYD_BAN_AFTER", default_value = "0", value_parser = value::number)]
    ban_after: u32,

    /// How long a ban lasts, in seconds (or 90s, 15m, 1h)
    #[arg(long, value_name = "TIME", env = "FERRYD_BAN_FOR", default_value = "10m", value_parser = value::period)]
    ban_for: Duration,
}

/// What `--min-rate` says. Not an `Option`, which clap would take for an option that may be absent.
#[derive(Clone, Copy, Debug)]
struct MinRate(Option<NonZeroU64>);

/// `[server=]RATE`, `user=RATE` or `session=RATE`.
fn rate(text: &str) -> Result<(Scope, Rate), String> {
    let (scope, rate) = match text.split_once('=') {
        None | Some(("server", _)) => (Scope::Server, text.strip_prefix("server=").unwrap_or(text)),
        Some(("user", rate)) => (Scope::User, rate),
        Some(("session", rate)) => (Scope::Session, rate),
        Some((whose, _)) => return Err(format!("'{whose}' has no rate: use session=, user= or server=")),
    };
    Ok((scope, Rate::parse(rate)?))
}

fn min_rate(text: &str) -> Result<MinRate, String> {
    account::octets(text).map(MinRate)
}

/// The rates, each of which may be named once.
fn rates(given: &[(Scope, Rate)]) -> Result<Rates, Error> {
    let of = |wanted: Scope| {
        let mut all = given.iter().filter(|(scope, _)| *scope == wanted).map(|(_, rate)| *rate);
        match (all.next(), all.next()) {
            (first, None) => Ok(first.unwrap_or_default()),
            (_, Some(rate)) => Err(Error::Configuration(format!(
                "--rate: {rate} is the second rate of the {}; name one",
                format!("{wanted:?}").to_lowercase()
            ))),
        }
    };
    Ok(Rates { server: of(Scope::Server)?, user: of(Scope::User)?, session: of(Scope::Session)? })
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
        rates: rates(&arguments.rate)?,
        min_rate: arguments.min_rate.0,
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
        let Rates { server, user, session } = self.rates;
        let rates = [("of the server", server), ("of each user", user), ("of each session", session)];
        let limited = rates.iter().filter(|(_, rate)| *rate != Rate::default());
        lines.extend(limited.map(|(whose, rate)| format!("octets a second {whose}: {rate}")));
        if let Some(least) = self.min_rate {
            lines.push(format!("transfers slower than {least} octets a second are ended"));
        }
        if let Some(Banning { failures, time }) = self.banning {
            lines.push(format!("bans: {} s after {failures} failed logins from one address", time.as_secs()));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_rates() {
        let parse = |text: &str| Rate::parse(text).unwrap();
        assert_eq!(rate("10M"), Ok((Scope::Server, parse("10M"))));
        assert_eq!(rate("server=10M/1M"), Ok((Scope::Server, parse("10M/1M"))));
        assert_eq!(rate("user=5M"), Ok((Scope::User, parse("5M"))));
        assert_eq!(rate("session=0/64K"), Ok((Scope::Session, parse("0/64K"))));
        for text in ["", "=", "session", "session=", "sessions=1M", "user=fast", "10MB", "user=1M=2M"] {
            assert!(rate(text).unwrap_err().contains("use "), "{text}");
        }
        let given = [(Scope::User, parse("5M")), (Scope::Server, parse("50M"))];
        let expected = Rates { server: parse("50M"), user: parse("5M"), session: Rate::default() };
        assert_eq!(rates(&given), Ok(expected));
        let twice = rates(&[given[0], given[1], (Scope::User, parse("6M"))]).unwrap_err().to_string();
        assert_eq!(twice, "--rate: 6M each way is the second rate of the user; name one");
    }
}
