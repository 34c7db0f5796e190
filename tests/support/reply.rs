//! A reply as a client reads it (RFC 959 section 4.2).

use std::fmt;

/// One whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The code that its last line begins with.
    pub code: u16,
    /// Its lines, without CRLF and otherwise as they came: code, separator and text.
    pub lines: Vec<Vec<u8>>,
}

impl Reply {
    /// Takes the first whole reply off `octets`; nothing, and nothing taken, where there is none.
    ///
    /// # Panics
    /// Where `octets` do not begin with a reply (RFC 959 section 4.2).
    pub fn take(octets: &mut Vec<u8>) -> Option<Reply> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let mut at = 0;
        loop {
            let end = at + octets[at..].iter().position(|octet| *octet == b'\n')?;
            let line = octets[at..end].strip_suffix(b"\r");
            let line = line.unwrap_or_else(|| panic!("no CR before LF: {:?}", octets.escape_ascii().to_string()));
            at = end + 1;
            lines.push(line.to_vec());
            if lines.len() == 1 {
                let shape =
                    line.len() >= 4 && line[..3].iter().all(u8::is_ascii_digit) && matches!(line[3], b' ' | b'-');
                assert!(shape, "not a reply: {:?}", line.escape_ascii().to_string());
            }
            if line.starts_with(&lines[0][..3]) && line.get(3) == Some(&b' ') {
                break;
            }
        }
        octets.drain(..at);
        let code = lines[0][..3].iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        Some(Reply { code, lines })
    }

    /// Whether nothing follows it for the same command: it is not a preliminary one (RFC 959 section 4.2.1).
    pub fn is_final(&self) -> bool {
        self.code >= 200
    }

    /// Its lines as text, which the octets of names may not be.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
