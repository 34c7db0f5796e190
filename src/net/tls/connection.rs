//! One TLS connection over a socket that never waits: the handshake, records in and out, the end.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use super::Reuse;
use super::kernel::{self, Kernel, Suite};
use crate::limits::TLS_OCTETS_AHEAD;

/// Why a handshake failed.
#[derive(Debug)]
pub enum HandshakeError {
    /// `--tls-reuse` asks for more than the client showed.
    NotReused,
    Failed(io::Error),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::NotReused => f.write_str("the TLS session of the control connection was not resumed"),
            HandshakeError::Failed(error) => error.fmt(f),
        }
    }
}

/// Whether the client was asked for another ClientHello (RFC 8446 section 4.1.4). Until it has come, rustls calls the
/// handshake a full one, though the client may show a session again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    No,
    Asked,
}

/// The server's side of a TLS connection. It holds no socket: each call is given one.
pub struct Connection {
    tls: Box<ServerConnection>,
    /// What a data connection has to show.
    binding: Option<Reuse>,
    retry: Retry,
    /// What is wrong with the record that was received last.
    bad: Option<Box<rustls::Error>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({:?})", self.tls.protocol_version())
    }
}

impl Connection {
    pub(super) fn new(config: Arc<ServerConfig>, binding: Option<Reuse>) -> Result<Connection, HandshakeError> {
        let mut tls = ServerConnection::new(config).map_err(|error| HandshakeError::Failed(io::Error::other(error)))?;
        tls.set_buffer_limit(Some(TLS_OCTETS_AHEAD));
        Ok(Connection { tls: Box::new(tls), binding, retry: Retry::No, bad: None })
    }

    /// Goes on with the handshake.
    ///
    /// # Errors
    /// `WouldBlock` inside [`HandshakeError::Failed`] while it is not over; [`Connection::wants_write`] says for what
    /// it waits then. A client that shows too little is refused before its handshake is over, and gets no ticket.
    pub fn handshake(&mut self, socket: &mut (impl Read + Write)) -> Result<(), HandshakeError> {
        loop {
            self.flush(socket).map_err(HandshakeError::Failed)?;
            if !self.tls.is_handshaking() {
                return Ok(());
            }
            self.receive(socket).map_err(HandshakeError::Failed)?;
            self.check_binding()?;
        }
    }

    fn check_binding(&mut self) -> Result<(), HandshakeError> {
        if self.binding != Some(Reuse::Require) {
            return Ok(());
        }
        let enough = match self.tls.handshake_kind() {
            None | Some(HandshakeKind::Resumed) => true,
            Some(HandshakeKind::Full) => false,
            Some(HandshakeKind::FullWithHelloRetryRequest) => {
                // Once the second ClientHello has come, there is an answer to be sent, or the handshake is over.
                let awaited = std::mem::replace(&mut self.retry, Retry::Asked) == Retry::No || !self.tls.wants_write();
                awaited && self.tls.is_handshaking()
            }
        };
        if enough { Ok(()) } else { Err(HandshakeError::NotReused) }
    }

    /// Whether the handshake resumed a session; nothing while it is not known.
    pub fn resumed(&self) -> Option<bool> {
        self.tls.handshake_kind().map(|kind| kind == HandshakeKind::Resumed)
    }

    /// The certificate that the client showed, in DER.
    pub fn client_certificate(&self) -> Option<&[u8]> {
        Some(self.tls.peer_certificates()?.first()?.as_ref())
    }

    /// Version and cipher suite, for the log.
    pub fn describe(&self) -> String {
        let version = self.tls.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
        let suite = self.tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("no suite");
        format!("{version} {suite}")
    }

    /// Whether the kernel could encrypt what this connection sends.
    pub fn suits(&self, kernel: &Kernel) -> bool {
        let suite = self.tls.negotiated_cipher_suite().and_then(|suite| Suite::named(suite.suite().as_str()?));
        match (self.tls.protocol_version(), suite) {
            (Some(version), Some(suite)) => !self.tls.wants_write() && kernel.knows(version, suite),
            _ => false,
        }
    }

    /// Hands what is sent from here on over to the kernel; what is received can no longer be read.
    ///
    /// # Errors
    /// The kernel does not do what it did at the start; the connection is of no further use.
    pub fn hand_over(self, socket: &impl AsFd) -> io::Result<()> {
        let version = self.tls.protocol_version().ok_or(io::ErrorKind::NotConnected)?;
        let (sequence, secrets) = self.tls.dangerous_extract_secrets().map_err(io::Error::other)?.tx;
        kernel::hand_over(socket, version, sequence, &secrets)
    }

    /// Whether records wait to be sent.
    pub fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    /// Reads what the client has sent; 0 is its close_notify.
    ///
    /// # Errors
    /// `WouldBlock`; `UnexpectedEof` where the connection ended without close_notify: what came may not be all.
    pub fn read(&mut self, socket: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.bad.take() {
                    // It is told after the good ones before it were read.
                    Some(bad) => return Err(io::Error::new(io::ErrorKind::InvalidData, bad)),
                    None => self.receive(socket)?,
                },
                read => return read,
            }
        }
    }

    /// Takes records from the socket.
    fn receive(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        let ended = self.tls.read_tls(socket)? == 0;
        match self.tls.process_new_packets() {
            // The reader says whether the end was announced.
            Ok(_) if ended && self.tls.is_handshaking() => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) => {
                // The alert says what was wrong; a client that has left misses nothing.
                let _ = self.flush(socket);
                if self.tls.is_handshaking() {
                    let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
                    return Err(match error == plain {
                        true => io::Error::new(io::ErrorKind::InvalidData, "what came is not TLS, perhaps plain FTP"),
                        false => io::Error::new(io::ErrorKind::InvalidData, error),
                    });
                }
                self.bad = Some(Box::new(error));
                Ok(())
            }
        }
    }

    /// Takes octets to be sent, as many as there is room for; what waits is sent first.
    pub fn write(&mut self, socket: &mut (impl Read + Write), octets: &[u8]) -> io::Result<usize> {
        self.flush(socket)?;
        let taken = self.tls.writer().write(octets)?;
        match self.flush(socket) {
            // They were taken, and are sent when there is room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(taken),
            flushed => flushed.map(|()| taken),
        }
    }

    /// Sends the records that wait.
    pub fn flush(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says the end (RFC 8446 section 6.1).
    ///
    /// # Errors
    /// `WouldBlock` while it is not sent; it is said once, however often this is called.
    pub fn close(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        self.tls.send_close_notify();
        self.flush(socket)
    }
}
