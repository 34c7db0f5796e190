//! The language of the transcripts: text → steps.
//!
//! A line is one step. `#` begins a comment; empty lines are read over.
//!
//! ```text
//! listen: [::1]:0                      where the server listens, if not on 127.0.0.1 (first lines only)
//! [server] [protocol] [both]           what follows is for the real server, the interpreter, or both
//! login: rw                            a new session of a user with these rights; `none`: not logged in
//! tree: a.txt 2026-01-02T03:04:05Z "x" a file; the time may be missing
//! tree: big.bin *1000000               a file of that many zeros
//! tree: d/                             a directory
//! tree: l -> a.txt                     a symbolic link
//! tree: pipe |                         a FIFO
//! > RETR a.txt                         a line to send, CRLF is added
//! >> NOOP\n                            octets to send as they are
//! >! \xff\xf4\xff\xf2ABOR\r\n          the same, the last 0xFF marked as urgent (Telnet's Synch)
//! < 150 …                              a line of a reply, whole; `…` stands for anything
//! < …                                  between the lines of a reply: any lines
//! data< "x"                            the octets that come over the data connection, to its end
//! data> "x"                            the octets to send over it, and its end
//! file: a.txt "x"                      what is on the disk now
//! absent: a.txt                        what is not
//! closed                               the server closes the control connection
//! ```
//!
//! Names and strings may stand in double quotes; everywhere `\xNN`, `\r`, `\n`, `\t`, `\0`, `\\` and `\"` are octets.
//! Where `data` follows a command, EPSV is said before it, unless the transcript itself has named a data connection.
//! `{hostport}` and `{port}` stand for a place where the client listens.

/// A transcript.
#[derive(Debug)]
pub struct Script {
    pub name: String,
    pub listen: Option<String>,
    /// Each with the number of its line.
    pub steps: Vec<(usize, Step)>,
}

/// Where a step is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Server,
    Protocol,
    Both,
}

/// One step.
#[derive(Debug)]
pub enum Step {
    Stage(Stage),
    /// Rights; none: do not log in.
    Login(Option<String>),
    Tree(Vec<u8>, Entry),
    Send(Octets),
    /// The lines of one reply.
    Reply(Vec<Vec<u8>>),
    DataIn(Vec<u8>),
    DataOut(Vec<u8>),
    File(Vec<u8>, Vec<u8>),
    Absent(Vec<u8>),
    Closed,
}

/// What to send on the control connection.
#[derive(Debug)]
pub enum Octets {
    /// With CRLF.
    Line(Vec<u8>),
    Raw(Vec<u8>),
    Urgent(Vec<u8>),
}

/// What is in the tree.
#[derive(Debug)]
pub enum Entry {
    File { modified: Option<u64>, content: Vec<u8> },
    Sparse(u64),
    Directory,
    Link(Vec<u8>),
    Fifo,
}

impl Script {
    /// Reads a transcript.
    ///
    /// # Panics
    /// With the number of the line that means nothing.
    pub fn parse(name: &str, text: &str) -> Script {
        let mut script = Script { name: name.to_owned(), listen: None, steps: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(place) = line.strip_prefix("listen: ") {
                script.listen = Some(place.to_owned());
                continue;
            }
            let step = parse_step(line).unwrap_or_else(|| panic!("{name}:{number}: not a step: {line}"));
            script.add(number, step);
        }
        script
    }

    /// Adds a step; a line of a reply goes to the reply that it continues.
    fn add(&mut self, number: usize, step: Step) {
        if let (Step::Reply(line), Some((_, Step::Reply(lines)))) = (&step, self.steps.last_mut())
            && !is_whole(lines)
        {
            lines.extend_from_slice(line);
            return;
        }
        self.steps.push((number, step));
    }

    /// The verbs that it sends, in upper case.
    pub fn verbs(&self) -> impl Iterator<Item = String> {
        self.steps.iter().filter_map(|(_, step)| match step {
            Step::Send(Octets::Line(line)) => {
                let verb = line.split(|octet| *octet == b' ').next()?;
                Some(String::from_utf8_lossy(verb).to_ascii_uppercase())
            }
            _ => None,
        })
    }
}

/// RFC 959 section 4.2: `xyz text` is a whole reply, `xyz-text` goes on until `xyz text`.
fn is_whole(lines: &[Vec<u8>]) -> bool {
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return false };
    let goes_on = first.len() > 3 && first[..3].iter().all(u8::is_ascii_digit) && first[3] == b'-';
    !goes_on || (last.starts_with(&first[..3]) && last.get(3) == Some(&b' '))
}

fn parse_step(line: &str) -> Option<Step> {
    if let Some(text) = line.strip_prefix("> ") {
        return Some(Step::Send(Octets::Line(unescape(text)?)));
    }
    if let Some(text) = line.strip_prefix(">> ") {
        return Some(Step::Send(Octets::Raw(unescape(text)?)));
    }
    if let Some(text) = line.strip_prefix(">! ") {
        return Some(Step::Send(Octets::Urgent(unescape(text)?)));
    }
    if let Some(text) = line.strip_prefix("< ") {
        return Some(Step::Reply(vec![unescape(text)?]));
    }
    let stage = match line.trim_end() {
        "closed" => return Some(Step::Closed),
        "[server]" => Some(Stage::Server),
        "[protocol]" => Some(Stage::Protocol),
        "[both]" => Some(Stage::Both),
        _ => None,
    };
    if let Some(stage) = stage {
        return Some(Step::Stage(stage));
    }
    let (key, rest) = line.split_once(' ')?;
    let mut words = words(rest)?.into_iter();
    let first = words.next()?;
    let step = match key {
        "login:" => Step::Login(Some(String::from_utf8(first).ok()?).filter(|rights| rights != "none")),
        "tree:" => parse_entry(first, &words.by_ref().collect::<Vec<_>>())?,
        "data<" => Step::DataIn(first),
        "data>" => Step::DataOut(first),
        "file:" => Step::File(first, words.next()?),
        "absent:" => Step::Absent(first),
        _ => return None,
    };
    words.next().is_none().then_some(step)
}

fn parse_entry(name: Vec<u8>, words: &[Vec<u8>]) -> Option<Step> {
    let entry = match words {
        [] if name.ends_with(b"/") => Entry::Directory,
        [bar] if bar == b"|" => Entry::Fifo,
        [arrow, target] if arrow == b"->" => Entry::Link(target.clone()),
        [size] if size.starts_with(b"*") => Entry::Sparse(std::str::from_utf8(&size[1..]).ok()?.parse().ok()?),
        [content] => Entry::File { modified: None, content: content.clone() },
        [time, content] => Entry::File { modified: Some(parse_time(time)?), content: content.clone() },
        _ => return None,
    };
    Some(Step::Tree(name, entry))
}

/// `2026-01-02T03:04:05Z` → seconds since 1970.
fn parse_time(text: &[u8]) -> Option<u64> {
    let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).collect();
    let number = |from: usize, to: usize| std::str::from_utf8(digits.get(from..to)?).ok()?.parse::<u8>().ok();
    let civil = ferryd::time::CivilTime {
        year: i64::from(number(0, 2)?) * 100 + i64::from(number(2, 4)?),
        month: number(4, 6)?,
        day: number(6, 8)?,
        hour: number(8, 10)?,
        minute: number(10, 12)?,
        second: number(12, 14)?,
    };
    u64::try_from(civil.to_unix()?).ok()
}

/// Splits at spaces that are not in quotes.
fn words(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = closing_quote(quoted)?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        words.push(unescape(word)?);
        rest = after.trim_start();
    }
    Some(words)
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|octet| match octet {
        b'"' if !escaped => true,
        _ => {
            escaped = octet == b'\\' && !escaped;
            false
        }
    })
}

/// Turns `\xNN` and its like into octets.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        if octet != b'\\' {
            octets.push(octet);
            rest = after;
            continue;
        }
        let (&letter, after) = after.split_first()?;
        rest = after;
        match letter {
            b'r' => octets.push(b'\r'),
            b'n' => octets.push(b'\n'),
            b't' => octets.push(b'\t'),
            b'0' => octets.push(0),
            b'\\' | b'"' => octets.push(letter),
            b'x' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                octets.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            _ => return None,
        }
    }
    Some(octets)
}

/// Whether `text` is what `pattern` says; `…` in the pattern stands for anything.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    const ANYTHING: &[u8] = "…".as_bytes();
    let Some(at) = pattern.windows(ANYTHING.len()).position(|window| window == ANYTHING) else {
        return pattern == text;
    };
    let (before, after) = (&pattern[..at], &pattern[at + ANYTHING.len()..]);
    let Some(rest) = text.strip_prefix(before) else { return false };
    (0..=rest.len()).any(|skipped| matches(after, &rest[skipped..]))
}

/// Whether `lines` are what `patterns` say; a pattern that is `…` alone stands for any number of lines.
pub fn lines_match(patterns: &[Vec<u8>], lines: &[Vec<u8>]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…".as_bytes() => {
            (0..=lines.len()).any(|skipped| lines_match(rest, &lines[skipped..]))
        }
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, others)| matches(first, line) && lines_match(rest, others))
        }
    }
}
