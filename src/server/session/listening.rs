//! PASV and EPSV: a port for the data connection, and the address that the client is told.

use std::net::IpAddr;

use super::Session;
use crate::net::{DataListener, is_private};
use crate::protocol::command::Passive;
use crate::server::context::Context;
use crate::server::data::{Data, Listening};

impl Session {
    /// Opens a passive port, or takes the one that was kept, and tells it to the interpreter.
    pub(super) fn listen(&mut self, passive: Passive, context: &Context) {
        // The old port goes back first: a range of one port is enough for one session.
        self.data = Data::None;
        match self.keeping.take().or_else(|| DataListener::new(self.local(), &context.ports)) {
            Some(listener) => {
                let mut address = self.local();
                if passive == Passive::Pasv {
                    address.set_ip(context.passive_address_for(self.local(), self.peer()));
                    self.warn_of_private(address.ip());
                }
                address.set_port(listener.port());
                self.data = Data::Listening(Listening::new(listener, context.now));
                self.interpreter.listening(Ok(address));
            }
            None => {
                log::warn!("{}: no passive port is free; --passive-ports sets the range", self.peer().ip());
                self.interpreter.listening(Err("No passive port is free; try again."));
            }
        }
    }

    /// A client from outside cannot reach an address that means something only in here.
    fn warn_of_private(&mut self, told: IpAddr) {
        let unreachable = is_private(told) && !is_private(self.peer().ip());
        if unreachable && self.told.is_first("was told to connect to a private address") {
            log::warn!("{}: was told to connect to {told}, a private address; see --passive-address", self.peer().ip());
        }
    }
}
