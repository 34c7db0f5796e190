//! The definition of each option of TLS, and the values that they take.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::ClientLogin;
use crate::account::RequireTls;
use crate::net::tls::Reuse;
use crate::options::value;

/// The options as they are given.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(in crate::options) struct TlsArguments {
    /// The server's certificate, in PEM, then the one that issued it, and so on;
    /// with it clients may begin TLS [default: none, and no TLS]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "FILE", env = "FERRYD_TLS_CERT")]
    pub(super) tls_cert: Option<PathBuf>,

    /// Its private key, in PEM and not encrypted; may be the same file
    /// [default: none]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "FILE", env = "FERRYD_TLS_KEY")]
    pub(super) tls_key: Option<PathBuf>,

    /// Instead of both: self-signed, a certificate that is made at the first start
    /// and kept, so that its fingerprint, which the log tells, stays
    /// [default: none]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "self-signed", env = "FERRYD_TLS", value_parser = self_signed)]
    pub(super) tls: Option<SelfSigned>,

    /// The directory in which the self-signed certificate is kept: $STATE_DIRECTORY,
    /// $XDG_STATE_HOME/ferryd or, by default, ~/.local/state/ferryd
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "DIR", env = "FERRYD_TLS_STATE")]
    pub(super) tls_state: Option<PathBuf>,

    /// Listen here for clients that begin with TLS at once (implicit, port 990);
    /// repeatable, and of the form of --listen [default: none]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "ADDR:PORT", env = "FERRYD_TLS_LISTEN", value_delimiter = ',')]
    #[arg(value_parser = value::listen)]
    pub(super) tls_listen: Vec<SocketAddr>,

    /// What is refused without TLS: no (nothing), login (users and passwords), or
    /// all (data connections as well)
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "WHAT", env = "FERRYD_REQUIRE_TLS", default_value = "no", value_parser = require)]
    pub(super) require_tls: RequireTls,

    /// Whether a data connection has to resume the TLS session of its control
    /// connection, which shows that the same client opened it: prefer, require
    /// (some clients cannot), or off
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "WHEN", env = "FERRYD_TLS_REUSE", default_value = "prefer", value_parser = reuse)]
    pub(super) tls_reuse: Reuse,

    /// Certificates, in PEM, of whoever signs those of clients
    /// [default: none, and clients are asked for no certificate]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "FILE", env = "FERRYD_TLS_CLIENT_CA")]
    pub(super) tls_client_ca: Option<PathBuf>,

    /// What users log in with, where there is --tls-client-ca: both (password and
    /// any certificate), either (password, or a certificate whose common name is
    /// the user's name), or certificate (only that) [default: both]
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "WITH", env = "FERRYD_TLS_CLIENT_LOGIN", value_parser = client_login)]
    pub(super) tls_client_login: Option<ClientLogin>,
}

/// The one thing that `--tls` can say.
#[derive(Clone, Copy, Debug)]
pub(super) struct SelfSigned;

fn self_signed(text: &str) -> Result<SelfSigned, String> {
    match text {
        "self-signed" => Ok(SelfSigned),
        _ => Err("use self-signed, or --tls-cert and --tls-key for a certificate of yours".into()),
    }
}

fn require(text: &str) -> Result<RequireTls, String> {
    match text {
        "no" => Ok(RequireTls::No),
        "login" => Ok(RequireTls::Login),
        "all" => Ok(RequireTls::All),
        _ => Err("use no, login or all".into()),
    }
}

fn reuse(text: &str) -> Result<Reuse, String> {
    match text {
        "prefer" => Ok(Reuse::Prefer),
        "require" => Ok(Reuse::Require),
        "off" => Ok(Reuse::Off),
        _ => Err("use prefer, require or off".into()),
    }
}

fn client_login(text: &str) -> Result<ClientLogin, String> {
    match text {
        "both" => Ok(ClientLogin::Both),
        "either" => Ok(ClientLogin::Either),
        "certificate" => Ok(ClientLogin::Certificate),
        _ => Err("use both, either or certificate".into()),
    }
}
