//! Downloads in the clear: large ones alone and together, small ones in one session and in 50.

use super::names::{DOWNLOAD_LARGE, DOWNLOAD_SMALL, DOWNLOAD_TOGETHER};
use super::{of_files, of_many, of_octets, receive_often, receive_once};
use crate::bare::Bare;
use crate::client::Client;
use crate::race::{Context, Fleet, bare_sessions, check_download, given_away, served};
use crate::support::{Directory, unless_quick};
use crate::table::{OWN, RESIDENT};

const MIB: u64 = 1 << 20;

pub fn run(context: &mut Context) {
    let rows =
        [DOWNLOAD_LARGE].into_iter().chain(DOWNLOAD_TOGETHER.map(|row| row.0)).chain(DOWNLOAD_SMALL.map(|row| row.0));
    if !rows.into_iter().any(|row| context.wants(row)) {
        return;
    }
    let home = served("downloads", None);
    let mut fleet = context.fleet(&home, None);
    large(context, &home, &mut fleet);
    small(context, &home, &mut fleet);
}

/// Makes a file that everybody may read, and compares all of what each server sends of it, once.
fn made_and_checked(home: &Directory, fleet: &mut Fleet, name: &str, size: u64) {
    given_away(&home.file(name, size));
    fleet.check(|server, _| check_download(&mut Client::login(server.address, None)?, name, size));
}

fn large(context: &mut Context, home: &Directory, fleet: &mut Fleet) {
    if context.wants(DOWNLOAD_LARGE) {
        let size = unless_quick(1024 * MIB, 64 * MIB);
        made_and_checked(home, fleet, "large", size);
        let bare = context.bare(&[Bare::SendFile, Bare::Splice], &home.path().join("large"), size);
        let mut entries = fleet.sessions(1, |engine| engine);
        entries.extend(bare_sessions(&bare, 1, |engine| engine));
        context.race(
            DOWNLOAD_LARGE,
            entries,
            |clients, _| receive_once(clients, "large", size),
            of_octets,
            Some([OWN, RESIDENT]),
        );
        home.remove("large");
    }
    for (row, count, mib) in DOWNLOAD_TOGETHER {
        if !context.wants(row) {
            continue;
        }
        let (count, size) = (unless_quick(count, count.min(100)), unless_quick(mib * MIB, mib * MIB / 16));
        made_and_checked(home, fleet, "one", size);
        let bare = context.bare(&[Bare::SendFileTogether, Bare::SpliceTogether], &home.path().join("one"), size);
        let mut entries = fleet.sessions(count, |engine| engine);
        entries.extend(bare_sessions(&bare, count, |engine| engine));
        context.race(row, entries, |clients, _| receive_once(clients, "one", size), of_many, Some([OWN, RESIDENT]));
    }
}

fn small(context: &mut Context, home: &Directory, fleet: &mut Fleet) {
    for (row, kib, sessions) in DOWNLOAD_SMALL {
        if !context.wants(row) {
            continue;
        }
        let size = kib * 1024;
        made_and_checked(home, fleet, "small", size);
        let bare = context.bare(&[Bare::SendFile], &home.path().join("small"), size);
        let mut entries = fleet.sessions(sessions, |engine| engine);
        entries.extend(bare_sessions(&bare, sessions, |engine| engine));
        context.race(row, entries, |clients, _| receive_often(clients, "small", size), of_files, None);
    }
}
