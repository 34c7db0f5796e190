//! Certificates for the tests, and whoever signs them.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use ferryd::time::CivilTime;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};

use crate::support::Tree;

/// Somebody who signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = params(name, 0, 3_650);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// A certificate for `name`, good from `begin` to `end`, in days from today.
    pub fn sign(&self, name: &str, begin: i64, end: i64) -> Signed {
        let key = KeyPair::generate().unwrap();
        let certificate = params(name, begin, end).signed_by(&key, &self.0).unwrap();
        Signed { certificate, key }
    }
}

/// A certificate and its key.
pub struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Signed {
    pub fn certificate(&self) -> String {
        self.certificate.pem()
    }

    pub fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    pub fn key_der(&self) -> Vec<u8> {
        self.key.serialize_der()
    }

    /// Writes both as `NAME.crt` and `NAME.key`; their paths.
    pub fn write(&self, home: &Tree, name: &str) -> [String; 2] {
        home.file(format!("{name}.crt"), self.certificate()).file(format!("{name}.key"), self.key());
        ["crt", "key"].map(|end| path(home.at(format!("{name}.{end}"))))
    }
}

/// A path as an argument.
pub fn path(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

fn params(name: &str, begin: i64, end: i64) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let day = |days: i64| {
        let civil = CivilTime::from_unix(now + days * 86_400);
        date_time_ymd(civil.year as i32, civil.month, civil.day)
    };
    (params.not_before, params.not_after) = (day(begin - 1), day(end));
    params
}
