//! Files of the server's own in a directory that is served: told at the start, and by the check.

use std::fs;

use super::text;
use crate::support::{Server, Tree};

/// Of "wrong, but nobody knows".
const HASH: &str = "$5$abcdefgh$ruMep1ijHnJPZbETDNiumskxcX3kN4lzZd5VlsqE7eB";

/// What the check says of such files: the whole line, with the path of `tree` taken out.
fn warnings(tree: &Tree, args: &[&str]) -> Vec<String> {
    let output = Server::command(&tree.at("srv"), &[args, &["--check"]].concat()).output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let ours = said.lines().filter(|line| line.contains("which is served"));
    let place = tree.path().display().to_string();
    ours.map(|line| line.replace(&place, "").replace("warning: ", "")).collect()
}

/// A world with a key outside, made by the server itself.
fn world() -> Tree {
    let tree = Tree::new();
    tree.file("srv/f", "x").file("etc/users", format!("u:{HASH}\n")).directory("state").directory("log");
    tree.file("srv/below/users", format!("u:{HASH}\n"));
    let state = tree.at("state");
    Server::start(&tree.at("srv"), &["--tls", "self-signed", "--tls-state", state.to_str().unwrap()]);
    tree
}

const ADVICE: &str = "it; keep it in a directory that is not served";

#[test]
fn files_of_the_servers_own_in_a_served_directory_are_told() {
    let tree = world();
    for name in ["self-signed.key", "self-signed.crt"] {
        tree.file(format!("srv/{name}"), tree.read(format!("state/{name}")).unwrap());
    }
    let at = |name: &str| tree.at(name).to_str().unwrap().to_owned();
    let outside = [at("etc/users"), at("state/self-signed.crt"), at("state/self-signed.key"), at("log/l"), at("log/x")];
    let inside =
        [at("srv/below/users"), at("srv/self-signed.crt"), at("srv/self-signed.key"), at("srv/l"), at("srv/x")];
    let options = ["--users", "--tls-cert", "--tls-key", "--log-file", "--transfer-log"];
    let args = |files: &[String; 5]| -> Vec<String> {
        options.iter().zip(files).flat_map(|(option, file)| [(*option).to_owned(), file.clone()]).collect()
    };
    let told = |files: &[String; 5], more: &[&str]| {
        let args = args(files);
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        warnings(&tree, &args)
    };
    assert_eq!(told(&outside, &[]), [""; 0]);
    let line = |what: &str, harm: &str| format!("{what} is in /srv, which is served: its users may {harm} {ADVICE}");
    let all = [
        ("the users file /srv/below/users", "read and change"),
        ("the TLS key /srv/self-signed.key", "read and change"),
        ("the TLS certificate /srv/self-signed.crt", "change"),
        ("the log /srv/l", "read and change"),
        ("the log of transfers /srv/x", "read and change"),
    ];
    assert_eq!(told(&inside, &[]), all.map(|(what, harm)| line(what, harm)));
    // What the rights do not let anybody do is no harm: where all may read and no more, a certificate is no secret.
    let list = |rights: &str| {
        let users = format!("u:{HASH}::::::rights={rights}\n");
        tree.file("srv/below/users", &users).file("etc/users", &users);
    };
    list("ro");
    let harmed: Vec<String> = told(&inside, &[]);
    assert_eq!(harmed, [all[0], all[1], all[3], all[4]].map(|(what, _)| line(what, "read")));
    list("upload");
    assert_eq!(told(&inside, &[]), all.map(|(what, _)| line(what, "change")));
    list("el");
    assert_eq!(told(&inside, &[]), [""; 0]);
    // A user who may more in a directory above counts.
    assert_eq!(told(&inside, &["--user", &format!("v:x:{}:ro", tree.path().display())]).len(), 4);
}

#[test]
fn names_are_taken_for_what_they_lead_to() {
    let tree = world();
    let at = |name: &str| tree.at(name).to_str().unwrap().to_owned();
    tree.link("srv/state", "../state").link("inner", "srv/below").link("etc/linked", "../srv/below/users");
    tree.link("srv/users", "../etc/users").directory("srvx");
    let users = |name: &str| warnings(&tree, &["--users", &at(name)]).len();
    // By a directory that is a link, by a link itself, as a link that can be replaced, and not by how a name begins.
    assert_eq!(["inner/users", "etc/linked", "srv/users", "etc/users"].map(users), [1, 1, 1, 0]);
    fs::copy(tree.at("etc/users"), tree.at("srvx/users")).unwrap();
    assert_eq!(users("srvx/users"), 0);
    // The state is where the link leads, but a user who renames the link has it elsewhere.
    let state = |name: &str| warnings(&tree, &["--anonymous", "ro", "--tls", "self-signed", "--tls-state", &at(name)]);
    assert_eq!(state("state"), [""; 0]);
    assert_eq!(state("srv/state").len(), 1);
    // A root that is a link is where it leads.
    tree.file("srv/below/users", format!("u:{HASH}::::{}\n", at("log")));
    let user = format!("w:x:{}:rw", at("inner"));
    let told = warnings(&tree, &["--users", &at("srv/below/users"), "--anonymous", "off", "--user", &user]);
    assert!(told.len() == 1 && told[0].contains(" is in /srv/below, which"), "{told:?}");
}

#[test]
fn the_log_is_told_as_well() {
    let tree = world();
    let users = tree.at("srv/below/users");
    let server = Server::start(&tree.at("srv"), &["--users", users.to_str().unwrap()]);
    server.wait_for_log(&format!("[WARN] the users file {} is in ", users.display()));
}
