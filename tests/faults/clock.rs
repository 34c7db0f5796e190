//! A clock that jumps by more than a year, in both directions: what has to do with the passing of time does not notice.
//! libfaketime stands between the server and its wall clock; the monotonic one is left alone, as the kernel does it.

use std::io::Write;
use std::time::{Duration, Instant};

use super::atomic::{begin_stor, temporaries};
use super::{careful, login, stalled_retr};
use crate::support::{Client, Server, Tree, read_all};

/// Where distributions put the library; the variant for programs with threads.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The clock of a server: a file in its tree, where it may read, says how far it is off.
struct Clock<'a>(&'a Tree);

impl Clock<'_> {
    fn jump(&self, offset: &str) {
        self.0.file("offset", format!("{offset}\n"));
    }

    /// A server with this clock.
    fn serve(&self, args: &[&str]) -> Option<Server> {
        let Some(library) = LIBRARIES.into_iter().find(|path| std::path::Path::new(path).exists()) else {
            super::cannot("libfaketime is not installed");
            return None;
        };
        let file = self.0.at("offset");
        let before = format!(
            "export LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1",
            file.display()
        );
        Some(Server::start_behind(&before, self.0.path(), &[&["--user", "u:secret"], args].concat()))
    }
}

/// The year in the log's last line.
fn year_of_last_line(log: &str) -> i32 {
    log.lines().last().and_then(|line| line.get(..4)).and_then(|year| year.parse().ok()).unwrap()
}

#[test]
fn a_clock_that_jumps() {
    for (jump, years) in [("+500d", 1), ("-2000d", -5), ("+9000d", 24)] {
        let tree = careful::tree();
        let clock = Clock(&tree);
        clock.jump("+0");
        tree.sparse("big", super::MORE_THAN_BUFFERS);
        let transfers = tree.at("transfers");
        let args = [
            "--idle-timeout",
            "60",
            "--login-timeout",
            "60",
            "--data-timeout",
            "60",
            "--atomic-uploads",
            "--transfer-log",
            transfers.to_str().unwrap(),
        ];
        let Some(mut server) = clock.serve(&args) else { return };
        let (mut idle, mut reader, mut writer) = (login(&server), login(&server), login(&server));
        let mut greeted = Client::connect(server.address());
        let mut download = stalled_retr(&mut reader, "big");
        let (mut upload, temporary) = begin_stor(&tree, &mut writer, "up", b"before");
        let year = year_of_last_line(&server.log());

        clock.jump(jump);
        // Nobody is late, and nobody is early: those who wait go on waiting, and those who go on are served.
        assert!(idle.silent_for(Duration::from_millis(300)));
        idle.expect("NOOP", 200);
        let score = careful::session(server.address(), &tree, "during");
        assert_eq!((score.refused, score.gone), (0, 0), "{jump}: {score:?}");
        let last = year_of_last_line(&server.wait_for_log("stored /during, "));
        assert!((last - year - years).abs() <= 1 && last != year, "{jump}: the clock has not jumped: {year}, {last}");
        // The file of an upload that is under way is locked, however old it looks.
        idle.list("LIST");
        assert!(temporary.exists());
        upload.write_all(b" and after").unwrap();
        upload.finish().unwrap();
        assert_eq!(writer.read_reply().code, 226);
        assert_eq!(tree.read("up").unwrap(), b"before and after");
        assert_eq!(read_all(&mut download).len() as u64, super::MORE_THAN_BUFFERS);
        assert_eq!(reader.read_reply().code, 226);
        assert!(temporaries(&tree, ".").is_empty());
        // A wrong password is refused as late as ever.
        let begin = Instant::now();
        greeted.expect("USER u", 331);
        greeted.expect("PASS wrong", 530);
        let late = begin.elapsed();
        assert!(late >= Duration::from_millis(900) && late < Duration::from_secs(10), "{late:?}");
        // How long a transfer took is told by the other clock: no day and no year is in it.
        super::wait_until("the transfer log has all", || {
            std::fs::read_to_string(&transfers).unwrap().lines().filter(|line| line.contains("/big")).count() == 1
        });
        for line in std::fs::read_to_string(&transfers).unwrap().lines() {
            let seconds: u64 = line.split_whitespace().nth(5).unwrap().parse().unwrap();
            assert!(seconds < 60, "{line}");
        }
        // And back.
        clock.jump("+0");
        idle.expect("NOOP", 200);
        let score = careful::session(server.address(), &tree, "after");
        assert_eq!((score.refused, score.gone), (0, 0), "{score:?}");
        assert!(server.is_alive());
    }
}
