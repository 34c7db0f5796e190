//! ferryd beside the servers that people run today, and beside programs that do nothing but move the file.
//!
//! ```text
//! cargo bench --bench compare                           everything
//! cargo bench --bench compare -- download tls           rows whose name has one of these words
//! cargo bench --bench compare -- --only ferryd,vsftpd   only these servers
//! cargo bench --bench compare -- --rounds 9
//! FERRYD_BENCH_LOG=info cargo bench --bench compare     ferryd writes the log that it writes by itself
//! ```
//!
//! `benches/peers` fetches the other servers; one that is not there is named. All get the same work in turns, from
//! one process of which this file is the beginning. benches/README.md says what the numbers mean.

mod bare;
mod chart;
mod client;
mod engine;
mod goals;
mod group;
mod keeper;
mod pace;
mod race;
mod rows;
mod servers;
mod slow;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod tree;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use race::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use support::{Directory, quick, unless_quick};
use table::Table;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(keeper::ARGUMENT) => keeper::run(&arguments[1..]),
        Some(bare::ARGUMENT) => bare::run(&arguments[1..]),
        _ => {}
    }
    let mut context = context(arguments).unwrap_or_else(|why| {
        eprintln!("{why}");
        eprintln!("cargo bench --bench compare -- [WORD]... [--only SERVER,...] [--rounds N]");
        std::process::exit(2);
    });
    let begun = Instant::now();
    remove_directories_when_told_to_end();
    raise_descriptor_limit();
    if quick() {
        println!("A short run: less of everything than the rows say.");
    }
    Table::heading();
    rows::downloads::run(&mut context);
    rows::uploads::run(&mut context);
    rows::sessions::logins(&mut context);
    rows::tls::run(&mut context);
    rows::listings::run(&mut context);
    rows::sessions::idle(&mut context);
    rows::latency::run(&mut context);
    rows::start::run(&mut context);
    goals::print(&context.table);
    let chart = servers::target_directory().join(chart_name(&context));
    match chart::draw(&context.table, &chart) {
        Ok(chart::Drawn::Nothing) => println!("\nno chart: it has what ferryd and another have been measured for"),
        Ok(chart::Drawn::Rows(count)) => println!("\n{}, {count} rows", chart.display()),
        Err(error) => println!("\n{}: {error}", chart.display()),
    }
    println!("{:.0} s", begun.elapsed().as_secs_f64());
}

/// What the command line asks for, or what is wrong with it.
fn context(arguments: Vec<String>) -> Result<Context, String> {
    let rounds = unless_quick(5, 1);
    let mut context = Context { words: Vec::new(), only: Vec::new(), rounds, table: Table::default() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        match argument.as_str() {
            // cargo says this to every bench.
            "--bench" => {}
            "--only" => context.only = value()?.split(',').map(str::to_owned).collect(),
            "--rounds" => {
                let value = value()?;
                let rounds = value.parse().ok().filter(|&rounds| rounds > 0);
                context.rounds = rounds.ok_or_else(|| format!("--rounds {value}: it wants a number from 1 on"))?;
            }
            word if word.starts_with('-') => return Err(format!("{word} is no option")),
            _ => context.words.push(argument),
        }
    }
    there_is(&context)?;
    Ok(context)
}

/// Every word has to fit a row, and every server to be one.
fn there_is(context: &Context) -> Result<(), String> {
    let rows = rows::names::all();
    if let Some(word) = context.words.iter().find(|word| !rows.iter().any(|row| race::fits(word, row))) {
        return Err(format!("{word:?} is in the name of no row; there are:\n  {}", rows.join("\n  ")));
    }
    let servers: Vec<&str> = servers::PEERS.iter().map(|peer| peer.name).chain(bare::names()).collect();
    match context.only.iter().find(|only| !servers.contains(&only.as_str())) {
        Some(only) => Err(format!("--only {only}: there is no such server; there are {}", servers.join(", "))),
        None => Ok(()),
    }
}

/// A run of some rows, of some servers or of less work leaves the chart of everything as it is.
fn chart_name(context: &Context) -> &'static str {
    let whole = context.words.is_empty() && context.only.is_empty() && !quick();
    if whole { "compare.svg" } else { "compare-part.svg" }
}

/// Ctrl-C and SIGTERM leave no files of a GiB behind; the keepers end the servers by themselves.
fn remove_directories_when_told_to_end() {
    let (mut told, teller) = UnixStream::pair().expect("a pair of sockets");
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let teller = teller.try_clone().expect("a descriptor more");
        signal_hook::low_level::pipe::register(signal, teller).expect("a signal that can be caught");
    }
    std::thread::spawn(move || {
        let _ = told.read(&mut [0]);
        Directory::remove_all();
        std::process::exit(1);
    });
}

/// As many descriptors as are allowed: 10,000 sessions are as many sockets.
fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
