//! How fast data may go (`--rate`, `rate=` in a users file), and how slow (`--min-rate`).

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{login, serve};
use crate::support::{Client, Data, Server, Tree, read_all};

/// What may be made up for at once, and the first step: a tenth of a second, and a fiftieth.
const AHEAD: Duration = Duration::from_millis(120);

/// Whether `octets` at `rate` took as long as they must; that they did not take much longer, only generously.
fn took(what: &str, octets: u64, rate: u64, elapsed: Duration) {
    let expected = Duration::from_millis(octets * 1_000 / rate);
    assert!(elapsed + AHEAD >= expected, "{what}: {octets} octets in {elapsed:?}, at {rate} a second");
    assert!(elapsed < expected * 2 + Duration::from_secs(5), "{what}: {octets} octets took {elapsed:?}");
}

/// 64 octets after each other, so that a piece in the wrong place is seen.
fn content(octets: usize) -> Vec<u8> {
    (0..octets as u32 / 4).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

#[test]
fn a_session_has_its_rate_each_way_and_the_server_sleeps_meanwhile() {
    let tree = Tree::new();
    let octets = 2 * 1024 * 1024;
    let content = content(octets);
    tree.file("f", &content);
    // On a helper, and without one.
    for helpers in ["2", "0"] {
        let server = serve(&tree, &["--rate", "session=2M/1M", "--helpers", helpers]);
        let mut client = login(&server);
        let (begin, used) = (Instant::now(), server.processor_time());
        let (received, reply) = client.retrieve("f");
        let elapsed = begin.elapsed();
        assert!(reply.code == 226 && received == content);
        took("down", octets as u64, 2 << 20, elapsed);
        let begin = Instant::now();
        assert_eq!(client.store("up", &content).code, 226);
        took("up", octets as u64, 1 << 20, begin.elapsed());
        assert!(tree.read("up").unwrap() == content);
        let used = server.processor_time() - used;
        assert!(used < Duration::from_millis(1_500), "{used:?} of 3 s: it spins");
        // Many small files are no way around it.
        tree.file("small", vec![b'x'; 64 * 1024]);
        let begin = Instant::now();
        (0..20).for_each(|_| assert_eq!(client.retrieve("small").0.len(), 64 * 1024));
        took("small files", 20 << 16, 2 << 20, begin.elapsed());
    }
}

#[test]
fn ascii_and_listings_have_it_too() {
    let tree = Tree::new();
    tree.file("text", "a line of text\n".repeat(40_000));
    for number in 0..2_000 {
        tree.file(format!("many/{number:04}{}", "n".repeat(150)), "");
    }
    let server = serve(&tree, &["--rate", "session=400K"]);
    let mut client = login(&server);
    client.expect("TYPE A", 200);
    let begin = Instant::now();
    let (received, reply) = client.retrieve("text");
    assert_eq!((received.len(), reply.code), (16 * 40_000, 226));
    took("TYPE A", received.len() as u64, 400 << 10, begin.elapsed());
    let begin = Instant::now();
    let (text, reply) = client.list("NLST many");
    assert_eq!((text.lines().count(), reply.code), (2_000, 226));
    // What goes beyond a step is paid for by the next.
    took("NLST", (text.len() - 64 * 1024) as u64, 400 << 10, begin.elapsed());
}

/// Downloads `f` with several clients at once; what each has after `time`.
fn shares(mut clients: Vec<Client>, time: Duration) -> Vec<u64> {
    let streams: Vec<Data> = clients
        .iter_mut()
        .map(|client| {
            let data = client.epsv();
            client.expect("RETR f", 150);
            data
        })
        .collect();
    let end = Instant::now() + time;
    let readers = streams.into_iter().map(|mut data| {
        std::thread::spawn(move || {
            let (mut octets, mut piece) = (0, vec![0; 64 * 1024]);
            while Instant::now() < end {
                octets += data.read(&mut piece).unwrap() as u64;
            }
            octets
        })
    });
    readers.collect::<Vec<_>>().into_iter().map(|reader| reader.join().unwrap()).collect()
}

#[test]
fn all_sessions_share_the_servers_rate_and_none_starves() {
    let tree = Tree::new();
    tree.sparse("f", 1 << 30);
    let server = serve(&tree, &["--rate", "4M"]);
    let shares = shares((0..5).map(|_| login(&server)).collect(), Duration::from_secs(3));
    let all: u64 = shares.iter().sum();
    // What lies in the buffers of both ends has left the server and has not been read.
    assert!(all <= 4 * (4 << 20), "{shares:?}");
    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    assert!(*least > 0 && *most < 4 * *least, "{shares:?}");
}

/// Whoever gives up while he waits for the server's rate (ABOR, REIN, a closed connection) takes nothing of it with him.
#[test]
fn who_gives_up_leaves_the_rate_to_the_others() {
    let tree = Tree::new();
    tree.sparse("f", 1 << 30).file("small", vec![b'x'; 100 * 1024]);
    let server = serve(&tree, &["--rate", "1M"]);
    let mut client = login(&server);
    for number in 0..300 {
        let data = client.epsv();
        client.expect("RETR f", 150);
        if number % 2 == 0 {
            client.expect("ABOR", 426);
            assert_eq!(client.read_reply().code, 226);
            client.expect("REIN", 220);
            client.expect("USER u", 331);
            client.expect("PASS secret", 230);
            client.expect("TYPE I", 200);
        } else {
            client = login(&server);
        }
        drop(data);
    }
    // One who stays, and was the first of those who wait.
    let mut stays = login(&server);
    let data = stays.epsv();
    stays.expect("RETR f", 150);
    stays.expect("ABOR", 426);
    assert_eq!(stays.read_reply().code, 226);
    drop(data);
    // 300 steps of a fiftieth of a second were granted, and not made.
    let begin = Instant::now();
    assert_eq!(client.retrieve("small").0.len(), 100 * 1024);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

/// A users file of `lines`, each a name and what its eighth field says; the password is `secret`.
fn write_users(tree: &Tree, lines: &[(&str, &str)]) {
    use std::os::unix::fs::PermissionsExt;
    // `ferryd hash-password` with fewer rounds.
    const HASH: &str = "$5$rounds=1000$sJwtwi/s44QGFpmR$2VchUfQbwDFIi55t2Crmna9FN2ABHhtZZnz/KTk5UE0";
    let text: String = lines.iter().map(|(name, extra)| format!("{name}:{HASH}::::::{extra}\n")).collect();
    tree.file("users", text);
    std::fs::set_permissions(tree.at("users"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_user_has_the_rate_of_his_line_and_sighup_changes_it() {
    let tree = Tree::new();
    let octets: u64 = 1 << 20;
    tree.sparse("srv/f", octets);
    write_users(&tree, &[("slow", "rate=1M"), ("free", "rate=0"), ("usual", "")]);
    let users = tree.at("users");
    let args = ["--users", users.to_str().unwrap(), "--rate", "user=2M"];
    let server = Server::start(&tree.at("srv"), &args);
    let login = |name: &str| {
        let mut client = Client::login(server.address(), name, "correct horse");
        client.expect("TYPE I", 200);
        client
    };
    let time = |client: &mut Client| {
        let begin = Instant::now();
        assert_eq!(client.retrieve("f").0.len() as u64, octets);
        begin.elapsed()
    };
    let (mut slow, mut usual, mut free) = (login("slow"), login("usual"), login("free"));
    took("rate=1M", octets, 1 << 20, time(&mut slow));
    took("--rate user=2M", octets, 2 << 20, time(&mut usual));
    let begin = Instant::now();
    assert!((0..20).all(|_| time(&mut free) < Duration::from_secs(10)));
    assert!(begin.elapsed() < Duration::from_secs(10), "rate=0 is no limit: {:?}", begin.elapsed());
    // Two sessions of one user share it.
    let (mut one, mut two) = (login("slow"), login("slow"));
    let begin = Instant::now();
    let other = std::thread::spawn(move || {
        assert_eq!(two.retrieve("f").0.len() as u64, octets);
    });
    time(&mut one);
    other.join().unwrap();
    took("two sessions", 2 * octets, 1 << 20, begin.elapsed());

    write_users(&tree, &[("slow", "rate=64M"), ("free", "rate=0"), ("usual", "")]);
    server.signal(Signal::HUP);
    server.wait_for_log("reloaded");
    let begin = Instant::now();
    let mut faster = login("slow");
    assert!((0..8).all(|_| time(&mut faster) < Duration::from_secs(8)));
    assert!(begin.elapsed() < Duration::from_secs(8), "the new rate is not that of a new session");
    took("the session from before", octets, 1 << 20, time(&mut slow));
}

#[test]
fn a_transfer_that_waits_for_its_rate_is_neither_stalled_nor_idle_and_abor_ends_it_at_once() {
    let tree = Tree::new();
    tree.sparse("f", 16 << 10).sparse("big", 1 << 30);
    // Steps of 1 KiB, one in two seconds: longer than all of the timeouts.
    let args = ["--rate", "session=512", "--data-timeout", "1", "--idle-timeout", "1", "--min-rate", "500"];
    let server = serve(&tree, &args);
    let mut client = login(&server);
    let begin = Instant::now();
    let mut data = client.epsv();
    client.expect("RETR f", 150);
    let mut piece = vec![0; 3 << 10];
    data.read_exact(&mut piece).unwrap();
    took("it goes on", 2 << 10, 512, begin.elapsed());
    // It has time for other things meanwhile.
    client.expect("NOOP", 200);
    assert!(client.say("STAT").text().contains("octets so far"));
    let asked = Instant::now();
    client.expect("ABOR", 426);
    assert_eq!(client.read_reply().code, 226);
    assert!(asked.elapsed() < Duration::from_secs(1), "ABOR waited for {:?}", asked.elapsed());
    drop(data);

    let mut data = client.epsv();
    client.expect("STOR up", 150);
    data.write_all(&[b'x'; 4 << 10]).unwrap();
    let asked = Instant::now();
    client.expect("ABOR", 426);
    assert_eq!(client.read_reply().code, 226);
    assert!(asked.elapsed() < Duration::from_secs(1), "ABOR waited for {:?}", asked.elapsed());
}

#[test]
fn a_client_that_stops_reading_stalls_in_spite_of_a_rate() {
    let tree = Tree::new();
    tree.sparse("big", 1 << 30);
    let server = serve(&tree, &["--rate", "session=64M", "--data-timeout", "2"]);
    let mut client = login(&server);
    let (begin, used) = (Instant::now(), server.processor_time());
    let mut data = client.epsv();
    client.expect("RETR big", 150);
    data.begin();
    let reply = client.read_reply();
    assert!(reply.code == 426 && reply.text().contains("Nothing moved"), "{reply}");
    let used = server.processor_time() - used;
    assert!(used < begin.elapsed() / 2, "{used:?}: it spins");
    drop(data);
    client.expect("NOOP", 200);
}

#[test]
fn a_stop_waits_for_a_slow_rate_as_long_as_its_grace() {
    let tree = Tree::new();
    tree.sparse("f", 96 << 10).sparse("big", 1 << 30);
    let mut server = serve(&tree, &["--rate", "session=64K", "--grace", "6"]);
    let (mut short, mut long) = (login(&server), login(&server));
    let (mut data, mut endless) = (short.epsv(), long.epsv());
    short.expect("RETR f", 150);
    long.expect("RETR big", 150);
    data.begin();
    endless.begin();
    let reader = std::thread::spawn(move || {
        // It ends before its time, under TLS without saying so.
        let _ = endless.read_to_end(&mut Vec::new());
    });
    server.signal(Signal::TERM);
    assert_eq!(read_all(&mut data).len(), 96 << 10);
    assert_eq!(short.read_reply().code, 226);
    let codes: Vec<u16> = std::iter::from_fn(|| long.try_read_reply()).map(|reply| reply.code).collect();
    assert!(matches!(codes[..], [426, 421] | [421]), "{codes:?}");
    assert_eq!(server.wait().code(), Some(0));
    reader.join().unwrap();
}

#[test]
fn a_transfer_that_drips_is_426_where_there_is_a_least_rate() {
    let tree = Tree::new();
    tree.sparse("big", 64 << 20).file("f", "x");
    let server = serve(&tree, &["--min-rate", "1M", "--data-timeout", "2", "--idle-timeout", "1h"]);
    let mut up = login(&server);
    let mut up_data = up.epsv();
    up.expect("STOR up", 150);
    let mut down = login(&server);
    let mut down_data = down.epsv();
    down.expect("RETR big", 150);
    // Never silent for as long as --data-timeout, and slower than they may be.
    let drip = std::thread::spawn(move || {
        while up_data.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let sip = std::thread::spawn(move || {
        let mut piece = vec![0; 128 << 10];
        while down_data.read_exact(&mut piece).is_ok() {
            std::thread::sleep(Duration::from_millis(300));
        }
    });
    for client in [&mut up, &mut down] {
        let reply = client.read_reply();
        assert!(reply.code == 426 && reply.text().contains("Slower"), "{reply}");
    }
    let log = server.wait_for_log("127.0.0.1: a transfer was ended: slower than --min-rate");
    assert!(!log.contains("nothing moved"), "{log}");
    assert_eq!(down.retrieve("f").0, b"x");
    // One that is fast enough goes on for longer than it is watched at a time.
    let mut data = up.epsv();
    up.expect("STOR fast", 150);
    let begin = Instant::now();
    let mut sent = 0;
    while begin.elapsed() < Duration::from_secs(5) {
        data.write_all(&vec![b'x'; 1 << 20]).unwrap();
        sent += 1 << 20;
        std::thread::sleep(Duration::from_millis(100));
    }
    data.finish().unwrap();
    assert_eq!(up.read_reply().code, 226);
    assert_eq!(tree.read("fast").unwrap().len(), sent);
    drip.join().unwrap();
    sip.join().unwrap();
}
