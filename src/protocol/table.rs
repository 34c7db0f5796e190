//! The rows of all sections put together: find a command, and what FEAT, HELP and the README say of them.

use super::command::{Command, DuringTransfer, Run};
use super::commands::{access, extension, parameter, security, service};

/// Every command, section by section.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    [access::TABLE, parameter::TABLE, service::TABLE, extension::TABLE, security::TABLE].into_iter().flatten()
}

/// Whether a command needs TLS to be set up.
pub(super) fn is_security(command: &Command) -> bool {
    security::TABLE.iter().any(|row| row.verb == command.verb)
}

/// The row of `verb`, in whatever case it came.
pub fn find(verb: &[u8]) -> Option<&'static Command> {
    commands().find(|command| command.verb.as_bytes().eq_ignore_ascii_case(verb))
}

/// Splits a line at its first space (RFC 959 section 5.3.1: `verb <SP> argument`).
pub fn split(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|octet| *octet == b' ') {
        Some(space) => (&line[..space], &line[space + 1..]),
        None => (line, b""),
    }
}

/// Whether a line is an ABOR.
pub fn is_abort(line: &[u8]) -> bool {
    split(line).0.eq_ignore_ascii_case(b"ABOR")
}

/// A browser, or somebody who misuses one: no reply, so that nothing of the request is echoed (as CVE-2021-3618 did).
pub(super) fn is_http(verb: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] =
        [b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"CONNECT", b"TRACE", b"PATCH"];
    METHODS.iter().any(|method| verb.eq_ignore_ascii_case(method))
}

/// The table of commands as the README has it; a test holds the two together.
pub fn markdown() -> String {
    let mut text =
        String::from("| command | argument | defined in | right | during a transfer |\n|---|---|---|---|---|\n");
    for command in commands() {
        let right = match (command.right, command.run) {
            (Some(right), _) => format!("{right:?}"),
            (None, Run::Open(_)) => "none, before login too".into(),
            (None, _) => "none".into(),
        };
        let during = match command.during_transfer {
            DuringTransfer::Waits => "waits",
            DuringTransfer::Answered => "answered",
        };
        let syntax = command.syntax.replace('|', "\\|");
        let syntax = if syntax.is_empty() { String::new() } else { format!("`{syntax}`") };
        text += &format!("| {} | {syntax} | {} | {right} | {during} |\n", command.verb, command.spec);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_found_in_any_case_and_only_once() {
        for command in commands() {
            assert!(command.verb.bytes().all(|octet| octet.is_ascii_uppercase()), "{}", command.verb);
            assert_eq!(find(command.verb.to_lowercase().as_bytes()).unwrap().verb, command.verb);
            assert_eq!(commands().filter(|other| other.verb == command.verb).count(), 1, "{}", command.verb);
        }
        assert!(find(b"").is_none() && find(b"NOPE").is_none() && find(b"RETRX").is_none());
    }

    #[test]
    fn lines_split_at_the_first_space_only() {
        assert_eq!(split(b"RETR  a b"), (&b"RETR"[..], &b" a b"[..]));
        assert_eq!(split(b"PWD"), (&b"PWD"[..], &b""[..]));
        assert!(is_abort(b"abor") && !is_abort(b"ABORT"));
    }
}
