//! System calls that fail without a reason that a test could make otherwise: strace answers them in the kernel's place
//! (`-e inject=`). Whatever fails, nothing that is said is untrue, nobody is left waiting, nothing spins, and all is well
//! when it is over.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::careful::{self, Score};
use super::{processor_time, serve, wait_until};
use crate::support::{Server, Tree};

/// A strace that follows a server and lets calls fail; it lets go when it is dropped.
struct Injector {
    strace: Child,
    record: Tree,
}

impl Injector {
    /// Lets `call` fail with `error`, `when` (strace's: `3+5` is the third and every fifth from there on).
    fn attach(server: &Server, call: &str, error: &str, when: &str) -> Option<Injector> {
        let record = Tree::new();
        let mut command = Command::new("strace");
        command.args(["-f", "-o"]).arg(record.at("calls")).args(["-e", &format!("trace={call}")]);
        command.args(["-e", &format!("inject={call}:error={error}:when={when}"), "-p", &server.pid().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let Ok(mut strace) = command.spawn() else {
            super::cannot("strace is not installed");
            return None;
        };
        let told = BufReader::new(strace.stderr.take().unwrap());
        let mut lines = told.lines().map_while(Result::ok);
        if !lines.any(|line| line.contains("attached")) {
            super::cannot("strace may not attach to a process");
            let _ = strace.wait();
            return None;
        }
        // It says more, and must not wait for somebody to read it.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Injector { strace, record })
    }

    /// How many calls have failed so.
    fn injected(&self) -> usize {
        let calls = self.record.read("calls").unwrap_or_default();
        String::from_utf8_lossy(&calls).matches("(INJECTED)").count()
    }

    fn let_go(&mut self) {
        let _ = kill_process(Pid::from_child(&self.strace), Signal::TERM);
        let _ = self.strace.wait();
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// How often a call fails: sometimes, so that sessions get along between.
const SOMETIMES: &str = "3+5";

/// Lets each of `cases` fail now and then, while sessions come and go.
fn inject(args: &[&str], cases: &[(&str, &str, &str)]) {
    for (call, error, when) in cases {
        let what = format!("{call} with {error}");
        println!("{what}");
        let tree = careful::tree();
        let mut server = serve(&tree, args);
        // What is made once is made: the root, the pipe, a helper.
        let before = careful::session(server.address(), &tree, "up");
        assert_eq!((before.refused, before.gone), (0, 0), "{before:?}");
        wait_until("the session has left", || server.descriptors() > 0);
        let Some(mut injector) = Injector::attach(&server, call, error, when) else { return };
        let mut score = Score::default();
        for round in 0..4 {
            score += careful::session(server.address(), &tree, &format!("up{round}"));
        }
        assert!(injector.injected() > 0, "{what}: no call has failed, {score:?}");
        let spent = processor_time(&server);
        std::thread::sleep(Duration::from_millis(300));
        let idle = processor_time(&server) - spent;
        assert!(idle < Duration::from_millis(150), "{what}: {idle:?} of the processor for nothing");
        injector.let_go();
        assert!(server.is_alive(), "{what}: {}", server.log());
        assert!(!server.log().contains("internal error"), "{what}: {}", server.log());
        for name in ["up0", "up1", "up2", "up3"] {
            let _ = std::fs::remove_dir(tree.at(format!("{name}-directory")));
        }
        let after = careful::session(server.address(), &tree, "up");
        assert_eq!((after.done, after.refused, after.gone), (before.done, 0, 0), "{what}, afterwards");
    }
}

#[test]
fn sockets() {
    inject(
        &[],
        &[
            ("accept4", "ENOMEM", SOMETIMES),
            ("accept4", "ENOBUFS", SOMETIMES),
            ("accept4", "EMFILE", SOMETIMES),
            ("accept4", "EINTR", SOMETIMES),
            ("accept4", "ECONNABORTED", SOMETIMES),
            ("accept4", "EPERM", SOMETIMES),
            ("socket", "EMFILE", SOMETIMES),
            ("socket", "ENOBUFS", SOMETIMES),
            ("socket", "ENOMEM", SOMETIMES),
            ("bind", "EADDRINUSE", SOMETIMES),
            ("listen", "EADDRINUSE", SOMETIMES),
            ("setsockopt", "ENOMEM", SOMETIMES),
        ],
    );
}

#[test]
fn the_loop() {
    inject(
        &[],
        &[
            ("epoll_ctl", "ENOMEM", SOMETIMES),
            ("epoll_ctl", "ENOSPC", SOMETIMES),
            ("epoll_wait", "EINTR", SOMETIMES),
            ("recvfrom", "EINTR", SOMETIMES),
            ("recvfrom", "ENOMEM", "9+17"),
            ("recvfrom", "ECONNRESET", "9+17"),
            ("sendto", "EINTR", SOMETIMES),
            ("sendto", "ENOBUFS", "9+17"),
            ("sendto", "ENOMEM", "9+17"),
            ("sendto", "EPIPE", "9+17"),
        ],
    );
}

#[test]
fn files() {
    inject(
        &[],
        &[
            ("sendfile", "EINTR", "1+2"),
            ("sendfile", "EIO", "1+2"),
            ("sendfile", "ENOMEM", "1+2"),
            ("splice", "EINTR", SOMETIMES),
            ("splice", "EIO", SOMETIMES),
            ("splice", "ENOSPC", SOMETIMES),
            ("splice", "ENOMEM", SOMETIMES),
            ("splice", "EINVAL", SOMETIMES),
            ("openat", "ENOSPC", "1+2"),
            ("openat", "EINTR", "1+2"),
        ],
    );
}

#[test]
fn names() {
    inject(
        &[],
        &[
            ("openat2", "EINTR", SOMETIMES),
            ("openat2", "EAGAIN", SOMETIMES),
            ("openat2", "ENOMEM", SOMETIMES),
            ("openat2", "EMFILE", SOMETIMES),
            ("openat2", "ENFILE", SOMETIMES),
            ("openat2", "EIO", SOMETIMES),
            ("statx", "EIO", SOMETIMES),
            ("statx", "ENOMEM", SOMETIMES),
            ("statx", "EINTR", SOMETIMES),
            ("getdents64", "EIO", SOMETIMES),
            ("getdents64", "ENOMEM", SOMETIMES),
            ("getdents64", "EINTR", SOMETIMES),
            ("mkdirat", "ENOSPC", "1+2"),
            ("unlinkat", "EIO", "1+2"),
            ("faccessat2", "EINTR", "1+2"),
        ],
    );
}

#[test]
fn atomic_uploads() {
    inject(
        &["--atomic-uploads"],
        &[
            ("fsync", "EIO", "1+2"),
            ("fsync", "ENOSPC", "1+2"),
            ("fsync", "EINTR", "1+2"),
            ("renameat2", "EIO", "1+2"),
            ("renameat2", "ENOSPC", "1+2"),
            ("flock", "ENOLCK", "1+"),
            ("openat", "ENOSPC", "1+2"),
            ("splice", "ENOSPC", SOMETIMES),
            ("ppoll", "ENOMEM", "1+"),
            ("ppoll", "EINTR", "1+"),
        ],
    );
}

/// Without a pipe octets are copied; without a helper what may wait is done in place.
#[test]
fn what_is_made_when_it_is_first_needed() {
    for (call, error) in [("pipe2", "EMFILE"), ("clone3", "EAGAIN")] {
        let tree = careful::tree();
        let server = serve(&tree, &[]);
        let Some(injector) = Injector::attach(&server, call, error, "1+") else { return };
        let score = careful::session(server.address(), &tree, "up");
        assert!(score.refused + score.gone == 0 && injector.injected() > 0, "{call}: {score:?}");
    }
}

/// Every call for a new connection fails for as long as it lasts, and one waits: that is an event which does not end.
#[test]
fn nothing_spins_where_nobody_can_be_accepted() {
    for error in ["ENOMEM", "ENOBUFS", "EMFILE", "ENFILE", "EPERM", "ECONNABORTED", "EINTR", "EPROTO", "EIO"] {
        let tree = careful::tree();
        let server = serve(&tree, &[]);
        let Some(mut injector) = Injector::attach(&server, "accept4", error, "1+") else { return };
        let waiting: Vec<TcpStream> = (0..10).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
        wait_until("accepting fails", || injector.injected() > 0);
        let (spent, calls) = (processor_time(&server), injector.injected());
        std::thread::sleep(Duration::from_secs(1));
        let idle = processor_time(&server) - spent;
        let calls = injector.injected() - calls;
        assert!(idle < Duration::from_millis(300) && calls < 1_000, "{error}: {idle:?}, {calls} calls in a second");
        injector.let_go();
        // Who waits is served as soon as it can be.
        for stream in waiting {
            stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
            let mut greeting = String::new();
            BufReader::new(stream).read_line(&mut greeting).unwrap();
            assert!(greeting.starts_with("220 ") || greeting.starts_with("421 "), "{error}: {greeting:?}");
        }
        let after = careful::session(server.address(), &tree, "up");
        assert_eq!((after.refused, after.gone), (0, 0), "{error}: {after:?}");
    }
}
