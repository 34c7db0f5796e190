//! Sessions: what a login costs, what an idle session holds, and how long one waits beside many downloads.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Client, Directory, Round, Server, measure, say, say_busy, together, unless_quick, wait_until};

/// Descriptors beside those of the sessions: what each process has anyhow.
const DESCRIPTORS_BESIDE: u64 = 256;
/// What an idle session may hold in the server: its control connection, and its root.
const DESCRIPTORS_PER_SESSION: u64 = 2;

fn main() {
    let directory = Directory::new("sessions", None);
    directory.file("file", 16 << 20);
    logins(&directory);
    idle(&directory, unless_quick(1_000, 100), "after start");
    let many = unless_quick(10_000, 500);
    let limit = raise_descriptor_limit(DESCRIPTORS_PER_SESSION * many as u64 + DESCRIPTORS_BESIDE);
    let fit = many.min((limit.saturating_sub(DESCRIPTORS_BESIDE) / DESCRIPTORS_PER_SESSION) as usize);
    if fit < many {
        println!("{many} idle sessions: not run; {limit} descriptors are allowed, and {fit} sessions fit into them");
    }
    idle(&directory, fit, "after another start");
    latency(&directory);
}

/// Connect, USER, PASS, QUIT, and wait until the server has closed.
fn logins(directory: &Directory) {
    let server = Server::start(directory.path());
    let count = unless_quick(5_000, 200);
    let login = || Client::login(server.address()).quit();
    let rounds = measure(&server, unless_quick(3, 1), || (0..count).for_each(|_| login()));
    say_logins("logins, 1 at a time", &rounds, count);
    let rounds = measure(&server, unless_quick(3, 1), || {
        together(50, |_| (0..count / 50).for_each(|_| login()));
    });
    say_logins("logins, 50 at a time", &rounds, count);
}

fn say_logins(what: &str, rounds: &[Round], count: usize) {
    say(what, "logins/s", rounds.iter().map(|round| count as f64 / round.seconds).collect());
    let cpu = rounds.iter().map(|round| 1e6 * round.cpu / count as f64).collect();
    say(&format!("{what}, server"), "CPU µs/login", cpu);
    say_busy(what, rounds);
}

/// A new server, so that nothing is left of what others did; the sessions have logged in and say nothing more.
fn idle(directory: &Directory, count: usize, start: &str) {
    let sessions_max = (count + 1).to_string();
    let server = Server::start_with(directory.path(), &["--max-sessions", &sessions_max]);
    say(&format!("{start}, all pages"), "KiB resident", vec![server.resident_kib()]);
    say(&format!("{start}, own memory"), "KiB", vec![server.memory_kib()]);
    // The first session makes what there is once for all of them.
    let first = Client::login(server.address());
    let before = server.memory_kib();
    let sessions: Vec<Client> = (0..count).map(|_| Client::login(server.address())).collect();
    let each = (server.memory_kib() - before) / count as f64;
    say(&format!("{count} idle sessions, own memory of each"), "KiB", vec![each]);
    say(&format!("{count} idle sessions, all pages"), "KiB resident", vec![server.resident_kib()]);
    let cpu = server.settled_cpu();
    let watched = Duration::from_secs(unless_quick(2, 1));
    thread::sleep(watched);
    let ms = 1e3 * (server.cpu() - cpu) / watched.as_secs_f64();
    say(&format!("{count} idle sessions, server"), "CPU ms/s", vec![ms]);
    for mut session in sessions.into_iter().chain([first]) {
        session.ask("NOOP", "200");
    }
}

/// The hard limit is only root's to raise; the server, which inherits it, raises the soft one itself.
fn raise_descriptor_limit(needed: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(needed, |maximum| maximum.max(needed));
    for limit in [wanted, now.maximum.unwrap_or(wanted)] {
        if setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(limit) }).is_ok() {
            return limit;
        }
    }
    now.current.unwrap_or(u64::MAX)
}

/// One session says NOOP every millisecond, beside others that download without a pause.
fn latency(directory: &Directory) {
    let server = Server::start(directory.path());
    let took = noops(&server, Duration::from_secs(1));
    say_latency("NOOP on an idle server", took);

    let downloads = unless_quick(100, 10);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut clients: Vec<_> = (0..downloads).map(|_| Client::image(server.address())).collect();
            let mut octets = 0;
            let begun = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                octets += Client::retrieve_together(&mut clients, "file");
            }
            octets as f64 / begun.elapsed().as_secs_f64() / 1e9
        });
        let cpu = server.cpu();
        wait_until("the downloads to begin", || server.cpu() > cpu + 0.1);
        let took = noops(&server, Duration::from_secs(unless_quick(5, 1)));
        stop.store(true, Ordering::Relaxed);
        let rate = work.join().expect("the downloads go on");
        say_latency(&format!("NOOP beside {downloads} downloads"), took);
        say(&format!("the {downloads} downloads beside it"), "GB/s", vec![rate]);
    });
}

fn noops(server: &Server, time: Duration) -> Vec<f64> {
    let mut client = Client::login(server.address());
    let begun = Instant::now();
    let mut took = Vec::new();
    while begun.elapsed() < time {
        let sent = Instant::now();
        client.ask("NOOP", "200");
        took.push(sent.elapsed().as_secs_f64() * 1e3);
        thread::sleep(Duration::from_millis(1));
    }
    took
}

fn say_latency(what: &str, mut took: Vec<f64>) {
    took.sort_by(f64::total_cmp);
    for (name, share) in [("p50", 0.50), ("p99", 0.99), ("max", 1.0)] {
        let at = (share * (took.len() - 1) as f64).round() as usize;
        say(&format!("{what}, {name}"), "ms", vec![took[at]]);
    }
}
