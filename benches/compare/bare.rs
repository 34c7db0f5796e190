//! Programs that do nothing but move the file: what no server can be cheaper than.
//!
//! Each is this program again, with a hidden argument, and speaks no protocol: whoever connects gets the file, or what
//! he sends becomes one. For a small file the work is accept, open, fstat, sendfile and close.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::epoll;
use rustix::fs::{FallocateFlags, fallocate, sendfile};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};
use socket2::{Domain, Socket, Type};

use crate::servers::{DESCRIPTORS, Recipe, Running, free_port};
use crate::support::Directory;

/// The first argument that makes this program a bare one.
pub const ARGUMENT: &str = "--bare";

/// Octets of one `sendfile`, and of the pipe of `splice`.
const TURN_OCTETS: usize = 1 << 20;
const RECEIVE_OCTETS: usize = 256 * 1024;

/// What it does with a connection, and by what means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// Sends one after the other, and waits in each.
    SendFile,
    Splice,
    /// Sends to all in turn.
    SendFileTogether,
    SpliceTogether,
    /// Receives into a new file, `recv` and `write`.
    Write,
    /// The same by a pipe, into a file whose room was asked for at once.
    SpliceIn,
}

impl Bare {
    const ALL: [Bare; 6] =
        [Bare::SendFile, Bare::Splice, Bare::SendFileTogether, Bare::SpliceTogether, Bare::Write, Bare::SpliceIn];

    pub fn name(self) -> &'static str {
        match self {
            Bare::SendFile | Bare::SendFileTogether => "bare-sendfile",
            Bare::Splice | Bare::SpliceTogether | Bare::SpliceIn => "bare-splice",
            Bare::Write => "bare-write",
        }
    }

    /// Starts it; it sends the file `path`, or makes `path` and a number out of what comes, `size` octets each.
    pub fn start(self, path: &Path, size: u64) -> Result<Running, String> {
        let own = Directory::new(self.name(), None);
        let port = free_port();
        let arguments =
            [ARGUMENT, &format!("{self:?}"), &port.to_string(), &path.display().to_string(), &size.to_string()];
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let arguments = arguments.map(str::to_owned).into();
        let recipe = Recipe { binary: Some(program.clone()), program, arguments, environment: Vec::new() };
        Running::start(&recipe, own, port, DESCRIPTORS)
    }
}

/// The names that there are.
pub fn names() -> impl Iterator<Item = &'static str> {
    let mut names = Bare::ALL.map(Bare::name).to_vec();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

/// `MODE PORT PATH SIZE`, for ever.
pub fn run(arguments: &[String]) -> ! {
    let [mode, port, path, size] = arguments else { panic!("the bench calls it otherwise") };
    let mode = Bare::ALL.into_iter().find(|bare| format!("{bare:?}") == *mode).expect("a mode");
    let listener = listen(port.parse().expect("a port")).expect("the port is free");
    let (path, size) = (PathBuf::from(path), size.parse().expect("a number"));
    let ended = match mode {
        Bare::SendFile | Bare::Splice => one_by_one(&listener, |stream, _| send(mode, &stream, &path)),
        Bare::SendFileTogether | Bare::SpliceTogether => together(mode, &listener, &path),
        Bare::Write | Bare::SpliceIn => {
            let mut buffer = vec![0; RECEIVE_OCTETS];
            let channel = new_pipe();
            one_by_one(&listener, |stream, number| {
                let file = File::create(format!("{}{number}", path.display()))?;
                match (mode, &channel) {
                    (Bare::SpliceIn, Ok(channel)) => splice_in(&stream, &file, size, channel),
                    _ => write_in(stream, file, &mut buffer),
                }
            })
        }
    };
    panic!("{ended}");
}

/// With room for 1,000 who come at once: the library's own is 128, and whoever finds none tries again a second later.
fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    socket.listen(4_096)?;
    Ok(socket.into())
}

fn one_by_one(listener: &TcpListener, mut work: impl FnMut(TcpStream, u64) -> io::Result<()>) -> io::Error {
    for number in 0.. {
        match listener.accept() {
            // Whoever only looked whether somebody listens has gone by now.
            Ok((stream, _)) => drop(work(stream, number)),
            Err(error) => return error,
        }
    }
    ErrorKind::Other.into()
}

fn send(mode: Bare, stream: &TcpStream, path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let mut sending = Sending::new(mode, file)?;
    while !sending.step(stream)? {}
    Ok(())
}

/// A pipe of 1 MiB.
fn new_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe()?;
    fcntl_setpipe_size(&write, TURN_OCTETS)?;
    Ok((read, write))
}

/// A file on its way out.
struct Sending {
    file: File,
    at: u64,
    size: u64,
    /// The pipe, and how much is in it.
    channel: Option<((OwnedFd, OwnedFd), usize)>,
}

impl Sending {
    fn new(mode: Bare, file: File) -> io::Result<Sending> {
        let size = file.metadata()?.len();
        let splices = matches!(mode, Bare::Splice | Bare::SpliceTogether);
        let channel = if splices { Some((new_pipe()?, 0)) } else { None };
        Ok(Sending { file, at: 0, size, channel })
    }

    /// Sends up to a turn's octets; whether that was all.
    fn step(&mut self, stream: &TcpStream) -> io::Result<bool> {
        let Some(((read, write), held)) = &mut self.channel else {
            sendfile(stream, &self.file, Some(&mut self.at), TURN_OCTETS)?;
            return Ok(self.at >= self.size);
        };
        if *held == 0 {
            *held = splice(&self.file, Some(&mut self.at), write, None, TURN_OCTETS, SpliceFlags::MOVE)?;
        }
        if *held > 0 {
            *held -= splice(read, None, stream, None, *held, SpliceFlags::MOVE | SpliceFlags::MORE)?;
        }
        Ok(*held == 0 && self.at >= self.size)
    }
}

/// All connections in turn, as far as each can take it.
fn together(mode: Bare, listener: &TcpListener, path: &Path) -> io::Error {
    let work = || -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, listener, epoll::EventData::new_u64(u64::MAX), epoll::EventFlags::IN)?;
        let mut running: Vec<Option<(TcpStream, Sending)>> = Vec::new();
        let mut events = Vec::with_capacity(1_024);
        loop {
            events.clear();
            epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
            for event in &events {
                let key = event.data.u64();
                if key == u64::MAX {
                    accept_all(mode, listener, path, &epoll, &mut running)?;
                    continue;
                }
                let Some((stream, sending)) = &mut running[key as usize] else { continue };
                match sending.step(stream) {
                    Ok(false) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    _ => running[key as usize] = None,
                }
            }
        }
    };
    work().err().unwrap_or_else(|| ErrorKind::Other.into())
}

fn accept_all(
    mode: Bare,
    listener: &TcpListener,
    path: &Path,
    epoll: impl AsFd,
    running: &mut Vec<Option<(TcpStream, Sending)>>,
) -> io::Result<()> {
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true)?;
        let sending = Sending::new(mode, File::open(path)?)?;
        let key = running.iter().position(Option::is_none).unwrap_or(running.len());
        epoll::add(&epoll, &stream, epoll::EventData::new_u64(key as u64), epoll::EventFlags::OUT)?;
        match running.get_mut(key) {
            Some(place) => *place = Some((stream, sending)),
            None => running.push(Some((stream, sending))),
        }
    }
    Ok(())
}

fn write_in(mut stream: TcpStream, mut file: File, buffer: &mut [u8]) -> io::Result<()> {
    while let count @ 1.. = stream.read(buffer)? {
        file.write_all(&buffer[..count])?;
    }
    Ok(())
}

fn splice_in(stream: &TcpStream, file: &File, size: u64, (read, write): &(OwnedFd, OwnedFd)) -> io::Result<()> {
    // Where it is not known how, the room is found while the octets come.
    let _ = fallocate(file, FallocateFlags::KEEP_SIZE, 0, size);
    while let mut held @ 1.. = splice(stream, None, write, None, TURN_OCTETS, SpliceFlags::MOVE)? {
        while held > 0 {
            held -= splice(read, None, file, None, held, SpliceFlags::MOVE)?;
        }
    }
    Ok(())
}
