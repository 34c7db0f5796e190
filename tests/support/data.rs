//! A data connection as a client sees it: in the clear, or under TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::tls::TlsStream;

/// A data connection. Under TLS its handshake begins with the first octet, or with [`Data::begin`]; when it is dropped,
/// close_notify is sent, as long as there was a handshake.
#[derive(Debug)]
pub struct Data(Layer);

#[derive(Debug)]
enum Layer {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
    Taken,
}

impl Data {
    pub fn plain(socket: TcpStream) -> Data {
        Data(Layer::Plain(socket))
    }

    pub fn tls(stream: TlsStream) -> Data {
        Data(Layer::Tls(Box::new(stream)))
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

    /// Says that nothing more will be written, and closes: under TLS even a file of no octets has its handshake.
    pub fn finish(mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    /// As that of the socket; under TLS, close_notify comes first.
    pub fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        match &mut self.0 {
            Layer::Tls(stream) if how != Shutdown::Read => stream.end_output()?,
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
            Layer::Tls(stream) => stream.read(buffer),
            Layer::Taken => unreachable!("nothing holds it any more"),
        }
    }
}

impl Write for Data {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Layer::Plain(socket) => socket.write(octets),
            Layer::Tls(stream) => stream.write(octets),
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
        }
    }
}
