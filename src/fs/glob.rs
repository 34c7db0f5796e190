//! Patterns in the last name of LIST and NLST: `*`, `?` and `[...]`, over octets. Pure.
//!
//! The time is bounded by pattern times name: a later `*` never makes an earlier one be tried again, a `[` that nothing
//! closes is not looked for again and again, and both have at most 255 octets. There are no `{...}`, which the shell
//! makes many patterns of: braces mean themselves.

/// Whether `name` holds a sign that makes it a pattern.
pub fn is_pattern(name: &[u8]) -> bool {
    name.iter().any(|octet| matches!(octet, b'*' | b'?' | b'['))
}

/// Whether `name` is one that `pattern` means. As in the shell, a leading dot is matched by a dot alone.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    // A `[` behind the last `]` opens nothing.
    let closed = pattern.iter().rposition(|octet| *octet == b']').unwrap_or(0);
    let (mut at, mut position) = (0, 0);
    // Where to go on after the last `*`, and the name's position that it has swallowed up to.
    let mut star: Option<(usize, usize)> = None;
    while position < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, position));
            at += 1;
        } else if let Some(length) = one(&pattern[at..], closed.saturating_sub(at), name[position]) {
            at += length;
            position += 1;
        } else if let Some((after, swallowed)) = star {
            star = Some((after, swallowed + 1));
            (at, position) = (after, swallowed + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|octet| *octet == b'*')
}

/// How much of the pattern, whose last `]` is at `closed`, stands for `octet`; nothing where it does not.
fn one(pattern: &[u8], closed: usize, octet: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => match (closed > 0).then(|| set(pattern)).flatten() {
            Some((length, members, negated)) => (contains(members, octet) != negated).then_some(length),
            None => (octet == b'[').then_some(1),
        },
        literal => (*literal == octet).then_some(1),
    }
}

/// `[abc]`, `[a-z]`, `[!a]`, `[^a]`: its length, its members, and whether they are those that do not match.
fn set(pattern: &[u8]) -> Option<(usize, &[u8], bool)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let start = if negated { 2 } else { 1 };
    // A `]` that comes first is a member.
    let end = pattern.get(start + 1..)?.iter().position(|octet| *octet == b']')? + start + 1;
    Some((end + 1, &pattern[start..end], negated))
}

fn contains(members: &[u8], octet: u8) -> bool {
    let mut at = 0;
    while at < members.len() {
        if let [from, b'-', to, ..] = members[at..] {
            if (from..=to).contains(&octet) {
                return true;
            }
            at += 3;
        } else {
            if members[at] == octet {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[abc]x", "bx", true),
            ("[!abc]x", "bx", false),
            ("[^abc]x", "dx", true),
            ("[a-c]", "b", true),
            ("[a-c]", "d", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("[a]*[b", "a-[b", true),
            ("x[", "x[", true),
            ("{a,b}", "a", false),
            ("{a,b}", "{a,b}", true),
            ("[", "[", true),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
            ("**a**", "bab", true),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    /// The slowest patterns that we know, against 300 names that they almost match.
    #[test]
    fn bombs_take_no_time() {
        let full = |text: &str| text.repeat(255)[..254].to_owned() + "]";
        let bombs = [
            ("a*".repeat(127) + "c", "a".repeat(255)),
            (format!("*{}b", "a".repeat(127)), "a".repeat(255)),
            (format!("*{}b", "?".repeat(127)), "a".repeat(255)),
            (format!("*{}b{}", "[".repeat(127), "[".repeat(4_000)), "[".repeat(255)),
            (format!("*{}b", "[a".repeat(126)), "[a".repeat(127)),
            (format!("*{}b", "[b-a-".repeat(50)), "[b-a-".repeat(51)),
            (format!("*[{}]c", "b".repeat(250)), "a".repeat(255)),
            (full("*[!a"), "b".repeat(255)),
            (full("*["), "[".repeat(255)),
        ];
        let begin = std::time::Instant::now();
        for (pattern, name) in &bombs {
            for _ in 0..300 {
                let _ = std::hint::black_box(matches(pattern.as_bytes(), name.as_bytes()));
            }
        }
        // Without optimization it is less than a second; a bomb that goes off takes minutes.
        assert!(begin.elapsed() < std::time::Duration::from_secs(20), "{:?}", begin.elapsed());
    }
}
