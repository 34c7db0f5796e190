//! A whole session without the server's loop: the interpreter, its transfers over real sockets, files on a real disk;
//! and whatever goes wrong there. Control octets come in pieces and replies are read in pieces; errands come back late;
//! data connections are cut, reset, never opened; the disk takes no more, the file is truncated or removed, descriptors
//! run out; ABOR comes, or the client goes.
//!
//! What must hold: every command is answered; 226 is said where all octets arrived, and nowhere else; what stays of an
//! upload is its beginning; nothing else has changed on the disk; no descriptor stays open.

#[path = "faults_moving.rs"]
mod moving;

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ferryd::account::{Account, Rights};
use ferryd::fs::{Disks, Owners, Patience, ProcessIds, Root, Symlinks, Unwanted, Uploads};
use ferryd::job::Job;
use ferryd::listing::Format;
use ferryd::net::Stream;
use ferryd::protocol::state::{Protection, Settings};
use ferryd::protocol::{Action, Deferred, Interpreter};
use ferryd::transfer::Scratch;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::random::Random;
use crate::support::{Reply, Tree, on_the_disk, on_the_wire};
use moving::Lowered;

/// How many sessions are simulated, unless `FERRYD_SEEDS` says it.
pub const SESSIONS: u64 = 250;
const OPERATIONS_MAX: usize = 8;
const STEPS_MAX: usize = 5_000;
const NAMES: &[&str] = &["small", "large", "empty", "new1", "new2"];

/// What one thread has for all sessions.
pub struct Machine {
    listener: TcpListener,
    scratch: Scratch,
    format: Arc<Format>,
}

impl Machine {
    pub fn new() -> Machine {
        // Beyond RLIMIT_FSIZE the kernel sends a signal as well, which would end the process.
        let told = Arc::new(std::sync::atomic::AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, told).expect("signals can be handled");
        let format = Arc::new(Format { owners: Owners::load(), process: ProcessIds::current() });
        Machine { listener: TcpListener::bind("127.0.0.1:0").unwrap(), scratch: Scratch::default(), format }
    }

    /// The two ends of a data connection: the server's and the client's.
    fn connect(&self) -> (Stream, TcpStream) {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (server, _) = self.listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();
        (Stream::new(mio::net::TcpStream::from_std(server)), client)
    }
}

/// What goes wrong in a transfer, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The client never connects.
    NoConnection,
    /// ABOR.
    Abort,
    /// The client resets the data connection.
    Reset,
    /// The client closes the data connection.
    Close,
    /// No file may grow any more.
    DiskFull,
    /// The file that is moved is truncated by somebody else.
    Truncate,
    /// The file that is moved is removed by somebody else.
    Remove,
    /// The control connection goes, and all with it.
    Leave,
}

const FAULTS: &[Fault] = &[
    Fault::NoConnection,
    Fault::Abort,
    Fault::Reset,
    Fault::Close,
    Fault::DiskFull,
    Fault::Truncate,
    Fault::Remove,
    Fault::Leave,
];

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoesOn,
    Ends,
}

struct Session<'a> {
    random: &'a mut Random,
    machine: &'a mut Machine,
    tree: Tree,
    disks: Arc<Disks>,
    interpreter: Interpreter,
    /// What is on the disk.
    files: BTreeMap<&'static str, Vec<u8>>,
    received: Vec<u8>,
    /// A command that is with a helper, and how many turns it will be.
    lent: Option<(Box<Deferred>, usize)>,
    job: Option<Job>,
    ascii: bool,
    /// Whether uploads are seen only once they are whole.
    atomic: bool,
    told: Vec<String>,
}

/// One session.
pub fn session(random: &mut Random, machine: &mut Machine) {
    let before = descriptors();
    let tree = Tree::new();
    tree.file("canary", "alive").directory("root");
    let text = |count: usize, random: &mut Random| -> Vec<u8> {
        random.octets(count).iter().map(|octet| b"ab\r\n\ncde"[usize::from(octet % 8)]).collect()
    };
    let (small, large) = (random.below(300), random.below(600_000));
    let files = [("small", text(small, random)), ("large", text(large, random)), ("empty", Vec::new())];
    for (name, content) in &files {
        tree.file(format!("root/{name}"), content);
    }
    let atomic = random.once_in(2);
    let disks = Disks::probe(Symlinks::Inside).expect("the kernel has openat2");
    let disks = Arc::new(if atomic { disks.with_uploads(Uploads::Atomic) } else { disks });
    let local: SocketAddr = "127.0.0.1:21".parse().unwrap();
    let idle_timeout = Some(Duration::from_secs(300));
    let settings = Settings { umask: 0o022, idle_timeout, format: machine.format.clone(), tls: None };
    let peer = "127.0.0.1:50000".parse().unwrap();
    let interpreter = Interpreter::new(Arc::new(settings), local, peer, Protection::Clear);
    let mut session = Session {
        random,
        machine,
        tree,
        disks,
        interpreter,
        files: files.into_iter().collect(),
        received: Vec::new(),
        lent: None,
        job: None,
        ascii: true,
        atomic,
        told: Vec::new(),
    };
    session.play();
    session.sweep();
    session.check_disk();
    drop(session);
    // The pipe of the scratch, and no other.
    machine.scratch = Scratch::default();
    assert_eq!(descriptors(), before, "a descriptor stays open");
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

impl Session<'_> {
    fn play(&mut self) {
        assert_eq!(self.reply(), 220);
        assert_eq!((self.say("USER al"), self.say("PASS x")), (331, 230));
        for _ in 0..1 + self.random.below(OPERATIONS_MAX) {
            let name = *self.random.pick(NAMES);
            let then = match self.random.below(10) {
                0..=3 => self.upload(name),
                4..=7 => self.download(name),
                8 => self.list(),
                _ => self.rename(name),
            };
            if then == Then::Ends {
                return;
            }
        }
        assert_eq!(self.say("QUIT"), 221, "{}", self.conversation());
    }

    fn conversation(&self) -> String {
        self.told.join("\n")
    }

    /// Sends a line in pieces, and reads its reply: the code.
    fn say(&mut self, line: &str) -> u16 {
        self.told.push(format!("> {line}"));
        let octets = format!("{line}\r\n").into_bytes();
        for piece in self.random.cut(&octets) {
            self.interpreter.receive(&piece);
            if self.random.once_in(3) {
                self.turn();
            }
        }
        self.reply()
    }

    /// Reads the next reply, whatever has to happen first.
    fn reply(&mut self) -> u16 {
        for _ in 0..STEPS_MAX {
            let output = self.interpreter.output();
            let count = output.len().min(1 + self.random.below(80));
            self.received.extend_from_slice(&output[..count]);
            self.interpreter.sent(count);
            if let Some(reply) = Reply::take(&mut self.received) {
                self.told.push(format!("< {reply}"));
                return reply.code;
            }
            self.turn();
        }
        panic!("no reply comes\n{}", self.conversation());
    }

    /// What the server does between two looks at the network.
    fn turn(&mut self) {
        if self.random.once_in(12) {
            // Whatever is asked for next is an errand.
            self.disks.forget();
        }
        match self.lent.take() {
            Some((deferred, turns)) if turns > 0 => self.lent = Some((deferred, turns - 1)),
            Some((mut deferred, _)) => {
                deferred.run();
                self.interpreter.returned(*deferred);
            }
            None => {}
        }
        let Some(action) = self.interpreter.next_action() else { return };
        match action {
            Action::Check(_) => {
                let (name, rights, root) = ("al".to_owned(), Rights::READ_WRITE, self.tree.at("root"));
                let mut open = Root::open(&root, &self.disks, Patience::MayWait).expect("the root is there");
                open.set_patience(Patience::CachedOnly);
                self.interpreter.verdict(Some((Account { name, rights, root, anonymous: false, rate: None }, open)));
            }
            Action::Defer(deferred) => self.lent = Some((deferred, self.random.below(4))),
            Action::Listen(_) => self.interpreter.listening(Ok(SocketAddr::from(([127, 0, 0, 1], 40_000)))),
            Action::Transfer(job) => self.job = Some(*job),
            Action::Status => self.interpreter.status("A transfer".to_owned()),
            Action::Abort | Action::Dial(_) | Action::CloseData | Action::LogOut | Action::Close => {}
            Action::Secure => panic!("nobody asked for TLS"),
        }
    }

    /// Asks for a transfer: its job, or the code of the refusal. Sometimes there is no descriptor left meanwhile.
    fn begin(&mut self, verb: &str, name: &str, position: usize) -> Result<Job, u16> {
        self.ascii = self.random.once_in(3);
        assert_eq!(self.say(if self.ascii { "TYPE A" } else { "TYPE I" }), 200);
        assert_eq!(self.say("EPSV"), 229);
        if position > 0 {
            assert_eq!(self.say(&format!("REST {position}")), 350);
        }
        let line = format!("{verb} {name}");
        let starved = self.random.once_in(12);
        let code = if starved {
            let _lowered = Lowered::to(Resource::Nofile, 0);
            self.say(line.trim_end())
        } else {
            self.say(line.trim_end())
        };
        assert!(starved || code != 451, "{}", self.conversation());
        while code == 150 && self.job.is_none() {
            self.turn();
        }
        self.job.take().ok_or(code)
    }

    fn fault(&mut self) -> (Fault, usize) {
        let fault = if self.random.once_in(2) { *self.random.pick(FAULTS) } else { Fault::None };
        (fault, self.random.below(40))
    }

    fn upload(&mut self, name: &'static str) -> Then {
        let old = self.files.get(name).cloned();
        let length = old.as_ref().map_or(0, Vec::len);
        let (verb, position) = match self.random.below(4) {
            0 => ("APPE", 0),
            1 => ("STOR", self.random.below(length + 2)),
            _ => ("STOR", 0),
        };
        let job = match self.begin(verb, name, position) {
            Ok(job) => job,
            Err(code) => {
                let beyond = position > length || (position > 0 && old.is_none());
                assert!(matches!((code, beyond), (554, true) | (451, _)), "{code}\n{}", self.conversation());
                return Then::GoesOn;
            }
        };
        let count = match self.random.below(3) {
            0 => self.random.below(30),
            1 => self.random.below(3_000),
            _ => self.random.below(400_000),
        };
        let content: Vec<u8> = self.random.octets(count).iter().map(|o| b"ab\r\n\ncde"[usize::from(o % 8)]).collect();
        let (fault, at) = self.fault();
        let moved = self.move_data(job, name, fault, at, &content);
        let sent = &content[..moved.sent];
        let new = if self.ascii { on_the_disk(sent) } else { sent.to_vec() };
        let base = if verb == "APPE" { length } else { position };
        let old = old.unwrap_or_default();
        let truncates = verb == "STOR" && position == 0;
        let disk = self.tree.read(format!("root/{name}"));
        let conversation = || format!("{moved:?} {fault:?} at {at}, {} octets\n{}", new.len(), self.conversation());
        let written = disk.as_deref().and_then(|disk| written(disk, &old, base, &new, truncates));
        match fault {
            // It was perhaps removed before it was opened, and made anew.
            Fault::Remove => {
                let anew = disk.as_deref().is_none_or(|disk| new.starts_with(disk));
                assert!(anew || written.is_some(), "what is on the disk was not sent; {}", conversation());
            }
            Fault::Truncate => {}
            _ => {
                let untouched = disk.as_deref().unwrap_or_default() == old;
                let whole = !self.atomic || !truncates || moved.code == Some(226) || untouched;
                assert!(whole, "half of an atomic upload is seen; {}", conversation());
                assert!(written.is_some() || untouched, "what is on the disk was not sent; {}", conversation());
                // An end is an end: in stream mode nobody can tell that the client wanted to send more.
                let ended = moved.ended_well || fault == Fault::Close;
                let kept = moved.code != Some(226) || (ended && written == Some(new.len()));
                assert!(kept, "{written:?}: 226 is a lie; {}", conversation());
            }
        }
        self.files.remove(name);
        disk.map(|disk| self.files.insert(name, disk));
        moved.then
    }

    fn download(&mut self, name: &'static str) -> Then {
        let content = self.files.get(name).cloned();
        let length = content.as_ref().map_or(0, Vec::len);
        let position = if self.random.once_in(4) { self.random.below(length + 2) } else { 0 };
        let job = match self.begin("RETR", name, position) {
            Ok(job) => job,
            Err(code) => {
                let expected = if content.is_none() { 550 } else { 554 };
                let wrong = content.is_none() || position > length;
                assert!(code == 451 || (wrong && code == expected), "{code}\n{}", self.conversation());
                return Then::GoesOn;
            }
        };
        let rest = &content.unwrap_or_default()[position..];
        let wire = if self.ascii { on_the_wire(rest) } else { rest.to_vec() };
        let (fault, at) = self.fault();
        let moved = self.move_data(job, name, fault, at, b"");
        let conversation = || format!("{moved:?} {fault:?} at {at}, {} octets\n{}", wire.len(), self.conversation());
        match fault {
            // What was in the socket when the file was truncated may have become zeros.
            Fault::Truncate => assert!(moved.data.len() <= wire.len(), "{}", conversation()),
            _ => assert!(wire.starts_with(&moved.data), "other octets than the file's; {}", conversation()),
        }
        if moved.code == Some(226) && moved.ended_well {
            assert_eq!(moved.data.len(), wire.len(), "226 is a lie; {}", conversation());
        }
        if fault == Fault::None {
            assert_eq!(moved.code, Some(226), "{}", conversation());
        }
        if fault == Fault::Remove && !self.tree.at(format!("root/{name}")).exists() {
            self.files.remove(name);
        } else if fault == Fault::Truncate {
            let left = self.tree.read(format!("root/{name}")).expect("it was truncated, and no more");
            self.files.insert(name, left);
        }
        moved.then
    }

    fn list(&mut self) -> Then {
        let Ok(job) = self.begin("NLST", "", 0) else { return Then::GoesOn };
        let (fault, at) = self.fault();
        let fault = if matches!(fault, Fault::Truncate | Fault::Remove) { Fault::None } else { fault };
        let moved = self.move_data(job, "", fault, at, b"");
        let names: Vec<String> = self.files.keys().map(|name| format!("{name}\r\n")).collect();
        let expected = names.concat();
        assert!(expected.as_bytes().starts_with(&moved.data), "{moved:?}\n{}", self.conversation());
        let whole = moved.code != Some(226) || !moved.ended_well || expected.len() == moved.data.len();
        assert!(whole, "226 is a lie: {moved:?}\n{}", self.conversation());
        moved.then
    }

    /// A change of names is done or not, and the reply says which.
    fn rename(&mut self, from: &'static str) -> Then {
        let to = *self.random.pick(NAMES);
        let known = self.files.contains_key(from);
        let code = self.say(&format!("RNFR {from}"));
        assert_eq!(code, if known { 350 } else { 550 }, "{}", self.conversation());
        if !known {
            return Then::GoesOn;
        }
        let starved = self.random.once_in(4);
        let code = if starved {
            let _lowered = Lowered::to(Resource::Nofile, 0);
            self.say(&format!("RNTO {to}"))
        } else {
            self.say(&format!("RNTO {to}"))
        };
        assert!(code == 250 || (starved && code == 451), "{code}\n{}", self.conversation());
        if code == 250
            && let Some(content) = self.files.remove(from)
        {
            self.files.insert(to, content);
        }
        Then::GoesOn
    }

    /// What an errand of the server does: removes what took too long to be removed at once.
    fn sweep(&self) {
        self.disks.take_unwanted().into_iter().for_each(Unwanted::remove);
    }

    /// The disk is as it should be, and beside the root nothing has changed.
    fn check_disk(&self) {
        assert_eq!(self.tree.read("canary").as_deref(), Some(&b"alive"[..]));
        let mut names: Vec<String> = Vec::new();
        for entry in fs::read_dir(self.tree.at("root")).unwrap() {
            names.push(entry.unwrap().file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, self.files.keys().copied().collect::<Vec<_>>(), "{}", self.conversation());
        for (name, content) in &self.files {
            let disk = self.tree.read(format!("root/{name}"));
            assert!(disk.as_ref() == Some(content), "{name} has changed\n{}", self.conversation());
        }
    }
}

/// How much of `new` stands in what was `old`, from `base` on; nothing where that is not what is on the disk.
fn written(disk: &[u8], old: &[u8], base: usize, new: &[u8], truncates: bool) -> Option<usize> {
    let old = if truncates { b"" } else { old };
    let written = disk.get(base..)?.iter().zip(new).take_while(|(one, other)| one == other).count();
    let rest = old.get(base + written..).unwrap_or_default();
    (disk[..base] == old[..base] && disk[base + written..] == *rest).then_some(written)
}
