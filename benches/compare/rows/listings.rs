//! Listings of small, middling and large directories: LIST, MLSD and NLST.

use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use super::names::LISTING;
use super::round_end;
use crate::client::Client;
use crate::engine::{Outcome, scripts};
use crate::race::{Clients, Context, Fleet, given_away, served};
use crate::support::unless_quick;
use crate::table::{CPU_PER_LISTING, LISTINGS, Metric};

/// Entries from which on one listing is a round.
const LONG: usize = 50_000;

pub fn run(context: &mut Context) {
    if !LISTING.into_iter().any(|(row, ..)| context.wants(row)) {
        return;
    }
    let home = served("listings", None);
    let mut fleet = context.fleet(&home, None);
    for (row, verb, entries) in LISTING {
        if !context.wants(row) {
            continue;
        }
        let count = unless_quick(entries, entries.min(5_000));
        let name = format!("of-{entries}");
        fill(&home.path().join(&name), count);
        let command = format!("{verb} {name}");
        race(context, row, &mut fleet, &command, count);
    }
}

/// Makes a directory of empty files, if it is not there yet.
pub fn fill(directory: &Path, count: usize) {
    if fs::create_dir(directory).is_err() {
        return;
    }
    given_away(directory);
    for number in 0..count {
        File::create(directory.join(format!("file-{number:06}.dat"))).expect("a file more");
    }
}

fn race(context: &mut Context, row: &str, fleet: &mut Fleet, command: &str, count: usize) {
    let mut entries = fleet.sessions(1, |engine| engine);
    for ((_, running), entry) in fleet.running().zip(&mut entries) {
        if let (Ok(server), Ok(_)) = (running, &entry.state)
            && let Err(why) = check(server.address, command, count)
        {
            entry.state = Err(why);
        }
    }
    let list = |clients: &mut Clients, _| {
        let end = round_end();
        let mut begun = false;
        let long = count >= LONG;
        let mut script = |_| {
            let go_on = if long { !begun } else { Instant::now() < end };
            begun = true;
            go_on.then(|| scripts::receive(command))
        };
        clients.engine.run(&mut script)
    };
    context.race(row, entries, list, of_listings, None);
}

/// One line for each entry; some servers add those of `.` and `..`, or a first line.
fn check(address: std::net::SocketAddr, command: &str, count: usize) -> Result<(), String> {
    let mut client = Client::login(address, None).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    client.receive_into(command, &mut text).map_err(|error| error.to_string())?;
    let lines = text.iter().filter(|octet| **octet == b'\n').count();
    if (count..=count + 3).contains(&lines) { Ok(()) } else { Err(format!("{lines} lines for {count} entries")) }
}

fn of_listings(outcome: &Outcome, cpu: f64) -> Vec<(Metric, f64)> {
    let count = outcome.done.len() as f64;
    vec![(LISTINGS, count / outcome.seconds), (CPU_PER_LISTING, 1e3 * cpu / count)]
}
