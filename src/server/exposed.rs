//! Files of the server's own that lie where clients can get at them.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::account::{Right, Rights};
use crate::log::Shown;
use crate::net::tls::CertificateSource;
use crate::options::Options;

/// A file, or a directory of files, that no client should get at.
struct Own<'a> {
    what: &'a str,
    path: &'a Path,
    /// Whether reading it does harm, too.
    secret: bool,
}

/// What of the server's own is in a directory that is served, in words. Ask it while root may still look everywhere.
pub fn complaints(options: &Options) -> Vec<String> {
    // What is not there is told elsewhere.
    let real = |(path, rights): (&Path, Rights)| Some((path.canonicalize().ok()?, rights));
    let mut served: BTreeMap<PathBuf, Rights> = BTreeMap::new();
    for (path, rights) in options.users.roots().into_iter().filter_map(real) {
        let all = served.entry(path).or_default();
        *all = all.union(rights);
    }
    own(options).iter().filter_map(|own| own.complaint(&served)).collect()
}

fn own(options: &Options) -> Vec<Own<'_>> {
    let mut all = Vec::new();
    let mut add = |what, path, secret| all.push(Own { what, path, secret });
    if let Some(path) = &options.accounts.file {
        add("the users file", path, true);
    }
    if let Some(tls) = &options.tls {
        match &tls.source {
            CertificateSource::Files { certificate, key } => {
                add("the TLS key", key, true);
                if certificate != key {
                    add("the TLS certificate", certificate, false);
                }
            }
            CertificateSource::SelfSigned { directory } => add("the directory of the TLS key", directory, true),
        }
        if let Some(path) = &tls.client_ca {
            add("the file of --tls-client-ca", path, false);
        }
    }
    if let Some(path) = &options.log_file {
        add("the log", path, true);
    }
    if let Some(path) = &options.transfer_log {
        add("the log of transfers", path, true);
    }
    all
}

impl Own<'_> {
    /// In which directories it is; the outermost is named.
    fn complaint(&self, served: &BTreeMap<PathBuf, Rights>) -> Option<String> {
        let places = places(self.path);
        let within = || served.iter().filter(|(root, _)| places.iter().any(|place| place.starts_with(root)));
        let (root, _) = within().next()?;
        let rights = within().fold(Rights::default(), |all, (_, rights)| all.union(*rights));
        let harm = match (self.secret && rights.allow(Right::Read), rights.change()) {
            (true, true) => "read and change",
            (true, false) => "read",
            (false, true) => "change",
            (false, false) => return None,
        };
        let (path, root) = (Shown(self.path.as_os_str().as_bytes()), Shown(root.as_os_str().as_bytes()));
        let what = self.what;
        Some(format!(
            "{what} {path} is in {root}, which is served: its users may {harm} it; keep it in a directory that is not \
             served"
        ))
    }
}

/// Where a file is: its name, in the directory that is really meant, and what that name leads to. Whoever may change
/// the one puts another in its place, and whoever may read the other has it.
fn places(path: &Path) -> Vec<PathBuf> {
    let named = path.parent().and_then(|parent| Some(parent.canonicalize().ok()?.join(path.file_name()?)));
    named.into_iter().chain(path.canonicalize()).collect()
}
