//! The protocol interpreter in this process, with a driver that plays the server's part: no socket, no clock, no thread.
//!
//! What the interpreter asks for is done at once, but for a transfer: its job is held until the test says what becomes
//! of it. File data moves by means of `std`, so that the interpreter is compared with something else than itself.

#![allow(dead_code)]

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferryd::account::{Account, Credentials, Proof, Rights};
use ferryd::fs::{Disks, Owners, Patience, Placement, ProcessIds, Root, Symlinks, VirtualPath};
use ferryd::job::{Failure, Job, Receive, Report, Representation};
use ferryd::listing::{Fill, Format, Listing};
use ferryd::protocol::state::{Protection, Settings};
use ferryd::protocol::{Action, Interpreter};

use crate::support::Reply;

/// Where the passive port is said to be.
pub const PASSIVE_PORT: u16 = 40_000;

/// What happened to the control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Open,
    Closed,
}

/// An interpreter and what a server would hold for it.
#[derive(Debug)]
pub struct Inside {
    pub interpreter: Interpreter,
    tree: PathBuf,
    /// The transfer that runs.
    pub job: Option<Job>,
    pub connection: Connection,
    received: Vec<u8>,
}

impl Inside {
    /// A new session over `tree`, its greeting unread. `local` is the server's end of the control connection.
    pub fn new(tree: &Path, local: SocketAddr) -> Inside {
        let peer = SocketAddr::new(local.ip(), 50_000);
        Inside {
            interpreter: Interpreter::new(settings(), local, peer, Protection::Clear),
            tree: tree.to_owned(),
            job: None,
            connection: Connection::Open,
            received: Vec::new(),
        }
    }

    /// Takes octets from the client, and does what follows from them.
    pub fn send(&mut self, octets: &[u8]) {
        self.interpreter.receive(octets);
        self.work();
    }

    /// Sends a line and reads one reply.
    pub fn say(&mut self, line: &str) -> Option<Reply> {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    /// The next whole reply that was written.
    pub fn reply(&mut self) -> Option<Reply> {
        self.work();
        let output = self.interpreter.output();
        self.received.extend_from_slice(output);
        let count = output.len();
        self.interpreter.sent(count);
        while let [255, 252 | 254, _, ..] = self.received.as_slice() {
            self.received.drain(..3);
        }
        Reply::take(&mut self.received)
    }

    /// Whether it was closed and nothing is left to read.
    pub fn is_closed(&mut self) -> bool {
        self.connection == Connection::Closed && self.interpreter.output().is_empty() && self.received.is_empty()
    }

    /// Does what the interpreter asks for until it asks for nothing.
    pub fn work(&mut self) {
        while let Some(action) = self.interpreter.next_action() {
            match action {
                Action::Check(credentials) => self.interpreter.verdict(account(&self.tree, &credentials)),
                Action::Defer(mut deferred) => {
                    deferred.run();
                    self.interpreter.returned(*deferred);
                }
                Action::Listen(_) => {
                    self.interpreter.listening(Ok(SocketAddr::from(([127, 0, 0, 1], PASSIVE_PORT))));
                }
                Action::Transfer(job) => self.job = Some(*job),
                Action::Abort => self.finish(Err(Failure::Aborted)),
                Action::Status => self.interpreter.status("No data connection".to_owned()),
                Action::Secure => self.interpreter.secured(None),
                Action::Dial(_) | Action::CloseData | Action::LogOut => {}
                Action::Close => self.connection = Connection::Closed,
            }
        }
    }

    /// Tells the interpreter what became of the transfer.
    pub fn finish(&mut self, outcome: Result<(), Failure>) {
        if self.job.take().is_some() {
            self.interpreter.finished(&Report { outcome, octets: 0 });
        }
    }

    /// Carries out a job that sends: the octets.
    pub fn read_data(&mut self) -> Result<Vec<u8>, String> {
        let octets = match &mut self.job {
            Some(Job::Send { path, offset, representation, .. }) => {
                let content = fs::read(host_path(&self.tree, path)).map_err(|error| error.to_string())?;
                let rest = content.get(*offset as usize..).unwrap_or_default();
                on_the_wire(rest, *representation)
            }
            Some(Job::List { listing }) => read_listing(listing)?,
            other => return Err(format!("no transfer that sends: {other:?}")),
        };
        self.finish(Ok(()));
        self.work();
        Ok(octets)
    }

    /// Carries out a job that receives.
    pub fn write_data(&mut self, octets: &[u8]) -> Result<(), String> {
        let Some(Job::Receive(job)) = &self.job else {
            return Err(format!("no transfer that receives: {:?}", self.job));
        };
        store(&self.tree, job, octets).map_err(|error| error.to_string())?;
        self.finish(Ok(()));
        self.work();
        Ok(())
    }
}

/// `bob` may do all; anybody else's name is the text of his rights. The password is `secret`.
pub fn account(tree: &Path, credentials: &Credentials) -> Option<(Account, Root)> {
    let name = String::from_utf8(credentials.user.clone()).ok()?;
    let rights = Rights::parse(if name == "bob" { "rw" } else { &name }).ok()?;
    if !matches!(&credentials.proof, Proof::Password(password) if password.expose() == b"secret") {
        return None;
    }
    Some((Account { name, rights, root: tree.to_owned(), rate: None, anonymous: false }, open_root(tree)))
}

fn open_root(tree: &Path) -> Root {
    let disks = Arc::new(Disks::probe(Symlinks::Inside).expect("the kernel has openat2"));
    let mut root = Root::open(tree, &disks, Patience::MayWait).expect("the tree is there");
    root.set_patience(Patience::CachedOnly);
    root
}

/// The settings of the server's defaults.
pub fn settings() -> Arc<Settings> {
    let format = Arc::new(Format { owners: Owners::load(), process: ProcessIds::current() });
    Arc::new(Settings { umask: 0o022, idle_timeout: Some(Duration::from_secs(300)), format, tls: None })
}

fn host_path(tree: &Path, path: &VirtualPath) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let path = path.normalized();
    let relative = path.as_bytes().strip_prefix(b"/").unwrap_or(path.as_bytes());
    tree.join(std::ffi::OsStr::from_bytes(relative))
}

/// RFC 959 section 3.1.1.1: in TYPE A a line ends with CRLF.
fn on_the_wire(octets: &[u8], representation: Representation) -> Vec<u8> {
    match representation {
        Representation::Image => octets.to_vec(),
        Representation::Ascii => {
            let lines = octets.split(|octet| *octet == b'\n');
            lines.collect::<Vec<_>>().join(&b"\r\n"[..])
        }
    }
}

fn on_the_disk(octets: &[u8], representation: Representation) -> Vec<u8> {
    match representation {
        Representation::Image => octets.to_vec(),
        Representation::Ascii => String::from_utf8_lossy(octets).replace("\r\n", "\n").into_bytes(),
    }
}

fn read_listing(listing: &mut Listing) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    loop {
        let mut piece = Vec::new();
        let fill = listing.fill(&mut piece, Patience::MayWait).map_err(|error| error.to_string())?;
        octets.append(&mut piece);
        if fill != Fill::More {
            return Ok(octets);
        }
    }
}

fn store(tree: &Path, job: &Receive, octets: &[u8]) -> std::io::Result<()> {
    let octets = on_the_disk(octets, job.representation);
    let mut options = fs::OpenOptions::new();
    match job.placement {
        Placement::New => options.write(true).create_new(true),
        Placement::Truncate => options.write(true).create(true).truncate(true),
        Placement::At(_) => options.write(true),
        Placement::Append => options.append(true).create(true),
    };
    let mut file = options.open(host_path(tree, &job.path))?;
    if let Placement::At(position) = job.placement {
        file.seek(SeekFrom::Start(position))?;
    }
    file.write_all(&octets)
}
