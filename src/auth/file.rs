//! The users file: one user a line, in passwd(5) layout.
//!
//! `name:hash[:uid:gid:gecos:home:shell[:key=value ...]]`, of which the first two fields are required. So the files of
//! htpasswd (two fields), ftpasswd (seven) and pure-pw (the same six, then its own limits) read as they are. The
//! process serves all users under its own uid: uid, gid, gecos and shell are not used. Pure: opens nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::hash::Hash;
use super::{Check, Entry, is_anonymous};
use crate::account::{Account, Rate, Rights};
use crate::limits;

/// What a file says.
#[derive(Default)]
pub(super) struct Parsed {
    /// The users, and the line of each.
    pub(super) entries: Vec<(usize, Entry)>,
    /// What is wrong, and the line of each.
    pub(super) problems: Vec<(usize, String)>,
    /// What is read and not obeyed.
    pub(super) warnings: Vec<String>,
}

/// One user and what his line asked for in vain.
struct Line {
    entry: Entry,
    pure_pw: bool,
}

/// Reads a users file; a user without home gets `root`.
pub(super) fn parse(octets: &[u8], root: &Path) -> Parsed {
    let mut parsed = Parsed::default();
    let mut names = BTreeMap::new();
    let mut limits = Vec::new();
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    for (at, line) in octets.split(|&octet| octet == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            continue;
        }
        match parse_line(line, root) {
            Err(problem) => parsed.problems.push((at + 1, problem)),
            Ok(Line { entry, pure_pw }) => {
                let name = entry.account.name.clone();
                if let Some(first) = names.insert(name.clone(), at + 1) {
                    parsed.problems.push((at + 1, format!("user {name:?} is already on line {first}")));
                    continue;
                }
                limits.extend(pure_pw.then_some(at + 1));
                parsed.entries.push((at + 1, entry));
            }
        }
    }
    if let Some(line) = limits.first() {
        let lines = limits.len();
        let what = "pure-pw's bandwidths, quotas, addresses and times are not obeyed";
        parsed.warnings.push(format!("{what} (line {line}; {lines} lines have them)"));
    }
    parsed
}

fn parse_line(line: &[u8], root: &Path) -> Result<Line, String> {
    let fields: Vec<&[u8]> = line.split(|&octet| octet == b':').collect();
    let [name, hash, rest @ ..] = &fields[..] else {
        return Err("a line is name:hash, or longer in passwd(5) layout; this one has no ':'".into());
    };
    let name = parse_name(name)?;
    let check = parse_hash(hash).map_err(|problem| format!("user {name:?}: {problem}"))?;
    if is_anonymous(name.as_bytes()) && !matches!(check, Check::Locked) {
        return Err(format!("user {name:?} needs no password: use --anonymous, and take the line out"));
    }
    let shell = rest.get(4).copied().unwrap_or(b"");
    check_places(rest, shell).map_err(|problem| format!("user {name:?}: {problem}"))?;
    let root = match rest.get(3).copied() {
        None | Some(b"") => root.to_owned(),
        // The components, so that the `/./` at the end of pure-pw's homes goes.
        Some(home) if home.starts_with(b"/") => Path::new(OsStr::from_bytes(home)).components().collect::<PathBuf>(),
        Some(_) => return Err(format!("user {name:?}: the home (sixth field) is not an absolute path")),
    };
    let extra =
        parse_extra(shell, rest.get(5..).unwrap_or(&[])).map_err(|problem| format!("user {name:?}: {problem}"))?;
    let account = Account { name, rights: extra.rights, root, rate: extra.rate, anonymous: false };
    Ok(Line { entry: Entry { account, check }, pure_pw: extra.pure_pw })
}

/// A colon too many or too few must not give a user more than was meant: he would get the served directory, or all
/// rights.
fn check_places(rest: &[&[u8]], shell: &[u8]) -> Result<(), String> {
    let key = |field: &&[u8]| field.starts_with(b"rights=") || field.starts_with(b"rate=");
    if let Some(at) = rest.iter().position(key).filter(|at| *at != 5) {
        return Err(format!("rights= and rate= belong into the eighth field; here they are in field {}", at + 3));
    }
    let no_home = rest.get(3).is_none_or(|home| home.is_empty());
    if no_home && shell.starts_with(b"/") && Path::new(OsStr::from_bytes(shell)).is_dir() {
        return Err(
            "the home (sixth field) is empty, and the shell (seventh) is a directory; is there a ':' too many?".into(),
        );
    }
    Ok(())
}

fn parse_name(name: &[u8]) -> Result<String, String> {
    if name.is_empty() {
        return Err("the name (first field) is empty".into());
    }
    if name.len() > limits::USER_OCTETS_MAX {
        return Err(format!("the name is longer than {} octets", limits::USER_OCTETS_MAX));
    }
    match std::str::from_utf8(name) {
        Ok(name) if name.chars().any(char::is_control) => Err("the name has control characters".into()),
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err("the name is not UTF-8".into()),
    }
}

/// `*` and what begins with `!` is no hash: passwd(5)'s way to lock an account.
fn parse_hash(hash: &[u8]) -> Result<Check, String> {
    if hash == b"*" || hash.starts_with(b"!") {
        return Ok(Check::Locked);
    }
    let text = std::str::from_utf8(hash).map_err(|_| "the hash (second field) is not text")?;
    Hash::parse(text).map(Check::Hashed)
}

struct Extra {
    rights: Rights,
    rate: Option<Rate>,
    pure_pw: bool,
}

/// The eighth field on: `key=value` separated by spaces; or pure-pw's own, which begin with two bandwidths, the first
/// of them where the shell would be.
fn parse_extra(shell: &[u8], fields: &[&[u8]]) -> Result<Extra, String> {
    let mut extra = Extra { rights: Rights::READ_WRITE, rate: None, pure_pw: false };
    let Some((first, others)) = fields.split_first() else { return Ok(extra) };
    if first.iter().all(u8::is_ascii_digit) {
        let bandwidth = !shell.is_empty() && shell.iter().all(u8::is_ascii_digit);
        extra.pure_pw = bandwidth || fields.iter().any(|field| !field.is_empty());
        return Ok(extra);
    }
    if others.iter().any(|field| !field.is_empty()) {
        return Err("there are more than eight fields".into());
    }
    let text = std::str::from_utf8(first).map_err(|_| "the eighth field is not text")?;
    for word in text.split_ascii_whitespace() {
        match word.split_once('=') {
            Some(("rights", rights)) => extra.rights = Rights::parse(rights)?,
            Some(("rate", rate)) => extra.rate = Some(Rate::parse(rate).map_err(|error| format!("rate={error}"))?),
            _ => return Err(format!("{word:?} in the eighth field is not known: use rights=ro|rw|upload, rate=10M")),
        }
    }
    Ok(extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$5$abcdefgh$ruMep1ijHnJPZbETDNiumskxcX3kN4lzZd5VlsqE7eB";

    fn read(text: &str) -> Parsed {
        parse(text.replace('@', HASH).as_bytes(), Path::new("/srv"))
    }

    fn one(text: &str) -> Entry {
        let mut parsed = read(text);
        assert!(parsed.problems.is_empty(), "{text}: {:?}", parsed.problems);
        parsed.entries.pop().unwrap().1
    }

    #[test]
    fn the_files_of_the_tools_read_as_they_are() {
        for (line, root, rights) in [
            ("al:@", "/srv", "rw"),
            ("al:@\r", "/srv", "rw"),
            ("al:@:", "/srv", "rw"),
            ("al:@:1000:1000::/home/al:/bin/false", "/home/al", "rw"),
            ("al:@:1000:1000::/home/al/./::", "/home/al", "rw"),
            ("al:@:1000:1000::/home/al/./::::::::::::", "/home/al", "rw"),
            ("al:@:1000:1000::/home/al/./:8192:16384:1:2:3:4:5:10.0.0.1::::0900-1800", "/home/al", "rw"),
            ("al:@::::::rights=ro", "/srv", "ro"),
            ("al:@::::::rate=1M  rights=elr", "/srv", "elr"),
            ("al:@:::Al, the user:/a b::rights=upload:", "/a b", "upload"),
        ] {
            let Entry { account, check } = one(line);
            assert_eq!((account.name.as_str(), account.anonymous), ("al", false));
            assert_eq!((account.root.to_str(), account.rights), (Some(root), Rights::parse(rights).unwrap()), "{line}");
            assert!(matches!(check, Check::Hashed(_)), "{line}");
        }
    }

    #[test]
    fn blank_lines_comments_and_locks() {
        let parsed = read("\u{feff}# users\n\n  \r\nal:@\nbo:*\nci:!@::::\nftp:*:14:14\n");
        assert!(parsed.problems.is_empty() && parsed.warnings.is_empty(), "{:?}", parsed.problems);
        let locked: Vec<bool> = parsed.entries.iter().map(|(_, e)| matches!(e.check, Check::Locked)).collect();
        assert_eq!(locked, [false, true, true, true]);
        assert_eq!(parsed.entries[0].0, 4);
    }

    #[test]
    fn every_bad_line_is_told_with_its_number() {
        let bad = [
            ("nobody", "no ':'"),
            (":@", "name (first field) is empty"),
            ("al:", "\"al\": there is no hash"),
            ("al:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=", "SHA-1"),
            ("al:$6$rounds=999999999$abcdefgh$x", "rounds"),
            ("al:@:::: home", "not an absolute path"),
            ("al:@::::home", "not an absolute path"),
            ("al:@::::::rights=every", "'every' is not a set of rights"),
            ("al:@::::::quota=1", "\"quota=1\""),
            ("al:@::::::ro", "\"ro\""),
            ("al:@::::::rate=fast", "rate='fast' is not a number"),
            ("al:@::::::rights=ro:x", "more than eight"),
            ("al:@:::::rights=ro", "in field 7"),
            ("al:@:::::::rights=ro", "in field 9"),
            ("al:@:::::/", "':' too many"),
            ("a\tl:@", "control characters"),
            ("Anonymous:@", "--anonymous"),
            ("good:@", ""),
            ("good:@", "already on line 18"),
        ];
        let text = bad.map(|(line, _)| line).join("\n").replace(": home", ":home");
        let parsed = read(&text);
        assert_eq!(parsed.entries.len(), 1);
        let mut problems = parsed.problems.iter();
        for (at, (line, said)) in bad.iter().enumerate().filter(|(_, (_, said))| !said.is_empty()) {
            let (number, problem) = problems.next().unwrap();
            assert!(*number == at + 1 && problem.contains(said), "{line}: {number} {problem}");
            assert!(!problem.contains("ruMep1") && !problem.contains("L55TU"), "{problem}");
        }
        assert!(problems.next().is_none());
        // The log escapes what it is told, a terminal does not.
        for word in ["rights=\x1b[2J", "rate=\x1b[2J", "rate=1\u{9b}2J", "\x1b[2J"] {
            let problem = &read(&format!("al:@::::::{word}")).problems[0].1;
            assert!(!problem.chars().any(char::is_control) && problem.contains("2J"), "{problem:?}");
        }
        let parsed = parse(b"\xe9:x\nal:\xff\n", Path::new("/"));
        assert!(parsed.problems[0].1.contains("UTF-8") && parsed.problems[1].1.contains("not text"));
    }

    #[test]
    fn what_is_not_obeyed_is_told_once() {
        let parsed = read("al:@\nbo:@:1:1::/b/./:9:::::\nci:@:1:1::/c/./:9:::::\n");
        assert_eq!(parsed.warnings.len(), 1);
        assert!(parsed.warnings[0].contains("pure-pw") && parsed.warnings[0].contains("line 2; 2 lines"));
    }

    #[test]
    fn rates() {
        assert_eq!(one("al:@").account.rate, None);
        assert_eq!(one("al:@::::::rate=1M/64K").account.rate, Some(Rate::parse("1M/64K").unwrap()));
        assert_eq!(one("al:@::::::rights=ro rate=0").account.rate, Some(Rate::default()));
    }
}
