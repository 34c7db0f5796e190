//! Patterns that are made to cost. Not under TLS, where a client cannot be asked whether something has come.

use super::{login, serve};
use crate::support::Tree;

#[test]
fn a_bomb_in_a_large_directory_holds_up_nobody() {
    let tree = Tree::new();
    for number in 0..4_000 {
        std::fs::File::create(tree.at(format!("{}{number:05}", "[".repeat(250)))).unwrap();
    }
    tree.file("sub/f", "");
    for helpers in ["1", "0"] {
        let server = serve(&tree, &["--helpers", helpers]);
        let (mut client, mut other) = (login(&server), login(&server));
        // It matches nothing, and each name has to be looked at until the end to say so.
        let bomb = format!("*{}x", "[".repeat(60));
        let data = client.epsv();
        client.expect(format!("NLST {bomb}"), 150);
        let begin = std::time::Instant::now();
        let mut answered = 0;
        while client.silent_for(std::time::Duration::from_millis(1)) || answered == 0 {
            // One that needs the disk, and so a helper.
            assert_eq!(other.say("STAT sub").code, 212);
            answered += 1;
        }
        assert!(begin.elapsed() < std::time::Duration::from_secs(20), "{:?}", begin.elapsed());
        drop(data);
        assert_eq!(client.read_reply().code, 226);
        let status = client.say(format!("STAT {bomb}"));
        assert!(status.code == 212 && status.text().contains("There may be more"), "{status}");
        // No name is so long, and no pattern either.
        let long = format!("NLST {}", "*a".repeat(128));
        let reply = client.list(&long).1;
        assert!(reply.code == 553 && reply.text().contains("255"), "{reply}");
        client.expect(long.replacen("NLST", "STAT", 1), 553);
        server.wait_for_log("[WARN] 127.0.0.1: sent a pattern that is too long");
        assert_eq!(server.log().matches("too long").count(), 1, "once a session");
    }
}
