//! Which facts MLST and MLSD show: RFC 3659 section 7.5, and OPTS MLST (section 7.9). Pure.

use std::fmt;

/// One fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    Type,
    Size,
    Modify,
    Perm,
    Unique,
    Mode,
    Uid,
    Gid,
    Owner,
    Group,
}

const ALL: [(Fact, &str); 10] = [
    (Fact::Type, "type"),
    (Fact::Size, "size"),
    (Fact::Modify, "modify"),
    (Fact::Perm, "perm"),
    (Fact::Unique, "unique"),
    (Fact::Mode, "UNIX.mode"),
    (Fact::Uid, "UNIX.uid"),
    (Fact::Gid, "UNIX.gid"),
    (Fact::Owner, "UNIX.owner"),
    (Fact::Group, "UNIX.group"),
];

/// The facts that a session has chosen; all, until it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactSet(u16);

impl Default for FactSet {
    fn default() -> FactSet {
        FactSet((1 << ALL.len()) - 1)
    }
}

impl FactSet {
    /// RFC 3659 section 7.9: `OPTS MLST type;size;`; unknown facts are left out.
    pub fn chosen(text: &[u8]) -> FactSet {
        let wanted = |name: &str| {
            text.split(|octet| *octet == b';').any(|fact| fact.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
        };
        FactSet(ALL.iter().filter(|(_, name)| wanted(name)).fold(0, |bits, (fact, _)| bits | 1 << *fact as u16))
    }

    /// Whether `fact` is shown.
    pub fn has(self, fact: Fact) -> bool {
        self.0 & (1 << fact as u16) != 0
    }

    /// RFC 3659 section 7.8: all facts, an asterisk behind each that is chosen.
    pub fn feature(self) -> String {
        ALL.iter().map(|(fact, name)| format!("{name}{};", if self.has(*fact) { "*" } else { "" })).collect()
    }
}

impl fmt::Display for FactSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ALL.iter().filter(|(fact, _)| self.has(*fact)).try_for_each(|(_, name)| write!(f, "{name};"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_chosen_in_any_case() {
        let chosen = FactSet::chosen(b"Type;SIZE;nonsense;");
        assert_eq!(chosen.to_string(), "type;size;");
        assert!(chosen.feature().starts_with("type*;size*;modify;perm;"));
        assert_eq!(FactSet::chosen(b"").to_string(), "");
        assert_eq!(FactSet::chosen(b"unix.MODE").to_string(), "UNIX.mode;");
    }
}
