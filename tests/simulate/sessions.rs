//! The real server under several sessions at once, each of which does whatever the seed says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::ledger::{Ledger, Sent, is_transfer};
use crate::lines::{self, Line};
use crate::random::Random;
use crate::support::{Client, PATIENCE, Reply, Server, Tree, accept, read_all, reset};

/// How many sessions there are, and how many of them at once.
const SESSIONS: u64 = 80;
const AT_ONCE: usize = 4;
const STEPS_MAX: usize = 14;
const BIG_OCTETS: usize = 3_000_000;

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoesOn,
    Ends,
}

struct Session {
    random: Random,
    number: u64,
    client: Client,
    ledger: Ledger,
    /// Refusals of a login; the third closes the session.
    refusals: usize,
    steps_left: usize,
}

/// Runs the sessions and looks after each that nobody else was harmed.
pub fn simulate(seed: u64) {
    let tree = Tree::new();
    grow(&tree);
    let root = tree.at("root");
    let users = ["rw", "ro", "upload"].map(|rights| format!("{rights}:secret:{}:{rights}", root.display()));
    let mut args: Vec<&str> = users.iter().flat_map(|user| ["--user", user]).collect();
    args.extend(["--data-timeout", "3"]);
    let mut server = Server::start(&root, &args);
    let mut witness = warm_up(&server);
    let base = server.descriptors();

    let mut random = Random::new(seed, u64::MAX);
    let mut sessions: Vec<Session> = Vec::new();
    let mut begun = 0;
    while begun < SESSIONS || !sessions.is_empty() {
        if sessions.len() < AT_ONCE && begun < SESSIONS {
            sessions.push(Session::begin(&server, Random::new(seed, begun), begun));
            begun += 1;
            continue;
        }
        let at = random.below(sessions.len());
        if sessions[at].step() == Then::Ends {
            drop(sessions.swap_remove(at));
            assert!(server.is_alive(), "the server has died");
            assert_eq!(witness.say("NOOP").code, 200, "another session notices");
        }
    }
    wait_for_descriptors(&server, base);
    assert_untouched(&tree);
    assert!(!server.log().contains("panicked"), "a session panicked");
    drop(witness);
    assert!(server.stop().success(), "it does not stop cleanly");
}

fn grow(tree: &Tree) {
    tree.file("canary", "alive").file("outside/canary", "alive").directory("root");
    tree.file("root/a.txt", "hello").file("root/d/x", "x").file(b"root/n\xffm", "").file("root/c\rd", "");
    tree.file("root/big", big()).link("root/out", "../outside");
}

fn big() -> Vec<u8> {
    Random::new(7, 7).octets(BIG_OCTETS)
}

/// What no session may reach or change.
fn assert_untouched(tree: &Tree) {
    assert_eq!(tree.read("canary").as_deref(), Some(&b"alive"[..]), "the canary");
    assert_eq!(tree.read("outside/canary").as_deref(), Some(&b"alive"[..]), "the other canary");
    let names = |directory: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(tree.path()), ["canary", "outside", "root"]);
    assert_eq!(names(&tree.at("outside")), ["canary"]);
    assert_eq!(tree.read("root/a.txt").as_deref(), Some(&b"hello"[..]));
    assert!(tree.read("root/big").is_some_and(|content| content == big()), "a file that nobody stored has changed");
}

/// What is made once, helpers and their like, is made before descriptors are counted.
fn warm_up(server: &Server) -> Client {
    let mut witness = Client::login(server.address(), "rw", "secret");
    witness.expect("TYPE I", 200);
    assert_eq!(witness.retrieve("big").0.len(), BIG_OCTETS);
    assert_eq!(witness.store("warm", b"x").code, 226);
    assert_eq!(witness.list("LIST").1.code, 226);
    witness.expect("DELE warm", 250);
    witness
}

/// The server may take a moment to see that connections have gone, but it must see it.
fn wait_for_descriptors(server: &Server, base: usize) {
    let deadline = Instant::now() + PATIENCE;
    while server.descriptors() > base {
        if Instant::now() > deadline {
            let _ = Command::new("ls").args(["-l", &format!("/proc/{}/fd", server.pid())]).status();
            panic!("{} descriptors are held, {base} were at the beginning", server.descriptors());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

impl Session {
    fn begin(server: &Server, mut random: Random, number: u64) -> Session {
        let client = Client::connect(server.address());
        let steps_left = 1 + random.below(STEPS_MAX);
        let mut session = Session { random, number, client, ledger: Ledger::default(), refusals: 0, steps_left };
        if session.random.below(10) > 0 {
            let user = *session.random.pick(&["rw", "rw", "rw", "ro", "upload"]);
            session.ask(lines::line("USER", user.as_bytes()));
            session.ask(lines::line("PASS", b"secret"));
        }
        session
    }

    /// Does one thing.
    fn step(&mut self) -> Then {
        if self.steps_left == 0 {
            self.end();
            return Then::Ends;
        }
        self.steps_left -= 1;
        match self.random.below(12) {
            0..=4 => self.pipeline(),
            5..=9 => self.transfer(),
            10 => self.round_trip(),
            _ => self.read_big(),
        }
    }

    fn send(&mut self, line: Line) {
        for piece in self.random.cut(&line.octets) {
            self.client.send(&piece);
        }
        if let Some(sent) = line.sent {
            self.ledger.sent(sent);
        }
    }

    /// Sends a line and reads the next reply, which is its own where nothing else is owed.
    fn ask(&mut self, line: Line) -> Option<Reply> {
        self.send(line);
        self.read()
    }

    fn read(&mut self) -> Option<Reply> {
        let reply = self.client.await_reply();
        let conversation = || format!("session {}\n{}", self.number, self.ledger.conversation());
        let reply = reply.unwrap_or_else(|error| panic!("no reply: {error}; {}", conversation()));
        match &reply {
            Some(reply) if reply.code == 421 => self.ledger.close(),
            Some(reply) => {
                self.refusals += usize::from(reply.code == 530);
                self.ledger.received(reply);
            }
            None => {
                assert!(self.refusals >= 3, "the server closed {}", conversation());
            }
        }
        reply
    }

    /// Reads until every command has had its last reply.
    fn settle(&mut self) -> Then {
        while !self.ledger.is_settled() {
            match self.read() {
                None => return Then::Ends,
                Some(reply) if reply.code == 421 => return Then::Ends,
                Some(_) => {}
            }
        }
        Then::GoesOn
    }

    /// Several commands at once, read now or later.
    fn pipeline(&mut self) -> Then {
        for _ in 0..1 + self.random.below(6) {
            let line = lines::command(&mut self.random);
            self.send(line);
        }
        if self.random.once_in(4) { Then::GoesOn } else { self.settle() }
    }

    fn transfer(&mut self) -> Then {
        if self.settle() == Then::Ends {
            return Then::Ends;
        }
        let Some(way) = self.name_data_connection() else { return Then::GoesOn };
        let line = lines::transfer(&mut self.random);
        let Some(sent) = line.sent.clone() else { return Then::GoesOn };
        self.send(line);
        // Those that wait for their turn, and those that are answered at once.
        let pipelined = self.random.below(3);
        for _ in 0..pipelined {
            let verb = *self.random.pick(&["NOOP", "STAT", "PWD"]);
            self.send(lines::line(verb, b""));
        }
        while self.read().is_some() {
            if self.ledger.is_transferring() {
                return self.move_data(&sent, way);
            }
            if self.ledger.is_settled() {
                break;
            }
        }
        self.settle()
    }

    /// EPSV, PASV or PORT; nothing where it was refused.
    fn name_data_connection(&mut self) -> Option<Way> {
        if self.random.once_in(4) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let argument = format!("127,0,0,1,{},{}", port >> 8, port & 0xff);
            let reply = self.ask(lines::line("PORT", argument.as_bytes()))?;
            return (reply.code == 200).then_some(Way::Active(listener));
        }
        let verb = *self.random.pick(&["EPSV", "PASV"]);
        let reply = self.ask(lines::line(verb, b""))?;
        let address = match reply.code {
            229 => self.client.epsv_address(&reply),
            227 => Client::pasv_address(&reply),
            _ => return None,
        };
        if self.random.once_in(10) {
            return Some(Way::Nobody);
        }
        Some(Way::Passive(self.client.dial(address).into()))
    }

    /// What becomes of a transfer that has begun.
    fn move_data(&mut self, sent: &Sent, way: Way) -> Then {
        assert!(is_transfer(sent.verb));
        let data = match way {
            Way::Passive(data) => data,
            Way::Active(listener) => accept(&listener),
            Way::Nobody => return self.abort(),
        };
        if self.random.once_in(12) {
            // The control connection goes first, and the data connection with it or after it.
            self.ledger.close();
            if self.random.once_in(2) {
                reset(data);
            }
            return Then::Ends;
        }
        match sent.verb {
            "STOR" | "STOU" | "APPE" => self.upload(data),
            _ => self.download(data),
        }
    }

    fn abort(&mut self) -> Then {
        self.send(lines::line("ABOR", b""));
        self.settle()
    }

    fn download(&mut self, mut data: TcpStream) -> Then {
        let some = self.random.below(100_000);
        match self.random.below(6) {
            0 => self.abort(),
            1 => {
                read_some(&data, some);
                reset(data);
                self.settle()
            }
            2 => {
                read_some(&data, some);
                drop(data);
                self.settle()
            }
            3 => {
                // Whoever will only read may say so.
                data.shutdown(Shutdown::Write).unwrap();
                read_all(&mut data);
                self.settle()
            }
            4 => {
                read_some(&data, some);
                self.abort()
            }
            _ => {
                read_all(&mut data);
                self.settle()
            }
        }
    }

    fn upload(&mut self, mut data: TcpStream) -> Then {
        let count = self.random.below(200_000);
        let octets = self.random.octets(count);
        let pieces = if octets.len() < 300 { self.random.cut(&octets) } else { vec![octets] };
        for piece in pieces {
            if data.write_all(&piece).is_err() {
                break;
            }
        }
        match self.random.below(5) {
            0 => self.abort(),
            1 => {
                reset(data);
                let told = self.read_end();
                assert_ne!(told, Some(226), "a reset is no end of file\n{}", self.ledger.conversation());
                self.settle()
            }
            2 => {
                data.shutdown(Shutdown::Write).unwrap();
                self.settle()
            }
            _ => {
                drop(data);
                self.settle()
            }
        }
    }

    /// Reads up to the reply that ends the transfer: its code.
    fn read_end(&mut self) -> Option<u16> {
        while self.ledger.is_transferring() {
            let reply = self.read()?;
            if !self.ledger.is_transferring() {
                return Some(reply.code);
            }
        }
        None
    }

    /// What was stored comes back as it was, and 226 was no lie.
    fn round_trip(&mut self) -> Then {
        if self.settle() == Then::Ends || !self.may_write() {
            return self.settle();
        }
        let name = format!("own-{}", self.number);
        let count = self.random.below(700_000);
        let content = self.random.octets(count);
        let stored = self.client.store(format!("/{name}"), &content);
        assert_eq!(stored.code, 226, "{stored}\n{}", self.ledger.conversation());
        let (back, reply) = self.client.retrieve(format!("/{name}"));
        assert_eq!(reply.code, 226, "{reply}\n{}", self.ledger.conversation());
        assert!(back == content, "{} octets came back of {count}\n{}", back.len(), self.ledger.conversation());
        self.client.expect(format!("DELE /{name}"), 250);
        Then::GoesOn
    }

    fn read_big(&mut self) -> Then {
        if self.settle() == Then::Ends || !self.may_write() {
            return self.settle();
        }
        let (content, reply) = self.client.retrieve("/big");
        assert_eq!((reply.code, content.len()), (226, BIG_OCTETS), "{reply}");
        assert!(content == big(), "other octets than the file's");
        Then::GoesOn
    }

    /// Whether this session is one of `rw`; it is in TYPE I then, and REST is forgotten.
    fn may_write(&mut self) -> bool {
        self.client.say("TYPE I").code == 200
            && self.client.say("NOOP").code == 200
            && self.client.say("STAT").text().contains("read and write")
    }

    fn end(&mut self) {
        match self.random.below(6) {
            0 | 1 => {
                if self.settle() == Then::Ends {
                    return;
                }
                let reply = self.ask(lines::quit());
                assert_eq!(reply.map(|reply| reply.code), Some(221));
                assert!(self.client.closed(), "not closed after QUIT");
            }
            // Half a line, and the end.
            2 => self.client.send(b"RETR a"),
            3 => {
                let _ = self.client.stream().try_clone().map(reset);
            }
            4 => {
                if self.settle() == Then::Ends {
                    return;
                }
                self.client.stream().shutdown(Shutdown::Write).unwrap();
                assert!(self.client.closed(), "not closed after the client's end");
            }
            // More replies than anybody reads.
            _ => {
                let _ = self.client.stream().write_all(&b"HELP\r\n".repeat(2_500));
            }
        }
    }
}

/// How the data connection comes up.
enum Way {
    Passive(TcpStream),
    Active(TcpListener),
    /// The client does not connect.
    Nobody,
}

/// Reads `count` octets, or what there is.
fn read_some(data: &TcpStream, count: usize) {
    let _ = data.take(count as u64).read_to_end(&mut Vec::new());
}
