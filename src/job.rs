//! The words that the protocol interpreter and the data transfer process share: what to move, and what became of it.
//!
//! No behaviour here. The interpreter makes a [`Job`] and gets a [`Report`] back; it never sees a socket, and the
//! transfer process never sees a command.

use crate::fs::{self, Placement, Root, Source, VirtualPath};
use crate::listing::{Cut, Listing};

/// RFC 959 section 3.1.1: how data is represented on the data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// TYPE A: lines that end with CRLF on the wire and LF on disk.
    Ascii,
    /// TYPE I: octets as they are.
    Image,
}

/// What to do with the data connection.
#[derive(Debug)]
pub enum Job {
    /// Send a file that is open, from `offset` on.
    Send { path: VirtualPath, source: Source, offset: u64, representation: Representation },
    /// Receive into a file that is opened once the data connection is up.
    Receive(Box<Receive>),
    /// Send a listing.
    List { listing: Box<Listing> },
}

/// What a [`Job::Receive`] needs.
#[derive(Debug)]
pub struct Receive {
    pub root: Root,
    pub path: VirtualPath,
    pub placement: Placement,
    /// The mode of a new file.
    pub mode: u32,
    pub representation: Representation,
}

/// What became of a transfer.
#[derive(Debug)]
pub struct Report {
    pub outcome: Result<(), Failure>,
    /// Octets that went over the data connection.
    pub octets: u64,
}

/// Why a transfer did not come to its end.
#[derive(Debug)]
pub enum Failure {
    /// The data connection did not come up; why.
    NoConnection(&'static str),
    /// The data connection did not resume the TLS session of the control connection.
    NotReused,
    /// The TLS handshake of the data connection failed.
    Handshake,
    /// The data connection ended without close_notify: what came may not be all.
    Truncated,
    /// ABOR said so.
    Aborted,
    /// The client closed or reset the data connection.
    ConnectionLost,
    /// Nothing moved for too long.
    Stalled,
    /// Too little moved for too long.
    TooSlow,
    /// The file became shorter than it was when the transfer began.
    Shrunk,
    /// The file, or the disk under it.
    File(fs::Error),
    /// A listing was longer than one may be; what there was room for was sent.
    Cut(Cut),
    /// The server is stopping.
    Stopping,
}
