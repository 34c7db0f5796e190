//! TLS (RFC 4217) under a connection: rustls, and what of it FTP needs. The only place that names rustls.
//!
//! A data connection is bound to its control connection by resumption: each control connection has a configuration of
//! its own, whose tickets nobody else can read ([`Session`]). A data connection that resumes has therefore been opened
//! by whoever opened the control connection. The session of another control connection is never resumed: to TLS it is
//! unknown, and the handshake a full one. That ends it where resumption is required. Where it is preferred, anybody may
//! come with a full handshake, and refusing those who show a wrong session would stop nobody but honest clients that
//! keep one session for all their connections to a server (rclone, curl in parallel).

mod certificate;
mod connection;
mod kernel;
mod tickets;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

pub use certificate::{
    CertificateError, CertificateSource, Identity, Presence, Problem, Stamp, Validity, client_verifier, common_name,
    validity_warning,
};
pub use connection::{Connection, HandshakeError};
pub use kernel::Kernel;
pub use kernel::{close as close_by_kernel, prepare as prepare_kernel};
use tickets::Tickets;

/// Tickets that a control connection gives: clients that use each only once live on them for a while, and get one more
/// with each download. As many as clients keep for one server (rustls: 8), so that these are the only ones that they
/// have: with one of an earlier control connection a data connection would be refused.
const CONTROL_TICKETS: usize = 8;

/// Different tickets shown, from which on a client counts as one that uses each only once: half of what it was given.
const TICKETS_USED_UP: usize = CONTROL_TICKETS / 2;

/// `--tls-reuse`: what a data connection has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It resumes its control connection's session; a full handshake is accepted as well, and logged.
    Prefer,
    /// It resumes, or is refused.
    Require,
    /// Nothing.
    Off,
}

/// Which way the octets of a data connection go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Download,
    Upload,
}

/// Whether the client has begun its handshake when the data connection is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    Already,
    NotYet,
}

/// Who this server is, and whom it believes: the same for all connections, until it is replaced as a whole.
pub struct Authority {
    config: ServerConfig,
    reuse: Reuse,
    kernel: Arc<Kernel>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({:?})", self.reuse)
    }
}

impl Authority {
    /// With a certificate chain and its key, and perhaps with whoever signs client certificates.
    /// What the kernel can encrypt, it does.
    pub fn new(
        key: Arc<CertifiedKey>,
        clients: Option<Arc<dyn ClientCertVerifier>>,
        reuse: Reuse,
        kernel: Arc<Kernel>,
    ) -> Authority {
        let provider = Arc::new(ring::default_provider());
        let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
        // ring has suites for both versions, so this cannot fail; if it did, TLS 1.3 alone would be no worse.
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions);
        let builder = match builder {
            Ok(builder) => builder,
            Err(_) => ServerConfig::builder(),
        };
        let clients = clients.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
        let mut config =
            builder.with_client_cert_verifier(clients).with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.max_early_data_size = 0;
        config.enable_secret_extraction = !kernel.is_empty();
        Authority { config, reuse, kernel }
    }

    /// A session for a new control connection. Nothing where the kernel has no random octets.
    pub fn session(&self) -> Option<Session> {
        let tickets = Arc::new(Tickets::new()?);
        let accepted_full = AtomicBool::new(false);
        Some(Session {
            config: self.config.clone(),
            reuse: self.reuse,
            tickets,
            kernel: self.kernel.clone(),
            accepted_full,
        })
    }
}

/// One control connection's TLS, and that of its data connections.
pub struct Session {
    config: ServerConfig,
    reuse: Reuse,
    tickets: Arc<Tickets>,
    kernel: Arc<Kernel>,
    /// Whether a data connection was accepted without.
    accepted_full: AtomicBool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?})", self.reuse)
    }
}

impl Session {
    /// The server's side of its control connection.
    pub fn control(&self) -> Result<Connection, HandshakeError> {
        let tickets = if self.reuse == Reuse::Off { 0 } else { CONTROL_TICKETS };
        Connection::new(self.configure(b"ftp", &[], tickets), None)
    }

    /// The server's side of one of its data connections.
    ///
    /// A client that only writes may close with a ticket unread, which resets the connection and loses the tail of an
    /// upload: it gets none, unless it could not go on without. Such a client (curl) begins its handshake before 150,
    /// which is held back for it until the ticket is sent. Of those that wait for 150, lftp shows one ticket again and
    /// again and needs no other; who has shown several uses each only once, and gets more before they run out.
    pub fn data(&self, flow: Flow, begun: Begun) -> Result<Connection, HandshakeError> {
        let tickets = match (self.reuse, flow) {
            (Reuse::Off, _) | (Reuse::Prefer, Flow::Upload) => 0,
            (Reuse::Require, Flow::Upload) if begun == Begun::NotYet && self.tickets.used() < TICKETS_USED_UP => 0,
            (Reuse::Require, _) | (Reuse::Prefer, Flow::Download) => 1,
        };
        self.tickets.forget_foreign();
        Connection::new(self.configure(b"ftp-data", &[b"ftp"], tickets), Some(self.reuse))
    }

    /// Notes a data connection whose handshake is over. For the first that should have resumed and did not, says how
    /// that came.
    pub fn first_full(&self, resumed: Option<bool>) -> Option<&'static str> {
        let full = self.reuse == Reuse::Prefer && resumed == Some(false);
        (full && !self.accepted_full.swap(true, Ordering::Relaxed)).then(|| match self.tickets.saw_foreign() {
            true => "showed a TLS session that is not its control connection's, and was given a new one",
            false => "did not resume the TLS session of its control connection",
        })
    }

    /// What the kernel can encrypt.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    fn configure(&self, protocol: &[u8], others: &[&[u8]], tickets: usize) -> Arc<ServerConfig> {
        let mut config = self.config.clone();
        config.ticketer = self.tickets.clone();
        config.session_storage = self.tickets.clone();
        config.send_tls13_tickets = tickets;
        config.alpn_protocols = [&[protocol], others].concat().into_iter().map(<[u8]>::to_vec).collect();
        Arc::new(config)
    }
}
