//! The same work for every server in turn, A B A B …, and what each round cost it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bare::Bare;
use crate::client::{Certificate, Client};
use crate::engine::{Engine, Outcome, Step, scripts};
use crate::servers::{NOBODY, PEERS, Peer, Running};
use crate::support::{Checker, Directory, unless_quick};
use crate::table::{Metric, Table};
use crate::tree::{Memory, Tree};

/// How many logins are made at once where many sessions are needed.
const LOGINS_AT_ONCE: usize = 50;

/// What was asked for, and what was found.
pub struct Context {
    /// Rows are run whose name has one of these words; all, where there is none.
    pub words: Vec<String>,
    /// Servers that run; all, where there is none.
    pub only: Vec<String>,
    pub rounds: usize,
    pub table: Table,
}

impl Context {
    pub fn wants(&self, row: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| fits(word, row))
    }

    pub fn wants_server(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    pub fn peers(&self) -> impl Iterator<Item = &'static Peer> {
        PEERS.iter().filter(|peer| self.wants_server(peer.name))
    }

    /// Starts every server over `home`.
    pub fn fleet(&self, home: &Directory, certificate: Option<&Certificate>) -> Fleet {
        let certificate = certificate.map(|certificate| certificate.file.as_path());
        let start = |peer: &'static Peer| {
            (peer.name, peer.start(home.path(), certificate).map_err(|why| format!("absent: {why}")))
        };
        Fleet(self.peers().map(start).collect())
    }

    /// Starts bare programs.
    pub fn bare(&self, kinds: &[Bare], path: &Path, size: u64) -> Vec<(Bare, Result<Running, String>)> {
        let wanted = kinds.iter().filter(|kind| self.wants_server(kind.name()));
        wanted.map(|&kind| (kind, kind.start(path, size))).collect()
    }

    /// Runs a row: once uncounted, in which the memory is looked at, and then in turns.
    ///
    /// `work` is what each server is given, and `tell` makes numbers of what it came to and of its CPU seconds. A
    /// server that fails is told of, and does not end the row.
    pub fn race<S>(
        &mut self,
        row: &str,
        entries: Vec<Entry<S>>,
        mut work: impl FnMut(&mut S, &'static str) -> Outcome,
        tell: impl Fn(&Outcome, f64) -> Vec<(Metric, f64)>,
        memory: Option<[Metric; 2]>,
    ) {
        // A slow server has fewer rounds, not a longer bench.
        let allowance = Duration::from_secs_f64(unless_quick(5.0, 0.5));
        let mut racers: Vec<Racer<S>> = Vec::new();
        for entry in entries {
            match entry.state {
                Err(why) => self.table.lack(row, entry.name, why),
                Ok((tree, state)) => racers.push(Racer {
                    name: entry.name,
                    tree,
                    state,
                    rounds: Vec::new(),
                    spent: Duration::ZERO,
                    failures: 0,
                    why: None,
                }),
            }
        }
        let mut peaks = Vec::new();
        for racer in &mut racers {
            let watched = memory.is_some();
            let (told, peak) = with_peak(racer.tree, watched, || racer.round(&mut work, &tell));
            // What takes so long needs no warming, and is its only round.
            if racer.spent > 2 * allowance {
                racer.rounds.extend(told);
            } else {
                racer.spent = Duration::ZERO;
            }
            peaks.push(peak);
        }
        for _ in 0..self.rounds {
            for racer in racers.iter_mut().filter(|racer| racer.spent < allowance) {
                let told = racer.round(&mut work, &tell);
                racer.rounds.extend(told);
            }
        }
        for (racer, peak) in racers.into_iter().zip(peaks) {
            self.table.add(row, racer.name, &racer.rounds);
            if let (Some([own, resident]), false) = (memory, racer.rounds.is_empty()) {
                self.table.add(row, racer.name, &[vec![(own, peak.own), (resident, peak.resident)]]);
            }
            if racer.failures > 0 {
                self.table.lack(
                    row,
                    racer.name,
                    format!("{} failed: {}", racer.failures, racer.why.unwrap_or_default()),
                );
            }
        }
        self.table.print(row);
    }
}

/// Whether a word of the command line means a row.
pub fn fits(word: &str, row: &str) -> bool {
    row.to_lowercase().contains(&word.to_lowercase())
}

/// A server of a row.
pub struct Entry<S> {
    pub name: &'static str,
    /// Its processes and what its clients keep from round to round, or why it is not there.
    pub state: Result<(Tree, S), String>,
}

struct Racer<S> {
    name: &'static str,
    tree: Tree,
    state: S,
    rounds: Vec<Vec<(Metric, f64)>>,
    spent: Duration,
    failures: u64,
    why: Option<String>,
}

impl<S> Racer<S> {
    /// Does the work once; its numbers, if anything was done.
    fn round(
        &mut self,
        work: &mut impl FnMut(&mut S, &'static str) -> Outcome,
        tell: &impl Fn(&Outcome, f64) -> Vec<(Metric, f64)>,
    ) -> Option<Vec<(Metric, f64)>> {
        let cpu = self.tree.settled_cpu();
        let begun = Instant::now();
        let outcome = work(&mut self.state, self.name);
        self.spent += begun.elapsed();
        // Whatever was done cost something: nothing is what could not be measured, and no number of this round.
        let cpu = Some(self.tree.settled_cpu() - cpu).filter(|&cpu| cpu > 0.0).unwrap_or(f64::NAN);
        self.failures += outcome.failures;
        self.why = self.why.take().or(outcome.why.clone());
        (!outcome.done.is_empty()).then(|| tell(&outcome, cpu))
    }
}

/// Does `work`, and looks at the memory of `tree` meanwhile.
fn with_peak<T>(tree: Tree, watched: bool, work: impl FnOnce() -> T) -> (T, Memory) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = watched.then(|| {
            scope.spawn(|| {
                let mut peak = tree.memory();
                let mut pause = Duration::from_millis(100);
                while !over.load(Ordering::Relaxed) {
                    thread::sleep(pause);
                    let looking = Instant::now();
                    peak = peak.peak(tree.memory());
                    // To look at 1,000 processes is work, and must not slow them down.
                    pause = pause.max(10 * looking.elapsed());
                }
                peak
            })
        });
        let outcome = work();
        over.store(true, Ordering::Relaxed);
        (outcome, watch.and_then(|watch| watch.join().ok()).unwrap_or_default())
    })
}

/// All servers over one directory.
pub struct Fleet(Vec<(&'static str, Result<Running, String>)>);

/// What the clients of a server keep from round to round.
pub struct Clients {
    pub engine: Engine,
    /// Set where it is a bare program, which speaks no FTP.
    pub bare: bool,
}

impl Clients {
    /// What a client says to receive `name`.
    pub fn receive(bare: bool, name: &str) -> Vec<Step> {
        if bare { scripts::bare_receive() } else { scripts::receive(&format!("RETR {name}")) }
    }

    /// What a client says to send a file that shall be called `name`.
    pub fn store(bare: bool, name: &str) -> Vec<Step> {
        if bare { scripts::bare_store() } else { scripts::store(name) }
    }
}

impl Fleet {
    /// The names, and who runs.
    pub fn running(&self) -> impl Iterator<Item = (&'static str, Result<&Running, &String>)> {
        self.0.iter().map(|(name, running)| (*name, running.as_ref()))
    }

    /// Does away with those that fail in `check`.
    pub fn check(&mut self, check: impl Fn(&Running, &'static str) -> std::io::Result<()>) {
        for (name, running) in &mut self.0 {
            if let Ok(server) = running
                && let Err(error) = check(server, name)
            {
                *running = Err(format!("failed the check: {error}"));
            }
        }
    }

    /// Logs `sessions` in at each server.
    pub fn sessions(&self, sessions: usize, make: impl Fn(Engine) -> Engine) -> Vec<Entry<Clients>> {
        let login = |(name, running): (&'static str, Result<&Running, &String>)| {
            let state = running.map_err(String::clone).and_then(|server| {
                let mut engine = make(Engine::new(server.address, sessions));
                let outcome = engine.all(LOGINS_AT_ONCE, scripts::image);
                match outcome.why {
                    Some(why) => Err(format!("{} of {sessions} logins failed: {why}", outcome.failures)),
                    None => Ok((server.tree(), Clients { engine, bare: false })),
                }
            });
            Entry { name, state }
        };
        self.running().map(login).collect()
    }
}

/// The clients of bare programs.
pub fn bare_sessions<'a>(
    bare: &'a [(Bare, Result<Running, String>)],
    sessions: usize,
    make: impl Fn(Engine) -> Engine + 'a,
) -> impl Iterator<Item = Entry<Clients>> + 'a {
    bare.iter().map(move |(kind, running)| {
        let clients = |server: &Running| Clients { engine: make(Engine::new(server.address, sessions)), bare: true };
        let state = running.as_ref().map(|server| (server.tree(), clients(server))).map_err(String::clone);
        Entry { name: kind.name(), state }
    })
}

/// A directory that every server may write to, also one that has given up being root.
pub fn served(name: &str, parent: Option<&Path>) -> Directory {
    let directory = Directory::new(name, parent);
    given_away(directory.path());
    directory
}

/// Gives a file to the user as whom some servers work, if that can be.
pub fn given_away(path: &Path) {
    let _ = std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY));
}

/// Downloads a file, and compares it.
pub fn check_download(client: &mut Client, name: &str, size: u64) -> std::io::Result<()> {
    let mut checker = Checker::new(size);
    let received = client.receive_into(&format!("RETR {name}"), &mut Guarded(&mut checker))?;
    if received == size { Ok(()) } else { Err(std::io::Error::other(format!("{name}: {received} octets of {size}"))) }
}

/// Compares a file that was uploaded, and removes it.
pub fn check_upload(path: &Path, size: u64) -> std::io::Result<()> {
    let mut stored = fs::File::open(path)?;
    let received = std::io::copy(&mut stored, &mut Guarded(&mut Checker::new(size)))?;
    fs::remove_file(path)?;
    if received == size { Ok(()) } else { Err(std::io::Error::other(format!("{received} octets stored of {size}"))) }
}

/// Wrong octets are an error of the server here, and do not end the bench.
struct Guarded<'a>(&'a mut Checker);

impl std::io::Write for Guarded<'_> {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.compare(octets)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
