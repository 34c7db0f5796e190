//! Names are octets: each of them survives, and none of them makes a line that was not there.

use std::fs;

use super::{login, serve, world};
use crate::support::{Client, Server, Tree};

/// Names that try to be more than one line, or another reply.
const FORGED: &[&[u8]] = &[
    b"a\r\n226 forged",
    b"a\n226 forged",
    b"a\r226 forged",
    b"a\r\n250 End",
    b"a\n213 End of status.",
    b"212 End of status.",
    b"213 End of status.",
    b"\x1b[2J\x1b[31mred",
    b"tab\tname",
    b"bell\x07\x08\x7f",
    b"type=dir; forged",
    b"-rw-r--r-- 1 root root 5 Jan 1 2020 forged\n-rw-r--r-- 1 root",
];

/// Every line begins as lines of `command` do.
fn no_forged_line(command: &str, text: &str, expected: usize) {
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), expected, "{command}: one entry is one line:\n{text:?}");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{command}: {text:?}");
    for line in lines {
        assert!(
            !line.starts_with("226") && !line.starts_with("250") && !line.starts_with("213"),
            "{command}: {line:?}"
        );
    }
}

#[test]
fn control_characters_on_disk_forge_nothing() {
    let world = world();
    for name in FORGED {
        world.file([b"srv/x/", *name].concat(), "x").link([b"srv/links/", *name].concat(), name);
        world.directory([b"srv/dirs/", *name].concat());
    }
    let server = serve(&world, &[]);
    let mut client = login(&server);
    for directory in ["x", "links", "dirs"] {
        for command in ["LIST", "LIST -l", "NLST", "MLSD"] {
            let (text, reply) = client.list(format!("{command} {directory}"));
            assert_eq!(reply.code, 226);
            // MLSD may add itself and its parent.
            let lines =
                text.split_terminator("\r\n").filter(|line| !line.contains("type=cdir") && !line.contains("type=pdir"));
            let text: String = lines.map(|line| format!("{line}\r\n")).collect();
            no_forged_line(command, &text, FORGED.len());
        }
        // `-1`: the names alone, at the beginning of their lines.
        client.expect(format!("CWD /{directory}"), 250);
        for command in ["STAT .", "STAT -1"] {
            let status = client.say(command);
            assert_eq!(status.lines.len(), FORGED.len() + 2, "{command}: {status}");
            for line in &status.lines[1..status.lines.len() - 1] {
                assert!(
                    !line[..3].iter().all(u8::is_ascii_digit),
                    "{:?} begins like a reply",
                    line.escape_ascii().to_string()
                );
            }
            client.expect("NOOP", 200);
        }
        client.expect("CWD /", 250);
    }
    let (text, _) = client.list("LIST -R dirs");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text:?}");
    for reply_to in ["NOOP", "SYST"] {
        assert_eq!(client.say(reply_to).lines.len(), 1);
    }
}

#[test]
fn a_directory_with_a_bad_name_as_root_forges_nothing() {
    // No command line can name such a directory: it is the root, or a link leads there.
    let world = world();
    world.directory(b"srv/d\r\n226 forged").file(b"srv/d\r\n226 forged/f", "x").link("srv/there", "d\r\n226 forged");
    let server = serve(&world, &["--log-level", "debug"]);
    let mut client = login(&server);
    client.expect("CWD there", 250);
    for (line, code) in
        [("PWD", 257), ("MLST", 250), ("MLST f", 250), ("STAT f", 213), ("MKD new", 257), ("SIZE f", 213)]
    {
        client.expect(line, code);
    }
    // A CR alone can be sent: it stays within its line everywhere.
    for line in ["MKD a\r226 forged", "MKD b\rc", "CWD b\rc"] {
        client.say(format!("{line}\n"));
    }
    let reply = client.say("PWD");
    assert_eq!(reply.lines.len(), 1);
    assert!(!reply.lines[0].contains(&b'\r'), "{:?}", reply.text());
    client.expect("NOOP", 200);
}

#[test]
fn the_log_has_one_line_for_one_event() {
    let world = world();
    let odd = Tree::new();
    odd.directory(b"r\n[ERROR] forged").file(b"r\n[ERROR] forged/f", "x");
    let server = Server::start(&odd.at(b"r\n[ERROR] forged"), &["--log-level", "trace"]);
    assert_eq!(
        server.output().matches("forged").count(),
        server.output().lines().filter(|line| line.contains("\\n[ERROR] forged")).count()
    );
    drop(server);

    let transfer_log = world.at("xfer");
    let server = serve(&world, &["--log-level", "trace", "--transfer-log", transfer_log.to_str().unwrap()]);
    let mut client = Client::connect(server.address());
    client.send(b"USER u\r[ERROR] forged\x1b[2J\n");
    client.read_reply();
    client.send(b"PASS x\n");
    client.read_reply();
    client.expect("USER u", 331);
    client.expect("PASS secret", 230);
    client.send(b"CLNT a\rb\x1b[31m\n");
    client.read_reply();
    world.file(b"srv/a\rb forged c\x1b", "x");
    let (_, reply) = client.retrieve(b"a\rb forged c\x1b");
    assert_eq!(reply.code, 226);
    let log = server.wait_for_log("forged c");
    for line in log.lines() {
        assert!(!line.contains(['\x1b', '\r']), "{line:?}");
        assert!(line.starts_with("20") && line.contains('['), "not the beginning of an event: {line:?}");
    }
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while !transfer_log.exists() || fs::read(&transfer_log).unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the transfer log stays empty");
        std::thread::yield_now();
    }
    let line = String::from_utf8(fs::read(&transfer_log).unwrap()).unwrap();
    assert_eq!(line.lines().count(), 1);
    assert_eq!(
        line.split(' ').filter(|word| !word.is_empty()).count(),
        18,
        "a name with spaces adds no field: {line:?}"
    );
    assert!(!line.contains(['\r', '\x1b']), "{line:?}");
}

/// Who asks the log what somebody has done asks by his address.
#[test]
fn each_line_about_a_client_begins_with_his_address() {
    let world = world();
    let server = serve(&world, &[]);
    let mut client = login(&server);
    assert_eq!(client.retrieve("f").1.code, 226);
    assert_eq!(client.store("up", b"x").code, 226);
    client.expect("REIN", 220);
    client.expect("USER u", 331);
    client.expect("PASS wrong", 530);
    for what in ["logged in as u", "u retrieved /f, ", "u stored /up, ", "login failed for u"] {
        let log = server.wait_for_log(what);
        let (before, _) = log.split_once(what).unwrap();
        assert!(before.ends_with("] 127.0.0.1: "), "{what}: {log}");
    }
}

#[test]
fn every_octet_of_a_name_survives() {
    let world = world();
    let server = serve(&world, &[]);
    let mut client = login(&server);
    let mut names: Vec<Vec<u8>> = vec![
        b"\xff\xfe".to_vec(),
        "Gr\u{fc}\u{df}e".into(),
        "Gru\u{308}\u{df}e".into(),
        "\u{65e5}\u{672c}".into(),
        b"sp ace".to_vec(),
        b" lead".to_vec(),
        b"trail ".to_vec(),
        b"[bracket]".to_vec(),
        b"a*b?".to_vec(),
        b"quo\"te".to_vec(),
        b"-al".to_vec(),
        b"back\\slash".to_vec(),
        b"~".to_vec(),
        b"#%$&;".to_vec(),
        b"\x01\x02\x1f\x7f".to_vec(),
        vec![b'n'; 255],
    ];
    // Each octet that a name and a command line may have, alone between two letters; 255 is said twice (RFC 854).
    names.extend(
        (1..=255u8).filter(|octet| !matches!(octet, b'/' | b'\n' | b'\r')).map(|octet| vec![b'x', octet, b'y']),
    );
    for name in &names {
        let said: Vec<u8> =
            name.iter().flat_map(|octet| if *octet == 255 { vec![255, 255] } else { vec![*octet] }).collect();
        let shown = name.escape_ascii();
        assert_eq!(client.store(&said, b"content").code, 226, "STOR {shown}");
        assert_eq!(world.read([b"srv/", name.as_slice()].concat()).as_deref(), Some(&b"content"[..]), "STOR {shown}");
        assert_eq!(client.retrieve(&said).0, b"content", "RETR {shown}");
        client.expect([b"SIZE ", said.as_slice()].concat(), 213);
        let mut data = client.epsv();
        client.expect("MLSD", 150);
        let text = crate::support::read_all(&mut data);
        assert_eq!(client.read_reply().code, 226);
        let told = [b" ", name.as_slice(), b"\r\n"].concat();
        assert!(text.windows(told.len()).any(|part| part == told), "MLSD does not tell {shown}");
        client.expect([b"DELE ", said.as_slice()].concat(), 250);
        client.expect([b"MKD ", said.as_slice()].concat(), 257);
        client.expect([b"CWD ", said.as_slice()].concat(), 250);
        let reply = client.expect("PWD", 257);
        // RFC 959 appendix II doubles the quote, RFC 854 the octet 255 on a Telnet connection.
        let doubled = |octet: &u8| if matches!(octet, b'"' | 255) { vec![*octet; 2] } else { vec![*octet] };
        let quoted: Vec<u8> = name.iter().flat_map(doubled).collect();
        let quoted = [b"257 \"/", quoted.as_slice(), b"\""].concat();
        assert!(reply.lines[0].starts_with(&quoted), "PWD in {shown}: {}", reply.lines[0].escape_ascii());
        client.expect("CDUP", 250);
        client.expect([b"RMD ", said.as_slice()].concat(), 250);
    }
    // NUL ends a name for the kernel: it is refused, not cut.
    for line in [&b"RETR f\0.txt"[..], b"SIZE f\0", b"CWD d\0", b"MKD n\0", b"DELE f\0"] {
        client.expect("EPSV", 229);
        client.expect(line, 501);
    }
    assert_eq!(world.read("srv/f").unwrap(), b"inside");
    let too_long = "n".repeat(256);
    assert!(client.say(format!("MKD {too_long}")).code >= 500);
}
