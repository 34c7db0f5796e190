//! The whole interpreter, as `tests/simulate/interpreter.rs` drives it, with a model of the session's state beside it.

use std::cell::RefCell;

use crate::interpreter::{World, script, session};
use crate::random::Random;

/// Beyond it a session says nothing new.
const OCTETS_MAX: usize = 8_192;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// The octets are the choices of the driver: which command, which argument, what happens meanwhile.
pub fn choices(octets: &[u8]) {
    play(octets, |octets, world| session(&mut Random::from_octets(octets), world));
}

/// The octets are lines of a client.
pub fn commands(octets: &[u8]) {
    play(octets, script);
}

fn play(octets: &[u8], session: impl Fn(&[u8], &World)) {
    WORLD.with_borrow_mut(|world| {
        let world = world.get_or_insert_with(World::new);
        session(&octets[..octets.len().min(OCTETS_MAX)], world);
    });
}
