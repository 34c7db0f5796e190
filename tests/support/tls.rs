//! TLS for the tests' client (RFC 4217). It believes every certificate, keeps what a server lets it keep, and looks at
//! every octet that comes: inside TLS there is nothing but records.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls12Resumption, Tls13ClientSessionValue,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup, ProtocolVersion, SignatureScheme,
};

/// A version of TLS, and nothing else is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V12,
    V13,
}

/// Both.
pub const VERSIONS: [Version; 2] = [Version::V13, Version::V12];

/// What a client keeps of a session to resume it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Tickets; one of TLS 1.3 is used once, as RFC 8446 wants it.
    Tickets,
    /// TLS 1.2 without tickets: the session's id (curl).
    Ids,
    Nothing,
}

/// How a client speaks TLS, and what it remembers of its sessions.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
    memory: Memory,
    kept: Arc<Kept>,
}

impl Tls {
    /// A client that speaks `version` and remembers.
    pub fn new(version: Version) -> Tls {
        Tls::remembering(version, Memory::Tickets)
    }

    /// A client that speaks `version` and remembers what `memory` says.
    pub fn remembering(version: Version, memory: Memory) -> Tls {
        Tls::build(version, memory, &[], None)
    }

    /// A client that offers these protocols (RFC 7301).
    pub fn offering(version: Version, protocols: &[&str]) -> Tls {
        Tls::build(version, Memory::Tickets, protocols, None)
    }

    /// A client with a certificate and its key, in DER.
    pub fn certified(version: Version, certificate: &[u8], key: &[u8]) -> Tls {
        Tls::build(version, Memory::Tickets, &[], Some((certificate, key)))
    }

    fn build(version: Version, memory: Memory, protocols: &[&str], identity: Option<(&[u8], &[u8])>) -> Tls {
        let version = match version {
            Version::V12 => &TLS12,
            Version::V13 => &TLS13,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Believer));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from(certificate.to_vec())];
                builder.with_client_auth_cert(chain, PrivateKeyDer::try_from(key.to_vec()).unwrap()).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Tls { config: Arc::new(config), memory, kept: Arc::default() }.with_a_memory_of_its_own()
    }

    /// The same client without what it has kept so far.
    pub fn with_a_memory_of_its_own(&self) -> Tls {
        let kept = Arc::new(Kept::default());
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = match self.memory {
            Memory::Nothing => Resumption::disabled(),
            Memory::Ids => Resumption::store(kept.clone()).tls12_resumption(Tls12Resumption::SessionIdOnly),
            Memory::Tickets => Resumption::store(kept.clone()),
        };
        Tls { config: Arc::new(config), memory: self.memory, kept }
    }

    /// How many times a server gave something to be kept.
    pub fn given(&self) -> usize {
        self.kept.lock().given
    }

    /// TLS over a connection; the handshake comes with the first octet.
    pub fn over(&self, socket: TcpStream) -> TlsStream {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(self.config.clone(), name).unwrap();
        TlsStream { socket, tls: Box::new(tls), records: Records::default(), piece: usize::MAX }
    }
}

/// A connection under TLS.
#[derive(Debug)]
pub struct TlsStream {
    socket: TcpStream,
    tls: Box<ClientConnection>,
    records: Records,
    /// How many octets are sent at once.
    piece: usize,
}

impl TlsStream {
    /// Sends no more than `octets` at once.
    pub fn in_pieces_of(mut self, octets: usize) -> TlsStream {
        self.piece = octets;
        self.socket.set_nodelay(true).unwrap();
        self
    }

    /// Carries out the handshake, if it is not over.
    ///
    /// # Errors
    /// `UnexpectedEof` where the server closes, `InvalidData` where it sends an alert.
    pub fn handshake(&mut self) -> io::Result<()> {
        self.flush()?;
        while self.tls.is_handshaking() {
            if self.receive()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Says the end of what is sent (close_notify) after a handshake, and closes that half of the connection.
    pub fn end_output(&mut self) -> io::Result<()> {
        self.handshake()?;
        self.tls.send_close_notify();
        self.flush()?;
        self.socket.shutdown(Shutdown::Write)
    }

    /// The connection without TLS: what is sent over it next is in the clear, and nothing says the end.
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether the handshake is over.
    pub fn is_up(&self) -> bool {
        !self.tls.is_handshaking()
    }

    /// Whether a session was resumed.
    pub fn resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub fn version(&self) -> Option<ProtocolVersion> {
        self.tls.protocol_version()
    }

    /// The protocol that was agreed on.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// The server's certificate, in DER.
    pub fn certificate(&self) -> Vec<u8> {
        self.tls.peer_certificates().unwrap()[0].to_vec()
    }

    /// What the server has shown, in DER and in its order.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        self.tls.peer_certificates().unwrap().iter().map(|certificate| certificate.to_vec()).collect()
    }

    /// The lengths of the records that came, by their content type.
    pub fn records(&self) -> &[(u8, usize)] {
        &self.records.whole
    }

    /// What would be sent next, which is not sent then.
    pub fn hello(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut octets).unwrap();
        }
        octets
    }

    /// Waits until octets have come that can be read, and keeps them.
    pub fn await_octets(&mut self) -> io::Result<()> {
        self.handshake()?;
        while self.tls.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() == 0) {
            if self.receive()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Takes what comes from the socket.
    fn receive(&mut self) -> io::Result<usize> {
        let count = self.tls.read_tls(&mut Watched { socket: &mut self.socket, records: &mut self.records })?;
        let processed = self.tls.process_new_packets();
        // An alert of our own, where the server did something wrong.
        let _ = self.flush();
        processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(count)
    }
}

impl Read for TlsStream {
    /// Reads; 0 is the server's close_notify, and nothing else is.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handshake()?;
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => drop(self.receive()?),
                read => return read,
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.handshake()?;
        let count = self.tls.writer().write(octets)?;
        self.flush()?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece == usize::MAX {
            while self.tls.wants_write() {
                self.tls.write_tls(&mut self.socket)?;
            }
            return Ok(());
        }
        for piece in self.hello().chunks(self.piece) {
            self.socket.write_all(piece)?;
        }
        Ok(())
    }
}

/// What came over a socket that is under TLS, cut into records (RFC 8446 section 5.1).
#[derive(Debug, Default)]
struct Records {
    head: Vec<u8>,
    left: usize,
    whole: Vec<(u8, usize)>,
}

impl Records {
    /// # Panics
    /// Where the octets are not records: something was sent in the clear.
    fn take(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            if self.left > 0 {
                let count = self.left.min(octets.len());
                octets = &octets[count..];
                self.left -= count;
                continue;
            }
            self.head.push(octets[0]);
            octets = &octets[1..];
            if let [kind, major, minor, high, low] = self.head[..] {
                let length = usize::from(u16::from_be_bytes([high, low]));
                let is_record = (20..=23).contains(&kind) && major == 3 && (1..=3).contains(&minor);
                assert!(is_record && (1..=16_384 + 256).contains(&length), "in the clear inside TLS: {:?}", self.head);
                self.whole.push((kind, length));
                self.left = length;
                self.head.clear();
            }
        }
    }
}

/// A socket that is listened to.
struct Watched<'a> {
    socket: &'a mut TcpStream,
    records: &'a mut Records,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(buffer)?;
        self.records.take(&buffer[..count]);
        Ok(count)
    }
}

/// What servers gave to be kept.
#[derive(Default)]
struct Kept(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
    given: usize,
}

impl Kept {
    fn lock(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.0.lock().unwrap()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({})", self.lock().given)
    }
}

impl ClientSessionStore for Kept {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        let mut kept = self.lock();
        kept.tls12 = Some(session);
        kept.given += 1;
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.lock().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut kept = self.lock();
        kept.tls13.push_back(ticket);
        kept.given += 1;
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The newest first, as rustls does it itself.
        self.lock().tls13.pop_back()
    }
}

/// Believes every certificate: the tests ask whether there is TLS, not whose it is.
#[derive(Debug)]
struct Believer;

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
