//! Who is not logged in: before USER, after USER, after a failed PASS and after REIN, nothing is done for him.

use ferryd::protocol::command::Run;
use ferryd::protocol::table;

use super::{serve, snapshot, world};
use crate::support::Client;

/// Every command of RFC 959, its companions, and those with which other servers were opened (CVE-2015-3306).
const LINES: &[&str] = &[
    "CWD d",
    "XCWD d",
    "CDUP",
    "XCUP",
    "PWD",
    "XPWD",
    "MKD new",
    "XMKD new",
    "RMD d",
    "XRMD d",
    "DELE f",
    "RNFR f",
    "RNTO g",
    "SIZE f",
    "MDTM f",
    "MLST f",
    "MLST",
    "STAT f",
    "STAT",
    "PASV",
    "EPSV",
    "EPSV ALL",
    "PORT 127,0,0,1,200,1",
    "EPRT |1|127.0.0.1|50000|",
    "RETR f",
    "STOR new",
    "STOU",
    "APPE f",
    "LIST",
    "NLST",
    "MLSD",
    "REST 1",
    "ALLO 1",
    "TYPE I",
    "STRU F",
    "MODE S",
    "ABOR",
    "SITE CHMOD 777 f",
    "SITE CPFR f",
    "SITE CPTO new",
    "SITE UTIME 20010101000000 f",
    "SITE UMASK 000",
    "SITE IDLE 10",
    "SITE HELP",
    "SITE EXEC id",
    "MFMT 20010101000000 f",
    "MFF UNIX.mode=0777; f",
    "HASH f",
    "XCRC f",
    "XMD5 f",
    "OPTS MLST type;",
    "ACCT x",
    "SMNT /",
    "XSHA256 f",
    "LPRT 4,4,127,0,0,1,2,1,1",
    "LPSV",
    "AUTH TLS",
    "PBSZ 0",
    "PROT P",
    "MIC x",
    "CONF x",
    "ENC x",
    "ADAT x",
    "CCC",
    "HELP ACIDBITCHEZ",
];

/// Commands that are for everybody, each thought about; all others are tried below.
const OPEN: &[&str] = &[
    "USER", "PASS", "ACCT", "REIN", "QUIT", "SYST", "HELP", "NOOP", "FEAT", "OPTS", "CLNT", "AUTH", "PBSZ", "PROT",
    "CCC", "ADAT", "MIC", "CONF", "ENC",
];

/// Each command of the table that is not for everybody, alone and with arguments, and [`LINES`].
fn gated_lines() -> Vec<String> {
    let gated = table::commands().filter(|command| !matches!(command.run, Run::Open(_)));
    let mut lines: Vec<String> = gated
        .flat_map(|command| ["", " f", " 1", " d/f", " ALL"].map(|argument| format!("{}{argument}", command.verb)))
        .collect();
    lines.extend(LINES.iter().map(|line| (*line).to_owned()));
    lines
}

#[test]
fn what_is_for_everybody_is_known() {
    let open = table::commands().filter(|command| matches!(command.run, Run::Open(_)));
    let unknown: Vec<_> = open.map(|command| command.verb).filter(|verb| !OPEN.contains(verb)).collect();
    assert!(
        unknown.is_empty(),
        "{unknown:?}: before login too? Then tests/sandbox/gate.rs must know, and say what for"
    );
}

/// What it is called, and how a session gets there.
type Stage = (&'static str, fn(&mut Client));

/// What may be answered to somebody who is nobody.
fn is_refusal(code: u16) -> bool {
    // 533 to 537 are RFC 2228's, whose commands stand before a login.
    matches!(code, 500..=504 | 530 | 533..=537 | 421)
}

#[test]
fn nothing_is_done_before_login() {
    let world = world();
    let server = serve(&world, &[]);
    let before = snapshot(world.path());
    let lines = gated_lines();
    let stages: [Stage; 5] = [
        ("at the beginning", |_| ()),
        ("after USER", |client| drop(client.expect("USER u", 331))),
        ("after a failed PASS", |client| {
            client.expect("USER u", 331);
            client.expect("PASS wrong", 530);
        }),
        ("after REIN", |client| {
            client.expect("USER u", 331);
            client.expect("PASS secret", 230);
            client.expect("CWD d", 250);
            client.expect("RNFR f", 350);
            client.expect("EPSV", 229);
            client.expect("REIN", 220);
        }),
        ("after the wrong user", |client| {
            client.expect("USER nobody", 331);
            client.expect("PASS secret", 530);
        }),
    ];
    for (stage, prepare) in stages {
        let mut client = Client::connect(server.address());
        prepare(&mut client);
        for line in &lines {
            let reply = client.say(line);
            assert!(is_refusal(reply.code), "{stage}: {line}: {reply}");
        }
        // A login afterwards begins anew.
        client.expect("USER u", 331);
        client.expect("PASS secret", 230);
        assert!(client.expect("PWD", 257).text().contains("\"/\""), "{stage}");
        client.expect("RNTO g", 503);
        client.expect("EPSV", 229);
    }
    assert_eq!(snapshot(world.path()), before);
}

#[test]
fn pass_needs_user_and_a_user_is_not_changed_in_passing() {
    let world = world();
    let server = serve(&world, &[]);
    let mut client = Client::connect(server.address());
    client.expect("PASS secret", 503);
    client.expect("USER u", 331);
    client.expect("PASS wrong", 530);
    // USER is used up.
    client.expect("PASS secret", 503);
    for line in ["PASS", "PASS "] {
        client.expect("USER u", 331);
        let reply = client.say(line);
        assert!([501, 530, 421].contains(&reply.code), "{line:?}: {reply}");
        if client.closed_or_quiet() {
            client = Client::connect(server.address());
        }
    }
}

/// Whether the third failure has closed the session.
trait ClosedOrQuiet {
    fn closed_or_quiet(&mut self) -> bool;
}

impl ClosedOrQuiet for Client {
    fn closed_or_quiet(&mut self) -> bool {
        !self.silent_for(std::time::Duration::from_millis(20))
    }
}

#[test]
fn an_unknown_user_and_a_wrong_password_look_the_same() {
    let world = world();
    let server = serve(&world, &[]);
    let talk = |user: &str| {
        let mut client = Client::connect(server.address());
        let first = client.say(format!("USER {user}")).text();
        (first, client.say("PASS wrong").text())
    };
    assert_eq!(talk("u"), talk("nobody-of-that-name"));
    assert_eq!(talk("u"), talk("root"));
}

#[test]
fn a_browser_is_not_answered() {
    let world = world();
    let server = serve(&world, &[]);
    for request in ["GET / HTTP/1.1", "POST /f HTTP/1.1", "HEAD / HTTP/1.0", "PUT /f HTTP/1.1", "OPTIONS * HTTP/1.1"] {
        let mut client = Client::connect(server.address());
        client.send_line(request);
        client.send_line("Host: <script>");
        while let Some(reply) = client.try_read_reply() {
            assert!(!reply.text().contains("script") && !reply.text().contains("HTTP"), "{reply}");
        }
    }
}
