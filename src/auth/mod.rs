//! Credentials to account, or nobody.
//!
//! [`Accounts`] says where users come from and can be loaded again (SIGHUP); [`Users`] is what was loaded, and does not
//! change. `hash` knows the schemes, `file` the users file, `ask` makes a hash for one.
//!
//! A login that fails does the same work whether the user exists or not (RFC 2577 section 6 warns of the difference);
//! when it is told is the server's business.

pub mod ask;
mod file;
mod hash;

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use self::hash::Hash;
use crate::account::{Account, Credentials, Proof, Rights, Secret};
use crate::limits;
use crate::log::Shown;

/// Why no users could be loaded.
#[derive(Debug)]
pub enum Error {
    /// The users file cannot be read: the system's fault.
    Read { path: PathBuf, source: io::Error },
    /// Lines of the users file are wrong; each problem names its line.
    Lines { path: PathBuf, problems: Vec<String> },
}

impl Error {
    /// What the program exits with: 1 for the system's faults, 2 for those of the configuration.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Read { .. } => 1,
            Error::Lines { .. } => 2,
        }
    }
}

/// One line for the log; with `{:#}` a line for each problem, for a terminal.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read { path, source } => write!(f, "cannot read the users file {}: {source}", show(path)),
            Error::Lines { path, problems } => {
                let between = if f.alternate() { "\n  " } else { "; " };
                write!(f, "the users file {} has errors", show(path))?;
                let shown = problems.iter().take(limits::PROBLEMS_SHOWN_MAX);
                shown.clone().try_for_each(|problem| write!(f, "{between}{problem}"))?;
                match problems.len() - shown.len() {
                    0 => Ok(()),
                    more => write!(f, "{between}and {more} more"),
                }
            }
        }
    }
}

impl std::error::Error for Error {}

/// Where users come from.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The root of everybody who has none of his own; an absolute path.
    pub directory: PathBuf,
    /// What anonymous users may do; nothing where there are none.
    pub anonymous: Option<Rights>,
    /// Users of the command line.
    pub named: Vec<Named>,
    /// The users file.
    pub file: Option<PathBuf>,
}

/// A user of the command line, with his password.
#[derive(Clone, Debug)]
pub struct Named {
    /// The user.
    pub account: Account,
    /// At most [`limits::PASSWORD_OCTETS_MAX`] octets.
    pub password: Secret,
}

impl Accounts {
    /// Reads the users file and puts all users together, with warnings that the log should have. May wait for the disk.
    ///
    /// # Errors
    /// The file cannot be read, or has a bad line: then nothing of it counts.
    pub fn load(&self) -> Result<(Users, Vec<String>), Error> {
        let anonymous = self.anonymous.map(|rights| Account {
            name: "anonymous".into(),
            rights,
            root: self.directory.clone(),
            rate: None,
            anonymous: true,
        });
        let mut users = Users { named: BTreeMap::new(), anonymous, costliest: None };
        let mut warnings = Vec::new();
        for Named { account, password } in &self.named {
            let entry = Entry { account: account.clone(), check: Check::Plain(password.clone()) };
            users.named.insert(account.name.clone(), entry);
        }
        if let Some(path) = &self.file {
            let octets = read(path, &mut warnings).map_err(|source| Error::Read { path: path.clone(), source })?;
            let parsed = file::parse(&octets, &self.directory);
            let mut problems = parsed.problems;
            warnings.extend(parsed.warnings.iter().map(|warning| format!("users file {}: {warning}", show(path))));
            warnings.extend(homeless(path, &parsed.entries));
            for (line, entry) in parsed.entries {
                match users.named.entry(entry.account.name.clone()) {
                    btree_map::Entry::Vacant(free) => drop(free.insert(entry)),
                    btree_map::Entry::Occupied(taken) => {
                        problems.push((line, format!("user {:?} is already named by --user", taken.key())));
                    }
                }
            }
            if !problems.is_empty() {
                problems.sort();
                let problems = problems.into_iter().map(|(line, problem)| format!("line {line}: {problem}")).collect();
                return Err(Error::Lines { path: path.clone(), problems });
            }
        }
        let hashes = users.named.values().filter_map(|entry| match &entry.check {
            Check::Hashed(hash) => Some(hash),
            Check::Plain(_) | Check::Locked => None,
        });
        users.costliest = hashes.max_by_key(|hash| hash.cost()).cloned();
        Ok((users, warnings))
    }
}

fn show(path: &Path) -> Shown<'_> {
    Shown(path.as_os_str().as_bytes())
}

fn read(path: &Path, warnings: &mut Vec<String>) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    // A group that may read is how a service's own group gets to it; all else is too much.
    if metadata.is_file() && mode & 0o027 != 0 {
        let who = if mode & 0o007 != 0 { "everybody" } else { "its group" };
        let what = if mode & 0o022 != 0 { "change" } else { "read" };
        let advice = "take that away with chmod 640 or 600";
        warnings.push(format!("users file {}: {who} may {what} it (mode {mode:04o}); {advice}", show(path)));
    }
    let mut octets = Zeroizing::new(Vec::new());
    file.take(limits::USERS_FILE_OCTETS_MAX + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > limits::USERS_FILE_OCTETS_MAX {
        return Err(io::Error::other(format!("it is larger than {} octets", limits::USERS_FILE_OCTETS_MAX)));
    }
    Ok(octets)
}

/// A warning about users whose directories are not there. It may come later (a mount), so it is no error.
fn homeless(path: &Path, entries: &[(usize, Entry)]) -> Option<String> {
    let open = entries.iter().filter(|(_, entry)| !matches!(entry.check, Check::Locked));
    let mut missing = open.filter(|(_, entry)| !entry.account.root.is_dir());
    let (line, Entry { account, .. }) = missing.next()?;
    let first = format!("the directory {} of user {:?} is not there", show(&account.root), account.name);
    let more = match missing.count() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(format!("users file {}, line {line}: {first}{more}; their logins are refused", show(path)))
}

/// How somebody proves who he is.
#[derive(Clone)]
enum Check {
    /// A password of the command line.
    Plain(Secret),
    /// A hash of the users file.
    Hashed(Hash),
    /// Nothing proves it.
    Locked,
}

#[derive(Clone)]
struct Entry {
    account: Account,
    check: Check,
}

/// Who may log in: a snapshot, to be shared and replaced as a whole.
#[derive(Clone)]
pub struct Users {
    named: BTreeMap<String, Entry>,
    anonymous: Option<Account>,
    /// What a login costs that fails without a hash of its own.
    costliest: Option<Hash>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.summary())
    }
}

/// Whether `name` asks for anonymous service (RFC 1635 has `anonymous`, custom has `ftp` too).
pub(crate) fn is_anonymous(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"anonymous") || name.eq_ignore_ascii_case(b"ftp")
}

impl Users {
    /// The account that `credentials` open, if they do. Takes milliseconds to a second where [`Users::is_costly`].
    pub fn verify(&self, credentials: &Credentials) -> Option<Account> {
        if let Some(account) = self.verify_at_once(credentials) {
            return Some(account);
        }
        let Proof::Password(password) = &credentials.proof else { return None };
        let password = password.expose();
        let tried = &password[..password.len().min(limits::PASSWORD_OCTETS_MAX)];
        let entry = self.entry(&credentials.user);
        let hash = match entry.map(|entry| &entry.check) {
            Some(Check::Hashed(hash)) => Some(hash),
            Some(Check::Plain(_) | Check::Locked) | None => None,
        };
        let right = hash.is_some_and(|hash| hash.verify(tried));
        if let Some(costliest) =
            self.costliest.as_ref().filter(|costliest| hash.map(Hash::cost) != Some(costliest.cost()))
            && !right
        {
            // The answer is of no interest, only what it costs: every refusal costs what the costliest does.
            // `black_box` keeps the call.
            std::hint::black_box(costliest.verify(tried));
        }
        let right = right && password.len() <= limits::PASSWORD_OCTETS_MAX;
        entry.filter(|_| right).map(|entry| entry.account.clone())
    }

    /// The account, where that takes no hash: an anonymous one, the right password of the command line, a certificate.
    /// Nothing says nothing.
    pub fn verify_at_once(&self, credentials: &Credentials) -> Option<Account> {
        if let Some(account) = self.anonymous.as_ref().filter(|_| is_anonymous(&credentials.user)) {
            return Some(account.clone());
        }
        let entry = self.entry(&credentials.user)?;
        match (&entry.check, &credentials.proof) {
            // Whoever is locked stays so, whatever he shows.
            (Check::Locked, _) => None,
            (Check::Plain(secret), Proof::Password(password)) => {
                same(secret.expose(), password.expose()).then(|| entry.account.clone())
            }
            (_, Proof::Certificate) => Some(entry.account.clone()),
            (Check::Hashed(_), Proof::Password(_)) => None,
        }
    }

    fn entry(&self, user: &[u8]) -> Option<&Entry> {
        self.named.get(std::str::from_utf8(user).ok()?)
    }

    /// Whether [`Users::verify`] may take long (there is a hashed password), and so belongs on a helper.
    pub fn is_costly(&self) -> bool {
        self.costliest.is_some()
    }

    /// Whether nobody at all can log in.
    pub fn is_empty(&self) -> bool {
        self.anonymous.is_none() && self.named.values().all(|entry| matches!(entry.check, Check::Locked))
    }

    /// The anonymous account, where there is one.
    pub fn anonymous(&self) -> Option<&Account> {
        self.anonymous.as_ref()
    }

    /// All other accounts that are not locked, in the order of their names.
    pub fn named(&self) -> impl Iterator<Item = &Account> {
        let open = self.named.values().filter(|entry| !matches!(entry.check, Check::Locked));
        open.map(|entry| &entry.account)
    }

    /// All accounts that somebody can log in to, the anonymous one first.
    pub fn all(&self) -> impl Iterator<Item = &Account> {
        self.anonymous.iter().chain(self.named())
    }

    /// The root of each of them, and what may be done there by one user or another.
    pub fn roots(&self) -> BTreeMap<&Path, Rights> {
        let mut roots = BTreeMap::new();
        for account in self.all() {
            let rights: &mut Rights = roots.entry(account.root.as_path()).or_default();
            *rights = rights.union(account.rights);
        }
        roots
    }

    /// All in a few words: `anonymous, read-only`, `2 users`, `anonymous, read-only, and 1 user`.
    pub fn summary(&self) -> String {
        let users = match self.named().count() {
            0 => None,
            1 => Some("1 user".to_owned()),
            count => Some(format!("{count} users")),
        };
        match (&self.anonymous, users) {
            (None, None) => "nobody".into(),
            (None, Some(users)) => users,
            (Some(account), None) => format!("anonymous, {}", account.rights),
            (Some(account), Some(users)) => format!("anonymous, {}, and {users}", account.rights),
        }
    }

    /// A line for each account, at most [`limits::USERS_SHOWN_MAX`] and one: `user "al": read and write in /srv/al`.
    pub fn describe(&self) -> Vec<String> {
        let line = |who: String, account: &Account| format!("{who}: {} in {}", account.rights, show(&account.root));
        let mut lines: Vec<String> = self.anonymous.iter().map(|account| line("anonymous".into(), account)).collect();
        let shown = self.named().take(limits::USERS_SHOWN_MAX);
        lines.extend(shown.map(|account| line(format!("user {:?}", account.name), account)));
        let more = self.named().count().saturating_sub(limits::USERS_SHOWN_MAX);
        lines.extend((more > 0).then(|| format!("and {more} more users")));
        lines
    }
}

/// Whether two passwords are the same, in a time that depends on neither, nor on their lengths.
fn same(one: &[u8], other: &[u8]) -> bool {
    let padded = |password: &[u8]| {
        let mut octets = Zeroizing::new([0; limits::PASSWORD_OCTETS_MAX]);
        octets.iter_mut().zip(password).for_each(|(to, from)| *to = *from);
        octets
    };
    let octets = padded(one).ct_eq(padded(other).as_slice());
    (octets & one.len().ct_eq(&other.len())).into()
}

#[cfg(test)]
mod tests;
