//! Plays a transcript against somebody who answers as a server does.

use std::path::Path;

use super::script::{Entry, Octets, Script, Stage, Step, lines_match, matches};
use super::support::{Reply, Tree};

/// A server, or what stands for one.
pub trait Peer {
    /// Begins a new session, with its greeting read; logged in where rights are given.
    fn begin(&mut self, rights: Option<&str>);
    /// Sends octets on the control connection.
    fn send(&mut self, octets: &Octets);
    /// Reads the next reply; nothing where none comes.
    fn reply(&mut self) -> Option<Reply>;
    /// Whether the control connection is closed, and nothing was left on it.
    fn is_closed(&mut self) -> bool;
    /// Connects where a reply to PASV or EPSV says.
    fn connect_data(&mut self, reply: &Reply);
    /// Listens for a data connection: the port.
    fn listen_for_data(&mut self) -> u16;
    /// Reads the data connection to its end.
    fn read_data(&mut self) -> Result<Vec<u8>, String>;
    /// Sends octets over the data connection, and its end.
    fn write_data(&mut self, octets: &[u8]) -> Result<(), String>;
}

/// Which data connection the transcript has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    None,
    /// PORT or EPRT was sent; it holds once the reply is 200.
    Offered,
    Named,
}

struct Player<'a> {
    peer: &'a mut dyn Peer,
    tree: &'a Tree,
    data: Data,
}

/// Plays `script` over `tree`; the first step that fails, with its line.
pub fn play(script: &Script, stage: Stage, tree: &Tree, peer: &mut dyn Peer) -> Result<(), String> {
    let mut player = Player { peer, tree, data: Data::None };
    let mut played = Stage::Both;
    let mut begun = false;
    for (index, (number, step)) in script.steps.iter().enumerate() {
        let here = |error: String| format!("{}:{number}: {error}", script.name);
        if let Step::Stage(stage) = step {
            played = *stage;
            continue;
        }
        if played != Stage::Both && played != stage {
            continue;
        }
        let on_stage = !matches!(step, Step::Tree(..) | Step::Login(_));
        if on_stage && !std::mem::replace(&mut begun, true) {
            player.begin(Some("rw"));
        }
        begun |= matches!(step, Step::Login(_));
        let moves_data = data_follows(&script.steps[index + 1..]);
        player.step(step, moves_data).map_err(here)?;
    }
    Ok(())
}

/// Whether data moves before the next command is sent.
fn data_follows(steps: &[(usize, Step)]) -> bool {
    let until = steps.iter().take_while(|(_, step)| !matches!(step, Step::Send(_) | Step::Login(_)));
    until.into_iter().any(|(_, step)| matches!(step, Step::DataIn(_) | Step::DataOut(_)))
}

impl Player<'_> {
    fn begin(&mut self, rights: Option<&str>) {
        self.data = Data::None;
        self.peer.begin(rights);
    }

    fn step(&mut self, step: &Step, moves_data: bool) -> Result<(), String> {
        match step {
            Step::Stage(_) => Ok(()),
            Step::Login(rights) => {
                self.begin(rights.as_deref());
                Ok(())
            }
            Step::Tree(name, entry) => {
                grow(self.tree, name, entry);
                Ok(())
            }
            Step::Send(octets) => self.send(octets, moves_data),
            Step::Reply(expected) => self.expect(expected),
            Step::DataIn(expected) => {
                let octets = self.peer.read_data()?;
                let agree = matches(expected, &octets);
                differ(agree, "data", &expected.escape_ascii(), &octets.escape_ascii())
            }
            Step::DataOut(octets) => self.peer.write_data(octets),
            Step::File(name, expected) => {
                let content = self.tree.read(name).ok_or("no such file")?;
                differ(content == *expected, "file", &expected.escape_ascii(), &content.escape_ascii())
            }
            Step::Absent(name) => {
                let there = std::fs::symlink_metadata(self.tree.at(name)).is_ok();
                if there { Err("it exists".to_owned()) } else { Ok(()) }
            }
            Step::Closed if self.peer.is_closed() => Ok(()),
            Step::Closed => Err("not closed, or something came before the end".to_owned()),
        }
    }

    fn send(&mut self, octets: &Octets, moves_data: bool) -> Result<(), String> {
        if moves_data && self.data != Data::Named {
            self.peer.send(&Octets::Line(b"EPSV".to_vec()));
            match self.peer.reply() {
                Some(reply) if reply.code == 229 => self.peer.connect_data(&reply),
                other => return Err(format!("EPSV: {other:?}")),
            }
            self.data = Data::Named;
        }
        let Octets::Line(line) = octets else {
            self.peer.send(octets);
            return Ok(());
        };
        let mut line = line.clone();
        for name in [&b"{hostport}"[..], b"{port}"] {
            if let Some(at) = line.windows(name.len()).position(|window| window == name) {
                let port = self.peer.listen_for_data();
                let shown = match name {
                    b"{port}" => port.to_string(),
                    _ => format!("127,0,0,1,{},{}", port >> 8, port & 0xff),
                };
                line.splice(at..at + name.len(), shown.into_bytes());
                self.data = Data::Offered;
                break;
            }
        }
        self.peer.send(&Octets::Line(line));
        Ok(())
    }

    fn expect(&mut self, expected: &[Vec<u8>]) -> Result<(), String> {
        let show = |lines: &[Vec<u8>]| String::from_utf8_lossy(&lines.join(&b'\n')).into_owned();
        let Some(reply) = self.peer.reply() else { return Err(format!("no reply; expected {}", show(expected))) };
        differ(lines_match(expected, &reply.lines), "reply", &show(expected), &show(&reply.lines))?;
        match reply.code {
            227 | 229 => {
                self.peer.connect_data(&reply);
                self.data = Data::Named;
            }
            200 if self.data == Data::Offered => self.data = Data::Named,
            226 | 425 | 426 | 450..=452 | 551 | 552 => self.data = Data::None,
            _ => {}
        }
        Ok(())
    }
}

fn differ(
    agree: bool,
    what: &str,
    expected: &dyn std::fmt::Display,
    got: &dyn std::fmt::Display,
) -> Result<(), String> {
    if agree { Ok(()) } else { Err(format!("another {what}\n    expected: {expected}\n    got:      {got}")) }
}

fn grow(tree: &Tree, name: &[u8], entry: &Entry) {
    match entry {
        Entry::Directory => drop(tree.directory(name)),
        Entry::Link(target) => drop(tree.link(name, target)),
        Entry::Fifo => drop(tree.fifo(name)),
        Entry::Sparse(size) => drop(tree.sparse(name, *size)),
        Entry::File { modified, content } => {
            tree.file(name, content);
            if let Some(seconds) = modified {
                tree.modified(name, *seconds);
            }
        }
    }
}

/// Every transcript beside this file, by name.
pub fn scripts() -> Vec<Script> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = std::fs::read_dir(&directory).expect("the transcripts are there");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Script::parse(&name, &std::fs::read_to_string(path).unwrap())
    };
    paths.iter().map(read).collect()
}
