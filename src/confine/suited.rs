//! Whom root becomes where the operator names nobody: the user with the least rights who can do the work.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Chosen, Identity, RunAs};
use crate::account::{Right, Rights};
use crate::fs::Need;
use crate::sys::{Modes, ProcessIds};

/// What the rights of its users need of a directory, the least first.
pub fn needs(rights: Rights) -> impl Iterator<Item = Need> {
    let all = [(Need::Enter, true), (Need::List, rights.allow(Right::List)), (Need::Write, rights.change_names())];
    all.into_iter().filter(|(_, wanted)| *wanted).map(|(need, _)| need)
}

impl RunAs {
    /// Where root becomes nobody only because no other user was named, and the modes of the directories (`roots`) do
    /// not let nobody do what their users may: the owner of the first such directory in his place, if he may do all of
    /// it. The owner may be root; it then works without its powers, as one user among others.
    #[must_use]
    pub fn suited(self, roots: &BTreeMap<&Path, Rights>) -> RunAs {
        let RunAs::Other(nobody, Chosen::ByDefault) = &self else { return self };
        // What is not there is told elsewhere, and is nobody's work.
        let there = || roots.iter().filter(|(directory, _)| directory.exists());
        let Some((unsuited, _)) = there().find(|(directory, rights)| !suits(nobody, directory, **rights)) else {
            return self;
        };
        let owner = fs::metadata(unsuited).ok().map(|facts| Identity::of(facts.uid(), facts.gid()));
        match owner.filter(|owner| there().all(|(directory, rights)| suits(owner, directory, *rights))) {
            Some(owner) => RunAs::Other(owner, Chosen::Instead),
            None => self,
        }
    }
}

/// Whether the modes let `identity` do what `rights` need. There may be more than modes (access lists); what fails is
/// told at the start.
fn suits(identity: &Identity, directory: &Path, rights: Rights) -> bool {
    let ids = ProcessIds { uid: identity.uid, gid: identity.gid, groups: Vec::new(), modes: Modes::Bind };
    let allowed = |path: &Path, need: Need| {
        fs::metadata(path).is_ok_and(|facts| ids.allowed(need.bits(), facts.mode(), facts.uid(), facts.gid()))
    };
    // The links in its path lead through other directories.
    let Ok(directory) = fs::canonicalize(directory) else { return false };
    needs(rights).all(|need| allowed(&directory, need))
        && directory.ancestors().skip(1).all(|above| allowed(above, Need::Enter))
}
