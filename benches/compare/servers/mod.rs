//! The servers: which there are, and one of them running.

mod recipes;

pub use recipes::NOBODY;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::keeper;
use crate::support::Directory;
use crate::tree::Tree;

/// How long a server may take until its port accepts.
const START_MAX: Duration = Duration::from_secs(10);

/// Descriptors that a bench and an event loop may want.
pub const DESCRIPTORS: u64 = 65_536;

/// A kind of server.
pub struct Peer {
    pub name: &'static str,
    /// Whether each session is a process, or two. Such a server needs few descriptors, and is not given 10,000
    /// sessions.
    pub forks: bool,
    recipe: fn(&Place) -> Result<Recipe, String>,
}

/// All that speak FTP; the bare programs are in `bare.rs`.
#[rustfmt::skip]
pub const PEERS: &[Peer] = &[
    Peer { name: "ferryd",    forks: false, recipe: recipes::ferryd },
    Peer { name: "vsftpd",    forks: true,  recipe: recipes::vsftpd },
    Peer { name: "proftpd",   forks: true,  recipe: recipes::proftpd },
    Peer { name: "pure-ftpd", forks: true,  recipe: recipes::pure_ftpd },
    Peer { name: "pyftpdlib", forks: false, recipe: recipes::pyftpdlib },
    Peer { name: "unftp",     forks: false, recipe: recipes::unftp },
];

/// What a recipe is told.
pub struct Place<'a> {
    /// The directory to serve.
    pub home: &'a Path,
    /// Where the server's own files go.
    pub own: &'a Path,
    pub port: u16,
    /// A certificate with its key, in one file of PEM, where TLS is wanted.
    pub certificate: Option<&'a Path>,
}

/// How to start a server.
pub struct Recipe {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
    /// The file that is the server, for its size; a script has none.
    pub binary: Option<PathBuf>,
}

impl Peer {
    /// What it takes to start it in `place`, or why that cannot be.
    pub fn prepare(&self, place: &Place) -> Result<Recipe, String> {
        (self.recipe)(place)
    }

    /// Serves `home`, until it is dropped.
    pub fn start(&self, home: &Path, certificate: Option<&Path>) -> Result<Running, String> {
        let own = Directory::new(self.name, None);
        let port = free_port();
        let recipe = self.prepare(&Place { home, own: own.path(), port, certificate })?;
        let descriptors = if self.forks { 1_024 } else { DESCRIPTORS };
        Running::start(&recipe, own, port, descriptors)
    }
}

/// A port of loopback on which nobody listens.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Where cargo puts all that it makes.
pub fn target_directory() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows where it is");
    // target/release/deps/compare
    program.ancestors().nth(3).map(Path::to_owned).unwrap_or_default()
}

/// Where `benches/peers` puts them.
pub fn peers_directory() -> PathBuf {
    target_directory().join("peers")
}

/// A running server; all its processes are killed when it is dropped.
pub struct Running {
    keeper: Child,
    /// What it told before it was ready, and its configuration.
    own: Directory,
    pub address: SocketAddr,
}

impl Running {
    /// Starts it, and waits until its port accepts.
    pub fn start(recipe: &Recipe, own: Directory, port: u16, descriptors: u64) -> Result<Running, String> {
        let told = output_file(own.path()).map_err(|error| format!("its output: {error}"))?;
        let keeper = keep(descriptors, "", recipe, told).map_err(|error| format!("its keeper: {error}"))?;
        let mut running = Running { keeper, own, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let begun = Instant::now();
        while TcpStream::connect(running.address).is_err() {
            let ended = !matches!(running.keeper.try_wait(), Ok(None));
            if ended || begun.elapsed() > START_MAX {
                return Err(format!("did not start: {}", running.complaint()));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(running)
    }

    pub fn tree(&self) -> Tree {
        Tree::below(self.keeper.id())
    }

    /// The last line that it said.
    fn complaint(&self) -> String {
        let told = fs::read(self.own.path().join("output")).unwrap_or_default();
        let told = String::from_utf8_lossy(&told).into_owned();
        told.trim().lines().next_back().unwrap_or("it says nothing").trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its standard input tells the keeper.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Where a server's output goes. It can be read as well, because it is also the server's standard input.
pub fn output_file(own: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).read(true).append(true).open(own.join("output"))
}

/// Starts a keeper of what `recipe` says. It is no part of the bench's process group: Ctrl-C ends the bench, and that
/// tells the keeper.
pub fn keep(descriptors: u64, mount: &str, recipe: &Recipe, output: File) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args([keeper::ARGUMENT, &descriptors.to_string(), mount])
        .arg(&recipe.program)
        .args(&recipe.arguments)
        .envs(recipe.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
}
