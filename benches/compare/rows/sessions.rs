//! Sessions: how many logins a second, and what an idle session holds.

use std::time::Instant;

use super::names::LOGIN;
use super::round_end;
use crate::engine::{Engine, Outcome, scripts};
use crate::race::{Context, Entry, served};
use crate::table::{CPU_PER_LOGIN, LOGINS, Metric};

/// Connect, USER, PASS, QUIT, and wait until the server has closed.
pub fn logins(context: &mut Context) {
    if !LOGIN.into_iter().any(|(row, _)| context.wants(row)) {
        return;
    }
    let home = served("logins", None);
    let fleet = context.fleet(&home, None);
    for (row, together) in LOGIN {
        if !context.wants(row) {
            continue;
        }
        let entries = fleet.running().map(|(name, running)| {
            let state = running.map(|server| (server.tree(), Engine::new(server.address, together)));
            Entry { name, state: state.map_err(String::clone) }
        });
        let visits = |engine: &mut Engine, _| {
            let end = round_end();
            engine.run(|_| (Instant::now() < end).then(scripts::visit))
        };
        context.race(row, entries.collect(), visits, of_logins, None);
    }
}

fn of_logins(outcome: &Outcome, cpu: f64) -> Vec<(Metric, f64)> {
    let count = outcome.done.len() as f64;
    vec![(LOGINS, count / outcome.seconds), (CPU_PER_LOGIN, 1e6 * cpu / count)]
}
