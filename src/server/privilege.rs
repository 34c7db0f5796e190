//! What the server keeps of the rights with which it was started, and what it will lack afterwards, in words.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Door;
use crate::account::Rights;
use crate::confine::{self, Confinement, Grants, Identity, Kept, Names, RunAs, Sandbox, become_user, needs};
use crate::fs::{Disks, Need, Patience, ProcessIds, Root, Setting};
use crate::limits::{FENCED_PORTS_MAX, USERS_SHOWN_MAX};
use crate::log::{Log, Shown};
use crate::net::unprivileged_port_start;
use crate::options::{Options, PassiveAddress};

/// Becomes the user of `--run-as`, now that ports, logs and keys are open.
///
/// # Errors
/// The kernel does not let this root do so.
pub fn give_up_root(options: &Options, doors: &[Door], log: &Log) -> Result<(), confine::Error> {
    let Some(identity) = options.run_as.other() else { return Ok(()) };
    log.hand_over(identity.uid);
    become_user(identity, kept(options, doors))
}

/// The port from which active data connections come is the one below the control port (RFC 959 section 3.3). Only a
/// server that listens at 21, or was told passive ports below 1024, needs low ports later.
fn kept(options: &Options, doors: &[Door]) -> Kept {
    let privileged = |port: u16| (1..unprivileged_port_start()).contains(&port);
    let mut needed = active_ports(doors).chain(options.passive_ports.as_ref().map(|ports| *ports.start()));
    if needed.any(privileged) { Kept::LowPorts } else { Kept::Nothing }
}

/// The ports from which active data connections come.
fn active_ports(doors: &[Door]) -> impl Iterator<Item = u16> {
    doors.iter().filter_map(|door| Some(door.listener.local_addr().ok()?.port().saturating_sub(1)))
}

/// Confines the process to what its users, its logs and its certificates need.
///
/// # Errors
/// `--sandbox require`, and the kernel cannot do all of it.
pub fn confine(options: &Options, doors: &[Door], disks: &Arc<Disks>) -> Result<Confinement, confine::Error> {
    let mut files: Vec<PathBuf> = options.accounts.file.iter().cloned().collect();
    if let Some(tls) = &options.tls {
        files.extend(tls.source.files());
        files.extend(tls.client_ca.clone());
    }
    let names = match options.passive_address {
        PassiveAddress::Host(_) => Names::LookedUp,
        PassiveAddress::Local | PassiveAddress::Fixed(_) => Names::Never,
    };
    let logs = [&options.log_file, &options.transfer_log].into_iter().flatten().cloned().collect();
    let (uploads, setting) = (options.uploads, setting(options));
    let grants = Grants { files, logs, names, uploads, setting, ports: ports(options, doors) };
    let roots = options.users.roots();
    let union = roots.values().fold(Rights::default(), |all, rights| all.union(*rights));
    // What is not there is told elsewhere; it stays outside.
    let open = |(path, rights)| Some((Root::open(path, disks, Patience::MayWait).ok()?, rights));
    confine::confine(options.sandbox, &grants, roots.into_iter().filter_map(open), union)
}

/// How modes and times are set. Who works under root's number, with its powers or without, owns root's files, and no
/// fence is about the modes of what is outside: there it takes a descriptor, which a fence is about. Anybody else may
/// set what he owns, also where its mode keeps him from opening it.
///
/// Ask it once root has been given up.
pub fn setting(options: &Options) -> Setting {
    let fenced = options.sandbox != Sandbox::Off;
    if fenced && ProcessIds::current().uid == 0 { Setting::ByDescriptor } else { Setting::ByName }
}

/// The ports that are bound later, where they can be listed: passive ones, and those from which active data connections
/// come, or else any that the kernel gives (0).
fn ports(options: &Options, doors: &[Door]) -> Option<Vec<u16>> {
    let passive = options.passive_ports.clone().filter(|ports| ports.len() <= FENCED_PORTS_MAX)?;
    Some(active_ports(doors).chain(passive).chain([0]).collect())
}

/// What of the process is confined, in a line.
pub fn describe(options: &Options, doors: &[Door], confinement: &Confinement) -> String {
    let low = match (options.run_as.other(), kept(options, doors)) {
        (Some(_), Kept::LowPorts) => ", and may bind ports below 1024",
        _ => "",
    };
    format!("runs as {}{low}; sandbox: {}", options.run_as, confinement.describe())
}

/// Root without its powers still owns the files of root: only a fence keeps it from them.
pub fn unfenced(options: &Options, confinement: &Confinement) -> Option<String> {
    options.run_as.other().filter(|identity| identity.uid == 0 && !confinement.fences())?;
    let what =
        "ferryd works under root's number, and nothing fences it in: whoever finds a hole in it can change root's";
    Some(format!("{what} files; take another user with --run-as, and give him the directories"))
}

/// What the user as whom the server works cannot do, though the options ask for it.
pub fn complaints(options: &Options, disks: &Arc<Disks>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, rights) in options.users.roots() {
        complaints.extend(lacking(path, rights, &options.run_as, disks));
    }
    let more = complaints.len().saturating_sub(USERS_SHOWN_MAX);
    complaints.truncate(USERS_SHOWN_MAX);
    complaints.extend((more > 0).then(|| format!("and {more} more directories of users like these")));
    if let Some(identity) = options.run_as.other() {
        complaints.extend(unreadable(options, identity));
        complaints.extend(unwritable(options, identity, disks));
    }
    complaints
}

/// What the modes of a user's root deny that his rights allow. That it is not there is told elsewhere.
fn lacking(path: &Path, rights: Rights, run_as: &RunAs, disks: &Arc<Disks>) -> Option<String> {
    let shown = Shown(path.as_os_str().as_bytes());
    let root = match Root::open(path, disks, Patience::MayWait) {
        Ok(root) => root,
        Err(crate::fs::Error::Os(crate::fs::Errno::ACCESS)) => {
            return Some(format!(
                "{} may not enter the directories above {shown}: {}",
                who(run_as),
                advice(path, "o+x")
            ));
        }
        Err(_) => return None,
    };
    let (need, error) = needs(rights).find_map(|need| Some((need, root.may(need).err()?)))?;
    let (what, mode) = match need {
        Need::Enter => ("enter", "o+x"),
        Need::List => ("list", "o+rx"),
        Need::Write => ("write in", "o+wx"),
    };
    let advice = match error {
        crate::fs::Error::Os(crate::fs::Errno::ACCESS) => format!(": {}", advice(path, mode)),
        error => format!(": {error}"),
    };
    Some(format!("{} may not {what} {shown}, which the rights of its users allow{advice}", who(run_as)))
}

fn who(run_as: &RunAs) -> String {
    match run_as {
        RunAs::Starter { uid } => format!("uid {uid}"),
        RunAs::Root => "root".to_owned(),
        RunAs::Other(identity, _) => identity.name.clone(),
    }
}

fn advice(path: &Path, mode: &str) -> String {
    let shown = Shown(path.as_os_str().as_bytes());
    format!(
        "give that user the directory (chown), open it to everybody (chmod {mode} {shown}), or take another user \
             with --run-as"
    )
}

/// Files that root has read, and that cannot be read again.
fn unreadable(options: &Options, identity: &Identity) -> Vec<String> {
    let name = &identity.name;
    let mut told = Vec::new();
    let denied = |path: &Path| File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    if let Some(path) = options.accounts.file.as_deref().filter(|path| denied(path)) {
        told.push(format!(
            "{name} may not read the users file {}: after a change of it restart ferryd, or let that user read it",
            Shown(path.as_os_str().as_bytes())
        ));
    }
    let files = options.tls.as_ref().map_or(Vec::new(), |tls| tls.files_of_others());
    if let Some(path) = files.iter().find(|path| denied(path)) {
        told.push(format!(
            "{name} may not read {}: when the certificate is renewed the old one stays in use until ferryd is \
             restarted, or let that user read it",
            Shown(path.as_os_str().as_bytes())
        ));
    }
    told
}

/// Logs that root has opened, and that cannot be opened again.
fn unwritable(options: &Options, identity: &Identity, disks: &Arc<Disks>) -> Vec<String> {
    let logs = [("--log-file", &options.log_file), ("--transfer-log", &options.transfer_log)];
    let (name, mut told) = (&identity.name, Vec::new());
    for (option, path) in logs.into_iter().filter_map(|(option, path)| Some((option, path.as_ref()?))) {
        let shown = Shown(path.as_os_str().as_bytes());
        let opened = OpenOptions::new().append(true).open(path);
        let place = path.parent().and_then(|parent| Root::open(parent, disks, Patience::MayWait).ok());
        if opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
            told.push(format!(
                "{option}: {name} may not open {shown} again after a rotation (SIGHUP): chown {name} {shown}"
            ));
        } else if place.is_none_or(|place| place.may(Need::Write).is_err()) {
            told.push(format!(
                "{option}: {name} may not make a new {shown} where a rotation has renamed the old one (SIGHUP): let \
                 the rotation make it (logrotate: create 640 {name}), or let that user write in its directory"
            ));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use mio::net::TcpListener;

    use super::*;
    use crate::options::{Request, parse};
    use crate::protocol::state::Protection;

    fn options(args: &[&str]) -> Options {
        match parse(["ferryd"].iter().chain(args).map(OsString::from)) {
            Ok(Request::Serve(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ports_that_are_bound_later_are_listed_where_they_can_be() {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let below = listener.local_addr().unwrap().port() - 1;
        let doors = [Door { listener, control: Protection::Clear }];
        let listed = |args: &[&str]| ports(&options(args), &doors);
        assert_eq!(listed(&["--passive-ports", "50000-50002"]), Some(vec![below, 50_000, 50_001, 50_002, 0]));
        assert_eq!(listed(&["--passive-ports", "50000-60000"]), None);
        assert_eq!(listed(&[]), None);
    }
}
