//! The values that options take, as text to plain data. Pure; an error is a sentence that says what would be right.
//!
//! The command line puts the option and the value in front of it: "invalid value '40000' for '--passive-ports ...': ".

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use super::PassiveAddress;
use crate::account::{Rights, Secret};
use crate::auth;
use crate::confine::Sandbox;
use crate::fs::Symlinks;
use crate::limits;

/// `ADDR:PORT`, `[ADDR]:PORT` or `:PORT`, which is all addresses of both families.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let wanted = || "use ADDR:PORT, for example 0.0.0.0:21, [::1]:2121, or :2121 for all addresses".to_owned();
    match text.strip_prefix(':').map(|port| port.parse()) {
        Some(Ok(port)) => Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        Some(Err(_)) | None => text.parse().map_err(|_| wanted()),
    }
}

/// `FIRST-LAST`.
pub(super) fn passive_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let parsed = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    match parsed {
        Some((first, last)) if 0 < first && first <= last => Ok(first..=last),
        Some((first, last)) if first > last => Err(format!("the last port is below the first: use {last}-{first}")),
        _ => Err("use FIRST-LAST between 1 and 65535, for example 50000-50099".into()),
    }
}

/// An address, or a host name (RFC 1123 section 2.1, and `_`, which people have).
pub(super) fn passive_address(text: &str) -> Result<PassiveAddress, String> {
    let wanted = || "use an address or a host name that clients can reach, without a port".to_owned();
    if let Ok(address) = text.parse::<IpAddr>() {
        let reachable = !address.is_unspecified() && !address.is_multicast();
        return if reachable { Ok(PassiveAddress::Fixed(address)) } else { Err(wanted()) };
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let letters = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_');
        letters && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    // A last label of digits is a mistyped address: there is no such domain.
    let digits = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    if name.len() > 253 || digits || !name.split('.').all(is_label) {
        return Err(wanted());
    }
    Ok(PassiveAddress::Host(name.to_owned()))
}

/// Seconds, or a number with `s`, `m` or `h`.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3_600),
        _ => (text, 1),
    };
    let digits = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    let seconds = number.parse::<u64>().ok().filter(|_| digits).and_then(|number| number.checked_mul(unit));
    match seconds.map(Duration::from_secs) {
        Some(period) if period <= limits::PERIOD_MAX => Ok(period),
        Some(_) => Err("use at most a year".into()),
        None => Err("use seconds, or a number with s, m or h, for example 90, 15m or 1h".into()),
    }
}

/// A number of sessions; 0 is no limit.
pub(super) fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "use a number, or 0 for no limit of its own".into())
}

/// How many of something; 0 is no limit.
pub(super) fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "use a number up to 4294967295, or 0 for no limit".into())
}

/// A number of helpers.
pub(super) fn helpers(text: &str) -> Result<usize, String> {
    let helpers = text.parse().ok().filter(|&helpers| helpers <= limits::HELPERS_MAX);
    helpers.ok_or_else(|| format!("use a number from 0 to {}", limits::HELPERS_MAX))
}

/// Mode bits in octal.
pub(super) fn umask(text: &str) -> Result<u32, String> {
    let octal = !text.is_empty() && text.bytes().all(|octet| matches!(octet, b'0'..=b'7'));
    let mask = u32::from_str_radix(text, 8).ok().filter(|&mask| octal && mask <= 0o777);
    mask.ok_or_else(|| "use octal digits up to 777, for example 022".into())
}

/// `inside` or `none`.
pub(super) fn symlinks(text: &str) -> Result<Symlinks, String> {
    match text {
        "inside" => Ok(Symlinks::Inside),
        "none" => Ok(Symlinks::None),
        _ => Err("use inside or none".into()),
    }
}

/// `best`, `require` or `off`.
pub(super) fn sandbox(text: &str) -> Result<Sandbox, String> {
    match text {
        "best" => Ok(Sandbox::Best),
        "require" => Ok(Sandbox::Require),
        "off" => Ok(Sandbox::Off),
        _ => Err("use best, require or off".into()),
    }
}

/// `off`, `error`, `warn`, `info`, `debug` or `trace`.
pub(super) fn log_level(text: &str) -> Result<LevelFilter, String> {
    text.parse().map_err(|_| "use off, error, warn, info, debug or trace".into())
}

/// What `--anonymous` says. Not an `Option`, which clap would take for an option that may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anonymous {
    Off,
    May(Rights),
}

/// `off`, or rights.
pub(super) fn anonymous(text: &str) -> Result<Anonymous, String> {
    match text {
        "off" => Ok(Anonymous::Off),
        _ => Rights::parse(text)
            .map(Anonymous::May)
            .map_err(|_| "use ro, rw, upload, letters of elradfmwMT, or off".into()),
    }
}

/// What one `--user` says.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: Secret,
    /// Nothing: the served directory.
    pub(super) directory: Option<PathBuf>,
    pub(super) rights: Rights,
}

impl User {
    /// Reads `NAME:PASSWORD[:DIR[:RIGHTS]]`. No error shows more than the name: whoever has a ':' in his password has
    /// the rest of it where DIR and RIGHTS should be.
    pub(super) fn parse(text: &OsStr) -> Result<User, String> {
        let form = "use NAME:PASSWORD[:DIR[:RIGHTS]]";
        let fields: Vec<&[u8]> = text.as_bytes().split(|&octet| octet == b':').collect();
        let [name, password, rest @ ..] = &fields[..] else {
            return Err(format!("--user needs a name and a password with a ':' between them: {form}"));
        };
        let name = std::str::from_utf8(name).ok().filter(|name| is_name(name)).ok_or_else(|| {
            format!("--user: the name is empty, too long, not UTF-8 or has control characters: {form}")
        })?;
        let refuse = |why: &str| Err(format!("--user '{name}:...': {why}"));
        if auth::is_anonymous(name.as_bytes()) {
            return refuse("this user needs no password: use --anonymous RIGHTS");
        }
        if password.is_empty() {
            return refuse("the password is empty, and anybody could log in with it");
        }
        if password.len() > limits::PASSWORD_OCTETS_MAX {
            return refuse("the password is longer than 256 octets");
        }
        let rights = match rest.get(1).copied() {
            None | Some(b"") => Ok(Rights::READ_WRITE),
            Some(letters) => Rights::parse(&String::from_utf8_lossy(letters)),
        };
        let (Ok(rights), 0..=2) = (rights, rest.len()) else {
            let colon = "a password with a ':' needs --users";
            return refuse(&format!("{form}, RIGHTS being ro, rw, upload or letters of elradfmwMT ({colon})"));
        };
        let directory = rest.first().filter(|directory| !directory.is_empty());
        let directory = directory.map(|directory| PathBuf::from(OsString::from_vec(directory.to_vec())));
        Ok(User { name: name.to_owned(), password: Secret::new(password.to_vec()), directory, rights })
    }
}

fn is_name(name: &str) -> bool {
    (1..=limits::USER_OCTETS_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_addresses() {
        for (text, shown) in [
            (":2121", "[::]:2121"),
            ("0.0.0.0:21", "0.0.0.0:21"),
            ("[::1]:2121", "[::1]:2121"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert_eq!(listen(text).unwrap().to_string(), shown);
        }
        for text in ["", ":", "2121", "::1:2121", ":65536", "localhost:21", "1.2.3.4", ":-1"] {
            assert!(listen(text).unwrap_err().contains("ADDR:PORT"), "{text}");
        }
    }

    #[test]
    fn ranges_of_ports() {
        assert_eq!(passive_ports("50000-50099"), Ok(50_000..=50_099));
        assert_eq!(passive_ports("1-65535"), Ok(1..=65_535));
        assert_eq!(passive_ports("7-7"), Ok(7..=7));
        assert!(passive_ports("50099-50000").unwrap_err().contains("use 50000-50099"));
        for text in ["", "40000", "0-10", "0-0", "1-65536", "a-b", "1-2-3", " 1-2", "5-0"] {
            assert!(passive_ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn advertised_addresses() {
        for text in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(passive_address(text), Ok(PassiveAddress::Fixed(text.parse().unwrap())));
        }
        for text in ["ftp.example.com", "localhost", "a_b.c-d", "xn--fsq.example"] {
            assert_eq!(passive_address(text), Ok(PassiveAddress::Host(text.into())));
        }
        assert_eq!(passive_address("example.com."), Ok(PassiveAddress::Host("example.com".into())));
        let long = "x".repeat(64);
        for text in ["", ".", "0.0.0.0", "::", "300.1.1.1", "1.2.3", "a..b", "-a", "a-", "1.2.3.4:80", "a b", &long] {
            assert!(passive_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_and_words() {
        for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("1h", 3_600), ("8784h", 31_622_400)] {
            assert_eq!(period(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "s", "-1", "+1", "1.5", "1d", "8785h", "99999999999999999999", "18446744073709551615h", "1ß"]
        {
            assert!(period(text).is_err(), "{text}");
        }
        assert_eq!((umask("022"), umask("0"), umask("777")), (Ok(0o22), Ok(0), Ok(0o777)));
        assert!(["", "8", "1000", "+22", "0o22"].iter().all(|text| umask(text).is_err()));
        assert!(helpers("64").is_ok() && helpers("65").is_err() && count("-1").is_err());
        assert!(number("7") == Ok(7) && ["", "-1", "1.5", "4294967296"].iter().all(|text| number(text).is_err()));
        assert!(symlinks("outside").is_err() && log_level("loud").is_err());
        assert_eq!(anonymous("off"), Ok(Anonymous::Off));
        assert_eq!(anonymous("upload"), Ok(Anonymous::May(Rights::UPLOAD)));
        assert!(anonymous("on").unwrap_err().ends_with("or off"));
    }

    fn user(text: &str) -> Result<User, String> {
        User::parse(OsStr::new(text))
    }

    #[test]
    fn users() {
        for (text, directory, rights) in [
            ("al:pa ss", None, "rw"),
            ("al:pa ss:", None, "rw"),
            ("al:pa ss::ro", None, "ro"),
            ("al:pa ss:/srv/al", Some("/srv/al"), "rw"),
            ("al:pa ss:al:elr", Some("al"), "ro"),
        ] {
            let user = user(text).unwrap();
            assert_eq!((user.name.as_str(), user.password.expose()), ("al", &b"pa ss"[..]));
            assert_eq!(user.directory, directory.map(PathBuf::from));
            assert_eq!(user.rights, Rights::parse(rights).unwrap());
        }
        let octets = User::parse(OsStr::from_bytes(b"al:\xff\xfe:/\xe9")).unwrap();
        assert_eq!(octets.password.expose(), b"\xff\xfe");
    }

    #[test]
    fn no_error_about_a_user_shows_a_password() {
        let long = format!("al:sesame{}", "x".repeat(256));
        for (text, said) in [
            ("sesame", "':' between them"),
            (":sesame", "name is empty"),
            ("anonymous:sesame", "--anonymous"),
            ("FTP:sesame", "--anonymous"),
            ("al:", "password is empty"),
            ("al:se:sesame:sesame", "needs --users"),
            ("al:se:sesame:ro:sesame", "needs --users"),
            (&long, "longer than 256"),
        ] {
            let error = user(text).unwrap_err();
            assert!(error.starts_with("--user") && error.contains(said) && !error.contains("sesame"), "{error}");
        }
    }
}
