//! Downloads under TLS: explicit (RFC 4217), both connections, AES-128-GCM everywhere.

use std::time::Instant;

use super::names::TLS;
use super::of_octets;
use crate::client::{Certificate, Client};
use crate::engine::{Done, Outcome};
use crate::race::{Context, Entry, check_download, given_away, served};
use crate::support::{Directory, unless_quick};

pub fn run(context: &mut Context) {
    if !context.wants(TLS) {
        return;
    }
    let size = unless_quick(512 << 20, 32 << 20);
    let home = served("tls", None);
    let keys = Directory::new("keys", None);
    let certificate = Certificate::new(keys.path());
    given_away(&home.file("large", size));
    let mut fleet = context.fleet(&home, Some(&certificate));
    let login = |address| Client::login(address, Some(&certificate.client));
    fleet.check(|server, _| check_download(&mut login(server.address)?, "large", size));
    let mut entries = Vec::new();
    for (name, running) in fleet.running() {
        let state = running.map_err(String::clone).and_then(|server| {
            let client = login(server.address).map_err(|error| format!("login: {error}"))?;
            if !client.suite().starts_with("TLS13") {
                context.table.note(TLS, name, format!("speaks {}", client.suite()));
            }
            Ok((server.tree(), client))
        });
        entries.push(Entry { name, state });
    }
    context.race(TLS, entries, |client, _| download(client, size), of_octets, None);
}

fn download(client: &mut Client, size: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let begun = Instant::now();
    let received = client.discard("RETR large", size).and_then(|octets| match octets >= size {
        true => Ok(()),
        false => Err(std::io::Error::other(format!("{octets} octets of {size}"))),
    });
    outcome.seconds = begun.elapsed().as_secs_f64();
    match received {
        Ok(()) => outcome.done.push(Done { octets: size, seconds: outcome.seconds }),
        Err(error) => outcome.fail(1, error.to_string()),
    }
    outcome
}
