//! What neighbours in a directory have in common (mode, owners), made into text once for as long as they have.

use crate::fs::Facts;

/// The text of the last entry's shared facts.
#[derive(Debug, Default)]
pub(super) struct Memo {
    shared: Option<Shared>,
    text: [Vec<u8>; 2],
}

/// What has to be equal for the text to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shared {
    letter: u8,
    mode: u32,
    uid: u32,
    gid: u32,
    device: u64,
}

impl Memo {
    /// The two pieces of text for `facts`, of `make` where the last entry was another kind of entry. One memo serves
    /// one form of line, and one directory.
    pub fn pieces(&mut self, facts: &Facts, make: impl FnOnce(&mut [Vec<u8>; 2])) -> &[Vec<u8>; 2] {
        let &Facts { mode, uid, gid, device, .. } = facts;
        let shared = Some(Shared { letter: facts.kind_letter(), mode, uid, gid, device });
        if self.shared != shared {
            self.shared = shared;
            self.text.iter_mut().for_each(Vec::clear);
            make(&mut self.text);
        }
        &self.text
    }
}
