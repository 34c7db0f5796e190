//! A client that hides nothing: octets out, octets in, every reply as it came.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockRef, Socket, Type};

use super::{Data, PATIENCE, Reply, Tls, TlsStream, VERSIONS};

/// A control connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// TLS over it.
    tls: Option<TlsStream>,
    /// With which data connections are opened; nothing: in the clear.
    data_tls: Option<Tls>,
    received: Vec<u8>,
    /// Answers to Telnet requests that came between replies.
    pub telnet: Vec<u8>,
}

impl Client {
    /// Connects, and reads the greeting.
    pub fn connect(address: SocketAddr) -> Client {
        let mut client = Client::connect_silently(address);
        let greeting = client.read_reply();
        assert_eq!(greeting.code, 220, "{greeting}");
        client
    }

    /// Connects, and reads nothing.
    pub fn connect_silently(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts"))
    }

    /// A control connection that is up, of which nothing was read.
    pub fn over(stream: TcpStream) -> Client {
        patient(&stream);
        stream.set_nodelay(true).unwrap();
        Client { stream, tls: None, data_tls: None, received: Vec::new(), telnet: Vec::new() }
    }

    /// Connects, and goes on under TLS (AUTH TLS); the certificate is believed, whatever it is.
    pub fn secured(address: SocketAddr, tls: &Tls) -> Client {
        let mut client = Client::connect(address);
        client.start_tls(tls);
        client
    }

    /// Connects to where TLS begins at once (implicit FTPS), and reads the greeting.
    pub fn implicit(address: SocketAddr, tls: &Tls) -> Client {
        let mut client = Client::connect_silently(address);
        client.tls = Some(tls.over(client.stream.try_clone().unwrap()));
        let greeting = client.read_reply();
        assert_eq!(greeting.code, 220, "{greeting}");
        client
    }

    /// AUTH TLS and the handshake.
    pub fn start_tls(&mut self, tls: &Tls) {
        self.expect("AUTH TLS", 234);
        self.upgrade(tls).expect("the handshake comes to its end");
    }

    /// The handshake alone.
    pub fn upgrade(&mut self, tls: &Tls) -> io::Result<()> {
        assert!(self.received.is_empty(), "something came before the handshake");
        self.tls.insert(tls.over(self.stream.try_clone().unwrap())).handshake()
    }

    /// PBSZ and PROT P; from now on data connections are opened with `tls`.
    pub fn protect_data(&mut self, tls: &Tls) {
        self.expect("PBSZ 0", 200);
        self.expect("PROT P", 200);
        self.data_tls = Some(tls.clone());
    }

    /// How data connections are opened from now on, whatever the server was told.
    pub fn open_data_with(&mut self, tls: Option<&Tls>) {
        self.data_tls = tls.cloned();
    }

    /// The TLS of the control connection.
    pub fn tls(&mut self) -> &mut TlsStream {
        self.tls.as_mut().expect("the control connection is under TLS")
    }

    /// USER and PASS.
    pub fn log_in(&mut self, user: &str, password: &str) {
        self.expect(format!("USER {user}"), 331);
        self.expect(format!("PASS {password}"), 230);
    }

    /// Connects and logs in.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> Client {
        let mut client = Client::connect(address);
        let named = client.say(format!("USER {user}"));
        assert_eq!(named.code, 331, "{named}");
        let verdict = client.say(format!("PASS {password}"));
        assert_eq!(verdict.code, 230, "{verdict}");
        client
    }

    /// The same with both connections under TLS, 1.3 and 1.2 in turns, and in TYPE I.
    pub fn login_private(address: SocketAddr, user: &str, password: &str) -> Client {
        static SESSIONS: AtomicUsize = AtomicUsize::new(0);
        let tls = Tls::new(VERSIONS[SESSIONS.fetch_add(1, Ordering::Relaxed) % 2]);
        let mut client = Client::secured(address, &tls);
        client.log_in(user, password);
        client.protect_data(&tls);
        client.expect("TYPE I", 200);
        client
    }

    /// Connects and logs in as everybody may.
    pub fn anonymous(address: SocketAddr) -> Client {
        Client::login(address, "anonymous", "test@")
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) {
        let sent = match &mut self.tls {
            Some(tls) => tls.write_all(octets),
            None => self.stream.write_all(octets),
        };
        sent.expect("the control connection takes octets");
    }

    /// Sends octets of which the last is marked as urgent: Telnet's Synch (RFC 854). TLS knows of no urgent data.
    pub fn send_urgent(&mut self, octets: &[u8]) {
        if self.tls.is_some() {
            return self.send(octets);
        }
        assert_eq!(SockRef::from(&self.stream).send_out_of_band(octets).unwrap(), octets.len());
    }

    /// Sends a line and reads one reply.
    pub fn say(&mut self, line: impl AsRef<[u8]>) -> Reply {
        self.send_line(line);
        self.read_reply()
    }

    /// Sends a line and reads nothing.
    pub fn send_line(&mut self, line: impl AsRef<[u8]>) {
        self.send(&[line.as_ref(), b"\r\n"].concat());
    }

    /// Sends a line, and fails the test unless the reply has this code.
    pub fn expect(&mut self, line: impl AsRef<[u8]>, code: u16) -> Reply {
        let reply = self.say(&line);
        assert_eq!(reply.code, code, "{}: {reply}", line.as_ref().escape_ascii());
        reply
    }

    /// Reads the next reply, whole.
    pub fn read_reply(&mut self) -> Reply {
        self.try_read_reply().expect("a reply comes before the connection ends")
    }

    /// Reads the next reply; nothing where the connection ends before.
    pub fn try_read_reply(&mut self) -> Option<Reply> {
        let reply = self.await_reply();
        reply.unwrap_or_else(|error| panic!("no reply: {error}; so far {:?}", self.received.escape_ascii().to_string()))
    }

    /// Reads the next reply; nothing where the connection ends before.
    ///
    /// # Errors
    /// Nothing came in time.
    pub fn await_reply(&mut self) -> io::Result<Option<Reply>> {
        loop {
            self.take_telnet();
            if let Some(reply) = Reply::take(&mut self.received) {
                return Ok(Some(reply));
            }
            let mut piece = [0; 16 * 1024];
            match self.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(count) => self.received.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                // The end of another test's server (SIGCHLD) may find this thread the only one to wake.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(buffer),
            None => self.stream.read(buffer),
        }
    }

    /// Takes the answers to Telnet requests (`IAC WONT x`, `IAC DONT x`) from before the next reply.
    fn take_telnet(&mut self) {
        while let [255, 252 | 254, _, ..] = self.received.as_slice() {
            self.telnet.extend(self.received.drain(..3));
        }
    }

    /// Whether the server has closed: there is no octet left, and none comes. Under TLS it has said so (close_notify).
    pub fn closed(&mut self) -> bool {
        self.take_telnet();
        let mut piece = [0; 1];
        self.received.is_empty()
            && match self.read(&mut piece) {
                Ok(count) => count == 0,
                Err(error) => self.tls.is_none() && error.kind() == ErrorKind::ConnectionReset,
            }
    }

    /// Whether nothing comes within `time`.
    pub fn silent_for(&mut self, time: Duration) -> bool {
        if !self.received.is_empty() {
            return false;
        }
        self.stream.set_read_timeout(Some(time)).unwrap();
        let outcome = match &mut self.tls {
            // What comes is lost, and fails the test.
            Some(tls) => tls.read(&mut [0; 1]),
            None => self.stream.peek(&mut [0; 1]),
        };
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(outcome, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// EPSV, and connects where the reply says.
    pub fn epsv(&mut self) -> Data {
        let reply = self.expect("EPSV", 229);
        self.dial(self.epsv_address(&reply))
    }

    /// PASV, and connects where the reply says.
    pub fn pasv(&mut self) -> Data {
        let reply = self.expect("PASV", 227);
        self.dial(Client::pasv_address(&reply))
    }

    /// Connects a data connection.
    pub fn dial(&self, address: SocketAddr) -> Data {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the passive port accepts");
        patient(&stream);
        self.data(stream)
    }

    /// Waits for the server's data connection.
    pub fn accept(&self, listener: &TcpListener) -> Data {
        self.data(accept(listener))
    }

    fn data(&self, socket: TcpStream) -> Data {
        match &self.data_tls {
            Some(tls) => Data::tls(tls.over(socket)),
            None => Data::plain(socket),
        }
    }

    /// The address that a reply to EPSV means: the host is that of the control connection.
    pub fn epsv_address(&self, reply: &Reply) -> SocketAddr {
        let text = reply.text();
        let port = text.split("|||").nth(1).and_then(|rest| rest.split('|').next()).and_then(|port| port.parse().ok());
        SocketAddr::new(self.stream.peer_addr().unwrap().ip(), port.unwrap_or_else(|| panic!("no port in {text}")))
    }

    /// The address in a reply to PASV.
    pub fn pasv_address(reply: &Reply) -> SocketAddr {
        let text = reply.text();
        let inner = text.split('(').nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default();
        let numbers: Vec<u8> = inner.split(',').filter_map(|number| number.parse().ok()).collect();
        let [a, b, c, d, p, q] = numbers[..] else { panic!("no address in {text}") };
        SocketAddr::from(([a, b, c, d], u16::from_be_bytes([p, q])))
    }

    /// Listens for an active data connection, and tells the server where: PORT, or EPRT over IPv6.
    pub fn port_listener(&mut self) -> TcpListener {
        let own = self.stream.local_addr().unwrap().ip();
        let listener = TcpListener::bind((own, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        match own {
            IpAddr::V4(host) => {
                let [a, b, c, d] = host.octets();
                self.expect(format!("PORT {a},{b},{c},{d},{},{}", port >> 8, port & 0xff), 200);
            }
            IpAddr::V6(host) => drop(self.expect(format!("EPRT |2|{host}|{port}|"), 200)),
        }
        listener
    }

    /// RETR over EPSV: the octets and the last reply; no octets where it is refused.
    pub fn retrieve(&mut self, path: impl AsRef<[u8]>) -> (Vec<u8>, Reply) {
        self.fetch(&[b"RETR ", path.as_ref()].concat())
    }

    /// LIST, NLST or MLSD over EPSV: the text and the last reply.
    pub fn list(&mut self, line: impl AsRef<[u8]>) -> (String, Reply) {
        let (octets, reply) = self.fetch(line.as_ref());
        (String::from_utf8_lossy(&octets).into_owned(), reply)
    }

    /// Whatever sends octets over a data connection, over EPSV: the octets and the last reply.
    pub fn fetch(&mut self, line: &[u8]) -> (Vec<u8>, Reply) {
        let mut data = self.epsv();
        let reply = self.say(line);
        if reply.is_final() {
            return (Vec::new(), reply);
        }
        let octets = read_all(&mut data);
        (octets, self.read_reply())
    }

    /// STOR over EPSV: the last reply.
    pub fn store(&mut self, path: impl AsRef<[u8]>, content: &[u8]) -> Reply {
        self.put(&[b"STOR ", path.as_ref()].concat(), content)
    }

    /// STOR, STOU or APPE over EPSV: the last reply.
    pub fn put(&mut self, line: &[u8], content: &[u8]) -> Reply {
        let mut data = self.epsv();
        let reply = self.say(line);
        if reply.is_final() {
            return reply;
        }
        // A server that refuses midway may reset; what it replies is what counts.
        let _ = data.write_all(content).and_then(|()| data.shutdown(Shutdown::Write));
        drop(data);
        self.read_reply()
    }
}

/// Reads until the other end closes; under TLS it has said so before (close_notify).
pub fn read_all(stream: &mut impl Read) -> Vec<u8> {
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).expect("the data connection ends");
    octets
}

/// Waits for the server's connection.
pub fn accept(listener: &TcpListener) -> TcpStream {
    let time = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&time)), Ok(1), "the server does not connect");
    let (stream, _) = listener.accept().unwrap();
    patient(&stream);
    stream
}

/// A connection from another address of this machine: all of 127.0.0.0/8 is its own.
pub fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((IpAddr::from(source), 0)).into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect_timeout(&to.into(), PATIENCE).unwrap();
    socket.into()
}

/// Closes with a reset instead of an end (SO_LINGER 0).
pub fn reset(connection: impl Into<TcpStream>) {
    let stream: TcpStream = connection.into();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

fn patient(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
}
