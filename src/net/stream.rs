//! One connection: octets in, octets out, and the kernel's ways around copying them.

use std::io::{self, Read, Write};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::tls::{self, Begun, Connection, HandshakeError, Kernel};
use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Whether a stream is registered with the reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registered {
    Yes,
    No,
}

/// What lies between the socket and the octets.
#[derive(Debug)]
enum Layer {
    Plain,
    Tls(Connection),
    /// The kernel encrypts what is written; what comes is not read any more, but for its end.
    Kernel,
}

/// A TCP connection that never waits, plain or under TLS.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    registered: Registered,
    layer: Layer,
}

/// For which direction something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer's octets.
    In,
    /// Room for ours.
    Out,
}

impl Stream {
    /// A connection that was accepted.
    pub fn new(socket: TcpStream) -> Stream {
        Stream { socket, registered: Registered::No, layer: Layer::Plain }
    }

    /// Lets segments leave that are not full. A data connection begins corked (TCP_CORK, tcp(7)): all of a small file
    /// leaves in one segment together with the end of the connection. What comes in many pieces goes better without.
    pub fn uncork(&self) {
        // Corked it works as well, and later.
        let _ = SockRef::from(&self.socket).set_tcp_cork(false);
    }

    /// Puts TLS between the socket and the octets; the handshake is next.
    pub fn secure(&mut self, connection: Connection) {
        self.layer = Layer::Tls(connection);
    }

    /// Whether the peer has sent the first octet of its handshake.
    pub fn begun(&self) -> Begun {
        match self.socket.peek(&mut [0]) {
            Ok(count) if count > 0 => Begun::Already,
            _ => Begun::NotYet,
        }
    }

    /// Goes on with the handshake; where it has to wait, says for what.
    pub fn handshake(&mut self) -> Result<Option<Direction>, HandshakeError> {
        let Layer::Tls(tls) = &mut self.layer else { return Ok(None) };
        match tls.handshake(&mut self.socket) {
            Ok(()) => Ok(None),
            Err(HandshakeError::Failed(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(Some(if tls.wants_write() { Direction::Out } else { Direction::In }))
            }
            Err(error) => Err(error),
        }
    }

    /// The TLS connection, if there is one.
    pub fn tls(&self) -> Option<&Connection> {
        match &self.layer {
            Layer::Tls(tls) => Some(tls),
            Layer::Plain | Layer::Kernel => None,
        }
    }

    /// Lets the kernel encrypt what is written from here on, if it can.
    ///
    /// # Errors
    /// It could, and did not; the stream is of no further use.
    pub fn hand_over(&mut self, kernel: &Kernel) -> io::Result<()> {
        if !self.tls().is_some_and(|tls| tls.suits(kernel)) {
            return Ok(());
        }
        if tls::prepare_kernel(&self.socket).is_err() {
            // A connection that is half closed already cannot be handed over: it goes on as it is.
            return Ok(());
        }
        match mem::replace(&mut self.layer, Layer::Kernel) {
            Layer::Tls(tls) => tls.hand_over(&self.socket),
            Layer::Plain | Layer::Kernel => Ok(()),
        }
    }

    /// Whether octets go over the network as they are.
    pub fn is_plain(&self) -> bool {
        matches!(self.layer, Layer::Plain)
    }

    /// Whether the kernel can send files by itself.
    pub fn sends_files(&self) -> bool {
        matches!(self.layer, Layer::Plain | Layer::Kernel)
    }

    /// Registers it, once, for both directions and for urgent data.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if self.registered == Registered::No {
            let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
            self.socket.register(registry, token, interest)?;
            self.registered = Registered::Yes;
        }
        Ok(())
    }

    /// Whether the peer has closed its side, or all of it, whatever it said before.
    pub fn has_ended(&self) -> bool {
        let mut socket = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut socket, Some(&at_once)).is_ok_and(|count| count > 0)
    }

    /// Whether the peer has answered with a reset what was sent to it.
    pub fn was_reset(&self) -> bool {
        !matches!(self.socket.take_error(), Ok(None))
    }

    /// The address of this end.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Whether a connection that was begun with [`dial`] is up.
    ///
    /// # Errors
    /// `WouldBlock` while it is not known, else why it failed.
    pub fn connected(&self) -> io::Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
            other => other.map(drop),
        }
    }

    /// Reads what has come; 0 is the end.
    ///
    /// # Errors
    /// Under TLS, `UnexpectedEof` where the end was not announced: what came may not be all.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Plain | Layer::Kernel => retry(|| self.socket.read(buffer)),
            Layer::Tls(tls) => retry(|| tls.read(&mut self.socket, buffer)),
        }
    }

    /// Writes what fits. Under TLS some of it may wait to be sent: [`Stream::flush`].
    pub fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Plain | Layer::Kernel => retry(|| self.socket.write(octets)),
            Layer::Tls(tls) => retry(|| tls.write(&mut self.socket, octets)),
        }
    }

    /// Sends what waits to be sent.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.layer {
            Layer::Plain | Layer::Kernel => Ok(()),
            Layer::Tls(tls) => tls.flush(&mut self.socket),
        }
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// `WouldBlock` while that is not sent.
    pub fn end_output(&mut self) -> io::Result<()> {
        match &mut self.layer {
            Layer::Plain => {}
            Layer::Tls(tls) => tls.close(&mut self.socket)?,
            Layer::Kernel => tls::close_by_kernel(&self.socket)?,
        }
        self.socket.shutdown(std::net::Shutdown::Write)
    }

    /// Moves up to `count` octets that have come into a pipe, without copying them.
    pub fn move_into(&self, pipe: &Pipe, count: usize) -> Result<usize, Errno> {
        splice(self, None, &pipe.write, None, count, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)
    }

    /// Sends up to `count` octets out of a pipe, without copying them.
    pub fn take_from(&self, pipe: &Pipe, count: usize) -> Result<usize, Errno> {
        splice(&pipe.read, None, self, None, count, SpliceFlags::NONBLOCK)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
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
        socket.set_tcp_cork(true)?;
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

/// A pipe through which octets go between a socket and a file without being copied. It is empty between two uses.
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

    /// The end into which octets go.
    pub fn input(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }

    /// The end from which octets come out.
    pub fn output(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
