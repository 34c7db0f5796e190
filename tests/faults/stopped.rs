//! A server that is told to stop in the middle of transfers, or killed: what is there is there, what is not is told, and
//! the next server goes on from it.

use std::io::{Read, Write};

use rustix::process::Signal;

use super::{HELPERS, MORE_THAN_BUFFERS, login, noise, serve, stalled_retr, stalled_stor, wait_for_length};
use crate::support::Tree;

#[test]
fn an_upload_that_a_stopping_server_cuts_off_is_told_and_resumed() {
    let content = noise(2_000_000, 6);
    for (helpers, signals) in HELPERS.into_iter().flat_map(|helpers| {
        [&[Signal::TERM, Signal::TERM][..], &[Signal::INT, Signal::TERM], &[Signal::KILL]]
            .map(|signals| (helpers, signals))
    }) {
        let tree = Tree::new();
        tree.sparse("big", MORE_THAN_BUFFERS);
        let mut server = serve(&tree, &["--grace", "1h", "--helpers", helpers]);
        let (mut up, mut down) = (login(&server), login(&server));
        let upload = stalled_stor(&mut up, "up", &content[..700_000]);
        let mut download = stalled_retr(&mut down, "big");
        wait_for_length(&tree, "up", 700_000);
        for (number, signal) in signals.iter().enumerate() {
            server.signal(*signal);
            if *signal != Signal::KILL {
                let log = server.wait_for_log("stopping: 2 sessions, at most 3600 s for their transfers");
                assert!(number > 0 || !log.contains("incomplete"), "the first one lets them go on: {log}");
            }
        }
        if signals.len() > 1 {
            for client in [&mut up, &mut down] {
                let codes: Vec<u16> = std::iter::from_fn(|| client.try_read_reply()).map(|reply| reply.code).collect();
                assert_eq!(codes, [426, 421]);
            }
            assert_eq!(server.wait().code(), Some(0));
            let log = server.log();
            assert!(log.contains("stored /up, 700000 octets") && log.contains("retrieved /big, "), "{log}");
            assert_eq!(log.matches(", incomplete: the server is stopping").count(), 2, "{log}");
        } else {
            server.wait();
        }
        let mut octets = Vec::new();
        // A reset is an end as well.
        let _ = download.read_to_end(&mut octets);
        assert!((octets.len() as u64) < MORE_THAN_BUFFERS);
        drop(upload);
        assert!(tree.read("up").unwrap() == content[..700_000]);

        let server = serve(&tree, &["--helpers", helpers]);
        let mut client = login(&server);
        assert_eq!(client.expect("SIZE up", 213).text(), "213 700000");
        client.expect("REST 700000", 350);
        let mut data = client.epsv();
        client.expect("STOR up", 150);
        data.write_all(&content[700_000..]).unwrap();
        data.finish().unwrap();
        assert_eq!(client.read_reply().code, 226);
        assert!(tree.read("up").unwrap() == content);
        client.expect(format!("REST {}", octets.len()), 350);
        assert_eq!(client.retrieve("big").0.len() as u64, MORE_THAN_BUFFERS - octets.len() as u64);
    }
}
