//! The user `u`, whom most tests serve, and what he has to say.

use super::{Client, Server, Tree};

/// Serves `tree` to the user `u`, who may do everything.
pub fn serve(tree: &Tree, args: &[&str]) -> Server {
    Server::start(tree.path(), &[&["--user", "u:secret"], args].concat())
}

/// A session of `u`, in TYPE I.
pub fn login(server: &Server) -> Client {
    let mut client = Client::login(server.address(), "u", "secret");
    client.expect("TYPE I", 200);
    client
}

/// Octets that look like nothing, the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut octets = vec![0; length];
    // In pieces, because an iterator of octets takes ten seconds for a hundred mebibytes without optimization.
    for piece in octets.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        piece.copy_from_slice(&state.to_le_bytes()[..piece.len()]);
    }
    octets
}
