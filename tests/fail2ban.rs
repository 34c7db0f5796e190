//! The filter that is shipped for fail2ban, against lines that the real server wrote: whom it finds, and whom it does
//! not.
//!
//! It is run by fail2ban itself (`fail2ban-regex`) where that is installed, and by Python, which has the same regular
//! expressions, where it is not; where neither is, the test says that it did not run. With CI=true fail2ban must be there.

mod support;

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use socket2::{Domain, Socket, Type};
use support::{Client, PATIENCE, Server, Tree, did_not_run};

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

/// A connection from another address of this machine, and the first line that it is told.
fn knock(source: [u8; 4], to: SocketAddr) -> (TcpStream, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((IpAddr::from(source), 0)).into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect_timeout(&to.into(), PATIENCE).unwrap();
    let mut stream: TcpStream = socket.into();
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
