//! Commands per second, and allocations per command, of the protocol interpreter alone: no socket, no loop.
//!
//! Each row feeds whole lines to one interpreter that is logged in, carries them out and drops the replies. What names
//! a file asks the kernel for it, as it does in the server; its tree is a temporary directory in the cache.

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use ferryd::account::{Account, Rights};
use ferryd::fs::{Disks, Owners, Patience, ProcessIds, Root, Symlinks};
use ferryd::listing::Format;
use ferryd::protocol::state::{Protection, Settings};
use ferryd::protocol::{Action, Interpreter};
use support::Directory;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Lines that come in one segment, as from a client that does not wait for replies.
const PIPELINED: u64 = 32;

/// divan counts what is allocated, and says it in a table of ten lines a row. Here it runs in a process of its own, and
/// its table becomes one number a line; `FERRYD_BENCH_TABLE=1` shows the table itself.
fn main() {
    if std::env::var_os("FERRYD_BENCH_TABLE").is_some() {
        let samples = support::unless_quick(200, 20);
        return divan::Divan::from_args().sample_count(samples).sample_size(1_000).main();
    }
    let itself = std::env::current_exe().expect("a program has a path");
    // Without --bench, which cargo adds, divan would only try each row once.
    let filters = std::env::args_os().skip(1).filter(|argument| argument != "--bench");
    let table = Command::new(itself).arg("--bench").args(filters).env("FERRYD_BENCH_TABLE", "1").output();
    let table = table.expect("the bench runs");
    assert!(table.status.success(), "{}", String::from_utf8_lossy(&table.stderr));
    lines_of(&String::from_utf8_lossy(&table.stdout)).iter().for_each(|line| println!("{line}"));
}

/// The median column of divan's table: the rate of each bench, and its allocations, new and grown.
fn lines_of(table: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut name, mut kind, mut allocations) = ("", "", 0.0);
    for line in table.lines() {
        let begins = line.strip_prefix("├─ ").or_else(|| line.strip_prefix("╰─ "));
        let fields: Vec<&str> = begins.unwrap_or(line).trim_start_matches('│').split('│').map(str::trim).collect();
        let Some(median) = fields.get(2) else { continue };
        if begins.is_some() {
            name = fields[0].split_whitespace().next().unwrap_or_default();
            (kind, allocations) = ("", 0.0);
        } else if let Some(rate) = median.strip_suffix("item/s") {
            lines.push(format!("{name}: {:.0} commands/s", number(rate)));
            lines.push(format!("{name}, allocations: 0"));
        } else if fields[0].ends_with(':') {
            kind = fields[0];
        } else if matches!(kind, "alloc:" | "grow:") && !median.ends_with('B') {
            allocations += median.parse::<f64>().unwrap_or(f64::NAN);
            lines.pop();
            lines.push(format!("{name}, allocations: {allocations}"));
        }
    }
    lines
}

/// `8.924 M` as a number.
fn number(text: &str) -> f64 {
    let factor = match text.chars().next_back() {
        Some('K') => 1e3,
        Some('M') => 1e6,
        Some('G') => 1e9,
        _ => 1.0,
    };
    factor * text.trim_end_matches(['K', 'M', 'G', ' ']).parse().unwrap_or(f64::NAN)
}

/// An interpreter whose user sees `directory`, and has logged in.
fn logged_in(directory: &Directory) -> Interpreter {
    let format = Format { owners: Owners::load(), process: ProcessIds::current() };
    let settings = Arc::new(Settings { umask: 0o022, idle_timeout: None, format: Arc::new(format), tls: None });
    let address = SocketAddr::from(([127, 0, 0, 1], 2121));
    let mut interpreter = Interpreter::new(settings, address, address, Protection::Clear);
    interpreter.receive(b"USER bench\r\nPASS bench\r\n");
    while interpreter.has_work() {
        let Some(action) = interpreter.next_action() else { continue };
        assert!(matches!(action, Action::Check(_)));
        let root = directory.path().to_owned();
        let disks = Arc::new(Disks::probe(Symlinks::Inside).expect("this kernel has openat2"));
        let mut opened = Root::open(&root, &disks, Patience::MayWait).expect("the directory is there");
        opened.set_patience(Patience::CachedOnly);
        let account = Account { name: "bench".into(), rights: Rights::READ_WRITE, root, anonymous: false, rate: None };
        interpreter.verdict(Some((account, opened)));
    }
    assert!(interpreter.is_logged_in());
    interpreter.sent(usize::MAX);
    interpreter
}

/// Feeds `lines`, carries them out, and drops the replies; gives back how many octets they had.
fn say(interpreter: &mut Interpreter, lines: &[u8]) -> usize {
    interpreter.receive(lines);
    carry_out(interpreter);
    let replied = interpreter.output().len();
    interpreter.sent(replied);
    replied
}

/// What would go to a helper is run here, so that its cost is counted too.
fn carry_out(interpreter: &mut Interpreter) {
    while interpreter.has_work() {
        match interpreter.next_action() {
            None => {}
            Some(Action::Defer(mut deferred)) => {
                deferred.run();
                interpreter.returned(*deferred);
            }
            Some(other) => panic!("a command of this bench asked for {other:?}"),
        }
    }
}

/// Measures `line`, after `before`, where the reply is to be `code`.
fn bench_after(bencher: Bencher, before: &str, line: &str, code: &str) {
    let directory = Directory::new("protocol", None);
    directory.file("a.txt", 1_024);
    let mut interpreter = logged_in(&directory);
    say(&mut interpreter, before.as_bytes());
    interpreter.receive(line.as_bytes());
    carry_out(&mut interpreter);
    assert!(interpreter.output().starts_with(code.as_bytes()), "{line:?} was not answered with {code}");
    interpreter.sent(usize::MAX);
    bencher.counter(ItemsCount::new(1u64)).bench_local(|| say(&mut interpreter, line.as_bytes()));
}

fn bench(bencher: Bencher, line: &str, code: &str) {
    bench_after(bencher, "", line, code);
}

#[divan::bench]
fn noop(bencher: Bencher) {
    bench(bencher, "NOOP\r\n", "200");
}

#[divan::bench]
fn pwd(bencher: Bencher) {
    bench(bencher, "PWD\r\n", "257");
}

#[divan::bench]
fn type_i(bencher: Bencher) {
    bench(bencher, "TYPE I\r\n", "200");
}

#[divan::bench]
fn mdtm(bencher: Bencher) {
    bench(bencher, "MDTM a.txt\r\n", "213");
}

#[divan::bench]
fn mlst(bencher: Bencher) {
    bench(bencher, "MLST a.txt\r\n", "250");
}

#[divan::bench]
fn mdtm_of_nothing(bencher: Bencher) {
    bench(bencher, "MDTM absent.txt\r\n", "550");
}

#[divan::bench]
fn unknown_verb(bencher: Bencher) {
    bench(bencher, "NOPE\r\n", "500");
}

/// SIZE is refused in TYPE A.
#[divan::bench]
fn size(bencher: Bencher) {
    bench_after(bencher, "TYPE I\r\n", "SIZE a.txt\r\n", "213 1024");
}

/// The rate counts commands, the allocations are those of the whole batch of 32.
#[divan::bench]
fn noop_32_pipelined(bencher: Bencher) {
    let directory = Directory::new("protocol", None);
    let mut interpreter = logged_in(&directory);
    let lines = "NOOP\r\n".repeat(PIPELINED as usize);
    bencher.counter(ItemsCount::new(PIPELINED)).bench_local(|| say(&mut interpreter, lines.as_bytes()));
}
