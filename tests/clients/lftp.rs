//! lftp: mirrors of whole trees both ways, and its own commands.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{assert_same, client, fill, noise, run, serve};
use crate::support::{Server, Tree};

/// Runs `commands` in lftp, logged in; what it wrote. Any command that fails ends it.
fn lftp(server: &Server, home: &Tree, settings: &str, commands: &str) -> Option<String> {
    let mut command = client("lftp")?;
    command.current_dir(home.path()).env("LFTP_HOME", home.path().join("no-settings"));
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 2; set net:timeout 20; set net:reconnect-interval-base 1; \
         set ftp:ssl-allow no; set xfer:log no; {settings} open -u u,secret ftp://{}; {commands}; bye",
        server.address()
    );
    Some(String::from_utf8_lossy(&run(command.args(["--norc", "-c", &script]))).into_owned())
}

/// Active data connections.
const ACTIVE: &str = "set ftp:passive-mode no;";

/// Connections and listings as lftp can make them.
const SETTINGS: [&str; 4] = [
    "",
    ACTIVE,
    // Files whose names begin with a dot are only in LIST where it is asked for them.
    "set ftp:prefer-epsv no; set ftp:use-mlsd no; set ftp:list-options -a;",
    "set ftp:use-mlsd no; set ftp:use-feat no; set ftp:list-options -a;",
];

#[test]
fn mirrors_a_tree_with_odd_names_both_ways() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        for settings in SETTINGS {
            // lftp 4.9 names `::` in EPRT, which is not its own address, and comes back to it for ever.
            if listen.starts_with('[') && settings == ACTIVE {
                continue;
            }
            let (tree, home) = (Tree::new(), Tree::new());
            fill(&tree, "srv");
            let server = serve(&tree, listen);
            let Some(_) = lftp(&server, &home, settings, "mirror --parallel=3 srv down") else { return };
            assert_same(&home.at("down"), &tree.at("srv"), &format!("{listen} {settings}"));
            lftp(&server, &home, settings, "mirror -R --parallel=3 down up");
            assert_same(&tree.at("up"), &tree.at("srv"), &format!("{listen} {settings}"));
            // Times came along, in both directions, to the second or, from LIST, to the minute.
            let time = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().mtime() / 60;
            assert!((time(home.at("down/large")) - time(tree.at("srv/large"))).abs() <= 1, "{settings}");
            // A second mirror has nothing to do; after a change it brings the change alone.
            tree.file("srv/plain", "changed!");
            std::fs::remove_file(tree.at("srv/with space")).unwrap();
            lftp(&server, &home, settings, "mirror --delete srv down");
            assert_same(&home.at("down"), &tree.at("srv"), &format!("{listen} {settings}"));
        }
    }
}

#[test]
fn times_are_kept_to_the_second() {
    let (tree, home) = (Tree::new(), Tree::new());
    tree.file("srv/f", "x").modified("srv/f", 1_234_567_890);
    let server = serve(&tree, "127.0.0.1:0");
    let Some(_) = lftp(&server, &home, "", "mirror srv down; mirror -R down up") else { return };
    for path in [home.at("down/f"), tree.at("up/f")] {
        assert_eq!(std::fs::metadata(&path).unwrap().mtime(), 1_234_567_890, "{}", path.display());
    }
}

#[test]
fn put_get_and_their_resumed_forms() {
    let (tree, home) = (Tree::new(), Tree::new());
    let content = noise(2_500_000);
    home.file("whole", &content);
    let server = serve(&tree, "127.0.0.1:0");
    for settings in SETTINGS {
        let Some(_) = lftp(&server, &home, settings, "put whole -o up; get up -o down") else { return };
        assert!(tree.read("up").unwrap() == content && home.read("down").unwrap() == content, "{settings}");
        home.file("down", &content[..1_000_001]);
        tree.file("up2", &content[..999_999]);
        lftp(&server, &home, settings, "reget up -o down; reput whole -o up2");
        assert!(home.read("down").unwrap() == content, "reget {settings}");
        assert!(tree.read("up2").unwrap() == content, "reput {settings}");
        // In pieces at once, each with REST, most of them ended by lftp before the end of the file.
        lftp(&server, &home, settings, "set pget:min-chunk-size 100000; pget -n 4 up -o pieces");
        assert!(home.read("pieces").unwrap() == content, "pget {settings}");
        std::fs::remove_file(home.at("pieces")).unwrap();
        std::fs::remove_file(home.at("down")).unwrap();
    }
}

#[test]
fn its_own_commands() {
    let (tree, home) = (Tree::new(), Tree::new());
    home.file("a.txt", "a").file("b.txt", "b").file("c.dat", "c");
    let server = serve(&tree, "127.0.0.1:0");
    let Some(_) =
        lftp(&server, &home, "", "mkdir -p one/two/three; mkdir -pf one/two/three; cd one; mput -O two *.txt")
    else {
        return;
    };
    assert_eq!(
        (tree.read("one/two/a.txt").unwrap(), tree.read("one/two/b.txt").unwrap()),
        (b"a".to_vec(), b"b".to_vec())
    );
    lftp(&server, &home, "", "mv one/two/a.txt \"one/new name\"; chmod 640 \"one/new name\"");
    assert_eq!(tree.read("one/new name").unwrap(), b"a");
    assert_eq!(std::fs::metadata(tree.at("one/new name")).unwrap().permissions().mode() & 0o777, 0o640);
    for settings in SETTINGS {
        let listing =
            lftp(&server, &home, settings, "cls -1 one; cls -1 one/two/*.txt; nlist one; ls one; du -a one").unwrap();
        for wanted in ["one/new name", "one/two/", "one/two/b.txt", "rw-r-----"] {
            assert!(listing.contains(wanted), "{settings}: {wanted} is not in\n{listing}");
        }
        let found =
            lftp(&server, &home, settings, "find one; glob -a echo GLOB one/t* one/n*; cat one/two/b.txt").unwrap();
        assert!(found.contains("one/two/three/"), "{settings}:\n{found}");
        assert!(found.contains("GLOB one/two one/new name\n"), "{settings}:\n{found}");
    }
    tree.file("-x", "1").file("[b]/y", "2");
    lftp(&server, &home, "", "mrm one/two/*.txt; rm -r one/two; rm -- -x; rm -r [b]; rm -rf absent || echo");
    assert!(!tree.at("one/two").exists() && !tree.at("-x").exists());
}
