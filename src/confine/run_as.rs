//! Giving root up: which user the process becomes, and how.
//!
//! It happens once, before there is a second thread: all that follows (helpers, the log's thread) is that user's as
//! well, and there is no way back.

use std::fmt;
use std::io;

use nix::unistd::{Gid, Group, Uid, User, setgroups, setresgid, setresuid};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities,
    set_no_new_privs,
};

use super::Error;
use crate::sys::ProcessIds;

/// Who root becomes where nobody is named.
const DEFAULT: &str = "nobody";
/// The kernel's own number for nobody, where /etc/passwd has no such name.
const NOBODY: u32 = 65_534;

/// What `--run-as` says: `USER[:GROUP]`, names or numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    user: String,
    group: Option<String>,
}

impl Wanted {
    /// Reads `USER[:GROUP]`; whether there are such is another matter.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Wanted, String> {
        let (user, group) = match text.split_once(':') {
            None => (text, None),
            Some((user, group)) => (user, Some(group)),
        };
        let is_name = |name: &str| !name.is_empty() && !name.contains([':', '/', ' ']);
        if !is_name(user) || !group.is_none_or(is_name) {
            return Err("use USER or USER:GROUP, names or numbers, for example ftp, ftp:www-data or 1000:1000".into());
        }
        Ok(Wanted { user: user.to_owned(), group: group.map(str::to_owned) })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(f, ":{group}"))
    }
}

/// A user of this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As the system or the operator calls him.
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl Identity {
    /// The user `uid` with his own group; with `gid` where the system knows no such user.
    pub(super) fn of(uid: u32, gid: u32) -> Identity {
        match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => Identity { name: user.name, uid, gid: user.gid.as_raw() },
            _ => Identity { name: uid.to_string(), uid, gid },
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.name, self.uid, self.gid)
    }
}

/// As whom the server works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAs {
    /// As an ordinary user who has started it.
    Starter { uid: u32 },
    /// As root, because `--run-as` says so.
    Root,
    /// As this user, because root has started it.
    Other(Identity, Chosen),
}

/// Who has chosen the user that root becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The operator.
    ByOption,
    /// ferryd, because the operator did not.
    ByDefault,
    /// The same, because nobody may not do there what the users may: see [`RunAs::suited`].
    Instead,
}

impl fmt::Display for RunAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunAs::Starter { uid } => write!(f, "uid {uid}"),
            RunAs::Root => f.write_str("root"),
            RunAs::Other(identity, Chosen::ByOption) => identity.fmt(f),
            RunAs::Other(identity, Chosen::ByDefault) => {
                write!(f, "{identity}, since root has started it (--run-as takes another user)")
            }
            RunAs::Other(identity, Chosen::Instead) => {
                let powers = if identity.uid == 0 { " without its powers" } else { "" };
                write!(
                    f,
                    "{identity}{powers}, since root has started it and nobody may not do in the directories what the \
                     users may (--run-as takes another user)"
                )
            }
        }
    }
}

impl RunAs {
    /// What `wanted` means for a process of `started`.
    ///
    /// # Errors
    /// There is no such user or group, or only root could become it.
    pub fn decide(wanted: Option<&Wanted>, started: &ProcessIds) -> Result<RunAs, Error> {
        let root = started.uid == 0;
        let Some(wanted) = wanted else {
            return match root {
                true => Ok(RunAs::Other(nobody(), Chosen::ByDefault)),
                false => Ok(RunAs::Starter { uid: started.uid }),
            };
        };
        let identity = find(wanted)?;
        match (root, identity.uid) {
            (true, 0) if identity.gid != started.gid => {
                Err(Error::RunAs(format!("--run-as {wanted}: root keeps its group; name root alone, or another user")))
            }
            (true, 0) => Ok(RunAs::Root),
            (true, _) => Ok(RunAs::Other(identity, Chosen::ByOption)),
            (false, uid) if uid == started.uid && identity.gid == started.gid => Ok(RunAs::Starter { uid }),
            (false, _) => Err(Error::RunAs(format!(
                "--run-as {wanted}: only root can become another user, and uid {} has started ferryd; start it as \
                 root, or as that user and without --run-as",
                started.uid
            ))),
        }
    }

    /// Who it is, if it is somebody else than who has started it.
    pub fn other(&self) -> Option<&Identity> {
        match self {
            RunAs::Other(identity, _) => Some(identity),
            RunAs::Starter { .. } | RunAs::Root => None,
        }
    }
}

fn nobody() -> Identity {
    let named = User::from_name(DEFAULT).ok().flatten();
    let (uid, gid) = named.map_or((NOBODY, NOBODY), |user| (user.uid.as_raw(), user.gid.as_raw()));
    Identity { name: DEFAULT.into(), uid, gid }
}

/// A number is a number, also where somebody is called so.
fn find(wanted: &Wanted) -> Result<Identity, Error> {
    let Wanted { user, group } = wanted;
    let refuse = |why: String| Error::RunAs(format!("--run-as {wanted}: {why}"));
    let found = match user.parse::<u32>() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(user),
    };
    let found = found.map_err(|errno| refuse(format!("the user cannot be looked up: {errno}")))?;
    let uid = found.as_ref().map(|user| user.uid.as_raw()).or_else(|| user.parse().ok());
    let uid = uid.ok_or_else(|| refuse(format!("there is no user {user}; useradd --system {user} makes one")))?;
    let gid = match group.as_ref().map(|group| (group, group.parse())) {
        Some((_, Ok(gid))) => Some(gid),
        Some((group, Err(_))) => {
            let found = Group::from_name(group);
            let found = found.map_err(|errno| refuse(format!("the group cannot be looked up: {errno}")))?;
            Some(found.ok_or_else(|| refuse(format!("there is no group {group}")))?.gid.as_raw())
        }
        None => found.as_ref().map(|user| user.gid.as_raw()),
    };
    let gid = gid.ok_or_else(|| refuse(format!("user {uid} has no name here, and so no group; use {uid}:GROUP")))?;
    // The kernel takes it for "leave it as it is".
    if uid == u32::MAX || gid == u32::MAX {
        return Err(refuse(format!("{} is no user's number", u32::MAX)));
    }
    Ok(Identity { name: found.map_or_else(|| user.clone(), |user| user.name), uid, gid })
}

/// What is kept of root's powers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    /// Ports below 1024 (`CAP_NET_BIND_SERVICE`): active data connections come from port 20 where control connections
    /// go to 21 (RFC 959 section 3.3).
    LowPorts,
}

/// Becomes `identity` for good: no groups but his own, no capability but `kept`, and no program that it runs could get
/// more. Call it while there is one thread.
///
/// # Errors
/// The kernel does not let this root do so: a container may have taken the right away.
pub fn become_user(identity: &Identity, kept: Kept) -> Result<(), Error> {
    let capabilities = match kept {
        Kept::Nothing => CapabilitySet::empty(),
        Kept::LowPorts => CapabilitySet::NET_BIND_SERVICE,
    };
    give_up_root(identity, capabilities).map_err(|error| {
        let hint = "a root that may become nobody else can be told to stay: --run-as root";
        Error::RunAs(format!("cannot become {identity}: {error}; {hint}"))
    })
}

fn give_up_root(identity: &Identity, capabilities: CapabilitySet) -> io::Result<()> {
    // First, for it takes a capability (CAP_SETPCAP) that is gone afterwards.
    for capability in CapabilitySet::all().iter().filter(|capability| !capabilities.contains(*capability)) {
        match remove_capability_from_bounding_set(capability) {
            // A kernel that is older than this capability.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            // A container's root without CAP_SETPCAP; what bounds it there is the container.
            Err(rustix::io::Errno::PERM) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    set_keep_capabilities(true)?;
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let sets = CapabilitySets { effective: capabilities, permitted: capabilities, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    set_keep_capabilities(false)?;
    set_no_new_privs(true)?;
    // Other processes of that user (it may be nobody's only by name) do not read its memory, and neither does a core
    // file keep the passwords that are in it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Modes;

    fn started(uid: u32) -> ProcessIds {
        ProcessIds { uid, gid: uid, groups: Vec::new(), modes: Modes::Bind }
    }

    fn decide(text: &str, uid: u32) -> Result<RunAs, String> {
        let wanted = Wanted::parse(text).unwrap();
        RunAs::decide(Some(&wanted), &started(uid)).map_err(|error| error.to_string())
    }

    #[test]
    fn users_and_groups_are_names_or_numbers() {
        for text in ["", ":", "a:", ":b", "a:b:c", "a b", "a/b"] {
            assert!(Wanted::parse(text).unwrap_err().starts_with("use USER or USER:GROUP"), "{text:?}");
        }
        for text in ["ftp", "ftp:www-data", "1000:1000"] {
            assert_eq!(Wanted::parse(text).unwrap().to_string(), text);
        }
        let other = |uid: u32, gid| RunAs::Other(Identity { name: uid.to_string(), uid, gid }, Chosen::ByOption);
        assert_eq!(decide("4000000:4000001", 0), Ok(other(4_000_000, 4_000_001)));
        assert_eq!(decide("4000000:root", 0), Ok(other(4_000_000, 0)));
        assert!(decide("4000000", 0).unwrap_err().contains("use 4000000:GROUP"));
        assert!(decide("4294967295:1", 0).unwrap_err().contains("no user's number"));
        assert!(decide("no-such-user-x", 0).unwrap_err().contains("there is no user no-such-user-x"));
        assert!(decide("root:no-such-group-x", 0).unwrap_err().contains("there is no group no-such-group-x"));
    }

    #[test]
    fn only_root_becomes_somebody_else() {
        assert_eq!(decide("root", 0), Ok(RunAs::Root));
        assert_eq!(decide("0:0", 0), Ok(RunAs::Root));
        assert!(decide("0:4", 0).unwrap_err().contains("root keeps its group"));
        assert_eq!(decide("7777777:7777777", 7_777_777), Ok(RunAs::Starter { uid: 7_777_777 }));
        for text in ["root", "7777777:1"] {
            assert!(decide(text, 7_777_777).unwrap_err().contains("only root can become another user"), "{text}");
        }
        assert_eq!(RunAs::decide(None, &started(5)).unwrap(), RunAs::Starter { uid: 5 });
        let by_default = RunAs::decide(None, &started(0)).unwrap();
        assert!(matches!(&by_default, RunAs::Other(identity, Chosen::ByDefault) if identity.name == "nobody"));
        assert!(by_default.to_string().contains("root has started it"));
    }
}
