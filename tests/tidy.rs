//! The drawing in `src/lib.rs` is held here: floors and arrows, who may name which crate, the size of files and
//! functions; and, in `tidy/readme.rs`, the README's tables.

#[path = "tidy/readme.rs"]
mod readme;

use std::fs;
use std::path::{Path, PathBuf};

/// A module names only modules on lower floors. `main.rs` and `lib.rs` stand outside the house.
#[rustfmt::skip]
const FLOORS: &[(u32, &[&str])] = &[
    (0, &["limits", "time", "sys"]),
    (1, &["account", "fs", "net", "reactor", "log"]),
    (2, &["listing", "auth", "confine"]),
    (3, &["job", "options"]),
    (4, &["protocol", "transfer"]),
    (5, &["server"]),
];

/// Crates, and the only modules that name them.
#[rustfmt::skip]
const CRATES: &[(&str, &[&str])] = &[
    ("rustix",          &["sys", "fs", "net", "auth", "log", "confine"]),
    ("slab",            &["reactor"]),
    ("mio",             &["reactor", "net", "server"]),
    ("socket2",         &["net", "server"]),
    ("simplelog",       &["log"]),
    ("clap",            &["options"]),
    ("signal_hook",     &["server"]),
    ("signal_hook_mio", &["server"]),
    ("argon2",          &["auth"]),
    ("bcrypt",          &["auth"]),
    ("sha_crypt",       &["auth"]),
    ("yescrypt",        &["auth"]),
    ("subtle",          &["auth"]),
    ("zeroize",         &["account", "auth", "net", "options"]),
    ("rcgen",           &["net"]),
    ("rustls",          &["net"]),
    ("ring",            &["net"]),
    ("nix",             &["net", "confine"]),
    ("landlock",        &["confine"]),
    ("seccompiler",     &["confine"]),
];

/// What a module must not name, beside what the floors and crates say.
#[rustfmt::skip]
const ABSENT: &[(&str, &[&str])] = &[
    ("protocol", &["std::net::Tcp", "TcpStream", "TcpListener", "std::thread", "thread::", "Instant", "SystemTime", "std::fs"]),
    ("transfer", &["std::thread", "Instant", "SystemTime"]),
    ("reactor",  &["FTP", "ftp"]),
    ("job",      &["fn "]),
];

const FILE_LINES_MAX: usize = 450;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_WIDTH_MAX: usize = 120;

/// A file of `src`.
struct Source {
    path: PathBuf,
    /// The module below the crate that it belongs to; nothing for `main.rs` and `lib.rs`.
    module: Option<String>,
    /// How many modules deep it is: 0 for `lib.rs`, 1 for `fs/mod.rs`, 2 for `fs/root.rs`.
    depth: usize,
    text: String,
}

impl Source {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Each line with its number, comments and the content of strings taken out.
    fn code(&self) -> Vec<(usize, String)> {
        self.text.lines().map(code_of).enumerate().map(|(index, line)| (index + 1, line)).collect()
    }

    /// As `code`, up to the tests, which stand last in a file, or in `tests.rs` beside it.
    fn code_before_tests(&self) -> Vec<(usize, String)> {
        if self.path.ends_with("tests") {
            return Vec::new();
        }
        let code = self.code();
        let end = code.iter().position(|(_, line)| line.trim() == "#[cfg(test)]").unwrap_or(code.len());
        code.into_iter().take(end).collect()
    }
}

/// Every file of `src`, in the order of its path.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut paths);
    paths.sort();
    paths.into_iter().map(read_source).collect()
}

fn gather(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("src is there") {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn read_source(path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).unwrap();
    let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().with_extension("");
    let parts: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let named: Vec<&String> = parts.iter().filter(|part| *part != "mod").collect();
    let outside = matches!(named.as_slice(), [only] if *only == "main" || *only == "lib");
    let module = named.first().filter(|_| !outside).map(|name| (*name).clone());
    Source { path: Path::new("src").join(relative), module, depth: if outside { 0 } else { named.len() }, text }
}

/// A line without its comment and without what is in its strings.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut characters = line.chars().peekable();
    let mut in_string = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_string => drop(characters.next()),
            '"' => {
                in_string = !in_string;
                code.push('"');
            }
            // A quote as a character, which opens no string.
            '\'' if !in_string && characters.peek() == Some(&'"') => drop(characters.next()),
            '/' if !in_string && characters.peek() == Some(&'/') => break,
            _ if in_string => {}
            _ => code.push(character),
        }
    }
    code
}

fn report(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn floor(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(_, modules)| modules.contains(&module)).map(|(floor, _)| *floor)
}

/// Whether `code` holds `word` as a whole path segment, followed by `::` or the end of a name.
fn names(code: &str, word: &str) -> bool {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

/// The modules of this crate that a file names: `crate::name`, `crate::{a, b::c}`, and `super::` up to the crate.
fn modules_named(source: &Source) -> Vec<(usize, String)> {
    let code = source.code();
    let whole: String = code.iter().map(|(_, line)| format!("{line}\n")).collect();
    let up = "super::".repeat(source.depth);
    let mut found = Vec::new();
    for root in ["crate::", up.as_str()].into_iter().filter(|root| !root.is_empty()) {
        for (at, _) in whole.match_indices(root) {
            if whole[..at].ends_with("::") || whole[..at].ends_with('$') {
                continue;
            }
            let number = whole[..at].matches('\n').count() + 1;
            found.extend(first_names(&whole[at + root.len()..]).into_iter().map(|name| (number, name)));
        }
    }
    found
}

/// `a::b` → a; `{a, b::{c, d}}` → a, b.
fn first_names(text: &str) -> Vec<String> {
    let is_name = |character: &char| character.is_alphanumeric() || *character == '_';
    let name = |text: &str| text.trim_start().chars().take_while(is_name).collect::<String>();
    let Some(inner) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut found = vec![name(inner)];
    let mut depth = 0;
    for (at, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(name(&inner[at + 1..])),
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn arrows_lead_down() {
    let mut faults = Vec::new();
    for source in sources() {
        let Some(module) = &source.module else { continue };
        let Some(own) = floor(module) else {
            faults.push(format!("{}: '{module}' stands on no floor of tests/tidy.rs", source.name()));
            continue;
        };
        for (number, named) in modules_named(&source) {
            // What is no module is an item that lib.rs shows again, or a macro.
            let below = floor(&named).is_none_or(|floor| floor < own);
            if named != *module && !below {
                faults.push(format!("{}.rs:{number}: {module} (floor {own}) names {named}", source.name()));
            }
        }
    }
    report(faults);
}

#[test]
fn crates_have_one_door() {
    let mut faults = Vec::new();
    for source in sources() {
        for (number, line) in source.code() {
            let named = CRATES
                .iter()
                .filter(|(name, _)| starts(&line, &format!("{name}::")) || line.contains(&format!(" {name};")));
            for (name, modules) in named {
                let own_module = line.contains(&format!("crate::{name}")) || line.contains(&format!("super::{name}"));
                let allowed = source.module.as_ref().is_some_and(|module| modules.contains(&module.as_str()));
                if !allowed && !own_module {
                    faults.push(format!("{}.rs:{number}: names {name}; only {modules:?} may", source.name()));
                }
            }
        }
    }
    report(faults);
}

#[test]
fn what_is_absent_on_purpose_is_absent() {
    let mut faults = Vec::new();
    for source in sources() {
        let absent = ABSENT.iter().filter(|(module, _)| source.module.as_deref() == Some(*module));
        for word in absent.flat_map(|(_, words)| *words) {
            for (number, line) in source.code_before_tests() {
                let found = if word.ends_with([':', ' ']) {
                    line.contains(word)
                } else {
                    line.contains(word) && starts(&line, word)
                };
                if found {
                    faults.push(format!("{}.rs:{number}: names {word}", source.name()));
                }
            }
        }
    }
    report(faults);
}

/// Whether `word` stands at the beginning of a name somewhere in `line`.
fn starts(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_'))
}

#[test]
fn nothing_is_unwrapped_and_nothing_is_unsafe() {
    let mut faults = Vec::new();
    for source in sources() {
        for (number, line) in source.code_before_tests() {
            for word in [".unwrap()", ".expect(", ".unwrap_err()", "panic!(", "todo!(", "unimplemented!(", "dbg!("] {
                if line.contains(word) {
                    faults.push(format!("{}.rs:{number}: {word}", source.name()));
                }
            }
            if names(&line, "unsafe") {
                faults.push(format!("{}.rs:{number}: unsafe", source.name()));
            }
        }
    }
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    assert!(lib.contains("#![forbid(unsafe_code)]"), "src/lib.rs does not forbid unsafe code");
    report(faults);
}

/// Tests and benches are rooms too.
#[test]
fn tests_and_benches_fit() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut paths, mut faults) = (Vec::new(), Vec::new());
    ["tests", "benches"].iter().for_each(|directory| gather(&home.join(directory), &mut paths));
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (name, lines) = (path.strip_prefix(home).unwrap().display(), text.lines().count());
        if !text.starts_with("//! ") {
            faults.push(format!("{name}: does not open with //!"));
        }
        if lines > FILE_LINES_MAX {
            faults.push(format!("{name}: {lines} lines, at most {FILE_LINES_MAX}"));
        }
    }
    report(faults);
}

#[test]
fn files_and_functions_fit() {
    let mut faults = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        let name = source.name();
        if !source.text.starts_with("//! ") {
            faults.push(format!("{name}.rs: does not open with //!"));
        }
        if lines.len() > FILE_LINES_MAX {
            faults.push(format!("{name}.rs: {} lines, at most {FILE_LINES_MAX}", lines.len()));
        }
        if source.path.ends_with("main") && lines.len() > 60 {
            faults.push(format!("{name}.rs: {} lines, at most 60", lines.len()));
        }
        for (number, width) in wide_lines(&lines) {
            faults.push(format!("{name}.rs:{number}: {width} columns, at most {LINE_WIDTH_MAX}"));
        }
        for (number, length) in long_functions(&lines) {
            faults.push(format!("{name}.rs:{number}: a function of {length} lines, at most {FUNCTION_LINES_MAX}"));
        }
    }
    report(faults);
}

/// Lines that are too wide; tables, which rustfmt is told to leave alone, may be.
fn wide_lines(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut in_table = false;
    for (index, line) in lines.iter().enumerate() {
        in_table |= line.trim() == "#[rustfmt::skip]";
        let width = line.chars().count();
        if width > LINE_WIDTH_MAX && !in_table {
            found.push((index + 1, width));
        }
        in_table &= !matches!(line.trim_end(), "];" | "}");
    }
    found
}

/// Functions that are too long. rustfmt puts the brace that ends one under the line that begins it.
fn long_functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let begins = |line: &str| {
        let line = line.trim_start();
        let line = ["pub ", "pub(crate) ", "pub(super) ", "const "]
            .iter()
            .fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
        line.starts_with("fn ")
    };
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| begins(line)) {
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        if line.ends_with('}') || line.ends_with(';') {
            continue;
        }
        let length = lines[index..].iter().position(|line| *line == end).map_or(0, |length| length + 1);
        if length > FUNCTION_LINES_MAX {
            found.push((index + 1, length));
        }
    }
    found
}

#[test]
fn the_tools_of_this_test_work() {
    assert_eq!(code_of("let a = \"crate::x\"; // crate::y"), "let a = \"\"; ");
    assert_eq!(code_of("'\"' => crate::z"), "' => crate::z");
    assert_eq!(first_names("{a, b::{c, d}, e as f};"), ["a", "b", "e"]);
    assert_eq!(first_names("fs::Root"), ["fs"]);
    let text = "use crate::{a, b::C};\nuse super::super::d;\nuse crate::protocol::{e};\n".to_owned();
    let source = Source { path: PathBuf::new(), module: None, depth: 2, text };
    let expected = [(1, "a"), (1, "b"), (3, "protocol"), (2, "d")].map(|(number, name)| (number, name.to_owned()));
    assert_eq!(modules_named(&source), expected);
    assert!(names("use mio::Poll", "mio") && !names("mio_x::y", "mio"));
    let long = ["fn a() {"].into_iter().chain(std::iter::repeat_n("    x;", 70)).chain(["}"]).collect::<Vec<_>>();
    assert_eq!(long_functions(&long), [(1, 72)]);
}
