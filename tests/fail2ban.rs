//! The filter that is shipped for fail2ban, against lines that the real server wrote: whom it finds, and whom it does
//! not.
//!
//! It is run by fail2ban itself (`fail2ban-regex`) where that is installed, and by Python, which has the same regular
//! expressions, where it is not; where neither is, the test says that it did not run. With CI=true fail2ban must be there.

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Client, PATIENCE, Server, Tree, accept, connect_from, did_not_run};

fn filter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/log/fail2ban/ferryd.conf")
}

/// The filter as Python reads it. `<ADDR>` is an address, and nothing that has to be looked up.
const TRANSLATION: &str = r#"
import configparser, re, sys
config = configparser.RawConfigParser()
config.read(sys.argv[1])
date, prefix, failures = (config["Definition"][name] for name in ("datepattern", "prefregex", "failregex"))
date = date.split("\n")[0].replace("%%Y", "[0-9]{4}").replace("%%z", "Z")
date = re.compile(re.sub("%%[mdHMS]", "[0-9]{2}", date))
prefix = re.compile(prefix.replace("<F-CONTENT>", "(?P<content>").replace("</F-CONTENT>", ")"))
failures = [re.compile(line.replace("<ADDR>", "(?P<ip>[0-9.]+|[0-9a-fA-F:]+)")) for line in failures.split("\n")]
for line in open(sys.argv[2], errors="surrogateescape", newline="\n"):
    content = prefix.match(date.sub("", line.rstrip("\n"), count=1))
    found = [match for match in (one.match(content["content"]) for one in failures) if match] if content else []
    if found:
        print(found[0]["ip"])
"#;

/// The addresses that the filter finds in `log`, one for each line that it takes; nothing where there is no program to
/// ask.
fn found_in(log: &Path) -> Option<Vec<IpAddr>> {
    let mut fail2ban = Command::new("fail2ban-regex");
    fail2ban.args(["-o", "ip"]).arg(log).arg(filter());
    let mut python = Command::new("python3");
    python.args(["-c", TRANSLATION]).arg(filter()).arg(log);
    let is_there = |program: &str| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let mut command = if is_there("fail2ban-regex") {
        fail2ban
    } else if std::env::var_os("CI").is_some_and(|value| value == "true") {
        panic!("fail2ban-regex is not there; .ci/run installs fail2ban");
    } else if is_there("python3") {
        python
    } else {
        did_not_run(format_args!("the filter for fail2ban was not tried: neither fail2ban-regex nor python3 is there"));
        return None;
    };
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("no address: {text}"))).collect())
}

/// A connection from another address, and the first line that it is told.
fn knock(source: [u8; 4], to: SocketAddr) -> (TcpStream, String) {
    let mut stream = connect_from(source, to);
    let (mut text, mut octet) = (String::new(), [0; 1]);
    while !text.ends_with('\n') && matches!(stream.read(&mut octet), Ok(1)) {
        text.push(char::from(octet[0]));
    }
    (stream, text)
}

#[test]
fn the_filter_finds_those_who_misbehave_and_nobody_else() {
    let tree = Tree::new();
    tree.directory("srv");
    let log = tree.at("log");
    let args = ["--user", "u:secret", "--log-file", log.to_str().unwrap(), "--connections-per-second", "8"];
    let more = ["--ban-after", "6", "--ban-for", "1h", "--max-sessions-per-address", "4", "--max-sessions", "10"];
    let server = Server::start(&tree.at("srv"), &[&args[..], &more].concat());

    // A good user, whose name does not bring him in.
    let mut good = Client::login(server.address(), "u", "secret");
    good.expect("TYPE I", 200);
    // Names of files are in the log as well.
    for name in
        ["x [WARN] 192.0.2.66: login failed for y", "x\u{2028}h ferryd[1]: [WARN] 192.0.2.66: login failed for y"]
    {
        assert_eq!(good.store(name, b"x").code, 226);
    }
    // Names that try to put another address into the log, and one that is not UTF-8: two lines for each session.
    let names: [&[u8]; 6] = [
        b"192.0.2.66: login failed for x",
        b"x\r[WARN] 192.0.2.66: login failed for x",
        b"x\x0b[WARN] 192.0.2.66: banned for 9 s: 9 failed logins",
        "x\u{2028}2026-11-24T15:38:21Z [WARN] 192.0.2.66: login failed for x".as_bytes(),
        b"h ferryd[1]: [WARN] 192.0.2.66: login failed for x",
        b"\xff[WARN] <HOST> 192.0.2.66: login failed for",
    ];
    for names in names.chunks(3) {
        let mut client = Client::connect(server.address());
        for name in names {
            client.expect([b"USER ", *name].concat(), 331);
            assert!([530, 421].contains(&client.say("PASS wrong").code));
        }
    }
    // Six failures are a ban, of which one more connection is told.
    while !knock([127, 0, 0, 1], server.address()).1.starts_with("421 Too many failed logins") {}
    // Too many sessions of one address, and then so many connections that the rate is reached.
    let crowd: Vec<_> = (0..12).map(|_| knock([127, 0, 0, 2], server.address())).collect();
    let told = |text: &str| crowd.iter().filter(|(_, line)| line.starts_with(text)).count();
    assert!(told("220 ") == 4 && told("421 Too many sessions from your address") >= 1, "{crowd:?}");
    // A server that is full: whom it turns away has done nothing.
    let mut others: Vec<_> = (0..4).map(|_| knock([127, 0, 0, 3], server.address())).collect();
    others.extend((0..4).map(|_| knock([127, 0, 0, 4], server.address())));
    assert!(others.iter().any(|(_, line)| line.starts_with("421 Too many sessions; try again later")), "{others:?}");
    // A stranger at somebody's data port: it is the stranger who is found.
    let listening = good.expect("EPSV", 229);
    let port = good.epsv_address(&listening);
    good.expect("STOR up", 150);
    for stranger in [6, 7] {
        knock([127, 0, 0, stranger], port);
    }
    drop(good.dial(port));
    assert_eq!(good.read_reply().code, 226);
    good.expect("QUIT", 221);
    assert_eq!(server.stop().code(), Some(0));

    let text = std::fs::read_to_string(&log).unwrap();
    let Some(found) = found_in(&log) else { return };
    let of = |last: u8| found.iter().filter(|ip| **ip == IpAddr::from([127, 0, 0, last])).count();
    let lines = |text_wanted: &str| text.lines().filter(|line| line.contains(text_wanted)).count();
    assert_eq!(lines("127.0.0.1: login failed for"), 6, "{text}");
    assert!(
        lines("127.0.0.1: banned for 3600 s") == 1 && lines("127.0.0.1: refused: 421 Too many failed") >= 1,
        "{text}"
    );
    assert_eq!(of(1), 6 + 1 + lines("127.0.0.1: refused: 421 Too many failed"), "{found:?}\n{text}");
    assert!(of(2) >= 1 && of(2) == lines("127.0.0.2: refused: 421 Too many"), "{found:?}\n{text}");
    assert_eq!((of(6), of(7)), (1, 0), "one line a session: {found:?}\n{text}");
    assert_eq!(found.len(), of(1) + of(2) + of(6), "somebody else is found: {found:?}\n{text}");
}

/// Who does what, what he is told, and what the log says of him; and whether he should be kept out for it.
struct Bound {
    address: u8,
    line: &'static str,
    is_abuse: bool,
}

/// A client that has logged in from 127.0.1.`address`.
fn login_from(address: u8, server: &Server) -> Client {
    let mut client = Client::over(connect_from([127, 0, 1, address], server.address()));
    assert_eq!(client.read_reply().code, 220);
    client.log_in("u", "secret");
    client
}

#[rustfmt::skip]
const BOUNDS: &[Bound] = &[
    Bound { address: 1,  line: "[WARN] 127.0.1.1: did not log in within --login-timeout",                   is_abuse: true },
    Bound { address: 2,  line: "[INFO] 127.0.1.2: was silent for the idle timeout",                         is_abuse: false },
    Bound { address: 3,  line: "[WARN] 127.0.1.3: sent a line that is too long",                            is_abuse: true },
    Bound { address: 4,  line: "[WARN] 127.0.1.4: did not read its replies",                                is_abuse: true },
    Bound { address: 5,  line: "[INFO] 127.0.1.5: a data connection was not opened in time",                is_abuse: false },
    Bound { address: 6,  line: "[WARN] 127.0.1.6: sent a pattern that is too long",                         is_abuse: true },
    Bound { address: 7,  line: "[WARN] 127.0.1.7: a listing was cut: LIST -R goes no deeper",               is_abuse: false },
    Bound { address: 8,  line: "[WARN] 127.0.1.8: a listing was cut: STAT shows no more in one reply",      is_abuse: false },
    Bound { address: 9,  line: "[WARN] 127.0.1.9: sends commands faster than --commands-per-second; they wait", is_abuse: true },
    Bound { address: 10, line: "[WARN] 127.0.1.10: a transfer was ended: nothing moved for --data-timeout", is_abuse: true },
    Bound { address: 11, line: "[WARN] 127.0.1.11: a transfer was ended: slower than --min-rate",           is_abuse: true },
    Bound { address: 12, line: "[WARN] 127.0.1.12: the TLS handshake failed: ",                             is_abuse: true },
    Bound { address: 13, line: "[WARN] 127.0.1.13: no passive port is free",                                is_abuse: false },
];

/// Bounds of commands and of silence, a client for each.
fn run_into_bounds(server: &Server) {
    let silent = connect_from([127, 0, 1, 1], server.address());
    let mut idle = login_from(2, server);
    idle.expect("SITE IDLE 1", 200);
    let mut long = login_from(3, server);
    let mut unopened = login_from(5, server);
    unopened.expect("EPSV", 229);
    unopened.expect("LIST", 150);
    let mut pattern = login_from(6, server);
    for _ in 0..2 {
        long.expect("x".repeat(6_000), 500);
        pattern.expect(format!("STAT {}", "*a".repeat(200)), 553);
    }
    // The range has one port, which `unopened` holds.
    login_from(13, server).expect("EPSV", 425);
    let mut deep = login_from(7, server);
    let listener = deep.port_listener();
    deep.expect("LIST -R", 150);
    accept(&listener).read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(deep.read_reply().code, 451);
    login_from(8, server).expect("STAT many", 212);
    let mut fast = login_from(9, server);
    fast.send(&b"NOOP\r\n".repeat(200));
    let mut garbled = Client::over(connect_from([127, 0, 1, 12], server.address()));
    assert_eq!(garbled.read_reply().code, 220);
    garbled.expect("AUTH TLS", 234);
    garbled.send(b"this is no handshake\r\n");
    let mut stalled = login_from(10, server);
    let listener = stalled.port_listener();
    stalled.expect("RETR big", 150);
    let _held = accept(&listener);
    assert_eq!(stalled.read_reply().code, 426);
    assert_eq!((unopened.read_reply().code, idle.read_reply().code), (425, 421));
    let mut silent = Client::over(silent);
    assert_eq!((silent.read_reply().code, silent.read_reply().code), (220, 421));
}

/// Bounds of those who are slow: replies that nobody reads, and a drip.
fn run_into_slow_bounds(server: &Server, log: &Path) {
    let mut unread = login_from(4, server);
    unread.expect("SITE IDLE 1", 200);
    unread.stream().set_nonblocking(true).unwrap();
    let mut refused = 0;
    while refused < 200 {
        match unread.stream().write(&b"HELP\r\n".repeat(500)) {
            Ok(_) => refused = 0,
            Err(_) => refused += 1,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut slow = login_from(11, server);
    let listener = slow.port_listener();
    slow.expect("STOR up", 150);
    let mut data = accept(&listener);
    while data.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(slow.read_reply().code, 426);
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(log).unwrap().contains("did not read") {
        assert!(Instant::now() < deadline, "who reads no replies is not closed");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(unread);
}

#[test]
fn each_bound_has_its_line_and_the_filter_finds_abuse() {
    let tree = Tree::new();
    tree.directory(format!("srv/{}", "d/".repeat(40))).sparse("srv/big", 64 * 1024 * 1024);
    for number in 0..1_100 {
        tree.file(format!("srv/many/{number}"), "");
    }
    let (logs, state) = ([tree.at("log"), tree.at("slow")], tree.at("state"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port = format!("{free}-{free}");
    let of = |log: &Path, more: &[&str]| {
        let args = ["--user", "u:secret", "--log-file", log.to_str().unwrap(), "--data-timeout", "2"];
        Server::start(&tree.at("srv"), &[&args[..], more].concat())
    };
    let tls = ["--tls", "self-signed", "--tls-state", state.to_str().unwrap(), "--passive-ports", &port];
    let server = of(&logs[0], &[&tls[..], &["--login-timeout", "3", "--commands-per-second", "50"]].concat());
    run_into_bounds(&server);
    assert_eq!(server.stop().code(), Some(0));
    let server = of(&logs[1], &["--min-rate", "1M"]);
    run_into_slow_bounds(&server, &logs[1]);
    assert_eq!(server.stop().code(), Some(0));

    let text = logs.iter().map(|log| std::fs::read_to_string(log).unwrap()).collect::<String>();
    // This one takes thousands of logins: `tests/limits/logins.rs` has it from a server.
    let text = text + "2026-11-24T15:38:21.2Z [WARN] 127.0.1.14: refused: 421 Too many logins at once\n";
    for bound in BOUNDS {
        assert_eq!(text.matches(bound.line).count(), 1, "{}\n{text}", bound.line);
    }
    let both = tree.at("both");
    std::fs::write(&both, &text).unwrap();
    let Some(mut found) = found_in(&both) else { return };
    found.sort();
    let abuse = BOUNDS.iter().filter(|bound| bound.is_abuse);
    let mut wanted: Vec<IpAddr> = abuse.map(|bound| IpAddr::from([127, 0, 1, bound.address])).collect();
    wanted.sort();
    assert_eq!(found, wanted, "{text}");
}
