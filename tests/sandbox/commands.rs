//! The commands as the server itself has them, so that a new one is tried by every test that tries all of them.

use ferryd::account::Right;
use ferryd::protocol::command::Run;
use ferryd::protocol::table;

use crate::support::Client;

/// A command that takes a pathname.
#[derive(Clone, Debug)]
pub struct Taker {
    /// With `*` where the pathname stands.
    pub line: String,
    pub has_data: bool,
    /// What it needs; nothing for those that say so themselves (MFF, SITE).
    pub right: Option<Right>,
}

impl Taker {
    /// The line for this pathname, which may be any octets.
    pub fn with(&self, pathname: impl AsRef<[u8]>) -> Vec<u8> {
        let (before, after) = self.line.split_once('*').unwrap();
        [before.as_bytes(), pathname.as_ref(), after.as_bytes()].concat()
    }

    /// Whether the line begins with this command.
    pub fn is(&self, verb: &str) -> bool {
        self.line.split(' ').next() == Some(verb)
    }
}

/// Every command that takes a pathname: rows of the table, and what SITE HELP tells.
pub fn takers(client: &mut Client) -> Vec<Taker> {
    let mut takers = Vec::new();
    for command in table::commands() {
        let takes_path = matches!(
            command.run,
            Run::Path(_) | Run::OptionalPath(_) | Run::TransferPath(_) | Run::TransferOptionalPath(_)
        );
        let told = command.syntax.contains("pathname");
        assert!(told || !takes_path, "{}: takes a pathname and does not say so in its syntax", command.verb);
        if told {
            let lines = spelled(&format!("{} {}", command.verb, command.syntax));
            let has_data = command.run.is_transfer();
            takers.extend(lines.into_iter().map(|line| Taker { line, has_data, right: command.right }));
        }
    }
    let site = client.expect("SITE HELP", 214).text();
    for line in site.lines().filter(|line| line.contains("pathname")) {
        takers.extend(spelled(line).into_iter().map(|line| Taker { line, has_data: false, right: None }));
    }
    assert!(takers.len() > 25, "{takers:?}");
    takers
}

/// A syntax with something in the place of each word: `SITE CHMOD <SP> mode <SP> pathname` → `SITE CHMOD 777 *`.
fn spelled(syntax: &str) -> Vec<String> {
    let words = syntax.replace("[<SP>", "<SP>").replace("pathname]", "pathname").replace("-switches]", "-switches");
    let mut lines = vec![String::new()];
    for (number, part) in words.split("<SP>").map(str::trim).enumerate() {
        let written: &[&str] = match part {
            verb if number == 0 => &[verb],
            "pathname" => &["*"],
            "-switches" => &["", "-R", "-la"],
            "mode" => &["777"],
            "time-val" | "YYYYMMDDHHMM[SS]" => &["20010101000000"],
            "facts" => &["Modify=20010101000000;UNIX.mode=0777;"],
            other => panic!("{syntax}: what would be a {other}? Tell it here"),
        };
        let longer =
            |line: &String| written.iter().map(|word| format!("{line} {word}").trim().to_owned()).collect::<Vec<_>>();
        lines = lines.iter().flat_map(longer).collect();
    }
    lines
}

#[test]
fn syntaxes_become_lines() {
    assert_eq!(spelled("SITE CHMOD <SP> mode <SP> pathname"), ["SITE CHMOD 777 *"]);
    assert_eq!(spelled("LIST [<SP> -switches] [<SP> pathname]"), ["LIST *", "LIST -R *", "LIST -la *"]);
    assert_eq!(spelled("RETR <SP> pathname"), ["RETR *"]);
}
