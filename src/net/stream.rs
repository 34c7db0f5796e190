//! One connection: octets in, octets out, and the kernel's ways around copying them.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use socket2::{Domain, Protocol, Socket, Type};

/// Whether a stream is registered with the reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registered {
    Yes,
    No,
}

/// A TCP connection that never waits.
#[derive(Debug)]
pub struct Stream {
    stream: TcpStream,
    registered: Registered,
}

impl Stream {
    /// A connection that was accepted.
    pub fn new(stream: TcpStream) -> Stream {
        Stream { stream, registered: Registered::No }
    }

    /// Registers it, once, for both directions and for urgent data.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if self.registered == Registered::No {
            let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
            self.stream.register(registry, token, interest)?;
            self.registered = Registered::Yes;
        }
        Ok(())
    }

    /// The address of this end.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Whether a connection that was begun with [`dial`] is up.
    ///
    /// # Errors
    /// `WouldBlock` while it is not known, else why it failed.
    pub fn connected(&self) -> io::Result<()> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
            other => other.map(drop),
        }
    }

    /// Reads what has come.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| self.stream.read(buffer))
    }

    /// Writes what fits.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        retry(|| self.stream.write(octets))
    }

    /// Says that nothing more will be written.
    pub fn end_output(&self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)
    }

    /// Moves up to `count` octets that have come into a pipe, without copying them.
    pub fn move_into(&self, pipe: &Pipe, count: usize) -> Result<usize, Errno> {
        splice(self, None, &pipe.write, None, count, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Begins to connect to `peer` from `local`'s address: from port `port` if this process may have it, else from any
/// (RFC 959 section 3.3: the default data port is the one below the control port).
pub fn dial(local: SocketAddr, port: u16, peer: SocketAddr) -> io::Result<Stream> {
    let from = |port| {
        let socket = Socket::new(Domain::for_address(peer), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        let mut address = local;
        address.set_port(port);
        socket.bind(&address.into())?;
        match socket.connect(&peer.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
            _ => Ok(Stream::new(TcpStream::from_std(socket.into()))),
        }
    };
    match port {
        0 => from(0),
        port => from(port).or_else(|_| from(0)),
    }
}

/// A pipe through which octets go from a socket to a file without being copied. It is empty between two uses.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    octets: usize,
}

impl Pipe {
    /// A pipe for `octets`, or for as many as this user may have.
    pub fn new(octets: usize) -> Result<Pipe, Errno> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let octets = fcntl_setpipe_size(&write, octets).or_else(|_| rustix::pipe::fcntl_getpipe_size(&write))?;
        Ok(Pipe { read, write, octets })
    }

    /// How many octets it can hold.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Reads what is in it.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        rustix::io::read(&self.read, buffer)
    }

    /// The end from which octets come out.
    pub fn output(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
