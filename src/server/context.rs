//! What all sessions share: the loop's own buffer, the passive ports, the helpers, the users, the limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;

use super::admission::Bans;
use super::errand::Helpers;
use super::ground::Ground;
use super::meter::Meter;
use super::rates::Rates;
use crate::auth::Users;
use crate::limits::{DATA_OPEN_TIMEOUT, MIN_RATE_WINDOW};
use crate::log::Log;
use crate::net::tls::Authority;
use crate::net::{PortPool, is_private};
use crate::options::ClientLogin;
use crate::protocol::state::Settings;
use crate::transfer::Scratch;

/// Whether the server goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Serving,
    /// SIGTERM came: transfers may go on until then.
    Stopping(Instant),
}

/// What a transfer has to move (`--min-rate`).
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    /// How long it is watched.
    pub window: Duration,
    /// Octets within that time.
    pub octets: u64,
}

/// What the loop hands to each turn.
#[derive(Debug)]
pub struct Context {
    pub registry: Registry,
    /// The time of this round.
    pub now: Instant,
    pub phase: Phase,
    /// Octets of file data that may move in this turn.
    pub turn_octets: usize,
    pub scratch: Scratch,
    pub ports: PortPool,
    pub helpers: Helpers,
    /// Who has failed to log in too often.
    pub bans: Bans,
    pub users: Arc<Users>,
    pub ground: Ground,
    pub settings: Arc<Settings>,
    /// What TLS needs, where there is a certificate.
    pub tls: Option<Authority>,
    /// What a client certificate is good for.
    pub client_login: ClientLogin,
    /// The address that PASV tells, if not the control connection's own.
    pub passive_address: Option<Ipv4Addr>,
    /// How many commands a session may give in a second.
    pub commands: Option<Meter>,
    pub login_timeout: Option<Duration>,
    /// When the log was last told that too many logins wait.
    pub crowd_told: Option<Instant>,
    pub data_timeout: Option<Duration>,
    pub floor: Option<Floor>,
    /// How fast data may go.
    pub rates: Rates,
    pub log: Log,
}

impl Floor {
    /// `rate` octets a second, over `MIN_RATE_WINDOW` or `data_timeout`, whichever is shorter.
    pub fn new(rate: NonZeroU64, data_timeout: Option<Duration>) -> Floor {
        let window = data_timeout.map_or(MIN_RATE_WINDOW, |timeout| timeout.min(MIN_RATE_WINDOW));
        Floor { window, octets: rate.get().saturating_mul(window.as_secs()) }
    }
}

impl Context {
    /// The address that a client is told to connect to: `--passive-address`, but the control connection's own for a
    /// client in the same private network, who may not reach the other from there.
    pub fn passive_address_for(&self, local: SocketAddr, peer: SocketAddr) -> IpAddr {
        advertised(self.passive_address, local.ip(), peer.ip())
    }

    /// When a data connection that was asked for at `since` should be up.
    pub fn opens(&self, since: Instant) -> Option<Instant> {
        let timeout = self.data_timeout.map_or(DATA_OPEN_TIMEOUT, |timeout| timeout.min(DATA_OPEN_TIMEOUT));
        Some(since + timeout)
    }

    /// When a data connection that last moved at `since` has stalled.
    pub fn stalls(&self, since: Instant) -> Option<Instant> {
        self.data_timeout.map(|timeout| since + timeout)
    }
}

fn advertised(option: Option<Ipv4Addr>, local: IpAddr, peer: IpAddr) -> IpAddr {
    match option {
        Some(address) if !(is_private(peer) && is_private(local)) => IpAddr::V4(address),
        _ => local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advertised_address_is_for_clients_from_outside() {
        let told = |option: Option<&str>, local: &str, peer: &str| {
            let option = option.map(|address| address.parse().unwrap());
            advertised(option, local.parse().unwrap(), peer.parse().unwrap()).to_string()
        };
        let public = Some("203.0.113.7");
        assert_eq!(told(public, "192.168.1.2", "198.51.100.9"), "203.0.113.7");
        assert_eq!(told(public, "192.168.1.2", "192.168.1.9"), "192.168.1.2");
        assert_eq!(told(public, "203.0.113.8", "10.0.0.9"), "203.0.113.7");
        assert_eq!(told(None, "192.168.1.2", "198.51.100.9"), "192.168.1.2");
    }
}
