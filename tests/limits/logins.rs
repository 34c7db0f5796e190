//! Logins that wait for a hash: so many, and the next one is told that there are too many.

use std::time::Instant;

use ferryd::limits::LOGINS_WAITING_PER_ADDRESS_MAX;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::support::{Client, Server, Tree, cannot};

#[test]
fn one_login_too_many_is_told_421_and_the_log_is_told_once_a_second() {
    let count = LOGINS_WAITING_PER_ADDRESS_MAX + 100;
    let mut limit = getrlimit(Resource::Nofile);
    // The server takes one session for every three descriptors.
    if limit.maximum.is_some_and(|most| most < count as u64 * 4) {
        return cannot("so many logins need more descriptors");
    }
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let tree = Tree::new();
    // A hash that keeps the one helper busy for seconds.
    tree.directory("srv").file("users", format!("u:$2b$15${}\n", ".".repeat(53)));
    let users = tree.at("users");
    let args = ["--users", users.to_str().unwrap(), "--helpers", "1", "--login-timeout", "0"];
    let server = Server::start(&tree.at("srv"), &args);
    let begin = Instant::now();
    let mut clients: Vec<Client> = (0..count)
        .map(|_| {
            let mut client = Client::connect_silently(server.address());
            client.send(b"USER u\r\nPASS wrong\r\n");
            client
        })
        .collect();
    let mut last = clients.pop().unwrap();
    assert_eq!((last.read_reply().code, last.read_reply().code), (220, 331));
    let reply = last.read_reply();
    assert!(reply.code == 421 && reply.text().contains("Too many logins at once"), "{reply}");
    assert!(last.closed());
    let most = 1 + begin.elapsed().as_secs() as usize;
    server.wait_for_log("[WARN] 127.0.0.1: refused: 421 Too many logins at once");
    let log = server.log();
    assert!(log.matches("Too many logins").count() <= most + 1, "more than {most} lines:\n{log}");
}
