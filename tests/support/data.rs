//! A data connection as a client sees it: in the clear, or under TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::tls::TlsStream;

/// A data connection. Under TLS its handshake begins with the first octet, or with [`Data::begin`].
///
/// A client has manners: it says the end of TLS where it has come to the end of a download, or closes. After an upload it
/// waits for the server's end as well, because whoever closes with octets unread (a ticket) throws away what he has sent
/// last.
#[derive(Debug)]
pub struct Data(Layer, Way);

/// Which way octets went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    None,
    Down,
    Up,
}

#[derive(Debug)]
enum Layer {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
    Taken,
}

impl Data {
    pub fn plain(socket: TcpStream) -> Data {
        Data(Layer::Plain(socket), Way::None)
    }

    pub fn tls(stream: TlsStream) -> Data {
        Data(Layer::Tls(Box::new(stream)), Way::None)
    }

    /// Carries out the handshake, where there is TLS.
    pub fn begin(&mut self) {
        self.try_begin().expect("the handshake of the data connection comes to its end");
    }

    /// Carries out the handshake, where there is TLS.
    pub fn try_begin(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Layer::Tls(stream) => stream.handshake(),
            _ => Ok(()),
        }
    }

    /// Waits until the server has sent something: then it knows that the connection is up.
    pub fn await_octets(&mut self) {
        match &mut self.0 {
            Layer::Tls(stream) => stream.await_octets().expect("something comes"),
            _ => assert_eq!(self.socket().peek(&mut [0; 1]).expect("something comes"), 1),
        }
    }

    /// Says that nothing more will be written, and closes: under TLS even a file of no octets has its handshake.
    pub fn finish(mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    /// As that of the socket; under TLS, close_notify comes first.
    pub fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        match &mut self.0 {
            Layer::Tls(stream) if how != Shutdown::Read => {
                stream.end_output()?;
                self.1 = Way::Up;
            }
            _ => {}
        }
        match how {
            Shutdown::Write if self.is_tls() => Ok(()),
            how => self.socket().shutdown(how),
        }
    }

    pub fn socket(&self) -> &TcpStream {
        match &self.0 {
            Layer::Plain(socket) => socket,
            Layer::Tls(stream) => stream.socket(),
            Layer::Taken => unreachable!("nothing holds it any more"),
        }
    }

    /// The connection without TLS, and without an end of it.
    pub fn into_socket(mut self) -> TcpStream {
        match std::mem::replace(&mut self.0, Layer::Taken) {
            Layer::Plain(socket) => socket,
            Layer::Tls(stream) => stream.into_socket(),
            Layer::Taken => unreachable!("nothing holds it any more"),
        }
    }

    /// The TLS of it.
    ///
    /// # Panics
    /// Where it is in the clear.
    pub fn stream(&mut self) -> &mut TlsStream {
        match &mut self.0 {
            Layer::Tls(stream) => stream,
            _ => panic!("it is in the clear"),
        }
    }

    pub fn is_tls(&self) -> bool {
        matches!(self.0, Layer::Tls(_))
    }

    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }
}

impl From<Data> for TcpStream {
    fn from(data: Data) -> TcpStream {
        data.into_socket()
    }
}

impl Read for Data {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Layer::Plain(socket) => socket.read(buffer),
            Layer::Tls(stream) => {
                let count = stream.read(buffer)?;
                if count == 0 && !buffer.is_empty() {
                    // The server may be gone by now.
                    let _ = stream.end_output();
                }
                self.1 = Way::Down;
                Ok(count)
            }
            Layer::Taken => unreachable!("nothing holds it any more"),
        }
    }
}

impl Write for Data {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Layer::Plain(socket) => socket.write(octets),
            Layer::Tls(stream) => {
                self.1 = Way::Up;
                stream.write(octets)
            }
            Layer::Taken => unreachable!("nothing holds it any more"),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Layer::Tls(stream) = &mut self.0
            && stream.is_up()
        {
            // The server may have left already.
            let _ = stream.end_output();
            if self.1 == Way::Up {
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
    }
}
