//! Listings that would be endless: depth, number, patterns, and STAT, whose answer is one reply.

use ferryd::limits::{
    RECURSION_DEPTH_MAX, RECURSION_ENTRIES_MAX, SORTED_ENTRIES_MAX, STAT_ENTRIES_MAX, STAT_OCTETS_MAX,
};

use super::{login, peak, resident, serve};
use crate::support::Tree;

#[test]
fn list_r_goes_so_deep_and_follows_no_link() {
    let tree = Tree::new();
    let mut path = String::new();
    for depth in 0..RECURSION_DEPTH_MAX + 20 {
        path.push_str(&format!("d{depth}/"));
    }
    tree.directory(&path).link("d0/loop", "..").link("d0/d1/self", ".");
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let (text, reply) = client.list("LIST -R");
    assert!(reply.code == 451 && reply.text().contains(&RECURSION_DEPTH_MAX.to_string()), "{reply}");
    server.wait_for_log("[WARN] 127.0.0.1: a listing was cut: LIST -R goes no deeper");
    let headlines = text.lines().filter(|line| line.ends_with(':')).count();
    assert!((RECURSION_DEPTH_MAX..=RECURSION_DEPTH_MAX + 1).contains(&headlines), "{headlines} directories:\n{text}");
    assert!(text.contains("loop -> ..") && !text.contains("loop/"), "{text}");
    // A second one is told to the client, and not to the log.
    assert_eq!(client.list("NLST -R").1.code, 451);
    assert_eq!(server.log().matches("a listing was cut").count(), 1);
    // What is as deep as it may be is whole.
    let deep: String = (20..RECURSION_DEPTH_MAX + 20).map(|depth| format!("d{depth}/")).collect();
    let top: String = (0..20).map(|depth| format!("d{depth}/")).collect();
    let (text, reply) = client.list(format!("LIST -R {top}"));
    assert!(reply.code == 226 && text.contains(&format!("{top}{}:", deep.trim_end_matches('/'))), "{reply}\n{text}");
}

#[test]
fn list_r_shows_so_many() {
    let tree = Tree::new();
    let (directories, each) = (RECURSION_ENTRIES_MAX / 1_000 + 3, 1_000);
    for directory in 0..directories {
        tree.directory(format!("{directory:03}"));
        for number in 0..each {
            std::fs::File::create(tree.at(format!("{directory:03}/{number:04}"))).unwrap();
        }
    }
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let before = resident(&server);
    let (text, reply) = client.list("LIST -R");
    assert!(reply.code == 451 && reply.text().contains(&RECURSION_ENTRIES_MAX.to_string()), "{reply}");
    server.wait_for_log("[WARN] 127.0.0.1: a listing was cut: LIST -R shows no more entries");
    let entries = |text: &str| text.lines().filter(|line| line.starts_with(['-', 'd'])).count();
    assert_eq!(entries(&text), RECURSION_ENTRIES_MAX);
    assert!(resident(&server) < before + 8 * 1024 * 1024, "a listing is not held as a whole");
    // As many as may be are not too many.
    for directory in RECURSION_ENTRIES_MAX / 1_000..directories {
        std::fs::remove_dir_all(tree.at(format!("{directory:03}"))).unwrap();
    }
    for number in each - RECURSION_ENTRIES_MAX / 1_000..each {
        std::fs::remove_file(tree.at(format!("000/{number:04}"))).unwrap();
    }
    let (text, reply) = client.list("LIST -R");
    assert_eq!((reply.code, entries(&text)), (226, RECURSION_ENTRIES_MAX));
}

#[test]
fn list_r_holds_no_path_for_each_directory() {
    let tree = Tree::new();
    // Names of 255 octets: what they are in is as long as a path may be.
    let deep = vec!["d".repeat(255); 15].join("/");
    tree.directory(&deep);
    let directories = 2_500;
    for number in 0..directories {
        std::fs::create_dir(tree.at(format!("{deep}/{number}"))).unwrap();
    }
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    client.list("LIST");
    let before = peak(&server);
    let (text, reply) = client.list(format!("LIST -R {deep}"));
    assert_eq!((reply.code, text.lines().filter(|line| line.ends_with(':')).count()), (226, directories));
    assert!(peak(&server) < before + 8 * 1024 * 1024, "{before} octets of memory became {}", peak(&server));
}

#[test]
fn a_directory_that_is_too_large_to_sort_is_listed_whole() {
    let tree = Tree::new();
    for number in 0..SORTED_ENTRIES_MAX + 1_000 {
        std::fs::File::create(tree.at(format!("{number:05}"))).unwrap();
    }
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    for line in ["LIST", "NLST", "MLSD", "LIST -t", "NLST *", "LIST -a"] {
        let (text, reply) = client.list(line);
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        names.retain(|name| name.len() == 5);
        names.sort_unstable();
        names.dedup();
        assert_eq!((reply.code, names.len()), (226, SORTED_ENTRIES_MAX + 1_000), "{line}");
    }
    // What fits is sorted.
    let mut numbers: Vec<usize> = (0..SORTED_ENTRIES_MAX + 1_000).collect();
    for number in numbers.split_off(SORTED_ENTRIES_MAX / 2) {
        std::fs::remove_file(tree.at(format!("{number:05}"))).unwrap();
    }
    let (text, _) = client.list("NLST");
    let names: Vec<&str> = text.lines().collect();
    assert!(names.is_sorted() && names.len() == SORTED_ENTRIES_MAX / 2);
}

#[test]
fn stat_of_a_large_directory_is_cut() {
    let tree = Tree::new();
    for number in 0..STAT_ENTRIES_MAX * 2 {
        std::fs::File::create(tree.at(format!("{number:05}"))).unwrap();
        tree.file(format!("long/{}{number:05}", "n".repeat(240)), "");
    }
    let server = serve(&tree, &[]);
    let mut client = login(&server);
    let status = client.say("STAT /");
    assert!(status.text().contains("There may be more"), "{status}");
    server.wait_for_log("[WARN] 127.0.0.1: a listing was cut: STAT shows no more in one reply");
    assert!(status.lines.len() <= STAT_ENTRIES_MAX + 3 && status.lines.len() > 100, "{} lines", status.lines.len());
    let status = client.say("STAT long");
    let octets: usize = status.lines.iter().map(Vec::len).sum();
    assert!(octets <= STAT_OCTETS_MAX + 64 * 1024, "{octets} octets");
    client.expect("NOOP", 200);
    // As many as may be are not too many.
    for number in STAT_ENTRIES_MAX - 1..STAT_ENTRIES_MAX * 2 {
        std::fs::remove_file(tree.at(format!("{number:05}"))).unwrap();
    }
    let status = client.say("STAT /");
    assert!(!status.text().contains("There may be more") && status.text().contains("00998"), "{status}");
    assert_eq!(server.log().matches("a listing was cut").count(), 1);
}

#[test]
fn no_pattern_takes_for_ever() {
    let tree = Tree::new();
    for length in 200..255 {
        tree.file("a".repeat(length), "");
    }
    tree.directory("x/y/z").file("x/y/z/f", "");
    let server = serve(&tree, &[]);
    let (mut client, mut other) = (login(&server), login(&server));
    let stars = format!("{}b", "*a".repeat(100));
    let classes = format!("{}b", "*[a-z]".repeat(40));
    let questions = format!("{}*", "*?".repeat(120));
    let braces = "{a,b}".repeat(20);
    for pattern in
        [stars.as_str(), &classes, &questions, &braces, "*****************b", "[[[[[[", "*/*/*/*/../../../*", "{{{{"]
    {
        for verb in ["LIST", "NLST", "STAT"] {
            let line = format!("{verb} {pattern}");
            let reply = if verb == "STAT" { client.say(&line) } else { client.list(&line).1 };
            assert!([212, 213, 226, 450, 501, 550, 553].contains(&reply.code), "{line}: {reply}");
            other.expect("NOOP", 200);
        }
    }
    assert_eq!(client.list("NLST x*").1.code, 226);
    // Braces mean themselves: nothing is made of them that grows.
    tree.file("{a,b}", "");
    assert_eq!(client.list("NLST {a,b}").0, "{a,b}\r\n");
    assert!([450, 550].contains(&client.list("NLST {a,c}").1.code));
}
