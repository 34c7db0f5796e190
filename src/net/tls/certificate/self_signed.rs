//! The certificate of `--tls self-signed`: made once, then kept, so that clients which know its fingerprint know the
//! server.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use super::pem::{CertificateError, Problem};
use crate::sys;
use crate::time::CivilTime;

/// 2026-01-01. A clock that says less is not set (a router starts in 1970, and asks for the time later); a certificate
/// that ends ten years after *that* would be of no use.
const CLOCK_FLOOR: i64 = 1_767_225_600;
const DAY: i64 = 86_400;
const LIFE: i64 = 3_650 * DAY;

/// The files of the certificate and of its key.
pub(super) fn files(directory: &Path) -> [PathBuf; 2] {
    [directory.join("self-signed.crt"), directory.join("self-signed.key")]
}

/// Makes directory, key and certificate, unless both files are there.
///
/// Of several servers that start at once, one makes them: the directory is locked meanwhile.
pub(super) fn make_unless_there(directory: &Path) -> Result<(), CertificateError> {
    let io = |error| Problem::Io(error).of(directory);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    let lock = File::open(directory).map_err(io)?;
    // Some network file systems lock no directories: then there is no lock.
    let _ = flock(&lock, FlockOperation::LockExclusive);
    if is_there(directory)? {
        return Ok(());
    }
    let [certificate, key] = files(directory);
    if certificate.exists() {
        return Err(Problem::KeyGone { key }.of(&certificate));
    }
    let (certificate_pem, key_pem) = make(directory)?;
    // The certificate comes last: where it is, its key is.
    write(&key, key_pem.as_bytes(), 0o600).map_err(|error| Problem::Io(error).of(&key))?;
    write(&certificate, certificate_pem.as_bytes(), 0o644).map_err(|error| Problem::Io(error).of(&certificate))
}

/// Whether both files are there.
pub(super) fn is_there(directory: &Path) -> Result<bool, CertificateError> {
    for path in files(directory) {
        if !path.try_exists().map_err(|error| Problem::Io(error).of(&path))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Certificate and key in PEM, for `directory`, which is not touched.
pub(super) fn make(directory: &Path) -> Result<(String, Zeroizing<String>), CertificateError> {
    generate().map_err(|error| Problem::NotMade(error.to_string()).of(directory))
}

/// ECDSA P-256, whose handshake costs a fifth of RSA's.
fn generate() -> Result<(String, Zeroizing<String>), rcgen::Error> {
    let host = host_name();
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    if let Some(host) = host.as_ref().filter(|host| *host != "localhost") {
        names.insert(0, host.clone());
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host.as_deref().unwrap_or("localhost"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs().cast_signed());
    let now = now.max(CLOCK_FLOOR);
    let date = |seconds| {
        let CivilTime { year, month, day, .. } = CivilTime::from_unix(seconds);
        // X.509 ends with the year 9999.
        date_time_ymd(i32::try_from(year).unwrap_or(i32::MAX).min(9_999), month, day)
    };
    // A day before: a client's clock may be behind.
    params.not_before = date(now - DAY);
    params.not_after = date(now + LIFE);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok((params.self_signed(&key)?.pem(), Zeroizing::new(key.serialize_pem())))
}

/// The name of this host, if it may stand in a certificate (RFC 1123 section 2.1; a common name has 64 characters).
fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_ascii_lowercase();
    let is_label = |label: &str| {
        let letters = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        letters && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    Some(name).filter(|name| name.len() <= 64 && name.split('.').all(is_label))
}

/// Writes a file under another name, then gives it its own: it is there whole or not at all.
fn write(path: &Path, octets: &[u8], mode: u32) -> io::Result<()> {
    let temporary = path.with_extension(sys::random_name(12));
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).and_then(|mut file| {
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written
}
