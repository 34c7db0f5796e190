//! The lines of a listing: `ls -l`'s form, names alone, and RFC 3659's facts.
//!
//! Names are octets and stay as they are, but for CR and LF, which would end the line: they are shown as `?`.

use std::io::Write;

use super::Style;
use super::facts::{Fact, FactSet};
use super::memo::Memo;
use crate::account::Right;
use crate::account::Rights;
use crate::fs::{self, Facts, Kind, Owner, Owners, ProcessIds, Root, VirtualPath};
use crate::time::{ListTime, TimeVal};

/// What lines need beside the entry: names of owners, and what this process may do.
#[derive(Debug)]
pub struct Format {
    pub owners: Owners,
    pub process: ProcessIds,
}

/// Adds a name, so that it stays on its line.
pub(super) fn put_name(output: &mut Vec<u8>, name: &[u8]) {
    let start = output.len();
    output.extend_from_slice(name);
    output[start..].iter_mut().filter(|octet| matches!(octet, b'\r' | b'\n')).for_each(|octet| *octet = b'?');
}

impl Format {
    /// A line of LIST or NLST; the name is what comes before it in the path, and itself.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn line(
        &self,
        output: &mut Vec<u8>,
        style: Style,
        [prefix, name]: [&[u8]; 2],
        facts: &Facts,
        target: Option<&[u8]>,
        now: i64,
        memo: &mut Memo,
    ) {
        match style {
            Style::Facts(set, rights) => {
                return self.facts(output, name, facts, target, None, None, (set, rights), memo);
            }
            Style::Long => self.columns(output, facts, now, memo),
            Style::Names => {}
        }
        put_name(output, prefix);
        put_name(output, name);
        if let (Style::Long, Some(target)) = (style, target) {
            output.extend_from_slice(b" -> ");
            put_name(output, target);
        }
        output.extend_from_slice(b"\r\n");
    }

    /// All that `ls -l` has before the name.
    fn columns(&self, output: &mut Vec<u8>, facts: &Facts, now: i64, memo: &mut Memo) {
        let [mode, owners] = memo.pieces(facts, |[mode, owners]| {
            mode.push(facts.kind_letter());
            put_mode(mode, facts.mode);
            mode.push(b' ');
            for owner in [self.owners.user(facts.uid), self.owners.group(facts.gid)] {
                owners.push(b' ');
                put_owner(owners, owner, 8);
            }
            owners.push(b' ');
        });
        output.extend_from_slice(mode);
        put_number(output, facts.links.into(), 4);
        output.extend_from_slice(owners);
        put_number(output, facts.size, 12);
        output.push(b' ');
        ListTime { modified: facts.modified, now }.put(output);
        output.push(b' ');
    }

    /// A line of MLSD. `linked` is what a link leads to, `parent` the directory that holds the name.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn facts(
        &self,
        output: &mut Vec<u8>,
        name: &[u8],
        facts: &Facts,
        target: Option<&[u8]>,
        linked: Option<&Facts>,
        parent: Option<&Facts>,
        (set, rights): (FactSet, Rights),
        memo: &mut Memo,
    ) {
        if set.has(Fact::Type) {
            put_type(output, facts.kind, target);
        }
        let perm = || self.perm(linked.unwrap_or(facts), parent, rights);
        match facts.kind {
            // What its user may do is its target's affair.
            Kind::Link => self.put_facts(output, facts, perm, set, &mut Memo::default()),
            _ => self.put_facts(output, facts, perm, set, memo),
        }
        output.push(b' ');
        put_name(output, name);
        output.extend_from_slice(b"\r\n");
    }

    /// The line of the directory itself (`cdir`) or its parent (`pdir`).
    pub(super) fn facts_of_dot(
        &self,
        output: &mut Vec<u8>,
        kind: &str,
        name: &[u8],
        facts: &Facts,
        parent: Option<&Facts>,
        (set, rights): (FactSet, Rights),
    ) {
        if set.has(Fact::Type) {
            let _ = write!(output, "type={kind};");
        }
        self.put_facts(output, facts, || self.perm(facts, parent, rights), set, &mut Memo::default());
        output.push(b' ');
        output.extend_from_slice(name);
        output.extend_from_slice(b"\r\n");
    }

    /// MLST's line: a space, the facts of what `path` leads to, and its full name.
    pub fn single_facts(
        &self,
        root: &Root,
        path: &VirtualPath,
        set: FactSet,
        rights: Rights,
    ) -> Result<Vec<u8>, fs::Error> {
        let link = root.link_facts(path)?;
        let (facts, target) = match link.kind {
            Kind::Link => match fs::Error::optional(root.facts(path))? {
                Some(facts) => (facts, None),
                None => (link, fs::Error::optional(root.read_link(path))?),
            },
            _ => (link, None),
        };
        let parent = match path.split() {
            Some((parent, _)) => fs::Error::optional(root.facts(&parent))?,
            None => None,
        };
        let mut line = vec![b' '];
        let name = path.normalized();
        let (target, choice, memo) = (target.as_deref(), (set, rights), &mut Memo::default());
        self.facts(&mut line, name.as_bytes(), &facts, target, None, parent.as_ref(), choice, memo);
        line.truncate(line.len() - 2);
        Ok(line)
    }

    fn put_facts(
        &self,
        output: &mut Vec<u8>,
        facts: &Facts,
        perm: impl FnOnce() -> String,
        set: FactSet,
        memo: &mut Memo,
    ) {
        if set.has(Fact::Size) && facts.kind == Kind::File {
            output.extend_from_slice(b"size=");
            put_number(output, facts.size, 0);
            output.push(b';');
        }
        if set.has(Fact::Modify) {
            output.extend_from_slice(b"modify=");
            output.extend_from_slice(&TimeVal(facts.modified).digits());
            output.push(b';');
        }
        let [before, after] = memo.pieces(facts, |[before, after]| {
            if set.has(Fact::Perm) {
                let _ = write!(before, "perm={};", perm());
            }
            if set.has(Fact::Unique) {
                let _ = write!(before, "unique={:x}g", facts.device);
                after.push(b';');
            }
            self.put_unix(after, facts, set);
        });
        output.extend_from_slice(before);
        if set.has(Fact::Unique) {
            put_hex(output, facts.inode);
        }
        output.extend_from_slice(after);
    }

    fn put_unix(&self, output: &mut Vec<u8>, facts: &Facts, set: FactSet) {
        if set.has(Fact::Mode) {
            let _ = write!(output, "UNIX.mode={:04o};", facts.mode);
        }
        if set.has(Fact::Uid) {
            let _ = write!(output, "UNIX.uid={};", facts.uid);
        }
        if set.has(Fact::Gid) {
            let _ = write!(output, "UNIX.gid={};", facts.gid);
        }
        if set.has(Fact::Owner) {
            let _ = write!(output, "UNIX.owner={};", self.owners.user(facts.uid));
        }
        if set.has(Fact::Group) {
            let _ = write!(output, "UNIX.group={};", self.owners.group(facts.gid));
        }
    }

    /// RFC 3659 section 7.5.5: what this user may do with an entry: his rights, and what the file system lets this
    /// process do.
    fn perm(&self, facts: &Facts, parent: Option<&Facts>, rights: Rights) -> String {
        let may = |right: Right| rights.allow(right);
        let process = &self.process;
        let in_parent = parent.is_some_and(|parent| {
            // In a sticky directory only owners remove and rename.
            let sticky =
                parent.mode & 0o1000 != 0 && process.uid != 0 && ![facts.uid, parent.uid].contains(&process.uid);
            process.can_write(parent) && process.can_execute(parent) && !sticky
        });
        let letters: &[(char, bool)] = match facts.kind {
            Kind::Directory => {
                let writable = process.can_write(facts) && process.can_execute(facts);
                &[
                    ('c', may(Right::StoreNew) && writable),
                    ('d', may(Right::Delete) && in_parent),
                    ('e', may(Right::Enter) && process.can_execute(facts)),
                    ('f', may(Right::Rename) && in_parent),
                    ('l', may(Right::List) && process.can_read(facts) && process.can_execute(facts)),
                    ('m', may(Right::MakeDirectory) && writable),
                    ('p', may(Right::Delete) && writable),
                ]
            }
            kind => {
                let regular = kind == Kind::File;
                &[
                    ('a', regular && may(Right::Append) && process.can_write(facts)),
                    ('d', may(Right::Delete) && in_parent),
                    ('f', may(Right::Rename) && in_parent),
                    ('r', regular && may(Right::Read) && process.can_read(facts)),
                    ('w', regular && may(Right::Store) && process.can_write(facts)),
                ]
            }
        };
        letters.iter().filter(|(_, true_for_user)| *true_for_user).map(|(letter, _)| letter).collect()
    }
}

/// RFC 3659 section 7.5.1; what RFC 3659 does not name has an `OS.unix` type.
fn put_type(output: &mut Vec<u8>, kind: Kind, target: Option<&[u8]>) {
    match kind {
        Kind::File => output.extend_from_slice(b"type=file;"),
        Kind::Directory => output.extend_from_slice(b"type=dir;"),
        Kind::Link => {
            output.extend_from_slice(b"type=OS.unix=slink:");
            // The target is told where it cannot be mistaken for another fact.
            let plain = |target: &&[u8]| target.iter().all(|octet| *octet > b' ' && *octet != b';' && *octet != 127);
            output.extend_from_slice(target.filter(plain).unwrap_or_default());
            output.push(b';');
        }
        Kind::Other => output.extend_from_slice(b"type=OS.unix=special;"),
    }
}

/// Digits at the right side of `width` columns: what `{:>width$}` writes, in a third of the time.
fn put_number(output: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b' '; 20];
    let mut at = digits.len();
    while at == digits.len() || number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    output.extend_from_slice(&digits[at.min(digits.len() - width)..]);
}

/// What `{:x}` writes.
fn put_hex(output: &mut Vec<u8>, number: u64) {
    let digits = (64 - (number | 1).leading_zeros()).div_ceil(4);
    output.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[(number >> (4 * digit)) as usize & 15]));
}

/// A name at the left side of `width` columns.
fn put_owner(output: &mut Vec<u8>, owner: Owner<'_>, width: usize) {
    let end = output.len() + width;
    match owner {
        Owner::Name(name) => output.extend_from_slice(name.as_bytes()),
        Owner::Id(id) => put_number(output, id.into(), 0),
    }
    if output.len() < end {
        output.resize(end, b' ');
    }
}

/// Nine letters, with `s`, `S`, `t` and `T` where `ls` has them.
fn put_mode(output: &mut Vec<u8>, mode: u32) {
    for (shift, special, letter) in [(6, 0o4000, b's'), (3, 0o2000, b's'), (0, 0o1000, b't')] {
        let bits = mode >> shift;
        output.push(if bits & 4 != 0 { b'r' } else { b'-' });
        output.push(if bits & 2 != 0 { b'w' } else { b'-' });
        output.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => b'x',
            (false, false) => b'-',
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (mode, shown) in [
            (0o755, "rwxr-xr-x"),
            (0o4755, "rwsr-xr-x"),
            (0o1777, "rwxrwxrwt"),
            (0o6644, "rwSr-Sr--"),
            (0, "---------"),
        ] {
            let mut output = Vec::new();
            put_mode(&mut output, mode);
            assert_eq!(output, shown.as_bytes());
        }
    }

    #[test]
    fn columns() {
        for (number, width) in [(0, 0), (7, 4), (12_345, 4), (1 << 40, 12), (u64::MAX, 12), (u64::MAX, 20), (0, 3)] {
            let mut output = Vec::new();
            put_number(&mut output, number, width);
            assert_eq!(String::from_utf8(output).unwrap(), format!("{number:>width$}"));
        }
        for number in [0, 9, 15, 16, 0xabc_def0, u64::MAX] {
            let mut output = Vec::new();
            put_hex(&mut output, number);
            assert_eq!(String::from_utf8(output).unwrap(), format!("{number:x}"));
        }
        for owner in [Owner::Name("root"), Owner::Name("longer-than-eight"), Owner::Id(7), Owner::Id(u32::MAX)] {
            let mut output = Vec::new();
            put_owner(&mut output, owner, 8);
            assert_eq!(String::from_utf8(output).unwrap(), format!("{owner:<8}"));
        }
    }

    #[test]
    fn names_stay_on_their_line() {
        let mut output = Vec::new();
        put_name(&mut output, b"a\r\n226 b\xff\x1b");
        assert_eq!(output, b"a??226 b\xff\x1b");
    }

    #[test]
    fn link_targets_cannot_forge_facts() {
        for (target, shown) in [
            (&b"../x"[..], "type=OS.unix=slink:../x;"),
            (b"a;size=1", "type=OS.unix=slink:;"),
            (b"a b", "type=OS.unix=slink:;"),
        ] {
            let mut output = Vec::new();
            put_type(&mut output, Kind::Link, Some(target));
            assert_eq!(output, shown.as_bytes());
        }
    }
}
