//! Listings: which entries, in which order, in which form; made piece by piece.
//!
//! `protocol` (MLST, STAT) and `transfer` (LIST, NLST, MLSD) share it. A listing of 100,000 entries is never held as a
//! whole: [`Listing::fill`] makes the next few lines, and may be asked to do so only if nothing has to be waited for.

mod bounded;
mod facts;
mod line;
mod memo;
mod order;
mod selection;

use std::sync::Arc;

pub use facts::FactSet;
pub use line::Format;
pub use order::{Switches, split_switches};
pub use selection::{Selection, Style};

use crate::fs::{self, Directory, Errno, Facts, Kind, Patience, Root, VirtualPath, glob};
use crate::limits::{
    LISTING_OCTETS_AHEAD, LISTING_READS_PER_STEP, RECURSION_DEPTH_MAX, RECURSION_ENTRIES_MAX, SORTED_ENTRIES_MAX,
};
use memo::Memo;
use order::{Form, Order};
use selection::Pattern;

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    More,
    End,
    /// What there was to show is longer than one listing may be.
    Cut(Cut),
}

/// Which bound has cut a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// `RECURSION_DEPTH_MAX`.
    Depth,
    /// `RECURSION_ENTRIES_MAX`, or `STAT_ENTRIES_MAX`.
    Entries,
}

/// A directory that is being listed.
#[derive(Debug)]
struct Open {
    directory: Directory,
    names: Arc<Names>,
    pattern: Option<Vec<u8>>,
    reading: Reading,
    depth: usize,
}

/// What a directory is called.
#[derive(Debug)]
struct Names {
    path: VirtualPath,
    /// What NLST and patterns show before each name in it.
    prefix: Vec<u8>,
}

/// A directory that LIST -R still has to show. All that are in one directory share its names, which may be long: there
/// may be `RECURSION_ENTRIES_MAX` of them.
#[derive(Debug)]
struct Pending {
    parent: Arc<Names>,
    name: Box<[u8]>,
    depth: usize,
}

impl Pending {
    fn names(&self) -> Names {
        let prefix = [self.parent.prefix.as_slice(), &self.name, b"/"].concat();
        Names { path: self.parent.path.child(&self.name), prefix }
    }
}

#[derive(Debug)]
enum Reading {
    /// Names are gathered, to be sorted.
    Gathering(Vec<Entry>),
    /// Lines are made of what was gathered, then of whatever is left in the directory.
    Showing { gathered: std::vec::IntoIter<Entry>, rest: Rest },
}

/// What is left in the directory once the gathered names are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    Unsorted,
}

/// A name, and its facts once they were asked for.
#[derive(Debug)]
pub(crate) struct Entry {
    name: Vec<u8>,
    facts: Option<Facts>,
}

/// A listing under way.
#[derive(Debug)]
pub struct Listing {
    root: Root,
    style: Style,
    switches: Switches,
    format: Arc<Format>,
    now: i64,
    /// Lines that need no directory: one entry, or `.` and `..`.
    first: Vec<u8>,
    open: Option<Open>,
    /// The next one last.
    pending: Vec<Pending>,
    entries_left: usize,
    cut: Option<Cut>,
    memo: Memo,
    /// Why something is not in it that should be: told when the rest was shown.
    missed: Option<fs::Error>,
}

impl Listing {
    /// Opens what is selected.
    ///
    /// # Errors
    /// There is no such entry, it may not be read, or the kernel would wait and `root` may not.
    pub fn new(root: &Root, selection: Selection, style: Style, format: Arc<Format>) -> Result<Listing, fs::Error> {
        let style = match (style, selection.switches.form) {
            (Style::Long | Style::Names, Some(Form::Long)) => Style::Long,
            (Style::Long | Style::Names, Some(Form::Names)) => Style::Names,
            (style, _) => style,
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let mut listing = Listing {
            root: root.clone(),
            style,
            switches: selection.switches,
            format,
            now: i64::try_from(now).unwrap_or(i64::MAX),
            first: Vec::new(),
            open: None,
            pending: Vec::new(),
            memo: Memo::default(),
            entries_left: if selection.switches.recursive { RECURSION_ENTRIES_MAX } else { usize::MAX },
            cut: None,
            missed: None,
        };
        match root.link_facts(&selection.path) {
            Ok(facts) => listing.open_found(&selection, facts)?,
            Err(fs::Error::Os(Errno::NOENT | Errno::NAMETOOLONG)) if selection.pattern == Pattern::Allowed => {
                listing.open_pattern(&selection)?
            }
            Err(error) => return Err(error),
        }
        Ok(listing)
    }

    fn open_found(&mut self, selection: &Selection, facts: Facts) -> Result<(), fs::Error> {
        let is_directory = match facts.kind {
            Kind::Directory => true,
            Kind::Link => {
                let target = fs::Error::optional(self.root.facts(&selection.path))?;
                target.is_some_and(|target| target.kind == Kind::Directory)
            }
            _ => false,
        };
        if is_directory && !self.switches.directory_itself {
            let mut prefix = selection.written.clone();
            if !prefix.is_empty() && !prefix.ends_with(b"/") {
                prefix.push(b'/');
            }
            let open = self.open(Names { path: selection.path.clone(), prefix }, None, 0)?;
            self.dots(&open)?;
            self.open = Some(open);
            return Ok(());
        }
        let name = if selection.written.is_empty() { b".".as_slice() } else { &selection.written };
        let target = match facts.kind {
            Kind::Link => fs::Error::optional(self.root.read_link(&selection.path))?,
            _ => None,
        };
        let mut line = Vec::new();
        self.format.line(&mut line, self.style, [b"", name], &facts, target.as_deref(), self.now, &mut self.memo);
        self.first = line;
        Ok(())
    }

    fn open_pattern(&mut self, selection: &Selection) -> Result<(), fs::Error> {
        let (parent, leaf) = selection.path.split().ok_or(fs::Error::Os(Errno::NOENT))?;
        if !glob::is_pattern(leaf) {
            return Err(fs::Error::Os(Errno::NOENT));
        }
        if selection.is_too_long() {
            return Err(fs::Error::Os(Errno::NAMETOOLONG));
        }
        let shown = selection.written.len() - leaf.len().min(selection.written.len());
        let prefix = selection.written[..shown].to_vec();
        let pattern = leaf.to_vec();
        self.switches.recursive = false;
        self.open = Some(self.open(Names { path: parent, prefix }, Some(pattern), 0)?);
        Ok(())
    }

    fn open(&self, names: Names, pattern: Option<Vec<u8>>, depth: usize) -> Result<Open, fs::Error> {
        let directory = self.root.open_directory(&names.path)?;
        let reading = match self.style {
            Style::Facts(..) => Reading::Showing { gathered: Vec::new().into_iter(), rest: Rest::Unsorted },
            _ => Reading::Gathering(Vec::new()),
        };
        Ok(Open { directory, names: Arc::new(names), pattern, reading, depth })
    }

    /// `.` and `..`, which `-a` shows, and `cdir` and `pdir`, which MLSD does (RFC 3659 section 7.5.1).
    fn dots(&mut self, open: &Open) -> Result<(), fs::Error> {
        let parent = open.names.path.join(b"..").map_or_else(|_| VirtualPath::root(), |path| path.normalized());
        let mut lines = Vec::new();
        match self.style {
            Style::Facts(set, rights) => {
                let facts = self.root.facts(&open.names.path)?;
                let above = fs::Error::optional(self.root.facts(&parent))?;
                // The root is nobody's to remove.
                let holder = above.as_ref().filter(|_| open.names.path.split().is_some());
                self.format.facts_of_dot(&mut lines, "cdir", b".", &facts, holder, (set, rights));
                if let Some(facts) = &above {
                    self.format.facts_of_dot(&mut lines, "pdir", b"..", facts, None, (set, rights));
                }
            }
            Style::Long | Style::Names if self.switches.all_and_dots => {
                let facts = self.root.facts(&open.names.path)?;
                self.format.line(&mut lines, self.style, [b"", b"."], &facts, None, self.now, &mut self.memo);
                if let Some(facts) = fs::Error::optional(self.root.facts(&parent))? {
                    self.format.line(&mut lines, self.style, [b"", b".."], &facts, None, self.now, &mut self.memo);
                }
            }
            Style::Long | Style::Names => {}
        }
        self.first = lines;
        Ok(())
    }

    /// Adds the next lines to `output`: at most about `LISTING_OCTETS_AHEAD` octets; and none, where those that were
    /// looked at in one step are not to be shown.
    ///
    /// # Errors
    /// `WouldWait`, with nothing changed, where `patience` does not allow to wait; else what the file system said.
    pub fn fill(&mut self, output: &mut Vec<u8>, patience: Patience) -> Result<Fill, fs::Error> {
        self.root.set_patience(patience);
        output.append(&mut self.first);
        let mut reads = LISTING_READS_PER_STEP;
        while output.len() < LISTING_OCTETS_AHEAD && reads > 0 {
            let Some(mut open) = self.open.take() else {
                if self.entries_left == 0 && !self.pending.is_empty() {
                    self.cut = Some(Cut::Entries);
                }
                if self.pending.is_empty() || self.cut == Some(Cut::Entries) {
                    return match (self.missed, self.cut) {
                        (None, None) => Ok(Fill::End),
                        (None, Some(cut)) => Ok(Fill::Cut(cut)),
                        (Some(error), _) if output.is_empty() => Err(error),
                        (Some(_), _) => Ok(Fill::More),
                    };
                }
                self.open_next(output)?;
                continue;
            };
            match self.fill_from(&mut open, output, patience, &mut reads) {
                Ok(Fill::More) => self.open = Some(open),
                Ok(Fill::End | Fill::Cut(_)) => {}
                Err(error) => {
                    self.open = Some(open);
                    return Err(error);
                }
            }
        }
        Ok(Fill::More)
    }

    fn fill_from(
        &mut self,
        open: &mut Open,
        output: &mut Vec<u8>,
        patience: Patience,
        reads: &mut usize,
    ) -> Result<Fill, fs::Error> {
        open.directory.check(patience)?;
        match &mut open.reading {
            Reading::Gathering(gathered) => {
                *reads -= 1;
                let more = gather(&mut open.directory, gathered, open.pattern.as_deref(), &self.switches, patience)?;
                if more && gathered.len() < SORTED_ENTRIES_MAX {
                    return Ok(Fill::More);
                }
                let mut gathered = std::mem::take(gathered);
                if !more {
                    self.sort(&open.directory, &mut gathered);
                }
                let rest = if more { Rest::Unsorted } else { Rest::Nothing };
                open.reading = Reading::Showing { gathered: gathered.into_iter(), rest };
                Ok(Fill::More)
            }
            Reading::Showing { gathered, rest } => {
                if let Some(Entry { name, facts }) = gathered.next() {
                    self.show(open, &name, facts, output);
                    return Ok(if self.cut == Some(Cut::Entries) { Fill::End } else { Fill::More });
                }
                if *rest == Rest::Nothing {
                    return Ok(Fill::End);
                }
                *reads -= 1;
                let more = self.show_next(open, output, patience)?;
                let Reading::Showing { rest, .. } = &mut open.reading else { return Ok(Fill::End) };
                *rest = if more { Rest::Unsorted } else { Rest::Nothing };
                Ok(if self.cut == Some(Cut::Entries) { Fill::End } else { Fill::More })
            }
        }
    }

    /// Shows the next names as they come from the disk; says whether there may be more.
    fn show_next(&mut self, open: &Open, output: &mut Vec<u8>, patience: Patience) -> Result<bool, fs::Error> {
        let switches = self.switches;
        open.directory.read(patience, |name| {
            if is_shown(name, open.pattern.as_deref(), &switches) {
                self.show(open, name, None, output);
            }
        })
    }

    fn sort(&self, directory: &Directory, gathered: &mut [Entry]) {
        if self.switches.order != Order::Name {
            for entry in gathered.iter_mut() {
                entry.facts = directory.facts(&entry.name).ok();
            }
        }
        self.switches.sort(gathered);
    }

    fn show(&mut self, open: &Open, name: &[u8], facts: Option<Facts>, output: &mut Vec<u8>) {
        if self.entries_left == 0 {
            self.cut = Some(Cut::Entries);
            return;
        }
        self.entries_left -= 1;
        if let (Style::Names, false) = (self.style, self.switches.recursive) {
            output.extend_from_slice(&open.names.prefix);
            line::put_name(output, name);
            output.extend_from_slice(b"\r\n");
            return;
        }
        let facts = match facts.map_or_else(|| open.directory.facts(name), Ok) {
            Ok(facts) => facts,
            Err(error) => return self.miss(error),
        };
        let target = match (self.style, facts.kind) {
            (Style::Names, _) => None,
            (_, Kind::Link) => open.directory.read_link(name).ok(),
            _ => None,
        };
        if let Style::Facts(set, rights) = self.style {
            let parent = Some(open.directory.own_facts());
            let linked =
                if facts.kind == Kind::Link { self.root.facts(&open.names.path.child(name)).ok() } else { None };
            let (target, choice, memo) = (target.as_deref(), (set, rights), &mut self.memo);
            self.format.facts(output, name, &facts, target, linked.as_ref(), parent, choice, memo);
            return;
        }
        let prefix =
            if open.pattern.is_some() || matches!(self.style, Style::Names) { &open.names.prefix[..] } else { b"" };
        self.format.line(output, self.style, [prefix, name], &facts, target.as_deref(), self.now, &mut self.memo);
        if self.switches.recursive && facts.kind == Kind::Directory {
            match open.depth < RECURSION_DEPTH_MAX {
                true => {
                    let (parent, depth) = (open.names.clone(), open.depth + 1);
                    self.pending.push(Pending { parent, name: name.into(), depth });
                }
                // What is in it stays unknown, and be it nothing.
                false => self.cut = Some(Cut::Depth),
            }
        }
    }

    /// Leaves something out. Who was deleted since its name was read is not there, and who may not be looked at is not
    /// for this process; a disk or a system that fails is another matter.
    fn miss(&mut self, error: fs::Error) {
        let is_expected = matches!(
            error,
            fs::Error::Os(
                Errno::NOENT
                    | Errno::NOTDIR
                    | Errno::LOOP
                    | Errno::ACCESS
                    | Errno::PERM
                    | Errno::NOTCONN
                    | Errno::STALE
            )
        );
        if !is_expected {
            self.missed.get_or_insert(error);
        }
    }

    /// LIST -R: goes on with the next directory, under a headline of its own, as `ls -R` does.
    fn open_next(&mut self, output: &mut Vec<u8>) -> Result<(), fs::Error> {
        while self.entries_left > 0
            && let Some(pending) = self.pending.pop()
        {
            match self.open(pending.names(), None, pending.depth) {
                Ok(open) => {
                    if matches!(self.style, Style::Long) {
                        let prefix = &open.names.prefix;
                        output.extend_from_slice(b"\r\n");
                        line::put_name(output, prefix.strip_suffix(b"/").unwrap_or(prefix));
                        output.extend_from_slice(b":\r\n");
                    }
                    self.open = Some(open);
                    return Ok(());
                }
                Err(fs::Error::WouldWait) => {
                    self.pending.push(pending);
                    return Err(fs::Error::WouldWait);
                }
                // The rest of the tree is still worth showing.
                Err(error) => self.miss(error),
            }
        }
        Ok(())
    }
}

/// Reads the next names of `directory` that are to be shown; says whether there may be more.
fn gather(
    directory: &mut Directory,
    into: &mut Vec<Entry>,
    pattern: Option<&[u8]>,
    switches: &Switches,
    patience: Patience,
) -> Result<bool, fs::Error> {
    directory.read(patience, |name| {
        if is_shown(name, pattern, switches) {
            into.push(Entry { name: name.to_vec(), facts: None });
        }
    })
}

fn is_shown(name: &[u8], pattern: Option<&[u8]>, switches: &Switches) -> bool {
    match pattern {
        Some(pattern) => glob::matches(pattern, name),
        None => switches.hidden || !name.starts_with(b"."),
    }
}
