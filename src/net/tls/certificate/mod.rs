//! The server's certificate and its key, and who signs those of clients: from files to what rustls takes.
//!
//! Everything here may wait for the disk.

mod pem;
mod self_signed;
mod x509;

use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::crypto::ring::{default_provider, sign};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys, RootCertStore};

use self::pem::Pem;
pub use self::pem::{CertificateError, Problem};
pub use self::x509::{Validity, common_name};
use crate::limits::EXPIRY_WARNING;
use crate::time::CivilTime;

/// Where certificate and key come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// Two files in PEM, or one that has both and is named twice. The chain is in order: the server's certificate, the
    /// one that issued it, and so on.
    Files { certificate: PathBuf, key: PathBuf },
    /// A certificate of our own making, kept in this directory.
    SelfSigned { directory: PathBuf },
}

/// A certificate chain with its key, ready to be used.
#[derive(Clone)]
pub struct Identity {
    /// For rustls.
    pub key: Arc<CertifiedKey>,
    /// SHA-256 of the server's certificate, as `openssl x509 -fingerprint -sha256` shows it: `AA:BB:…`.
    pub fingerprint: String,
    /// When the server's certificate counts.
    pub validity: Validity,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint)
    }
}

/// What files look like from outside; unequal where one of them has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<Option<[i64; 5]>>);

impl Stamp {
    /// Looks at files, through symbolic links (certbot and Kubernetes renew a certificate by changing the link).
    pub fn of(paths: &[&Path]) -> Stamp {
        let look = |path: &&Path| {
            let of = fs::metadata(path).ok()?;
            Some([of.dev().cast_signed(), of.ino().cast_signed(), of.size().cast_signed(), of.mtime(), of.mtime_nsec()])
        };
        Stamp(paths.iter().map(look).collect())
    }
}

impl CertificateSource {
    /// Reads and checks certificate and key. A self-signed one is made where there is none: ECDSA P-256, for ten years,
    /// for the name of this host, localhost, 127.0.0.1 and `::1`.
    ///
    /// Take [`CertificateSource::stamp`] *before*: what changes in between is then seen the next time.
    ///
    /// # Errors
    /// The file and what is wrong with it.
    pub fn load(&self) -> Result<Identity, CertificateError> {
        if let CertificateSource::SelfSigned { directory } = self {
            self_signed::make_unless_there(directory)?;
        }
        let [certificate, key] = self.files();
        load(&certificate, &key)
    }

    /// The same, and leaves no trace: a self-signed certificate that is not there yet is made, and not kept. It has no
    /// fingerprint that one could tell anybody, so there is none in [`Identity::fingerprint`] but words.
    ///
    /// # Errors
    /// As for [`CertificateSource::load`].
    pub fn check(&self) -> Result<Identity, CertificateError> {
        if let CertificateSource::SelfSigned { directory } = self
            && !self_signed::is_there(directory)?
        {
            let [certificate, key] = self.files();
            let (chain, private) = self_signed::make(directory)?;
            let chain = pem::parse(chain.as_bytes()).map_err(|problem| problem.of(&certificate))?;
            let private = pem::parse(private.as_bytes()).map_err(|problem| problem.of(&key))?;
            let identity = assemble(chain, private, &certificate, &key)?;
            return Ok(Identity { fingerprint: "made at the first start".into(), ..identity });
        }
        let [certificate, key] = self.files();
        load(&certificate, &key)
    }

    /// What the files look like now, to see whether they have changed.
    pub fn stamp(&self) -> Stamp {
        let [certificate, key] = self.files();
        Stamp::of(&[&certificate, &key])
    }

    /// The same, and makes nothing: a running server only reads.
    ///
    /// # Errors
    /// As for [`CertificateSource::load`].
    pub fn read_again(&self) -> Result<Identity, CertificateError> {
        let [certificate, key] = self.files();
        load(&certificate, &key)
    }

    /// Whether this process can read both files now.
    pub fn is_readable(&self) -> bool {
        self.files().iter().all(|path| fs::File::open(path).is_ok())
    }

    /// The files of the certificate and of the key.
    pub fn files(&self) -> [PathBuf; 2] {
        match self {
            CertificateSource::Files { certificate, key } => [certificate.clone(), key.clone()],
            CertificateSource::SelfSigned { directory } => self_signed::files(directory),
        }
    }
}

fn load(certificate: &Path, key: &Path) -> Result<Identity, CertificateError> {
    assemble(pem::read(certificate)?, pem::read(key)?, certificate, key)
}

/// Puts a chain and a key together; the paths are where they came from.
fn assemble(chain: Pem, keys: Pem, certificate: &Path, key: &Path) -> Result<Identity, CertificateError> {
    if chain.certificates.is_empty() {
        let swapped = chain.key.is_some() || chain.encrypted;
        let problem = if swapped { Problem::Swapped } else { Problem::NoCertificate(chain.names) };
        return Err(problem.of(certificate));
    }
    let facts = facts(&chain.certificates).map_err(|problem| problem.of(certificate))?;
    let validity = facts[0].validity;
    let Some(private) = keys.key else {
        let problem = if keys.encrypted { Problem::Encrypted } else { Problem::NoKey(keys.names) };
        return Err(problem.of(key));
    };
    let private = sign::any_supported_type(&private).map_err(|_| Problem::KeyKind.of(key))?;
    check_key(&chain.certificates, &private, certificate, key)?;
    if let Some(at) = facts.windows(2).position(|pair| pair[0].issuer != pair[1].subject) {
        return Err(Problem::Order(at + 2).of(certificate));
    }
    let fingerprint = fingerprint(&chain.certificates[0]);
    Ok(Identity { key: Arc::new(CertifiedKey::new(chain.certificates, private)), fingerprint, validity })
}

fn facts<'a>(chain: &'a [CertificateDer<'static>]) -> Result<Vec<x509::Facts<'a>>, Problem> {
    let why = |at| Problem::BadCertificate(at + 1, "it is not X.509".into());
    let read = |(at, der): (usize, &'a CertificateDer<'static>)| match x509::facts(der).ok_or_else(|| why(at))? {
        facts if facts.version != 3 && at == 0 => Err(Problem::Version(at + 1, facts.version)),
        facts => Ok(facts),
    };
    chain.iter().enumerate().map(read).collect()
}

/// Whether the key is that of the first certificate.
fn check_key(
    chain: &[CertificateDer<'static>],
    private: &Arc<dyn SigningKey>,
    certificate: &Path,
    key: &Path,
) -> Result<(), CertificateError> {
    let matches = |at: &usize| CertifiedKey::new(vec![chain[*at].clone()], private.clone()).keys_match();
    match matches(&0) {
        // rustls cannot tell for every kind of key; the first handshake will.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(Error::InconsistentKeys(_)) => match (1..chain.len()).find(|at| matches(at).is_ok()) {
            Some(at) => Err(Problem::NotFirst(at + 1).of(certificate)),
            None => Err(Problem::OtherKey { certificate: certificate.to_owned() }.of(key)),
        },
        Err(error) => Err(Problem::BadCertificate(1, error.to_string()).of(certificate)),
    }
}

fn fingerprint(certificate: &[u8]) -> String {
    let mut text = String::new();
    for octet in digest(&SHA256, certificate).as_ref() {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing into a String does not fail.
        let _ = write!(text, "{colon}{octet:02X}");
    }
    text
}

/// A warning about a certificate that does not count `now` (in seconds since 1970), or not for long.
pub fn validity_warning(validity: Validity, now: i64) -> Option<String> {
    let date = |seconds| {
        let CivilTime { year, month, day, .. } = CivilTime::from_unix(seconds);
        format!("{year:04}-{month:02}-{day:02}")
    };
    if now < validity.not_before {
        let begins = date(validity.not_before);
        return Some(format!("the TLS certificate begins on {begins}: clients will refuse it until then"));
    }
    let (left, date) = (validity.not_after.saturating_sub(now), date(validity.not_after));
    match left {
        ..0 => Some(format!("the TLS certificate expired on {date}: clients will refuse it")),
        _ if left > EXPIRY_WARNING.as_secs().cast_signed() => None,
        _ => Some(format!("the TLS certificate expires on {date} (days left: {})", left / 86_400)),
    }
}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Without one there is no handshake.
    Required,
    /// It may; one that it shows has to be good.
    Optional,
}

/// Who decides whether the certificate of a client is good: it has to be signed, directly or not, by one of those in a
/// file (`--tls-client-ca`).
///
/// # Errors
/// The file and what is wrong with it.
pub fn client_verifier(ca: &Path, presence: Presence) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let file = pem::read(ca)?;
    if file.certificates.is_empty() {
        return Err(Problem::NoCertificate(file.names).of(ca));
    }
    let mut roots = RootCertStore::empty();
    for (at, certificate) in file.certificates.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| Problem::BadCertificate(at + 1, error.to_string()).of(ca))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let builder = match presence {
        Presence::Required => builder,
        Presence::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| Problem::BadCertificate(1, error.to_string()).of(ca))
}

#[cfg(test)]
mod tests;
