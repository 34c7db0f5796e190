//! Sessions: how many logins a second, and what an idle session holds.

use std::thread;
use std::time::{Duration, Instant};

use super::names::{IDLE, LOGIN};
use super::round_end;
use crate::engine::{Engine, Outcome, scripts};
use crate::race::{Context, Entry, served};
use crate::servers::Running;
use crate::support::unless_quick;
use crate::table::{CPU_IDLE, CPU_PER_LOGIN, LOGINS, Metric, OWN_EACH, RESIDENT_ALL};

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

/// Sessions that have logged in and say nothing more. One server at a time, newly started.
pub fn idle(context: &mut Context) {
    for (row, count) in IDLE {
        if !context.wants(row) {
            continue;
        }
        let home = served("idle", None);
        for peer in context.peers().collect::<Vec<_>>() {
            if peer.forks && count > 1_000 {
                let why = "not run: a process for each session, and 1,000 show what one takes";
                context.table.lack(row, peer.name, why.to_owned());
                continue;
            }
            let count = unless_quick(count, count / 10);
            match peer.start(home.path(), None).map_err(|why| format!("absent: {why}")) {
                Ok(server) => match hold(&server, count) {
                    Ok(told) => context.table.add(row, peer.name, &[told]),
                    Err(why) => context.table.lack(row, peer.name, why),
                },
                Err(why) => context.table.lack(row, peer.name, why),
            }
        }
        context.table.print(row);
    }
}

/// What `count` sessions hold, and whether all of them still answer.
fn hold(server: &Running, count: usize) -> Result<Vec<(Metric, f64)>, String> {
    let tree = server.tree();
    // The first session makes what there is once for all of them.
    let mut first = Engine::new(server.address, 1);
    failed("the first login", first.all(1, scripts::login))?;
    tree.settled_cpu();
    let before = tree.memory();
    let mut engine = Engine::new(server.address, count);
    failed("logins", engine.all(50, scripts::login))?;
    tree.settled_cpu();
    let memory = tree.memory();
    let watched = unless_quick(1.5, 0.5);
    let cpu = tree.cpu();
    thread::sleep(Duration::from_secs_f64(watched));
    let idle = (tree.cpu() - cpu) / watched;
    failed("NOOPs after a while", engine.all(50, scripts::noop))?;
    let each = |before: f64, after: f64| 1024.0 * (after - before) / count as f64;
    Ok(vec![(OWN_EACH, each(before.own, memory.own)), (RESIDENT_ALL, memory.resident), (CPU_IDLE, 1e3 * idle)])
}

fn failed(what: &str, outcome: Outcome) -> Result<(), String> {
    match outcome.why {
        Some(why) => Err(format!(
            "{} {what} failed of {}: {why}",
            outcome.failures,
            outcome.failures as usize + outcome.done.len()
        )),
        None => Ok(()),
    }
}
