//! The switches of LIST and NLST, as `ls` has them, and the order that they ask for. Pure.
//!
//! RFC 959 knows no switches, but clients send them (`LIST -al`); those that nobody needs are read over.

use super::Entry;

/// By what entries are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Name,
    /// `-t`: the newest first.
    Modified,
    /// `-S`: the largest first.
    Size,
}

/// In which form, where the switches say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `-l`
    Long,
    /// `-1`
    Names,
}

/// What the switches ask for; each is one letter of `ls`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Switches {
    /// `-a`, `-A`: names that begin with a dot.
    pub hidden: bool,
    /// `-a`: `.` and `..` as well.
    pub all_and_dots: bool,
    /// `-R`.
    pub recursive: bool,
    /// `-r`.
    pub reverse: bool,
    /// `-d`: a directory itself, and not what is in it.
    pub directory_itself: bool,
    pub order: Order,
    /// The last of `-l` and `-1`.
    pub form: Option<Form>,
}

impl Switches {
    /// Reads the letters; those that are not known change nothing.
    pub fn parse(letters: &[u8]) -> Switches {
        let mut switches = Switches::default();
        for letter in letters {
            match letter {
                b'a' => (switches.hidden, switches.all_and_dots) = (true, true),
                b'A' => switches.hidden = true,
                b'R' => switches.recursive = true,
                b'r' => switches.reverse = true,
                b'd' => switches.directory_itself = true,
                b't' => switches.order = Order::Modified,
                b'S' => switches.order = Order::Size,
                b'l' => switches.form = Some(Form::Long),
                b'1' => switches.form = Some(Form::Names),
                _ => {}
            }
        }
        switches
    }

    /// Machines are shown everything.
    pub fn every_entry() -> Switches {
        Switches { hidden: true, ..Switches::default() }
    }

    pub(super) fn sort(&self, entries: &mut [Entry]) {
        let size = |entry: &Entry| entry.facts.as_ref().map_or(0, |facts| facts.size);
        let modified =
            |entry: &Entry| entry.facts.as_ref().map_or((0, 0), |facts| (facts.modified, facts.modified_nanos));
        entries.sort_unstable_by(|a, b| {
            let by_key = match self.order {
                Order::Name => std::cmp::Ordering::Equal,
                Order::Modified => modified(b).cmp(&modified(a)),
                Order::Size => size(b).cmp(&size(a)),
            };
            by_key.then_with(|| a.name.cmp(&b.name))
        });
        if self.reverse {
            entries.reverse();
        }
    }
}

/// Splits `-al -t path with spaces` into the letters `alt` and the path.
pub fn split_switches(argument: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut letters = Vec::new();
    let mut rest = argument;
    while let Some(word) = rest.strip_prefix(b"-") {
        let end = word.iter().position(|octet| *octet == b' ').unwrap_or(word.len());
        if !word[..end].iter().all(u8::is_ascii_alphanumeric) || end == 0 {
            break;
        }
        letters.extend_from_slice(&word[..end]);
        rest = word[end..].strip_prefix(b" ").unwrap_or(&word[end..]);
    }
    (letters, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_told_from_paths() {
        for (argument, letters, path) in [
            ("-al", "al", ""),
            ("-a -l dir with space", "al", "dir with space"),
            ("dir -l", "", "dir -l"),
            ("-", "", "-"),
            ("--x", "", "--x"),
            ("-l -", "l", "-"),
            ("", "", ""),
            ("-la ", "la", ""),
        ] {
            assert_eq!(
                split_switches(argument.as_bytes()),
                (letters.as_bytes().to_vec(), path.as_bytes()),
                "{argument}"
            );
        }
    }

    #[test]
    fn orders() {
        let entry = |name: &str| Entry { name: name.into(), facts: None };
        let names = |letters: &str| {
            let mut entries = vec![entry("b"), entry("a"), entry("c")];
            Switches::parse(letters.as_bytes()).sort(&mut entries);
            entries.iter().map(|entry| entry.name[0] as char).collect::<String>()
        };
        assert_eq!((names("l").as_str(), names("r").as_str(), names("t").as_str()), ("abc", "cba", "abc"));
        assert_eq!(Switches::parse(b"l1").form, Some(Form::Names));
        assert!(Switches::parse(b"A").hidden && !Switches::parse(b"A").all_and_dots);
    }
}
