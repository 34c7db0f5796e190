//! What a log may show of what strangers send: [`Shown`] for messages, [`Transfer`] for the transfer log. Pure.
//!
//! A name on disk or on the wire is octets and may hold anything, line ends included. Neither form lets one of them
//! begin a line of its own.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::time::LogTime;

/// Octets for a message: control characters and what is not UTF-8 as escapes, and `"` and `\` escaped too, so that
/// the text can stand between quotes.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                match letter {
                    '"' | '\\' => write!(f, "\\{letter}")?,
                    _ => show(f, letter)?,
                }
            }
            chunk.invalid().iter().try_for_each(|octet| write!(f, "\\x{octet:02x}"))?;
        }
        Ok(())
    }
}

/// A whole message: as [`Shown`], but quotes and backslashes stay, because the message put them there.
pub(super) struct Message<'a>(pub &'a str);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| show(f, letter))
    }
}

/// Writes `letter`, or its escape where it would move the cursor, end the line or turn the direction of the text.
fn show(f: &mut fmt::Formatter<'_>, letter: char) -> fmt::Result {
    match letter {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02x}", u32::from(letter)),
        _ if misleads(letter) => write!(f, "\\u{{{:x}}}", u32::from(letter)),
        _ => fmt::Write::write_char(f, letter),
    }
}

/// Whether a terminal obeys `letter`, or a reader of text ends a line at it, or what follows goes the other way.
fn misleads(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Which way a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server (STOR, STOU, APPE).
    In,
    /// From the server (RETR).
    Out,
}

/// One line of the transfer log, in the form of wu-ftpd that ProFTPD, vsftpd and pure-ftpd write (xferlog(5)).
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// When it ended, in seconds since 1970.
    pub time: i64,
    /// How long it took; the log has whole seconds.
    pub duration: Duration,
    /// The client.
    pub peer: IpAddr,
    /// Octets that went over the data connection.
    pub octets: u64,
    /// The file, as the user sees it or as the host does; octets.
    pub path: &'a [u8],
    /// Whether it went in TYPE A.
    pub ascii: bool,
    /// Which way it went.
    pub direction: Direction,
    /// Whether the user is the anonymous one.
    pub anonymous: bool,
    /// The user's name; `anonymous` for an anonymous one.
    pub user: &'a [u8],
    /// Whether all of it arrived.
    pub complete: bool,
}

impl Transfer<'_> {
    /// The line with its end. Octets, because names need not be UTF-8.
    pub fn line(&self) -> Vec<u8> {
        let seconds = self.duration.as_secs() + u64::from(self.duration.subsec_millis() >= 500);
        let peer = self.peer.to_canonical();
        let mut line = format!("{} {seconds} {peer} {} ", LogTime(self.time), self.octets).into_bytes();
        push_field(&mut line, self.path);
        let mode = if self.ascii { 'a' } else { 'b' };
        let direction = match self.direction {
            Direction::In => 'i',
            Direction::Out => 'o',
        };
        let access = if self.anonymous { 'a' } else { 'r' };
        line.extend_from_slice(format!(" {mode} _ {direction} {access} ").as_bytes());
        push_field(&mut line, self.user);
        line.extend_from_slice(if self.complete { b" ftp 0 * c\n" } else { b" ftp 0 * i\n" });
        line
    }
}

/// Appends `field`; the format has no escapes, so spaces and control characters become `_`, as everywhere. Octets that
/// are no text stay.
fn push_field(line: &mut Vec<u8>, field: &[u8]) {
    if field.is_empty() {
        line.push(b'_');
    }
    for chunk in field.utf8_chunks() {
        let plain = |letter: char| if letter.is_whitespace() || misleads(letter) { '_' } else { letter };
        line.extend_from_slice(chunk.valid().chars().map(plain).collect::<String>().as_bytes());
        line.extend_from_slice(chunk.invalid());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shown_begins_a_line() {
        for (octets, shown) in [
            (&b"plain name"[..], "plain name"),
            ("Grüße/日本".as_bytes(), "Grüße/日本"),
            (b"a\r\nb\tc\0\x1b[2J\x7f", r"a\r\nb\tc\x00\x1b[2J\x7f"),
            (b"say \"hi\" \\n", r#"say \"hi\" \\n"#),
            (b"\xff\xc3(", r"\xff\xc3("),
            ("x\u{85}\u{2028}\u{202e}y".as_bytes(), r"x\u{85}\u{2028}\u{202e}y"),
            ("x\u{61c}\u{200e}\u{200f}\u{2069}y".as_bytes(), r"x\u{61c}\u{200e}\u{200f}\u{2069}y"),
        ] {
            assert_eq!(Shown(octets).to_string(), shown);
        }
        assert_eq!(Message("a \"b\\\"\nc").to_string(), "a \"b\\\"\\nc");
    }

    #[test]
    fn transfer_lines() {
        let transfer = Transfer {
            time: 1_767_323_045,
            duration: Duration::from_millis(1_500),
            peer: "::ffff:192.0.2.7".parse().unwrap(),
            octets: 4_096,
            path: b"/srv/a file\n.txt",
            ascii: false,
            direction: Direction::Out,
            anonymous: false,
            user: b"alice",
            complete: true,
        };
        let line = b"Fri Jan  2 03:04:05 2026 2 192.0.2.7 4096 /srv/a_file_.txt b _ o r alice ftp 0 * c\n";
        assert_eq!(transfer.line(), line);
        let foreign = Transfer { path: "/a\u{a0}b\u{85}c\u{2028}d\u{9b}2Je\u{202e}é".as_bytes(), ..transfer };
        let line = "Fri Jan  2 03:04:05 2026 2 192.0.2.7 4096 /a_b_c_d_2Je_é b _ o r alice ftp 0 * c\n";
        assert_eq!(foreign.line(), line.as_bytes());
        let other = Transfer {
            duration: Duration::from_millis(499),
            path: b"\xff",
            ascii: true,
            direction: Direction::In,
            anonymous: true,
            user: b"",
            complete: false,
            ..transfer
        };
        let line = b"Fri Jan  2 03:04:05 2026 0 192.0.2.7 4096 \xff a _ i a _ ftp 0 * i\n";
        assert_eq!(other.line(), line);
    }
}
