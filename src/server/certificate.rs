//! The certificate in use: read again on SIGHUP and when its files change, and watched for its end. New handshakes get
//! the new one; sessions go on.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::errand::Errand;
use crate::limits::{CERTIFICATE_LOOK_EVERY, EXPIRY_TOLD_EVERY};
use crate::net::tls::{
    Authority, CertificateError, CertificateSource, Identity, Kernel, Stamp, Validity, client_verifier,
    validity_warning,
};
use crate::options::TlsOptions;

/// What came of looking at the files.
#[derive(Debug)]
pub struct Look {
    /// What they looked like before they were read.
    stamp: Stamp,
    /// Nothing where they have not changed.
    loaded: Option<Result<(Authority, Validity), CertificateError>>,
}

/// Watches the files.
#[derive(Debug)]
pub struct Certificate {
    options: TlsOptions,
    kernel: Arc<Kernel>,
    seen: Stamp,
    validity: Validity,
    /// When the files are looked at; nothing while they are.
    next: Option<Instant>,
    /// When the end is told again.
    told: Instant,
}

impl Certificate {
    /// The certificate that was loaded at the start. Call it as the user who will read the files again.
    pub fn new(options: &TlsOptions, kernel: Arc<Kernel>, now: Instant) -> Certificate {
        let seen = stamp(options);
        match kernel.is_empty() {
            true => log::info!("this kernel has no TLS: downloads are encrypted by ferryd itself"),
            false => log::info!("downloads under TLS are encrypted by the kernel"),
        }
        let validity = options.identity.validity;
        let mut certificate = Certificate { options: options.clone(), kernel, seen, validity, next: None, told: now };
        certificate.tell(now);
        certificate.next = Some(now + CERTIFICATE_LOOK_EVERY);
        certificate
    }

    /// When it is to be looked at.
    pub fn next_look(&self) -> Option<Instant> {
        self.next
    }

    /// The errand of looking, if it is time, or if somebody asks for it (`now` is nothing).
    pub fn due(&mut self, now: Option<Instant>) -> Option<Errand> {
        if now.is_some_and(|now| self.next.is_none_or(|next| next > now)) {
            return None;
        }
        self.next = None;
        let seen = now.map(|_| self.seen.clone());
        Some(Errand::Certificate(Box::new(self.options.clone()), self.kernel.clone(), seen))
    }

    /// What was found; a new authority, where there is one. What cannot be used leaves the old one in use.
    pub fn looked(&mut self, look: Look, now: Instant) -> Option<Authority> {
        self.next = Some(now + CERTIFICATE_LOOK_EVERY);
        self.seen = look.stamp;
        let authority = match look.loaded {
            None => None,
            Some(Ok((authority, validity))) => {
                log::info!("the TLS certificate was loaded again");
                self.validity = validity;
                self.told = now;
                Some(authority)
            }
            Some(Err(error)) => {
                log::error!("the old TLS certificate stays in use: {error}");
                None
            }
        };
        if self.told <= now {
            self.tell(now);
        }
        authority
    }

    fn tell(&mut self, now: Instant) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        if let Some(warning) = validity_warning(self.validity, i64::try_from(time).unwrap_or(i64::MAX)) {
            log::warn!("{warning}");
        }
        self.told = now + EXPIRY_TOLD_EVERY;
    }
}

/// Looks at the files; reads them if they are not as they were `seen`. Waits for the disk.
pub fn look(options: &TlsOptions, kernel: &Arc<Kernel>, seen: Option<&Stamp>) -> Look {
    let stamp = stamp(options);
    if seen == Some(&stamp) {
        return Look { stamp, loaded: None };
    }
    let identity = match &options.source {
        // It is of our own making. Root may have made it and become somebody else since, who cannot read it; and what
        // was removed is made anew at the next start.
        CertificateSource::SelfSigned { .. } if !options.source.is_readable() => Ok(options.identity.clone()),
        source => source.read_again(),
    };
    let loaded = identity.and_then(|identity| Ok((authority(options, &identity, kernel)?, identity.validity)));
    Look { stamp, loaded: Some(loaded) }
}

fn stamp(options: &TlsOptions) -> Stamp {
    let [certificate, key] = options.source.files();
    let mut files = vec![certificate.as_path(), key.as_path()];
    files.extend(options.client_ca.as_deref());
    Stamp::of(&files)
}

/// What a certificate is used for.
///
/// # Errors
/// The file of `--tls-client-ca` cannot be used.
pub fn authority(
    options: &TlsOptions,
    identity: &Identity,
    kernel: &Arc<Kernel>,
) -> Result<Authority, CertificateError> {
    let clients =
        options.client_ca.as_deref().map(|ca| client_verifier(ca, options.client_login.presence())).transpose()?;
    Ok(Authority::new(identity.key.clone(), clients, options.reuse, kernel.clone()))
}
