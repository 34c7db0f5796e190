//! One session that waits for everything, in the clear or under TLS: for the checks, for NOOP, and for RETR under TLS.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::RecvFlags;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How much is received at once. With `MSG_TRUNC` nothing is written there.
const RECEIVE_OCTETS: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// The certificate of all servers, and a client that believes in it.
pub struct Certificate {
    /// It and its key, in PEM.
    pub file: PathBuf,
    pub client: Arc<ClientConfig>,
}

impl Certificate {
    /// Makes one, in `directory`. The client knows one way to encrypt, so that all servers do the same work.
    pub fn new(directory: &Path) -> Certificate {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let file = directory.join("certificate.pem");
        std::fs::write(&file, made.cert.pem() + &made.signing_key.serialize_pem()).expect("it can be written");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("it is one");
        let mut provider: CryptoProvider = ring::default_provider();
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            name.ends_with("AES_128_GCM_SHA256")
        });
        let client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("both versions have that suite")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Certificate { file, client: Arc::new(client) }
    }
}

/// A control connection, or a data connection whose octets are looked at.
enum Channel {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

pub struct Client {
    server: SocketAddr,
    control: Channel,
    /// Octets of replies that came and were not yet read.
    held: Vec<u8>,
    tls: Option<Arc<ClientConfig>>,
    buffer: Vec<u8>,
}

impl Client {
    /// A session that has logged in and moves octets as they are; all of it under TLS where `tls` says how.
    pub fn login(server: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Client> {
        // Each session has a memory of its own: a ticket of another server, or session, is a stranger's.
        let tls = tls.map(|config| {
            let mut own = ClientConfig::clone(config);
            own.resumption = Resumption::in_memory_sessions(32);
            Arc::new(own)
        });
        let control = open(server)?;
        control.set_nodelay(true)?;
        let control = Channel::Plain(control);
        let mut client = Client { server, control, held: Vec::new(), tls: tls.clone(), buffer: Vec::new() };
        client.reply("220")?;
        if let Some(config) = &tls {
            client.ask("AUTH TLS", "234")?;
            let Channel::Plain(stream) = client.control else { unreachable!("it began so") };
            client.control = Channel::Tls(Box::new(encrypt(config, stream)?));
        }
        client.ask("USER bench", "331")?;
        client.ask("PASS bench", "230")?;
        if tls.is_some() {
            client.ask("PBSZ 0", "200")?;
            client.ask("PROT P", "200")?;
        }
        client.ask("TYPE I", "200")?;
        Ok(client)
    }

    /// Sends a command, and waits for its reply.
    pub fn ask(&mut self, command: &str, code: &str) -> io::Result<String> {
        self.control.write_all(format!("{command}\r\n").as_bytes())?;
        self.reply(code)
    }

    fn reply(&mut self, code: &str) -> io::Result<String> {
        loop {
            while let Some(end) = self.held.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                // Lines before the last have a hyphen there, or no code (RFC 959 section 4.2).
                if line.len() > 3 && line[..3].iter().all(u8::is_ascii_digit) && line[3] == b' ' {
                    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                    let as_wanted = line.starts_with(code);
                    return if as_wanted { Ok(line) } else { Err(other(format!("{line:?} instead of {code}"))) };
                }
            }
            let mut buffer = [0; 512];
            let count = self.control.read(&mut buffer)?;
            if count == 0 {
                return Err(other(format!("the server closed instead of {code}")));
            }
            self.held.extend_from_slice(&buffer[..count]);
        }
    }

    /// EPSV, the connection, the command and its first reply.
    fn begin(&mut self, command: &str) -> io::Result<TcpStream> {
        let reply = self.ask("EPSV", "229")?;
        let port = reply.split('|').nth(3).and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| other(format!("no port in {reply:?}")))?;
        let data = open(SocketAddr::new(self.server.ip(), port))?;
        self.ask(command, "1")?;
        Ok(data)
    }

    /// Receives what `command` sends into `sink`.
    pub fn receive_into(&mut self, command: &str, sink: &mut impl Write) -> io::Result<u64> {
        let data = self.begin(command)?;
        let mut data = match &self.tls {
            Some(config) => Channel::Tls(Box::new(encrypt(config, data)?)),
            None => Channel::Plain(data),
        };
        let mut buffer = vec![0; 64 * 1024];
        let mut received = 0;
        loop {
            match data.read(&mut buffer) {
                // Not every server says close_notify.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Ok(0) => break,
                count => {
                    let count = count?;
                    sink.write_all(&buffer[..count])?;
                    received += count as u64;
                }
            }
        }
        if let Channel::Tls(tls) = &mut data {
            tls.conn.send_close_notify();
            let _ = tls.conn.write_tls(&mut tls.sock);
        }
        drop(data);
        self.reply("2")?;
        Ok(received)
    }

    /// The same, and drops it in the kernel: no copy, and under TLS nothing is decrypted but the beginning, in which
    /// there are the tickets for the next data connection.
    ///
    /// At least `size` octets are to come.
    pub fn discard(&mut self, command: &str, size: u64) -> io::Result<u64> {
        let mut data = self.begin(command)?;
        self.buffer.resize(RECEIVE_OCTETS, 0);
        let mut received = 0;
        let mut tls = match &self.tls {
            Some(config) => {
                let mut secure = encrypt(config, data)?;
                received += secure.read(&mut self.buffer)? as u64;
                data = secure.sock;
                Some(secure.conn)
            }
            None => None,
        };
        loop {
            let count = match rustix::net::recv(&data, &mut *self.buffer, RecvFlags::TRUNC).map_err(io::Error::from) {
                // Nothing more comes: it may be that the server waits for our close_notify before it closes.
                Err(error) if error.kind() == ErrorKind::WouldBlock && tls.is_some() && received >= size => {
                    say_goodbye(&mut tls, &mut data);
                    data.set_read_timeout(Some(PATIENCE))?;
                    continue;
                }
                count => count?.1,
            };
            if count == 0 {
                break;
            }
            received += count as u64;
            if received >= size && tls.is_some() {
                data.set_read_timeout(Some(Duration::from_millis(2)))?;
            }
        }
        say_goodbye(&mut tls, &mut data);
        drop(data);
        self.reply("2")?;
        Ok(received)
    }

    /// Uploads the whole of `source`, in the clear.
    pub fn store(&mut self, name: &str, source: &File) -> io::Result<()> {
        let data = self.begin(&format!("STOR {name}"))?;
        let mut offset = 0;
        while rustix::fs::sendfile(&data, source, Some(&mut offset), RECEIVE_OCTETS)? > 0 {}
        drop(data);
        self.reply("2").map(drop)
    }

    /// The control connection, where it is in the clear; every reply has been read from it.
    pub fn control(&self) -> Option<&TcpStream> {
        match &self.control {
            Channel::Plain(stream) if self.held.is_empty() => Some(stream),
            _ => None,
        }
    }

    /// How the control connection is encrypted.
    pub fn suite(&self) -> String {
        match &self.control {
            Channel::Plain(_) => "none".to_owned(),
            Channel::Tls(tls) => {
                let suite = tls.conn.negotiated_cipher_suite();
                suite.map_or("unknown".to_owned(), |suite| format!("{:?}", suite.suite()))
            }
        }
    }
}

/// Says close_notify, once. Whether it arrives is the server's business.
fn say_goodbye(tls: &mut Option<ClientConnection>, data: &mut TcpStream) {
    if let Some(mut tls) = tls.take() {
        tls.send_close_notify();
        let _ = tls.write_tls(data);
    }
}

fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn encrypt(config: &Arc<ClientConfig>, stream: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("localhost").expect("it is a name");
    let mut tls = StreamOwned::new(ClientConnection::new(config.clone(), name).map_err(io::Error::other)?, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(stream) => stream.read(buffer),
            Channel::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(stream) => stream.write(octets),
            Channel::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Channel::Plain(stream) => stream.flush(),
            Channel::Tls(stream) => stream.flush(),
        }
    }
}

fn other(what: String) -> io::Error {
    io::Error::other(what)
}
