//! Files of certificates and keys in PEM (RFC 7468), and in words what is wrong with one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{error, fmt};

use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::limits::{PEM_FILE_OCTETS_MAX, PEM_LINE_SHOWN_OCTETS};

/// Why a certificate or a key cannot be used: the file, and what is wrong with it.
#[derive(Debug)]
pub struct CertificateError {
    /// The file, or the directory of the self-signed certificate.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a file of certificates or of a key. Numbers count the certificates of a file from 1.
#[derive(Debug)]
pub enum Problem {
    /// It cannot be read (or written, for a self-signed certificate).
    Io(io::Error),
    /// It is a device, a pipe or a directory: the server must be able to read it again.
    NotAFile,
    /// It is larger than [`PEM_FILE_OCTETS_MAX`].
    TooLarge,
    /// It has nothing in it.
    Empty,
    /// It is not text: DER or PKCS#12.
    Binary,
    /// It has no PEM section.
    NotPem,
    /// A section is damaged; how, in the decoder's words.
    Damaged(String),
    /// It has sections, whose names these are, and no certificate.
    NoCertificate(Vec<String>),
    /// It has sections, whose names these are, and no private key.
    NoKey(Vec<String>),
    /// Its private key is encrypted.
    Encrypted,
    /// Certificate and key are each in the other's file.
    Swapped,
    /// The key is of a kind that rustls does not have, or broken.
    KeyKind,
    /// The key belongs to another certificate than the first of this file.
    OtherKey { certificate: PathBuf },
    /// The certificate of the key is this one, and not the first.
    NotFirst(usize),
    /// This certificate did not issue the one before it.
    Order(usize),
    /// This certificate cannot be read; why, in rustls's words.
    BadCertificate(usize, String),
    /// This certificate is older than version 3.
    Version(usize, u8),
    /// A self-signed certificate is there without its key.
    KeyGone { key: PathBuf },
    /// A self-signed certificate could not be made; why, in rcgen's words.
    NotMade(String),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.problem {
            Problem::Encrypted => write!(
                f,
                "the private key is encrypted, and nobody is there to type its passphrase; decrypt it: \
                 openssl pkey -in {} -out decrypted.key",
                self.path.display()
            ),
            problem => problem.fmt(f),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Io(error) => error.fmt(f),
            Problem::NotAFile => f.write_str("it is not a file"),
            Problem::TooLarge => write!(f, "it is larger than {} KiB", PEM_FILE_OCTETS_MAX / 1024),
            Problem::Empty => f.write_str("it is empty"),
            Problem::Binary => f.write_str(
                "it is not PEM but binary, perhaps DER or PKCS#12; openssl x509 -inform der, openssl pkey -inform der \
                 or openssl pkcs12 -nodes make PEM of it",
            ),
            Problem::NotPem => f.write_str(
                "it is not PEM: it has no line like -----BEGIN CERTIFICATE----- or -----BEGIN PRIVATE KEY-----",
            ),
            Problem::Damaged(how) => write!(f, "it is damaged: {how}"),
            Problem::NoCertificate(names) => write!(f, "there is no certificate in it, only {}", names.join(", ")),
            Problem::NoKey(names) => write!(f, "there is no private key in it, only {}", names.join(", ")),
            Problem::Encrypted => f.write_str("the private key is encrypted"),
            Problem::Swapped => f.write_str("it is the private key: certificate and key are swapped"),
            Problem::KeyKind => f.write_str(
                "the private key is damaged or of a kind that is not supported: use ECDSA P-256 or P-384, RSA of 2048 \
                 to 4096 bits, or Ed25519",
            ),
            Problem::OtherKey { certificate } => {
                write!(f, "the private key does not belong to the certificate {}", certificate.display())
            }
            Problem::NotFirst(number) => {
                write!(f, "the certificate of the key is number {number} in the file; it has to be the first")
            }
            Problem::Order(number) => write!(
                f,
                "the chain is out of order: certificate {number} did not issue certificate {}; first comes the \
                 server's, then the one that issued it, and so on",
                number - 1
            ),
            Problem::BadCertificate(number, why) => write!(f, "certificate {number} cannot be read: {why}"),
            Problem::Version(number, version) => {
                write!(f, "certificate {number} is of X.509 version {version}; TLS needs version 3")
            }
            Problem::KeyGone { key } => write!(
                f,
                "its key is gone: bring back {}, or remove the certificate, and a new one with another fingerprint \
                 is made",
                key.display()
            ),
            Problem::NotMade(why) => write!(f, "no certificate could be made: {why}"),
        }
    }
}

impl error::Error for CertificateError {}

impl Problem {
    /// With the file that it is about.
    pub(super) fn of(self, path: &Path) -> CertificateError {
        CertificateError { path: path.to_owned(), problem: self }
    }
}

/// What a file has.
pub(super) struct Pem {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// The first private key that is not encrypted.
    pub(super) key: Option<PrivateKeyDer<'static>>,
    /// Whether a private key is encrypted.
    pub(super) encrypted: bool,
    /// The names of the sections, in their order.
    pub(super) names: Vec<String>,
}

/// Reads a file.
///
/// # Errors
/// Where it is no PEM file or damaged; not where it lacks something.
pub(super) fn read(path: &Path) -> Result<Pem, CertificateError> {
    octets(path).and_then(|octets| parse(&octets)).map_err(|problem| problem.of(path))
}

fn octets(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let metadata = fs::metadata(path).map_err(Problem::Io)?;
    if !metadata.is_file() {
        return Err(Problem::NotAFile);
    }
    // It may be a key: with room enough from the beginning, no copy of it stays behind.
    let room = usize::try_from(metadata.len().min(PEM_FILE_OCTETS_MAX)).unwrap_or_default() + 2;
    let mut octets = Zeroizing::new(Vec::with_capacity(room));
    let mut file = File::open(path).map_err(Problem::Io)?.take(PEM_FILE_OCTETS_MAX + 1);
    file.read_to_end(&mut octets).map_err(Problem::Io)?;
    if octets.len() as u64 > PEM_FILE_OCTETS_MAX { Err(Problem::TooLarge) } else { Ok(octets) }
}

/// Reads what a file has in it.
pub(super) fn parse(octets: &[u8]) -> Result<Pem, Problem> {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let names = names(octets);
    match octets {
        [] => return Err(Problem::Empty),
        _ if !names.is_empty() => {}
        _ if octets.contains(&0) || std::str::from_utf8(octets).is_err() => return Err(Problem::Binary),
        _ => return Err(Problem::NotPem),
    }
    // PKCS#8 has a name for it, the older form a line (RFC 1421 section 4.6.1.1).
    let encrypted = names.iter().any(|name| name == "ENCRYPTED PRIVATE KEY")
        || lines(octets).any(|line| line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED"));
    let mut pem = Pem { certificates: Vec::new(), key: None, encrypted, names };
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(octets) {
        match section {
            Ok((SectionKind::Certificate, der)) => pem.certificates.push(CertificateDer::from(der)),
            Ok((kind, der)) => pem.key = pem.key.or_else(|| PrivateKeyDer::from_pem(kind, der)),
            // The older form of encryption looks like a damaged section.
            Err(_) if encrypted => {}
            // The marker is the name alone, whatever the documentation of the crate says.
            Err(pem::Error::MissingSectionEnd { end_marker: name }) => {
                return Err(Problem::Damaged(format!("it has no line -----END {}-----", shown(&name))));
            }
            Err(pem::Error::IllegalSectionStart { line }) => {
                return Err(Problem::Damaged(format!("no section begins with {}", shown(&line))));
            }
            Err(error) => return Err(Problem::Damaged(error.to_string())),
        }
    }
    Ok(pem)
}

/// A line of the file for a message: its beginning, and nothing that moves a terminal's cursor.
fn shown(line: &[u8]) -> String {
    line[..line.len().min(PEM_LINE_SHOWN_OCTETS)].escape_ascii().to_string()
}

fn lines(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    octets.split(|&octet| octet == b'\n').map(<[u8]>::trim_ascii_end)
}

fn names(octets: &[u8]) -> Vec<String> {
    let name = |line: &[u8]| {
        let name = line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")?;
        std::str::from_utf8(name).ok().filter(|name| !name.chars().any(char::is_control)).map(str::to_owned)
    };
    lines(octets).filter_map(name).collect()
}
