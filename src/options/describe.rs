//! What is in force, in words: for `--check` and the start of the log.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::{DEFAULT_PORTS, Options, PassiveAddress, TlsOptions};
use crate::fs::{Symlinks, Uploads};
use crate::log::Shown;

impl Options {
    /// A line for each thing that is in force; no passwords.
    pub fn describe(&self) -> Vec<String> {
        let [first, second] = DEFAULT_PORTS;
        let listen = match &self.listen[..] {
            [] => format!("[::]:{first}, or [::]:{second} where that is not allowed"),
            addresses => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let ports = match &self.passive_ports {
            None => "any free port".into(),
            Some(ports) => format!("ports {} to {}", ports.start(), ports.end()),
        };
        let address = match &self.passive_address {
            PassiveAddress::Local => "the local address of the control connection".into(),
            PassiveAddress::Fixed(address) => address.to_string(),
            PassiveAddress::Host(name) => format!("the address of {name}"),
        };
        let symlinks = match self.symlinks {
            Symlinks::Inside => "followed inside the root",
            Symlinks::None => "not followed",
        };
        let uploads = match self.uploads {
            Uploads::InPlace => "",
            Uploads::Atomic => "; uploads are seen when they are whole",
        };
        let mut lines = vec![
            format!("directory: {}", show(&self.directory)),
            format!("listening: {listen}"),
            format!("logins: {}", self.users.summary()),
        ];
        lines.extend(self.users.describe().into_iter().map(|line| format!("  {line}")));
        lines.extend(self.tls.as_ref().map_or(vec!["TLS: none".into()], TlsOptions::describe));
        lines.extend([
            format!("passive data connections: {address}, {ports}"),
            format!("symbolic links: {symlinks}; umask {:03o}; helpers: {}{uploads}", self.umask, self.helpers),
            format!(
                "sessions: {}; from one address: {}",
                count(self.max_sessions, "as many as descriptors allow"),
                count(self.max_sessions_per_address, "no limit"),
            ),
            format!(
                "timeouts: idle {}, login {}, data {}; grace {} s",
                seconds(self.idle_timeout),
                seconds(self.login_timeout),
                seconds(self.data_timeout),
                self.grace.as_secs(),
            ),
            format!(
                "log: {}, level {}; transfers: {}",
                self.log_file.as_deref().map_or("standard error".into(), show),
                self.log_level.as_str().to_ascii_lowercase(),
                self.transfer_log.as_deref().map_or("not logged".into(), show),
            ),
        ]);
        lines.extend(self.abuse.describe());
        lines
    }
}

pub(super) fn show(path: &Path) -> String {
    Shown(path.as_os_str().as_bytes()).to_string()
}

fn count(limit: Option<usize>, none: &str) -> String {
    limit.map_or(none.into(), |limit| limit.to_string())
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or("never".into(), |time| format!("{} s", time.as_secs()))
}
