//! What was measured: a line for each row, server and number, made for eyes and for scripts.

/// A number that is told of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub more_is_better: bool,
}

const fn more(name: &'static str, unit: &'static str) -> Metric {
    Metric { name, unit, more_is_better: true }
}

const fn less(name: &'static str, unit: &'static str) -> Metric {
    Metric { name, unit, more_is_better: false }
}

pub const THROUGHPUT: Metric = more("throughput", "GB/s");
pub const CPU_PER_GIB: Metric = less("CPU", "s/GiB");
pub const FAIRNESS: Metric = more("Jain's index", "of 1");
pub const OWN: Metric = less("own memory, peak", "MiB");
pub const RESIDENT: Metric = less("resident, peak", "MiB");
pub const FILES: Metric = more("rate", "files/s");
pub const CPU_PER_FILE: Metric = less("CPU", "us/file");
pub const LOGINS: Metric = more("rate", "logins/s");
pub const CPU_PER_LOGIN: Metric = less("CPU", "us/login");
pub const LISTINGS: Metric = more("rate", "listings/s");
pub const CPU_PER_LISTING: Metric = less("CPU", "ms/listing");
pub const OWN_EACH: Metric = less("own memory of each", "KiB");
pub const RESIDENT_ALL: Metric = less("resident, all", "MiB");
pub const CPU_IDLE: Metric = less("CPU", "ms/s");
pub const P50: Metric = less("p50", "ms");
pub const P99: Metric = less("p99", "ms");
pub const LONGEST: Metric = less("max", "ms");
pub const LATE_P99: Metric = less("of it the load's, p99", "ms");
pub const FIRST_REPLY: Metric = less("until the first 220", "ms");
pub const RESIDENT_START: Metric = less("resident after start", "MiB");
pub const OWN_START: Metric = less("own memory after start", "MiB");
pub const BINARY: Metric = less("size of the binary", "MiB");

/// A server's rounds of a row, one number of them.
pub struct Line {
    pub row: String,
    pub server: &'static str,
    pub metric: Metric,
    /// In order of size.
    values: Vec<f64>,
}

impl Line {
    pub fn median(&self) -> f64 {
        (self.values[(self.values.len() - 1) / 2] + self.values[self.values.len() / 2]) / 2.0
    }
}

/// What a server did not do.
struct Lack {
    row: String,
    server: &'static str,
    what: String,
}

/// All rows so far.
#[derive(Default)]
pub struct Table {
    pub lines: Vec<Line>,
    lacks: Vec<Lack>,
    /// What else is to be known of a server in a row, and is no failure.
    notes: Vec<Lack>,
}

impl Table {
    pub fn heading() {
        println!(
            "{:<34} | {:<13} | {:<22} | {:<10} | {:>9} | {:>9} | {:>9} | {:>2} | ferryd/it",
            "row", "server", "number", "unit", "median", "min", "max", "n"
        );
    }

    /// Takes the rounds of a server.
    pub fn add(&mut self, row: &str, server: &'static str, rounds: &[Vec<(Metric, f64)>]) {
        let Some(first) = rounds.first() else { return };
        for &(metric, _) in first {
            let of_round =
                |round: &Vec<(Metric, f64)>| round.iter().find(|(one, _)| *one == metric).map(|found| found.1);
            let mut values: Vec<f64> = rounds.iter().filter_map(of_round).filter(|value| value.is_finite()).collect();
            values.sort_by(f64::total_cmp);
            if values.is_empty() {
                let why = format!("{} {} not measured: less than can be told", metric.name, metric.unit);
                self.note(row, server, why);
            } else {
                self.lines.push(Line { row: row.to_owned(), server, metric, values });
            }
        }
    }

    /// Says that a server is absent from a row, or that some of its work failed.
    pub fn lack(&mut self, row: &str, server: &'static str, what: String) {
        self.lacks.push(Lack { row: row.to_owned(), server, what });
    }

    /// Says what else is to be known of a server in a row.
    pub fn note(&mut self, row: &str, server: &'static str, what: String) {
        self.notes.push(Lack { row: row.to_owned(), server, what });
    }

    /// Who is absent from a row, or failed in it, and why.
    pub fn lacking(&self, row: &str) -> impl Iterator<Item = (&'static str, &str)> {
        self.lacks.iter().filter(move |lack| lack.row == row).map(|lack| (lack.server, lack.what.as_str()))
    }

    pub fn median(&self, row: &str, server: &str, metric: Metric) -> Option<f64> {
        let line = self.lines.iter().find(|line| line.row == row && line.server == server && line.metric == metric);
        line.map(Line::median)
    }

    /// Whether all that a server was asked in a row was done.
    pub fn faultless(&self, row: &str, server: &str) -> bool {
        !self.lacks.iter().any(|lack| lack.row == row && lack.server == server)
    }

    /// Prints a row that is complete.
    pub fn print(&self, row: &str) {
        for line in self.lines.iter().filter(|line| line.row == row) {
            let ferryd = self.median(row, "ferryd", line.metric);
            let ratio = ferryd.map_or("-".to_owned(), |ferryd| format!("{:.2}", ferryd / line.median()));
            let (min, max) = (line.values[0], line.values[line.values.len() - 1]);
            println!(
                "{row:<34} | {:<13} | {:<22} | {:<10} | {:>9} | {:>9} | {:>9} | {:>2} | {ratio}",
                line.server,
                line.metric.name,
                line.metric.unit,
                shown(line.median()),
                shown(min),
                shown(max),
                line.values.len()
            );
        }
        for lack in self.lacks.iter().chain(&self.notes).filter(|lack| lack.row == row) {
            println!("{row:<34} | {:<13} | {}", lack.server, lack.what);
        }
    }
}

/// Three significant digits and more.
pub fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}
