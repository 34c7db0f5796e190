//! Real clients under TLS: OpenSSL (curl, Python) and GnuTLS (lftp), TLS 1.2 and 1.3, explicit and implicit, with a server
//! that prefers session reuse on data connections and one that requires it.

use std::fs;
use std::thread;

use super::{client, noise, run, run_any, shown};
use crate::support::{Server, Tree};

/// The edges of a record of TLS (2^14 octets).
pub const SIZES: [usize; 4] = [0, 1, 16_384, 16_385];

/// What is too large for every buffer.
pub const LARGE: usize = 100 * 1024 * 1024;

/// One of the ways in which client and server can be set up.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    pub implicit: bool,
    /// `--tls-reuse`.
    pub reuse: &'static str,
}

impl Case {
    /// All of them.
    pub fn all() -> Vec<Case> {
        let mut cases = Vec::new();
        for version in ["1.2", "1.3"] {
            for implicit in [false, true] {
                for reuse in ["prefer", "require"] {
                    cases.push(Case { version, implicit, reuse });
                }
            }
        }
        cases
    }

    /// A server for it, which serves `tree` to `u`.
    pub fn serve(self, tree: &Tree) -> Server {
        let args = ["--user", "u:secret", "--tls-listen", "127.0.0.1:0", "--require-tls", "all", "--tls-reuse"];
        Server::start_tls(tree.path(), &[&args[..], &[self.reuse]].concat())
    }

    /// The URL of a name there.
    fn url(self, server: &Server, path: &str) -> String {
        match self.implicit {
            true => format!("ftps://{}/{path}", server.implicit_address()),
            false => format!("ftp://{}/{path}", server.address()),
        }
    }
}

/// Runs `test` for each case, all at once: the clients wait more than they work.
pub fn each_case(test: impl Fn(Case) + Sync) {
    thread::scope(|scope| {
        for case in Case::all() {
            let test = &test;
            scope.spawn(move || test(case));
        }
    });
}

/// A directory with a file of each size, and an empty tree to be served.
pub fn trees(sizes: &[usize]) -> (Tree, Tree) {
    let (home, tree) = (Tree::new(), Tree::new());
    for &size in sizes {
        home.file(size.to_string(), noise(size));
    }
    tree.directory("up");
    (home, tree)
}

/// Fails unless `directory` has the files of `home`, and no others.
pub fn assert_arrived(directory: &Tree, name: &str, sizes: &[usize], what: &str) {
    let count = fs::read_dir(directory.at(name)).map_or(0, Iterator::count);
    assert_eq!(count, sizes.len(), "{what}");
    for &size in sizes {
        let octets = directory.read(format!("{name}/{size}")).unwrap();
        assert!(octets == noise(size), "{what}: {size} octets became {}", octets.len());
    }
}

/// Fails where a transfer broke off: clients that try again hide it.
pub fn assert_none_broke_off(server: &Server, what: &str) {
    assert!(!server.log().contains("incomplete"), "{what}: {}", server.log());
}

/// curl as `u`; nothing where it is not installed.
fn curl(case: Case) -> Option<std::process::Command> {
    let mut command = client("curl")?;
    command.args(["-q", "-sS", "-k", "--max-time", "50", "-u", "u:secret", "--ssl-reqd"]);
    command.args(if case.version == "1.2" { &["--tls-max", "1.2"][..] } else { &["--tlsv1.3"] });
    Some(command)
}

/// Sends and fetches files of these sizes with one curl each way.
fn both_ways_with_curl(case: Case, sizes: &[usize]) {
    let (home, tree) = trees(sizes);
    home.directory("down");
    let server = case.serve(&tree);
    let names = sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let Some(mut command) = curl(case) else { return };
    command.current_dir(home.path()).args(["-T", &format!("{{{names}}}"), &case.url(&server, "up/")]);
    run(&mut command);
    assert_arrived(&tree, "up", sizes, &format!("curl sends, {case:?}"));
    let mut command = curl(case).unwrap();
    command.current_dir(home.at("down"));
    for size in sizes {
        command.args(["-o", &size.to_string(), &case.url(&server, &format!("up/{size}"))]);
    }
    run(&mut command);
    assert_arrived(&home, "down", sizes, &format!("curl fetches, {case:?}"));
    let listing = String::from_utf8(run(curl(case).unwrap().arg(case.url(&server, "up/")))).unwrap();
    assert_eq!(listing.lines().count(), sizes.len(), "{case:?}: {listing}");
    assert_none_broke_off(&server, &format!("curl, {case:?}"));
}

#[test]
fn curl_in_every_case() {
    each_case(|case| both_ways_with_curl(case, &SIZES));
}

#[test]
fn curl_goes_beyond_its_tenth_transfer() {
    each_case(|case| {
        if !case.implicit {
            both_ways_with_curl(case, &(1..15).collect::<Vec<_>>());
        }
    });
}

#[test]
fn curl_with_a_hundred_mebibytes() {
    Case::all().into_iter().for_each(|case| both_ways_with_curl(case, &[LARGE]));
}

/// One curl with several connections shows the session of one on the others.
#[test]
fn curl_with_many_connections_at_once() {
    for version in ["1.2", "1.3"] {
        let case = Case { version, implicit: false, reuse: "prefer" };
        let (home, tree) = trees(&[]);
        home.directory("down");
        let sizes: Vec<usize> = (1..=12).map(|number| number * 10_000).collect();
        for &size in &sizes {
            tree.file(size.to_string(), noise(size));
        }
        let server = case.serve(&tree);
        let Some(mut command) = curl(case) else { return };
        command.current_dir(home.at("down")).args(["-Z", "--parallel-max", "5"]);
        for size in &sizes {
            command.args(["-o", &size.to_string(), &case.url(&server, &size.to_string())]);
        }
        run(&mut command);
        assert_arrived(&home, "down", &sizes, &format!("curl fetches at once, {case:?}"));
    }
}

#[test]
fn curl_is_refused_without_reuse_or_tls() {
    let tree = Tree::new();
    let case = Case { version: "1.3", implicit: false, reuse: "require" };
    let server = case.serve(&tree);
    let Some(mut command) = curl(case) else { return };
    let output = run_any(command.args(["-v", "--no-sessionid", &case.url(&server, "")]));
    assert!(!output.status.success(), "{}", shown(&output));
    // It asks for another port while the handshake is under way, and takes the reply for the answer to that.
    server.wait_for_log("was not resumed");
    // In the clear there is no login at all.
    let mut command = client("curl").unwrap();
    let output = run_any(command.args(["-q", "-sS", "-u", "u:secret", &case.url(&server, "")]));
    assert_eq!(output.status.code(), Some(67), "{}", shown(&output));
}

/// Runs `commands` in lftp, logged in under TLS.
fn lftp(case: Case, server: &Server, home: &Tree, commands: &str) -> Option<()> {
    let mut command = client("lftp")?;
    command.current_dir(home.path()).env("LFTP_HOME", home.path().join("no-settings"));
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 2; set net:timeout 20; set net:reconnect-interval-base 1; \
         set xfer:log no; set ssl:verify-certificate no; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; \
         set ssl:priority NORMAL:-VERS-ALL:+VERS-TLS{}; open -u u,secret {}; {commands}; bye",
        case.version,
        case.url(server, "")
    );
    run(command.args(["--norc", "-c", &script]));
    Some(())
}

/// Mirrors a directory with files of these sizes, up and down.
fn both_ways_with_lftp(case: Case, sizes: &[usize]) {
    let (home, tree) = trees(&[]);
    for &size in sizes {
        home.file(format!("src/{size}"), noise(size));
    }
    let server = case.serve(&tree);
    let Some(()) = lftp(case, &server, &home, "mirror -R src up; mirror up down; cls up; ls up") else { return };
    assert_arrived(&tree, "up", sizes, &format!("lftp sends, {case:?}"));
    assert_arrived(&home, "down", sizes, &format!("lftp fetches, {case:?}"));
    // At once over several sessions.
    lftp(case, &server, &home, "mirror --parallel=3 up again");
    assert_arrived(&home, "again", sizes, &format!("lftp fetches at once, {case:?}"));
    assert_none_broke_off(&server, &format!("lftp, {case:?}"));
}

#[test]
fn lftp_in_every_case() {
    each_case(|case| both_ways_with_lftp(case, &[&SIZES[..], &[2, 3, 4, 5, 6, 7, 8, 9, 10, 3_000_000]].concat()));
}

#[test]
fn lftp_with_a_hundred_mebibytes() {
    Case::all().into_iter().for_each(|case| both_ways_with_lftp(case, &[LARGE]));
}

/// Runs `tls.py`; `session` is `reuse` or `new`.
fn python(case: Case, session: &str, sizes: &[usize]) {
    let (_, tree) = trees(&[]);
    let server = case.serve(&tree);
    let address = if case.implicit { server.implicit_address() } else { server.address() };
    let Some(mut python) = client("python3") else { return };
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/tls.py"));
    let implicit = if case.implicit { "implicit" } else { "explicit" };
    python.args(["127.0.0.1", &address.port().to_string(), case.version, implicit, session, case.reuse]);
    python.arg(tree.path()).args(sizes.iter().map(usize::to_string));
    let output = run(&mut python);
    assert_eq!(String::from_utf8_lossy(&output), "all is well\n", "{case:?}, {session}");
    assert_none_broke_off(&server, &format!("ftplib, {case:?}, {session}"));
}

#[test]
fn python_in_every_case() {
    each_case(|case| {
        for session in ["reuse", "new"] {
            python(case, session, &[&SIZES[..], &[1_000_000, 2, 3, 4, 5, 6, 7]].concat());
        }
    });
}

#[test]
fn python_with_a_hundred_mebibytes() {
    Case::all().into_iter().for_each(|case| python(case, "reuse", &[LARGE]));
}
