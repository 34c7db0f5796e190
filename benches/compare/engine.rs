//! The load: any number of sessions in one thread, each of which follows a script.
//!
//! What is received is dropped in the kernel, what is sent is never copied, and nothing is waited for that is there
//! already. One session alone has blocking sockets, and its script is the same.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::RecvFlags;
use socket2::{Domain, Socket, Type};

/// How much is moved at once. With `MSG_TRUNC` nothing is written there.
const TURN_OCTETS: usize = 1 << 20;
/// Receives of one session before the others have their turn.
const TURN_RECEIVES: usize = 4;
/// For how long nothing at all may happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so many failures a run ends: a server that refuses everything is not asked for ever.
const FAILURES_MAX: u64 = 1_000;

/// One thing to do.
pub enum Step {
    /// A new control connection.
    Connect,
    /// A reply that begins so.
    Reply(&'static str),
    Say(String),
    /// A data connection to the port of the last reply, that of EPSV (RFC 2428).
    Dial,
    /// A data connection to the server itself, as a bare program wants it.
    DialServer,
    /// Receive data until its end.
    Drain,
    /// Send the engine's source, and end.
    Pour,
    /// The end of the control connection.
    Closed,
}

/// Scripts.
pub mod scripts {
    use super::Step::{self, Closed, Connect, Dial, DialServer, Drain, Pour, Reply, Say};

    /// A session that has logged in.
    pub fn login() -> Vec<Step> {
        let ask = |line: &str, code| [Say(format!("{line}\r\n")), Reply(code)];
        let steps = [Connect, Reply("220")].into_iter().chain(ask("USER bench", "331")).chain(ask("PASS bench", "230"));
        steps.collect()
    }

    /// The same, ready to move files.
    pub fn image() -> Vec<Step> {
        login().into_iter().chain([Say("TYPE I\r\n".to_owned()), Reply("200")]).collect()
    }

    /// Asks nothing, in a session that has logged in.
    pub fn noop() -> Vec<Step> {
        vec![Say("NOOP\r\n".to_owned()), Reply("2")]
    }

    /// From nothing to nothing.
    pub fn visit() -> Vec<Step> {
        login().into_iter().chain([Say("QUIT\r\n".to_owned()), Reply("221"), Closed]).collect()
    }

    /// RETR, or a listing.
    pub fn receive(command: &str) -> Vec<Step> {
        passive(command, Drain)
    }

    pub fn store(name: &str) -> Vec<Step> {
        passive(&format!("STOR {name}"), Pour)
    }

    fn passive(command: &str, moving: Step) -> Vec<Step> {
        let command = Say(format!("{command}\r\n"));
        vec![Say("EPSV\r\n".to_owned()), Reply("229"), Dial, command, Reply("1"), moving, Reply("2")]
    }

    pub fn bare_receive() -> Vec<Step> {
        vec![DialServer, Drain]
    }

    /// Its end is that of the connection.
    pub fn bare_store() -> Vec<Step> {
        vec![DialServer, Pour, Drain]
    }
}

/// A client.
#[derive(Default)]
struct Session {
    control: Option<TcpStream>,
    data: Option<TcpStream>,
    data_waits: bool,
    /// Octets of replies that came and were not yet read.
    held: Vec<u8>,
    /// The last reply's last line.
    reply: String,
    script: Vec<Step>,
    at: usize,
    /// Octets of data that this script has moved.
    octets: u64,
    begun: Option<Instant>,
    running: bool,
}

/// What a script came to.
pub struct Done {
    pub octets: u64,
    pub seconds: f64,
}

/// What a run came to.
#[derive(Default)]
pub struct Outcome {
    pub done: Vec<Done>,
    pub failures: u64,
    /// The first failure.
    pub why: Option<String>,
    pub seconds: f64,
    /// How late the load itself was, of what it did at a given time.
    pub late: Vec<f64>,
}

/// All clients of one server.
pub struct Engine {
    server: SocketAddr,
    epoll: OwnedFd,
    sessions: Vec<Session>,
    blocking: bool,
    buffer: Vec<u8>,
    /// What is sent, and how much of it.
    source: Option<(File, u64)>,
}

/// Whether a script is through.
#[derive(PartialEq)]
enum Progress {
    Waiting,
    Through,
}

impl Engine {
    pub fn new(server: SocketAddr, count: usize) -> Engine {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
        let sessions = (0..count).map(|_| Session::default()).collect();
        Engine { server, epoll, sessions, blocking: count == 1, buffer: vec![0; TURN_OCTETS], source: None }
    }

    /// The same, and what its uploads send.
    pub fn sending(mut self, source: File, size: u64) -> Engine {
        self.source = Some((source, size));
        self
    }

    /// Follows `script` once in every session, `together` of them at a time.
    pub fn all(&mut self, together: usize, script: impl Fn() -> Vec<Step>) -> Outcome {
        let mut whole = Outcome::default();
        let count = self.sessions.len();
        for first in (0..count).step_by(together) {
            let mut left: Vec<bool> = (0..count).map(|at| at >= first && at - first < together).collect();
            let part = self.run(|session| std::mem::take(&mut left[session]).then(&script));
            whole.failures += part.failures;
            whole.seconds += part.seconds;
            whole.why = whole.why.or(part.why);
            whole.done.extend(part.done);
        }
        whole
    }

    /// Gives every session one script after the other, until `next` has none for it.
    pub fn run(&mut self, mut next: impl FnMut(usize) -> Option<Vec<Step>>) -> Outcome {
        let begun = Instant::now();
        let mut outcome = Outcome::default();
        let mut running = 0;
        for session in 0..self.sessions.len() {
            if let Some(script) = next(session) {
                self.sessions[session].begin(script);
                running += 1;
            }
        }
        let mut turns: Vec<usize> = (0..self.sessions.len()).filter(|&at| self.sessions[at].running).collect();
        let mut events = Vec::with_capacity(1_024);
        while running > 0 {
            for session in turns.drain(..) {
                running -= usize::from(self.turn(session, &mut next, &mut outcome));
            }
            if running == 0 {
                break;
            }
            events.clear();
            let patience = Timespec::try_from(PATIENCE).expect("it is short");
            let waited = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&patience));
            if waited == Ok(0) || outcome.failures > FAILURES_MAX {
                outcome.fail(running as u64, "nothing happens any more".to_owned());
                self.sessions.iter_mut().filter(|session| session.running).for_each(Session::end);
                break;
            }
            turns.extend(events.iter().map(|event: &epoll::Event| event.data.u64() as usize));
        }
        outcome.seconds = begun.elapsed().as_secs_f64();
        outcome
    }

    /// Goes on with a session; whether it has ended.
    fn turn(
        &mut self,
        session: usize,
        next: &mut impl FnMut(usize) -> Option<Vec<Step>>,
        outcome: &mut Outcome,
    ) -> bool {
        while self.sessions[session].running {
            match self.advance(session) {
                Ok(Progress::Waiting) => return false,
                Ok(Progress::Through) => {
                    let client = &mut self.sessions[session];
                    let seconds = client.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
                    outcome.done.push(Done { octets: client.octets, seconds });
                }
                Err(error) => {
                    outcome.fail(1, error.to_string());
                    let goes_on = matches!(self.sessions[session].script[0], Step::Connect | Step::DialServer);
                    self.sessions[session].end();
                    // Without its connection a session cannot go on; a visit makes its own.
                    if !goes_on || outcome.failures > FAILURES_MAX {
                        return true;
                    }
                }
            }
            match next(session) {
                Some(script) => self.sessions[session].begin(script),
                None => {
                    self.sessions[session].running = false;
                    return true;
                }
            }
        }
        false
    }

    /// Follows the script as far as it goes without waiting.
    fn advance(&mut self, at: usize) -> io::Result<Progress> {
        let client = &mut self.sessions[at];
        while let Some(step) = client.script.get(client.at) {
            let progress = match step {
                Step::Connect => {
                    let control = connect(self.server, self.blocking)?;
                    control.set_nodelay(true)?;
                    if !self.blocking {
                        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
                        epoll::add(&self.epoll, &control, epoll::EventData::new_u64(at as u64), flags)?;
                    }
                    client.control = Some(control);
                    Progress::Through
                }
                Step::Reply(code) => client.read_reply(code)?,
                Step::Say(line) => {
                    control(&client.control)?.write_all(line.as_bytes())?;
                    Progress::Through
                }
                Step::Dial => {
                    let port = client.reply.split('|').nth(3).and_then(|port| port.parse().ok());
                    let port = port.ok_or_else(|| unexpected(format!("no port in {:?}", client.reply)))?;
                    client.data = Some(connect(SocketAddr::new(self.server.ip(), port), self.blocking)?);
                    Progress::Through
                }
                Step::DialServer => {
                    client.data = Some(connect(self.server, self.blocking)?);
                    Progress::Through
                }
                Step::Drain => {
                    client.drain(&mut self.buffer, if self.blocking { usize::MAX } else { TURN_RECEIVES })?
                }
                Step::Pour => match &self.source {
                    Some((source, size)) => client.pour(source, *size)?,
                    None => return Err(unexpected("there is nothing to send".to_owned())),
                },
                Step::Closed => client.wait_for_the_end()?,
            };
            if progress == Progress::Waiting {
                let flags = match client.script[client.at] {
                    Step::Drain => epoll::EventFlags::IN,
                    Step::Pour => epoll::EventFlags::OUT,
                    // Its control connection is registered for good.
                    _ => return Ok(progress),
                };
                if let (false, Some(data)) = (client.data_waits, &client.data) {
                    let key = epoll::EventData::new_u64(at as u64);
                    // What it has sent it may have had to wait for as well.
                    epoll::add(&self.epoll, data, key, flags)
                        .or_else(|_| epoll::modify(&self.epoll, data, key, flags))?;
                    client.data_waits = true;
                }
                return Ok(progress);
            }
            client.at += 1;
        }
        Ok(Progress::Through)
    }
}

impl Session {
    fn begin(&mut self, script: Vec<Step>) {
        (self.script, self.at, self.octets) = (script, 0, 0);
        (self.begun, self.running) = (Some(Instant::now()), true);
    }

    fn end(&mut self) {
        *self = Session::default();
    }

    fn read_reply(&mut self, code: &str) -> io::Result<Progress> {
        loop {
            while let Some(end) = self.held.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                // Lines before the last have a hyphen there, or no code (RFC 959 section 4.2).
                if line.len() > 3 && line[..3].iter().all(u8::is_ascii_digit) && line[3] == b' ' {
                    self.reply = String::from_utf8_lossy(&line).trim_end().to_owned();
                    return match self.reply.starts_with(code) {
                        true => Ok(Progress::Through),
                        false => Err(unexpected(format!("{:?} instead of {code}", self.reply))),
                    };
                }
            }
            let mut buffer = [0; 2_048];
            match control(&self.control)?.read(&mut buffer) {
                Ok(0) => return Err(unexpected(format!("the server closed instead of {code}"))),
                Ok(count) => self.held.extend_from_slice(&buffer[..count]),
                Err(error) => return waiting(error),
            }
        }
    }

    fn drain(&mut self, buffer: &mut [u8], receives_max: usize) -> io::Result<Progress> {
        let Some(data) = &self.data else { return Err(ErrorKind::NotConnected.into()) };
        for _ in 0..receives_max {
            match rustix::net::recv(data, &mut *buffer, RecvFlags::TRUNC) {
                Ok((_, 0)) => {
                    (self.data, self.data_waits) = (None, false);
                    return Ok(Progress::Through);
                }
                Ok((_, count)) => self.octets += count as u64,
                Err(error) => return waiting(error.into()),
            }
        }
        Ok(Progress::Waiting)
    }

    fn pour(&mut self, source: &File, size: u64) -> io::Result<Progress> {
        let Some(data) = &self.data else { return Err(ErrorKind::NotConnected.into()) };
        while self.octets < size {
            match rustix::fs::sendfile(data, source, Some(&mut self.octets), TURN_OCTETS) {
                Ok(0) => return Err(unexpected("the source has become shorter".to_owned())),
                Ok(_) => {}
                Err(error) => return waiting(error.into()),
            }
        }
        data.shutdown(Shutdown::Write)?;
        // A bare program's end is still to come.
        if !matches!(self.script.get(self.at + 1), Some(Step::Drain)) {
            self.data = None;
        }
        self.data_waits = false;
        Ok(Progress::Through)
    }

    fn wait_for_the_end(&mut self) -> io::Result<Progress> {
        match control(&self.control)?.read(&mut [0; 64]) {
            Ok(0) => {
                self.control = None;
                Ok(Progress::Through)
            }
            Ok(_) => Err(unexpected("more than the last reply".to_owned())),
            Err(error) => waiting(error),
        }
    }
}

impl Outcome {
    pub fn fail(&mut self, count: u64, why: String) {
        self.failures += count;
        self.why.get_or_insert(why);
    }

    pub fn octets(&self) -> u64 {
        self.done.iter().map(|done| done.octets).sum()
    }

    /// Jain's index of the sessions' throughputs: 1 where all had the same, 1/n where one had all.
    pub fn fairness(&self) -> f64 {
        let rates: Vec<f64> = self.done.iter().map(|done| done.octets as f64 / done.seconds.max(1e-9)).collect();
        let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
        rates.iter().sum::<f64>().powi(2) / (rates.len() as f64 * squares)
    }

    /// Counts as failed what moved another number of octets than it should.
    pub fn expect_octets(&mut self, each: u64) {
        let (wrong, right): (Vec<Done>, Vec<Done>) = self.done.drain(..).partition(|done| done.octets != each);
        self.done = right;
        if let Some(first) = wrong.first() {
            self.fail(wrong.len() as u64, format!("{} octets instead of {each}", first.octets));
        }
    }
}

fn control(control: &Option<TcpStream>) -> io::Result<&TcpStream> {
    control.as_ref().ok_or_else(|| ErrorKind::NotConnected.into())
}

/// A blocking connection, or one that will be there when it can be written to.
fn connect(address: SocketAddr, blocking: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if blocking {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
    } else {
        socket.set_nonblocking(true)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// A wait is no failure, unless the socket is a blocking one; there it is the end of patience, and nothing will come.
fn waiting(error: io::Error) -> io::Result<Progress> {
    if error.kind() == ErrorKind::WouldBlock { Ok(Progress::Waiting) } else { Err(error) }
}

fn unexpected(what: String) -> io::Error {
    io::Error::other(what)
}
