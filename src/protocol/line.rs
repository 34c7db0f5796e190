//! Octets → command lines: line ends, Telnet's own commands, the length limit. Pure.
//!
//! A command line ends with CRLF (RFC 959 section 5.3.1), or with LF alone, as old devices send it. The control
//! connection is a Telnet one (RFC 959 section 3.3): IAC sequences are taken out, and IAC IAC is the octet 0xFF
//! (RFC 854, RFC 2640 section 3.1). Many clients do not double 0xFF inside names; Telnet's commands are therefore
//! only looked for before the first space of a line, where no name can be.

use crate::limits::LINE_OCTETS_MAX;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

/// Where in a Telnet sequence the last octet left us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Telnet {
    #[default]
    Text,
    Iac,
    Option(u8),
    Subnegotiation,
    SubnegotiationIac,
}

/// Whether the current line is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Keeping {
    #[default]
    Line,
    /// The line was too long; what comes before the next LF is dropped.
    Nothing,
}

/// Which part of the current line the next octet belongs to: known without looking at the line, which a stranger can
/// have looked at once for each octet that he sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Verb,
    Argument,
}

/// One command line, its end and Telnet's commands removed.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Text(&'a [u8]),
    /// It had more than `LINE_OCTETS_MAX` octets.
    TooLong,
}

/// The lines that were received and not yet taken. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub struct Lines {
    /// Whole lines, each with its LF, then the beginning of the next.
    octets: Vec<u8>,
    /// Up to here they were taken.
    taken: usize,
    /// Where the line begins that is not yet whole.
    partial: usize,
    telnet: Telnet,
    keeping: Keeping,
    part: Part,
}

impl Lines {
    /// Takes what came from the network. Telnet's requests are refused into `answers`.
    pub fn receive(&mut self, octets: &[u8], answers: &mut Vec<u8>) {
        for &octet in octets {
            match self.telnet {
                Telnet::Text if octet == IAC => self.telnet = Telnet::Iac,
                Telnet::Text => self.push(octet),
                Telnet::Iac => self.after_iac(octet),
                Telnet::Option(request) => {
                    // RFC 854: a request is answered by a refusal, a refusal by nothing.
                    match request {
                        WILL => answers.extend_from_slice(&[IAC, DONT, octet]),
                        DO => answers.extend_from_slice(&[IAC, WONT, octet]),
                        _ => {}
                    }
                    self.telnet = Telnet::Text;
                }
                Telnet::Subnegotiation if octet == IAC => self.telnet = Telnet::SubnegotiationIac,
                Telnet::Subnegotiation => {}
                Telnet::SubnegotiationIac if octet == SE => self.telnet = Telnet::Text,
                Telnet::SubnegotiationIac => self.telnet = Telnet::Subnegotiation,
            }
        }
    }

    fn after_iac(&mut self, octet: u8) {
        self.telnet = Telnet::Text;
        let in_argument = self.keeping == Keeping::Nothing || self.part == Part::Argument;
        match octet {
            IAC => self.push(IAC),
            WILL | WONT | DO | DONT if !in_argument => self.telnet = Telnet::Option(octet),
            SB if !in_argument => self.telnet = Telnet::Subnegotiation,
            // SE, NOP, DM, BRK, IP, AO, AYT, EC, EL, GA: nothing that a file server does.
            SE..SB if !in_argument => {}
            _ => {
                self.push(IAC);
                self.push(octet);
            }
        }
    }

    fn push(&mut self, octet: u8) {
        if octet == b'\n' {
            if self.keeping == Keeping::Line {
                self.end_line();
            }
            self.keeping = Keeping::Line;
        } else if self.keeping == Keeping::Line {
            self.octets.push(octet);
            if octet == b' ' {
                self.part = Part::Argument;
            }
            // One more than fits (and a CR): the line is over long, is answered at once, and its rest is dropped.
            if self.octets.len() - self.partial > LINE_OCTETS_MAX + 1 {
                self.end_line();
                self.keeping = Keeping::Nothing;
            }
        }
    }

    fn end_line(&mut self) {
        self.octets.push(b'\n');
        self.partial = self.octets.len();
        self.part = Part::Verb;
    }

    /// How many octets are held.
    pub fn held(&self) -> usize {
        self.octets.len() - self.taken
    }

    /// The next whole line, which stays.
    pub fn peek(&self) -> Option<Line<'_>> {
        self.whole_lines().next().map(|(_, line)| line)
    }

    /// Takes the next whole line into `line`; nothing where there is none.
    pub fn take(&mut self, line: &mut Vec<u8>) -> Option<Taken> {
        let (length, taken) = match self.whole_lines().next()? {
            (length, Line::Text(text)) => {
                line.clear();
                line.extend_from_slice(text);
                (length, Taken::Text)
            }
            (length, Line::TooLong) => (length, Taken::TooLong),
        };
        self.taken += length;
        self.give_back();
        Some(taken)
    }

    /// Takes the first whole line for which `wanted` is true out of its place; says whether there was one.
    pub fn take_out_of_turn(&mut self, wanted: impl Fn(&[u8]) -> bool) -> bool {
        let mut start = self.taken;
        let mut found = None;
        for (length, line) in self.whole_lines() {
            if matches!(line, Line::Text(text) if wanted(text)) {
                found = Some(start..start + length);
                break;
            }
            start += length;
        }
        let Some(range) = found else { return false };
        self.partial -= range.len();
        self.octets.drain(range);
        self.give_back();
        true
    }

    fn whole_lines(&self) -> impl Iterator<Item = (usize, Line<'_>)> {
        self.octets[self.taken..self.partial].split_inclusive(|octet| *octet == b'\n').map(|whole| {
            let text = whole.strip_suffix(b"\n").unwrap_or(whole);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let line = if text.len() > LINE_OCTETS_MAX { Line::TooLong } else { Line::Text(text) };
            (whole.len(), line)
        })
    }

    /// Forgets what was taken, and the memory with it where nothing is left.
    fn give_back(&mut self) {
        if self.taken == self.octets.len() {
            self.octets = Vec::new();
            self.taken = 0;
            self.partial = 0;
        } else if self.taken > LINE_OCTETS_MAX {
            self.octets.drain(..self.taken);
            self.partial -= self.taken;
            self.taken = 0;
        }
    }

    /// Forgets everything, as after REIN or a failed handshake.
    pub fn clear(&mut self) {
        *self = Lines::default();
    }
}

/// What [`Lines::take`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Text,
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut line = Vec::new();
        while let Some(taken) = lines.take(&mut line) {
            found.push(if taken == Taken::Text { line.clone() } else { b"TOO LONG".to_vec() });
        }
        found
    }

    /// The lines in `octets`, which must be the same however they are cut into segments.
    fn split(octets: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Lines::default();
        whole.receive(octets, &mut Vec::new());
        let expected = all(&mut whole);
        let mut one_by_one = Lines::default();
        for octet in octets {
            one_by_one.receive(&[*octet], &mut Vec::new());
        }
        assert_eq!(all(&mut one_by_one), expected);
        expected
    }

    #[test]
    fn line_ends() {
        assert_eq!(split(b"NOOP\r\nPWD\nQUIT\r\nrest"), [&b"NOOP"[..], b"PWD", b"QUIT"]);
        assert_eq!(split(b"\r\n\n"), [b"", b""]);
        assert_eq!(split(b"CWD a\rb\r\n"), [b"CWD a\rb"]);
        assert!(split(b"").is_empty());
    }

    #[test]
    fn telnet_is_taken_out() {
        assert_eq!(split(b"\xff\xf4\xff\xf2ABOR\r\n"), [b"ABOR"]);
        assert_eq!(split(b"NO\xff\xf1OP\r\n"), [b"NOOP"]);
        assert_eq!(split(b"\xff\xfd\x06NOOP\r\n\xff\xfa\x18\x01\xff\xf0PWD\r\n"), [&b"NOOP"[..], b"PWD"]);
        let mut answers = Vec::new();
        Lines::default().receive(b"\xff\xfd\x06\xff\xfb\x03\xff\xfe\x01\xff\xfc\x01", &mut answers);
        assert_eq!(answers, b"\xff\xfc\x06\xff\xfe\x03");
    }

    #[test]
    fn the_octet_255_in_a_name() {
        assert_eq!(split(b"RETR a\xff\xffb\r\n"), [b"RETR a\xffb"]);
        assert_eq!(split(b"RETR \xffb\xfe\r\n"), [b"RETR \xffb\xfe"]);
        assert_eq!(split(b"RETR \xff\xfe\r\n"), [b"RETR \xff\xfe"]);
        assert_eq!(split(b"RETR \xff\r\n"), [b"RETR \xff"]);
    }

    #[test]
    fn a_long_line_is_one_line() {
        let mut octets = vec![b'A'; 3 * LINE_OCTETS_MAX];
        octets.extend_from_slice(b"\r\nNOOP\r\n");
        assert_eq!(split(&octets), [&b"TOO LONG"[..], b"NOOP"]);
        for (length, fits) in [(LINE_OCTETS_MAX - 1, true), (LINE_OCTETS_MAX, true), (LINE_OCTETS_MAX + 1, false)] {
            let mut octets = vec![b'A'; length];
            octets.extend_from_slice(b"\r\n");
            assert_eq!(split(&octets)[0] != b"TOO LONG", fits, "{length}");
        }
    }

    #[test]
    fn a_long_line_is_answered_before_its_end_and_costs_no_memory() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.receive(&[b'A'; 4096], &mut Vec::new());
        }
        assert!(lines.held() < LINE_OCTETS_MAX + 8);
        assert_eq!(lines.take(&mut Vec::new()), Some(Taken::TooLong));
        assert_eq!(lines.take(&mut Vec::new()), None);
        lines.receive(b"\r\n", &mut Vec::new());
        assert_eq!(lines.take(&mut Vec::new()), None);
        assert_eq!(lines.octets.capacity(), 0);
    }

    #[test]
    fn telnet_in_a_long_line_costs_what_it_costs_in_a_short_one() {
        let telnet = b"\xff\xf1".repeat(4 << 20);
        let cost = |length: usize| {
            let mut lines = Lines::default();
            lines.receive(&vec![b'A'; length], &mut Vec::new());
            let begun = std::time::Instant::now();
            lines.receive(&telnet, &mut Vec::new());
            begun.elapsed()
        };
        let best = |length: usize| (0..3).map(|_| cost(length)).min().unwrap();
        let (short, long) = (best(1), best(LINE_OCTETS_MAX));
        assert!(long < 3 * short + std::time::Duration::from_millis(200), "{long:?}, and not {short:?}");
    }

    #[test]
    fn a_line_taken_out_of_turn() {
        let mut lines = Lines::default();
        lines.receive(b"PWD\r\nABOR\r\nNOOP\r\npart", &mut Vec::new());
        assert!(lines.take_out_of_turn(|line| line == b"ABOR"));
        assert!(!lines.take_out_of_turn(|line| line == b"ABOR"));
        lines.receive(b"ial\r\n", &mut Vec::new());
        assert_eq!(all(&mut lines), [&b"PWD"[..], b"NOOP", b"partial"]);
    }
}
