//! Certificates and keys that are right, and each way in which they can be wrong.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::*;

/// A THROW-AWAY key and its certificate, until 2126, for this test alone. Made once with
/// `openssl req -x509 -newkey rsa:2048 -nodes`, because ring makes no RSA keys.
const RSA_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIDNzCCAh+gAwIBAgIUExHwFrmhZNerCLzSssXAILJ2mR4wDQYJKoZIhvcNAQEL
BQAwKjELMAkGA1UEBhMCWFgxGzAZBgNVBAMMEnRocm93LWF3YXkuZXhhbXBsZTAg
Fw0yNjExMjQxNTQzNDdaGA8yMTI2MTAzMTE1NDM0N1owKjELMAkGA1UEBhMCWFgx
GzAZBgNVBAMMEnRocm93LWF3YXkuZXhhbXBsZTCCASIwDQYJKoZIhvcNAQEBBQAD
ggEPADCCAQoCggEBALLkJ8Mz0Us6MP+WpdjvqQfOixA9goqaTK71Su01uJwGqEhj
LDFw9EBjV00hkqhDZyd5/kubskOX0QhQa4MA3GLEzYFmipBoRnX9/qNhmFcOTMDC
NmoWqu7FbD8E0bFX0mh1ydfrijiNzHA4uJWKjUeaVZkWLPo3NydTLRoDkJM+6dof
vVv00RfNYy96VJBH9033VmcSZdStlw+cLDz/zfKKO+RHunCn/x4wAh9yGDI0GrLW
8hp9XjK7+gkN2yedD47rpHtjx49ihCWOQY/ogPS4NVHzUgBaEyC9IzJKRozkClOL
JebXtI5sUclk1KgLCmV+dXLJ6BVJt8F1S3BgKBECAwEAAaNTMFEwHQYDVR0OBBYE
FC1BXrfojgno7dwGhJa6mtw+mLnKMB8GA1UdIwQYMBaAFC1BXrfojgno7dwGhJa6
mtw+mLnKMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBAH+24XSq
YxDsgh+4iRZPomJqRDKYkBHfEtcAvT+ooMzUuPzRCi69za9c1WMab4bObEx9tvjo
J24JMpNNCFymvkhP+TtMzd7YelfH90KZ8MRZE0khuKqf3G3NgeqOWq0X7pvbAdhf
4hzP/ra3k3RWYIfIMHjpOKDUZ80HiLGsSDoR+ZsNyXHV7yATd3KH3hHtXzGIh/jo
G2rOQbtBR74+CTxp6Nq+OZO/z47deqsDUBCvjHuOp2jMgHLu7oG/OQiFk84V7ydj
TSWmB6RikfUnuGBArBpscqeNMG1YqaJsfIICvbHKHpcKCHpm/ZRb530zHltkaukg
KfxutFCHIQnrbVQ=
-----END CERTIFICATE-----
";
const RSA_FINGERPRINT: &str = "9E:4D:DE:38:10:88:60:37:AA:2E:F4:30:2D:70:39:C0:\
    D5:06:F8:CC:20:10:E7:01:45:40:58:E5:FE:72:87:BB";
/// Its key, in the older form (PKCS#1).
const RSA_KEY: &str = "-----BEGIN RSA PRIVATE KEY-----
MIIEpAIBAAKCAQEAsuQnwzPRSzow/5al2O+pB86LED2CippMrvVK7TW4nAaoSGMs
MXD0QGNXTSGSqENnJ3n+S5uyQ5fRCFBrgwDcYsTNgWaKkGhGdf3+o2GYVw5MwMI2
ahaq7sVsPwTRsVfSaHXJ1+uKOI3McDi4lYqNR5pVmRYs+jc3J1MtGgOQkz7p2h+9
W/TRF81jL3pUkEf3TfdWZxJl1K2XD5wsPP/N8oo75Ee6cKf/HjACH3IYMjQastby
Gn1eMrv6CQ3bJ50Pjuuke2PHj2KEJY5Bj+iA9Lg1UfNSAFoTIL0jMkpGjOQKU4sl
5te0jmxRyWTUqAsKZX51csnoFUm3wXVLcGAoEQIDAQABAoIBAAURSoEQmDax1M6A
tX0COP8UHkNdArQrb82q/C7hDTQ6Sg0W5hsWcIzcY443S8DBfAwVvBrnM7MPe2fp
Y0pIPXX8zjeCsJ0rnwdbpRl6u8aHjKwPNFxn/PqblBfq6ofEDZ1Q7OFVdkpo1eg9
6xitXpgvKoqWIrsJ0mGmTQpGHJPXMbNvRu9919rTjWMYIX4EsYPtkIVkn8gXl67X
vA5W1t/nR3JTVAuKl/h5kp6dgEFZaXzYMINDMF0pVzL/j5uY22xfpBojBRv7QB9m
mVPSKOjTTiBTRQ5uXZ5xdIH0CagDV7akCl/ixSOm8I1Jnytgj2QHqenpKg5tpXiF
mMLJeBsCgYEA7/37zLT6jwj1UhgKkb0Nhgiicw+xgrsEmCptW2Th9id5JNJmutmP
ytn5N6SCxhcvr3tm4WJ6Etn7FD81acxfL/o/HsO6HBWrcET54ejev07rz6zVjudT
GdhuMqn5L/bKoeKAABF4b0u4QxT3SI6ae3IDCnhV93P+CURVQw41D4sCgYEAvtLV
6PZMDOBi9yW0w9a4DySAeDQgZcs3Q6TviVYHMuhZF2ZwW2BmhrextdbTEgFqNP0n
NURuE2HlLtNTBA3ACtj90GroclF4LwWBLMfbzlX/SVvXCfKQyrNfbLfz7QEa5MFU
6z0eCxR/feKHi9LgE95O0SW9phXtCAcUIofIGlMCgYAIOYYVn+YuXLo7lANYt0ft
XgJjOxh0SICBzoJs7WopC3VFY8iNgsNAynOWCpdIvqattubxtnREjR/js77a31wr
wsHDBiYsrDlx4YtGyLpJiCTguyWefiME8bvlFJoroKOVJLQKTI76EXhBJEjNPcXh
kSi1hSY9EsaT/rmFUMlUvQKBgQCPoALu8Ap3mqACYzf2OvOYOiIT1zAXTegPmuHL
3ZtXfrgnu6uPqzQf67zvH30ITVZSAcRz/EhZgFJOdzJBl9PWllIbf4vrF1S9F4iN
WvQfDm0yGtT0oMTIPE/zdVU8KpvCV52B3SNytX/sEQdyf0q2yZlLI/vlORWJ+EH4
Z3h+DwKBgQCYNRh3GK0/sGjnxUTymd1ho45Kt9NiZLejMUysikzH6lj095V0ER+S
w0Y9uZIZ35yUojRlKaqLtz2kB5Pv6WPJjcTt2z769H9rFSRyXT/EqT7DhnS7hDfI
I9pXIIGgK64Q+kB2c8l8I5ldOoUo7OI/H7+S90ZFhQr3VmmDRQXceQ==
-----END RSA PRIVATE KEY-----
";
/// A THROW-AWAY key of a kind that rustls does not have: `openssl genpkey -algorithm ed448`.
const ED448_KEY: &str = "-----BEGIN PRIVATE KEY-----
MEcCAQAwBQYDK2VxBDsEOWEFNrlR3HcMdLGZ76rqdwXxj5rkJC5fSqaSnOUHQq10
3Qq8jeu8lifgWIKulKmARaIC/IskN3yrTQ==
-----END PRIVATE KEY-----
";

/// A directory that goes away with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ferryd-certificate-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn file(&self, name: &str, octets: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, octets).unwrap();
        path
    }

    /// Loads a certificate and a key that are given as octets.
    fn load(&self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Identity, String> {
        let source = CertificateSource::Files { certificate: self.file("c", certificate), key: self.file("k", key) };
        source.load().map_err(|error| error.to_string().replace(&format!("{}/", self.0.display()), ""))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A certificate in PEM with its key: issued by `issuer`, else by itself.
fn made(name: &str, is_ca: IsCa, issuer: Option<&Issuer<'_, KeyPair>>) -> (String, KeyPair, CertificateParams) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = is_ca;
    params.not_after = date_time_ymd(2040, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        None => params.self_signed(&key).unwrap(),
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
    };
    (certificate.pem(), key, params)
}

/// A server's certificate, the one that issued it, and the server's key.
fn chain() -> (String, String, String) {
    let (ca, ca_key, ca_params) = made("the issuer", IsCa::Ca(BasicConstraints::Unconstrained), None);
    let (server, key, _) = made("the server", IsCa::NoCa, Some(&Issuer::new(ca_params, ca_key)));
    (server, ca, key.serialize_pem())
}

#[test]
fn what_can_be_used() {
    let scratch = Scratch::new();
    let (server, ca, key) = chain();
    let identity = scratch.load(format!("{server}{ca}"), &key).unwrap();
    assert_eq!((identity.key.cert.len(), identity.validity.not_after), (2, 2_208_988_800));
    let alone =
        scratch.load(&server, format!("-----BEGIN EC PARAMETERS-----\nBg==\n-----END EC PARAMETERS-----\n{key}"));
    assert_eq!(alone.unwrap().fingerprint, identity.fingerprint);
    // One file for both, with Windows's line ends and mark.
    let both = format!("\u{feff}{key}{server}").replace('\n', "\r\n");
    assert_eq!(scratch.load(&both, &both).unwrap().fingerprint, identity.fingerprint);

    let rsa = scratch.load(RSA_CERTIFICATE, RSA_KEY).unwrap();
    assert_eq!((rsa.fingerprint.as_str(), rsa.validity.not_after), (RSA_FINGERPRINT, 4_949_135_027));
    assert_eq!(common_name(&rsa.key.cert[0]).as_deref(), Some("throw-away.example"));
    assert_eq!(format!("{rsa:?}"), format!("Identity({RSA_FINGERPRINT})"));
}

#[test]
fn certificates_that_cannot_be_used() {
    let scratch = Scratch::new();
    let (server, ca, key) = chain();
    let damaged = server.replacen("MII", "M!!", 1);
    let half = &server[..server.len() / 2];
    let request = server.replace(" CERTIFICATE-", " CERTIFICATE REQUEST-");
    let no_x509 = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let large = " ".repeat(1024 * 1024 + 1);
    for (certificate, said) in [
        (&b""[..], "it is empty"),
        (b"hello\n", "it is not PEM"),
        (b"\x30\x77\x02\x01\x01\x04\xfe", "not PEM but binary"),
        (b"a\0b", "not PEM but binary"),
        (large.as_bytes(), "larger than 1024 KiB"),
        (damaged.as_bytes(), "it is damaged: "),
        (half.as_bytes(), "it is damaged: it has no line -----END CERTIFICATE-----"),
        (key.as_bytes(), "certificate and key are swapped"),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n", "are swapped"),
        (request.as_bytes(), "there is no certificate in it, only CERTIFICATE REQUEST"),
        (no_x509.as_bytes(), "certificate 1 cannot be read"),
        (format!("{server}{RSA_CERTIFICATE}").as_bytes(), "certificate 2 did not issue certificate 1"),
        (format!("{server}{server}").as_bytes(), "certificate 2 did not issue certificate 1"),
        (format!("{server}{ca}{server}").as_bytes(), "certificate 3 did not issue certificate 2"),
    ] {
        let error = scratch.load(certificate, &key).unwrap_err();
        assert!(error.starts_with("c: ") && error.contains(said), "{error}");
    }
    for (end, said) in
        [("-----\nAAAA\n", "no line -----END \\x1b[2Jxxx"), ("\nAAAA\n", "begins with -----BEGIN \\x1b[2Jxxx")]
    {
        let error = scratch.load(format!("{server}-----BEGIN \x1b[2J{}{end}", "x".repeat(1_000)), &key).unwrap_err();
        assert!(error.contains(said) && error.len() < 200 && !error.contains('\x1b'), "{error}");
    }
    let error = scratch.load(format!("{ca}{server}"), &key).unwrap_err();
    assert_eq!(error, "c: the certificate of the key is number 2 in the file; it has to be the first");
}

#[test]
fn keys_that_cannot_be_used() {
    let scratch = Scratch::new();
    let (server, ca, key) = chain();
    let encrypted =
        RSA_KEY.replace("KEY-----\nMII", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMII");
    let public = key.replace("PRIVATE", "PUBLIC");
    for (key, said) in [
        ("", "it is empty"),
        (&server, "there is no private key in it, only CERTIFICATE"),
        (&public, "there is no private key in it, only PUBLIC KEY"),
        (
            &encrypted,
            "the private key is encrypted, and nobody is there to type its passphrase; decrypt it: openssl pkey",
        ),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n", "-in k -out "),
        (ED448_KEY, "of a kind that is not supported: use ECDSA"),
        (RSA_KEY, "the private key does not belong to the certificate c"),
    ] {
        let error = scratch.load(format!("{server}{ca}"), key).unwrap_err();
        assert!(error.starts_with("k: ") && error.contains(said), "{error}");
    }
}

#[test]
fn files_that_are_not_there() {
    let scratch = Scratch::new();
    let (server, _, key) = chain();
    let (server, key) = (scratch.file("c", server), scratch.file("k", key));
    for (certificate, key, said) in [
        (Path::new("/nonexistent/c"), key.as_path(), "/nonexistent/c: No such file"),
        (&server, Path::new("/nonexistent/k"), "/nonexistent/k: No such file"),
        (&scratch.0, &key, "it is not a file"),
        (Path::new("/dev/null"), &key, "/dev/null: it is not a file"),
    ] {
        let source = CertificateSource::Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let error = source.load().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_self_signed_certificate_stays() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("a/b");
    let source = CertificateSource::SelfSigned { directory: directory.clone() };
    let before = source.stamp();
    // Checking leaves no trace.
    assert_eq!(source.check().unwrap().fingerprint, "made at the first start");
    assert!(!scratch.0.join("a").exists() && source.stamp() == before);
    let made: Vec<Identity> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| source.load().unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.iter().all(|identity| identity.fingerprint == made[0].fingerprint), "{made:?}");
    assert_eq!(made[0].fingerprint.len(), 95);
    let stamp = source.stamp();
    assert_ne!(before, stamp);
    assert_eq!(source.check().unwrap().fingerprint, made[0].fingerprint);
    assert_eq!((source.load().unwrap().fingerprint.as_str(), source.stamp()), (made[0].fingerprint.as_str(), stamp));

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let [certificate, key] = source.files();
    assert_eq!((mode(&directory), mode(&key), mode(&certificate) & 0o111), (0o700, 0o600, 0));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((3_648..=3_650).contains(&((made[0].validity.not_after - now) / 86_400)), "{}", made[0].validity.not_after);
    assert!(common_name(&made[0].key.cert[0]).is_some());

    fs::write(&key, RSA_KEY).unwrap();
    assert!(source.load().unwrap_err().to_string().contains("does not belong"));
    fs::remove_file(&key).unwrap();
    // What clients know is not replaced silently.
    assert!(source.load().unwrap_err().to_string().contains("self-signed.crt: its key is gone"));
    fs::remove_file(&certificate).unwrap();
    assert_ne!(source.load().unwrap().fingerprint, made[0].fingerprint);
}

#[test]
fn a_self_signed_certificate_needs_a_directory() {
    let scratch = Scratch::new();
    let directory = scratch.file("f", "").join("state");
    let error = CertificateSource::SelfSigned { directory: directory.clone() }.load().unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: Not a directory", directory.display())), "{error}");
}

#[test]
fn warnings_before_the_end() {
    const DAY: i64 = 86_400;
    let end = 1_767_312_000;
    for (now, said) in [
        (end - 90 * DAY - 1, Some("begins on 2025-10-04: clients will refuse it until then")),
        (end - 90 * DAY, None),
        (end - 14 * DAY - 1, None),
        (end - 14 * DAY, Some("expires on 2026-01-02 (days left: 14)")),
        (end - DAY, Some("expires on 2026-01-02 (days left: 1)")),
        (end - 1, Some("expires on 2026-01-02 (days left: 0)")),
        (end, Some("expires on 2026-01-02 (days left: 0)")),
        (end + 1, Some("expired on 2026-01-02: clients will refuse it")),
    ] {
        let warning = validity_warning(Validity { not_before: end - 90 * DAY, not_after: end }, now);
        assert_eq!(warning.as_deref(), said.map(|said| format!("the TLS certificate {said}")).as_deref());
    }
}

#[test]
fn certificates_of_clients() {
    let scratch = Scratch::new();
    let (ca, ca_key, ca_params) = made("users", IsCa::Ca(BasicConstraints::Unconstrained), None);
    let (al, _, _) = made("al", IsCa::NoCa, Some(&Issuer::new(ca_params, ca_key)));
    let (stranger, _, _) = made("al", IsCa::NoCa, None);
    let file = scratch.file("ca", format!("{ca}{RSA_CERTIFICATE}"));
    for (presence, mandatory) in [(Presence::Required, true), (Presence::Optional, false)] {
        let verifier = client_verifier(&file, presence).unwrap();
        assert_eq!((verifier.client_auth_mandatory(), verifier.root_hint_subjects().len()), (mandatory, 2));
        let now = rustls::pki_types::UnixTime::now();
        let good = |certificate: &str| {
            let path = scratch.file("client", certificate);
            verifier.verify_client_cert(&pem::read(&path).unwrap().certificates[0], &[], now).is_ok()
        };
        assert!(good(&al) && !good(&stranger));
    }
    let path = scratch.file("key", RSA_KEY);
    let error = client_verifier(&path, Presence::Optional).unwrap_err().to_string();
    assert!(error.ends_with("/key: there is no certificate in it, only RSA PRIVATE KEY"), "{error}");
    let error = client_verifier(Path::new("/nonexistent/ca"), Presence::Optional).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/ca: No such file"), "{error}");
}
