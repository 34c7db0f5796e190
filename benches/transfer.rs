//! Files over loopback, against the real server: how fast, and what they cost it.
//!
//! Before anything is measured each kind of transfer is made once and its content compared. In the measured part
//! nothing is compared: the client drops what it receives in the kernel, and sends without a copy, so that the server
//! is what is measured. `server busy` says whether it was.

mod support;

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use support::{
    Checker, Client, Directory, GIB, Round, Server, measure, quick, round, say, say_busy, together, unless_quick,
};

const SMALL_OCTETS: u64 = 1_024;
const SESSIONS: usize = 50;

fn main() {
    let directory = Directory::new("transfer", None);
    let server = Server::start(directory.path());
    let large = unless_quick(GIB, GIB / 16);
    let source = directory.file("large", large);
    directory.file("small", SMALL_OCTETS);

    check_downloads(&server, large);
    check_upload(&server, &directory, &source, large);
    download_large(&server, large);
    download_large_at_once(&server, large);
    download_small(&server);
    upload_large("a temporary directory", &server, &directory, &source, large);
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        println!("uploads to tmpfs: not run, /dev/shm is not there");
        return;
    }
    let directory = Directory::new("transfer", Some(memory));
    let server = Server::start(directory.path());
    check_upload(&server, &directory, &source, large);
    upload_large("tmpfs", &server, &directory, &source, large);
    upload_small(&server, &directory);
}

fn check_downloads(server: &Server, large: u64) {
    let checked = |client: &mut Client, name: &str, size: u64| {
        let mut checker = Checker::new(size);
        client.retrieve_into(name, &mut checker);
        checker.finish();
    };
    checked(&mut Client::image(server.address()), "large", large);
    together(SESSIONS, |_| {
        let mut client = Client::image(server.address());
        (0..10).for_each(|_| checked(&mut client, "small", SMALL_OCTETS));
    });
}

fn check_upload(server: &Server, directory: &Directory, source: &Path, size: u64) {
    let source = File::open(source).expect("the source was made");
    Client::image(server.address()).store("checked", &source);
    let mut checker = Checker::new(size);
    let stored = File::open(directory.path().join("checked")).expect("226 came, so it is there");
    std::io::copy(&mut { stored }, &mut checker).expect("it can be read");
    checker.finish();
    directory.remove("checked");
}

/// Throughput and CPU of rounds that move `octets` each.
fn say_octets(what: &str, rounds: &[Round], octets: u64) {
    say(what, "GB/s", rounds.iter().map(|round| octets as f64 / round.seconds / 1e9).collect());
    let cpu = rounds.iter().map(|round| round.cpu * GIB as f64 / octets as f64).collect();
    say(&format!("{what}, server"), "CPU s/GiB", cpu);
    say_busy(what, rounds);
}

/// The same of rounds of `count` files.
fn say_files(what: &str, rounds: &[Round], count: usize) {
    say(what, "files/s", rounds.iter().map(|round| count as f64 / round.seconds).collect());
    say(&format!("{what}, server"), "CPU µs/file", rounds.iter().map(|round| 1e6 * round.cpu / count as f64).collect());
    say_busy(what, rounds);
}

/// Four a round, because the kernel tells the server's time in steps of 10 ms.
fn download_large(server: &Server, size: u64) {
    let mut client = Client::image(server.address());
    let rounds = measure(server, unless_quick(5, 1), || {
        (0..4).for_each(|_| assert_eq!(client.retrieve("large"), size));
    });
    say_octets(&format!("download of {}, one client", shown(size)), &rounds, 4 * size);
}

fn download_large_at_once(server: &Server, size: u64) {
    let mut clients: Vec<_> = (0..10).map(|_| Client::image(server.address())).collect();
    let rounds = measure(server, unless_quick(3, 1), || {
        assert_eq!(Client::retrieve_together(&mut clients, "large"), 10 * size);
    });
    say_octets(&format!("download of {}, 10 clients at once", shown(size)), &rounds, 10 * size);
}

fn download_small(server: &Server) {
    let count = unless_quick(10_000, 500);
    let mut client = Client::image(server.address());
    let rounds = measure(server, unless_quick(3, 1), || {
        (0..count).for_each(|_| assert_eq!(client.retrieve("small"), SMALL_OCTETS));
    });
    say_files("download of 1 KiB files, one session", &rounds, count);

    let clients = sessions(server);
    let rounds = measure(server, unless_quick(3, 1), || {
        together(SESSIONS, |number| {
            let mut client = lock(&clients[number]);
            (0..count / SESSIONS).for_each(|_| assert_eq!(client.retrieve("small"), SMALL_OCTETS));
        });
    });
    say_files("download of 1 KiB files, 50 sessions", &rounds, count);
}

/// Each into a new file, so that no old one is emptied in the measured part.
fn upload_large(place: &str, server: &Server, directory: &Directory, source: &Path, size: u64) {
    let source = File::open(source).expect("the source was made");
    let mut client = Client::image(server.address());
    let mut rounds = Vec::new();
    // The first one is not counted: the file system has yet to find its room.
    for number in 0..=unless_quick(7, 1) {
        let round = round(server, || client.store("stored", &source));
        directory.remove("stored");
        if number > 0 {
            rounds.push(round);
        }
    }
    say_octets(&format!("upload of {} to {place}, one client", shown(size)), &rounds, size);
}

fn upload_small(server: &Server, directory: &Directory) {
    let count = unless_quick(10_000, 500);
    let source = File::open(directory.file("source", SMALL_OCTETS)).expect("the source was made");
    let clients = sessions(server);
    let rounds = measure(server, unless_quick(3, 1), || {
        together(SESSIONS, |number| {
            let mut client = lock(&clients[number]);
            (0..count / SESSIONS).for_each(|at| client.store(&format!("stored-{number}-{at}"), &source));
        });
        for number in 0..SESSIONS {
            (0..count / SESSIONS).for_each(|at| directory.remove(&format!("stored-{number}-{at}")));
        }
    });
    say_files("upload of 1 KiB files to tmpfs, 50 sessions", &rounds, count);
}

fn sessions(server: &Server) -> Vec<Mutex<Client>> {
    (0..SESSIONS).map(|_| Mutex::new(Client::image(server.address()))).collect()
}

fn lock(client: &Mutex<Client>) -> std::sync::MutexGuard<'_, Client> {
    client.lock().expect("no client has failed")
}

fn shown(octets: u64) -> &'static str {
    if quick() && octets < GIB { "64 MiB" } else { "1 GiB" }
}
