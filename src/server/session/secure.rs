//! The TLS of a control connection: begun by AUTH, or at once (implicit FTPS), and shared with its data connections.

use std::sync::Arc;

use super::{Channel, Session};
use crate::limits::TLS_HANDSHAKE_TIMEOUT;
use crate::log::Shown;
use crate::net::tls::{HandshakeError, Session as TlsSession};
use crate::net::{Direction, tls};
use crate::protocol::state::Protection;
use crate::reactor::Readiness;
use crate::server::context::Context;

impl Session {
    /// Puts TLS under the control connection; what was to be sent in the clear has been sent.
    pub fn begin_tls(&mut self, context: &Context) -> Result<(), HandshakeError> {
        let failed = |text| HandshakeError::Failed(std::io::Error::other(text));
        let authority = context.tls.as_ref().ok_or_else(|| failed("there is no certificate"))?;
        let session = authority.session().ok_or_else(|| failed("there are no random octets"))?;
        self.stream.secure(session.control()?);
        self.tls = Some(Arc::new(session));
        let until = context.now + TLS_HANDSHAKE_TIMEOUT;
        // The handshake is part of logging in.
        let login = context.login_timeout.map(|timeout| self.began + timeout);
        self.channel = Channel::Handshake(login.map_or(until, |login| login.min(until)));
        Ok(())
    }

    /// Goes on with the handshake of the control connection; says whether it is over.
    ///
    /// # Errors
    /// It failed, which was logged: there is no way to tell the client.
    pub(super) fn handshake(&mut self, ready: &mut Readiness, context: &Context) -> Result<bool, ()> {
        let Channel::Handshake(until) = self.channel else { return Ok(true) };
        match self.stream.handshake() {
            Ok(None) => {
                self.channel = Channel::Open;
                self.active = context.now;
                // Octets may have come with the last of the handshake, of which no event will tell.
                ready.add(Readiness::READ);
                self.interpreter.secured(self.certified(context));
                Ok(true)
            }
            Ok(Some(_)) if until <= context.now => {
                log::warn!("{}: the TLS handshake took too long", self.peer().ip());
                Err(())
            }
            Ok(Some(direction)) => {
                ready.clear(match direction {
                    Direction::In => Readiness::READ,
                    Direction::Out => Readiness::WRITE,
                });
                Ok(false)
            }
            Err(error) => {
                log::warn!("{}: the TLS handshake failed: {error}", self.peer().ip());
                Err(())
            }
        }
    }

    /// The name in the client's certificate, if names are to count.
    fn certified(&self, context: &Context) -> Option<Vec<u8>> {
        let connection = self.stream.tls()?;
        log::info!("{}: {}", self.peer().ip(), connection.describe());
        let name = tls::common_name(connection.client_certificate()?)?;
        log::info!("{}: the client certificate is that of {}", self.peer().ip(), Shown(name.as_bytes()));
        context.client_login.certificate_suffices().then(|| name.into_bytes())
    }

    /// The session that a data connection has to belong to, if data is to be private.
    pub(super) fn data_tls(&self) -> Option<Arc<TlsSession>> {
        match self.interpreter.data_protection() {
            Protection::Private => self.tls.clone(),
            Protection::Clear => None,
        }
    }
}
