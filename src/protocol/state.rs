//! What a session knows: the transfer parameters, and what exists only after login.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::reply::Refusal;
use crate::account::{Account, RequireTls, Right};
use crate::fs::{Root, VirtualPath};
use crate::job::Representation;
use crate::listing::{FactSet, Format};
use crate::log::Once;

/// What is the same for every session.
#[derive(Debug)]
pub struct Settings {
    /// The bits that new files and directories do not get.
    pub umask: u32,
    /// After which a silent session is closed; none: never.
    pub idle_timeout: Option<Duration>,
    /// Names of users and groups, and what this process may do.
    pub format: Arc<Format>,
    /// Whether there is TLS, and for what it is required.
    pub tls: Option<RequireTls>,
}

impl Settings {
    /// Whether nobody may log in over a connection in the clear.
    pub fn login_needs_tls(&self) -> bool {
        matches!(self.tls, Some(RequireTls::Login | RequireTls::All))
    }

    /// Whether no data may go in the clear.
    pub fn data_needs_tls(&self) -> bool {
        self.tls == Some(RequireTls::All)
    }
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// RFC 2228's C.
    Clear,
    /// RFC 2228's P: TLS.
    Private,
}

/// RFC 4217: what protects the two connections of a session.
#[derive(Clone, Debug)]
pub struct Security {
    pub control: Protection,
    pub data: Protection,
    /// What data connections have before PROT: TLS where the control connection began under it (implicit FTPS).
    data_at_first: Protection,
    /// Whether PBSZ was said, which RFC 2228 wants before PROT.
    pub buffer_size: BufferSize,
    /// The name in the client's certificate, which was verified.
    pub certified: Option<Vec<u8>>,
}

/// RFC 2228 section 3, PBSZ; under TLS it is always 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferSize {
    Unsaid,
    Said,
}

impl Security {
    /// Of a control connection in the clear, or of one that began under TLS (implicit, where data is private too).
    pub fn new(control: Protection) -> Security {
        Security { control, data: control, data_at_first: control, buffer_size: BufferSize::Unsaid, certified: None }
    }

    /// REIN: the control connection stays as it is; what was said about data is forgotten.
    pub fn reinitialize(&mut self) {
        self.data = self.data_at_first;
        self.buffer_size = BufferSize::Unsaid;
    }
}

/// RFC 959 section 5.1.1: which data connection the next transfer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataAddress {
    /// None was named since the last transfer.
    None,
    /// PASV or EPSV: the server listens.
    Passive,
    /// PORT or EPRT: the client listens.
    Active,
}

/// RFC 2428 section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataCommands {
    All,
    /// EPSV ALL: the client promised to use nothing else.
    OnlyEpsv,
}

/// RFC 959 section 4.1.2, less STRU and MODE, which have one value each.
#[derive(Clone, Copy, Debug)]
pub struct TransferParameters {
    pub representation: Representation,
    pub data_address: DataAddress,
    pub data_commands: DataCommands,
    /// REST; 0 where there is none.
    pub restart: u64,
}

impl Default for TransferParameters {
    fn default() -> TransferParameters {
        TransferParameters {
            representation: Representation::Ascii,
            data_address: DataAddress::None,
            data_commands: DataCommands::All,
            restart: 0,
        }
    }
}

/// A session that has logged in; lent whole to a helper when a command may wait.
#[derive(Debug)]
pub struct LoggedIn {
    pub account: Account,
    pub root: Root,
    /// The name of the working directory, without `.` and `..`.
    pub directory: VirtualPath,
    pub parameters: TransferParameters,
    /// RNFR's pathname, until the command behind it.
    pub rename: Option<VirtualPath>,
    pub umask: u32,
    pub facts: FactSet,
    pub idle_timeout: Option<Duration>,
    pub settings: Arc<Settings>,
    /// What the log was told since the login.
    pub told: Once,
    /// The client; our own address is of the same family.
    pub peer: IpAddr,
}

impl LoggedIn {
    /// A new session of `account`, in its root.
    pub fn new(account: Account, root: Root, settings: Arc<Settings>, peer: IpAddr) -> LoggedIn {
        LoggedIn {
            account,
            root,
            directory: VirtualPath::root(),
            parameters: TransferParameters::default(),
            rename: None,
            umask: settings.umask,
            facts: FactSet::default(),
            idle_timeout: settings.idle_timeout,
            settings,
            told: Once::default(),
            peer,
        }
    }

    /// Whether the user may.
    pub fn allows(&self, right: Right) -> bool {
        self.account.rights.allow(right)
    }

    /// Refuses what the user may not (550).
    pub fn need(&self, right: Right) -> Result<(), Refusal> {
        if self.allows(right) { Ok(()) } else { Err(Refusal::NotAllowed) }
    }

    /// The pathname that `argument` means from the working directory.
    pub fn path(&self, argument: &[u8]) -> Result<VirtualPath, Refusal> {
        Ok(self.directory.join(argument)?)
    }

    /// The mode of a new file.
    pub fn file_mode(&self) -> u32 {
        0o666 & !self.umask
    }
}
