//! The line splitter: the same lines however the octets are cut, none longer than the limit, and what Telnet asks for
//! is refused. `0x1F count octet` in the input stands for 40 times `count` of that octet, so that long lines are short.

use ferryd::limits::LINE_OCTETS_MAX;
use ferryd::protocol::line::{Line, Lines, Taken};
use ferryd::protocol::table;

use super::shown;
use crate::random::Random;

const IAC: u8 = 255;
/// Of what an input may grow to.
const OCTETS_MAX: usize = 20_000;

pub fn run(octets: &[u8]) {
    let (cuts, octets) = octets.split_at(octets.len().min(8));
    let octets = expanded(octets);
    let (lines, answers) = take_all(&mut fed(&[&octets]));
    check(&lines, &answers, &octets);
    let (text, refusals) = without_telnet(&octets);
    assert!(lines == reference(&text) && answers == refusals, "{}", shown(&octets));
    let single: Vec<&[u8]> = octets.chunks(1).collect();
    assert!(take_all(&mut fed(&single)) == (lines.clone(), answers.clone()), "octet by octet: {}", shown(&octets));
    let seed = cuts.iter().fold(0, |seed, octet| seed << 8 | u64::from(*octet));
    read_meanwhile(&octets, &mut Random::new(seed, 0), &lines, &answers);
    take_abort(&octets, &lines);
}

fn expanded(octets: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut rest = octets;
    while let [octet, after @ ..] = rest {
        rest = match after {
            [count, repeated, after @ ..] if *octet == 0x1f => {
                output.resize(output.len() + 40 * usize::from(*count), *repeated);
                after
            }
            _ => {
                output.push(*octet);
                after
            }
        };
        if output.len() > OCTETS_MAX {
            break;
        }
    }
    output
}

/// A line; nothing for one that was too long.
type Found = Option<Vec<u8>>;

fn fed(pieces: &[&[u8]]) -> (Lines, Vec<u8>) {
    let (mut lines, mut answers) = (Lines::default(), Vec::new());
    pieces.iter().for_each(|piece| lines.receive(piece, &mut answers));
    (lines, answers)
}

fn take_all((lines, answers): &mut (Lines, Vec<u8>)) -> (Vec<Found>, Vec<u8>) {
    let mut found = Vec::new();
    take_into(lines, &mut found);
    (found, std::mem::take(answers))
}

fn take_into(lines: &mut Lines, found: &mut Vec<Found>) {
    loop {
        let held = lines.held();
        let peeked = lines.peek().map(|line| match line {
            Line::Text(text) => Some(text.to_vec()),
            Line::TooLong => None,
        });
        let mut line = b"something else".to_vec();
        let taken = lines.take(&mut line).map(|taken| (taken == Taken::Text).then_some(line));
        assert_eq!(taken, peeked, "peek and take differ");
        let Some(taken) = taken else { return };
        assert!(lines.held() < held, "nothing was taken");
        found.push(taken);
    }
}

fn check(lines: &[Found], answers: &[u8], octets: &[u8]) {
    for line in lines.iter().flatten() {
        assert!(line.len() <= LINE_OCTETS_MAX && !line.contains(&b'\n'), "{}", shown(line));
    }
    let ends = octets.iter().filter(|octet| **octet == b'\n').count();
    assert!(lines.len() <= ends + 1, "{} lines of {ends} ends", lines.len());
    assert!(answers.len() <= octets.len(), "more answers than requests");
    for answer in answers.chunks(3) {
        assert!(matches!(answer, [IAC, 252 | 254, _]), "not a refusal: {}", shown(answer));
    }
    let requested = octets.windows(2).any(|pair| matches!(pair, [IAC, 251 | 253]));
    assert!(answers.is_empty() || requested, "an answer to nothing: {}", shown(octets));
}

/// What is left once Telnet's commands are taken out (RFC 854), and the refusals of those that ask for something. From
/// the first space of a line on, and in one that is too long, only the doubled 255 is Telnet's.
fn without_telnet(octets: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut text, mut refusals, mut rest) = (Vec::new(), Vec::new(), octets);
    // Where the line begins, and whether it has a space.
    let (mut start, mut spaced) = (0, false);
    while let [octet, after @ ..] = rest {
        let command = *octet == IAC && !spaced && text.len() - start <= LINE_OCTETS_MAX + 1;
        let (kept, next): (&[u8], &[u8]) = match after {
            [IAC, next @ ..] if *octet == IAC => (&[IAC], next),
            [] if *octet == IAC => (&[], &[]),
            [240..=249, next @ ..] if command => (&[], next),
            [250, next @ ..] if command => (&[], behind_subnegotiation(next)),
            [request @ 251..=254, option, next @ ..] if command => {
                match request {
                    251 => refusals.extend([IAC, 254, *option]),
                    253 => refusals.extend([IAC, 252, *option]),
                    _ => {}
                }
                (&[], next)
            }
            [251..=254] if command => (&[], &[]),
            // Not Telnet's: both stay.
            [_, next @ ..] if *octet == IAC => (&rest[..2], next),
            next => (&rest[..1], next),
        };
        for octet in kept {
            text.push(*octet);
            (start, spaced) = if *octet == b'\n' { (text.len(), false) } else { (start, spaced || *octet == b' ') };
        }
        rest = next;
    }
    (text, refusals)
}

/// What follows IAC SE. IAC IAC inside is the octet 255, whatever follows.
fn behind_subnegotiation(octets: &[u8]) -> &[u8] {
    let mut rest = octets;
    loop {
        rest = match rest {
            [IAC, 240, after @ ..] => return after,
            [IAC, _, after @ ..] => after,
            [_, after @ ..] => after,
            [] => return &[],
        };
    }
}

/// Without Telnet a line is what stands before an LF, less one CR.
fn reference(octets: &[u8]) -> Vec<Found> {
    let mut pieces: Vec<&[u8]> = octets.split(|octet| *octet == b'\n').collect();
    let rest = pieces.pop().unwrap_or_default();
    let text = |piece: &[u8]| piece.strip_suffix(b"\r").unwrap_or(piece).to_vec();
    let fits = |text: Vec<u8>| (text.len() <= LINE_OCTETS_MAX).then_some(text);
    let mut lines: Vec<Found> = pieces.into_iter().map(|piece| fits(text(piece))).collect();
    // A CR may be the end that is still to come.
    if rest.len() > LINE_OCTETS_MAX + 1 {
        lines.push(None);
    }
    lines
}

/// Lines are taken between the pieces, as the interpreter does; memory is held for what was not taken alone.
fn read_meanwhile(octets: &[u8], random: &mut Random, expected: &[Found], expected_answers: &[u8]) {
    let (mut lines, mut answers, mut found) = (Lines::default(), Vec::new(), Vec::new());
    for piece in random.cut(octets) {
        lines.receive(&piece, &mut answers);
        if random.once_in(2) {
            take_into(&mut lines, &mut found);
            assert!(lines.held() <= LINE_OCTETS_MAX + 1, "{} octets are held of one line", lines.held());
        }
    }
    take_into(&mut lines, &mut found);
    assert!(found == expected && answers == expected_answers, "cut: {}", shown(octets));
    lines.clear();
    assert_eq!(lines.held(), 0);
}

/// ABOR overtakes; the others keep their order.
fn take_abort(octets: &[u8], lines: &[Found]) {
    let (mut splitter, _) = fed(&[octets]);
    let mut expected = lines.to_vec();
    while splitter.take_out_of_turn(table::is_abort) {
        let at = expected.iter().position(|line| line.as_deref().is_some_and(table::is_abort));
        expected.remove(at.expect("an ABOR that was not sent"));
    }
    assert!(!expected.iter().flatten().any(|line| table::is_abort(line)), "an ABOR was not found");
    let (found, _) = take_all(&mut (splitter, Vec::new()));
    assert!(found == expected, "without ABOR: {}", shown(octets));
}
