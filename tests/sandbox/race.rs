//! A directory and a link that change places, over and over, while clients go through the name.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, openat, renameat_with};

use super::{MARK, POLICIES, has_canary, login, serve, snapshot, world};
use crate::support::{Server, Tree};

/// How many ask at the same time.
const CLIENTS: usize = 8;
/// How often each of them asks.
const ROUNDS: usize = 150;

/// Exchanges two names until `stop`; counts how often.
fn swap(tree: &Tree, [one, other]: [&str; 2], stop: &AtomicBool) -> usize {
    let (one, other) = (tree.at(one), tree.at(other));
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
        count += 1;
    }
    count
}

/// Runs `client` in [`CLIENTS`] threads while `names` change places in two.
fn race(world: &Tree, server: &Server, names: [&str; 2], client: impl Fn(&Server, usize) + Sync) {
    let (stop, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let swappers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| swaps.fetch_add(swap(world, names, &stop), Ordering::Relaxed))).collect();
        let client = &client;
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(server, number))).collect();
        // Every thread ends before a failure is told, else the swappers would go on for ever.
        let ended: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        stop.store(true, Ordering::Relaxed);
        swappers.into_iter().for_each(|swapper| assert!(swapper.join().is_ok()));
        assert!(ended.iter().all(|client| client.is_ok()), "a client failed, see above");
    });
    assert!(swaps.load(Ordering::Relaxed) > ROUNDS, "too few changes to be a race");
}

#[test]
fn a_directory_and_a_link_out_change_places() {
    for policy in &POLICIES {
        let world = world();
        symlink(world.at("out/d"), world.at("srv/link")).unwrap();
        let server = serve(&world, policy);
        let outside = snapshot(&world.at("out"));
        race(&world, &server, ["srv/d", "srv/link"], |server, number| {
            let mut client = login(server);
            for round in 0..ROUNDS {
                for line in ["SIZE d/f", "MDTM d/f", "MLST d/f"] {
                    let reply = client.say(line);
                    assert!(!has_canary(&reply.lines.concat()), "round {round}: {reply}");
                }
                let (octets, reply) = match (number + round) % 4 {
                    0 | 1 => client.retrieve("d/f"),
                    2 => {
                        let (text, reply) = client.list("LIST -R d");
                        (text.into_bytes(), reply)
                    }
                    _ => (Vec::new(), client.store(format!("d/new{number}"), b"intruder")),
                };
                assert!(!has_canary(&octets), "round {round}: the canary came out");
                assert!([226, 426, 450, 451, 550, 553].contains(&reply.code), "round {round}: {reply}");
                if reply.code == 226 && (number + round) % 4 < 2 {
                    assert_eq!(octets, b"inside d", "round {round}");
                }
            }
            for line in ["DELE d/f2", "MKD d/m", "RMD d/m", "SITE CHMOD 600 d/f", "MFMT 20010101000000 d/f"] {
                (0..ROUNDS / 5).for_each(|_| drop(client.say(line)));
            }
        });
        assert_eq!(snapshot(&world.at("out")), outside, "{policy:?}: something outside was changed");
    }
}

/// As above, and long enough to find a window of microseconds: 100,000 reads for each policy. For by hand:
/// `cargo test --test sandbox -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_reads() {
    const READS: usize = 100_000;
    for policy in &POLICIES {
        let world = world();
        symlink(world.at("out/d"), world.at("srv/link")).unwrap();
        let server = serve(&world, policy);
        let whole = AtomicUsize::new(0);
        race(&world, &server, ["srv/d", "srv/link"], |server, _| {
            let mut client = login(server);
            for round in 0..READS / CLIENTS {
                let (octets, reply) = client.retrieve("d/f");
                assert!(!has_canary(&octets), "round {round}: the canary came out");
                assert!(octets.is_empty() || octets == b"inside d", "round {round}: {}", octets.escape_ascii());
                whole.fetch_add(usize::from(reply.code == 226), Ordering::Relaxed);
            }
        });
        let whole = whole.into_inner();
        println!("{policy:?}: {READS} reads, {whole} of them whole, none of them from outside");
        assert!(whole > READS / 100, "the file was hardly ever there to be read: {whole}");
    }
}

#[test]
fn the_working_directory_is_swapped_away() {
    let world = world();
    symlink(world.at("out/d"), world.at("srv/link")).unwrap();
    // Nothing but the names' resolution keeps them in.
    let server = serve(&world, &[]);
    let outside = snapshot(&world.at("out"));
    race(&world, &server, ["srv/d", "srv/link"], |server, number| {
        let mut client = login(server);
        for _ in 0..ROUNDS {
            client.say("CWD /d");
            assert!(!has_canary(&client.retrieve("f").0), "the canary came out");
            client.store(format!("own{number}"), b"intruder");
            client.say(format!("RNFR own{number}"));
            client.say(format!("RNTO moved{number}"));
            client.say(format!("DELE moved{number}"));
        }
    });
    assert_eq!(snapshot(&world.at("out")), outside);
}

#[test]
fn a_file_is_replaced_while_it_is_opened() {
    // Editors and other servers replace files by rename. What comes is one of the two, whole, or it is not 226.
    let world = world();
    let (short, long) = ("short".repeat(10), "long".repeat(20_000));
    world.file("srv/a", &short).file("srv/b", &long);
    let server = serve(&world, &[]);
    race(&world, &server, ["srv/a", "srv/b"], |server, _| {
        let mut client = login(server);
        for round in 0..ROUNDS {
            let (octets, reply) = client.retrieve("a");
            let whole = octets == short.as_bytes() || octets == long.as_bytes();
            let length = octets.len();
            assert!(whole || reply.code != 226, "round {round}: {length} octets of neither file, and {reply}");
        }
    });
}

#[test]
fn a_file_and_a_fifo_change_places() {
    // Whoever opens the FIFO for reading without care waits for ever, and everybody else with him.
    let world = world();
    world.fifo("srv/pipe");
    let server = serve(&world, &[]);
    race(&world, &server, ["srv/f", "srv/pipe"], |server, number| {
        let mut client = login(server);
        for round in 0..ROUNDS {
            let (octets, reply) = client.retrieve("f");
            assert!(octets == b"inside" || reply.code != 226, "round {round}: {octets:?} and {reply}");
            if number == 0 {
                client.put(b"APPE f", b"");
                client.store(format!("own{number}"), b"x");
            }
            client.expect("NOOP", 200);
        }
    });
}

#[test]
fn what_is_stored_does_not_go_into_a_fifo() {
    let world = world();
    world.fifo("srv/pipe");
    let nonblocking = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // Somebody reads, so that it can be opened for writing.
    let reader = openat(CWD, world.at("srv/pipe"), nonblocking, Mode::empty()).unwrap();
    let server = serve(&world, &[]);
    race(&world, &server, ["srv/f", "srv/pipe"], |server, _| {
        let mut client = login(server);
        (0..ROUNDS).for_each(|_| drop(client.put(b"APPE f", b"for a file")));
    });
    let mut octets = [0; 64];
    let read = fs::File::from(reader).read(&mut octets);
    assert!(matches!(read, Ok(0)), "{read:?}: {}", octets.escape_ascii());
}

#[test]
fn the_canary_is_where_it_was() {
    // The tests above can only fail if the canary can be read at all: it is there, and nothing but the root keeps it.
    let world = world();
    let server = Server::start(world.path(), &[]);
    let mut client = crate::support::Client::anonymous(server.address());
    assert!(has_canary(&client.retrieve("out/d/f").0));
    assert!(client.list("NLST").0.contains(MARK));
    // So can each of its facts.
    client.expect("TYPE I", 200);
    for line in ["SIZE out/secret", "MDTM out/secret", "MLST out/secret", "MLST out", "STAT out"] {
        let reply = client.say(line);
        assert!(has_canary(&reply.lines.concat()), "{reply}");
    }
    let (list, _) = client.list("LIST out/d");
    let words = super::MARK_FACTS.iter().filter(|word| list.contains(**word)).count();
    assert_eq!(words, 2, "{list}");
}
