//! Listeners: for control connections, and for one data connection.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use mio::event::Source;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::ports::{Lease, PortPool};
use super::{Stream, canonical};
use crate::limits::{BACKLOG, DATA_BACKLOG, KEEPALIVE, PASSIVE_PORT_TRIES, STRANGERS_PER_TURN};

/// Listens for control connections; at `[::]` for IPv4 ones as well.
///
/// What is set here is handed on to every connection: replies leave at once (`TCP_NODELAY`), silence is probed
/// (`SO_KEEPALIVE`), and urgent data stays in its place (`SO_OOBINLINE`; else the octet at the mark is lost, and ABOR
/// behind it is misread).
pub fn control_listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_out_of_band_inline(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Whether a listener is registered with the reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registered {
    Yes,
    No,
}

/// Listens for one data connection (RFC 959 section 3.2).
#[derive(Debug)]
pub struct DataListener {
    listener: TcpListener,
    lease: Lease,
    registered: Registered,
}

impl DataListener {
    /// Listens at a port of `pool` and at `local`'s address, the one that the client has reached already; nothing where
    /// there is no port to be had.
    pub fn new(local: SocketAddr, pool: &PortPool) -> Option<DataListener> {
        let (listener, lease) = pool.lend(PASSIVE_PORT_TRIES, |port| listen_at(local, port).ok())?;
        Some(DataListener { listener, lease, registered: Registered::No })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.lease.port()
    }

    /// The same, for the next data connection of its session, if ports are ample.
    pub fn keep(self) -> Option<DataListener> {
        self.lease.may_be_kept().then_some(self)
    }

    /// Drops connections that nobody has asked for, so that the next one is the right one. Nothing where there is no
    /// end of them.
    pub fn emptied(self) -> Option<DataListener> {
        for _ in 0..STRANGERS_PER_TURN {
            match self.listener.accept() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(self),
                Err(_) => return None,
            }
        }
        None
    }

    /// Takes the connection of `client`; others are dropped, of whom `tell` is told, and the listener goes on.
    ///
    /// # Errors
    /// `WouldBlock` where the client has not come yet.
    pub fn accept(&self, client: IpAddr, mut tell: impl FnMut(IpAddr)) -> io::Result<Stream> {
        for _ in 0..STRANGERS_PER_TURN {
            match self.listener.accept() {
                Ok((stream, from)) => {
                    let from = canonical(from);
                    if from.ip() == client {
                        return Ok(Stream::new(stream));
                    }
                    tell(from.ip());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
        // There may be more of them; the caller comes back.
        Err(io::ErrorKind::Interrupted.into())
    }

    /// Registers it, once.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if self.registered == Registered::No {
            self.listener.register(registry, token, Interest::READABLE)?;
            self.registered = Registered::Yes;
        }
        Ok(())
    }
}

fn listen_at(local: SocketAddr, port: u16) -> io::Result<TcpListener> {
    let address = match local {
        SocketAddr::V4(v4) => SocketAddr::new(IpAddr::V4(*v4.ip()), port),
        SocketAddr::V6(v6) => SocketAddr::V6(SocketAddrV6::new(*v6.ip(), port, 0, v6.scope_id())),
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    // Connections of the port's last owner may still linger.
    socket.set_reuse_address(true)?;
    // Handed on to the connection: see `Stream::uncork`.
    socket.set_tcp_cork(true)?;
    socket.bind(&address.into())?;
    socket.listen(DATA_BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}
