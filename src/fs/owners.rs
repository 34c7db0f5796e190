//! Names of users and groups, as /etc/passwd and /etc/group have them.
//!
//! They are read once, at start: a name service may wait, and a listing may not.

use std::collections::HashMap;
use std::fmt;
use std::fs;

/// The names that ids have on this host.
#[derive(Debug, Default)]
pub struct Owners {
    users: HashMap<u32, Box<str>>,
    groups: HashMap<u32, Box<str>>,
}

/// A name, or a number that has none.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    Name(&'a str),
    Id(u32),
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Name(name) => f.pad(name),
            // A number is padded to the right side by itself; names stand at the left.
            Owner::Id(id) => match f.width() {
                Some(width) => write!(f, "{id:<width$}"),
                None => write!(f, "{id}"),
            },
        }
    }
}

impl Owners {
    /// Reads the two files; what cannot be read leaves numbers.
    pub fn load() -> Owners {
        Owners { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    /// The name of a user.
    pub fn user(&self, id: u32) -> Owner<'_> {
        self.users.get(&id).map_or(Owner::Id(id), |name| Owner::Name(name))
    }

    /// The name of a group.
    pub fn group(&self, id: u32) -> Owner<'_> {
        self.groups.get(&id).map_or(Owner::Id(id), |name| Owner::Name(name))
    }
}

fn read(file: &str) -> HashMap<u32, Box<str>> {
    let text = fs::read(file).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// `name:password:id:...`; the first name of an id is its name, and one that would break a listing's columns is none.
fn parse(text: &str) -> HashMap<u32, Box<str>> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(_), Some(Ok(id))) = (fields.next(), fields.next(), fields.next().map(str::parse))
            && !name.is_empty()
            && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b';')
        {
            names.entry(id).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let users = parse("root:x:0:0::/root:/bin/sh\ntoor:x:0:\nbad name:x:5:\nshort\n+::\nbob:x:1000:");
        let owners = Owners { users, groups: HashMap::new() };
        assert_eq!(
            format!("{}|{:<6}|{:<6}|", owners.user(0), owners.user(1000), owners.group(7)),
            "root|bob   |7     |"
        );
        assert_eq!(owners.user(5).to_string(), "5");
    }
}
