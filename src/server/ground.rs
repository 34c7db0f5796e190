//! The ground on which users stand: the file systems, and how much of them the process may touch. Who logs in is let
//! into his root here.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::account::{Account, Rights};
use crate::auth::Users;
use crate::confine::{Confinement, Within};
use crate::fs::{self, Disks, Errno, Patience, Root};
use crate::limits::USERS_SHOWN_MAX;
use crate::log::Shown;

/// What all roots share; clones are the same.
#[derive(Clone, Debug)]
pub struct Ground {
    pub disks: Arc<Disks>,
    pub confinement: Arc<Confinement>,
}

/// Why nobody was logged in.
#[derive(Debug)]
pub enum NoLogin {
    /// The disk would have to be waited for.
    WouldWait(Box<Account>),
    /// It is not the user's fault, and may go well the next time.
    OutOfResources,
    /// He has shown who he is, and there is no root for him: the log was told why.
    NoRoot,
    /// He has not shown who he is.
    Refused,
}

impl Ground {
    /// An account with its root open.
    pub fn enter(&self, account: Account, patience: Patience) -> Result<(Account, Root), NoLogin> {
        match self.open(&account.root, account.rights, patience) {
            Ok((root, Within::Nothing)) => {
                drop(root);
                log::error!("{:?} cannot log in: {}", account.name, outside(&account.root));
                Err(NoLogin::NoRoot)
            }
            Ok((mut root, Within::Whole | Within::Part)) => {
                root.set_patience(Patience::CachedOnly);
                Ok((account, root))
            }
            Err(fs::Error::WouldWait) => Err(NoLogin::WouldWait(Box::new(account))),
            Err(error) => {
                log::error!("the directory {} of {:?} cannot be opened: {error}", account.root.display(), account.name);
                match error {
                    fs::Error::Os(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Err(NoLogin::OutOfResources),
                    _ => Err(NoLogin::NoRoot),
                }
            }
        }
    }

    /// A root, and how much of what may be done there is within the bounds of the process.
    fn open(&self, path: &Path, rights: Rights, patience: Patience) -> Result<(Root, Within), fs::Error> {
        let root = Root::open(path, &self.disks, patience)?;
        if self.confinement.knows(root.inode(), rights) {
            return Ok((root, Within::Whole));
        }
        // It has come since the start; that is rare.
        if patience == Patience::CachedOnly {
            return Err(fs::Error::WouldWait);
        }
        let within = self.confinement.within(&root.ancestry()?, rights);
        Ok((root, within))
    }

    /// What cannot be done for users that were read again, in words. May wait.
    pub fn outside(&self, users: &Users) -> Vec<String> {
        let mut told = Vec::new();
        for (path, rights) in users.roots() {
            match self.open(path, rights, Patience::MayWait) {
                Ok((_, Within::Nothing)) => told.push(outside(path)),
                Ok((_, Within::Part)) => told.push(format!(
                    "in {} users may now do more than at the start, and the sandbox keeps them from it: restart ferryd",
                    Shown(path.as_os_str().as_bytes())
                )),
                // That it is not there is told elsewhere.
                Ok((_, Within::Whole)) | Err(_) => {}
            }
        }
        let more = told.len().saturating_sub(USERS_SHOWN_MAX);
        told.truncate(USERS_SHOWN_MAX);
        told.extend((more > 0).then(|| format!("and {more} more directories of users like these")));
        told
    }
}

fn outside(path: &Path) -> String {
    let path = Shown(path.as_os_str().as_bytes());
    format!("{path} is outside of the sandbox, whose bounds were set at the start: restart ferryd to serve it")
}
