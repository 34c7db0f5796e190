//! Addresses: what they mean, whatever form they come in.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An IPv4 client of a dual-stack listener comes as `::ffff:a.b.c.d`; it is an IPv4 client all the same.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(ip) => SocketAddr::new(IpAddr::V4(ip), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// What counts as one client: an IPv4 address, or the /64 of an IPv6 address. Whoever has one IPv6 address has all 2^64
/// of its network (RFC 4291 section 2.5.4), and could come from another each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network of `ip`.
    pub fn of(ip: IpAddr) -> Network {
        Network(match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

/// Whether an address means nothing outside of its own network (RFC 1918, RFC 4193, RFC 3927, loopback).
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        for (given, meant) in
            [("[::ffff:192.0.2.1]:5", "192.0.2.1:5"), ("[::1]:5", "[::1]:5"), ("1.2.3.4:5", "1.2.3.4:5")]
        {
            assert_eq!(canonical(given.parse().unwrap()), meant.parse().unwrap());
        }
    }

    #[test]
    fn networks() {
        for (ip, network) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(Network::of(ip.parse().unwrap()).to_string(), network);
        }
    }

    #[test]
    fn private_networks() {
        for ip in ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "::1", "fd00::1", "fe80::1"] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "172.32.0.1", "2001:db8::1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
