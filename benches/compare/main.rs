//! ferryd beside the servers that people run today, and beside programs that do nothing but move the file.
//!
//! ```text
//! cargo bench --bench compare                           everything
//! cargo bench --bench compare -- download tls           rows whose name has one of these words
//! cargo bench --bench compare -- --only ferryd,vsftpd   only these servers
//! cargo bench --bench compare -- --rounds 9
//! ```
//!
//! `benches/peers` fetches the other servers; one that is not there is named. All get the same work in turns, from
//! one process of which this file is the beginning. benches/README.md says what the numbers mean.

mod bare;
mod chart;
mod client;
mod engine;
mod goals;
mod keeper;
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
    let Some(mut context) = context(arguments) else {
        println!("cargo bench --bench compare -- [WORD]... [--only SERVER,...] [--rounds N]");
        std::process::exit(2);
    };
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
    let chart = servers::target_directory().join("compare.svg");
    match chart::draw(&context.table, &chart) {
        Ok(()) => println!("\n{}", chart.display()),
        Err(error) => println!("\n{}: {error}", chart.display()),
    }
    println!("{:.0} s", begun.elapsed().as_secs_f64());
}

/// What the command line asks for; nothing where it cannot be understood.
fn context(arguments: Vec<String>) -> Option<Context> {
    let rounds = unless_quick(5, 1);
    let mut context = Context { words: Vec::new(), only: Vec::new(), rounds, table: Table::default() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // cargo says this to every bench.
            "--bench" => {}
            "--only" => context.only = arguments.next()?.split(',').map(str::to_owned).collect(),
            "--rounds" => context.rounds = arguments.next()?.parse().ok().filter(|&rounds| rounds > 0)?,
            word if word.starts_with('-') => return None,
            _ => context.words.push(argument),
        }
    }
    Some(context)
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
