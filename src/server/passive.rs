//! The address that PASV tells (`--passive-address`): fixed, or that of a host name, which is looked up now and then.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use crate::limits::RESOLVE_EVERY;
use crate::options::PassiveAddress;

/// Where the advertised address comes from.
#[derive(Debug)]
pub enum PassiveHost {
    /// It never changes.
    Fixed,
    /// A host name, with the last address that it had and when it is looked up next; nothing: it is being looked up.
    Named { host: String, address: Option<Ipv4Addr>, next: Option<Instant> },
}

impl PassiveHost {
    /// The source that `option` names, and the address if it is known already.
    pub fn new(option: &PassiveAddress, now: Instant) -> (PassiveHost, Option<Ipv4Addr>) {
        match option {
            PassiveAddress::Fixed(IpAddr::V4(address)) => (PassiveHost::Fixed, Some(*address)),
            PassiveAddress::Local | PassiveAddress::Fixed(IpAddr::V6(_)) => (PassiveHost::Fixed, None),
            PassiveAddress::Host(host) => {
                (PassiveHost::Named { host: host.clone(), address: None, next: Some(now) }, None)
            }
        }
    }

    /// When the name is to be looked up.
    pub fn next_look(&self) -> Option<Instant> {
        match self {
            PassiveHost::Fixed => None,
            PassiveHost::Named { next, .. } => *next,
        }
    }

    /// The name, if it is to be looked up now.
    pub fn due(&mut self, now: Instant) -> Option<String> {
        match self {
            PassiveHost::Named { host, next, .. } if next.is_some_and(|next| next <= now) => {
                *next = None;
                Some(host.clone())
            }
            _ => None,
        }
    }

    /// What was found. A name that cannot be looked up keeps the address that it had.
    pub fn resolved(&mut self, found: io::Result<Vec<IpAddr>>, now: Instant) -> Option<Ipv4Addr> {
        let PassiveHost::Named { host, address, next } = self else { return None };
        *next = Some(now + RESOLVE_EVERY);
        match found.map(|found| ipv4(&found)) {
            Ok(Some(new)) if *address != Some(new) => {
                log::info!("--passive-address {host}: clients are told {new}");
                if new.is_loopback() || new.is_unspecified() {
                    log::warn!("--passive-address {host}: {new} can be reached by nobody else");
                }
                *address = Some(new);
            }
            Ok(Some(_)) => {}
            Ok(None) => log::warn!("--passive-address {host}: it has no IPv4 address, which PASV needs"),
            Err(error) => log::warn!("--passive-address {host}: {error}; clients are told {}", told(*address)),
        }
        *address
    }
}

fn told(address: Option<Ipv4Addr>) -> String {
    address.map_or_else(|| "the address that they have reached".to_owned(), |address| address.to_string())
}

fn ipv4(found: &[IpAddr]) -> Option<Ipv4Addr> {
    found.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_while_it_cannot_be_looked_up() {
        let now = Instant::now();
        let (mut host, address) = PassiveHost::new(&PassiveAddress::Host("ftp.example".into()), now);
        assert_eq!((address, host.due(now).as_deref(), host.due(now)), (None, Some("ftp.example"), None));
        let found = vec!["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        let known = Some(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(host.resolved(Ok(found), now), known);
        assert_eq!(host.due(now), None);
        assert_eq!(host.due(now + RESOLVE_EVERY).as_deref(), Some("ftp.example"));
        assert_eq!(host.resolved(Err(io::Error::other("no answer")), now), known);
    }
}
