//! What ferryd wants to reach, and whether it did: ratios of one run.

use crate::rows::names::{
    DOWNLOAD_LARGE, DOWNLOAD_SMALL, DOWNLOAD_TOGETHER, IDLE, LISTING, LOGIN, NOOP_COLD, NOOP_DOWNLOADS, NOOP_LISTING,
    NOOP_SLOW_READS, NOOP_SLOW_WRITES, START, TLS, UPLOAD_LARGE, UPLOAD_SMALL,
};
use crate::servers::PEERS;
use crate::table::{
    BINARY, CPU_PER_FILE, CPU_PER_GIB, CPU_PER_LISTING, CPU_PER_LOGIN, FAIRNESS, FILES, FIRST_REPLY, LOGINS, Metric,
    OWN_EACH, P99, RESIDENT, RESIDENT_START, THROUGHPUT, Table, shown,
};

/// With what ferryd's number is compared.
#[derive(Clone, Copy)]
enum Against {
    /// The best of the servers.
    Best,
    /// The best of those with a process for each session.
    BestThatForks,
    /// One of them.
    One(&'static str),
    /// The cheaper bare program.
    Bare,
    /// Nothing: the number itself counts.
    Itself,
}

/// What the ratio, or the number, has to be.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

struct Goal {
    row: &'static str,
    metric: Metric,
    against: Against,
    bound: Bound,
}

use Against::{Bare, Best, BestThatForks, Itself, One};
use Bound::{AtLeast, AtMost};

const fn goal(row: &'static str, metric: Metric, against: Against, bound: Bound) -> Goal {
    Goal { row, metric, against, bound }
}

fn goals() -> Vec<Goal> {
    let mut goals = vec![
        goal(DOWNLOAD_LARGE, CPU_PER_GIB, One("vsftpd"), AtMost(0.8)),
        goal(DOWNLOAD_LARGE, CPU_PER_GIB, Bare, AtMost(1.1)),
        goal(DOWNLOAD_LARGE, THROUGHPUT, Best, AtLeast(1.0)),
    ];
    for (row, count, _) in DOWNLOAD_TOGETHER {
        goals.push(goal(row, THROUGHPUT, Best, AtLeast(1.0)));
        goals.push(goal(row, CPU_PER_GIB, Best, AtMost(1.0)));
        goals.push(goal(row, FAIRNESS, Itself, AtLeast(0.98)));
        if count == 1_000 {
            goals.push(goal(row, RESIDENT, Itself, AtMost(8.0)));
        }
    }
    for (row, ..) in DOWNLOAD_SMALL {
        goals.push(goal(row, FILES, Best, AtLeast(1.5)));
        goals.push(goal(row, CPU_PER_FILE, Best, AtMost(0.6)));
        goals.push(goal(row, CPU_PER_FILE, Bare, AtMost(1.0)));
    }
    for row in UPLOAD_LARGE {
        goals.push(goal(row, CPU_PER_GIB, Best, AtMost(0.75)));
        goals.push(goal(row, THROUGHPUT, Best, AtLeast(1.0)));
    }
    goals.extend(UPLOAD_SMALL.map(|(row, ..)| goal(row, FILES, Best, AtLeast(1.5))));
    for (row, _) in LOGIN {
        goals.push(goal(row, LOGINS, Best, AtLeast(1.5)));
        goals.push(goal(row, CPU_PER_LOGIN, Best, AtMost(0.6)));
    }
    for (row, verb, count) in LISTING {
        if count >= 1_000 {
            goals.push(goal(row, CPU_PER_LISTING, Best, AtMost(if verb == "NLST" { 0.7 } else { 0.8 })));
        }
    }
    goals.extend(IDLE.map(|(row, _)| goal(row, OWN_EACH, Itself, AtMost(1.0))));
    goals.push(goal(NOOP_DOWNLOADS, P99, Best, AtMost(1.0 / 3.0)));
    for row in [NOOP_LISTING, NOOP_COLD, NOOP_SLOW_READS, NOOP_SLOW_WRITES] {
        goals.push(goal(row, P99, Itself, AtMost(2.0)));
        goals.push(goal(row, P99, BestThatForks, AtMost(1.0)));
    }
    goals.push(goal(TLS, CPU_PER_GIB, Best, AtMost(0.6)));
    goals.push(goal(START, FIRST_REPLY, Itself, AtMost(5.0)));
    goals.push(goal(START, RESIDENT_START, Itself, AtMost(4.0)));
    goals.push(goal(START, BINARY, Itself, AtMost(4.0)));
    goals
}

/// Prints each goal whose row was run.
pub fn print(table: &Table) {
    println!();
    println!("{:<34} | {:<22} | {:<28} | {:<9} | {:>8} | reached", "goal", "number", "against", "wanted", "is");
    for Goal { row, metric, against, bound } in goals() {
        let Some(ferryd) = table.median(row, "ferryd", metric) else { continue };
        let (against, reached) = match opponent(table, row, metric, against) {
            Some((name, other)) => (name, ferryd / other),
            None if matches!(against, Itself) => (metric.unit.to_owned(), ferryd),
            None => continue,
        };
        let (wanted, kept) = match bound {
            AtMost(limit) => (format!("<= {}", shown(limit)), reached <= limit),
            AtLeast(limit) => (format!(">= {}", shown(limit)), reached >= limit),
        };
        let failed = !table.faultless(row, "ferryd");
        let verdict = if failed {
            "NO, some failed"
        } else if kept {
            "yes"
        } else {
            "NO"
        };
        println!("{row:<34} | {:<22} | {against:<28} | {wanted:<9} | {:>8} | {verdict}", metric.name, shown(reached));
    }
}

/// Whom the goal means, and his number.
fn opponent(table: &Table, row: &str, metric: Metric, against: Against) -> Option<(String, f64)> {
    let is_server = |name: &str| name != "ferryd" && PEERS.iter().any(|peer| peer.name == name);
    let forks = |name: &str| PEERS.iter().any(|peer| peer.name == name && peer.forks);
    let meant = |name: &str| match against {
        Best => is_server(name),
        BestThatForks => forks(name),
        One(one) => name == one,
        Bare => name.starts_with("bare-"),
        Itself => false,
    };
    let lines = table.lines.iter().filter(|line| line.row == row && line.metric == metric && meant(line.server));
    let better =
        |one: f64, other: f64| if metric.more_is_better { other.total_cmp(&one) } else { one.total_cmp(&other) };
    let best = lines.map(|line| (line.server, line.median())).min_by(|one, other| better(one.1, other.1));
    best.map(|(name, number)| (format!("{name}, {} {}", shown(number), metric.unit), number))
}
