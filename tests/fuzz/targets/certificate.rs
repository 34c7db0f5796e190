//! Certificates and keys as an operator's file has them: in PEM, or (first octet odd) DER that is made PEM here.

use ferryd::net::tls::{CertificateSource, Presence, client_verifier, common_name, validity_warning};

use super::{shown, with_file};

pub fn run(octets: &[u8]) {
    let Some((form, octets)) = octets.split_first() else { return };
    if form % 2 == 0 {
        return file(octets);
    }
    if let Some(name) = common_name(octets) {
        assert!(!name.is_empty() && !name.chars().any(char::is_control), "{name:?}");
        assert!(name.chars().count() <= octets.len(), "{name:?}");
        // There is one way to read it: nothing that follows the certificate changes that.
        assert_eq!(common_name(&[octets, b"more"].concat()), Some(name));
    }
    file(&pem(octets));
}

fn file(octets: &[u8]) {
    with_file("pem", octets, |path| {
        let source = CertificateSource::Files { certificate: path.clone(), key: path.clone() };
        match source.load() {
            Ok(identity) => {
                let pairs: Vec<&str> = identity.fingerprint.split(':').collect();
                let hex = |pair: &&str| pair.len() == 2 && pair.bytes().all(|octet| octet.is_ascii_hexdigit());
                assert!(pairs.len() == 32 && pairs.iter().all(hex), "{}", identity.fingerprint);
                for now in [i64::MIN, 0, identity.validity.not_before, identity.validity.not_after, i64::MAX] {
                    let warning = validity_warning(identity.validity, now);
                    let counts = identity.validity.not_before <= now && now <= identity.validity.not_after;
                    assert!(counts || warning.is_some(), "{:?} at {now}", identity.validity);
                }
            }
            Err(error) => {
                let told = error.to_string();
                assert!(told.starts_with(&format!("{}: ", path.display())), "{told}");
                let told = &told[path.as_os_str().len()..];
                assert!(!told.chars().any(char::is_control), "{}: {}", told.escape_debug(), shown(octets));
            }
        }
        // A file of certificates of which one is bad is refused as a whole; else there is at least one.
        if client_verifier(path, Presence::Optional).is_ok() {
            assert!(octets.windows(17).any(|line| line == b"BEGIN CERTIFICATE"), "{}", shown(octets));
        }
    });
}

fn pem(der: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut base64 = Vec::new();
    for chunk in der.chunks(3) {
        let number = chunk.iter().fold(0, |number, octet| number << 8 | u32::from(*octet)) << (8 * (3 - chunk.len()));
        let letters = [18, 12, 6, 0].map(|shift| LETTERS[(number >> shift) as usize & 63]);
        base64.extend_from_slice(&letters[..=chunk.len()]);
        base64.resize(base64.len() + 3 - chunk.len(), b'=');
    }
    let lines: Vec<&[u8]> = base64.chunks(64).collect();
    [b"-----BEGIN CERTIFICATE-----\n", lines.join(&b'\n').as_slice(), b"\n-----END CERTIFICATE-----\n"].concat()
}
