//! Kernel TLS: once the handshake is over, the keys move into the kernel, and a file is sent by `sendfile` again.
//!
//! Only for what is sent. The keys are gone from rustls by the time a refusal of the kernel could be undone; therefore
//! each cipher is tried once at the start, on a pair of sockets of our own.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use nix::libc;
use nix::sys::socket::SetSockOpt;
use nix::sys::socket::sockopt::{TcpTlsTx, TcpUlp, TlsCryptoInfo};
use rustls::{ConnectionTrafficSecrets, ProtocolVersion};
use socket2::{MsgHdr, SockRef};

/// `TLS_SET_RECORD_TYPE` (linux/tls.h), and the record type of alerts (RFC 8446 section 5.1).
const SET_RECORD_TYPE: i32 = 1;
const ALERT: u8 = 21;
/// A warning, close_notify (RFC 8446 section 6.1).
const CLOSE_NOTIFY: [u8; 2] = [1, 0];

/// A version and a cipher that the kernel may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cipher {
    version: u16,
    kind: u16,
}

/// What the kernel can encrypt.
#[derive(Clone, Debug, Default)]
pub struct Kernel(Vec<Cipher>);

impl Kernel {
    /// Tries each cipher that rustls may agree upon.
    pub fn probe() -> Kernel {
        let versions = [libc::TLS_1_2_VERSION, libc::TLS_1_3_VERSION];
        let kinds = [libc::TLS_CIPHER_AES_GCM_128, libc::TLS_CIPHER_AES_GCM_256, libc::TLS_CIPHER_CHACHA20_POLY1305];
        let all = versions.into_iter().flat_map(|version| kinds.map(|kind| Cipher { version, kind }));
        Kernel(all.filter(|cipher| attempt(*cipher).is_ok()).collect())
    }

    /// Whether it can do nothing of it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it knows what a connection has agreed upon.
    pub(super) fn knows(&self, version: ProtocolVersion, secrets: Suite) -> bool {
        version_number(version).is_some_and(|version| self.0.contains(&Cipher { version, kind: secrets.kind() }))
    }
}

/// The cipher of a connection, before its secrets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suite {
    Aes128Gcm,
    Aes256Gcm,
    Chacha20Poly1305,
}

impl Suite {
    /// By the name of a cipher suite.
    pub(super) fn named(name: &str) -> Option<Suite> {
        match name {
            _ if name.contains("AES_128_GCM") => Some(Suite::Aes128Gcm),
            _ if name.contains("AES_256_GCM") => Some(Suite::Aes256Gcm),
            _ if name.contains("CHACHA20_POLY1305") => Some(Suite::Chacha20Poly1305),
            _ => None,
        }
    }

    fn kind(self) -> u16 {
        match self {
            Suite::Aes128Gcm => libc::TLS_CIPHER_AES_GCM_128,
            Suite::Aes256Gcm => libc::TLS_CIPHER_AES_GCM_256,
            Suite::Chacha20Poly1305 => libc::TLS_CIPHER_CHACHA20_POLY1305,
        }
    }
}

fn version_number(version: ProtocolVersion) -> Option<u16> {
    match version {
        ProtocolVersion::TLSv1_2 => Some(libc::TLS_1_2_VERSION),
        ProtocolVersion::TLSv1_3 => Some(libc::TLS_1_3_VERSION),
        _ => None,
    }
}

fn attempt(cipher: Cipher) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let socket = TcpStream::connect(listener.local_addr()?)?;
    prepare(&socket)?;
    let (iv, sequence) = ([1; 12], 0);
    let info = match cipher.kind {
        libc::TLS_CIPHER_AES_GCM_128 => aes_128(cipher.version, &[2; 16], iv, sequence),
        libc::TLS_CIPHER_AES_GCM_256 => aes_256(cipher.version, &[2; 32], iv, sequence),
        _ => chacha(cipher.version, &[2; 32], iv, sequence),
    };
    set(&socket, &info)
}

/// Prepares a socket; it stays as it is where the kernel has no TLS.
pub fn prepare(socket: &impl AsFd) -> io::Result<()> {
    Ok(TcpUlp::default().set(socket, b"tls")?)
}

/// Hands the keys for what is sent to the kernel.
pub(super) fn hand_over(
    socket: &impl AsFd,
    version: ProtocolVersion,
    sequence: u64,
    secrets: &ConnectionTrafficSecrets,
) -> io::Result<()> {
    let unknown = || io::Error::other("the kernel does not know this cipher");
    let version = version_number(version).ok_or_else(unknown)?;
    let twelve = |iv: &[u8]| <[u8; 12]>::try_from(iv).map_err(|_| unknown());
    let info = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => {
            let key = key.as_ref().try_into().map_err(|_| unknown())?;
            aes_128(version, key, twelve(iv.as_ref())?, sequence)
        }
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => {
            let key = key.as_ref().try_into().map_err(|_| unknown())?;
            aes_256(version, key, twelve(iv.as_ref())?, sequence)
        }
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
            let key = key.as_ref().try_into().map_err(|_| unknown())?;
            chacha(version, key, twelve(iv.as_ref())?, sequence)
        }
        _ => return Err(unknown()),
    };
    set(socket, &info)
}

fn set(socket: &impl AsFd, info: &TlsCryptoInfo) -> io::Result<()> {
    Ok(TcpTlsTx.set(socket, info)?)
}

/// The nonce of AES-GCM: a salt of four octets, and eight that go on.
fn halves(iv: [u8; 12]) -> ([u8; 4], [u8; 8]) {
    let [a, b, c, d, rest @ ..] = iv;
    ([a, b, c, d], rest)
}

fn aes_128(version: u16, key: &[u8; 16], iv: [u8; 12], sequence: u64) -> TlsCryptoInfo {
    let (salt, iv) = halves(iv);
    TlsCryptoInfo::Aes128Gcm(libc::tls12_crypto_info_aes_gcm_128 {
        info: libc::tls_crypto_info { version, cipher_type: libc::TLS_CIPHER_AES_GCM_128 },
        iv,
        key: *key,
        salt,
        rec_seq: sequence.to_be_bytes(),
    })
}

fn aes_256(version: u16, key: &[u8; 32], iv: [u8; 12], sequence: u64) -> TlsCryptoInfo {
    let (salt, iv) = halves(iv);
    TlsCryptoInfo::Aes256Gcm(libc::tls12_crypto_info_aes_gcm_256 {
        info: libc::tls_crypto_info { version, cipher_type: libc::TLS_CIPHER_AES_GCM_256 },
        iv,
        key: *key,
        salt,
        rec_seq: sequence.to_be_bytes(),
    })
}

fn chacha(version: u16, key: &[u8; 32], iv: [u8; 12], sequence: u64) -> TlsCryptoInfo {
    TlsCryptoInfo::Chacha20Poly1305(libc::tls12_crypto_info_chacha20_poly1305 {
        info: libc::tls_crypto_info { version, cipher_type: libc::TLS_CIPHER_CHACHA20_POLY1305 },
        iv,
        key: *key,
        salt: [],
        rec_seq: sequence.to_be_bytes(),
    })
}

/// Says the end: a record that is an alert, which the kernel has to be told (cmsg(3)).
pub fn close(socket: &impl AsFd) -> io::Result<()> {
    let header = size_of::<usize>() + 2 * size_of::<i32>();
    let mut control = Vec::with_capacity(2 * header);
    control.extend_from_slice(&(header + 1).to_ne_bytes());
    control.extend_from_slice(&libc::SOL_TLS.to_ne_bytes());
    control.extend_from_slice(&SET_RECORD_TYPE.to_ne_bytes());
    control.push(ALERT);
    control.resize(header + size_of::<usize>(), 0);
    let buffers = [IoSlice::new(&CLOSE_NOTIFY)];
    let message = MsgHdr::new().with_buffers(&buffers).with_control(&control);
    SockRef::from(socket).sendmsg(&message, libc::MSG_NOSIGNAL).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_known_by_their_names() {
        assert_eq!(Suite::named("TLS13_AES_128_GCM_SHA256"), Some(Suite::Aes128Gcm));
        assert_eq!(Suite::named("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"), Some(Suite::Aes256Gcm));
        assert_eq!(Suite::named("TLS13_CHACHA20_POLY1305_SHA256"), Some(Suite::Chacha20Poly1305));
        assert_eq!(Suite::named("TLS_RSA_WITH_RC4_128_MD5"), None);
    }

    #[test]
    fn a_kernel_knows_what_it_was_seen_to_do() {
        let kernel = Kernel(vec![Cipher { version: libc::TLS_1_3_VERSION, kind: libc::TLS_CIPHER_AES_GCM_128 }]);
        assert!(kernel.knows(ProtocolVersion::TLSv1_3, Suite::Aes128Gcm));
        assert!(!kernel.knows(ProtocolVersion::TLSv1_2, Suite::Aes128Gcm));
        assert!(!kernel.knows(ProtocolVersion::TLSv1_3, Suite::Aes256Gcm));
        // Whatever this machine has, asking does no harm.
        let _ = Kernel::probe();
    }
}
