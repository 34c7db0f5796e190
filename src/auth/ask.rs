//! `ferryd hash-password`: asks for a password and makes a hash for a users file.
//!
//! From a terminal the password is asked twice and not shown; from anything else one line is read.

use std::fmt;
use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::hash;
use crate::limits;

/// What Ctrl-C types.
const CANCEL: u8 = 3;

/// Why there is no hash.
#[derive(Debug)]
pub enum Error {
    /// The password is none that is taken; a sentence that says why.
    Refused(&'static str),
    /// Reading failed.
    System(io::Error),
}

impl Error {
    /// What the program exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Refused(_) => 2,
            Error::System(_) => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(why) => f.write_str(why),
            Error::System(error) => write!(f, "cannot read a password: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::System(error)
    }
}

/// Reads a password from standard input and returns its hash.
///
/// # Errors
/// The password is empty, too long or was not typed the same way twice; or it cannot be read.
pub fn hash_password() -> Result<String, Error> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        let silence = Silence::begin()?;
        let first = prompt("Password: ")?;
        check(&first)?;
        let second = prompt("Again: ")?;
        drop(silence);
        if first != second {
            return Err(Error::Refused("the two passwords differ"));
        }
        first
    } else {
        read_line(&mut stdin.lock())?
    };
    check(&password)?;
    Ok(hash::make(&password)?)
}

/// Refuses what could not be used to log in.
fn check(password: &[u8]) -> Result<(), Error> {
    if password.contains(&CANCEL) {
        return Err(Error::Refused("cancelled"));
    }
    if password.is_empty() {
        return Err(Error::Refused("the password is empty, and anybody could log in with it"));
    }
    if password.len() > limits::PASSWORD_OCTETS_MAX {
        return Err(Error::Refused("the password is longer than the 256 octets that a login may have"));
    }
    if password.iter().any(|octet| matches!(octet, b'\0' | b'\r')) {
        return Err(Error::Refused("the password has a NUL or CR, which no client can send"));
    }
    Ok(())
}

/// Asks on standard error, because standard output may be a file that gets the hash. One read of a terminal is one
/// line, with its end or with Ctrl-C.
fn prompt(question: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes())?;
    let mut line = Zeroizing::new(vec![0; limits::LINE_OCTETS_MAX]);
    let octets = io::stdin().lock().read(&mut line);
    stderr.write_all(b"\n")?;
    line.truncate(octets?);
    strip_end(&mut line);
    Ok(line)
}

/// One line without its end, which may be LF, CRLF or the end of the file.
fn read_line(from: &mut impl BufRead) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(limits::LINE_OCTETS_MAX));
    from.take(limits::LINE_OCTETS_MAX as u64).read_until(b'\n', &mut line)?;
    strip_end(&mut line);
    Ok(line)
}

fn strip_end(line: &mut Vec<u8>) {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
}

/// The terminal without echo, until this ends or is dropped.
struct Silence {
    before: Termios,
}

impl Silence {
    /// Ctrl-C must not kill us while the echo is off. It becomes an end of line instead, and `check` sees it.
    fn begin() -> io::Result<Silence> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VEOL] = CANCEL;
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Silence { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Where this fails the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_three_ways() {
        for (text, line) in [("a b\n", "a b"), ("a b\r\nmore", "a b"), ("a b", "a b"), ("\n", ""), ("", "")] {
            assert_eq!(read_line(&mut text.as_bytes()).unwrap().as_slice(), line.as_bytes());
        }
        let endless = [b'x'; limits::LINE_OCTETS_MAX + 1];
        assert_eq!(read_line(&mut &endless[..]).unwrap().len(), limits::LINE_OCTETS_MAX);
    }

    #[test]
    fn passwords_that_are_refused() {
        assert!(check(b"correct horse").is_ok() && check("pässwörd:".as_bytes()).is_ok());
        assert!(check(&[b'x'; limits::PASSWORD_OCTETS_MAX]).is_ok());
        for password in [&b""[..], b"a\x03", b"a\rb", &[b'x'; limits::PASSWORD_OCTETS_MAX + 1]] {
            assert!(check(password).is_err());
        }
    }
}
