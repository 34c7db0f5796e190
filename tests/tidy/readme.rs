//! The README's tables are made of the code.
//!
//! `FERRYD_BLESS=1 cargo test --test tidy` writes them into the README anew.

use std::fs;
use std::path::Path;

#[test]
fn the_readme_tells_the_commands() {
    readme_section("commands", &ferryd::protocol::table::markdown());
}

#[test]
fn the_readme_tells_the_limits() {
    let limits = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/limits.rs")).unwrap();
    readme_section("limits", &limits_table(&limits));
}

/// The constants of `src/limits.rs` with the comments above them.
fn limits_table(text: &str) -> String {
    let mut table = String::from("| limit | value | why |\n|---|---|---|\n");
    let mut why = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("///") {
            why.push(comment.trim());
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            let (name, rest) = constant.split_once(": ").expect("a constant has a type");
            let (_, value) = rest.split_once(" = ").expect("a constant has a value");
            let value = value.trim_end_matches(';');
            assert!(!why.is_empty(), "{name} has no reason");
            table += &format!("| `{name}` | {} | {} |\n", shown(name, value), why.join(" ").replace('|', "\\|"));
            why.clear();
        } else {
            why.clear();
        }
    }
    table
}

/// The value of a constant with the unit that its name or its type says: 16 KiB, 5 s, 4,096.
fn shown(name: &str, value: &str) -> String {
    let inside = |begin: &str| value.strip_prefix(begin).and_then(|rest| rest.strip_suffix(')'));
    if let Some(seconds) = inside("Duration::from_secs(") {
        return format!("{} s", grouped(product(seconds)));
    }
    if let Some(millis) = inside("Duration::from_millis(") {
        return format!("{} ms", grouped(product(millis)));
    }
    let value = product(value);
    let octets = match () {
        () if name.contains("OCTETS") => value,
        () if name.contains("_KIB") => value * 1024,
        () => return grouped(value),
    };
    match octets {
        _ if octets % (1024 * 1024) == 0 => format!("{} MiB", octets >> 20),
        _ if octets % 1024 == 0 => format!("{} KiB", octets >> 10),
        _ => format!("{} octets", grouped(octets)),
    }
}

/// `366 * 86_400` as a number.
fn product(text: &str) -> u64 {
    let factor = |text: &str| text.trim().replace('_', "").parse::<u64>();
    text.split('*').map(|text| factor(text).unwrap_or_else(|_| panic!("not a number: {text}"))).product()
}

/// 31622400 → 31,622,400.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

/// Compares what stands in the README between `<!-- name -->` and `<!-- end -->` with `table`, or writes it there.
fn readme_section(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    // Two tests may bless the same file.
    static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let guard = WRITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let readme = fs::read_to_string(&path).expect("there is a README.md");
    let begin = format!("<!-- {name} -->\n");
    let start =
        readme.find(&begin).unwrap_or_else(|| panic!("README.md has no line {}", begin.trim_end())) + begin.len();
    let end = start + readme[start..].find("<!-- end -->").expect("<!-- end --> closes a section of README.md");
    if std::env::var_os("FERRYD_BLESS").is_some() {
        fs::write(&path, format!("{}{table}{}", &readme[..start], &readme[end..])).unwrap();
        return;
    }
    let same = readme[start..end] == *table;
    // The lock is given back first, so that a failure here is not one of the other test as well.
    drop(guard);
    assert!(same, "README.md's {name} are not those of the code: FERRYD_BLESS=1 cargo test --test tidy");
}

#[test]
fn values_are_shown_with_their_units() {
    assert_eq!((shown("A_OCTETS", "16 * 1024"), shown("A_MAX", "4_096")), ("16 KiB".into(), "4,096".into()));
    assert_eq!((shown("A_KIB_MAX", "2 * 1024"), shown("A_OCTETS", "16")), ("2 MiB".into(), "16 octets".into()));
    assert_eq!(shown("A", "Duration::from_secs(2 * 3_600)"), "7,200 s");
}
