//! A client that is killed (`kill -9`) in the middle of an upload: what came is kept and told for what it is, and another
//! one goes on from there.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{HELPERS, login, noise, serve, wait_until};
use crate::support::{Client, Server, Tree};

/// Where the process that is to be killed finds its server.
const ADDRESS: &str = "TEST_OF_FERRYD_UPLOADS_TO";

/// What is uploaded.
fn content() -> Vec<u8> {
    noise(8_000_000, 5)
}

/// This is not a test: it is the process that the others start and kill.
#[test]
#[ignore = "other tests run it in a process of its own"]
fn a_client_that_never_ends() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let mut client = Client::login(address.parse().unwrap(), "u", "secret");
    client.expect("TYPE I", 200);
    let mut data = client.epsv();
    client.expect("STOR up", 150);
    data.write_all(&content()[..3_000_000]).unwrap();
    // Until it is killed.
    let _ = std::io::stdin().read(&mut [0]);
}

fn start_client(server: &Server) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::a_client_that_never_ends", "--ignored", "--test-threads=1"]);
    command.env(ADDRESS, server.address().to_string()).stdin(Stdio::piped()).stdout(Stdio::null());
    command.spawn().unwrap()
}

/// Runs a client, and kills it once the server has some of its upload.
fn kill_in_the_middle(server: &Server, tree: &Tree, descriptors: usize, mut client: Child) {
    let has = || fs::metadata(tree.at("up")).map_or(0, |facts| facts.len());
    wait_until("the upload is under way", || has() >= 1_000_000);
    client.kill().unwrap();
    client.wait().unwrap();
    let log = server.wait_for_log("stored /up, ");
    assert!(log.contains(", incomplete"), "{log}");
    // Its sockets and its file; the pipe through which they went stays for the next.
    wait_until("nothing of the session is left", || server.descriptors() <= descriptors + 2);
}

#[test]
fn what_a_killed_client_has_sent_is_kept_and_another_one_goes_on() {
    for (helpers, verb) in HELPERS.into_iter().flat_map(|helpers| ["STOR", "APPE"].map(|verb| (helpers, verb))) {
        let tree = Tree::new();
        let transfers = tree.at("transfers");
        let server = serve(&tree, &["--helpers", helpers, "--transfer-log", transfers.to_str().unwrap()]);
        kill_in_the_middle(&server, &tree, server.descriptors(), start_client(&server));
        let part = tree.read("up").unwrap();
        assert!(content().starts_with(&part) && part.len() < content().len());
        wait_until("the transfer log has it", || {
            let line = fs::read_to_string(&transfers).unwrap();
            line.contains(&format!(" {} /up b _ i r u ftp 0 * i", part.len()))
        });
        let mut client = login(&server);
        let size: usize = client.expect("SIZE up", 213).text()[4..].parse().unwrap();
        assert_eq!(size, part.len());
        if verb == "STOR" {
            client.expect(format!("REST {size}"), 350);
        }
        assert_eq!(client.put(format!("{verb} up").as_bytes(), &content()[size..]).code, 226);
        assert!(tree.read("up").unwrap() == content(), "{verb} with {helpers} helpers");
    }
}

/// Many clients never say QUIT, and have their file all the same.
#[test]
fn who_has_read_the_reply_and_leaves_has_stored_it() {
    for args in [&[][..], &["--atomic-uploads"]] {
        let tree = Tree::new();
        let transfers = tree.at("transfers");
        let server = serve(&tree, &[args, &["--transfer-log", transfers.to_str().unwrap()]].concat());
        for number in 0..20 {
            let mut client = login(&server);
            assert_eq!(client.store(format!("up{number}"), b"whole").code, 226);
            drop(client);
            let log = server.wait_for_log(&format!("stored /up{number}, 5 octets"));
            assert!(!log.contains("incomplete"), "{log}");
        }
        wait_until("the transfer log has them", || fs::read_to_string(&transfers).unwrap().lines().count() == 20);
        let lines = fs::read_to_string(&transfers).unwrap();
        assert!(lines.lines().all(|line| line.ends_with(" c")), "{lines}");
    }
}

#[test]
fn with_atomic_uploads_a_killed_client_leaves_the_old_file() {
    for helpers in HELPERS {
        let tree = Tree::new();
        tree.file("up", "old");
        let server = serve(&tree, &["--atomic-uploads", "--helpers", helpers]);
        let mut client = start_client(&server);
        wait_until("the upload is under way", || {
            let files = super::atomic::temporaries(&tree, ".");
            files.first().is_some_and(|path| fs::metadata(path).is_ok_and(|facts| facts.len() >= 1_000_000))
        });
        client.kill().unwrap();
        client.wait().unwrap();
        let log = server.wait_for_log("stored /up, ");
        assert!(log.contains(", incomplete"), "{log}");
        wait_until("the temporary file goes", || super::atomic::temporaries(&tree, ".").is_empty());
        assert_eq!(tree.read("up").unwrap(), b"old");
    }
}

/// curl, where it is installed.
fn curl(server: &Server, args: &[&str], file: &PathBuf) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|directory| directory.join("curl").is_file()) {
        super::cannot("curl is not installed");
        return None;
    }
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--user", "u:secret"]).args(args).arg("--upload-file").arg(file);
    command.arg(format!("ftp://{}/up", server.address())).stdin(Stdio::null());
    Some(command)
}

#[test]
fn curl_goes_on_where_a_killed_curl_was() {
    let (tree, local) = (Tree::new(), Tree::new());
    local.file("up", content());
    let server = serve(&tree, &[]);
    let file = local.at("up");
    let Some(mut first) = curl(&server, &["--limit-rate", "2M"], &file) else { return };
    kill_in_the_middle(&server, &tree, server.descriptors(), first.spawn().unwrap());
    let part = tree.read("up").unwrap().len();
    assert!(part < content().len());
    let output = curl(&server, &["--continue-at", "-"], &file).unwrap().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(tree.read("up").unwrap() == content());
    server.wait_for_log(&format!("stored /up, {} octets", content().len() - part));
}
