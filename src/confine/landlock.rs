//! Landlock: which files the process may touch, and how. What is not allowed here is forbidden, whatever the modes say.
//!
//! The kernel keeps rules for directories, not for names: whatever is made in one, or mounted on something in it, is
//! within; what takes the place of the directory itself is not.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};

use super::{Grants, Names};
use crate::account::{Right, Rights};
use crate::fs::{Root, Uploads};

/// Versions of Landlock whose rights are asked for: up to here they were tried.
const FILES: ABI = ABI::V5;
const PORTS: ABI = ABI::V4;
const SCOPES: ABI = ABI::V6;
/// From here on nothing that matters is missing: before it, files could be truncated that may only be read (Linux 6.2).
const COMPLETE: ABI = ABI::V3;

/// What `getaddrinfo` reads, and from where it loads code: nsswitch.conf(5).
const NAME_FILES: [&str; 5] =
    ["/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/ld.so.cache"];
const NAME_LIBRARIES: [&str; 5] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// How much of Landlock is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// All that matters, by this version of it.
    Confined(i32),
    /// By a version that lacks something.
    Partly(i32),
    /// Nothing; why.
    Free(String),
}

/// The rights of Landlock that a user's rights need. The union of two sets of rights needs the union of both.
pub(super) fn access(rights: Rights, uploads: Uploads) -> BitFlags<AccessFs> {
    const NEEDS: &[(Right, BitFlags<AccessFs>)] = &[
        (Right::List, make_bitflags!(AccessFs::{ReadDir})),
        (Right::Read, make_bitflags!(AccessFs::{ReadFile})),
        (Right::Append, make_bitflags!(AccessFs::{WriteFile | MakeReg})),
        (Right::StoreNew, make_bitflags!(AccessFs::{WriteFile | MakeReg})),
        (Right::Store, make_bitflags!(AccessFs::{WriteFile | MakeReg | Truncate})),
        (Right::Delete, make_bitflags!(AccessFs::{RemoveFile | RemoveDir})),
        (Right::MakeDirectory, make_bitflags!(AccessFs::{MakeDir})),
        (Right::Rename, RENAME),
    ];
    let needed = NEEDS.iter().filter(|(right, _)| rights.allow(*right));
    let needed = needed.fold(BitFlags::EMPTY, |all, (_, access)| all | *access);
    match uploads {
        Uploads::Atomic if rights.allow(Right::StoreNew) => needed | ATOMIC,
        Uploads::Atomic | Uploads::InPlace => needed,
    }
}

/// A whole upload gets its name by a rename, and those that have broken off are looked for and removed.
const ATOMIC: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadDir | RemoveFile});

/// To the kernel a rename removes a name and makes one. Devices keep their names.
const RENAME: BitFlags<AccessFs> = make_bitflags!(
    AccessFs::{RemoveFile | RemoveDir | MakeReg | MakeDir | MakeSym | MakeFifo | MakeSock | Refer}
);

/// Confines this thread, and those that it will start, to `grants` and to `roots`.
pub(super) fn restrict(grants: &Grants, roots: impl Iterator<Item = (Root, Rights)>, union: Rights) -> Files {
    match build(grants, roots, union) {
        Ok(files) => files,
        Err(error) => Files::Free(error.to_string()),
    }
}

fn build(grants: &Grants, roots: impl Iterator<Item = (Root, Rights)>, union: Rights) -> Result<Files, RulesetError> {
    let mut ruleset = Ruleset::default();
    if union.allow(Right::Rename) {
        // Where the kernel does not know this right (before Linux 5.19), it forbids renames between directories: better
        // no Landlock at all than a server that does not work.
        ruleset = ruleset.set_compatibility(CompatLevel::SoftRequirement).handle_access(AccessFs::Refer)?;
        ruleset = ruleset.set_compatibility(CompatLevel::BestEffort);
    }
    ruleset = ruleset.handle_access(AccessFs::from_all(FILES))?.scope(Scope::from_all(SCOPES))?;
    if grants.ports.is_some() {
        ruleset = ruleset.handle_access(AccessNet::from_all(PORTS) & AccessNet::BindTcp)?;
    }
    let mut rules = Rules(ruleset.create()?);
    for (root, rights) in roots {
        rules = rules.allow(&root, access(rights, grants.uploads))?;
    }
    for file in &grants.files {
        rules = rules.allow_beside(file, make_bitflags!(AccessFs::{ReadFile}))?;
    }
    for log in &grants.logs {
        rules = match std::fs::metadata(log) {
            // A terminal, a pipe: it is opened again, and nothing takes its place.
            Ok(facts) if !facts.is_file() => rules.allow_path(log, make_bitflags!(AccessFs::{WriteFile}))?,
            _ => rules.allow_beside(log, make_bitflags!(AccessFs::{WriteFile | MakeReg}))?,
        };
    }
    if grants.names == Names::LookedUp {
        for file in NAME_FILES {
            rules = rules.allow_beside(Path::new(file), make_bitflags!(AccessFs::{ReadFile}))?;
        }
        for directory in NAME_LIBRARIES {
            rules = rules.allow_path(Path::new(directory), make_bitflags!(AccessFs::{ReadFile}))?;
        }
    }
    let mut created = rules.0;
    for port in grants.ports.iter().flatten() {
        created = created.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    let status = created.restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::Available { effective_abi, .. }) => Files::Free(format!(
            "version {effective_abi} of Landlock, which this kernel has, would forbid renames between directories"
        )),
        (_, LandlockStatus::Available { effective_abi, .. }) if effective_abi < COMPLETE => {
            Files::Partly(effective_abi as i32)
        }
        (_, LandlockStatus::Available { effective_abi, kernel_abi }) => {
            Files::Confined(kernel_abi.unwrap_or(effective_abi as i32))
        }
        (_, LandlockStatus::NotEnabled) => Files::Free("Landlock is not switched on in this kernel".into()),
        (_, LandlockStatus::NotImplemented) => {
            Files::Free("this kernel has no Landlock, or it is not allowed here".into())
        }
    })
}

/// Rules that are being gathered.
struct Rules(RulesetCreated);

impl Rules {
    fn allow(self, at: impl std::os::fd::AsFd, access: BitFlags<AccessFs>) -> Result<Rules, RulesetError> {
        // The kernel takes no rule that allows nothing.
        match access.is_empty() {
            true => Ok(self),
            false => Ok(Rules(self.0.add_rule(PathBeneath::new(at, access))?)),
        }
    }

    /// What cannot be opened now is not allowed either.
    fn allow_path(self, path: &Path, access: BitFlags<AccessFs>) -> Result<Rules, RulesetError> {
        match PathFd::new(path) {
            Ok(at) => self.allow(at, access),
            Err(_) => Ok(self),
        }
    }

    /// Allows the directory of a file, because whoever changes a file mostly puts a new one in its place; and that of
    /// the file to which a link leads.
    fn allow_beside(mut self, path: &Path, access: BitFlags<AccessFs>) -> Result<Rules, RulesetError> {
        let target = path.canonicalize().ok();
        for path in [Some(path), target.as_deref()].into_iter().flatten() {
            self = self.allow_path(path.parent().unwrap_or(path), access)?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_need_what_their_commands_do() {
        let needs = |text: &str| access(Rights::parse(text).unwrap(), Uploads::InPlace);
        assert_eq!(needs("ro"), AccessFs::ReadDir | AccessFs::ReadFile);
        assert_eq!(needs("upload"), AccessFs::WriteFile | AccessFs::MakeReg);
        assert_eq!(needs("e"), BitFlags::EMPTY);
        let everything = AccessFs::from_all(ABI::V3) & !AccessFs::Execute & !AccessFs::MakeChar & !AccessFs::MakeBlock;
        assert_eq!(needs("rw"), everything);
        let atomic = |text: &str| access(Rights::parse(text).unwrap(), Uploads::Atomic);
        assert_eq!(atomic("upload"), needs("upload") | AccessFs::RemoveFile | AccessFs::ReadDir);
        assert_eq!((atomic("ro"), atomic("rw")), (needs("ro"), needs("rw")));
        // Modes and times are not Landlock's business.
        assert_eq!(needs("eMT"), BitFlags::EMPTY);
    }
}
