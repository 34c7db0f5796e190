//! Random command lines, each with what may come back.

// The simulation and the fuzzers each use another part of this.
#![allow(dead_code)]

use ferryd::limits::LINE_OCTETS_MAX;

use crate::ledger::Sent;
use crate::random::Random;

/// A line, its octets as they are sent.
#[derive(Clone, Debug)]
pub struct Line {
    /// Nothing where no reply is owed: an empty line, Telnet's own commands.
    pub sent: Option<Sent>,
    pub octets: Vec<u8>,
}

/// How often, the verb, its arguments, and the codes that may end it.
type Row = (usize, &'static str, &'static [&'static [u8]], &'static [u16]);

const NAMES: &[&[u8]] = &[
    b"a.txt",
    b"big",
    b"d",
    b"d/x",
    b"absent",
    b"../../../../a.txt",
    b"../../../canary",
    b"/../outside/canary",
    b"out",
    b"out/canary",
    b"n\xff\xffm",
    b"n\xffm",
    b"c\rd",
    b"\x1b[2J",
    b"",
    b"a\0b",
    b".",
    b"/",
    b"*",
    b"[",
    b"new",
    b"new/deep",
    b"-al",
    b" ",
    b"a\"b",
];
/// Names that may be written over; what is asked for again later is not among them.
const SCRAP: &[&[u8]] =
    &[b"s1", b"s2", b"d/s3", b"../../s4", b"absent/x", b"out/planted", b"", b"a\0b", b"s\"5", b"s\xff\xff6"];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (9, "USER", &[b"rw", b"rw", b"ro", b"upload", b"nobody", b""],                     &[331, 501, 503, 530]),
    (9, "PASS", &[b"secret", b"secret", b"secret", b"wrong", b""],                     &[230, 503, 530, 421]),
    (1, "ACCT", &[b"x", b""],                                                          &[202, 501, 503, 530]),
    (1, "REIN", &[b"", b"x"],                                                          &[220, 501]),
    (5, "NOOP", &[b""],                                                                &[200]),
    (4, "CWD",  NAMES,                                                                 &[250, 450, 451, 501, 530, 550, 553]),
    (1, "XCWD", NAMES,                                                                 &[250, 450, 451, 501, 530, 550, 553]),
    (1, "CDUP", &[b"", b"x"],                                                          &[200, 250, 501, 530, 550]),
    (1, "XCUP", &[b""],                                                                &[200, 250, 501, 530, 550]),
    (3, "PWD",  &[b""],                                                                &[257, 501, 530]),
    (1, "XPWD", &[b""],                                                                &[257, 501, 530]),
    (3, "TYPE", &[b"I", b"A", b"a n", b"L 8", b"E", b"x", b""],                        &[200, 501, 504, 530]),
    (1, "STRU", &[b"F", b"R"],                                                         &[200, 501, 504, 530]),
    (1, "MODE", &[b"S", b"B"],                                                         &[200, 501, 504, 530]),
    (2, "REST", &[b"0", b"3", b"99999", b"-1", b"9223372036854775807", b"9223372036854775808"], &[350, 501, 530]),
    (1, "PORT", &[b"1,2,3,4,5,6", b"127,0,0,1,0,20", b"127,0,0,1,200,1", b"x"],        &[200, 501, 503, 504, 530, 550]),
    (1, "EPRT", &[b"|1|1.2.3.4|5000|", b"|1|127.0.0.1|5000|", b"|2|::1|5000|", b"|2|::ffff:127.0.0.1|5000|", b"|3|x|1|", b"|"], &[200, 501, 503, 504, 522, 530]),
    (5, "PASV", &[b""],                                                                &[227, 425, 501, 503, 530]),
    (5, "EPSV", &[b"", b"1", b"2", b"x"],                                              &[200, 229, 425, 501, 522, 530]),
    (2, "ALLO", &[b"1", b"1 R 1", b"18446744073709551615", b"x"],                      &[200, 202, 452, 501, 530, 550]),
    (2, "RNFR", SCRAP,                                                                 &[350, 450, 451, 501, 530, 550, 553]),
    (2, "RNTO", SCRAP,                                                                 &[250, 450, 451, 501, 503, 530, 550, 552, 553]),
    (3, "ABOR", &[b""],                                                                &[225, 226, 501, 530]),
    (2, "DELE", SCRAP,                                                                 &[250, 450, 451, 501, 530, 550, 553]),
    (1, "RMD",  SCRAP,                                                                 &[250, 450, 451, 501, 530, 550, 553]),
    (1, "XRMD", SCRAP,                                                                 &[250, 450, 451, 501, 530, 550, 553]),
    (1, "MKD",  SCRAP,                                                                 &[257, 450, 451, 501, 530, 550, 552, 553]),
    (1, "XMKD", SCRAP,                                                                 &[257, 450, 451, 501, 530, 550, 552, 553]),
    (1, "SYST", &[b""],                                                                &[215]),
    (2, "STAT", &[b""],                                                                &[211, 212, 213, 450, 451, 501, 530, 550, 553]),
    (1, "STAT", &[b"d", b"absent", b"/", b"*"],                                        &[211, 212, 213, 450, 451, 501, 530, 550, 553]),
    (1, "HELP", &[b"", b"RETR", b"site", b"x"],                                        &[214, 501, 502]),
    (2, "SITE", &[b"HELP", b"UMASK 027", b"UMASK", b"IDLE 60", b"IDLE", b"x", b"CHMOD 600 d/x", b"CHMOD 4755 d/x", b"UTIME 202601020304 d/x", b""], &[200, 214, 450, 451, 501, 504, 530, 550, 553]),
    (2, "FEAT", &[b""],                                                                &[211, 501]),
    (2, "OPTS", &[b"UTF8 ON", b"UTF8 OFF", b"MLST type;", b"x"],                       &[200, 501, 504, 530]),
    (2, "SIZE", NAMES,                                                                 &[213, 450, 451, 501, 530, 550, 553]),
    (2, "MDTM", NAMES,                                                                 &[213, 450, 451, 501, 530, 550, 553]),
    (2, "MLST", NAMES,                                                                 &[250, 450, 451, 501, 530, 550, 553]),
    (1, "MFMT", &[b"20200102030405 d/x", b"x d/x", b"20200102030405 out/canary"],      &[213, 450, 451, 501, 530, 550, 553]),
    (1, "MFF",  &[b"Modify=20200102030405;UNIX.mode=0644; d/x", b"x=1; d/x", b"UNIX.mode=4755; d/x"], &[213, 450, 451, 501, 504, 530, 550, 553]),
    (1, "CLNT", &[b"x", b""],                                                          &[200, 501]),
    (1, "AUTH", &[b"TLS", b"tls-c", b"TLS-P", b"KERBEROS_V4", b""],                    &[234, 501, 502, 503, 504]),
    (1, "PBSZ", &[b"0", b"1", b"4294967296"],                                          &[200, 501, 503]),
    (1, "PROT", &[b"P", b"C", b"S", b"x"],                                             &[200, 501, 503, 504, 534, 536]),
    (1, "CCC",  &[b""],                                                                &[503, 534]),
    (1, "ADAT", &[b"AAAA"],                                                            &[503]),
    (1, "MIC",  &[b"AAAA"],                                                            &[503, 537]),
    (1, "CONF", &[b"AAAA"],                                                            &[503, 537]),
    (1, "ENC",  &[b"AAAA"],                                                            &[503, 537]),
    (1, "GARBAGE", &[b"A", b"\x01\x02", b"RETRX a", b" NOOP", b"{};", b"\xc3\xa4"],     &[500]),
];

#[rustfmt::skip]
const TRANSFERS: &[Row] = &[
    (4, "RETR", NAMES,                                              &[425, 450, 451, 501, 503, 521, 530, 550, 552, 553, 554]),
    (4, "STOR", SCRAP,                                              &[425, 450, 451, 501, 503, 521, 530, 550, 552, 553, 554]),
    (1, "APPE", SCRAP,                                              &[425, 450, 451, 501, 503, 521, 530, 550, 552, 553, 554]),
    (1, "STOU", &[b"", b"s7"],                                      &[425, 450, 451, 501, 503, 521, 530, 550, 552, 553, 554]),
    (2, "LIST", &[b"", b"-al", b"-R", b"d", b"*", b"absent"],       &[425, 450, 451, 501, 503, 521, 530, 550, 552, 553, 554]),
    (1, "NLST", &[b"", b"-R", b"*"],                                &[425, 450, 451, 501, 503, 521, 530, 550, 552, 553, 554]),
    (2, "MLSD", &[b"", b"d", b"a.txt", b"*"],                       &[425, 450, 451, 501, 503, 521, 530, 550, 552, 553, 554]),
];

/// Every verb there is a row for.
pub fn verbs() -> impl Iterator<Item = &'static str> {
    ROWS.iter().chain(TRANSFERS).map(|row| row.1).chain(["QUIT"])
}

/// A line that is nearly right: its argument is that of a row, with some octets changed. The real server is not asked
/// such things: they might name what the next session reads.
pub fn near(random: &mut Random) -> Line {
    let rows = if random.once_in(4) { TRANSFERS } else { ROWS };
    let row = random.pick(rows);
    let mut argument = random.pick(row.2).to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(argument.len() + 1);
        let piece = *random.pick(PIECES);
        match random.below(4) {
            0 => drop(argument.splice(at..at, piece.iter().copied())),
            1 if at < argument.len() => argument[at] = random.below(256) as u8,
            2 if at < argument.len() => drop(argument.remove(at)),
            _ => argument.extend_from_slice(piece),
        }
    }
    // What would end the line, or be Telnet's, has rows and lines of its own.
    argument.retain(|octet| !matches!(octet, b'\n' | 255));
    if argument.ends_with(b"\r") {
        argument.pop();
    }
    if row.1 == "GARBAGE" {
        argument = [b"\x7f", argument.as_slice()].concat();
    }
    make(row, row.1.as_bytes(), &argument, b"\r\n")
}

const PIECES: &[&[u8]] = &[
    b" ",
    b"  ",
    b"\t",
    b"\0",
    b"/",
    b"..",
    b"/../",
    b"-",
    b"*",
    b"\"",
    b",",
    b"|",
    b";",
    b"=",
    b"0",
    b"9",
    b"255",
    b"65536",
    b"18446744073709551616",
    b"-1",
    b"%s%n",
    b"a.txt",
    b"d",
    b"UTC",
    b"\x80",
    b"\xc3\xa4",
    b"\r",
    b"ALL",
];

/// A line that begins no transfer, or one that is no command at all.
pub fn command(random: &mut Random) -> Line {
    match random.below(40) {
        0 => overlong(random),
        1 => Line { sent: None, octets: random.pick(&[&b"\r\n"[..], b"\n", b"\r\n\n"]).to_vec() },
        2 => Line {
            sent: None,
            octets: random.pick(&[&b"\xff\xf4\xff\xf2"[..], b"\xff\xf1", b"\xff\xfd\x06", b"\xff\xfb\x01"]).to_vec(),
        },
        _ => from_rows(random, ROWS),
    }
}

/// A line that begins a transfer.
pub fn transfer(random: &mut Random) -> Line {
    from_rows(random, TRANSFERS)
}

/// A line with this verb and argument; the codes are the verb's.
pub fn line(verb: &str, argument: &[u8]) -> Line {
    let row = ROWS.iter().chain(TRANSFERS).find(|row| row.1 == verb).expect("the verb is in a table");
    make(row, verb.as_bytes(), argument, b"\r\n")
}

/// What a browser says first; no reply is owed to that. Later it is a command that nobody knows.
pub fn http() -> Line {
    let sent = Sent { verb: "HTTP", argument: Vec::new(), codes: &[500] };
    Line { sent: Some(sent), octets: b"GET / HTTP/1.1\r\n".to_vec() }
}

/// The line that somebody has written, less its end.
pub fn written(text: &[u8]) -> Line {
    const METHODS: &[&[u8]] =
        &[b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"CONNECT", b"TRACE", b"PATCH"];
    let text: Vec<u8> = text.iter().copied().filter(|octet| *octet != 255).collect();
    let text = text.trim_ascii_end();
    let space = text.iter().position(|octet| *octet == b' ').unwrap_or(text.len());
    let verb = text[..space].to_ascii_uppercase();
    let argument = text.get(space + 1..).unwrap_or_default();
    let mut line = match ROWS.iter().chain(TRANSFERS).find(|row| row.1.as_bytes() == verb && row.1.len() < 5) {
        _ if text.is_empty() => Line { sent: None, octets: b"\r\n".to_vec() },
        _ if verb == b"QUIT" => quit(),
        _ if METHODS.contains(&verb.as_slice()) => http(),
        Some(row) => make(row, &verb, argument, b"\r\n"),
        None => garbage(),
    };
    if text.len() > LINE_OCTETS_MAX {
        line.sent = Some(Sent { verb: "OVERLONG", argument: Vec::new(), codes: &[500] });
    }
    line.octets = [text, b"\r\n"].concat();
    line
}

/// QUIT, after which nothing is owed.
pub fn quit() -> Line {
    Line { sent: Some(Sent { verb: "QUIT", argument: Vec::new(), codes: &[221] }), octets: b"QUIT\r\n".to_vec() }
}

fn garbage() -> Line {
    line("GARBAGE", b"")
}

fn from_rows(random: &mut Random, rows: &'static [Row]) -> Line {
    let total: usize = rows.iter().map(|row| row.0).sum();
    let mut at = random.below(total);
    let row = rows.iter().find(|row| {
        let here = at < row.0;
        at = at.saturating_sub(row.0);
        here
    });
    let row = row.expect("the weights add up");
    let argument = *random.pick(row.2);
    let verb = match random.below(4) {
        0 => row.1.to_ascii_lowercase().into_bytes(),
        _ => row.1.as_bytes().to_vec(),
    };
    let end: &[u8] = if random.once_in(5) { b"\n" } else { b"\r\n" };
    make(row, &verb, argument, end)
}

fn make(row: &'static Row, verb: &[u8], argument: &[u8], end: &[u8]) -> Line {
    // As it arrives: Telnet's 255 is sent twice (RFC 854).
    let mut heard = argument.to_vec();
    while let Some(at) = heard.windows(2).position(|pair| pair == [255, 255]) {
        heard.remove(at);
    }
    let sent = Some(Sent { verb: row.1, argument: heard, codes: row.3 });
    let octets = match (row.1, argument) {
        ("GARBAGE", _) => [argument, end].concat(),
        (_, b"") => [verb, end].concat(),
        _ => [verb, b" ", argument, end].concat(),
    };
    Line { sent, octets }
}

/// More octets than any command has, Telnet's among them; one reply, and the rest is dropped.
fn overlong(random: &mut Random) -> Line {
    let length = LINE_OCTETS_MAX + 1 + random.below(9_000);
    let mut octets = b"RETR ".to_vec();
    octets.resize(length, b'x');
    if random.once_in(2) {
        let tails: [&[u8]; 3] = [b"\xff\xfa", b"\xff\xfd", b"\xff"];
        octets.extend_from_slice(tails[random.below(tails.len())]);
    }
    octets.extend_from_slice(b"\r\n");
    Line { sent: Some(Sent { verb: "OVERLONG", argument: Vec::new(), codes: &[500] }), octets }
}
