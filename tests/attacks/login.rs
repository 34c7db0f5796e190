//! Logins: which users there are is not told, neither by words nor by time; passwords of every length; and the back
//! doors that others had.

use std::time::Instant;

use ferryd::limits::{LINE_OCTETS_MAX, LOGIN_REFUSAL_STEP, PASSWORD_OCTETS_MAX, USER_OCTETS_MAX};

use super::{log_in, serve};
use crate::support::{Client, Server, Tree};

/// `secret`, as `mkpasswd -R 1000` makes it: cheap, because the tests' server is slow.
const SHA512: &str =
    "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/";
const SHA256: &str = "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2";

/// What USER and PASS are answered.
fn refusal(server: &Server, user: &str, password: &str) -> [String; 2] {
    let mut client = Client::connect(server.address());
    let named = client.say(format!("USER {user}")).text();
    let begun = Instant::now();
    let verdict = client.say(format!("PASS {password}")).text();
    let took = begun.elapsed();
    assert!(took >= LOGIN_REFUSAL_STEP, "{user}: refused after {took:?}: the time tells what was wrong");
    [named, verdict]
}

/// RFC 2577 section 7. What a refusal costs is in `src/auth/tests.rs`; when it is told here is a matter of whole steps.
#[test]
fn who_exists_is_not_told() {
    let home = Tree::new();
    let users = home.at("users");
    home.file("users", format!("costly:{SHA512}\ncheap:{SHA256}\nlocked:*:\ngone:{SHA512}:1:1::/absent\n"));
    let tree = Tree::new();
    let server = serve(&tree, &["--users", users.to_str().unwrap(), "--anonymous", "off"]);
    let long = "n".repeat(USER_OCTETS_MAX);
    let names = ["u", "costly", "cheap", "locked", "gone", "nobody", "root", "anonymous", "ftp", "U", "u ", &long];
    let passwords = ["wrong", "", "secre", "secrett", &"p".repeat(PASSWORD_OCTETS_MAX + 1), "%s%n", "*"];
    // All at once: a step is a second.
    let refusals: Vec<_> = std::thread::scope(|scope| {
        let server = &server;
        let threads: Vec<_> = names
            .iter()
            .flat_map(|name| passwords.iter().map(move |password| (*name, *password)))
            .map(|(name, password)| (name, password, scope.spawn(move || refusal(server, name, password))))
            .collect();
        threads.into_iter().map(|(name, password, thread)| (name, password, thread.join().unwrap())).collect()
    });
    for (name, password, refusal) in &refusals {
        assert_eq!(refusal, &refusals[0].2, "{name:?}, {password:?}");
    }
    // The right password of somebody whose directory is gone is refused in the same words.
    assert_eq!(refusal(&server, "gone", "secret"), refusals[0].2);
    for user in ["u", "costly", "cheap"] {
        Client::login(server.address(), user, "secret");
    }
}

#[test]
fn passwords_of_every_length() {
    let home = Tree::new();
    let users = home.at("users");
    home.file("users", format!("hashed:{SHA512}\n"));
    let tree = Tree::new();
    let server = serve(&tree, &["--users", users.to_str().unwrap()]);
    let lengths = [0, 1, PASSWORD_OCTETS_MAX, PASSWORD_OCTETS_MAX + 1, LINE_OCTETS_MAX - 5];
    let mut wrong: Vec<String> = lengths.iter().map(|length| "p".repeat(*length)).collect();
    // The right one, and more behind it that a careless comparison does not see.
    wrong.extend(["\0", " ", "\t", "\0secret", "\r"].map(|more| format!("secret{more}")));
    for user in ["u", "hashed"] {
        // All at once: each refusal takes a second.
        std::thread::scope(|scope| {
            let server = &server;
            for password in &wrong {
                scope.spawn(move || {
                    let mut client = Client::connect(server.address());
                    client.expect(format!("USER {user}"), 331);
                    client.expect(format!("PASS {password}"), 530);
                    client.expect("PWD", 530);
                });
            }
        });
        // 10 KiB are no command: the name is still said, and the right password opens.
        let mut client = Client::connect(server.address());
        client.expect(format!("USER {user}"), 331);
        client.expect(format!("PASS {}", "p".repeat(10 * 1024)), 500);
        client.expect("PASS secret", 230);
    }
    // Nobody has an empty password, and an empty hash is none.
    home.file("users", "empty::\n");
    let mut command = Server::command(tree.path(), &["--check", "--users", users.to_str().unwrap()]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let mut command = Server::command(tree.path(), &["--check", "--user", "empty:"]);
    assert_eq!(command.output().unwrap().status.code(), Some(2));
}

/// vsftpd 2.3.4 opened a shell for a name with a smile, ProFTPD 1.3.3c for a word to HELP, others for SITE's.
#[test]
fn the_back_doors_of_others() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    // Whose root is open already.
    let _other = log_in(&server);
    let mut client = Client::connect(server.address());
    let descriptors = server.descriptors();
    client.expect("USER x:)", 331);
    client.expect("PASS x", 530);
    client.expect("USER u:)", 331);
    client.expect("PASS secret", 530);
    client.expect("HELP ACIDBITCHEZ", 501);
    client.log_in("u", "secret");
    for line in [
        "HELP ACIDBITCHEZ",
        "SITE EXEC id",
        "SITE EXEC /bin/sh -c id",
        "SITE CPFR /etc/passwd",
        "SITE CPTO stolen",
        "SITE COPY f g",
        "SITE INDEX f",
        "SITE GROUP root",
        "SITE GPASS root",
        "SITE CHOWN root f",
        "SITE CHGRP root f",
        "SITE SYMLINK /etc/passwd link",
        "SITE RMDIR -r /",
        "SITE MSG x",
        "SITE PSWD a b",
        "SITE ADDUSER x y",
        "SITE DELUSER u",
        "SITE %s%s%n",
        "DEBUG",
        "EXEC id",
        "SYST;id",
        "CWD ~root",
        "CWD |id",
        "STAT `id`",
        "LIST $(id)",
    ] {
        client.expect("EPSV", 229);
        let reply = client.say(line);
        assert!(reply.code >= 450 && !reply.text().contains("uid="), "{line}: {reply}");
    }
    client.expect("ABOR", 226);
    assert_eq!(server.descriptors(), descriptors, "something was opened");
    let children = format!("/proc/{0}/task/{0}/children", server.pid());
    assert_eq!(std::fs::read_to_string(children).unwrap_or_default(), "", "something was started");
    assert_eq!(std::fs::read_dir(tree.path()).unwrap().count(), 1);
}

#[test]
fn no_password_is_in_the_log_however_it_is_typed() {
    let tree = Tree::new();
    let server = serve(&tree, &["--log-level", "trace"]);
    for line in ["PASS pa55phrase", "pass pa55phrase", " PASS pa55phrase", "PASS\tpa55phrase", "PASSpa55phrase"] {
        let mut client = Client::connect(server.address());
        client.expect("USER u", 331);
        client.say(line);
        client.expect("QUIT", 221);
    }
    server.wait_for_log("> PASS (hidden)");
    let mut client = Client::connect(server.address());
    client.expect("CLNT the last", 200);
    let log = server.wait_for_log("the last");
    assert!(!log.contains("pa55phrase"), "{log}");
}
