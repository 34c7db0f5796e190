//! From nothing to the first 220, and what is there then.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::names::START;
use crate::race::{Context, served};
use crate::servers::{Peer, Place, free_port, output_file};
use crate::support::Directory;
use crate::table::{BINARY, FIRST_REPLY, Metric, OWN_START, RESIDENT_START};
use crate::tree::Tree;

const START_MAX: Duration = Duration::from_secs(10);

/// Every server alone. vsftpd's time has that of its mount namespace in it.
pub fn run(context: &mut Context) {
    if !context.wants(START) {
        return;
    }
    let home = served("start", None);
    let peers: Vec<&Peer> = context.peers().collect();
    let mut told: Vec<Vec<Vec<(Metric, f64)>>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 0..=context.rounds {
        for (peer, told) in peers.iter().zip(&mut told) {
            match start(peer, &home) {
                // The first one reads the program from the disk.
                Ok(_) if round == 0 => {}
                Ok(numbers) => told.push(numbers),
                Err(why) if round == 0 => context.table.lack(START, peer.name, format!("absent: {why}")),
                Err(_) => {}
            }
        }
    }
    for (peer, told) in peers.iter().zip(told) {
        context.table.add(START, peer.name, &told);
        let own = Directory::new(peer.name, None);
        let place = Place { home: home.path(), own: own.path(), port: 1, certificate: None };
        if let Some(binary) = peer.prepare(&place).ok().and_then(|recipe| recipe.binary)
            && let Ok(facts) = fs::metadata(binary)
        {
            context.table.add(START, peer.name, &[vec![(BINARY, facts.len() as f64 / (1 << 20) as f64)]]);
        }
    }
    context.table.print(START);
}

fn start(peer: &Peer, home: &Directory) -> Result<Vec<(Metric, f64)>, String> {
    let own = Directory::new(peer.name, None);
    let port = free_port();
    let recipe = peer.prepare(&Place { home: home.path(), own: own.path(), port, certificate: None })?;
    let output = || output_file(own.path()).map(Stdio::from).map_err(|error| error.to_string());
    let mut command = Command::new(&recipe.program);
    command.args(&recipe.arguments).envs(recipe.environment).stdin(output()?).stdout(output()?).stderr(output()?);
    let begun = Instant::now();
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let greeted = greeting(port).map(|()| begun.elapsed());
    thread::sleep(Duration::from_millis(100));
    // No other server runs now.
    let tree = Tree::below(std::process::id());
    let memory = tree.memory();
    for pid in tree.members().into_iter().filter_map(|pid| Pid::from_raw(pid as i32)) {
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = child.wait();
    let milliseconds = 1e3 * greeted?.as_secs_f64();
    Ok(vec![(FIRST_REPLY, milliseconds), (RESIDENT_START, memory.resident), (OWN_START, memory.own)])
}

fn greeting(port: u16) -> Result<(), String> {
    let begun = Instant::now();
    let stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) if begun.elapsed() > START_MAX => return Err(error.to_string()),
            Err(_) => thread::sleep(Duration::from_micros(100)),
        }
    };
    let _ = stream.set_read_timeout(Some(START_MAX));
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(|error| error.to_string())?;
    if line.starts_with("220") { Ok(()) } else { Err(format!("{line:?} instead of 220")) }
}
