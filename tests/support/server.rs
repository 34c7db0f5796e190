//! The real server in a process of its own, on a port of its own.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, Tree};

/// Options for a test that needs a server of the user who runs the tests: where that is root, it would become nobody.
pub fn of_the_tester() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() { &["--run-as", "root"] } else { &[] }
}

/// A server that runs; it is killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    output: Arc<Capture>,
    log: Arc<Capture>,
    /// Where its own certificate is kept.
    state: Option<Tree>,
}

/// What a process wrote so far.
#[derive(Debug, Default)]
struct Capture {
    text: Mutex<Text>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Text {
    text: String,
    ended: bool,
}

impl Capture {
    /// Gathers what comes from `source` until its end.
    fn of(mut source: impl Read + Send + 'static) -> Arc<Capture> {
        let capture = Arc::new(Capture::default());
        let writer = capture.clone();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            loop {
                let count = source.read(&mut piece).unwrap_or(0);
                let mut text = writer.text.lock().unwrap();
                text.text.push_str(&String::from_utf8_lossy(&piece[..count]));
                text.ended = count == 0;
                writer.grown.notify_all();
                if text.ended {
                    return;
                }
            }
        });
        capture
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().text.clone()
    }

    /// Waits until `found` finds something in the text; nothing where the text ends or time runs out before.
    fn wait<T>(&self, found: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut text = self.text.lock().unwrap();
        loop {
            if let Some(found) = found(&text.text) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if text.ended || left.is_zero() {
                return None;
            }
            text = self.grown.wait_timeout(text, left).unwrap().0;
        }
    }
}

impl Server {
    /// Starts `ferryd DIRECTORY ARGS` on a free port of 127.0.0.1, unless `args` say where it is to listen, and waits
    /// until it says that it serves.
    pub fn start(directory: &Path, args: &[&str]) -> Server {
        Server::of(Server::command(directory, args).spawn().expect("ferryd starts"), args)
    }

    /// Starts it from a shell, behind `before` (`ulimit -n 64`), in the same process.
    pub fn start_behind(before: &str, directory: &Path, args: &[&str]) -> Server {
        let ferryd = Server::command(directory, args);
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
            .arg(ferryd.get_program())
            .args(ferryd.get_args());
        for (name, value) in ferryd.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Server::of(command.spawn().expect("ferryd starts"), args)
    }

    /// The same as another user, one without rights; nothing where this one cannot become another, or is that one, or
    /// that one cannot run the program.
    pub fn start_as_nobody(directory: &Path, args: &[&str]) -> Option<Server> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let child = Server::command(directory, args).uid(65_534).gid(65_534).spawn().ok()?;
        Some(Server::of(child, args))
    }

    fn of(mut child: Child, args: &[&str]) -> Server {
        let output = Capture::of(child.stdout.take().unwrap());
        let log = Capture::of(child.stderr.take().unwrap());
        let Some(address) = output.wait(served_address) else {
            let _ = child.kill();
            let _ = child.wait();
            // The end of what it wrote comes after its own end.
            log.wait(|_| None::<()>);
            panic!("ferryd {args:?} does not serve\noutput: {}\nlog: {}", output.so_far(), log.so_far());
        };
        Server { child, address, output, log, state: None }
    }

    /// Starts it with a certificate of its own (`--tls self-signed`).
    pub fn start_tls(directory: &Path, args: &[&str]) -> Server {
        let state = Tree::new();
        let path = state.at("state");
        let tls = ["--tls", "self-signed", "--tls-state", path.to_str().unwrap()];
        let mut server = Server::start(directory, &[&tls, args].concat());
        server.state = Some(state);
        server
    }

    /// The command that [`Server::start`] runs, for a test that expects it to fail: pipes on its outputs, and no
    /// option from the environment.
    pub fn command(directory: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferryd"));
        command.arg(directory).args(args);
        if !args.iter().any(|arg| arg.starts_with("--listen")) {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FERRYD_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where TLS begins at once (`--tls-listen`).
    pub fn implicit_address(&self) -> SocketAddr {
        address_in(&self.output(), "ftps://").expect("it was told to listen for implicit TLS")
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub fn output(&self) -> String {
        self.output.so_far()
    }

    /// What it wrote to standard error so far. A line may be on its way for 20 ms (`limits::LOG_REST`), which is waited
    /// for, so that what is not there was not said.
    pub fn log(&self) -> String {
        thread::sleep(Duration::from_millis(60));
        self.log.so_far()
    }

    /// Waits until the log holds `text`; the log up to then.
    pub fn wait_for_log(&self, text: &str) -> String {
        let found = self.log.wait(|log| log.contains(text).then(|| log.to_owned()));
        found.unwrap_or_else(|| panic!("the log does not say {text:?}:\n{}", self.log()))
    }

    /// How many descriptors it holds.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, |entries| entries.count())
    }

    /// Processor time that it has used so far.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // proc(5): the name, in brackets, may hold anything; utime and stime, in 1/100 s, are the 14th and 15th field.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server is there to be signalled");
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("its end can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not stop:\n{}", self.log());
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.log.wait(|_| None::<()>);
            eprintln!("-- the server's output --\n{}-- its log --\n{}", self.output(), self.log());
        }
    }
}

/// The address in `serving DIR at ftp://HOST:PORT/ (…)`, once that line is whole.
fn served_address(output: &str) -> Option<SocketAddr> {
    address_in(output, "ftp://")
}

/// The address behind `scheme` in the line that says where it serves.
fn address_in(output: &str, scheme: &str) -> Option<SocketAddr> {
    let line = output.split_inclusive('\n').find(|line| line.starts_with("serving ") && line.ends_with('\n'))?;
    let url = line.split(scheme).nth(1)?;
    let place = url.split('/').next()?;
    // The scheme's own port is not told.
    let usual = if scheme == "ftps://" { 990 } else { 21 };
    let address = place.parse().or_else(|_| place.parse().map(|ip: IpAddr| SocketAddr::new(ip, usual)));
    Some(address.unwrap_or_else(|_| panic!("no address in {line:?}")))
}
