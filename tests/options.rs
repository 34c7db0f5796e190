//! The command line from outside: exit codes, messages, the environment, and that no secret is printed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ferryd::account::{Credentials, Proof, Secret};
use ferryd::auth::Accounts;

/// How the program ended, and what it said.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

fn ferryd(args: &[&str], variables: &[(&str, &str)], input: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferryd"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FERRYD_")) {
        command.env_remove(name);
    }
    command.args(args).envs(variables.iter().copied());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // It may have ended without reading.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// `--check` with `args`, on a port that is free.
fn check(args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let args: Vec<&str> = ["--check", "--listen", "127.0.0.1:0"].iter().chain(args).copied().collect();
    ferryd(&args, variables, "")
}

/// A directory that goes away with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("ferryd-options-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const OPTIONS: &[&str] = &[
    "listen",
    "user",
    "users",
    "anonymous",
    "passive-ports",
    "passive-address",
    "tls-cert",
    "tls-key",
    "tls",
    "tls-state",
    "tls-listen",
    "require-tls",
    "tls-reuse",
    "tls-client-ca",
    "tls-client-login",
    "run-as",
    "sandbox",
    "max-sessions",
    "max-sessions-per-address",
    "connections-per-second",
    "commands-per-second",
    "rate",
    "min-rate",
    "ban-after",
    "ban-for",
    "idle-timeout",
    "login-timeout",
    "data-timeout",
    "grace",
    "umask",
    "symlinks",
    "atomic-uploads",
    "helpers",
    "log-level",
    "log-file",
    "transfer-log",
    "check",
];

#[test]
fn the_help_has_every_option_and_its_variable() {
    let ended = ferryd(&["--help"], &[("FERRYD_USER", "al:sesame")], "");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("[env: FERRYD_DIR]") && ended.stdout.contains("--version"), "{}", ended.stdout);
    // The help is wrapped, in the middle of `[env: …]` as well.
    let unwrapped = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for option in OPTIONS {
        let variable = option.to_uppercase().replace('-', "_");
        assert!(ended.stdout.contains(&format!("--{option}")), "{option}");
        assert!(unwrapped.contains(&format!("[env: FERRYD_{variable}]")), "{option}");
    }
    for heading in ["Serving:", "Users:", "Data connections:", "TLS:", "Privileges:", "Limits:", "Log:"] {
        assert!(ended.stdout.contains(&format!("\n{heading}\n")), "{heading}");
    }
    assert!(!ended.stdout.contains("sesame"));
    let options = ended.stdout.lines().filter(|line| line.trim_start().starts_with("--")).count();
    assert_eq!(options, OPTIONS.len(), "{}", ended.stdout);
}

#[test]
fn the_version() {
    let ended = ferryd(&["--version"], &[], "");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), concat!("ferryd ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn errors_of_the_configuration_and_of_the_system() {
    for (args, code, said) in [
        (
            &["--passive-ports", "40000"][..],
            2,
            "invalid value '40000' for '--passive-ports <FIRST-LAST>': use FIRST-LAST",
        ),
        (&["--listen", "2121"], 2, "invalid value '2121' for '--listen <ADDR:PORT>': use ADDR:PORT"),
        (&["--umask", "9"], 2, "invalid value '9' for '--umask <BITS>': use octal"),
        (&["--listne", ":1"], 2, "a similar argument exists: '--listen'"),
        (&["--anonymous", "off"], 2, "nobody could log in"),
        (&["/nonexistent"], 1, "cannot serve /nonexistent: No such file"),
        (&["--users", "/nonexistent"], 1, "cannot read the users file /nonexistent: No such file"),
        (&["--user", "al:sesame:/nonexistent"], 1, "--user 'al:...': directory /nonexistent: No such file"),
        (&["--log-file", "/nonexistent/log", "/"], 1, "--log-file: cannot write /nonexistent/log: No such file"),
        (&["--require-tls", "all"], 2, "--require-tls needs a certificate: use --tls-cert"),
        (&["--tls-cert", "/nonexistent", "--tls-key", "/k"], 1, "--tls-cert: /nonexistent: No such file"),
        (&["--transfer-log", "/nonexistent/log", "/"], 1, "--transfer-log: cannot write /nonexistent/log: "),
    ] {
        let ended = check(args, &[]);
        let first = ended.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("ferryd: "), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{args:?}");
    }
}

#[test]
fn the_environment() {
    let served = |ended: &Ended, what: &str| {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains(what), "{}", ended.stdout);
    };
    served(&check(&[], &[("FERRYD_DIR", "/usr")]), "/usr");
    served(&check(&["/tmp"], &[("FERRYD_DIR", "/nonexistent")]), "/tmp");
    served(&ferryd(&["/usr", "--listen", "127.0.0.1:0"], &[("FERRYD_CHECK", "1")], ""), "/usr");
    served(&check(&["/"], &[("FERRYD_USER", "al:a b c\nbo:x:/tmp:ro\n")]), "\"bo\": read-only in /tmp");
    served(&check(&["--user", "ci:x"], &[("FERRYD_USER", "al:x")]), "\"ci\"");
    let state = Scratch::new("state");
    let variables = [("FERRYD_TLS", "self-signed"), ("STATE_DIRECTORY", state.0.to_str().unwrap())];
    served(&check(&[], &variables), &format!("TLS: self-signed, in {}", state.0.display()));
    // Empty is not set, for flags and lists too.
    let all: Vec<String> = OPTIONS.iter().map(|o| format!("FERRYD_{}", o.to_uppercase().replace('-', "_"))).collect();
    let empty: Vec<(&str, &str)> = all.iter().map(|name| (name.as_str(), "")).chain([("FERRYD_DIR", "")]).collect();
    served(&check(&[], &empty), std::env::current_dir().unwrap().to_str().unwrap());
    let wrong = check(&[], &[("FERRYD_PASSIVE_PORTS", "1")]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("--passive-ports"), "{}", wrong.stderr);
    let twice = ferryd(&["--check", "/"], &[("FERRYD_LISTEN", "127.0.0.1:7,127.0.0.1:7")], "");
    assert!(twice.code == Some(2) && twice.stderr.contains("named twice"), "{}", twice.stderr);
}

#[test]
fn secrets_are_never_printed() {
    for ended in [
        check(&["/", "--user", "al:sesame:/tmp", "--log-level", "trace"], &[]),
        check(&["/"], &[("FERRYD_USER", "al:sesame")]),
        check(&["--user", "al:sesame:open:sesame"], &[]),
        check(&["--user", "al:x:sesame"], &[]),
        check(&["--usr=al:sesame"], &[]),
        check(&["/", "al:sesame"], &[]),
        check(&["/"], &[("FERRYD_USER", "sesame")]),
        ferryd(&["hash-password"], &[], "sesame\0\n"),
        ferryd(&["hash-password"], &[], "sesame\n"),
    ] {
        assert!(!ended.all().contains("sesame"), "{}", ended.all());
    }
}

#[test]
fn a_hash_goes_round_through_a_users_file() {
    // A container that serves FERRYD_DIR can still make a hash.
    let ended =
        ferryd(&["hash-password"], &[("FERRYD_DIR", "/nonexistent"), ("FERRYD_USERS", "/none")], "pass wörd\r\n");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.starts_with("$6$rounds=") && ended.stdout.lines().count() == 1, "{}", ended.stdout);
    let scratch = Scratch::new("round");
    let users = scratch.path("users");
    std::fs::write(&users, format!("al:{}", ended.stdout)).unwrap();
    let checked = check(&["/", "--users", &users], &[]);
    assert!(
        checked.code == Some(0) && checked.stdout.contains("user \"al\": read and write in /"),
        "{}",
        checked.all()
    );
    let accounts = Accounts { directory: "/".into(), anonymous: None, named: Vec::new(), file: Some(users.into()) };
    let (users, _) = accounts.load().unwrap();
    let login = |password: &str| {
        let proof = Proof::Password(Secret::new(password.as_bytes().to_vec()));
        users.verify(&Credentials { user: b"al".to_vec(), proof })
    };
    assert_eq!(login("pass wörd").unwrap().name, "al");
    assert!(login("pass wörd\r").is_none() && login("pass word").is_none());
    for input in ["", "\n", "\r\n", &format!("{}\n", "x".repeat(257))] {
        let refused = ferryd(&["hash-password"], &[], input);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{input:?}: {}", refused.stderr);
    }
}

#[test]
fn a_users_file_is_right_as_a_whole_or_not_at_all() {
    let scratch = Scratch::new("users");
    let users = scratch.path("users");
    let hash = "$5$abcdefgh$ruMep1ijHnJPZbETDNiumskxcX3kN4lzZd5VlsqE7eB";
    std::fs::write(&users, format!("al:{hash}\nbo\n# ci\ndi:$apr1$gIpUuxr8$of317CmnHSkGaZyWRucLH1\nal:*\n")).unwrap();
    let ended = check(&["/", "--users", &users], &[]);
    assert_eq!(ended.code, Some(2));
    for said in ["line 2: ", "line 4: user \"di\": MD5", "line 5: user \"al\" is already on line 1"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("of317"), "{}", ended.stderr);
    std::fs::write(&users, "al:*\n").unwrap();
    let ended = check(&["/", "--users", &users], &[]);
    assert!(ended.code == Some(2) && ended.stderr.contains("nobody could log in"), "{}", ended.stderr);
    std::fs::write(&users, format!("al:{hash}\n")).unwrap();
    assert_eq!(check(&["/", "--users", &users], &[]).code, Some(0));
}

#[test]
fn checking_leaves_no_trace() {
    let scratch = Scratch::new("trace");
    let (log, transfers, state) = (scratch.path("log"), scratch.path("transfers"), scratch.path("state"));
    let tls = ["--tls", "self-signed", "--tls-state", &state];
    let ended = check(&[&["/", "--log-file", &log, "--transfer-log", &transfers], &tls[..]].concat(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(&log) && ended.stdout.contains(&transfers), "{}", ended.stdout);
    assert!([&log, &transfers, &state].iter().all(|path| !Path::new(path).exists()));
}
