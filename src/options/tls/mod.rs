//! The options of TLS: what they mean together, and what is in force. `arguments` defines them.

mod arguments;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use self::arguments::SelfSigned;
pub(super) use self::arguments::TlsArguments;
use super::describe::show;
use super::{DEFAULT_PORTS, Error};
use crate::account::RequireTls;
use crate::net::tls::{self, CertificateSource, Identity, Presence, Problem, Reuse};
use crate::sys::ProcessIds;
use crate::time::CivilTime;

/// TLS, where there is a certificate for it.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Where certificate and key come from, to load them again; the paths are absolute.
    pub source: CertificateSource,
    /// Both as they were loaded at the start.
    pub identity: Identity,
    /// Where TLS begins at once (implicit); there may be none. No duplicates, none of `Options::listen`.
    pub listen: Vec<SocketAddr>,
    /// What may not go in the clear.
    pub require: RequireTls,
    /// What data connections have to show.
    pub reuse: Reuse,
    /// Certificates of whoever signs those of clients, an absolute path; nothing: clients are asked for none.
    pub client_ca: Option<PathBuf>,
    /// What a client logs in with; [`ClientLogin::Password`] if and only if `client_ca` is nothing.
    pub client_login: ClientLogin,
}

/// `--tls-client-login`: what a client logs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientLogin {
    /// The password; there are no certificates of clients.
    Password,
    /// The password, and any certificate that is good: without one there is no handshake.
    Both,
    /// The password, or a certificate whose common name is the user's name.
    Either,
    /// A certificate whose common name is the user's name: without one there is no handshake, and no password counts.
    Certificate,
}

impl ClientLogin {
    /// Whether a client has to show a certificate.
    pub fn presence(self) -> Presence {
        match self {
            ClientLogin::Both | ClientLogin::Certificate => Presence::Required,
            ClientLogin::Password | ClientLogin::Either => Presence::Optional,
        }
    }

    /// Whether a user with a certificate of his name needs no password.
    pub fn certificate_suffices(self) -> bool {
        matches!(self, ClientLogin::Either | ClientLogin::Certificate)
    }

    /// Whether a password counts.
    pub fn password_counts(self) -> bool {
        self != ClientLogin::Certificate
    }
}

/// What the options mean together; nothing: no TLS. Loads the certificate; if this is a check, without a trace.
pub(super) fn assemble(
    arguments: TlsArguments,
    listen: &[SocketAddr],
    passive: Option<&RangeInclusive<u16>>,
    check: bool,
) -> Result<Option<TlsOptions>, Error> {
    let Some(source) = source(&arguments)? else {
        return match in_vain(&arguments) {
            None => Ok(None),
            Some(option) => Err(Error::Configuration(format!(
                "{option} needs a certificate: use --tls-cert and --tls-key, or --tls self-signed"
            ))),
        };
    };
    check_ports(&arguments.tls_listen, listen, passive)?;
    let client_login = match (&arguments.tls_client_ca, arguments.tls_client_login) {
        (None, None) => ClientLogin::Password,
        (Some(_), login) => login.unwrap_or(ClientLogin::Both),
        (None, Some(_)) => return Err(Error::Configuration("--tls-client-login needs --tls-client-ca".into())),
    };
    let identity = if check { source.check() } else { source.load() };
    let identity = identity.map_err(|error| {
        let option = match &source {
            CertificateSource::SelfSigned { .. } => "--tls self-signed",
            // One file may be named twice; what is wrong with it may be about the key alone.
            CertificateSource::Files { certificate, .. }
                if error.path == *certificate && !matches!(error.problem, Problem::NoKey(..)) =>
            {
                "--tls-cert"
            }
            CertificateSource::Files { .. } => "--tls-key",
        };
        Error::System(format!("{option}: {error}"))
    })?;
    let client_ca = arguments.tls_client_ca.as_deref().map(|ca| absolute("--tls-client-ca", ca)).transpose()?;
    if let Some(ca) = &client_ca {
        let tried = tls::client_verifier(ca, client_login.presence());
        tried.map_err(|error| Error::System(format!("--tls-client-ca: {error}")))?;
    }
    Ok(Some(TlsOptions {
        source,
        identity,
        listen: arguments.tls_listen,
        require: arguments.require_tls,
        reuse: arguments.tls_reuse,
        client_ca,
        client_login,
    }))
}

fn source(arguments: &TlsArguments) -> Result<Option<CertificateSource>, Error> {
    let refuse = |why: &str| Err(Error::Configuration(why.into()));
    match (&arguments.tls_cert, &arguments.tls_key, arguments.tls) {
        (None, None, None) => Ok(None),
        (Some(certificate), Some(key), None) => {
            let (certificate, key) = (absolute("--tls-cert", certificate)?, absolute("--tls-key", key)?);
            Ok(Some(CertificateSource::Files { certificate, key }))
        }
        (None, None, Some(SelfSigned)) => {
            let root = ProcessIds::current().uid == 0;
            let place = || state_directory(|name| std::env::var_os(name), root);
            let Some(directory) = arguments.tls_state.clone().or_else(place) else {
                return refuse(
                    "--tls self-signed: HOME is not set, so there is no place to keep it: use --tls-state DIR",
                );
            };
            Ok(Some(CertificateSource::SelfSigned { directory: absolute("--tls-state", &directory)? }))
        }
        (Some(_), None, None) => refuse("--tls-cert needs --tls-key, which may be the same file if that has both"),
        (None, Some(_), None) => refuse("--tls-key needs --tls-cert, which may be the same file if that has both"),
        (_, _, Some(SelfSigned)) => refuse("--tls self-signed and a certificate of yours are two: leave one out"),
    }
}

/// An option that asks for TLS where there is none: whoever gave it must not be left in the clear.
fn in_vain(arguments: &TlsArguments) -> Option<&'static str> {
    let asked = [
        (!arguments.tls_listen.is_empty(), "--tls-listen"),
        (arguments.require_tls != RequireTls::No, "--require-tls"),
        (arguments.tls_reuse == Reuse::Require, "--tls-reuse require"),
        (arguments.tls_client_ca.is_some(), "--tls-client-ca"),
        (arguments.tls_client_login.is_some(), "--tls-client-login"),
        (arguments.tls_state.is_some(), "--tls-state"),
    ];
    asked.into_iter().find(|(asked, _)| *asked).map(|(_, option)| option)
}

/// systemd's directory for the service, then the user's (XDG Base Directory Specification), then the system's.
fn state_directory(variable: impl Fn(&str) -> Option<OsString>, root: bool) -> Option<PathBuf> {
    let variable = |name| variable(name).filter(|value| value.as_bytes().starts_with(b"/"));
    if let Some(directories) = variable("STATE_DIRECTORY") {
        // A unit may have several; the first is the service's.
        let first = directories.as_bytes().split(|&octet| octet == b':').next().unwrap_or_default();
        return Some(OsString::from_vec(first.to_vec()).into());
    }
    if let Some(state) = variable("XDG_STATE_HOME") {
        return Some(Path::new(&state).join("ferryd"));
    }
    // A user without a home has `/` there, in a container.
    match variable("HOME").filter(|home| home != "/") {
        Some(home) => Some(Path::new(&home).join(".local/state/ferryd")),
        None => Some(PathBuf::from("/var/lib/ferryd")).filter(|_| root),
    }
}

/// So that it is the same file when it is read again.
fn absolute(option: &str, path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::System(format!("{option}: {error}")))
}

/// As for `--listen`: no address twice, and none that is lent to sessions.
fn check_ports(
    implicit: &[SocketAddr],
    listen: &[SocketAddr],
    passive: Option<&RangeInclusive<u16>>,
) -> Result<(), Error> {
    for (at, address) in implicit.iter().enumerate().filter(|(_, address)| address.port() != 0) {
        let port = address.port();
        let why = if implicit[..at].contains(address) {
            "it is named twice; name it once".to_owned()
        } else if listen.contains(address) {
            "it is also that of --listen; TLS begins at once or on demand, not both".to_owned()
        } else if listen.is_empty() && DEFAULT_PORTS.contains(&port) {
            format!("port {port} is also that of the default of --listen; use another")
        } else if passive.is_some_and(|passive| passive.contains(&port)) {
            format!("port {port} is also one of --passive-ports; use another")
        } else {
            continue;
        };
        return Err(Error::Configuration(format!("--tls-listen '{address}': {why}")));
    }
    Ok(())
}

impl TlsOptions {
    /// The files that somebody else writes and may renew.
    pub fn files_of_others(&self) -> Vec<PathBuf> {
        let mut files = match &self.source {
            CertificateSource::Files { .. } => self.source.files().to_vec(),
            CertificateSource::SelfSigned { .. } => Vec::new(),
        };
        files.extend(self.client_ca.clone());
        files
    }

    /// What the log should be told at the start.
    pub(super) fn warning(&self) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs().cast_signed());
        tls::validity_warning(self.identity.validity, now)
    }

    /// A line for each thing that is in force.
    pub(super) fn describe(&self) -> Vec<String> {
        let source = match &self.source {
            CertificateSource::Files { certificate, key } => format!("{} with {}", show(certificate), show(key)),
            CertificateSource::SelfSigned { directory } => format!("self-signed, in {}", show(directory)),
        };
        let CivilTime { year, month, day, .. } = CivilTime::from_unix(self.identity.validity.not_after);
        let required = match self.require {
            RequireTls::No => "for nothing",
            RequireTls::Login => "for logging in",
            RequireTls::All => "for logging in and for data",
        };
        let reuse = match self.reuse {
            Reuse::Prefer => "preferred",
            Reuse::Require => "required",
            Reuse::Off => "not asked for",
        };
        let implicit = match &self.listen[..] {
            [] => "nowhere".to_owned(),
            addresses => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let login = match self.client_login {
            ClientLogin::Password => "a password",
            ClientLogin::Both => "a password and a certificate",
            ClientLogin::Either => "a password or a certificate of the user's name",
            ClientLogin::Certificate => "a certificate of the user's name",
        };
        let signers = self.client_ca.as_deref().map(|ca| format!(" (signed by those in {})", show(ca)));
        vec![
            format!("TLS: {source}, until {year:04}-{month:02}-{day:02}"),
            format!("  SHA-256 fingerprint: {}", self.identity.fingerprint),
            format!("  required {required}; session reuse on data connections {reuse}; implicit: {implicit}"),
            format!("  clients log in with {login}{}", signers.unwrap_or_default()),
        ]
    }
}

#[cfg(test)]
mod tests;
