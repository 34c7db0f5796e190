//! curl: one URL for each thing that it does over FTP.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use super::{client, noise, run, run_any, serve, shown};
use crate::support::{Server, Tree};

/// curl as the user `u`, without the user's own configuration.
fn curl() -> Option<Command> {
    let mut command = client("curl")?;
    command.args(["-q", "-sS", "--globoff", "--max-time", "50", "-u", "u:secret"]);
    Some(command)
}

fn url(server: &Server, path: &str) -> String {
    format!("ftp://{}/{path}", server.address())
}

/// Runs curl with `args` and the URL of `path`; what it fetched.
fn fetch(server: &Server, args: &[&str], path: &str) -> Option<Vec<u8>> {
    Some(run(curl()?.args(args).arg(url(server, path))))
}

/// A name in a URL: everything but letters and digits as %XX.
fn encoded(name: &[u8]) -> String {
    let octet = |octet: &u8| match octet {
        letter if letter.is_ascii_alphanumeric() || *letter == b'/' => (*letter as char).to_string(),
        other => format!("%{other:02X}"),
    };
    name.iter().map(octet).collect()
}

#[test]
fn fetches_in_every_mode() {
    for (listen, modes) in [
        ("127.0.0.1:0", &[&["--ftp-pasv"][..], &["--disable-epsv"], &["-P", "-"], &["-P", "-", "--disable-eprt"]][..]),
        ("[::1]:0", &[&["--ftp-pasv"], &["-P", "-"]]),
    ] {
        let tree = Tree::new();
        let content = noise(2_000_000);
        tree.file("dir/f", &content).file("empty", "");
        let server = serve(&tree, listen);
        for mode in modes {
            for method in ["multicwd", "nocwd", "singlecwd"] {
                let args = [mode, &["--ftp-method", method][..]].concat();
                let Some(octets) = fetch(&server, &args, "dir/f") else { return };
                assert!(octets == content, "{args:?}");
                assert_eq!(fetch(&server, &args, "empty"), Some(Vec::new()));
                let listing = fetch(&server, &args, "dir/").unwrap();
                assert!(String::from_utf8(listing).unwrap().trim_end().ends_with(" f"));
            }
        }
    }
}

#[test]
fn uploads_appends_and_resumes() {
    let (tree, home) = (Tree::new(), Tree::new());
    let server = serve(&tree, "127.0.0.1:0");
    let content = noise(1_500_000);
    home.file("whole", &content).file("more", "and more");
    let local = |name: &str| home.at(name).to_str().unwrap().to_owned();
    for mode in [&["--ftp-pasv"][..], &["-P", "-"]] {
        if fetch(&server, &[mode, &["-T", &local("whole")]].concat(), "up").is_none() {
            return;
        }
        assert!(tree.read("up").unwrap() == content);
        fetch(&server, &[mode, &["-a", "-T", &local("more")]].concat(), "up");
        assert_eq!(&tree.read("up").unwrap()[content.len()..], b"and more");
        // An upload goes on where the file on the server ends.
        tree.file("up", &content[..700_001]);
        fetch(&server, &[mode, &["-C", "-", "-T", &local("whole")]].concat(), "up");
        assert!(tree.read("up").unwrap() == content);
        // A download goes on where the file at home ends.
        home.file("part", &content[..1_234]);
        fetch(&server, &[mode, &["-C", "-", "-o", &local("part")]].concat(), "up");
        assert!(home.read("part").unwrap() == content);
        for (range, expected) in [
            ("0-9", &content[..10]),
            ("1000-1999", &content[1000..2000]),
            ("1499990-", &content[1_499_990..]),
            ("-7", &content[1_499_993..]),
        ] {
            assert_eq!(fetch(&server, &[mode, &["-r", range]].concat(), "up").unwrap(), expected, "{range}");
        }
        // curl aborts a range by closing the data connection: the next transfer of the same session is well.
        let twice =
            run(curl().unwrap().args([mode, &["-r", "0-9"]].concat()).args([url(&server, "up"), url(&server, "up")]));
        assert_eq!(twice, [&content[..10], &content[..10]].concat());
    }
}

#[test]
fn ascii_and_directories_and_head() {
    let (tree, home) = (Tree::new(), Tree::new());
    tree.file("text", "one\ntwo\n").modified("text", 1_600_000_000);
    home.file("text", "three\nfour\n");
    let server = serve(&tree, "127.0.0.1:0");
    let Some(octets) = fetch(&server, &[], "text;type=a") else { return };
    // curl turns the CRLF of the wire into what its own system has.
    assert!(
        [&b"one\ntwo\n"[..], b"one\r\ntwo\r\n"].contains(&octets.as_slice()),
        "{:?}",
        octets.escape_ascii().to_string()
    );
    fetch(&server, &["-T", home.at("text").to_str().unwrap()], "up;type=a");
    assert_eq!(tree.read("up").unwrap(), b"three\nfour\n");
    fetch(&server, &["--crlf", "-T", home.at("text").to_str().unwrap()], "crlf");
    assert_eq!(tree.read("crlf").unwrap(), b"three\r\nfour\r\n");
    let names = fetch(&server, &["-l"], "").unwrap();
    assert_eq!(String::from_utf8(names).unwrap().lines().collect::<Vec<_>>(), ["crlf", "text", "up"]);
    let head = String::from_utf8(fetch(&server, &["-I"], "text").unwrap()).unwrap();
    assert!(head.contains("Content-Length: 8") && head.contains("13 Sep 2020 12:26:40 GMT"), "{head}");
    fetch(&server, &["--ftp-create-dirs", "-T", home.at("text").to_str().unwrap()], "a/b/c%20d/up");
    assert_eq!(tree.read("a/b/c d/up").unwrap(), b"three\nfour\n");
    fetch(&server, &["--ftp-create-dirs", "-T", home.at("text").to_str().unwrap()], "a/b/new/up");
    assert!(tree.at("a/b/new/up").exists());
}

#[test]
fn odd_names_survive() {
    let (tree, home) = (Tree::new(), Tree::new());
    let server = serve(&tree, "127.0.0.1:0");
    home.file("f", "content");
    let mut names: Vec<Vec<u8>> = super::ODD_NAMES.iter().map(|name| name.as_bytes().to_vec()).collect();
    // Latin-1, and the octet that Telnet has for itself, which curl does not double.
    names.extend([b"Gr\xfc\xdfe".to_vec(), b"\xff\xfe".to_vec(), b"a\xffb".to_vec(), b"trailing ".to_vec()]);
    for name in names {
        let shown = OsStr::from_bytes(&name).to_string_lossy().into_owned();
        let Some(_) = fetch(&server, &["-T", home.at("f").to_str().unwrap()], &encoded(&name)) else { return };
        assert_eq!(tree.read(&name).as_deref(), Some(&b"content"[..]), "{shown}");
        assert_eq!(fetch(&server, &[], &encoded(&name)).unwrap(), b"content", "{shown}");
        let inside = [b"d ".as_slice(), &name, b"/", &name].concat();
        fetch(&server, &["--ftp-create-dirs", "-T", home.at("f").to_str().unwrap()], &encoded(&inside));
        assert_eq!(fetch(&server, &[], &encoded(&inside)).unwrap(), b"content", "{shown}");
    }
}

#[test]
fn quoted_commands() {
    let tree = Tree::new();
    tree.file("old name", "x").file("gone", "y");
    let server = serve(&tree, "127.0.0.1:0");
    let quotes =
        ["-Q", "RNFR old name", "-Q", "RNTO new name", "-Q", "-DELE gone", "-Q", "*SITE NONSENSE", "-Q", "MKD d"];
    let Some(_) = fetch(&server, &[&quotes[..], &["-l"]].concat(), "") else { return };
    assert!(tree.at("new name").exists() && tree.at("d").is_dir() && !tree.at("gone").exists());
    fetch(&server, &["-Q", "SITE CHMOD 600 new name", "-Q", "MFMT 20200101000000 new name", "-l"], "");
    let facts = std::fs::metadata(tree.at("new name")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o777, 0o600);
    assert_eq!(std::os::unix::fs::MetadataExt::mtime(&facts), 1_577_836_800);
    // A command that fails is an error, and so are wrong passwords and absent files.
    for (args, path, code) in [
        (&["-Q", "DELE absent"][..], "", 21),
        (&["-u", "u:wrong"], "", 67),
        (&[], "absent", 78),
        (&["-C", "5000"], "new%20name", 36),
    ] {
        let output = run_any(curl().unwrap().args(args).arg(url(&server, path)));
        let codes = [code, 9, 19, 31];
        assert!(output.status.code().is_some_and(|code| codes.contains(&code)), "{args:?}: {}", shown(&output));
    }
}

#[test]
fn many_transfers_in_one_session_and_at_once() {
    let (tree, home) = (Tree::new(), Tree::new());
    let contents: Vec<Vec<u8>> = (0..30).map(|number| noise(number * 9_000)).collect();
    for (number, content) in contents.iter().enumerate() {
        tree.file(format!("f{number}"), content);
    }
    let server = serve(&tree, "127.0.0.1:0");
    for parallel in [&[][..], &["--parallel", "--parallel-max", "10"]] {
        let Some(mut command) = curl() else { return };
        command.args(parallel).current_dir(home.path());
        for number in 0..contents.len() {
            command.args(["-o", &format!("got{number}")]).arg(url(&server, &format!("f{number}")));
        }
        run(&mut command);
        for (number, content) in contents.iter().enumerate() {
            assert!(home.read(format!("got{number}")).unwrap() == *content, "f{number}");
        }
    }
}
