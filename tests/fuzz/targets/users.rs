//! The users file, hashes included: each line is a user or a problem with its number, and no hash is told to anybody.

use std::path::Path;

use ferryd::account::{Credentials, Proof, Secret};
use ferryd::auth::{Accounts, Error};
use ferryd::limits::USER_OCTETS_MAX;

use super::{shown, with_file};

pub fn run(octets: &[u8]) {
    with_file("users", octets, |path| {
        let accounts = Accounts { directory: "/srv".into(), anonymous: None, named: vec![], file: Some(path.clone()) };
        let lines: Vec<&[u8]> = lines(octets);
        match accounts.load() {
            Ok((users, warnings)) => {
                for account in users.named() {
                    let name = account.name.as_str();
                    assert!(!name.is_empty() && name.len() <= USER_OCTETS_MAX && !name.chars().any(char::is_control));
                    assert!(account.root.is_absolute() && !account.anonymous, "{account:?}");
                    let own = lines.iter().filter(|line| line.starts_with([name.as_bytes(), b":"].concat().as_slice()));
                    assert_eq!(own.count(), 1, "{account:?}");
                    // What may take long is no answer at once, and no hash is a password.
                    let password = Secret::new(octets.to_vec());
                    let credentials = Credentials { user: name.into(), proof: Proof::Password(password) };
                    assert!(users.verify_at_once(&credentials).is_none(), "{account:?}");
                }
                assert_eq!(users.is_empty(), users.named().next().is_none());
                assert!(users.named().count() <= lines.len());
                assert!(users.named().next().is_none() || users.is_costly());
                let told =
                    [users.describe(), warnings, vec![users.summary(), format!("{users:?}")]].concat().join("\n");
                tells_no_hash(&told, &lines, path);
            }
            Err(error) => {
                let Error::Lines { problems, .. } = &error else { panic!("{error}") };
                assert!(!problems.is_empty());
                for problem in problems {
                    let number = problem.strip_prefix("line ").and_then(|rest| rest.split(':').next());
                    let number: usize = number.and_then(|number| number.parse().ok()).expect("a line has a number");
                    let line = octets.split(|octet| *octet == b'\n').nth(number.wrapping_sub(1));
                    assert!(line.is_some_and(|line| !line.trim_ascii().is_empty()), "{problem}: {}", shown(octets));
                }
                for told in [error.to_string(), format!("{error:#}")] {
                    assert!(!told.contains('\x1b') && !told.contains('\r'), "{}", told.escape_debug());
                    tells_no_hash(&told, &lines, path);
                }
            }
        }
    });
}

/// Lines that are no comments.
fn lines(octets: &[u8]) -> Vec<&[u8]> {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let lines = octets.split(|octet| *octet == b'\n');
    lines.filter(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#")).collect()
}

/// The second field is nobody's business, unless the same also stands where a name, a home or a right does.
fn tells_no_hash(told: &str, lines: &[&[u8]], path: &Path) {
    let told = told.replace(path.to_string_lossy().as_ref(), "");
    let fields = || lines.iter().flat_map(|line| line.split(|octet| *octet == b':').enumerate());
    for (_, hash) in fields().filter(|(at, _)| *at == 1) {
        let Ok(hash) = std::str::from_utf8(hash) else { continue };
        let secret = hash.strip_prefix('$').and_then(|hash| hash.rsplit('$').next()).filter(|hash| hash.len() > 12);
        // What has a space may be a part of the message.
        let secret = secret.filter(|secret| !secret.contains(' '));
        let Some(secret) = secret.filter(|secret| told.contains(secret)) else { continue };
        let mut other = fields().filter(|(at, _)| *at != 1).map(|(_, field)| String::from_utf8_lossy(field));
        // A name is shown with its backslashes doubled.
        let elsewhere = other.any(|field| format!("{field} {field:?}").contains(secret));
        assert!(elsewhere, "a hash is told: {told}");
    }
}
