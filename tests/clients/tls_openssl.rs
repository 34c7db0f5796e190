//! `openssl s_client` as both connections of a client: the control connection writes its TLS session into a file, from
//! which the data connections resume it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::tls::{Case, LARGE, SIZES, assert_arrived, each_case, trees};
use super::{client, noise, run_any, shown};
use crate::support::{Server, Tree};

/// `openssl s_client` that speaks the case's version and says nothing of its own.
fn s_client(case: Case) -> Option<Command> {
    let mut command = client("openssl")?;
    let version = if case.version == "1.2" { "-tls1_2" } else { "-tls1_3" };
    command.args(["s_client", "-quiet", "-nocommands", version]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Some(command)
}

/// A control connection.
struct Control {
    case: Case,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    /// What else both connections are told.
    args: &'static [&'static str],
}

impl Control {
    fn new(case: Case, server: &Server, home: &Tree, args: &'static [&'static str]) -> Option<Control> {
        let session = home.at("session").to_str().unwrap().to_owned();
        let mut command = s_client(case)?;
        command.args(args);
        command.args(["-sess_out", &session, "-connect"]);
        match case.implicit {
            true => command.arg(server.implicit_address().to_string()),
            false => command.args([&server.address().to_string(), "-starttls", "ftp"]),
        };
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut control = Control { case, child, input, output, session, args };
        if case.implicit {
            control.reply(220);
        }
        control.say("USER u", 331);
        control.say("PASS secret", 230);
        control.say("PBSZ 0", 200);
        control.say("PROT P", 200);
        control.say("TYPE I", 200);
        Some(control)
    }

    fn say(&mut self, line: &str, code: u16) -> String {
        self.input.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply(code)
    }

    fn reply(&mut self, code: u16) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.starts_with(&code.to_string()), "{:?}: {code} was expected, not {line:?}", self.case);
        line
    }

    /// A data connection that resumes the session, for `line`.
    fn data(&mut self, line: &str) -> Child {
        let reply = self.say("EPSV", 229);
        let port: u16 = reply.split('|').nth(3).unwrap().parse().unwrap();
        let mut command = s_client(self.case).unwrap();
        command.args(self.args);
        let address = SocketAddr::from(([127, 0, 0, 1], port)).to_string();
        command.args(["-no_ign_eof", "-sess_in", &self.session, "-connect", &address]);
        self.input.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        command.spawn().unwrap()
    }
}

#[test]
fn s_client_in_every_case() {
    each_case(|case| both_ways(case, &SIZES));
}

#[test]
fn s_client_with_a_hundred_mebibytes() {
    Case::all().into_iter().for_each(|case| both_ways(case, &[LARGE]));
}

/// Sends and fetches files of these sizes.
fn both_ways(case: Case, sizes: &[usize]) {
    let (home, tree) = trees(&[]);
    let server = case.serve(&tree);
    let Some(mut control) = Control::new(case, &server, &home, &[]) else { return };
    for &size in sizes {
        let mut data = control.data(&format!("STOR up/{size}"));
        data.stdin.take().unwrap().write_all(&noise(size)).unwrap();
        control.reply(150);
        control.reply(226);
        data.wait().unwrap();
        let mut data = control.data(&format!("RETR up/{size}"));
        // It would leave at the end of its input.
        let input = data.stdin.take();
        let mut got = Vec::new();
        data.stdout.take().unwrap().read_to_end(&mut got).unwrap();
        drop(input);
        data.wait().unwrap();
        assert!(got == noise(size), "{case:?}: {size} octets became {}", got.len());
        control.reply(150);
        control.reply(226);
    }
    assert_arrived(&tree, "up", sizes, &format!("{case:?}"));
    control.say("QUIT", 221);
    let mut rest = String::new();
    control.output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    drop(control.input);
    control.child.wait().unwrap();
    assert!(!server.log().contains("did not resume"), "{case:?}: {}", server.log());
}

/// The first group is one that the server does not have: it asks for another (HelloRetryRequest), and only then comes
/// to the session.
#[test]
fn s_client_that_is_asked_for_another_group_resumes_all_the_same() {
    let (home, tree) = trees(&[16_384]);
    tree.file("f", noise(16_384));
    for reuse in ["prefer", "require"] {
        let case = Case { version: "1.3", implicit: false, reuse };
        let server = case.serve(&tree);
        let Some(mut control) = Control::new(case, &server, &home, &["-groups", "P-521:X25519"]) else { return };
        let mut data = control.data("RETR f");
        let input = data.stdin.take();
        let mut got = Vec::new();
        data.stdout.take().unwrap().read_to_end(&mut got).unwrap();
        drop(input);
        data.wait().unwrap();
        assert!(got == noise(16_384), "{reuse}: {} octets", got.len());
        control.reply(150);
        control.reply(226);
        control.say("QUIT", 221);
        drop(control.input);
        control.child.wait().unwrap();
        assert!(!server.log().contains("did not resume"), "{}", server.log());
    }
}

/// What `openssl s_client` says with `args` and this input, after STARTTLS.
fn said(server: &Server, args: &[&str], input: &str) -> Option<String> {
    let mut command = client("openssl")?;
    command.args(["s_client", "-connect", &server.address().to_string(), "-starttls", "ftp"]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have left before.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Some(shown(&output))
}

#[test]
fn old_versions_renegotiation_and_compression_are_not_there() {
    let tree = Tree::new();
    let case = Case { version: "1.2", implicit: false, reuse: "prefer" };
    let mut server = case.serve(&tree);
    for version in ["-tls1", "-tls1_1"] {
        let Some(text) = said(&server, &[version, "-cipher", "ALL:@SECLEVEL=0"], "") else { return };
        let refused = text.contains("alert protocol version") || text.contains("alert handshake failure");
        assert!(refused && !text.contains("BEGIN CERTIFICATE"), "{version}: {text}");
    }
    let text = said(&server, &["-tls1_2", "-comp"], "").unwrap();
    assert!(text.contains("Compression: NONE"), "{text}");
    // RSA key exchange, CBC and export: nothing but what has forward secrecy.
    for cipher in ["AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "NULL"] {
        let text = said(&server, &["-tls1_2", "-cipher", &format!("{cipher}:@SECLEVEL=0")], "").unwrap();
        assert!(!text.contains("BEGIN CERTIFICATE"), "{cipher}: {text}");
    }
    // A line that is an R asks for a new handshake.
    let text = said(&server, &["-tls1_2"], "R\n").unwrap();
    assert!(text.contains("RENEGOTIATING") && text.contains("no renegotiation"), "{text}");
    assert!(server.is_alive());
    let mut command = client("openssl").unwrap();
    let address = server.address().to_string();
    let output = run_any(command.args(["s_client", "-connect", &address, "-starttls", "ftp", "-tls1_3"]));
    assert!(output.status.success(), "{}", shown(&output));
}
