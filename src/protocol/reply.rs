//! Replies and refusals: codes by their RFC name, one line or several. Pure.
//!
//! Whatever a reply quotes cannot forge another one: CR, LF and NUL are shown as `?`, and 0xFF is doubled, because the
//! control connection is a Telnet one (RFC 854).

use std::borrow::Cow;

use crate::fs::{self, Errno};
use crate::job::{Failure, Report};
use crate::limits::{LINE_OCTETS_MAX, PATTERN_OCTETS_MAX, RECURSION_DEPTH_MAX, RECURSION_ENTRIES_MAX};
use crate::listing::Cut;

/// A reply code (RFC 959 section 4.2).
pub type Code = u16;

/// What the server says to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: Code,
    text: Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    One(Cow<'static, [u8]>),
    /// The first line, those between, the last.
    Many(Cow<'static, str>, Vec<Vec<u8>>, Cow<'static, str>),
}

impl Reply {
    /// A reply of one line.
    pub fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Reply {
        let text = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Reply { code, text: Text::One(text) }
    }

    /// A reply of one line that quotes octets of a name.
    pub fn octets(code: Code, text: Vec<u8>) -> Reply {
        Reply { code, text: Text::One(Cow::Owned(text)) }
    }

    /// A reply of several lines (RFC 959 section 4.2): `code-first`, `lines` as they are, `code last`.
    pub fn lines(
        code: Code,
        first: impl Into<Cow<'static, str>>,
        lines: Vec<Vec<u8>>,
        last: impl Into<Cow<'static, str>>,
    ) -> Reply {
        Reply { code, text: Text::Many(first.into(), lines, last.into()) }
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Writes it to `output` as it goes over the control connection.
    pub fn write(&self, output: &mut Vec<u8>) {
        match &self.text {
            Text::One(text) => write_line(output, self.code, b' ', text),
            Text::Many(first, lines, last) => {
                write_line(output, self.code, b'-', first.as_bytes());
                for line in lines {
                    // RFC 959 section 4.2: a line between must not look like the last one.
                    if line.first().is_some_and(u8::is_ascii_digit) {
                        output.push(b' ');
                    }
                    write_quoted(output, line);
                    output.extend_from_slice(b"\r\n");
                }
                write_line(output, self.code, b' ', last.as_bytes());
            }
        }
    }
}

fn write_line(output: &mut Vec<u8>, code: Code, separator: u8, text: &[u8]) {
    output.extend([code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8));
    output.push(separator);
    write_quoted(output, text);
    output.extend_from_slice(b"\r\n");
}

fn write_quoted(output: &mut Vec<u8>, text: &[u8]) {
    for &octet in text {
        match octet {
            b'\r' | b'\n' | 0 => output.push(b'?'),
            0xFF => output.extend_from_slice(&[0xFF, 0xFF]),
            _ => output.push(octet),
        }
    }
}

/// RFC 959 appendix II: a pathname in a 257 reply stands in double quotes, and a quote inside it is doubled.
pub fn quoted(path: &[u8], then: &str) -> Vec<u8> {
    let mut text = vec![b'"'];
    for &octet in path {
        text.push(octet);
        if octet == b'"' {
            text.push(b'"');
        }
    }
    text.push(b'"');
    text.extend_from_slice(then.as_bytes());
    text
}

/// Why a command is not carried out; each variant is one reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No reply yet: the kernel would wait, so the command is run again where it may.
    WouldWait,
    /// 425: no PASV, EPSV, PORT or EPRT since the last transfer.
    NoDataConnection,
    /// 500: no such command.
    Unknown,
    /// 500: the line is longer than any command.
    LineTooLong,
    /// 501: the argument is missing or malformed; what would be right.
    Argument(Cow<'static, str>),
    /// 502: known, and not to be had here.
    NotImplemented(&'static str),
    /// 503: another command must come before.
    Sequence(&'static str),
    /// 504: a known command with a parameter that is not implemented.
    Parameter(Cow<'static, str>),
    /// 521: data in the clear, where that is not allowed (RFC 4217 section 9).
    ClearData,
    /// 530: not before login.
    NotLoggedIn,
    /// 530: a login in the clear, where that is not allowed.
    ClearLogin,
    /// 550: the user has not the right.
    NotAllowed,
    /// 550 with a reason.
    Unavailable(Cow<'static, str>),
    /// 553: a file name that is not allowed.
    Name(&'static str),
    /// 553: a pattern that is longer than any name.
    PatternTooLong,
    /// 554: a restart position beyond the end (RFC 3659 section 5).
    RestartPosition,
    /// What the file system said.
    Kernel(Errno),
}

impl Refusal {
    /// The reply that tells it.
    pub fn reply(&self) -> Reply {
        match self {
            Refusal::WouldWait => Reply::new(451, "The disk did not answer; try again."),
            Refusal::NoDataConnection => Reply::new(425, "No data connection: send PASV, EPSV, PORT or EPRT first."),
            Refusal::Unknown => Reply::new(500, "Command not understood; HELP lists those that are."),
            Refusal::LineTooLong => Reply::new(500, format!("Line too long: at most {LINE_OCTETS_MAX} octets.")),
            Refusal::Argument(text) => Reply::new(501, text.clone()),
            Refusal::NotImplemented(text) => Reply::new(502, *text),
            Refusal::Sequence(text) => Reply::new(503, *text),
            Refusal::Parameter(text) => Reply::new(504, text.clone()),
            Refusal::ClearData => Reply::new(521, "Data must be protected here: send PBSZ 0 and PROT P first."),
            Refusal::ClearLogin => Reply::new(530, "TLS is required before login: send AUTH TLS first."),
            Refusal::NotLoggedIn => Reply::new(530, "Not logged in."),
            Refusal::NotAllowed => Reply::new(550, "Permission denied: this user may not do that."),
            Refusal::Unavailable(text) => Reply::new(550, text.clone()),
            Refusal::Name(text) => Reply::new(553, *text),
            Refusal::PatternTooLong => {
                Reply::new(553, format!("The pattern is too long: at most {PATTERN_OCTETS_MAX} octets."))
            }
            Refusal::RestartPosition => Reply::new(554, "The restart position is beyond the end of the file."),
            Refusal::Kernel(errno) => kernel_reply(*errno),
        }
    }
}

fn kernel_reply(errno: Errno) -> Reply {
    let (code, text) = match errno {
        Errno::NOENT => (550, "No such file or directory."),
        Errno::ACCESS | Errno::PERM => (550, "Permission denied."),
        Errno::NOTDIR => (550, "Not a directory."),
        Errno::ISDIR => (550, "Is a directory."),
        Errno::EXIST => (550, "File exists."),
        Errno::NOTEMPTY => (550, "Directory not empty."),
        Errno::ROFS => (550, "Read-only file system."),
        Errno::LOOP => (550, "Too many symbolic links, or links are not followed."),
        Errno::XDEV => (550, "Not on the same file system."),
        Errno::INVAL => (550, "Not possible with this file."),
        // The sandbox has no more system calls than the users of the start needed.
        Errno::NOSYS | Errno::OPNOTSUPP => (550, "Not possible on this file system, or within the server's sandbox."),
        Errno::NAMETOOLONG => (553, "File name too long."),
        Errno::ILSEQ => (553, "The file system does not take this name."),
        Errno::NOSPC | Errno::DQUOT => (452, "No space left."),
        Errno::FBIG => (552, "File too large."),
        Errno::BUSY | Errno::TXTBSY | Errno::AGAIN => (450, "File busy; try again."),
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => (451, "Out of resources; try again."),
        _ => return Reply::new(451, format!("Local error: {errno}.")),
    };
    Reply::new(code, text)
}

impl From<fs::Error> for Refusal {
    fn from(error: fs::Error) -> Refusal {
        match error {
            fs::Error::WouldWait => Refusal::WouldWait,
            fs::Error::NotRegular => Refusal::Unavailable("Not a regular file.".into()),
            fs::Error::IsDirectory => Refusal::Unavailable("Is a directory.".into()),
            fs::Error::Leaf => Refusal::Unavailable("Not possible with this name.".into()),
            fs::Error::BeyondEnd => Refusal::RestartPosition,
            fs::Error::Os(errno) => Refusal::Kernel(errno),
        }
    }
}

impl From<fs::PathError> for Refusal {
    fn from(error: fs::PathError) -> Refusal {
        match error {
            fs::PathError::Nul => Refusal::Argument("A pathname holds no NUL.".into()),
            fs::PathError::Empty => Refusal::Argument("A pathname is missing.".into()),
            fs::PathError::TooLong => Refusal::Name("Pathname too long: at most 4095 octets."),
        }
    }
}

/// RFC 959 section 5.4: how a transfer ends.
pub(super) fn finish_reply(report: &Report) -> Reply {
    match &report.outcome {
        Ok(()) => Reply::new(226, "Transfer complete."),
        Err(Failure::NoConnection(reason)) => Reply::new(425, *reason),
        Err(Failure::NotReused) => Reply::new(
            522,
            "The data connection must resume the TLS session of the control connection (--tls-reuse require).",
        ),
        Err(Failure::Handshake) => Reply::new(425, "TLS handshake failed on the data connection."),
        Err(Failure::Truncated) => {
            Reply::new(426, "The data connection ended without close_notify; the file may not be whole.")
        }
        Err(Failure::Aborted) => Reply::new(426, "Transfer aborted; data connection closed."),
        Err(Failure::ConnectionLost) => Reply::new(426, "Data connection lost; transfer aborted."),
        Err(Failure::Stalled) => Reply::new(426, "Nothing moved for too long; transfer aborted."),
        Err(Failure::TooSlow) => Reply::new(426, "Slower than this server allows; transfer aborted."),
        Err(Failure::Shrunk) => Reply::new(451, "The file became shorter during the transfer."),
        // RFC 959 section 5.4 has 451 for a LIST that has begun.
        Err(Failure::Cut(Cut::Depth)) => Reply::new(
            451,
            format!(
                "The listing is not whole: it goes {RECURSION_DEPTH_MAX} directories deep, and there are deeper ones."
            ),
        ),
        Err(Failure::Cut(Cut::Entries)) => Reply::new(
            451,
            format!("The listing is not whole: it ends behind {RECURSION_ENTRIES_MAX} entries, and there are more."),
        ),
        Err(Failure::Stopping) => Reply::new(426, "The server is stopping; transfer aborted."),
        Err(Failure::File(error)) => Refusal::from(*error).reply(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: &Reply) -> Vec<u8> {
        let mut output = Vec::new();
        reply.write(&mut output);
        output
    }

    #[test]
    fn one_line() {
        assert_eq!(text(&Reply::new(200, "Done.")), b"200 Done.\r\n");
        assert_eq!(text(&Reply::octets(550, b"a\r\n226 b\xff\0".to_vec())), b"550 a??226 b\xff\xff?\r\n");
    }

    #[test]
    fn many_lines_cannot_look_like_the_last() {
        let lines = vec![b"211 End".to_vec(), b" UTF8".to_vec(), b"a\nb".to_vec()];
        assert_eq!(
            text(&Reply::lines(211, "Features:", lines, "End")),
            b"211-Features:\r\n 211 End\r\n UTF8\r\na?b\r\n211 End\r\n"
        );
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quoted(b"/a\"b", " is here."), b"\"/a\"\"b\" is here.");
    }

    #[test]
    fn every_error_number_has_a_code_of_refusal() {
        for errno in 1..134 {
            let code = Refusal::Kernel(Errno::from_raw_os_error(errno)).reply().code();
            assert!((400..600).contains(&code), "{errno}");
        }
    }
}
