//! Patterns in the last name of LIST and NLST: `*`, `?` and `[...]`, over octets. Pure.
//!
//! The time is bounded by pattern times name: a later `*` never makes an earlier one be tried again, and the end of a
//! set is looked for only where there is one.

/// Whether `name` holds a sign that makes it a pattern.
pub fn is_pattern(name: &[u8]) -> bool {
    name.iter().any(|octet| matches!(octet, b'*' | b'?' | b'['))
}

/// Whether `name` is one that `pattern` means. As in the shell, a leading dot is matched by a dot alone.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    let last_close = pattern.iter().rposition(|octet| *octet == b']').unwrap_or(0);
    let (mut at, mut position) = (0, 0);
    // Where to go on after the last `*`, and the name's position that it has swallowed up to.
    let mut star: Option<(usize, usize)> = None;
    while position < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, position));
            at += 1;
        } else if let Some(length) = one(&pattern[at..], last_close.saturating_sub(at), name[position]) {
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

/// How much of the pattern stands for `octet`; nothing where it does not. Its last `]` is at `last_close`, which is 0
/// where there is none.
fn one(pattern: &[u8], last_close: usize, octet: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => match set(pattern, last_close) {
            Some((length, members, negated)) => (contains(members, octet) != negated).then_some(length),
            None => (octet == b'[').then_some(1),
        },
        literal => (*literal == octet).then_some(1),
    }
}

/// `[abc]`, `[a-z]`, `[!a]`, `[^a]`: its length, its members, and whether they are those that do not match.
fn set(pattern: &[u8], last_close: usize) -> Option<(usize, &[u8], bool)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let start = if negated { 2 } else { 1 };
    // A `]` that comes first is a member.
    if last_close <= start {
        return None;
    }
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

    #[test]
    fn a_bomb_takes_no_time() {
        let pattern = b"a*".repeat(2_000);
        let mut name = vec![b'a'; 255];
        name.push(b'b');
        assert!(!matches(&[pattern.as_slice(), b"c"].concat(), &name));
        // Each `[` of these is looked at thousands of times; 20,000 names are a large directory.
        let open = [b"*".as_slice(), &[b'['; 125], b"x", &[b'['; 3_900]].concat();
        let closed_early = [b"*[]".as_slice(), &[b'['; 3_900]].concat();
        let begun = std::time::Instant::now();
        for pattern in [open, closed_early] {
            (0..100).for_each(|_| assert!(!matches(&pattern, &[b'['; 255])));
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
