//! Listings of small, middling and large directories: LIST, MLSD and NLST.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::names::LISTING;
use super::round_end;
use crate::client::Client;
use crate::engine::{Outcome, scripts};
use crate::race::{Clients, Context, Fleet, given_away, served};
use crate::servers::NOBODY;
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

/// Makes a directory of files, if it is not there yet.
///
/// Neighbours differ in mode, size, time and, where that may be, in their owners, so that nobody gains by keeping the
/// last one's text. Sizes are holes, and take no room.
pub fn fill(directory: &Path, count: usize) {
    if fs::create_dir(directory).is_err() {
        return;
    }
    given_away(directory);
    let begun = SystemTime::now();
    for number in 0..count {
        let path = directory.join(name(number));
        let file = File::create(&path).expect("a file more");
        // Fibonacci hashing: the numbers look as if they came by chance, and are the same in every run.
        let chance = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
        let of = |among: &[u32], at: u64| among[((chance >> at) % among.len() as u64) as usize];
        file.set_len(chance >> (8 + chance % 32)).expect("a size");
        // Two years, to a nanosecond; what is older than half a year has its year in LIST.
        let age = Duration::new(chance % 63_000_000, number as u32);
        file.set_modified(begun.checked_sub(age).unwrap_or(begun)).expect("a time");
        file.set_permissions(Permissions::from_mode(of(&[0o644, 0o600, 0o755, 0o664, 0o444], 5))).expect("a mode");
        let _ = chown(&path, Some(of(&[0, 1, 33, 1_000, NOBODY], 11)), Some(of(&[0, 4, 100, 1_000, NOBODY], 17)));
    }
}

fn name(number: usize) -> String {
    format!("file-{number:06}.dat")
}

fn race(context: &mut Context, row: &str, fleet: &mut Fleet, command: &str, count: usize) {
    let mut entries = fleet.sessions(1, |engine| engine);
    for ((_, running), entry) in fleet.running().zip(&mut entries) {
        if let (Ok(server), Ok(_)) = (running, &entry.state) {
            match check(server.address, command, count) {
                Ok(Order::ByName) => {}
                Ok(Order::AsTheyLie) => context.table.note(row, entry.name, "does not sort it".to_owned()),
                Err(why) => entry.state = Err(format!("failed the check: {why}")),
            }
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

/// In which order a server tells of a directory.
enum Order {
    ByName,
    AsTheyLie,
}

/// Every name has to be there, once and whole; some servers add those of `.` and `..`, or a first line.
fn check(address: SocketAddr, command: &str, count: usize) -> Result<Order, String> {
    let mut client = Client::login(address, None).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    client.receive_into(command, &mut text).map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).map_err(|error| error.to_string())?;
    let lines = text.lines().filter(|line| !line.starts_with("total "));
    // It is the last word, and in NLST behind the directory's name with some.
    let names =
        lines.map(|line| line.rsplit([' ', '/']).next().unwrap_or(line)).filter(|name| !matches!(*name, "." | ".."));
    let names: Vec<&str> = names.collect();
    let told: HashSet<&str> = names.iter().copied().collect();
    if let Some(absent) = (0..count).map(name).find(|name| !told.contains(name.as_str())) {
        return Err(format!("{absent} is not in it"));
    }
    if names.len() > count {
        return Err(format!("{} names of {count} entries", names.len()));
    }
    Ok(if names.is_sorted() || names.iter().rev().is_sorted() { Order::ByName } else { Order::AsTheyLie })
}

fn of_listings(outcome: &Outcome, cpu: f64) -> Vec<(Metric, f64)> {
    let count = outcome.done.len() as f64;
    vec![(LISTINGS, count / outcome.seconds), (CPU_PER_LISTING, 1e3 * cpu / count)]
}
