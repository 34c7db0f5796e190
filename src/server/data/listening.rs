//! A passive port before its command: who comes too early is met, and who has no business there is sent away.
//!
//! Many clients connect as soon as they know the port, and send the command then. Nobody needs to look at the port
//! until that comes, which is soon, and small files are the cheaper for it. But where it does not come soon, strangers
//! could fill what waits on the port, and the client would find no room: so from then on they are taken off as they
//! come. The client's own connection is kept for the command.

use std::io;
use std::time::Instant;

use super::{Stepped, Turn};
use crate::limits::STRANGERS_LOOK;
use crate::net::{DataListener, Stream};
use crate::reactor::{Part, Readiness};
use crate::server::context::Context;

/// A port that the client was told, and that no command has used.
#[derive(Debug)]
pub struct Listening {
    pub(super) listener: DataListener,
    /// The client, if he has come.
    pub(super) come: Option<Stream>,
    look: Look,
}

/// When the port is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    At(Instant),
    /// When somebody comes.
    Told,
    /// Not before the command.
    Never,
}

impl Listening {
    pub fn new(listener: DataListener, now: Instant) -> Listening {
        Listening { listener, come: None, look: Look::At(now + STRANGERS_LOOK) }
    }

    /// When to look, though nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.look {
            Look::At(at) => Some(at),
            Look::Told | Look::Never => None,
        }
    }

    pub(super) fn step(&mut self, turn: &mut Turn<'_>, context: &Context) -> Stepped {
        let due = match self.look {
            Look::At(at) => at <= context.now,
            Look::Told => turn.ready.has(Readiness::READ),
            Look::Never => false,
        };
        if !due {
            return Stepped::Nothing;
        }
        match self.listener.accept(turn.peer.ip(), |who| turn.tell_of_stranger(who)) {
            Ok(stream) => (self.come, self.look) = (Some(stream), Look::Never),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                turn.ready.clear(Readiness::READ);
                let registered = self.listener.register(&context.registry, turn.key.token(Part::Second));
                self.look = if registered.is_ok() { Look::Told } else { Look::Never };
            }
            // A crowd of strangers: there may be more of them.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Stepped::Moved,
            // The command will say what is wrong.
            Err(_) => self.look = Look::Never,
        }
        Stepped::Nothing
    }
}
