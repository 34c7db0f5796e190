//! Who a user is and what he may do: names, rights, roots. No check is made here; `auth` does that.
//!
//! Nothing in this module prints a password: [`Secret`] has no text form.

use std::fmt;
use std::num::NonZeroU64;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::limits::RATE_OCTETS_MAX;

/// One thing a user may be allowed to do; the letters are pyftpdlib's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// `e`: change the working directory.
    Enter,
    /// `l`: list directories and read the facts of files.
    List,
    /// `r`: retrieve files.
    Read,
    /// `a`: append to files that exist.
    Append,
    /// `d`: delete files and directories.
    Delete,
    /// `f`: rename.
    Rename,
    /// `m`: make directories.
    MakeDirectory,
    /// `w`: store files, over old ones too.
    Store,
    /// Store files under names that are free (`upload`; `w` includes it).
    StoreNew,
    /// `M`: change modes.
    ChangeMode,
    /// `T`: change times.
    ChangeTime,
}

/// The letters in the order in which they are shown; `StoreNew` has none of its own.
const LETTERS: &[(char, Right)] = &[
    ('e', Right::Enter),
    ('l', Right::List),
    ('r', Right::Read),
    ('a', Right::Append),
    ('d', Right::Delete),
    ('f', Right::Rename),
    ('m', Right::MakeDirectory),
    ('w', Right::Store),
    ('M', Right::ChangeMode),
    ('T', Right::ChangeTime),
];

/// A set of [`Right`]s.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u16);

impl Rights {
    /// `ro`: enter, list, read.
    pub const READ_ONLY: Rights = Rights::of(&[Right::Enter, Right::List, Right::Read]);
    /// `upload`: a drop box.
    pub const UPLOAD: Rights = Rights::of(&[Right::Enter, Right::StoreNew]);
    const READ_AND_STORE: Rights = Rights::of(&[Right::Read, Right::Store, Right::StoreNew]);
    /// `rw`: everything.
    pub const READ_WRITE: Rights = Rights(0x7ff);

    const fn of(rights: &[Right]) -> Rights {
        let mut bits = 0;
        let mut at = 0;
        while at < rights.len() {
            bits |= 1 << rights[at] as u16;
            at += 1;
        }
        Rights(bits)
    }

    /// Whether `right` is in the set.
    pub fn allow(self, right: Right) -> bool {
        self.0 & (1 << right as u16) != 0
    }

    /// What is in one of the two.
    #[must_use]
    pub fn union(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// Whether anything can be changed with them: names, contents, modes or times.
    pub fn change(self) -> bool {
        self.0 & !Rights::READ_ONLY.0 != 0
    }

    /// Whether names can be made or removed with them.
    pub fn change_names(self) -> bool {
        [Right::StoreNew, Right::Delete, Right::Rename, Right::MakeDirectory].into_iter().any(|right| self.allow(right))
    }

    /// Reads `ro`, `rw`, `upload` or letters of `elradfmwMT`.
    ///
    /// # Errors
    /// A sentence that names the value and what would be right.
    pub fn parse(text: &str) -> Result<Rights, String> {
        match text {
            "ro" => return Ok(Rights::READ_ONLY),
            "rw" => return Ok(Rights::READ_WRITE),
            "upload" => return Ok(Rights::UPLOAD),
            _ => {}
        }
        let unknown = || {
            let text = text.escape_debug();
            format!("'{text}' is not a set of rights: use ro, rw, upload, or letters of elradfmwMT")
        };
        let mut rights = Rights(0);
        for letter in text.chars() {
            let (_, right) = LETTERS.iter().find(|(known, _)| *known == letter).ok_or_else(unknown)?;
            // `all`, `were` and other words are not meant as letters.
            if rights.allow(*right) {
                return Err(unknown());
            }
            rights.0 |= Rights::of(&[*right]).0;
            if *right == Right::Store {
                rights.0 |= Rights::of(&[Right::StoreNew]).0;
            }
        }
        if rights == Rights(0) { Err(unknown()) } else { Ok(rights) }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Rights::READ_ONLY => return f.write_str("read-only"),
            Rights::READ_WRITE => return f.write_str("read and write"),
            Rights::UPLOAD => return f.write_str("upload only"),
            // In their order these two letters would be the word for everything.
            Rights::READ_AND_STORE => return f.write_str("wr"),
            _ => {}
        }
        LETTERS.iter().filter(|(_, right)| self.allow(*right)).try_for_each(|(letter, _)| write!(f, "{letter}"))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

/// Octets that may go in a second, each way; nothing: as many as can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rate {
    /// To the client: what he retrieves and lists.
    pub down: Option<NonZeroU64>,
    /// From the client: what he stores.
    pub up: Option<NonZeroU64>,
}

impl Rate {
    /// Reads `RATE`, for both ways, or `DOWN/UP`: octets a second, with K, M or G for 1024, 1024² or 1024³ of them, and
    /// 0 for no limit.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Rate, String> {
        let (down, up) = text.split_once('/').unwrap_or((text, text));
        Ok(Rate { down: octets(down)?, up: octets(up)? })
    }
}

/// `512`, `64K`, `10M` or `1G`; 0 is no limit.
///
/// # Errors
/// A sentence that says what would be right.
pub fn octets(text: &str) -> Result<Option<NonZeroU64>, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let digits = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    let octets = number.parse::<u64>().ok().filter(|_| digits).and_then(|number| number.checked_mul(1 << unit));
    match octets {
        Some(octets) if octets <= RATE_OCTETS_MAX => Ok(NonZeroU64::new(octets)),
        Some(_) => Err(format!("'{text}' is too much: use at most 1024G, or 0 for no limit")),
        None => {
            let text = text.escape_debug();
            Err(format!("'{text}' is not a number of octets a second: use a number, or one with K, M or G, as in 10M"))
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |octets: Option<NonZeroU64>| match octets.map(NonZeroU64::get) {
            None => "no limit".to_owned(),
            Some(octets) => ["", "K", "M", "G"]
                .iter()
                .enumerate()
                .rev()
                .find(|(power, _)| octets % (1 << (10 * power)) == 0)
                .map_or(octets.to_string(), |(power, unit)| format!("{}{unit}", octets >> (10 * power))),
        };
        match self.down == self.up {
            true => write!(f, "{} each way", shown(self.down)),
            false => write!(f, "{} down, {} up", shown(self.down), shown(self.up)),
        }
    }
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name, as USER gives it.
    pub name: String,
    /// What he may do.
    pub rights: Rights,
    /// The directory of the host that is his `/`; an absolute path.
    pub root: PathBuf,
    /// How fast all of his sessions together may be; nothing: as `--rate` says.
    pub rate: Option<Rate>,
    /// Whether this is the anonymous user (xferlog tells them apart).
    pub anonymous: bool,
}

/// Octets that must not be shown: wiped when dropped, and without a text form.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes `octets` over.
    pub fn new(octets: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(octets))
    }

    /// The octets themselves, for whoever has to compare or hash them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What USER and PASS said.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name as the client sent it: octets, not text.
    pub user: Vec<u8>,
    pub proof: Proof,
}

/// What shows that a user is who he says.
#[derive(Clone, Debug)]
pub enum Proof {
    Password(Secret),
    /// The TLS client certificate bears his name, and somebody whom this server believes has signed it.
    Certificate,
}

/// `--require-tls`: what may go in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequireTls {
    /// Everything.
    No,
    /// What comes before login, and data.
    Login,
    /// Nothing that has to do with a user.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_parse_and_show() {
        for (text, shown) in [
            ("ro", "read-only"),
            ("elr", "read-only"),
            ("rw", "read and write"),
            ("upload", "upload only"),
            ("elw", "elw"),
        ] {
            assert_eq!(Rights::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "x", "RO", "elr ", "all"] {
            assert!(Rights::parse(text).unwrap_err().contains("elradfmwMT"), "{text}");
        }
        assert_eq!(Rights::parse("elradfmwMT").unwrap(), Rights::READ_WRITE);
        for bits in 1u32..1 << LETTERS.len() {
            let chosen = LETTERS.iter().enumerate().filter(|(at, _)| bits >> at & 1 != 0);
            let rights = Rights::parse(&chosen.map(|(_, (letter, _))| *letter).collect::<String>()).unwrap();
            let shown = rights.to_string();
            let words = [Rights::READ_ONLY, Rights::READ_WRITE].contains(&rights);
            assert!(words || Rights::parse(&shown) == Ok(rights), "{shown} means other rights");
        }
        assert!(!Rights::UPLOAD.allow(Right::Store) && Rights::parse("w").unwrap().allow(Right::StoreNew));
    }

    #[test]
    fn rates_parse_and_show() {
        for (text, shown) in [
            ("1000", "1000 each way"),
            ("64K", "64K each way"),
            ("10m/1M", "10M down, 1M up"),
            ("0/1536", "no limit down, 1536 up"),
            ("1G/0", "1G down, no limit up"),
            ("2048", "2K each way"),
            ("0", "no limit each way"),
            ("1024G", "1024G each way"),
        ] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in
            ["", "K", "1T", "-1", "+1", "1.5M", "1M/", "/1M", "1M/2M/3M", "1025G", "18446744073709551615G", "1é"]
        {
            assert!(Rate::parse(text).unwrap_err().contains("use "), "{text}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let credentials = Credentials { user: b"u".to_vec(), proof: Proof::Password(Secret::new(b"hunter2".to_vec())) };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
