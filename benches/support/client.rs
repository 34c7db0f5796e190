//! A small FTP client that costs little: what it receives is dropped in the kernel, what it sends is never copied.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::RecvFlags;

/// How much is received at once. With `MSG_TRUNC` nothing is written there.
const RECEIVE_OCTETS: usize = 1 << 20;

/// A session; every command must be answered as expected, or the bench ends.
pub struct Client {
    control: TcpStream,
    /// Octets of replies that came and were not yet read.
    held: Vec<u8>,
    /// Where received data would be, if it were not dropped in the kernel.
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, and waits for the greeting.
    pub fn connect(server: SocketAddr) -> Client {
        let control = TcpStream::connect(server).expect("the server accepts");
        control.set_nodelay(true).expect("TCP_NODELAY");
        control.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let mut client = Client { control, held: Vec::new(), buffer: Vec::new() };
        client.expect("220");
        client
    }

    /// Connects and logs in.
    pub fn login(server: SocketAddr) -> Client {
        let mut client = Client::connect(server);
        client.ask("USER bench", "331");
        client.ask("PASS bench", "230");
        client
    }

    /// The same, ready to move files.
    pub fn image(server: SocketAddr) -> Client {
        let mut client = Client::login(server);
        client.ask("TYPE I", "200");
        client
    }

    /// Sends a command, and waits for its reply.
    pub fn ask(&mut self, command: &str, code: &str) -> String {
        self.control.write_all(format!("{command}\r\n").as_bytes()).expect("the control connection is up");
        self.expect(code)
    }

    /// Says QUIT, and waits until the server has closed.
    pub fn quit(mut self) {
        self.ask("QUIT", "221");
        assert_eq!(self.control.read(&mut [0; 64]).expect("the server closes"), 0);
    }

    /// Waits for a reply of one line.
    fn expect(&mut self, code: &str) -> String {
        loop {
            if let Some(end) = self.held.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                assert!(line.starts_with(code) && line[3..].starts_with(' '), "wanted {code}, got {line:?}");
                return line;
            }
            let mut buffer = [0; 512];
            let count = self.control.read(&mut buffer).expect("a reply in time");
            assert!(count > 0, "the server closed instead of {code}");
            self.held.extend_from_slice(&buffer[..count]);
        }
    }

    /// `229 Entering Extended Passive Mode (|||PORT|)` (RFC 2428 section 3).
    fn open_data(&mut self) -> TcpStream {
        let reply = self.ask("EPSV", "229");
        let port = reply.split('|').nth(3).and_then(|port| port.parse().ok()).expect("a port");
        let mut address = self.control.peer_addr().expect("it is connected");
        address.set_port(port);
        TcpStream::connect(address).expect("the passive port accepts")
    }

    /// Downloads, and drops what comes; gives back how much came.
    pub fn retrieve(&mut self, name: &str) -> u64 {
        let data = self.begin_retrieve(name);
        let mut received = 0;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(RECEIVE_OCTETS, 0);
        while let count @ 1.. = discard(&data, &mut buffer) {
            received += count;
        }
        self.buffer = buffer;
        self.expect("226");
        received
    }

    fn begin_retrieve(&mut self, name: &str) -> TcpStream {
        let data = self.open_data();
        self.ask(&format!("RETR {name}"), "150");
        data
    }

    /// Downloads with all `clients` at once, in one thread: a thread for each would cost more than the server does.
    pub fn retrieve_together(clients: &mut [Client], name: &str) -> u64 {
        let streams: Vec<TcpStream> = clients.iter_mut().map(|client| client.begin_retrieve(name)).collect();
        let mut running: Vec<usize> = (0..streams.len()).collect();
        let mut buffer = vec![0; RECEIVE_OCTETS];
        let mut received = 0;
        while !running.is_empty() {
            let mut waiting: Vec<PollFd> =
                running.iter().map(|&number| PollFd::new(&streams[number], PollFlags::IN)).collect();
            rustix::event::poll(&mut waiting, None).expect("poll");
            let ready: Vec<bool> = waiting.iter().map(|one| !one.revents().is_empty()).collect();
            let mut ready = ready.into_iter();
            running.retain(|&number| {
                let count =
                    if ready.next() == Some(true) { discard(&streams[number], &mut buffer) } else { return true };
                received += count;
                count > 0
            });
        }
        clients.iter_mut().for_each(|client| drop(client.expect("226")));
        received
    }

    /// Downloads into `sink`.
    pub fn retrieve_into(&mut self, name: &str, sink: &mut impl Write) -> u64 {
        let mut data = self.begin_retrieve(name);
        let received = std::io::copy(&mut data, sink).expect("data comes");
        self.expect("226");
        received
    }

    /// Uploads the whole of `source` by `sendfile`.
    pub fn store(&mut self, name: &str, source: &File) {
        let data = self.open_data();
        self.ask(&format!("STOR {name}"), "150");
        let mut offset = 0;
        while rustix::fs::sendfile(&data, source, Some(&mut offset), RECEIVE_OCTETS).expect("data goes") > 0 {}
        drop(data);
        self.expect("226");
    }
}

/// Receives what is there, and lets the kernel drop it: `MSG_TRUNC` on TCP copies nothing (tcp(7)).
fn discard(data: &TcpStream, buffer: &mut [u8]) -> u64 {
    let (_, count) = rustix::net::recv(data, buffer, RecvFlags::TRUNC).expect("data comes");
    count as u64
}
