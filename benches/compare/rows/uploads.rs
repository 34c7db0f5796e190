//! Uploads in the clear: a large one to a disk and to memory, and small ones to memory.
//!
//! Small ones are not made on a disk, where creating a file becomes slow after some thousands were deleted.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use super::names::{UPLOAD_LARGE, UPLOAD_SMALL};
use super::{of_files, of_octets, round_end};
use crate::bare::Bare;
use crate::client::Client;
use crate::engine::{Engine, Outcome};
use crate::race::{Clients, Context, Fleet, bare_sessions, check_upload, served};
use crate::support::{Directory, GIB, unless_quick};

/// What is uploaded, in a directory that nobody serves.
struct Source<'a> {
    home: &'a Directory,
    file: &'a Path,
    size: u64,
}

impl Source<'_> {
    fn engine(&self, engine: Engine) -> Engine {
        engine.sending(File::open(self.file).expect("it was made"), self.size)
    }

    fn check(&self, fleet: &mut Fleet) {
        fleet.check(|server, name| {
            Client::login(server.address, None)?.store(name, &File::open(self.file)?)?;
            check_upload(&self.home.path().join(name), self.size)
        });
    }
}

pub fn run(context: &mut Context) {
    let memory = Path::new("/dev/shm");
    for (row, place) in UPLOAD_LARGE.into_iter().zip([None, Some(memory)]) {
        if context.wants(row) {
            large(context, row, place);
        }
    }
    if UPLOAD_SMALL.into_iter().any(|(row, ..)| context.wants(row)) {
        small(context, memory);
    }
}

fn large(context: &mut Context, row: &str, place: Option<&Path>) {
    let size = unless_quick(GIB, GIB / 16);
    let home = served("uploads", place);
    let sources = Directory::new("source", None);
    let source = Source { home: &home, file: &sources.file("source", size), size };
    let mut fleet = context.fleet(&home, None);
    source.check(&mut fleet);
    let bare = context.bare(&[Bare::Write, Bare::SpliceIn], &home.path().join("bare-"), size);
    let mut entries = fleet.sessions(1, |engine| source.engine(engine));
    entries.extend(bare_sessions(&bare, 1, |engine| source.engine(engine)));
    let work = |clients: &mut Clients, name: &str| {
        let Clients { engine, bare } = clients;
        let outcome = engine.all(1, || Clients::store(*bare, name));
        empty(&home);
        outcome
    };
    context.race(row, entries, work, of_octets, None);
}

fn small(context: &mut Context, place: &Path) {
    let home = served("uploads", Some(place));
    let sources = Directory::new("source", None);
    let mut fleet = context.fleet(&home, None);
    for (row, kib, sessions) in UPLOAD_SMALL {
        if !context.wants(row) {
            continue;
        }
        let size = kib * 1024;
        let source = Source { home: &home, file: &sources.file("source", size), size };
        source.check(&mut fleet);
        let bare = context.bare(&[Bare::Write], &home.path().join("bare-"), size);
        let mut entries = fleet.sessions(sessions, |engine| source.engine(engine));
        entries.extend(bare_sessions(&bare, sessions, |engine| source.engine(engine)));
        context.race(row, entries, |clients, _| store_often(clients, &home), of_files, None);
    }
}

/// Every session stores one new file after the other.
fn store_often(clients: &mut Clients, home: &Directory) -> Outcome {
    let end = round_end();
    let mut number = 0;
    let Clients { engine, bare } = clients;
    let outcome = engine.run(|_| {
        number += 1;
        (Instant::now() < end).then(|| Clients::store(*bare, &format!("stored-{number}")))
    });
    empty(home);
    outcome
}

/// Removes what was uploaded, so that each round makes new files.
fn empty(home: &Directory) {
    for entry in std::fs::read_dir(home.path()).expect("it is there").flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
}
