//! Logins that wait for a hash: apart from the errands of those who are logged in, and each address in its turn.
//!
//! A hash takes a processor for a hundredth of a second, and nobody needs a password to ask for one. So a crowd of
//! logins must not take the place of what others wait for, nor the crowd of one address that of another's login.

use std::collections::{HashMap, VecDeque};

use super::errand::Errand;
use crate::limits::{LOGINS_WAITING_MAX, LOGINS_WAITING_PER_ADDRESS_MAX};
use crate::net::Network;
use crate::reactor::Key;

/// Who waits.
#[derive(Debug, Default)]
pub struct Logins {
    by_network: HashMap<Network, VecDeque<(Key, Errand)>>,
    /// Whose turn it is; each network with logins once.
    turns: VecDeque<Network>,
    count: usize,
}

impl Logins {
    pub fn len(&self) -> usize {
        self.count
    }

    /// Takes a login of `network`.
    ///
    /// # Errors
    /// It comes back where too many wait already, of all or of this network.
    pub fn push(&mut self, network: Network, key: Key, errand: Errand) -> Result<(), Errand> {
        let of_network = self.by_network.get(&network).map_or(0, VecDeque::len);
        if self.count >= LOGINS_WAITING_MAX || of_network >= LOGINS_WAITING_PER_ADDRESS_MAX {
            return Err(errand);
        }
        if of_network == 0 {
            self.turns.push_back(network);
        }
        self.by_network.entry(network).or_default().push_back((key, errand));
        self.count += 1;
        Ok(())
    }

    /// The next one: of each network in its turn the oldest.
    pub fn pop(&mut self) -> Option<(Key, Errand)> {
        let network = self.turns.pop_front()?;
        let waiting = self.by_network.get_mut(&network)?;
        let next = waiting.pop_front()?;
        self.count -= 1;
        if waiting.is_empty() {
            self.by_network.remove(&network);
        } else {
            self.turns.push_back(network);
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn network(number: u8) -> Network {
        Network::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)))
    }

    fn login(name: &str) -> Errand {
        Errand::Resolve(name.into())
    }

    fn name(next: Option<(Key, Errand)>) -> Option<String> {
        next.map(|(_, errand)| match errand {
            Errand::Resolve(name) => name,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn each_address_has_its_turn() {
        let mut logins = Logins::default();
        for number in 0..LOGINS_WAITING_PER_ADDRESS_MAX {
            logins.push(network(1), Key::NOBODY, login(&format!("crowd {number}"))).unwrap();
        }
        assert!(logins.push(network(1), Key::NOBODY, login("one too many")).is_err());
        for who in ["a", "b"] {
            logins.push(network(2), Key::NOBODY, login(who)).unwrap();
        }
        let order: Vec<_> = (0..5).filter_map(|_| name(logins.pop())).collect();
        assert_eq!(order, ["crowd 0", "a", "crowd 1", "b", "crowd 2"]);
        logins.push(network(3), Key::NOBODY, login("c")).unwrap();
        assert_eq!([name(logins.pop()), name(logins.pop())].map(Option::unwrap), ["crowd 3", "c"]);
        while logins.pop().is_some() {}
        assert!(logins.len() == 0 && logins.by_network.is_empty() && logins.turns.is_empty());
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let mut logins = Logins::default();
        for number in 0..LOGINS_WAITING_MAX {
            logins.push(network((number % 200) as u8), Key::NOBODY, login("x")).unwrap();
        }
        assert!(logins.push(network(201), Key::NOBODY, login("x")).is_err());
        logins.pop();
        assert!(logins.push(network(201), Key::NOBODY, login("x")).is_ok());
        assert_eq!(logins.len(), LOGINS_WAITING_MAX);
    }
}
