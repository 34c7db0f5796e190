//! tnftp, ncftp and wget: a fetch, a listing and an upload each.

use std::io::Write;
use std::process::Stdio;

use super::{assert_same, client, contents, noise, run, serve, shown};
use crate::support::Tree;

#[test]
fn wget_fetches_a_tree() {
    let (tree, home) = (Tree::new(), Tree::new());
    for name in ["plain", "with space", "[brackets]", "star*", "d/e/deep"] {
        tree.file(format!("srv/{name}"), noise(name.len() * 10_000));
    }
    tree.modified("srv/plain", 1_500_000_000);
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let server = serve(&tree, listen);
        for (number, mode) in [&[][..], &["--no-passive-ftp"]].into_iter().enumerate() {
            let Some(mut wget) = client("wget") else { return };
            let into = format!("got{number}{}", server.address().is_ipv6());
            wget.args(["--no-config", "-q", "-t", "2", "-T", "20", "-r", "-l", "5", "-nH", "--cut-dirs=1"]).args(mode);
            wget.arg("-P").arg(home.at(&into)).arg(format!("ftp://u:secret@{}/srv/", server.address()));
            run(&mut wget);
            let mut got = contents(&home.at(&into));
            got.retain(|name, _| !name.ends_with(".listing"));
            assert_eq!(got, contents(&tree.at("srv")), "{listen} {mode:?}");
            // The rest of a file.
            home.file(format!("{into}/plain"), &noise(50_000)[..20_000]);
            let mut wget = client("wget").unwrap();
            wget.args(["--no-config", "-q", "-t", "2", "-T", "20", "-c", "-P"]).arg(home.at(&into)).args(mode);
            run(wget.arg(format!("ftp://u:secret@{}/srv/plain", server.address())));
            assert!(home.read(format!("{into}/plain")).unwrap() == noise(50_000), "{listen} {mode:?}");
        }
    }
}

#[test]
fn tnftp_does_a_day_s_work() {
    let (tree, home) = (Tree::new(), Tree::new());
    let content = noise(500_000);
    tree.file("f", &content).file("text", "one\ntwo\n").modified("f", 1_500_000_000);
    home.file("up", &content);
    let server = serve(&tree, "127.0.0.1:0");
    for passive in ["-p", "-A"] {
        let Some(mut tnftp) = client("tnftp") else { return };
        tnftp.args(["-n", "-i", "-v", passive, "127.0.0.1", &server.address().port().to_string()]);
        tnftp.current_dir(home.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tnftp.spawn().unwrap();
        let script = "user u secret\nbinary\nmkdir d\ncd d\npwd\nput up\nsize up\nmodtime up\nrename up moved\nls\n\
                      mlsd\nchmod 600 moved\nget moved down\ncd ..\nascii\nget text\nbinary\nget f\nreget f\n\
                      put up new\nappend up new\ndelete new\n\
                      put up gone\nmdelete gone\nfeatures\nrstatus\nsystem\nquit\n";
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let talk = shown(&output);
        assert!(output.status.success(), "{talk}");
        assert!(home.read("down").unwrap() == content && home.read("f").unwrap() == content, "{talk}");
        assert!(tree.read("d/moved").unwrap() == content, "{talk}");
        assert_eq!(home.read("text").unwrap(), b"one\ntwo\n");
        assert!(!tree.at("new").exists() && !tree.at("gone").exists(), "{talk}");
        std::fs::remove_dir_all(tree.at("d")).unwrap();
    }
}

#[test]
fn ncftp_sends_and_fetches() {
    let (tree, home) = (Tree::new(), Tree::new());
    let content = noise(400_000);
    home.file("t/one", &content).file("t/sub dir/two words", "two");
    let server = serve(&tree, "127.0.0.1:0");
    let port = server.address().port().to_string();
    for mode in ["-F", "-E"] {
        let account = ["-u", "u", "-p", "secret", "-P", &port, mode, "-t", "20", "-r", "1", "-V"];
        let Some(mut put) = client("ncftpput") else { return };
        run(put.args(account).arg("-R").args(["-m", "127.0.0.1", "up"]).arg(home.at("t")));
        assert_same(&tree.at("up/t"), &home.at("t"), mode);
        let mut get = client("ncftpget").unwrap();
        run(get.args(account).arg("-R").arg("127.0.0.1").arg(home.at("")).arg("up"));
        assert_same(&home.at("up/t"), &home.at("t"), mode);
        let mut ls = client("ncftpls").unwrap();
        let listing = run(ls.args(["-u", "u", "-p", "secret", "-P", &port, mode, "-1", "ftp://127.0.0.1/up/t/"]));
        assert!(String::from_utf8_lossy(&listing).contains("one"), "{mode}");
        std::fs::remove_dir_all(tree.at("up")).unwrap();
        std::fs::remove_dir_all(home.at("up")).unwrap();
    }
}
