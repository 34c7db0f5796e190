//! Whom root becomes where the operator names nobody: the user with the least rights who can do the work.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, User};

use super::{Chosen, Identity, RunAs};
use crate::sys::{Modes, ProcessIds};

/// What is to be done in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Read,
    /// Read, and make and remove names.
    Write,
}

/// A directory that is served, and what its users may do there.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub directory: &'a Path,
    pub used: Use,
}

impl RunAs {
    /// Where root becomes nobody only because no other user was named, and the modes of the directories do not let
    /// nobody do what their users may: the owner of the first such directory in his place, if he may do all of it. The
    /// owner may be root; it then works without its powers, as one user among others.
    #[must_use]
    pub fn suited(self, tasks: &[Task<'_>]) -> RunAs {
        let RunAs::Other(nobody, Chosen::ByDefault) = &self else { return self };
        // What is not there is told elsewhere, and nobody's task.
        let tasks: Vec<_> = tasks.iter().filter(|task| fs::metadata(task.directory).is_ok()).collect();
        let unsuited = tasks.iter().find(|task| !suits(nobody, task));
        let facts = unsuited.and_then(|task| fs::metadata(task.directory).ok());
        let owner = facts.map(|facts| identity(facts.uid(), facts.gid()));
        match owner.filter(|owner| tasks.iter().all(|task| suits(owner, task))) {
            Some(owner) => RunAs::Other(owner, Chosen::Instead),
            None => self,
        }
    }
}

fn identity(uid: u32, gid: u32) -> Identity {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => Identity { name: user.name, uid, gid: user.gid.as_raw() },
        _ => Identity { name: uid.to_string(), uid, gid },
    }
}

/// Whether the modes let `identity` do it. There may be more than modes (access lists);
/// what fails is told at the start.
fn suits(identity: &Identity, task: &Task<'_>) -> bool {
    let ids = ProcessIds { uid: identity.uid, gid: identity.gid, groups: Vec::new(), modes: Modes::Bind };
    let allowed = |path: &Path, bits| {
        fs::metadata(path).is_ok_and(|facts| ids.allowed(bits, facts.mode(), facts.uid(), facts.gid()))
    };
    let bits = match task.used {
        Use::Read => 5,
        Use::Write => 7,
    };
    // The links in its path lead through other directories.
    let Ok(directory) = fs::canonicalize(task.directory) else { return false };
    allowed(&directory, bits) && directory.ancestors().skip(1).all(|above| allowed(above, 1))
}
