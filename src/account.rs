//! Who a user is and what he may do: names, rights, roots. No check is made here; `auth` does that.
//!
//! Nothing in this module prints a password: [`Secret`] has no text form.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

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
        let unknown = || format!("'{text}' is not a set of rights: use ro, rw, upload, or letters of elradfmwMT");
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

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name, as USER gives it.
    pub name: String,
    /// What he may do.
    pub rights: Rights,
    /// The directory of the host that is his `/`; an absolute path.
    pub root: PathBuf,
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
        assert!(!Rights::UPLOAD.allow(Right::Store) && Rights::parse("w").unwrap().allow(Right::StoreNew));
    }

    #[test]
    fn secrets_do_not_print() {
        let credentials = Credentials { user: b"u".to_vec(), proof: Proof::Password(Secret::new(b"hunter2".to_vec())) };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
