//! Patterns: `pattern NUL name`; the matcher and a slow reference say the same.

use ferryd::fs::glob::{is_pattern, matches};

use super::{shown, two};

/// The reference takes the product of both in memory.
const OCTETS_MAX: usize = 600;

pub fn run(octets: &[u8]) {
    let (pattern, name) = two(octets);
    if pattern.len() > OCTETS_MAX || name.len() > OCTETS_MAX {
        return;
    }
    let expected = expected(&tokens(pattern), pattern, name);
    assert_eq!(matches(pattern, name), expected, "{} {}", shown(pattern), shown(name));
    if !is_pattern(pattern) {
        assert_eq!(expected, pattern == name, "{} {}", shown(pattern), shown(name));
    }
}

enum Token<'a> {
    Any,
    One,
    Set { members: &'a [u8], negated: bool },
    Octet(u8),
}

fn tokens(pattern: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        let (token, length) = match pattern[at] {
            b'*' => (Token::Any, 1),
            b'?' => (Token::One, 1),
            b'[' => set(&pattern[at..]).unwrap_or((Token::Octet(b'['), 1)),
            octet => (Token::Octet(octet), 1),
        };
        tokens.push(token);
        at += length;
    }
    tokens
}

/// A set has one member at least, so that `[]]` is the set of `]`.
fn set(pattern: &[u8]) -> Option<(Token<'_>, usize)> {
    let negated = pattern.len() > 1 && (pattern[1] == b'!' || pattern[1] == b'^');
    let first = 1 + usize::from(negated);
    let end = (first + 1..pattern.len()).find(|at| pattern[*at] == b']')?;
    Some((Token::Set { members: &pattern[first..end], negated }, end + 1))
}

fn is_member(members: &[u8], octet: u8) -> bool {
    match members {
        [from, b'-', to, rest @ ..] => (*from <= octet && octet <= *to) || is_member(rest, octet),
        [member, rest @ ..] => *member == octet || is_member(rest, octet),
        [] => false,
    }
}

/// `reach[n]`: whether the tokens so far can mean the first `n` octets of the name.
fn expected(tokens: &[Token<'_>], pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let mut reach = vec![false; name.len() + 1];
    reach[0] = true;
    for token in tokens {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match token {
                Token::Any => reach[..=at].contains(&true),
                _ if at == 0 => false,
                Token::One => reach[at - 1],
                Token::Octet(octet) => reach[at - 1] && name[at - 1] == *octet,
                Token::Set { members, negated } => reach[at - 1] && is_member(members, name[at - 1]) != *negated,
            };
        }
        reach = next;
    }
    reach[name.len()]
}
