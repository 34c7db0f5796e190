//! What is to be listed, and in which form.

use super::facts::FactSet;
use super::order::Switches;
use crate::account::Rights;
use crate::fs::{VirtualPath, glob};
use crate::limits::PATTERN_OCTETS_MAX;

/// The form of a line.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// LIST: as `ls -l`.
    Long,
    /// NLST: the name alone.
    Names,
    /// MLSD: RFC 3659 section 7.2; the rights decide the `perm` fact.
    Facts(FactSet, Rights),
}

/// What is to be listed.
#[derive(Debug)]
pub struct Selection {
    /// A directory, or one entry, or, where there is no such entry, a pattern in its last name.
    pub path: VirtualPath,
    /// The path as the client wrote it; what comes before a name that a pattern matched.
    pub(super) written: Vec<u8>,
    pub(super) switches: Switches,
    pub(super) pattern: Pattern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Literal,
    Allowed,
}

impl Selection {
    /// LIST and NLST: the name as it is, else as a pattern.
    pub fn new(path: VirtualPath, written: &[u8], switches: &[u8]) -> Selection {
        Selection { path, written: written.to_vec(), switches: Switches::parse(switches), pattern: Pattern::Allowed }
    }

    /// Whether it is a pattern beyond `PATTERN_OCTETS_MAX`. It cannot be a name: none is so long.
    pub fn is_too_long(&self) -> bool {
        let leaf = self.path.split().map(|(_, leaf)| leaf).unwrap_or_default();
        self.pattern == Pattern::Allowed && leaf.len() > PATTERN_OCTETS_MAX && glob::is_pattern(leaf)
    }

    /// MLSD: the name as it is, and every entry.
    pub fn literal(path: VirtualPath) -> Selection {
        Selection { path, written: Vec::new(), switches: Switches::every_entry(), pattern: Pattern::Literal }
    }
}
