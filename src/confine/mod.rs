//! Least privilege: as whom the process works, which files it may touch, and which system calls it may use.
//!
//! `run_as` gives root up, and `suited` finds for whom, where nobody says it; `landlock` fences the files in, `seccomp`
//! lists the system calls. What is done here is done once, at the start and before there is a second thread, and
//! nothing undoes it.

mod landlock;
mod run_as;
mod suited;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod seccomp;

/// Where there are no filters.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod seccomp {
    pub(super) fn restrict(_: &super::Grants, _: super::Rights) -> Result<(), String> {
        Err(format!("there are no filters for {}", std::env::consts::ARCH))
    }
}

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use self::landlock::{Files, access};
pub use self::run_as::{Chosen, Identity, Kept, RunAs, Wanted, become_user};
pub use self::suited::needs;
use crate::account::Rights;
use crate::fs::{Root, Setting, Uploads};

/// `--sandbox`: how much of it there has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// What the kernel has.
    Best,
    /// All of it, or no server.
    Require,
    /// None.
    Off,
}

/// Why the process cannot be confined. All of these are the system's.
#[derive(Debug)]
pub enum Error {
    /// It cannot become the user that it should be.
    RunAs(String),
    /// The kernel does not have what is required; why.
    Missing(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::RunAs(text) => f.write_str(text),
            Error::Missing(why) => {
                write!(f, "--sandbox require: {why}; with --sandbox best ferryd takes what there is")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Whether host names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Never,
    LookedUp,
}

/// What the process may do beside what its users may, and no more.
#[derive(Clone, Debug)]
pub struct Grants {
    /// Files that are read again, and whatever takes their place.
    pub files: Vec<PathBuf>,
    /// Logs, which are opened again.
    pub logs: Vec<PathBuf>,
    pub names: Names,
    pub uploads: Uploads,
    pub setting: Setting,
    /// Ports that may be bound; nothing: any.
    pub ports: Option<Vec<u16>>,
}

/// A directory of the host, whatever its name: device and inode.
pub type Inode = (u64, u64);

/// How much of what somebody may do is within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    Whole,
    /// Something is denied that his rights allow.
    Part,
    Nothing,
}

/// The bounds that are in force; none where the operator wants none.
#[derive(Debug)]
pub struct Confinement(Option<Bounds>);

#[derive(Debug)]
struct Bounds {
    files: Files,
    calls: Calls,
    /// The roots of users at the start, and what may be done there.
    roots: HashMap<Inode, Rights>,
    /// What somebody or other may do.
    union: Rights,
    uploads: Uploads,
}

/// Whether system calls are filtered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Calls {
    Filtered,
    /// They are not; why.
    Free(String),
}

/// Confines the process: `roots` are those of its users, each with what one user or another may do there.
///
/// # Errors
/// With [`Sandbox::Require`], the kernel cannot do all of it.
pub fn confine(
    sandbox: Sandbox,
    grants: &Grants,
    roots: impl Iterator<Item = (Root, Rights)>,
    union: Rights,
) -> Result<Confinement, Error> {
    if sandbox == Sandbox::Off {
        return Ok(Confinement(None));
    }
    let mut known: HashMap<Inode, Rights> = HashMap::new();
    let roots = roots.inspect(|(root, rights)| {
        let allowed = known.entry(root.inode()).or_default();
        *allowed = allowed.union(*rights);
    });
    let files = landlock::restrict(grants, roots, union);
    let calls = seccomp::restrict(grants, union).map_or_else(Calls::Free, |()| Calls::Filtered);
    let missing = match (&files, &calls) {
        (Files::Free(why), _) => Some(format!("files cannot be fenced in: {why}")),
        (Files::Partly(version), _) => Some(format!(
            "this kernel has version {version} of Landlock, which cannot keep files from being truncated; version 3 \
             (Linux 6.2) can"
        )),
        (_, Calls::Free(why)) => Some(format!("system calls cannot be filtered: {why}")),
        (Files::Confined(_), Calls::Filtered) => None,
    };
    match missing {
        Some(why) if sandbox == Sandbox::Require => Err(Error::Missing(why)),
        _ => Ok(Confinement(Some(Bounds { files, calls, roots: known, union, uploads: grants.uploads }))),
    }
}

impl Bounds {
    /// How much of `rights` is within, in directories whose own bounds are `allowed`.
    fn within(&self, allowed: Rights, rights: Rights) -> Within {
        let (allowed, needed) = (access(allowed, self.uploads), access(rights, self.uploads));
        let changes = self.calls == Calls::Filtered && rights.change() && !self.union.change();
        match self.files {
            Files::Free(_) => {
                if changes {
                    Within::Part
                } else {
                    Within::Whole
                }
            }
            _ if allowed.contains(needed) && !changes => Within::Whole,
            _ if allowed.intersects(needed) || needed.is_empty() => Within::Part,
            _ => Within::Nothing,
        }
    }
}

impl Confinement {
    /// Whether files are fenced in.
    pub fn fences(&self) -> bool {
        self.0.as_ref().is_some_and(|bounds| !matches!(bounds.files, Files::Free(_)))
    }

    /// Whether a root is known to be within, for all that `rights` allow.
    pub fn knows(&self, root: Inode, rights: Rights) -> bool {
        let Some(bounds) = &self.0 else { return true };
        let allowed = bounds.roots.get(&root).copied().unwrap_or_default();
        bounds.within(allowed, rights) == Within::Whole
    }

    /// How much of `rights` is within the bounds in a directory with these above it; it is the first of them itself.
    pub fn within(&self, ancestry: &[Inode], rights: Rights) -> Within {
        let Some(bounds) = &self.0 else { return Within::Whole };
        let allowed = ancestry.iter().filter_map(|inode| bounds.roots.get(inode));
        bounds.within(allowed.fold(Rights::default(), |all, rights| all.union(*rights)), rights)
    }

    /// What is in force, in words.
    pub fn describe(&self) -> String {
        let Some(Bounds { files, calls, .. }) = &self.0 else { return "off".to_owned() };
        let files = match files {
            Files::Confined(version) => format!("files by Landlock (version {version})"),
            Files::Partly(version) => {
                format!("files by Landlock (version {version}, which lets files be truncated that may only be read)")
            }
            Files::Free(why) => format!("files not fenced in ({why})"),
        };
        match calls {
            Calls::Filtered => format!("{files}, system calls by seccomp"),
            Calls::Free(why) => format!("{files}, system calls not filtered ({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confinement(files: Files, roots: &[(u64, &str)]) -> Confinement {
        let roots: HashMap<Inode, Rights> =
            roots.iter().map(|(inode, rights)| ((1, *inode), Rights::parse(rights).unwrap())).collect();
        let union = roots.values().fold(Rights::default(), |all, rights| all.union(*rights));
        Confinement(Some(Bounds { files, calls: Calls::Filtered, roots, union, uploads: Uploads::InPlace }))
    }

    #[test]
    fn what_is_above_counts_too() {
        let fence = confinement(Files::Confined(7), &[(1, "ro"), (2, "upload")]);
        let within = |ancestry: &[u64], rights| {
            let ancestry: Vec<Inode> = ancestry.iter().map(|inode| (1, *inode)).collect();
            fence.within(&ancestry, Rights::parse(rights).unwrap())
        };
        assert_eq!(within(&[1], "ro"), Within::Whole);
        assert_eq!(within(&[9, 8, 1, 0], "elr"), Within::Whole);
        assert_eq!(within(&[9, 1, 0], "rw"), Within::Part);
        assert_eq!(within(&[2, 1], "upload"), Within::Whole);
        assert_eq!(within(&[2, 1, 0], "elra"), Within::Whole);
        assert_eq!(within(&[2], "ro"), Within::Nothing);
        assert_eq!(within(&[0], "ro"), Within::Nothing);
        let ro = Rights::READ_ONLY;
        assert!(fence.knows((1, 1), ro) && !fence.knows((1, 2), ro) && !fence.knows((2, 1), ro));
        let free = confinement(Files::Free("x".into()), &[]);
        assert!(free.knows((1, 1), ro) && free.within(&[], ro) == Within::Whole);
        // Modes and times are a matter of system calls, which a server that only reads does not have.
        let reader = confinement(Files::Confined(7), &[(1, "ro")]);
        let modes = Rights::parse("elrM").unwrap();
        assert_eq!(reader.within(&[(1, 1)], modes), Within::Part);
        assert!(!reader.knows((1, 1), modes) && free.within(&[], modes) == Within::Part);
        assert_eq!(fence.within(&[(1, 1)], modes), Within::Whole);
    }
}
