//! Numbers at and beyond their edges, in every argument that has one. What is none is 501, what is one and cannot be is
//! refused, and the session goes on.

use super::{log_in, serve};
use crate::support::{Client, Tree};

/// What is no number, however it is looked at: signs, bases, exponents, digits of other scripts, and more than 64 bits.
const NO_NUMBERS: &[&str] = &[
    "-1",
    "+1",
    "--1",
    "0x10",
    "0b1",
    "1e9",
    "1.0",
    "1,0",
    "1_000",
    "1 000 000",
    "NaN",
    "inf",
    "\u{663}",
    "1\u{a0}",
    "-9223372036854775808",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "99999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999",
    "%d%n",
    "1;",
    "",
];

/// Says each line, and fails unless it is refused as a matter of syntax.
fn all_501(client: &mut Client, before: &str, values: impl IntoIterator<Item = impl AsRef<str>>, after: &str) {
    for value in values {
        client.expect(format!("{before}{}{after}", value.as_ref()), 501);
    }
}

#[test]
fn what_is_no_number_is_501() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    let mut client = log_in(&server);
    all_501(&mut client, "REST ", NO_NUMBERS, "");
    all_501(&mut client, "ALLO ", NO_NUMBERS, "");
    all_501(&mut client, "ALLO 1 R ", NO_NUMBERS, "");
    for verb in ["SITE IDLE ", "SITE UMASK "] {
        // Without an argument they tell what is set.
        all_501(&mut client, verb, NO_NUMBERS.iter().filter(|value| !value.is_empty()), "");
    }
    // What stands behind a space is the name.
    all_501(&mut client, "SITE CHMOD ", NO_NUMBERS.iter().filter(|value| !value.contains(' ')), " f");
    all_501(&mut client, "MFF UNIX.mode=", NO_NUMBERS, "; f");
    for time in ["MFMT ", "MFF Modify=", "SITE UTIME "] {
        all_501(&mut client, time, NO_NUMBERS, if time.starts_with("MFF") { "; f" } else { " f" });
    }
    for number in NO_NUMBERS.iter().filter(|value| !value.contains(',')) {
        all_501(&mut client, "PORT ", [format!("127,0,0,1,{number},1"), format!("127,0,{number},1,200,1")], "");
        all_501(&mut client, "EPRT ", [format!("|1|127.0.0.1|{number}|"), format!("|1|127.0.{number}.1|9000|")], "");
    }
    assert_eq!(tree.read("f").unwrap(), b"content");
    client.expect("SITE UMASK 022", 200);
    assert_eq!(client.retrieve("f").0, b"content");
}

#[test]
fn positions_that_no_file_has() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    let mut client = log_in(&server);
    for position in ["8", "4294967295", "4294967296", "4294967303", "9223372036854775807"] {
        for line in ["RETR f", "STOR f", "STOR new"] {
            client.expect("EPSV", 229);
            client.expect(format!("REST {position}"), 350);
            client.expect(line, 554);
        }
        // It has no meaning for these, and is forgotten behind them.
        client.expect(format!("REST {position}"), 350);
        assert_eq!(client.list("NLST").1.code, 226);
        assert_eq!(client.retrieve("f").0, b"content");
        client.expect(format!("REST {position}"), 350);
        assert_eq!(client.put(b"APPE g", b"x").code, 226);
        client.expect(format!("REST {position}"), 350);
        client.expect("SIZE f", 213);
        assert_eq!(client.retrieve("f").0, b"content");
    }
    // One more than a file can have: there is no such position.
    for position in ["9223372036854775808", "18446744073709551615"] {
        client.expect(format!("REST {position}"), 501);
    }
    assert_eq!((tree.read("f").unwrap(), tree.read("g").unwrap()), (b"content".to_vec(), b"xxxxx".to_vec()));
    assert!(!tree.at("new").exists());
}

#[test]
fn more_room_than_there_is() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = log_in(&server);
    for (size, code) in [
        ("0", 200),
        ("1", 200),
        ("9223372036854775807", 452),
        ("9223372036854775808", 452),
        ("18446744073709551615", 452),
    ] {
        client.expect(format!("ALLO {size}"), code);
        client.expect(format!("ALLO {size} R 18446744073709551615"), code);
    }
}

#[test]
fn a_time_is_refused_or_what_is_told_is_kept() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    let mut client = log_in(&server);
    let no_times = [
        "20260229000000",
        "20260230000000",
        "20250431000000",
        "20260000000000",
        "20261301000000",
        "20260101240000",
        "20260101006000",
        "20260101000061",
        "21000229000000",
        "-2026010100000",
        "+2026010100000",
        "2026010100000",
        "202601010000000",
        " 20260101000000",
        "20260101000000.",
        "20260101000000.-1",
        "20260101000000,5",
    ];
    all_501(&mut client, "MFMT ", no_times, " f");
    all_501(&mut client, "MFF Modify=", no_times, "; f");
    all_501(&mut client, "SITE UTIME ", no_times, " f");
    let times = [
        "00000101000000",
        "00000229000000",
        "00010101000000",
        "15821010000000",
        "19010101000000",
        "19691231235959",
        "19700101000000",
        "20380119031408",
        "21060207062816",
        "24460510223856",
        "20240229000000",
        "20000229235960",
        "99991231235959",
    ];
    // A file system that does not know the year keeps the nearest that it knows; the reply tells what was kept.
    for (set, reply) in [("MFMT @ f", "213 Modify=@; f"), ("MFF Modify=@; f", "213 Modify=@; f")] {
        for time in times {
            for fraction in ["", ".999999999", ".0000000000000000000000000000001"] {
                let told = client.expect(set.replace('@', &format!("{time}{fraction}")), 213).text();
                let kept = client.expect("MDTM f", 213).text();
                assert_eq!(told, reply.replace('@', &kept[4..]), "{time}");
            }
        }
    }
    client.expect("MFMT 20260101000060 f", 213);
    assert_eq!(client.expect("MDTM f", 213).text(), "213 20260101000100");
    assert_eq!(client.list("LIST").1.code, 226);
}

#[test]
fn no_setuid_setgid_or_sticky_bit() {
    use std::os::unix::fs::PermissionsExt;
    let tree = Tree::new();
    tree.file("f", "content").directory("d");
    let server = serve(&tree, &[]);
    let mut client = log_in(&server);
    let mode = |name: &str| std::fs::metadata(tree.at(name)).unwrap().permissions().mode() & 0o7777;
    for name in ["f", "d"] {
        client.expect(format!("SITE CHMOD 700 {name}"), 200);
        for bits in ["4777", "2777", "1777", "7777", "4000", "1000", "04755", "02755", "6755"] {
            client.expect(format!("SITE CHMOD {bits} {name}"), 504);
            client.expect(format!("MFF UNIX.mode={bits}; {name}"), 504);
            // Nor is anything else of the same command done.
            client.expect(format!("MFF Modify=20010101000000;UNIX.mode={bits}; {name}"), 504);
        }
        all_501(&mut client, "SITE CHMOD ", ["u+s", "10777", "104777", "0104777", "8", "778", "rwsrwxrwx"], " f");
        client.expect("SITE UMASK 7000", 501);
        assert_eq!(mode(name), 0o700, "{name}");
        assert_ne!(client.expect(format!("MDTM {name}"), 213).text(), "213 20010101000000");
    }
    // Whatever the umask: neither a new file nor a new directory has more than its nine bits.
    client.expect("SITE UMASK 000", 200);
    client.expect("MKD new", 257);
    assert_eq!(client.store("g", b"x").code, 226);
    assert_eq!((mode("new"), mode("g")), (0o777, 0o666));
}
