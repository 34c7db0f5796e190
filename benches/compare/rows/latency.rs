//! How long one session waits for NOOP's reply while another has work: downloads, a listing, a disk that is slow.
//!
//! Every millisecond one NOOP is due, and is sent whether the last one has its reply or not (`pace.rs`). The session that asks has a thread of its own with a higher priority where that may be, so that it is the server
//! that is waited for, and not this program.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{Advice, fadvise};
use rustix::process::setpriority_process;

use super::listings::fill;
use super::names::{NOOP_COLD, NOOP_DOWNLOADS, NOOP_LISTING, NOOP_SLOW_READS, NOOP_SLOW_WRITES};
use crate::client::Client;
use crate::engine::{Done, Engine, Outcome, Step, scripts};
use crate::pace;
use crate::race::{Context, Entry, Fleet, given_away, served};
use crate::slow::Slow;
use crate::support::{Directory, unless_quick};
use crate::table::{LATE_P99, LONGEST, Metric, P50, P99};

/// Rounds of these rows: each has a thousand samples.
const ROUNDS_MAX: usize = 3;
/// How often a NOOP is due.
const EVERY: Duration = Duration::from_millis(1);
const SLOW_UPLOAD_OCTETS: u64 = 64 * 1024;

/// A script, given a server's name.
type Script = Box<dyn Fn(&str) -> Vec<Step> + Sync>;

/// The other work.
struct Load {
    sessions: usize,
    script: Script,
    /// What is taken out of the page cache before each script.
    cold: Option<PathBuf>,
}

impl Load {
    fn new(sessions: usize, command: &'static str) -> Load {
        Load { sessions, script: Box::new(move |_| scripts::receive(command)), cold: None }
    }
}

/// What a server's clients keep from round to round.
struct Clients {
    engine: Engine,
    asking: Client,
}

pub fn run(context: &mut Context) {
    let rows = [NOOP_DOWNLOADS, NOOP_LISTING, NOOP_COLD, NOOP_SLOW_READS, NOOP_SLOW_WRITES];
    if !rows.into_iter().any(|row| context.wants(row)) {
        return;
    }
    let rounds = context.rounds;
    context.rounds = rounds.min(ROUNDS_MAX);
    let home = served("latency", None);
    let sources = Directory::new("source", None);
    let source = sources.file("source", SLOW_UPLOAD_OCTETS);
    let make = |engine: Engine| engine.sending(File::open(&source).expect("it was made"), SLOW_UPLOAD_OCTETS);
    let fleet = context.fleet(&home, None);
    if context.wants(NOOP_DOWNLOADS) {
        given_away(&home.file("one", 16 << 20));
        race(context, NOOP_DOWNLOADS, &fleet, make, Load::new(unless_quick(100, 20), "RETR one"));
    }
    if context.wants(NOOP_LISTING) {
        fill(&home.path().join("many"), unless_quick(100_000, 20_000));
        race(context, NOOP_LISTING, &fleet, make, Load::new(1, "LIST many"));
    }
    if context.wants(NOOP_COLD) {
        let cold = home.file("cold", unless_quick(128 << 20, 16 << 20));
        given_away(&cold);
        // Only what has reached the disk can leave the page cache.
        File::open(&cold).and_then(|file| file.sync_all()).expect("it can be written");
        race(context, NOOP_COLD, &fleet, make, Load { cold: Some(cold), ..Load::new(1, "RETR cold") });
    }
    if context.wants(NOOP_SLOW_READS) || context.wants(NOOP_SLOW_WRITES) {
        // A server with mounts of its own sees only those that were there when it started.
        drop(fleet);
        slow(context, &home, make);
    }
    context.rounds = rounds;
}

fn slow(context: &mut Context, home: &Directory, make: impl Fn(Engine) -> Engine) {
    let at = home.path().join("slow");
    std::fs::create_dir(&at).expect("a directory more");
    let mounted = Slow::mount(&at);
    let fleet = context.fleet(home, None);
    for (row, load) in [
        (NOOP_SLOW_READS, Load::new(1, "RETR slow/file")),
        (
            NOOP_SLOW_WRITES,
            Load { script: Box::new(|name| scripts::store(&format!("slow/{name}"))), ..Load::new(1, "") },
        ),
    ] {
        match &mounted {
            _ if !context.wants(row) => {}
            Ok(_) => race(context, row, &fleet, &make, load),
            Err(why) => println!("{row}: not run, {why}"),
        }
    }
}

fn race(context: &mut Context, row: &str, fleet: &Fleet, make: impl Fn(Engine) -> Engine, load: Load) {
    let mut entries = Vec::new();
    for ((_, running), entry) in fleet.running().zip(fleet.sessions(load.sessions, make)) {
        let state = match (running, entry.state) {
            (Ok(server), Ok((tree, clients))) => Client::login(server.address, None)
                .map(|asking| (tree, Clients { engine: clients.engine, asking }))
                .map_err(|error| format!("login: {error}")),
            (_, state) => Err(state.err().unwrap_or_default()),
        };
        entries.push(Entry { name: entry.name, state });
    }
    context.race(row, entries, |clients, name| beside(clients, name, &load), of_waits, None);
}

/// Asks while the load is there; what is done is a NOOP.
fn beside(clients: &mut Clients, name: &str, load: &Load) -> Outcome {
    let over = AtomicBool::new(false);
    let Clients { engine, asking } = clients;
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            // Nothing is lost where this may not be.
            let _ = setpriority_process(None, -10);
            thread::sleep(Duration::from_millis(100));
            let outcome = ask(asking);
            over.store(true, Ordering::Relaxed);
            outcome
        });
        let loaded = engine.run(|_| {
            if let Some(cold) = load.cold.as_ref().and_then(|path| File::open(path).ok()) {
                let _ = fadvise(&cold, 0, None, Advice::DontNeed);
            }
            (!over.load(Ordering::Relaxed)).then(|| (load.script)(name))
        });
        let mut outcome = asked.join().expect("it does not panic");
        if let Some(why) = loaded.why {
            outcome.fail(loaded.failures, format!("the work beside it: {why}"));
        }
        outcome
    })
}

fn ask(asking: &Client) -> Outcome {
    let mut outcome = Outcome::default();
    let paced = match asking.control() {
        Some(control) => pace::noops(control, EVERY, unless_quick(1_000, 200)).map_err(|error| error.to_string()),
        None => Err("a reply more than commands".to_owned()),
    };
    match paced {
        Ok(paced) => {
            outcome.done.extend(paced.waits.into_iter().map(|seconds| Done { octets: 0, seconds }));
            outcome.late = paced.late;
        }
        Err(why) => outcome.fail(1, why),
    }
    outcome
}

fn of_waits(outcome: &Outcome, _: f64) -> Vec<(Metric, f64)> {
    let at = |seconds: &mut Vec<f64>, share: f64| {
        seconds.sort_by(f64::total_cmp);
        1e3 * seconds[(share * (seconds.len() - 1) as f64).round() as usize]
    };
    let mut waits = outcome.done.iter().map(|done| done.seconds).collect();
    let (p50, p99, longest) = (at(&mut waits, 0.5), at(&mut waits, 0.99), at(&mut waits, 1.0));
    vec![(P50, p50), (P99, p99), (LONGEST, longest), (LATE_P99, at(&mut outcome.late.clone(), 0.99))]
}
